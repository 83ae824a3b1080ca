//! VXG's admin API.

use axum::Router;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Entry, Kit};
use crate::secret::{Secret, SecretSource};

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "vxg_tokens",
    about: "VXG's admin API: cameras, groups and their access tokens",
    store: true,
    schemes: &["lkey"],
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
    let _ = (kit.house(), kit.tokens());
    Router::new()
}
