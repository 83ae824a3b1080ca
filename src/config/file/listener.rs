//! `[listener.<name>]`, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::networks::NetworkOrName;
use super::placed::{Placed, Worded};
use crate::units::{Size, Span};

/// Where requests come in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Listener {
    /// The address and port to bind. `0.0.0.0` is every IPv4 address of the host, `[::]` also every IPv6 address; port 0
    /// is any free port.
    #[schemars(example = "127.0.0.1:8080")]
    pub(in crate::config) address: Placed<String>,
    /// TLS. Without it, the listener speaks plain HTTP.
    pub(in crate::config) tls: Option<Placed<Tls>>,
    /// Networks of balancers, or their names, from which every connection begins with a PROXY header (version 1 or 2) that
    /// says whose it is; from there, a connection without one is closed. Default: none, and such a header is no request.
    #[serde(default)]
    pub(in crate::config) proxy_protocol: Vec<Placed<NetworkOrName>>,
    /// How refusals are worded before a route is known. Default: `problem`.
    #[serde(default)]
    pub(in crate::config) dialect: Worded,
    /// Connections at once; further ones wait. Default: 10000.
    pub(in crate::config) max_connections: Option<Placed<usize>>,
    /// The largest head of a request. Default: 32 KiB.
    pub(in crate::config) max_head: Option<Placed<Size>>,
    /// The longest target (path and query) of a request. Default: 8 KiB.
    pub(in crate::config) max_target: Option<Placed<Size>>,
    /// How long a caller may take.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
    /// The versions of HTTP that are spoken. Default: both over TLS; in plain text `http/1.1` alone, since `h2` is spoken
    /// there only by callers who know of it beforehand.
    pub(in crate::config) protocols: Option<Placed<Vec<Protocol>>>,
    /// What is borne of one connection in HTTP/2.
    pub(in crate::config) http2: Option<Placed<Http2>>,
    /// For how long browsers shall come over TLS alone (`Strict-Transport-Security`), said in every answer over TLS.
    /// Default: nothing is said.
    #[schemars(example = "365d")]
    pub(in crate::config) hsts: Option<Placed<Span>>,
    /// Has the listener decide for other proxies and forward nothing: nginx (`auth_request`), Traefik (`forwardAuth`), Caddy
    /// (`forward_auth`) and Envoy (`ext_authz`) ask here whether a request may pass. The answer is 200 with what its upstream
    /// is to get, or the refusal.
    pub(in crate::config) decide: Option<Placed<Decide>>,
}

/// Whom a listener decides for, and how they ask.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Decide {
    /// Networks of the proxies that ask, or their names. What they say of a request, its caller's address included, is
    /// believed; anyone else is refused before anything is looked at.
    pub(in crate::config) from: Placed<Vec<Placed<NetworkOrName>>>,
    /// How they say what they ask about. Each of its parts must be said exactly once, by the proxy and not by its caller.
    #[serde(rename = "as")]
    pub(in crate::config) reads: Convention,
    /// Whether the proxy sends the request to the target that the answer names (`X-Vidgate-Target`). Default: false, and a
    /// path that is not written in its canonical form is refused, since the proxy would send it as it came.
    pub(in crate::config) rewrites: Option<Placed<bool>>,
}

/// How a proxy says what it asks about. All say `X-Forwarded-For` and `X-Forwarded-Proto` as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Convention {
    /// Traefik and Caddy: `X-Forwarded-Method`, `X-Forwarded-Host` and `X-Forwarded-Uri`.
    Forwarded,
    /// nginx: `X-Original-Method`, `X-Forwarded-Host` and `X-Original-URI`. Since it knows no other refusals than 401 and 403,
    /// the status and the body that its caller should see stand in `X-Vidgate-Status` and `X-Vidgate-Body`.
    Original,
    /// Envoy: the check's own method, host and target.
    Envoy,
}

/// A version of HTTP, by its name in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::config) enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2.
    #[serde(rename = "h2")]
    Http2,
}

/// What is borne of one connection in HTTP/2. The largest head is `max_head`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Http2 {
    /// Requests at once. Default: 128.
    #[serde(rename = "max_streams")]
    pub(in crate::config) streams: Option<Placed<u32>>,
    /// Requests that were taken back before they were looked at; beyond, the connection ends. Default: 20.
    #[serde(rename = "max_pending_resets")]
    pub(in crate::config) pending_resets: Option<Placed<u32>>,
    /// Streams that had to be reset because of what the caller sent; beyond, the connection ends. Default: 256.
    #[serde(rename = "max_local_resets")]
    pub(in crate::config) local_resets: Option<Placed<u32>>,
    /// Frames a second that carry nothing of a request (PING, SETTINGS, `WINDOW_UPDATE`, empty DATA and the like), five times
    /// as many at once, and two more for each frame of an answer; beyond, the connection ends. Default: 200.
    #[serde(rename = "max_control_frames")]
    pub(in crate::config) control_frames: Option<Placed<u32>>,
}

/// Certificates and keys, PEM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Tls {
    /// The certificate chain, the server's own first.
    pub(in crate::config) certificate: Placed<PathBuf>,
    /// Its private key.
    pub(in crate::config) key: Placed<PathBuf>,
    /// Authorities of client certificates. With it, callers are asked for a certificate. A handshake without one, or with
    /// a bad one, is accepted: the `mtls` schemes of the routes refuse the request.
    pub(in crate::config) client_ca: Option<Placed<PathBuf>>,
    /// Revocation lists of these authorities, one or more. With it, a certificate is refused that is on a list, that no
    /// list speaks of, or whose list has expired.
    pub(in crate::config) client_crl: Option<Placed<PathBuf>>,
    /// Whether callers are asked for a certificate. Default: where there is a `client_ca`. Without one, only certificates
    /// are believed that are known by themselves: `pinned` ones, and those on file by their digest.
    pub(in crate::config) client_certificates: Option<Placed<bool>>,
    /// Further names and addresses that the listener is called by, besides those in its certificates and the address of
    /// the socket. Where callers are asked for a certificate, a request for any other host is refused (421).
    #[serde(default)]
    pub(in crate::config) names: Vec<Placed<String>>,
    /// Further certificates, chosen by the name that the caller asks for.
    #[serde(default)]
    pub(in crate::config) more: Vec<KeyPair>,
    /// The oldest version of TLS that is spoken. Default: `1.2`.
    pub(in crate::config) min_version: Option<Placed<Version>>,
    /// The cipher suites that are spoken, by their names in the registry of IANA. Default: all that are still good.
    #[schemars(example = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"])]
    pub(in crate::config) cipher_suites: Option<Placed<Vec<Placed<String>>>>,
    /// Whether callers may resume a session, with tickets. Default: true; never where callers are asked for a certificate.
    pub(in crate::config) session_resumption: Option<Placed<bool>>,
}

/// A version of TLS. Older ones are never spoken.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "TlsVersion")]
pub(in crate::config) enum Version {
    /// TLS 1.2 and 1.3.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 alone.
    #[serde(rename = "1.3")]
    Tls13,
}

/// A certificate chain with its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct KeyPair {
    /// The certificate chain, the server's own first.
    pub(in crate::config) certificate: Placed<PathBuf>,
    /// Its private key.
    pub(in crate::config) key: Placed<PathBuf>,
}

/// How long a caller may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "ListenerTimeouts")]
pub(in crate::config) struct Timeouts {
    /// For the TLS handshake. Default: 10 s.
    pub(in crate::config) handshake: Option<Span>,
    /// For the head of a request. Default: 10 s.
    #[schemars(extend("x-formerly" = "header"))]
    pub(in crate::config) head: Option<Span>,
    /// Between two requests on one connection. Default: 75 s.
    pub(in crate::config) idle: Option<Span>,
    /// Between two pieces of a request's body. Default: 30 s.
    pub(in crate::config) body: Option<Span>,
    /// For a whole connection: then it is asked to leave, with what is in flight on it. Default: no end.
    pub(in crate::config) age: Option<Span>,
    /// For taking what is written to it. Default: 30 s.
    pub(in crate::config) write: Option<Span>,
}
