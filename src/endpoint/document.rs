//! A caller's JSON, read member by member. Names are trimmed, since VXG's own example has one with a blank before it
//! (`" limits"`), and members that nobody asks for are ignored; but a name that stands twice is refused, because whoever
//! looks at the body before us may have taken the other one. What is wrong is said by the name of the member, never by
//! what was sent.

use std::fmt;

use axum::http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::once::Once;
use crate::refusal::{Cause, Refusal};

/// A JSON object of a request, or one within it.
#[derive(Default)]
pub(super) struct Document {
    members: Map<String, Value>,
    /// What stands before the names of its members: `limits.`
    path: String,
}

/// What stands under a name.
#[derive(PartialEq, Eq)]
pub(super) enum Given<T> {
    /// Nothing: it stays as it is.
    Absent,
    /// `null`: none, or a new one.
    Null,
    /// This.
    Value(T),
}

/// Values may be secrets, so that only where they stand is printed.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?}, {} members)", self.path, self.members.len())
    }
}

impl<T> fmt::Debug for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Null => "Null",
            Self::Value(_) => "Value(***)",
        })
    }
}

impl<T> Given<T> {
    /// The value, if there is one.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same with another value.
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(map(value)),
        }
    }
}

impl Given<Value> {
    /// Writes it into a merge patch (RFC 7396).
    pub(super) fn patch(self, name: &str, patch: &mut Map<String, Value>) {
        match self {
            Self::Absent => {}
            Self::Null => drop(patch.insert(name.to_owned(), Value::Null)),
            Self::Value(value) => drop(patch.insert(name.to_owned(), value)),
        }
    }

    /// The same as the only member of an object, where `null` takes away that member and no other.
    pub(super) fn within(self, name: &str) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Null => Self::Value(serde_json::json!({ name: null })),
            Self::Value(value) => Self::Value(serde_json::json!({ name: value })),
        }
    }
}

impl Document {
    /// Reads a body: JSON by its own account, and an object. An empty body is an empty object.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        check_type(headers)?;
        let mut text = serde_json::Deserializer::from_slice(body);
        let once = Once { meant: str::trim, twice: |_| "a name stands twice".to_owned() };
        let value = once.deserialize(&mut text).and_then(|value| text.end().map(|()| value)).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Refusal::content(format!("the body is not JSON that can be read in one way, line {line} column {column}"))
        })?;
        match value {
            Value::Object(members) => Ok(Self { members, path: String::new() }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(Refusal::content("the body is a JSON object, not another kind of value"))
            }
        }
    }

    fn given<T>(&mut self, name: &str, what: &str, read: impl FnOnce(Value) -> Option<T>) -> Result<Given<T>, Refusal> {
        match self.members.remove(name) {
            None => Ok(Given::Absent),
            Some(Value::Null) => Ok(Given::Null),
            Some(value) => match read(value) {
                Some(value) => Ok(Given::Value(value)),
                None => Err(wrong(&format!("{}{name}", self.path), what)),
            },
        }
    }

    /// A text of 1 to `longest` bytes without control characters.
    pub(super) fn text(&mut self, name: &str, longest: usize) -> Result<Given<String>, Refusal> {
        let what = format!("a string of 1 to {longest} bytes without control characters");
        self.given(name, &what, |value| {
            let Value::String(text) = value else { return None };
            ((1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)).then_some(text)
        })
    }

    /// An id: a whole number, or a text.
    pub(super) fn id(&mut self, name: &str, longest: usize) -> Result<Given<String>, Refusal> {
        let what = format!("a whole number, or a string of 1 to {longest} bytes without control characters");
        self.given(name, &what, |value| id(value, longest))
    }

    /// A list of ids, each once.
    pub(super) fn ids(&mut self, name: &str, most: usize) -> Result<Given<Vec<String>>, Refusal> {
        let what = format!("a list of at most {most} ids, each once");
        self.given(name, &what, |value| {
            let Value::Array(items) = value else { return None };
            let ids = items.into_iter().map(|item| id(item, 128)).collect::<Option<Vec<_>>>()?;
            let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
            (ids.len() <= most && distinct.len() == ids.len()).then_some(ids)
        })
    }

    /// One word or a list of words, of letters, digits, `-` and `_`.
    pub(super) fn words(&mut self, name: &str, most: usize) -> Result<Given<Vec<String>>, Refusal> {
        let what = format!("a word, or a list of 1 to {most} words, of letters, digits, `-` and `_`");
        self.given(name, &what, |value| {
            let items = match value {
                Value::Array(items) => items,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
                word @ Value::String(_) => vec![word],
            };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let word = |item: Value| match item {
                Value::String(word) if (1..=64).contains(&word.len()) && word.bytes().all(plain) => Some(word),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => None,
            };
            let words = items.into_iter().map(word).collect::<Option<Vec<_>>>()?;
            (1..=most).contains(&words.len()).then_some(words)
        })
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, name: &str) -> Result<Given<u64>, Refusal> {
        self.given(name, "a whole number that is not negative", |value| value.as_u64())
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<Given<bool>, Refusal> {
        self.given(name, "true or false", |value| value.as_bool())
    }

    /// `true` or `false`, and not nothing: to take a switch away would be to turn it.
    pub(super) fn switch(&mut self, name: &str) -> Result<Given<bool>, Refusal> {
        match self.flag(name)? {
            Given::Null => Err(wrong(&format!("{}{name}", self.path), "true or false")),
            given @ (Given::Absent | Given::Value(_)) => Ok(given),
        }
    }

    /// An instant: ISO 8601, UTC where no zone is named, as VXG writes it.
    pub(super) fn instant(&mut self, name: &str) -> Result<Given<UnixTime>, Refusal> {
        self.given(name, "an instant such as \"2027-01-31T12:00:00\" (UTC)", |value| instant(value.as_str()?))
    }

    /// An object within it.
    pub(super) fn table(&mut self, name: &str) -> Result<Given<Self>, Refusal> {
        let path = format!("{}{name}.", self.path);
        self.given(name, "an object", |value| match value {
            Value::Object(members) => Some(Self { members, path }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        })
    }
}

/// What is wrong with the member of this name.
pub(super) fn wrong(name: &str, what: &str) -> Refusal {
    Refusal::content(format!("`{name}`: this is {what}"))
}

fn id(value: Value, longest: usize) -> Option<String> {
    match value {
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        Value::String(text) => {
            ((1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)).then_some(text)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn instant(text: &str) -> Option<UnixTime> {
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let zoneless = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let seconds = zoned.or_else(|| zoneless().map(|zoned| zoned.timestamp()))?.as_second();
    u64::try_from(seconds).ok().map(UnixTime)
}

/// Refuses a body that is not plain JSON by its own account: a page of somebody else could have a browser send any other
/// kind, or none, with a client certificate of its user.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let wrong = || Refusal::new(Cause::UnsupportedMediaType, "the body is not JSON by its own account");
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (declared.next(), declared.next()) else { return Err(wrong()) };
    let named = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if headers.contains_key(CONTENT_ENCODING) || !named.eq_ignore_ascii_case("application/json") {
        return Err(wrong());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(body: &str) -> Result<Document, Refusal> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Document::read(&headers, body.as_bytes())
    }

    fn said(refused: Refusal) -> String {
        assert_eq!(refused.cause, Cause::InvalidContent);
        refused.said.unwrap().into()
    }

    #[test]
    fn names_are_trimmed_and_unknown_ones_ignored() {
        let mut document = read(r#"{" limits": {"hosted_cameras ": 100}, "other": [1]}"#).unwrap();
        let mut limits = document.table("limits").unwrap().value().unwrap();
        assert_eq!(limits.number("hosted_cameras").unwrap(), Given::Value(100));
        assert_eq!(limits.number("hosted_cameras").unwrap(), Given::Absent);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for body in [
            r#"{"a":1,"a":2}"#,
            r#"{"limits":1," limits":2}"#,
            r#"{"x":[{"a":1,"a ":2}]}"#,
            "{",
            "{} x",
            "\u{feff}{}",
            r#"{"a":1e999}"#,
        ] {
            assert!(said(read(body).unwrap_err()).contains("not JSON that can be read in one way"), "{body}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(2000));
        assert!(said(read(&deep).unwrap_err()).contains("not JSON"));
        for body in ["[]", "null", "\"text\"", "1"] {
            assert!(said(read(body).unwrap_err()).contains("a JSON object"), "{body}");
        }
    }

    #[test]
    fn a_wrong_type_is_named_by_its_place_and_never_repeated() {
        let mut document =
            read(r#"{"limits":{"hosted_cameras":"hunter2"},"suid":["hunter2"],"b":1,"c":"x y"}"#).unwrap();
        let mut limits = document.table("limits").unwrap().value().unwrap();
        let told = said(limits.number("hosted_cameras").unwrap_err());
        assert_eq!(told, "`limits.hosted_cameras`: this is a whole number that is not negative");
        assert!(!said(document.id("suid", 256).unwrap_err()).contains("hunter2"));
        assert!(said(document.flag("b").unwrap_err()).contains("true or false"));
        assert!(said(document.words("c", 4).unwrap_err()).contains("a word, or a list"));
    }

    #[test]
    fn values_come_in_the_forms_that_clients_use() {
        let mut document = read(
            r#"{"id":7,"name":"7","list":[1,"2"],"one":"all","many":["live","play"],"none":null,
                "bare":"2027-01-31T12:00:00","zoned":"2027-01-31T13:00:00+01:00","fine":"2027-01-31T12:00:00.123456"}"#,
        )
        .unwrap();
        assert_eq!(document.id("id", 9).unwrap(), document.id("name", 9).unwrap());
        assert_eq!(document.ids("list", 2).unwrap(), Given::Value(vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(document.words("one", 2).unwrap(), Given::Value(vec!["all".to_owned()]));
        assert_eq!(document.words("many", 2).unwrap(), Given::Value(vec!["live".to_owned(), "play".to_owned()]));
        assert_eq!(document.text("none", 2).unwrap(), Given::Null);
        for name in ["bare", "zoned", "fine"] {
            assert_eq!(document.instant(name).unwrap(), Given::Value(UnixTime(1_801_396_800)), "{name}");
        }
    }

    #[test]
    fn only_json_is_taken_and_nothing_is_nothing() {
        for (types, good) in [
            (&["application/json"][..], true),
            (&["Application/JSON; charset=UTF-8"], true),
            (&["text/plain"], false),
            (&["application/jsonp"], false),
            (&["application/x-www-form-urlencoded"], false),
            (&["application/json", "application/json"], false),
            (&[], false),
        ] {
            let headers: HeaderMap = types.iter().map(|&own| (CONTENT_TYPE, HeaderValue::from_static(own))).fold(
                HeaderMap::new(),
                |mut all, (name, value)| {
                    all.append(name, value);
                    all
                },
            );
            let read = Document::read(&headers, b"{}");
            assert_eq!(read.err().map(|refused| refused.cause), (!good).then_some(Cause::UnsupportedMediaType));
            assert!(Document::read(&headers, b"").is_ok());
        }
    }
}
