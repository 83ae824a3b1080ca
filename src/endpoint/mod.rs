//! What the house answers itself. An endpoint is an axum router behind a route like any upstream: the same limits, logs
//! and envelope. It gets the canonical path, the query and the fields without the caller's credential, the whole body,
//! and the `Caller` as its one extension; what it does not do is a [`Refusal`], worded in the route's dialect.
//!
//! An endpoint is one file, and one line in [`ENDPOINTS`].

mod caller;
mod document;
mod house;
mod page;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;
pub mod token;
mod usage;
mod visit;
mod voximplant_keys;
mod vxg;
mod vxg_tokens;
mod vxg_users;

use std::fmt;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use self::caller::Caller;
pub use self::house::Kit;
pub use self::visit::Visit;
pub use self::vxg_tokens::Outfit as TokenOutfit;
use crate::refusal::{Cause, Refusal};

/// A row of the registry.
pub struct Entry {
    /// The word in `endpoint = "…"` of a route.
    pub name: &'static str,
    /// One line for listings.
    pub about: &'static str,
    /// Whether it works on the store.
    pub store: bool,
    /// The kinds of schemes of which a route that leads here asks for one; empty: any that proves a customer.
    pub schemes: &'static [&'static str],
    /// Whether it proves its callers itself: a route to it may let in anyone, and must have something that slows down who
    /// guesses.
    pub proves: bool,
    /// The largest body that it takes, in bytes, where the route takes more.
    pub max_body: Option<u64>,
    /// The operations that it answers on a route that names them (`operation`) and forwards all others; empty: it answers
    /// whole routes.
    pub operations: &'static [&'static str],
    /// Builds its router, for one worker.
    pub build: fn(&Kit) -> Router,
}

/// Every endpoint there is.
pub static ENDPOINTS: &[Entry] =
    &[vxg_users::ENDPOINT, vxg_tokens::ENDPOINT, usage::ENDPOINT, token::ENDPOINT, voximplant_keys::ENDPOINT];

impl Entry {
    /// The endpoint of this name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        ENDPOINTS.iter().find(|entry| entry.name == name)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `[endpoint]`: what endpoints need to be told, by their names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Settings {
    /// Of `vxg_tokens`.
    pub vxg_tokens: vxg_tokens::Settings,
    /// Of `token`.
    pub token: token::Settings,
}

/// A worker's routers, in the order of [`ENDPOINTS`].
#[derive(Debug)]
pub struct Endpoints {
    routers: Vec<Router>,
}

impl Endpoints {
    /// Builds them; those of the store only where there is one.
    pub fn new(kit: &Kit) -> Self {
        // Without a store no route leads to one that needs it: that was found when the configuration was checked.
        let router = |entry: &Entry| {
            if entry.store && kit.store().is_none() { Router::new() } else { (entry.build)(kit) }
        };
        let complete = |router: Router| {
            router
                .fallback(|| async { Refusal::new(Cause::NotFound, "the endpoint has nothing there") })
                .method_not_allowed_fallback(|| async {
                    Refusal::new(Cause::MethodNotAllowed, "the endpoint takes other methods there")
                })
                // The body was bounded before it came here.
                .layer(DefaultBodyLimit::disable())
        };
        Self { routers: ENDPOINTS.iter().map(router).map(complete).collect() }
    }

    fn router(&self, entry: &'static Entry) -> Option<&Router> {
        let place = ENDPOINTS.iter().position(|own| own.name == entry.name)?;
        self.routers.get(place)
    }
}

/// Carried through axum as it is; `visit.rs` takes it out again.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}
