//! The endpoint that says exactly what arrived: what a gateway took out and what it put in is seen here.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Answers with the request, as JSON.
pub(super) async fn echo(request: Request) -> Response {
    match told(request).await {
        Some(told) => Json(told).into_response(),
        None => (StatusCode::PAYLOAD_TOO_LARGE, "the body broke off, or is too large to be echoed\n").into_response(),
    }
}

/// The request; `None` where its body broke off or is too large.
pub(super) async fn told(request: Request) -> Option<Value> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, super::LARGEST_ECHO).await.ok()?;
    let headers: Vec<[String; 2]> = parts
        .headers
        .iter()
        .map(|(name, value)| [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
        .collect();
    Some(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body_length": body.len(),
        "body": String::from_utf8_lossy(&body),
        "body_base64": STANDARD.encode(&body),
    }))
}
