//! What a room may see of a request: its head, read in one way only. No body, and no way to answer.

use std::borrow::Cow;
use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method};

use crate::edge::client_ip::{self, TrustedProxies, Witness};
use crate::edge::connection::Connection;
use crate::edge::{guard, path};
use crate::refusal::Refusal;

/// The head of one request, after the guard has let it in.
#[derive(Debug)]
pub struct Head<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    host: &'a str,
    path: Cow<'a, str>,
    query: Option<&'a str>,
    connection: &'a Connection,
    client_ip: IpAddr,
    secure: bool,
}

impl<'a> Head<'a> {
    /// Reads the head; refuses what could be read in more than one way, and a target over `target_bytes`.
    pub fn new(
        parts: &'a Parts,
        connection: &'a Connection,
        proxies: &TrustedProxies,
        target_bytes: usize,
    ) -> Result<Self, Refusal> {
        Self::before(parts, connection, proxies, target_bytes, &mut ())
    }

    /// The same before a witness of how the caller's address is derived.
    pub fn before(
        parts: &'a Parts,
        connection: &'a Connection,
        proxies: &TrustedProxies,
        target_bytes: usize,
        witness: &mut impl Witness,
    ) -> Result<Self, Refusal> {
        guard::target_fits(parts, target_bytes)?;
        let host = guard::inspect(parts, connection)?;
        let path = path::canonical(parts.uri.path())?;
        let client_ip = client_ip::derive(connection.peer.ip(), &parts.headers, proxies, witness);
        let secure = client_ip::secure(connection, &parts.headers, proxies);
        Ok(Self {
            method: &parts.method,
            headers: &parts.headers,
            host,
            path,
            query: parts.uri.query(),
            connection,
            client_ip,
            secure,
        })
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The header fields as received.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The host that the request is for, without its port, as received: compare it without regard to case.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The one canonical path: what is matched, ruled on and sent upstream.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Hands over the canonical path where it differs from the one received.
    pub fn into_rewritten_path(self) -> Option<String> {
        match self.path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path),
        }
    }

    /// The query as received, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The connection it came by.
    pub fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// The address of the caller: the socket's, or the word of a trusted proxy.
    pub fn client_ip(&self) -> IpAddr {
        self.client_ip
    }

    /// Whether the caller spoke TLS, to us or to a trusted proxy.
    pub fn secure(&self) -> bool {
        self.secure
    }
}
