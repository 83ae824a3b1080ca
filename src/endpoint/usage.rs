//! What a customer may have, shown to that customer alone: where its callers may come from and how many requests it may
//! make (SecureVideo's page "My Account > API"). Whose it is, the credential says; nothing in the request can name
//! another account.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Caller, Entry, Kit};
use crate::record::Quota;
use crate::refusal::Refusal;
use crate::units::Network;

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "usage",
    about: "A customer's own quota and address list",
    store: false,
    schemes: &[],
    proves: false,
    max_body: None,
    operations: &[],
    build: |kit| Router::new().route("/", get(show)).route("/{*path}", get(show)).with_state(kit.clone()),
};

/// `GET` at whatever path the route has. `quota` is what was agreed upon with the account; `quotas` is where each limit of
/// the gateway stands for it, this request included if the route counts it.
async fn show(State(kit): State<Kit>, Extension(caller): Extension<Caller>) -> Result<Response, Refusal> {
    caller.must_be_the_customer()?;
    let account = caller.account()?;
    let terms = account.terms();
    let terms = terms.as_deref();
    let body = json!({
        "account": &*account.id.0,
        "addresses": terms.map(|terms| written(&terms.addresses)).unwrap_or_default(),
        "denied_addresses": terms.map(|terms| written(&terms.denied_addresses)).unwrap_or_default(),
        "quota": quota(&terms.map(|terms| terms.quota).unwrap_or_default()),
        "quotas": kit.usage(account),
    });
    Ok(Json(body).into_response())
}

/// A list of addresses; an empty one of those that are allowed is anywhere.
fn written(addresses: &[Network]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// The account's own values; `null` is the system's.
fn quota(own: &Quota) -> Value {
    json!({ "hour": own.hour, "day": own.day, "month": own.month })
}
