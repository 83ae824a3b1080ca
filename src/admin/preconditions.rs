//! Conditions that a caller attaches to a change: the revision it was made for (RFC 9110 §13.1.1), and the key by which a
//! repeated request is told from a new one. A condition that an operation cannot keep is refused, never ignored.

use aws_lc_rs::digest::{Context, SHA256};
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::store::Idempotency;

/// The header of idempotency keys.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A revision that no entry ever has: they are counted from 1.
const NO_REVISION: u64 = 0;

/// A condition that an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// `If-Match`.
    Revision,
    /// `Idempotency-Key`.
    Repetition,
}

impl Condition {
    /// Its header, as people write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Revision => "If-Match",
            Self::Repetition => "Idempotency-Key",
        }
    }

    /// What it says.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Revision => "The `ETag` of what is to be changed, or `*`: refused with 412 if it was changed since",
            Self::Repetition => "A request with a key that was used is not carried out again; its answer is repeated",
        }
    }

    /// The JSON schema of its value.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Revision => json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[^\"]*\")$", "examples": ["\"7\""] }),
            Self::Repetition => json!({ "type": "string", "pattern": "^[!-~]{1,255}$" }),
        }
    }
}

/// The conditions of a request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// The revision that it was made for; `None`: any.
    pub(super) revision: Option<u64>,
    /// The idempotency key.
    pub(super) key: Option<String>,
}

impl Conditions {
    /// Reads those that the operation takes; refuses any other that would forbid a change.
    pub(super) fn read(method: &Method, headers: &HeaderMap, known: &[Condition]) -> Result<Self, Problem> {
        let mut conditions = Self::default();
        for (name, shown, condition) in [
            (IF_MATCH, "If-Match", Some(Condition::Revision)),
            (IDEMPOTENCY_KEY, "Idempotency-Key", Some(Condition::Repetition)),
            (IF_NONE_MATCH, "If-None-Match", None),
            (IF_UNMODIFIED_SINCE, "If-Unmodified-Since", None),
        ] {
            let mut values = headers.get_all(&name).iter();
            let (Some(value), more) = (values.next(), values.next()) else { continue };
            match condition.filter(|condition| known.contains(condition)) {
                // Nothing is changed by it.
                None if method.is_safe() => {}
                None => {
                    return Err(wrong(shown, "this operation cannot keep such a condition"));
                }
                Some(_) if more.is_some() => return Err(wrong(shown, "this comes twice")),
                Some(Condition::Revision) => conditions.revision = revision(value)?,
                Some(Condition::Repetition) => conditions.key = Some(key(value)?),
            }
        }
        Ok(conditions)
    }

    /// How the store tells whether this is the same request again.
    pub(super) fn idempotency(&mut self, method: &Method, path: &str, body: &[u8]) -> Option<Idempotency> {
        let key = self.key.take()?;
        let mut digest = Context::new(&SHA256);
        let revision = self.revision.map(u64::to_be_bytes);
        let revision = revision.as_ref().map_or(&[][..], <[u8; 8]>::as_slice);
        for part in [method.as_str().as_bytes(), b"\0", path.as_bytes(), b"\0", revision, b"\0", body] {
            digest.update(part);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Some(Idempotency { key, fingerprint })
    }
}

/// The entity tag of a revision.
pub(super) fn etag(revision: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits between quotes")
}

fn revision(value: &HeaderValue) -> Result<Option<u64>, Problem> {
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    // RFC 9110 §13.1.1: a weak tag matches nothing.
    let strong = text.strip_prefix("W/").unwrap_or(text);
    let tag = strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|tag| !tag.contains('"'));
    let Some(tag) = tag else { return Err(wrong("If-Match", "this is one entity tag in quotes, or `*`")) };
    // Only as we write it: `"07"` and `"+7"` are other tags than `"7"`.
    let ours = tag.parse().ok().filter(|number: &u64| strong == text && number.to_string() == tag);
    Ok(Some(ours.unwrap_or(NO_REVISION)))
}

fn key(value: &HeaderValue) -> Result<String, Problem> {
    let fits = (1..=255).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    let text = value.to_str().ok().filter(|_| fits);
    text.map(str::to_owned).ok_or_else(|| wrong("Idempotency-Key", "this is 1 to 255 visible ASCII characters"))
}

fn wrong(header: &str, message: &str) -> Problem {
    Problem::field(StatusCode::BAD_REQUEST, header, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[Condition] = &[Condition::Revision, Condition::Repetition];

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    #[test]
    fn a_revision_is_read_from_one_strong_entity_tag() {
        for (value, expected) in [
            ("\"7\"", Some(7)),
            ("*", None),
            ("W/\"7\"", Some(0)),
            ("\"07\"", Some(0)),
            ("\"+7\"", Some(0)),
            ("\"seven\"", Some(0)),
            ("\"\"", Some(0)),
            ("\"99999999999999999999\"", Some(0)),
        ] {
            let read = Conditions::read(&Method::PATCH, &headers(&[("if-match", value)]), BOTH).expect(value);
            assert_eq!(read.revision, expected, "{value}");
        }
        for wrong in ["7", "", "\"7", "\"7\", \"8\"", "**"] {
            assert!(Conditions::read(&Method::PATCH, &headers(&[("if-match", wrong)]), BOTH).is_err(), "{wrong}");
        }
        let twice = headers(&[("if-match", "\"7\""), ("if-match", "\"8\"")]);
        assert!(Conditions::read(&Method::PATCH, &twice, BOTH).is_err());
    }

    #[test]
    fn a_condition_that_cannot_be_kept_is_refused_where_something_would_change() {
        for name in ["if-match", "if-none-match", "if-unmodified-since", "idempotency-key"] {
            let given = headers(&[(name, "\"7\"")]);
            assert!(Conditions::read(&Method::POST, &given, &[]).is_err(), "{name}");
            assert!(Conditions::read(&Method::GET, &given, &[]).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_idempotency_key_is_plain_and_goes_with_method_path_condition_and_body() {
        for wrong in ["", "a b", "ü", &"k".repeat(256)] {
            assert!(Conditions::read(&Method::POST, &headers(&[("idempotency-key", wrong)]), BOTH).is_err(), "{wrong}");
        }
        let under = |method: Method, path: &str, body: &[u8], more: &[(&'static str, &str)]| {
            let given = headers(&[&[("idempotency-key", "k")], more].concat());
            let mut read = Conditions::read(&method, &given, BOTH).expect("it is good");
            read.idempotency(&method, path, body).expect("there is a key").fingerprint
        };
        let print = |method, path, body| under(method, path, body, &[]);
        let one = print(Method::POST, "/v1/cameras", b"{}");
        assert_eq!(one, print(Method::POST, "/v1/cameras", b"{}"));
        for other in [
            print(Method::PATCH, "/v1/cameras", b"{}"),
            print(Method::POST, "/v1/camera", b"s{}"),
            print(Method::POST, "/v1/cameras", b"{} "),
            under(Method::POST, "/v1/cameras", b"{}", &[("if-match", "\"7\"")]),
        ] {
            assert_ne!(one, other);
        }
    }
}
