//! `[[route]]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::{Placed, Worded};
use crate::forward::upstream::CredentialPolicy;
use crate::units::Size;

/// What leads where, and for whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Route {
    /// Its name in logs.
    pub(in crate::config) name: Placed<String>,
    /// The listeners that have it. Default: all.
    pub(in crate::config) listeners: Option<Placed<Vec<Placed<String>>>>,
    /// The host that it answers for, `api.example.com` or `*.example.com`. Default: any.
    pub(in crate::config) host: Option<Placed<String>>,
    /// The path. `{name}` is one segment, `{*rest}` all that follow, also none.
    #[schemars(example = "/api/{*rest}")]
    pub(in crate::config) path: Placed<String>,
    /// Its methods. Default: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.
    pub(in crate::config) methods: Option<Placed<Vec<Placed<String>>>>,
    /// Who may use it: names of schemes joined by `and` and `or`, with parentheses; or `open` for anyone.
    #[schemars(extend("x-missing" = "name schemes, such as \"camera or license\"; write authenticate = \"open\" if anyone may use it"))]
    pub(in crate::config) authenticate: Placed<String>,
    /// The upstream.
    pub(in crate::config) forward: Option<Placed<String>>,
    /// In the place of `forward`: whether it is not there yet, so that whoever may use it hears 501. Default: false.
    pub(in crate::config) not_implemented: Option<Placed<bool>>,
    /// What becomes of the caller's credential. Default: `remove`.
    pub(in crate::config) credential: Option<Placed<Credential>>,
    /// How its refusals are worded. Default: `problem`.
    #[serde(default)]
    pub(in crate::config) dialect: Worded,
    /// The scopes that a limited credential needs here.
    pub(in crate::config) scope: Option<Scope>,
    /// The limits that hold here, by name. Default: none.
    pub(in crate::config) limits: Option<Placed<Vec<Placed<String>>>>,
    /// The largest body that it takes. Default: any.
    pub(in crate::config) max_body: Option<Size>,
}

/// What becomes of the caller's credential on the way upstream.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Credential {
    /// It is taken out: the upstream trusts the identity headers.
    Remove,
    /// It stays: the upstream checks for itself.
    Keep,
    /// It is taken out, and the upstream's own is put in its place.
    Translate,
}

impl From<Credential> for CredentialPolicy {
    fn from(written: Credential) -> Self {
        match written {
            Credential::Remove => Self::Remove,
            Credential::Keep => Self::Keep,
            Credential::Translate => Self::Translate,
        }
    }
}

/// Scopes of which a limited credential needs one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Scope {
    /// For GET, HEAD and OPTIONS. Default: all, watch, live, play.
    pub(in crate::config) read: Option<Vec<String>>,
    /// For every other method. Default: all.
    pub(in crate::config) write: Option<Vec<String>>,
}
