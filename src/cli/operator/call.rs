//! What a command asks, in the words of the admin API, and how a refusal reads.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// What stands in one part of a path as it is. A dot does not: an id may be `..`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A request to the admin API.
pub(in crate::cli) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
}

impl Call {
    fn new(method: Method, parts: &[&str]) -> Self {
        let mut path = String::from("/v1");
        for part in parts {
            path.push('/');
            path.extend(utf8_percent_encode(part, PLAIN));
        }
        Self { method, path, headers: Vec::new(), body: None }
    }

    /// Asks for what lies at this path.
    pub(in crate::cli) fn get(parts: &[&str]) -> Self {
        Self::new(Method::GET, parts)
    }

    /// Posts nothing but the request itself.
    pub(in crate::cli) fn post(parts: &[&str]) -> Self {
        Self::new(Method::POST, parts)
    }

    /// Asks for a change of what lies at this path.
    pub(in crate::cli) fn patch(parts: &[&str]) -> Self {
        Self::new(Method::PATCH, parts)
    }

    /// Asks for the end of what lies at this path.
    pub(in crate::cli) fn delete(parts: &[&str]) -> Self {
        Self::new(Method::DELETE, parts)
    }

    /// Adds parameters behind the question mark; those without a value are left out.
    pub(in crate::cli) fn query(mut self, parameters: &[(&str, Option<&str>)]) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in parameters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if !query.is_empty() {
            self.path.push('?');
            self.path.push_str(&query);
        }
        self
    }

    /// Adds a body. It may hold a secret: the texts of the document are wiped once they are written.
    pub(in crate::cli) fn json(self, mut document: Value) -> Self {
        let mut body = Zeroizing::new(Vec::with_capacity(length(&document)));
        serde_json::to_writer(&mut *body, &document).expect("a document is plain values");
        wipe(&mut document);
        self.body(body)
    }

    /// Adds a body that is JSON already.
    pub(in crate::cli) fn body(mut self, body: Zeroizing<Vec<u8>>) -> Self {
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self.body = Some(body);
        self
    }

    /// Only if the entry is still at this revision.
    pub(in crate::cli) fn if_revision(mut self, revision: Option<u64>) -> Self {
        if let Some(revision) = revision {
            let tag = HeaderValue::try_from(format!("\"{revision}\"")).expect("a number in quotes is visible ASCII");
            self.headers.push((IF_MATCH, tag));
        }
        self
    }

    /// May be sent again under this key without being done twice.
    pub(in crate::cli) fn idempotent(mut self, key: Option<HeaderValue>) -> Self {
        self.headers.extend(key.map(|key| (HeaderName::from_static("idempotency-key"), key)));
        self
    }

    /// As it goes over the wire.
    pub(super) fn into_request(self) -> Request<Full<Bytes>> {
        let mut request = Request::new(self.body.map_or_else(Full::default, |body| Full::new(Bytes::from_owner(body))));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().expect("what is not plain in a path was encoded");
        request.headers_mut().extend(self.headers.into_iter().map(|(name, value)| (Some(name), value)));
        request
    }
}

/// About how long a document is when written, so that a body does not grow and leave copies behind.
fn length(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 24,
        Value::String(text) => 2 * text.len() + 8,
        Value::Array(list) => list.iter().map(length).sum::<usize>() + 2 + list.len(),
        Value::Object(map) => map.iter().map(|(key, value)| 2 * key.len() + 8 + length(value)).sum::<usize>() + 2,
    }
}

/// Wipes the texts of a document.
pub(in crate::cli) fn wipe_all(document: &mut Map<String, Value>) {
    document.values_mut().for_each(wipe);
}

fn wipe(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
    }
}

/// Why the admin API did not do what was asked (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Problem {
    /// The status of the answer.
    #[serde(skip)]
    pub(in crate::cli) status: StatusCode,
    /// What kind of refusal it is.
    pub(in crate::cli) title: String,
    /// Why, in one sentence.
    pub(in crate::cli) detail: String,
    /// What is wrong with which field.
    pub(in crate::cli) errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct FieldError {
    /// Its path in the document.
    pub(in crate::cli) field: String,
    /// One sentence without a full stop.
    pub(in crate::cli) detail: String,
}

impl Problem {
    /// Reads the body of an answer that is not a success.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).unwrap_or_default();
        Self { status, ..problem }
    }

    /// One plain sentence a fault.
    pub(in crate::cli) fn sentences(&self) -> Vec<String> {
        // What is wrong with the request as a whole is named after a part of it that nobody here has written.
        if self.errors.iter().all(|error| error.detail == self.detail) {
            return vec![self.whole()];
        }
        self.errors.iter().map(FieldError::sentence).collect()
    }

    fn whole(&self) -> String {
        let said = [&self.detail, &self.title].into_iter().find(|text| !text.is_empty());
        said.cloned().unwrap_or_else(|| format!("the gateway answered {}", self.status))
    }
}

impl FieldError {
    /// The fault with its field.
    pub(in crate::cli) fn sentence(&self) -> String {
        let mut sentence = String::new();
        if !self.field.is_empty() {
            let _ = write!(sentence, "`{}`: ", self.field);
        }
        sentence + &self.detail
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_stays_one_part_of_the_path() {
        for (id, expected) in [
            ("alice", "/v1/accounts/alice"),
            ("../store", "/v1/accounts/%2E%2E%2Fstore"),
            ("a?b#c", "/v1/accounts/a%3Fb%23c"),
            ("ü %2F", "/v1/accounts/%C3%BC%20%252F"),
        ] {
            let request = Call::get(&["accounts", id]).into_request();
            assert_eq!(request.uri(), expected);
        }
        let call = Call::get(&["tokens"]).query(&[("limit", Some("10")), ("after", None), ("name", Some("a&b=c"))]);
        assert_eq!(call.into_request().uri(), "/v1/tokens?limit=10&name=a%26b%3Dc");
    }

    #[test]
    fn a_body_is_written_without_growing() {
        let document =
            json!({ "name": "\"quoted\"", "list": [1, "b", null], "quota": { "hour": u64::MAX }, "on": true });
        let room = length(&document);
        let call = Call::post(&["accounts"]).json(document.clone()).if_revision(Some(7));
        let body = call.body.as_ref().unwrap();
        assert!(body.len() <= room && body.capacity() >= room, "{} of {room}", body.len());
        assert_eq!(serde_json::from_slice::<Value>(body).unwrap(), document);
        let request = call.into_request();
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(request.headers()[IF_MATCH], "\"7\"");
    }

    #[test]
    fn every_fault_is_a_sentence_of_its_own() {
        for (body, expected) in [
            (
                r#"{"title":"a","detail":"b","errors":[{"field":"x","detail":"wrong"},{"field":"","detail":"odd"}]}"#,
                &["`x`: wrong", "odd"][..],
            ),
            (r#"{"title":"Not Found","detail":"there is no account `a`"}"#, &["there is no account `a`"]),
            (
                r#"{"detail":"it has changed","errors":[{"field":"If-Match","detail":"it has changed"}]}"#,
                &["it has changed"],
            ),
            (r#"{"title":"Not Found"}"#, &["Not Found"]),
            ("<html>", &["the gateway answered 404 Not Found"]),
        ] {
            assert_eq!(Problem::read(StatusCode::NOT_FOUND, body.as_bytes()).sentences(), expected);
        }
    }
}
