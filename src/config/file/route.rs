//! `[[route]]`, as written.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::placed::{Answered, Placed, Worded};
use super::roles::Allowed;
use super::upstream::OwnCredential;
use crate::authorize::content;
use crate::forward::upstream::CredentialPolicy;
use crate::units::{Size, Span};

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
    /// In the place of `forward`: the endpoint of the house that answers.
    pub(in crate::config) endpoint: Option<Placed<Answered>>,
    /// In the place of `forward`: whether it is not there yet, so that whoever may use it hears 501. Default: false.
    pub(in crate::config) not_implemented: Option<Placed<bool>>,
    /// What becomes of the caller's credential, and of any `Authorization`, also where the route is open. Default: `remove`.
    pub(in crate::config) credential: Option<Placed<Credential>>,
    /// With `translate`: what the upstream sees of callers of this route. Default: the `credential` of the upstream.
    pub(in crate::config) upstream_credential: Option<Placed<OwnCredential>>,
    /// How its refusals are worded. Default: `problem`.
    #[serde(default)]
    pub(in crate::config) dialect: Worded,
    /// The scopes that a limited credential needs here.
    pub(in crate::config) scope: Option<Scope>,
    /// Where the id of the camera stands that a request is for. A token of a camera or a group then reaches no other, and
    /// an account only its own and those of accounts below it. Default: a token is good on every path of the route.
    pub(in crate::config) camera: Option<Placed<Camera>>,
    /// Which app a request is for (CameraTag). Default: the one whose key its signature names.
    pub(in crate::config) app: Option<Placed<App>>,
    /// Whose pages may ask. Default: anyone's.
    pub(in crate::config) origin: Option<Placed<Pages>>,
    /// Whose pages may read what it answers (CORS): preflights are answered before anybody is asked who they are. Default:
    /// nobody's but as `origin` says; what the upstream says of it goes through.
    pub(in crate::config) cors: Option<Placed<Cors>>,
    /// Where the name of the operation stands that a request is for, and who may do which (Voximplant). In the place of
    /// `scope`.
    pub(in crate::config) operation: Option<Placed<Operation>>,
    /// The roles of which a service account needs one here, whatever the operation; or `basic`, with a role or without. In
    /// the place of `scope`.
    pub(in crate::config) roles: Option<Placed<Allowed>>,
    /// Whether it is a public listing of assets, filtered as its app says (CameraTag).
    pub(in crate::config) wall: Option<Placed<Wall>>,
    /// Whether WebSocket passes: tunnels over an Upgrade in HTTP/1.1, or an extended CONNECT in HTTP/2. `true`, or how long
    /// they may last. Default: false.
    pub(in crate::config) websocket: Option<Placed<Websocket>>,
    /// The limits that hold here, by name. Default: none.
    pub(in crate::config) limits: Option<Placed<Vec<Placed<String>>>>,
    /// The largest body that it takes. Default: any.
    pub(in crate::config) max_body: Option<Size>,
    /// The largest form that is looked into, where a scheme, `origin` or `operation` reads forms; a larger one is refused.
    /// Default: 64 KiB.
    pub(in crate::config) max_form: Option<Size>,
    /// What its bodies are. Default: anything.
    pub(in crate::config) content: Option<Placed<Content>>,
    /// Whether callers come from where their account says. Default: true.
    pub(in crate::config) account_addresses: Option<bool>,
    /// Whether what an upstream says with a status of 5xx is kept from callers, who hear a general sentence; what was
    /// said stands in the log. Default: false.
    #[serde(default)]
    pub(in crate::config) mask_errors: bool,
    /// Whether upper and lower case are told apart in its path. Default: true; false for upstreams that do not, such as
    /// those on ASP.NET.
    pub(in crate::config) case_sensitive: Option<bool>,
}

/// What the bodies of a route are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Content {
    /// They say that they are JSON.
    Json,
    /// They say so, and are: each is read as a whole, `max_body` at most (1 MiB where there is none), and looked through
    /// before the upstream hears of it.
    CheckedJson,
}

impl From<Content> for content::Rule {
    fn from(written: Content) -> Self {
        match written {
            Content::Json => Self::Json,
            Content::CheckedJson => Self::CheckedJson,
        }
    }
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

/// Which app a request is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct App {
    /// The name of a part of the path, `app` for `{app}`: it holds the id of an app, or its public key.
    pub(in crate::config) path: Option<Placed<String>>,
    /// The id of the app, whatever the path.
    #[schemars(example = "63f9c870-72c4-0130-04c5-123139045d73")]
    pub(in crate::config) id: Option<Placed<String>>,
}

/// Whose pages may ask.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Pages {
    /// The authorized hosts; each stands for its subdomains too. Default: those of the app.
    pub(in crate::config) hosts: Option<Placed<Vec<String>>>,
    /// Parameters in the query and in forms that say where a page is, beside the fields `Origin` and `Referer`. Default:
    /// `referer`.
    pub(in crate::config) parameters: Option<Placed<Vec<Placed<String>>>>,
    /// Whether a request that says nothing of a page is refused where hosts are listed. Default: true.
    #[serde(default = "yes")]
    pub(in crate::config) required: bool,
    /// Beside `hosts`: whether browsers are told that such pages may read answers (CORS) and show them in frames. Where the
    /// hosts are those of the app, the app says it. Default: false.
    pub(in crate::config) cross_origin: Option<Placed<bool>>,
}

/// Whose pages may read what a route answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Cors {
    /// Their origins, as browsers write them; `*.` in front of a host stands for one label or more. `*` alone is everyone.
    #[schemars(example = ["https://app.example.com", "https://*.example.com"])]
    pub(in crate::config) origins: Placed<Vec<Placed<String>>>,
    /// The methods that pages may use. Default: those of the route.
    pub(in crate::config) methods: Option<Placed<Vec<Placed<String>>>>,
    /// The header fields that pages may send. Default: those that they ask for.
    pub(in crate::config) headers: Option<Vec<Placed<String>>>,
    /// Header fields of answers that pages may read, beside those that all may and those of vidgate itself.
    #[serde(default)]
    pub(in crate::config) expose: Vec<Placed<String>>,
    /// Whether pages may ask with cookies and client certificates of whoever looks at them. Default: false.
    pub(in crate::config) credentials: Option<Placed<bool>>,
    /// How long a browser may remember what it was told. Default: 10 minutes.
    pub(in crate::config) max_age: Option<Span>,
}

fn yes() -> bool {
    true
}

/// Where the name of the operation stands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Operation {
    /// The name of a part of the path, `method` for `{method}`.
    pub(in crate::config) path: Option<Placed<String>>,
    /// The name of the parameter in the query and in forms. Default: `cmd`.
    #[serde(default = "command")]
    pub(in crate::config) parameter: String,
    /// Who may do which: the name of a table under `[roles]`.
    #[schemars(example = &"vox")]
    pub(in crate::config) roles: Placed<String>,
}

fn command() -> String {
    "cmd".into()
}

/// Whether WebSocket passes.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum Websocket {
    /// It does, or does not.
    Passes(bool),
    /// It does, for so long.
    For(Tunnels),
}

/// How long tunnels may last.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "true, false or a table")]
pub(in crate::config) struct Tunnels {
    /// With nothing said on either side. Default: 60s.
    pub(in crate::config) idle: Option<Span>,
    /// At all. Default: 12h.
    #[schemars(extend("x-formerly" = "life"))]
    pub(in crate::config) lifetime: Option<Span>,
}

impl<'de> Deserialize<'de> for Websocket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Websocket;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E>(self, passes: bool) -> Result<Websocket, E> {
                Ok(Websocket::Passes(passes))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Websocket, A::Error> {
                Tunnels::deserialize(MapAccessDeserializer::new(map)).map(Websocket::For)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How a public listing is filtered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Wall {
    /// The largest listing that is looked through; a larger one is withheld. Default: 4 MiB.
    pub(in crate::config) max_answer: Option<Size>,
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
