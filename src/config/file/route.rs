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
    /// Where the id of the camera stands that a request is for. A token of a camera or a group then reaches no other, and
    /// an account only its own and those of accounts below it. Default: a token is good on every path of the route.
    pub(in crate::config) camera: Option<Placed<Camera>>,
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

/// Where the id of a request's camera stands, and who is kept to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Camera {
    /// The name of a part of the path, `id` for `{id}`.
    pub(in crate::config) path: Option<Placed<String>>,
    /// Names in the query. A request that has none of them is for no camera in particular.
    pub(in crate::config) query: Option<Placed<Vec<Placed<String>>>>,
    /// Who is kept to it. Default: `everyone`.
    #[serde(default)]
    pub(in crate::config) binds: Bound,
}

/// Who is kept to their cameras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Bound {
    /// Tokens, and accounts: a camera that is not known here is nobody's.
    #[default]
    Everyone,
    /// Tokens alone: which account has which cameras is known to the upstream.
    Tokens,
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
