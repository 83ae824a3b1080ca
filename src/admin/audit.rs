//! The audit trail: who did what, and whether anybody has meddled with the record of it.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;

/// `GET /v1/audit`
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let (after, limit) = (call.query.sequence()?, call.query.limit()?);
    // One more than is shown tells whether there is a next page.
    let mut deeds = aside(move || call.house.store.audit(after, limit + 1)).await?;
    let more = deeds.len() > limit;
    deeds.truncate(limit);
    let mut body = json!({ "items": deeds });
    if let Some(last) = deeds.last().filter(|_| more) {
        body["next"] = last.sequence.to_string().into();
    }
    Ok(answer(StatusCode::OK, &body))
}

/// `GET /v1/audit/verify`
pub(super) async fn verify(call: Call) -> Result<Response, Problem> {
    let trail = aside(move || call.house.store.verify_audit()).await?;
    Ok(answer(StatusCode::OK, &json!(trail)))
}
