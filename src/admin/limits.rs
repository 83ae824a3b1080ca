//! What is counted of requests: where the quotas of an account stand, and whose wrong credentials were counted.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;
use super::query::Parameter;
use crate::limit::failures::{Held, Which};
use crate::record::Directory;
use crate::store::{Refused, Resource};

/// `GET /v1/usage`
pub(super) fn usage(call: &Call) -> Result<Response, Problem> {
    let Some(id) = call.query.text(Parameter::Whose).map(str::to_owned) else {
        return Err(Problem::field(StatusCode::BAD_REQUEST, "account", "say whose: account=ID"));
    };
    // Declared accounts are not on file, and have their quotas all the same.
    let Some(account) = call.house.store.index().account(&id) else {
        return Err(Refused::missing(Resource::Account, id).into());
    };
    let usage = call.house.counters.limits.usage(&account, call.house.clock.unix());
    Ok(answer(StatusCode::OK, &json!({ "account": id, "quotas": usage })))
}

/// `GET /v1/failures`
pub(super) async fn failures(call: Call) -> Result<Response, Problem> {
    let (which, limit) = (call.query.failures()?, call.query.limit()?);
    let guards = call.house.counters.guards;
    // Aside: it may be long.
    let items = aside(move || Ok(guards.list(&which, limit))).await?;
    Ok(answer(StatusCode::OK, &json!({ "items": items.iter().map(held).collect::<Vec<_>>() })))
}

fn held(held: &Held) -> Value {
    let mut shown = json!({
        "limit": held.limit, "network": held.network, "failures": held.failures, "last": held.last,
        "log_only": held.log_only,
    });
    if let Some(identifier) = &held.identifier {
        shown["identifier"] = identifier.as_str().into();
    }
    if let Some(until) = held.until {
        shown["until"] = json!(until);
    }
    shown
}

/// `DELETE /v1/failures`
pub(super) async fn clear(call: Call) -> Result<Response, Problem> {
    let which = call.query.failures()?;
    let cleared = aside(move || {
        let (house, guards) = (&call.house, &call.house.counters.guards);
        if guards.list(&which, 1).is_empty() {
            return Ok(0);
        }
        let Which { address, identifier } = &which;
        house.store.note_forgiven(&call.actor, *address, identifier.is_some())?;
        Ok(guards.clear(&which))
    });
    Ok(answer(StatusCode::OK, &json!({ "cleared": cleared.await? })))
}
