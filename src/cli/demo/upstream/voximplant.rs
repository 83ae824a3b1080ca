//! Voximplant's API: the method stands in the path or in `cmd`, and answers are for the account that the gateway names.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{LARGEST_ECHO, media};

/// Everything that stands for itself here.
pub(super) fn methods() -> Router {
    Router::new()
        .route("/platform_api", any(method))
        .route("/platform_api/{method}", any(method))
        .route("/platform_api/{method}/", any(method))
        .route("/recordings/{name}", get(media::download))
        .route("/logs/{name}", get(log))
}

async fn log() -> &'static str {
    "2026-01-01 12:00:00 a call began, and ended\n"
}

async fn method(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_ECHO).await.unwrap_or_default();
    let form = String::from_utf8_lossy(&body);
    let commanded = [parts.uri.query().unwrap_or_default(), &form].into_iter().find_map(command);
    let in_path = parts.uri.path().trim_start_matches("/platform_api").trim_matches('/');
    let account = parts.headers.get("x-vidgate-account").and_then(|value| value.to_str().ok());
    Json(answer(commanded.unwrap_or(in_path), account.unwrap_or_default())).into_response()
}

/// `cmd` in a query or in a form of either kind, as far as the vendor's clients write it.
fn command(text: &str) -> Option<&str> {
    let part = text.split("name=\"cmd\"\r\n\r\n").nth(1).and_then(|rest| rest.lines().next());
    part.or_else(|| text.split('&').find_map(|pair| pair.strip_prefix("cmd=")))
}

/// What the method answers, in the shape that the vendor's clients know.
fn answer(method: &str, account: &str) -> Value {
    match method {
        "GetAccountInfo" => json!({ "result": { "account_id": account.parse::<u64>().ok(), "active": true } }),
        "GetUsers" => json!({ "result": [{ "user_id": 7, "user_name": "ada" }], "total_count": 1, "count": 1 }),
        "StartScenarios" => json!({ "result": 1, "call_session_history_id": 12 }),
        _ => json!({ "error": { "msg": "the made-up API does not know this", "code": 103 } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_in_forms_of_both_kinds() {
        let parts = "--b\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n--b--\r\n";
        for (text, expected) in [("count=20&cmd=GetUsers", Some("GetUsers")), (parts, Some("GetUsers")), ("a=b", None)]
        {
            assert_eq!(command(text), expected, "{text}");
        }
    }
}
