//! What an upstream's answer becomes on its way to the caller.

pub mod cors;
mod hidden;
pub mod mask;
pub mod wall;

pub use self::hidden::Hidden;
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Response, StatusCode};

use crate::forward::{Body, REQUEST_ID, strip_answer};

/// Takes out what belongs to the hop before, and names the request.
pub fn tidy(answer: &mut Response<Body>, request_id: HeaderValue) {
    let headers = answer.headers_mut();
    strip_answer(headers);
    headers.insert(REQUEST_ID, request_id);
}

/// Answers `OPTIONS *`: a question to the house itself, which means no resource behind it (RFC 9110 §9.3.7).
pub fn pong(request_id: &HeaderValue) -> Response<Body> {
    let mut answer = Response::new(Body::whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    answer.headers_mut().insert(REQUEST_ID, request_id.clone());
    answer
}
