//! Where a request came from, told to the upstream: `X-Forwarded-For`, `-Proto` and `-Host`, `Forwarded` (RFC 7239) and
//! `Via` (RFC 9110 §7.6.3). What a caller says of itself is replaced; a trusted proxy's word is kept and continued.

use std::net::IpAddr;

use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::edge::connection::Connection;
use crate::forward::fields::Fields;

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

/// Whether [`write`] answers for a field that a trusted proxy may send: then it is not passed on as it came.
pub(super) fn continues(name: &HeaderName) -> bool {
    *name == FORWARDED || *name == X_FORWARDED_FOR
}

/// Writes the fields. What an untrusted caller says of them is not passed on; a trusted proxy's `X-Forwarded-Proto` and
/// `-Host` are.
pub(super) fn write(fields: &mut impl Fields, headers: &HeaderMap, host: Option<&HeaderValue>, origin: Origin<'_>) {
    let peer = &origin.connection.peer_header;
    let element = element(origin.connection, host);
    let said = |name: &HeaderName| origin.trusted && headers.contains_key(name);
    if origin.trusted {
        continue_list(fields, headers, &X_FORWARDED_FOR, Some(peer));
        continue_list(fields, headers, &FORWARDED, element.as_ref());
    } else {
        fields.field(&X_FORWARDED_FOR, peer);
        if let Some(element) = &element {
            fields.field(&FORWARDED, element);
        }
    }
    if !said(&X_FORWARDED_PROTO) {
        fields.line(&X_FORWARDED_PROTO, if origin.secure { b"https" } else { b"http" });
    }
    if let Some(host) = host
        && !said(&X_FORWARDED_HOST)
    {
        fields.field(&X_FORWARDED_HOST, host);
    }
    fields.line(&VIA, via(origin.version));
}

fn via(received: Version) -> &'static [u8] {
    match received {
        Version::HTTP_2 => b"2.0 vidgate",
        Version::HTTP_10 => b"1.0 vidgate",
        _ => b"1.1 vidgate",
    }
}

/// Writes a list field with this hop at its end, joining what stood in several lines.
fn continue_list(fields: &mut impl Fields, headers: &HeaderMap, name: &HeaderName, hop: Option<&HeaderValue>) {
    let elements: Vec<_> = headers.get_all(name).iter().chain(hop).map(HeaderValue::as_bytes).collect();
    if !elements.is_empty() {
        fields.line(name, &elements.join(&b", "[..]));
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
