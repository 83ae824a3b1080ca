//! What a call is made with: parameters of the query and of a form, either or both, as the vendor's clients send them.
//! Both are read by the reader of forms, in one way only; what comes twice must say the same. Parameters that an operation
//! does not ask for are passed over: clients send `account_id` and `cmd` with everything.

use bytes::Bytes;
use http::HeaderMap;

use crate::edge::preface::{Announced, Preface};
use crate::refusal::{Cause, Refusal};

/// The parameters of one call.
#[derive(Debug)]
pub(super) struct Arguments {
    query: Preface,
    form: Preface,
}

impl Arguments {
    /// Reads them. A body that is no form is refused.
    pub(super) fn read(query: Option<&str>, headers: &HeaderMap, body: Bytes) -> Result<Self, Refusal> {
        let query = Bytes::copy_from_slice(query.unwrap_or_default().as_bytes());
        let form = if body.is_empty() { Preface::EMPTY } else { Preface::read(Announced::of(headers)?, body)? };
        Ok(Self { query: Preface::read(Announced::UrlEncoded, query)?, form })
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        let [query, form] = [&self.query, &self.form].map(|part| part.value(name).map_err(|_| torn()));
        agreed(query?, form?)?.map(text).transpose()
    }

    /// The items of a list, which stand one behind the other with `;` between them, or each in a parameter of its own.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let [query, form] = [&self.query, &self.form].map(|part| items(part, name));
        agreed(query?, form?)
    }

    /// A switch; off where nothing is said.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        // Python writes `True`.
        match self.text(name)?.map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(invalid("a switch is neither true nor false")),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Some).ok_or(invalid("a number is none"))
    }
}

fn items(form: &Preface, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    let plain: Vec<_> = form.fields().filter(|field| *field.name == *name).collect();
    // Whoever reads `role_id[]` or `;role_id=` as well would find more roles.
    if plain.len() != form.values(name).count() {
        return Err(torn());
    }
    let mut items = Vec::new();
    for field in &plain {
        let text = text(&field.value)?;
        items.extend(text.split(';').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned));
    }
    Ok((!plain.is_empty()).then_some(items))
}

/// What stands in the query and in the form is the same.
fn agreed<T: PartialEq>(query: Option<T>, form: Option<T>) -> Result<Option<T>, Refusal> {
    match (query, form) {
        (Some(query), Some(form)) if query != form => Err(torn()),
        (query, form) => Ok(query.or(form)),
    }
}

fn text(value: &[u8]) -> Result<String, Refusal> {
    str::from_utf8(value).map(str::to_owned).map_err(|_| invalid("a parameter is no text"))
}

fn torn() -> Refusal {
    invalid("a parameter can be read in two ways")
}

fn invalid(detail: &'static str) -> Refusal {
    Refusal::new(Cause::InvalidContent, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    const URL_ENCODED: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=b";

    fn arguments(query: &str, content_type: &'static str, body: &str) -> Result<Arguments, Cause> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = Bytes::copy_from_slice(body.as_bytes());
        Arguments::read(Some(query), &headers, body).map_err(|refusal| refusal.cause)
    }

    #[test]
    fn a_parameter_stands_in_the_query_or_in_a_form_and_is_the_same_in_both() {
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let parts = part("cmd", "GetKeys") + &part("key_id", "k 1") + "--b--\r\n";
        let found = Ok(Some("k 1".to_owned()));
        let torn = Err(Cause::InvalidContent);
        for (what, query, content_type, body, expected) in [
            ("nothing", "", URL_ENCODED, "", Ok(None)),
            ("in the query", "account_id=1&key_id=k+1", URL_ENCODED, "", found.clone()),
            ("in a form", "", URL_ENCODED, "cmd=GetKeys&key_id=k%201", found.clone()),
            ("in a part", "", PARTS, &parts, found.clone()),
            ("in both", "key_id=k+1", PARTS, &parts, found.clone()),
            ("in both, and not the same", "key_id=k", PARTS, &parts, torn.clone()),
            ("twice the same", "", URL_ENCODED, "key_id=k+1&key_id=k%201", found),
            ("twice", "key_id=a&key_id=b", URL_ENCODED, "", torn.clone()),
            ("in two spellings", "key_id=a", URL_ENCODED, "KEY_ID=b", torn.clone()),
            ("as a list", "", URL_ENCODED, "key_id[]=b", torn.clone()),
            ("behind a semicolon", "key_id=a&x;key_id=b", URL_ENCODED, "", torn.clone()),
            ("no text", "key_id=%ff", URL_ENCODED, "", torn),
            ("empty", "key_id=", URL_ENCODED, "", Ok(Some(String::new()))),
        ] {
            let read = arguments(query, content_type, body);
            let read = read.and_then(|read| read.text("key_id").map_err(|refusal| refusal.cause));
            assert_eq!(read, expected, "{what}");
        }
        assert_eq!(arguments("", "application/json", "{}").unwrap_err(), Cause::UnsupportedMediaType);
    }

    #[test]
    fn a_list_is_joined_or_repeated() {
        for (query, body, expected) in [
            ("", "", Some(None)),
            ("role_id=", "", Some(Some(&[][..]))),
            ("role_id=3", "", Some(Some(&["3"]))),
            ("role_id=3%3B7", "", Some(Some(&["3", "7"]))),
            ("role_id=3;7", "", Some(Some(&["3", "7"]))),
            ("role_id=3;+7%3B", "", Some(Some(&["3", "7"]))),
            ("role_id=3&role_id=7", "", Some(Some(&["3", "7"]))),
            ("", "role_id=3&a=b&role_id=7", Some(Some(&["3", "7"]))),
            ("role_id=3%3B7", "role_id=3&role_id=7", Some(Some(&["3", "7"]))),
            ("role_id=3", "role_id=3&role_id=1", None),
            ("role_id=3&role_id[]=1", "", None),
            ("role_id=3;role_id=1", "", None),
            ("role_id=3", "ROLE_ID=1", None),
        ] {
            let read = arguments(query, URL_ENCODED, body).unwrap().list("role_id").ok();
            let expected = expected.map(|list| list.map(|items| items.iter().map(ToString::to_string).collect()));
            assert_eq!(read, expected, "{query} {body}");
        }
    }

    #[test]
    fn switches_and_numbers_are_read_or_refused() {
        for (text, flag, number) in [
            ("true", Some(true), None),
            ("True", Some(true), None),
            ("1", Some(true), Some(1)),
            ("false", Some(false), None),
            ("0", Some(false), Some(0)),
            ("20", None, Some(20)),
            ("+1", None, None),
            ("-1", None, None),
            ("1.0", None, None),
            ("", None, None),
            ("yes", None, None),
            ("99999999999999999999999", None, None),
        ] {
            let arguments = arguments(&format!("x={}", text.replace('+', "%2B")), URL_ENCODED, "").unwrap();
            assert_eq!((arguments.flag("x").ok(), arguments.number("x").ok().flatten()), (flag, number), "{text}");
        }
        let none = arguments("", URL_ENCODED, "").unwrap();
        assert!(!none.flag("x").unwrap() && none.number("x").unwrap().is_none());
    }
}
