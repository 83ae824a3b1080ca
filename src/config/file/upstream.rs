//! `[upstream.<name>]`, as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;
use crate::forward::policy::{Balance, Sign, WhenAllOut};
use crate::secret::SecretSource;
use crate::units::{Percent, Span};

/// Where requests go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Upstream {
    /// Its addresses: `http` or `https`, host and port. One at least, 64 at most.
    #[schemars(example = ["http://10.0.0.5:8000"])]
    pub(in crate::config) endpoints: Placed<Vec<Placed<Endpoint>>>,
    /// What it speaks. Default: `http/1.1`.
    #[serde(default)]
    pub(in crate::config) protocol: Protocol,
    /// Which endpoint gets a request. Default: `round_robin`.
    #[serde(default)]
    pub(in crate::config) balance: Balance,
    /// The `Host` that it gets: `preserve`, `endpoint`, or `{ name = "…" }`. Default: `preserve`.
    pub(in crate::config) host: Option<Placed<Host>>,
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
    pub(in crate::config) credential: Option<Placed<OwnCredential>>,
    /// How long it may take.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
    /// Idle connections that a worker keeps for each endpoint. Default: 64.
    pub(in crate::config) idle_connections: Option<usize>,
    /// How long the addresses of an endpoint's name are believed before they are looked up again. Default: 30 s.
    pub(in crate::config) resolve: Option<Span>,
    /// How many requests may be under way to all endpoints together, over all workers. Default: any number.
    pub(in crate::config) max_in_flight: Option<Placed<u32>>,
    /// How many requests may be under way to one endpoint, over all workers. Default: any number.
    pub(in crate::config) endpoint_max_in_flight: Option<Placed<u32>>,
    /// Who may wait while as many are under way as may be. Default: nobody; requests are refused (503).
    pub(in crate::config) queue: Option<Placed<Queue>>,
    /// How endpoints are asked whether they are well. Default: not at all.
    pub(in crate::config) health: Option<Health>,
    /// When an endpoint is left alone because requests to it fail. It is tried again with one request after a rest.
    #[serde(default)]
    pub(in crate::config) ejection: Ejection,
    /// What is done while every endpoint is out: `try` them all, or `refuse`. Default: `try`.
    #[serde(default)]
    pub(in crate::config) when_all_out: WhenAllOut,
    /// Which requests are sent once more, to another endpoint where there is one. Default: those alone that were never
    /// sent. With this table: those with GET, HEAD, OPTIONS, PUT and DELETE, without a body or with a small one that was
    /// read whole.
    pub(in crate::config) retry: Option<Retry>,
}

/// One endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a URL such as \"http://10.0.0.5:8000\", or { url = \"…\", weight = 3 }")]
#[schemars(rename = "UpstreamEndpoint")]
pub(in crate::config) enum Endpoint {
    /// Its URL.
    Url(String),
    /// Its URL, and its share.
    Weighted(Weighted),
}

/// An endpoint with a share of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WeightedEndpoint")]
pub(in crate::config) struct Weighted {
    /// `http` or `https`, host and port.
    pub(in crate::config) url: String,
    /// Its share, 1 to 100. Default: 1.
    pub(in crate::config) weight: Option<u32>,
}

impl Endpoint {
    /// Its URL, and its share.
    pub(in crate::config) fn parts(&self) -> (&str, u32) {
        match self {
            Self::Url(url) => (url, 1),
            Self::Weighted(Weighted { url, weight }) => (url, weight.unwrap_or(1)),
        }
    }
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "UpstreamProtocol")]
pub(in crate::config) enum Protocol {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2, for gRPC and for many requests on few connections: over `https` agreed upon in the handshake (ALPN), over
    /// `http` by prior knowledge.
    #[serde(rename = "h2")]
    Http2,
}

/// The `Host` that an upstream gets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "\"preserve\", \"endpoint\" or { name = \"api.internal\" }")]
#[schemars(rename = "UpstreamHost")]
pub(in crate::config) enum Host {
    /// One of two.
    Word(HostWord),
    /// Always this one.
    Named(HostName),
}

/// Where the `Host` comes from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HostWord {
    /// The one that the caller sent.
    Preserve,
    /// The one of the endpoint.
    Endpoint,
}

/// A `Host` of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HostName {
    /// A name, with a port where it has one.
    #[schemars(example = "api.internal")]
    pub(in crate::config) name: String,
}

/// Who may wait for a place at an upstream: first come, first served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamQueue")]
pub(in crate::config) struct Queue {
    /// How many requests, over all workers. Default: 100.
    pub(in crate::config) length: Option<Placed<usize>>,
    /// How long each of them. Default: 1 s.
    pub(in crate::config) wait: Option<Span>,
}

/// How an endpoint is asked whether it is well: a GET every so often, from the control thread.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamHealth")]
pub(in crate::config) struct Health {
    /// The path, with a query where it has one.
    #[schemars(example = "/healthz")]
    pub(in crate::config) path: Placed<String>,
    /// The `Host` of the question. Default: the upstream's `host`, if that is a name, else that of the endpoint.
    pub(in crate::config) host: Option<Placed<String>>,
    /// How often, give or take a tenth. Default: 5 s.
    pub(in crate::config) interval: Option<Span>,
    /// How long an answer may take, with its connection. Default: 2 s.
    pub(in crate::config) timeout: Option<Span>,
    /// After so many good answers in a row an endpoint is used again. Default: 2.
    pub(in crate::config) healthy: Option<Placed<u32>>,
    /// After so many bad ones it is not used. Default: 3.
    pub(in crate::config) unhealthy: Option<Placed<u32>>,
    /// The statuses of a good answer, `204` or `200-299`. Default: 200-299.
    #[schemars(example = "200-299")]
    pub(in crate::config) status: Option<Placed<String>>,
}

/// When an endpoint is left alone because requests to it fail, and how it comes back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamEjection")]
pub(in crate::config) struct Ejection {
    /// After so many failures in a row. An endpoint that cannot be connected to is left alone at once. Default: 5.
    pub(in crate::config) failures: Option<Placed<u32>>,
    /// Which lie within so long. Default: 10 s.
    pub(in crate::config) window: Option<Span>,
    /// For so long the first time; each further time doubles it. Default: 1 s.
    pub(in crate::config) rest: Option<Span>,
    /// For so long at most. Default: 30 s.
    pub(in crate::config) longest: Option<Placed<Span>>,
    /// How long it takes until an endpoint that came back has its whole share again. Default: 10 s.
    pub(in crate::config) slow_return: Option<Span>,
    /// The most endpoints that may be out at a time; those that cannot be connected to are out in any case. Default: 50%.
    pub(in crate::config) most: Option<Percent>,
    /// What a failure is. Default: `timeout` and `reset`; with an empty list, no connection alone.
    pub(in crate::config) on: Option<Vec<Sign>>,
}

/// Which requests are sent once more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamRetry")]
pub(in crate::config) struct Retry {
    /// How many retries there may be for so many requests. Default: 20%.
    pub(in crate::config) budget: Option<Percent>,
    /// How often one request is sent at most, the first time included; 2 to 10. Default: 2.
    pub(in crate::config) attempts: Option<Placed<u32>>,
    /// After which failures. Default: `reset`, `502`, `503` and `504`.
    pub(in crate::config) on: Option<Placed<Vec<Sign>>>,
}

/// The credential that an upstream wants to see: `value`, `basic`, `jwt` or `from`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamCredential")]
pub(in crate::config) struct OwnCredential {
    /// The header field. Default: `Authorization`; with `value` it must be said.
    pub(in crate::config) header: Option<Placed<String>>,
    /// The whole value of the field, such as `LKey v3.…`, whoever asks.
    pub(in crate::config) value: Option<Placed<SecretSource>>,
    /// A name and a password (RFC 7617), whoever asks.
    pub(in crate::config) basic: Option<Placed<OwnBasic>>,
    /// A token (JWT) that is minted for each caller.
    pub(in crate::config) jwt: Option<Placed<OwnToken>>,
    /// Where it comes from: `account` is the `upstream_credential` of the caller's account, and a caller whose account has
    /// none is refused.
    pub(in crate::config) from: Option<From>,
    /// With `from`: what stands before it, such as `Bearer `. Default: nothing.
    pub(in crate::config) prefix: Option<Placed<String>>,
}

/// Where an upstream's credential comes from.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UpstreamCredentialFrom")]
pub(in crate::config) enum From {
    /// The caller's account.
    Account,
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamBasic")]
pub(in crate::config) struct OwnBasic {
    /// The name.
    pub(in crate::config) user: Placed<String>,
    /// The password.
    pub(in crate::config) password: Placed<SecretSource>,
}

/// A token that is minted for each caller, as `Bearer` and with `iat` and `exp`. A worker signs once for each caller in half
/// a lifetime.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamToken")]
pub(in crate::config) struct OwnToken {
    /// The private key, PEM; for HS256 the key itself, 32 bytes or more.
    pub(in crate::config) key: Placed<SecretSource>,
    /// How it is signed. ES256, `EdDSA` and HS256 cost a worker the least.
    pub(in crate::config) algorithm: Signing,
    /// `kid`: which key it is. Default: it is not said.
    pub(in crate::config) key_id: Option<String>,
    /// `iss`: who has minted it. Default: it is not said.
    pub(in crate::config) issuer: Option<String>,
    /// `aud`: who it is for. Default: it is not said.
    pub(in crate::config) audience: Option<String>,
    /// How long it is good, 10 seconds to a day. Default: 5 min.
    pub(in crate::config) lifetime: Option<Placed<Span>>,
    /// What it says of the caller: names of claims, and what they hold. Default: `sub` is the subject.
    pub(in crate::config) claims: Option<Placed<BTreeMap<String, OwnClaim>>>,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "UpstreamTokenAlgorithm")]
pub(in crate::config) enum Signing {
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA over P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
}

/// What a claim holds; one that there is nothing to say of is left out.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UpstreamTokenClaim")]
pub(in crate::config) enum OwnClaim {
    /// Who speaks, as in `X-Vidgate-Subject`.
    Subject,
    /// The account that they speak for.
    Account,
    /// The scheme that proved them.
    Scheme,
    /// What they may do, where that is limited: words with spaces between.
    Scopes,
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
    pub(in crate::config) body: Option<Span>,
    /// For keeping an unused connection; shorter than the upstream's own. Default: 55 s.
    #[schemars(extend("x-formerly" = "keep"))]
    pub(in crate::config) idle: Option<Span>,
}
