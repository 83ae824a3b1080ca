//! What is known of an upstream: where it is, how long it may take, and which credential of its own it wants to see.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::forward::credential::Own;

use crate::forward::names::Lookup;
use crate::forward::policy::Policy;

/// A position in the list of upstreams of the World.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamId(pub usize);

/// One upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Where it is; at least one.
    pub endpoints: Vec<Endpoint>,
    /// What it speaks.
    pub protocol: Protocol,
    /// What `Host` it gets.
    pub host: HostPolicy,
    /// The credential put in the place of the caller's where a route says `credential = "translate"`.
    pub credential: Option<Own>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// How many idle connections a worker keeps for each endpoint.
    pub idle_connections: usize,
    /// TLS towards it, where an endpoint is `https`.
    pub tls: Option<Arc<super::tls::Trust>>,
    /// How its endpoints are used.
    pub policy: Arc<Policy>,
    /// Who is asked for the addresses of their names.
    pub lookup: Lookup,
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its name or address, an IPv6 address without its brackets.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Host and port as a `Host` field.
    pub authority: HeaderValue,
}

impl Endpoint {
    /// Host and port, which `authority` leaves out where it is the scheme's own.
    pub(super) fn socket(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// What it is known by: `http://10.0.0.5:8000`, always with its port.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.socket())
    }
}

/// What an upstream speaks. Which of the two is never found out by asking: nothing is upgraded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: in clear by prior knowledge, over TLS by ALPN.
    Http2,
}

/// What `Host` an upstream gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// The one the caller sent.
    Preserve,
    /// The name of the endpoint.
    Endpoint,
    /// Always this one.
    Named(HeaderValue),
}

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, with its TLS handshake.
    pub connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub response: Duration,
    /// Between two pieces of an answer's body.
    pub body: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

/// What becomes of the caller's credential on the way upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialPolicy {
    /// It is taken out: the upstream trusts the identity headers.
    Remove,
    /// It stays: the upstream checks for itself.
    Keep,
    /// It is taken out, and the upstream's own is put in its place.
    Translate,
}
