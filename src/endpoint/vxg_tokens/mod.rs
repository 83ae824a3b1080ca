//! VXG's admin API, for those who let vidgate own cameras and tokens: with a license key, its account lists and adds
//! cameras (`channels`), puts them into groups, and is shown, given and changes their access tokens. What belongs to
//! another account is not there (404). A token that was changed stops working at once.
//!
//! In VXG every access token stands for a sharing, whose id is the `si` within it. So it is here: the tokens of a
//! channel are the oldest of its sharings with the access `all` and `watch`.

mod channels;
mod groups;
mod sharings;
mod token;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::house::{House, conflict, refusal};
use super::page::Query;
use super::{Caller, Entry, Kit};
use crate::record::Kind;
use crate::refusal::Refusal;
use crate::secret::{Secret, SecretSource};
use crate::store::{Outcome, Refused, Resource, Store};

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "vxg_tokens",
    about: "VXG's admin API: cameras, groups and their access tokens",
    store: true,
    schemes: &["lkey"],
    proves: false,
    max_body: None,
    operations: &[],
    build,
};

/// `[endpoint.vxg_tokens]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Settings {
    /// The host that access tokens name as the API's. Default: the host that was asked.
    #[schemars(example = "web.example.com")]
    pub api: Option<String>,
    /// The host that access tokens name as the cameras'. Default: the host that was asked.
    #[schemars(example = "cam.example.com")]
    pub cam: Option<String>,
    /// The key that share tokens are made with (HMAC-SHA1), where an upstream checks them; the same as the
    /// `verification_key` of the scheme. Default: the last part of a token is random.
    pub verification_key: Option<SecretSource>,
}

/// What the endpoint was told, ready to use.
#[derive(Debug, Default)]
pub struct Outfit {
    /// The host that access tokens name as the API's.
    pub api: Option<String>,
    /// The host that access tokens name as the cameras'.
    pub cam: Option<String>,
    /// The key that share tokens are made with.
    pub verification_key: Option<Secret>,
}

fn build(kit: &Kit) -> Router {
    let desk = Desk { house: kit.house(), outfit: Arc::clone(kit.tokens()) };
    let channels = || get(channels::list).post(channels::create);
    let channel = || get(channels::show).put(channels::change).delete(channels::delete);
    let groups = || get(groups::list).post(groups::create);
    let group = || get(groups::show).put(groups::change).delete(groups::delete);
    let sharings = || get(sharings::list).post(sharings::create);
    let sharing = || get(sharings::show).put(sharings::change).delete(sharings::delete);
    let mut router = Router::new();
    // Clients of VXG end their paths with a slash; some forget it.
    for slash in ["", "/"] {
        router = router
            .route(&format!("/api/v3/channels{slash}"), channels())
            .route(&format!("/api/v3/channels/{{id}}{slash}"), channel())
            .route(&format!("/api/v2/cameras{slash}"), channels())
            .route(&format!("/api/v2/cameras/{{id}}{slash}"), channel())
            .route(&format!("/api/v3/channel_groups{slash}"), groups())
            .route(&format!("/api/v3/channel_groups/{{id}}{slash}"), group())
            .route(&format!("/api/v2/cameras/{{camera}}/sharings{slash}"), sharings())
            .route(&format!("/api/v2/cameras/{{camera}}/sharings/{{id}}{slash}"), sharing());
    }
    router.with_state(desk)
}

/// What the handlers work on.
#[derive(Clone, Debug)]
struct Desk {
    house: House,
    outfit: Arc<Outfit>,
}

impl Desk {
    /// The account that asks, with a license key.
    fn account(caller: &Caller) -> Result<String, Refusal> {
        caller.must_hold("lkey", Kind::LicenseKey)?;
        Ok(caller.account()?.id.0.to_string())
    }

    /// The hosts that access tokens name for this caller.
    fn hosts(&self, caller: &Caller) -> Hosts {
        let host = |own: &Option<String>| own.clone().unwrap_or_else(|| caller.host().to_owned());
        Hosts { api: host(&self.outfit.api), cam: host(&self.outfit.cam) }
    }

    /// A page of what the account that asks has of a kind: each read with what belongs to it, and told in VXG's words.
    async fn page<T: Send + 'static>(
        &self,
        caller: &Caller,
        (uri, query): (&Uri, Option<&str>),
        resource: Resource,
        of: fn(&Store, Outcome) -> Result<T, Refused>,
        to_value: fn(&T, &Hosts) -> Value,
    ) -> Result<Response, Refusal> {
        let account = Self::account(caller)?;
        let page = Query::new(query).page()?;
        let looked = self.house.look(move |store| {
            let slice = store.slice(resource, Some((Resource::Account, &account)), page.offset, page.limit)?;
            let read = slice.items.into_iter().map(|item| of(store, item));
            Ok((read.collect::<Result<Vec<_>, _>>()?, slice.total))
        });
        let (read, total) = looked.await?;
        let hosts = self.hosts(caller);
        let objects: Vec<_> = read.iter().map(|item| to_value(item, &hosts)).collect();
        Ok(Json(page.answer(&list_path(uri), &objects, total)).into_response())
    }

    /// Refuses an account whose things cannot be kept: one that is declared in the configuration.
    async fn must_be_kept(&self, account: &str) -> Result<(), Refusal> {
        let account = account.to_owned();
        match self.house.look(move |store| store.exactly(Resource::Account, &account)).await? {
            Some(_) => Ok(()),
            None => Err(conflict("the account is declared in the configuration: what it has is not kept here")),
        }
    }
}

/// Where a token says that the API and the cameras are.
#[derive(Clone, Debug)]
struct Hosts {
    api: String,
    cam: String,
}

/// What an account has under this id. Another one's is not there.
fn own(store: &Store, resource: Resource, id: &str, account: &str) -> Result<Outcome, Refused> {
    let found = store.exactly(resource, id)?;
    let owned = found.filter(|found| found.document.get("account").and_then(Value::as_str) == Some(account));
    owned.ok_or_else(|| Refused::missing(resource, id))
}

/// Many objects of one account, each by its id. Says the same of one that is not there as of another's.
fn all_own(store: &Store, resource: Resource, ids: &[String], account: &str) -> Result<bool, Refused> {
    for id in ids {
        match own(store, resource, id, account) {
            Ok(_) => {}
            Err(Refused::Missing { .. }) => return Ok(false),
            Err(refused) => return Err(refused),
        }
    }
    Ok(true)
}

/// What people call it. Names of channels need not differ, those of the store must: so they lie beside.
fn name(outcome: &Outcome) -> Value {
    metadata(outcome, "name").or_else(|| outcome.document.get("name").cloned()).unwrap_or_default()
}

fn metadata(outcome: &Outcome, key: &str) -> Option<Value> {
    outcome.document.get("metadata")?.get(key).cloned()
}

fn enabled(outcome: &Outcome) -> bool {
    outcome.document.get("disabled").and_then(Value::as_bool) != Some(true)
}

/// The path of a list, with the slash at its end.
fn list_path(uri: &Uri) -> String {
    format!("{}/", uri.path().trim_end_matches('/'))
}

/// The most bytes of a name.
const LONGEST_NAME: usize = 256;

/// The answer to something that was made.
fn made(uri: &Uri, id: &str, body: Value) -> axum::response::Response {
    use axum::response::IntoResponse;
    let mut response = (http::StatusCode::CREATED, axum::Json(body)).into_response();
    let location = format!("{}{id}/", list_path(uri)).try_into();
    response.headers_mut().insert(http::header::LOCATION, location.expect("a path and digits are plain"));
    response
}

/// The `null` that stands for what is not there.
fn or_null(value: Option<String>) -> Value {
    value.map_or(json!(null), Value::from)
}

/// How a refusal of the store is said here.
fn said(refused: Refused) -> Refusal {
    let full = refused.is_full().then(|| format!("a camera or a group has at most {} sharings", token::MOST).into());
    Refusal { said: full, ..refusal(refused) }
}
