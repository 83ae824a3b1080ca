//! `[upstream.<name>]`, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;
use crate::secret::SecretSource;
use crate::units::Span;

/// Where requests go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Upstream {
    /// Its addresses: `http` or `https`, host and port. At least one.
    #[schemars(example = ["http://10.0.0.5:8000"])]
    pub(in crate::config) endpoints: Placed<Vec<Placed<String>>>,
    /// The `Host` that it gets. Default: `preserve`.
    #[serde(default)]
    pub(in crate::config) host: Host,
    /// The authorities that its certificate is checked against. Default: those of this host.
    pub(in crate::config) ca: Option<Placed<PathBuf>>,
    /// The certificate chain that is presented to it, the own certificate first.
    pub(in crate::config) client_certificate: Option<Placed<PathBuf>>,
    /// The private key of `client_certificate`.
    pub(in crate::config) client_key: Option<Placed<PathBuf>>,
    /// The name or address that its certificate must be for, which is also the name that is asked for (SNI). Default: the
    /// host of each endpoint.
    pub(in crate::config) server_name: Option<Placed<String>>,
    /// Its own credential, for routes with `credential = "translate"`.
    pub(in crate::config) credential: Option<OwnCredential>,
    /// How long it may take.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
    /// Idle connections that a worker keeps for each endpoint. Default: 64.
    pub(in crate::config) idle_connections: Option<usize>,
}

/// The `Host` that an upstream gets.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Host {
    /// The one that the caller sent.
    #[default]
    Preserve,
    /// The one of the endpoint.
    Endpoint,
}

/// The credential that an upstream wants to see.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamCredential")]
pub(in crate::config) struct OwnCredential {
    /// The header field.
    pub(in crate::config) header: Placed<String>,
    /// Its whole value, such as `LKey v3.…` or `Basic …`.
    pub(in crate::config) value: Placed<SecretSource>,
}

/// How long an upstream may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamTimeouts")]
pub(in crate::config) struct Timeouts {
    /// For a connection, with its TLS handshake. Default: 5 s.
    pub(in crate::config) connect: Option<Span>,
    /// From the last byte of the request to the head of the answer. Default: 60 s.
    pub(in crate::config) response: Option<Span>,
    /// Between two pieces of an answer's body. Default: 60 s.
    pub(in crate::config) idle: Option<Span>,
    /// For keeping an unused connection; shorter than the upstream's own. Default: 55 s.
    pub(in crate::config) keep: Option<Span>,
}
