//! The endpoint that says exactly what arrived: what a gateway took out and what it put in is seen here.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Answers with the request, as JSON.
pub(super) async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, super::LARGEST_ECHO).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body broke off, or is too large to be echoed\n").into_response();
    };
    let headers: Vec<[String; 2]> = parts
        .headers
        .iter()
        .map(|(name, value)| [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
        .collect();
    Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body_length": body.len(),
        "body": String::from_utf8_lossy(&body),
        "body_base64": STANDARD.encode(&body),
    }))
    .into_response()
}
