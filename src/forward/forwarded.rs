//! Where a request came from, told to the upstream: `X-Forwarded-For`, `-Proto` and `-Host`, `Forwarded` (RFC 7239) and
//! `Via` (RFC 9110 §7.6.3). What a caller says of itself is replaced; a trusted proxy's word is kept and continued.

use std::net::IpAddr;

use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::edge::connection::Connection;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// What the upstream is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) connection: &'a Connection,
    pub(super) version: Version,
    pub(super) secure: bool,
    /// Whether the connection comes from a trusted proxy, whose fields are kept.
    pub(super) trusted: bool,
}

/// Writes the fields.
pub(super) fn write(headers: &mut HeaderMap, origin: Origin<'_>) {
    let proto = if origin.secure { "https" } else { "http" };
    let host = headers.get(HOST).cloned();
    let peer = origin.connection.peer_header.clone();
    let element = element(origin.connection, host.as_ref());
    if origin.trusted {
        continue_list(headers, X_FORWARDED_FOR, &peer);
        if let Some(element) = &element {
            continue_list(headers, FORWARDED, element);
        }
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
        if let Some(host) = host {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
    } else {
        headers.insert(X_FORWARDED_FOR, peer);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        set(headers, X_FORWARDED_HOST, host);
        set(headers, FORWARDED, element);
    }
    headers.append(VIA, HeaderValue::from_static(via(origin.version)));
}

fn via(received: Version) -> &'static str {
    match received {
        Version::HTTP_2 => "2.0 vidgate",
        Version::HTTP_10 => "1.0 vidgate",
        _ => "1.1 vidgate",
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// Adds to a list field, joining what stood in several lines.
fn continue_list(headers: &mut HeaderMap, name: HeaderName, hop: &HeaderValue) {
    let mut list = Vec::new();
    for value in headers.get_all(&name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(hop.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

/// This hop as an element of `Forwarded`. Most connections name one host for all their requests: the last one is kept.
fn element(connection: &Connection, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    connection.forwarded.recall(host, || {
        let mut element = match connection.peer.ip() {
            IpAddr::V4(v4) => format!("for={v4}"),
            // RFC 7239 §6: an IPv6 address is bracketed, hence quoted.
            IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
        };
        if let Some(host) = host.and_then(|host| host.to_str().ok()) {
            element.push_str(";host=\"");
            element.push_str(host);
            element.push('"');
        }
        element.push_str(if connection.tls.is_some() { ";proto=https" } else { ";proto=http" });
        HeaderValue::try_from(element).ok()
    })
}
