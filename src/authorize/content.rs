//! What a body may be where a route takes JSON alone: what it says of itself, and, where the route asks for that, what it
//! is. Nothing here reads a body: whoever has it brings its bytes.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::de::IgnoredAny;

use crate::refusal::{Cause, Refusal};
use crate::scheme::json;

/// What a route takes for a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What says that it is JSON.
    Json,
    /// What says so and is.
    CheckedJson,
}

/// The deepest nesting of objects and lists: far beyond what people write, and less than any reader's stack bears.
const DEEPEST: usize = 128;

impl Rule {
    /// Refuses the head of a body that does not say that it is JSON. A request without a body need not say anything.
    pub fn check_type(fields: &HeaderMap) -> Result<(), Refusal> {
        let mut types = fields.get_all(CONTENT_TYPE).iter();
        // Of two, one reader believes the first and another the last.
        match (types.next(), types.next()) {
            (Some(only), None) if says_json(only) => Ok(()),
            (Some(_), None) => Err(refused("the body is not announced as JSON")),
            (Some(_), Some(_)) => Err(refused("the body is announced twice")),
            (None, _) => Err(refused("the body is not announced as anything")),
        }
    }

    /// Refuses a whole body that is not one JSON text (RFC 8259).
    pub fn check_text(body: &[u8]) -> Result<(), Refusal> {
        let text = str::from_utf8(body).ok().filter(|text| json::shallow(text, DEEPEST));
        match text.map(serde_json::from_str::<IgnoredAny>) {
            Some(Ok(IgnoredAny)) => Ok(()),
            Some(Err(_)) | None => Err(Refusal::content("The body is not JSON.")),
        }
    }
}

fn refused(detail: &'static str) -> Refusal {
    Refusal::new(Cause::UnsupportedMediaType, detail)
}

/// `application/json`, or `application/*+json` (RFC 6839 §3.1), with any parameters; a `charset` can only be UTF-8
/// (RFC 8259 §8.1), since an upstream may take another one at its word and read another text than we do.
fn says_json(field: &HeaderValue) -> bool {
    let Ok(text) = field.to_str() else { return false };
    // Quotes do not shield a semicolon: what stands in them is looked at as if a reader had overlooked them.
    let mut parts = text.split(';').map(str::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    let Some((kind, subtype)) = media_type.split_once('/') else { return false };
    let structured = || {
        let name = subtype.len().checked_sub("+json".len()).and_then(|at| subtype.split_at_checked(at));
        name.is_some_and(|(name, suffix)| suffix.eq_ignore_ascii_case("+json") && !name.is_empty() && is_name(name))
    };
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json") || structured())
        && parts.filter(|part| !part.is_empty()).all(is_harmless)
}

/// A name of a media type (RFC 6838 §4.2).
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
}

/// Whether a parameter is none that says how the text is encoded, or says UTF-8.
fn is_harmless(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim_ascii();
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    !name.trim_ascii().eq_ignore_ascii_case("charset") || bare.eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_type(written: &[&str]) -> bool {
        let value = |text: &&str| (CONTENT_TYPE, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        Rule::check_type(&written.iter().map(value).collect()).is_ok()
    }

    #[test]
    fn a_body_says_that_it_is_json_once_and_in_utf_8() {
        for (written, good) in [
            ("application/json", true),
            ("Application/JSON", true),
            ("application/json; charset=utf-8", true),
            ("application/json;charset=\"UTF-8\" ; version=1", true),
            ("application/json;", true),
            ("application/vnd.api+json", true),
            ("application/problem+JSON; x=y", true),
            ("application/+json", false),
            ("application/a b+json", false),
            ("application/json-seq", false),
            ("application/jsonp", false),
            ("application/xml+jsonx", false),
            ("application/json; charset=utf-16", false),
            ("application/json; charset=utf-8; charset=utf-7", false),
            ("application/json; charset = iso-8859-1", false),
            ("application/json; x=\"y;charset=utf-16\"", false),
            ("application/json; charset", false),
            ("application/json; charset=utf-8, text/plain", false),
            ("application/json, text/plain", false),
            ("text/plain, application/json", false),
            ("text/json", false),
            ("json", false),
            ("text/plain; x=application/json", false),
            ("application/json\u{e9}", false),
            ("", false),
        ] {
            assert_eq!(check_type(&[written]), good, "{written}");
        }
        assert!(!check_type(&[]));
        assert!(!check_type(&["application/json", "application/json"]));
    }

    #[test]
    fn a_body_is_one_json_text_of_bounded_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (body, good) in [
            (&b"{}"[..], true),
            (b" {\"a\": [1, -2.5e3, true, null, \"\\u00e9\\\"[\"]}\r\n", true),
            ("\"caf\u{e9}\"".as_bytes(), true),
            (b"7", true),
            (nested(DEEPEST).as_bytes(), true),
            (nested(DEEPEST + 1).as_bytes(), false),
            ("[".repeat(100_000).as_bytes(), false),
            (b"", false),
            (b"{", false),
            (b"{}{}", false),
            (b"{} x", false),
            (b"{'a': 1}", false),
            (b"{\"a\": 1,}", false),
            (b"[01]", false),
            (b"[NaN]", false),
            (b"\"a\x01\"", false),
            (b"\"\xff\"", false),
            (b"\"\xc0\xaf\"", false),
            (b"\xef\xbb\xbf{}", false),
            (b"a=1", false),
        ] {
            let checked = Rule::check_text(body);
            assert_eq!(checked.is_ok(), good, "{}", String::from_utf8_lossy(&body[..body.len().min(40)]));
            if let Err(refusal) = checked {
                assert_eq!(refusal.said.as_deref(), Some("The body is not JSON."));
            }
        }
    }
}
