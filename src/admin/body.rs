//! Bodies of requests: bounded in size and time, JSON, and read in one way only. A key that stands twice is refused,
//! because whoever looks at the body before us may have taken the other one.

use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::problem::{Problem, plain};
use crate::once::Once;

/// How long a caller may take to send a body.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of a body of at most `most` bytes; they are wiped when dropped.
pub(super) async fn collect(body: Body, most: usize, patience: Duration) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let gathered = tokio::time::timeout(patience, Limited::new(body, most).collect()).await;
    let gathered = gathered
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body of the request did not arrive in time"))?;
    match gathered {
        Ok(gathered) => Ok(Zeroizing::new(gathered.to_bytes().to_vec())),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body of the request broke off")),
    }
}

/// A body of more than `most` bytes.
pub(super) fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body of the request is larger than {most} bytes"))
}

/// Refuses a body that is not plain JSON by its own account.
pub(super) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let wrong = |field: &str, message: String| Problem::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, field, message);
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(wrong("Content-Encoding", "a body is sent as it is, without an encoding".into()));
    }
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (declared.next(), declared.next());
    let known = first.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let mut parts = value.split(';').map(str::trim);
        let named = parts.next().is_some_and(|own| types.iter().any(|known| own.eq_ignore_ascii_case(known)));
        // RFC 8259 §8.1: it is UTF-8 in any case.
        named && parts.all(|part| part.is_empty() || part.to_ascii_lowercase().replace('"', "") == "charset=utf-8")
    });
    if known && second.is_none() {
        return Ok(());
    }
    Err(wrong("Content-Type", format!("this is {}", types.join(" or "))))
}

/// The JSON object that the bytes are.
pub(super) fn read(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let wrong = |field: String, message: String| Problem::field(StatusCode::BAD_REQUEST, field, message);
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(wrong(String::new(), format!("the body is not UTF-8 from byte {} on", error.valid_up_to())));
    }
    let mut track = serde_path_to_error::Track::new();
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let once = Once { meant: |key| key, twice: |key| format!("the key `{}` stands twice", plain(key)) };
    let outcome = once.deserialize(serde_path_to_error::Deserializer::new(&mut text, &mut track));
    let value = outcome.and_then(|value| text.end().map(|()| value)).map_err(|error| {
        let path = track.path().to_string();
        let field = if path == "." { String::new() } else { plain(&path) };
        wrong(field, format!("the body is not JSON as it should be: {error}"))
    })?;
    match value {
        Value::Object(document) => Ok(document),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(wrong(String::new(), "the body is a JSON object, not another kind of value".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::HeaderValue;
    use http_body::Frame;

    use super::*;

    #[test]
    fn what_is_no_object_in_json_is_refused_and_the_fault_named() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
        for (bytes, said) in [
            (&b""[..], "EOF"),
            (b"{", "EOF"),
            (b"{\"a\":1,}", "trailing comma"),
            (b"{\"a\":1} x", "trailing characters"),
            (b"{'a':1}", "key must be a string"),
            (b"{\"a\":NaN}", "expected value"),
            (b"{\"a\":1e999}", "number out of range"),
            (b"{\"a\":\"\xff\"}", "not UTF-8 from byte 6 on"),
            (b"{\"a\":\"\\ud800\"}", "unexpected end of hex escape"),
            (b"\xef\xbb\xbf{}", "expected value"),
            (deep.as_bytes(), "recursion limit exceeded"),
            (b"[]", "not another kind of value"),
            (b"null", "not another kind of value"),
            (b"\"text\"", "not another kind of value"),
        ] {
            let problem = format!("{:?}", read(bytes).expect_err(said));
            assert!(problem.contains("status: 400") && problem.contains(said), "{said}: {problem}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"name":"a","name":"b"}"#, r#"{"a":[{"quota":{"hour":1,"hour":2}}]}"#, r#"{"a":1,"\u0061":1}"#]
        {
            let problem = format!("{:?}", read(text.as_bytes()).expect_err(text));
            assert!(problem.contains("stands twice"), "{problem}");
        }
        let problem = format!("{:?}", read(br#"{"a":[{"quota":{"hour":1,"hour":2}}]}"#).expect_err("twice"));
        assert!(problem.contains("field: \"a[0].quota"), "{problem}");
    }

    #[test]
    fn values_come_through_as_they_are() {
        let text = r#"{"a":[1,-2,1.5,true,null,"ü\n"],"b":{"c":{}},"d":18446744073709551615}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(Value::Object(read(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn only_json_is_taken() {
        for (value, good) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/x-www-form-urlencoded", false),
            ("application/jsonp", false),
            ("text/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(check_type(&headers, &["application/json"]).is_ok(), good, "{value}");
        }
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(check_type(&headers, &["application/json"]).is_err(), "it stands twice");
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(check_type(&headers, &["application/json"]).is_err(), "it is packed");
        assert!(check_type(&HeaderMap::new(), &["application/json"]).is_err(), "nothing is said");
    }

    /// A body that never comes.
    struct Never;

    impl http_body::Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_body_has_an_end_in_size_and_in_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let whole = collect(Body::from("12345678"), 8, PATIENCE).await.expect("it fits");
            assert_eq!(&**whole, b"12345678");
            let problem = collect(Body::from("123456789"), 8, PATIENCE).await.expect_err("it is too large");
            assert!(format!("{problem:?}").contains("status: 413"));
            let problem = collect(Body::new(Never), 8, Duration::from_millis(5)).await.expect_err("it is late");
            assert!(format!("{problem:?}").contains("status: 408"));
        });
    }
}
