//! The last requests that were refused, and why.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;

/// `GET /v1/refusals`
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let limit = call.query.limit()?;
    let refusals = call.house.counters.refusals.ok_or_else(nobody)?;
    // Aside: there may be many.
    let items = aside(move || Ok(refusals.latest(limit))).await?;
    Ok(answer(StatusCode::OK, &json!({ "items": items })))
}

/// `GET /v1/refusals/{id}`
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    let refusals = call.house.counters.refusals.ok_or_else(nobody)?;
    let id = call.id;
    let found = aside(move || Ok(refusals.find(&id))).await?;
    let none = "no request with this id was refused lately: it was let in, it is not one of the last that were refused, or \
                the gateway was started anew since";
    let found = found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, none))?;
    Ok(answer(StatusCode::OK, &json!(found)))
}

fn nobody() -> Problem {
    Problem::new(StatusCode::CONFLICT, "no gateway runs here: what it refuses is kept in its memory alone")
}
