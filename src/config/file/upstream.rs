//! `[upstream.<name>]`, as written.

use std::collections::BTreeMap;
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
    /// What it speaks. Default: `http/1.1`.
    #[serde(default)]
    pub(in crate::config) protocol: Protocol,
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
    pub(in crate::config) credential: Option<Placed<OwnCredential>>,
    /// How long it may take.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
    /// Idle connections that a worker keeps for each endpoint. Default: 64.
    pub(in crate::config) idle_connections: Option<usize>,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Host {
    /// The one that the caller sent.
    #[default]
    Preserve,
    /// The one of the endpoint.
    Endpoint,
}

/// The credential that an upstream wants to see: `value`, `basic`, `jwt` or `from`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "UpstreamCredential")]
pub(in crate::config) struct OwnCredential {
    /// The header field. Default, but with `value`: `Authorization`.
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
    /// How it is signed. ES256, EdDSA and HS256 cost a worker the least.
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
    pub(in crate::config) idle: Option<Span>,
    /// For keeping an unused connection; shorter than the upstream's own. Default: 55 s.
    pub(in crate::config) keep: Option<Span>,
}
