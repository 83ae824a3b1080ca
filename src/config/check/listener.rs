//! `[listener.<name>]`, as meant.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use http::HeaderValue;

use super::networks::Networks;
use super::{decide, plain_name, tls};
use crate::config::file::{self, Named, Placed, Protocol};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::http_versions::{Http2, HttpVersions};
use crate::edge::listener::{Limits, Listener};
use crate::invalid::Invalid;
use crate::units::{Size, Span};

/// The listeners; all of them, if the report has no error.
pub(super) fn listeners(
    written: &[Named<file::Listener>],
    networks: &Networks<'_>,
    source: &Source,
    report: &mut Report,
) -> Vec<Listener> {
    let mut taken: Vec<(SocketAddr, Range<usize>)> = Vec::new();
    let mut meant = Vec::new();
    for named in written {
        plain_name(&named.name, &[], report);
        let Some(table) = &named.table else { continue };
        let address = address(&table.address, &mut taken, report);
        let limits = limits(table, report);
        let proxy_protocol = networks.proxies(&table.proxy_protocol, report);
        let (versions, hsts) = (versions(table, report), hsts(table, report));
        let decide = table.decide.as_ref().map(|written| Box::new(decide::decide(&written.value, networks, report)));
        let label = format!("listener {}", named.name.value);
        let tls = table.tls.as_ref().map(|written| tls::keeper(&label, written, versions, source, report));
        if let (Some(address), Some(tls)) = (address, tls.map_or(Some(None), |loaded| loaded.map(Some))) {
            let name = named.name.value.as_str().into();
            let websocket = false;
            meant.push(Listener { name, address, tls, limits, proxy_protocol, versions, hsts, websocket, decide });
        }
    }
    meant
}

fn address(
    written: &Placed<String>,
    taken: &mut Vec<(SocketAddr, Range<usize>)>,
    report: &mut Report,
) -> Option<SocketAddr> {
    let Ok(address) = written.value.parse::<SocketAddr>() else {
        let invalid = Invalid::new(format!("`{}` is not an address with a port", written.value))
            .hint("for example: 127.0.0.1:8080, 0.0.0.0:8443 or [::]:8443");
        report.error(written.place.clone(), invalid);
        return None;
    };
    if let Some((_, first)) = taken.iter().find(|(other, _)| overlap(*other, address)) {
        let invalid = Invalid::new(format!("`{address}` is taken by another listener"))
            .hint("give each listener a port of its own, or an address that the other does not cover");
        report.conflict(written.place.clone(), invalid, first.clone(), "this one");
    }
    taken.push((address, written.place.clone()));
    Some(address)
}

/// Whether the operating system would refuse to bind both. Port 0 is a new port each time.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // `[::]` takes IPv4 as well: listeners are dual stack.
    let covers = |all: IpAddr, some: IpAddr| all.is_unspecified() && (all.is_ipv6() || some.is_ipv4());
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

fn limits(table: &file::Listener, report: &mut Report) -> Limits {
    let or = |span: Option<Span>, default: u64| span.unwrap_or(Span::seconds(default)).0;
    let timeouts = &table.timeouts;
    let connections = table.max_connections.as_ref().map_or(10_000, |most| most.value);
    if let Some(most) = table.max_connections.as_ref().filter(|most| most.value == 0) {
        report.error(most.place.clone(), Invalid::new("a listener takes at least one connection"));
    }
    // hyper reads into no less than 8 KiB.
    let head = size(table.max_head.as_ref(), Size::kib(32), Size::kib(8), Size::kib(1024), report);
    let target = size(table.max_target.as_ref(), Size::kib(8), Size(256), head, report);
    Limits {
        handshake: or(timeouts.handshake, 10),
        head: or(timeouts.head, 10),
        idle: or(timeouts.idle, 75),
        body: or(timeouts.body, 30),
        write: or(timeouts.write, 30),
        age: timeouts.age.map(|age| age.0),
        http2: table.http2.as_ref().map_or(Http2::DEFAULT, |written| http2(&written.value, report)),
        connections,
        head_bytes: head.bytes(),
        target_bytes: target.bytes(),
    }
}

/// What is spoken; says so where that would be nothing, or settings are for what is not.
fn versions(table: &file::Listener, report: &mut Report) -> HttpVersions {
    let default = if table.tls.is_some() { HttpVersions::default() } else { HttpVersions::ONE };
    let versions = table.protocols.as_ref().map_or(default, |written| {
        let has = |protocol| written.value.contains(&protocol);
        if written.value.is_empty() {
            report.error(written.place.clone(), Invalid::new("a listener speaks at least one version of HTTP"));
        }
        HttpVersions { one: has(Protocol::Http1), two: has(Protocol::Http2) }
    });
    if let (Some(http2), false) = (&table.http2, versions.two) {
        let invalid = Invalid::new("HTTP/2 is not spoken here, so that nothing of this holds")
            .hint("leave it out, or write protocols = [\"http/1.1\", \"h2\"]");
        report.find(&rules::IN_VAIN, http2.place.clone(), invalid);
    }
    versions
}

/// What is borne of HTTP/2.
fn http2(table: &file::Http2, report: &mut Report) -> Http2 {
    let mut count = |written: &Option<Placed<u32>>, default: u32, least: u32, most: u32| {
        let Some(written) = written else { return default };
        if !(least..=most).contains(&written.value) {
            report.error(written.place.clone(), Invalid::new(format!("this is {least} to {most}")));
        }
        written.value
    };
    let usual = Http2::DEFAULT;
    let resets = |resets: usize| u32::try_from(resets).unwrap_or(u32::MAX);
    let pending = count(&table.pending_resets, resets(usual.pending_resets), 1, 10_000);
    let local = count(&table.local_resets, resets(usual.local_resets), 1, 10_000);
    Http2 {
        streams: count(&table.streams, usual.streams, 1, 10_000),
        pending_resets: usize::try_from(pending).unwrap_or(usize::MAX),
        local_resets: usize::try_from(local).unwrap_or(usize::MAX),
        control_frames: count(&table.control_frames, usual.control_frames, 10, 1_000_000),
    }
}

/// The value of `Strict-Transport-Security`. Over plain text nothing may be said (RFC 6797 §7.2).
fn hsts(table: &file::Listener, report: &mut Report) -> Option<HeaderValue> {
    let written = table.hsts.as_ref()?;
    if table.tls.is_none() {
        let invalid = Invalid::new("without TLS, nothing is said of this")
            .hint("leave it out, or set it on the listener that has `tls`");
        report.error(written.place.clone(), invalid);
    }
    HeaderValue::try_from(format!("max-age={}", written.value.0.as_secs().max(1))).ok()
}

fn size(written: Option<&Placed<Size>>, default: Size, least: Size, most: Size, report: &mut Report) -> Size {
    let Some(written) = written else { return default.min(most) };
    if written.value < least || written.value > most {
        let invalid = Invalid::new(format!("this is {} to {} bytes", least.0, most.0));
        report.error(written.place.clone(), invalid);
    }
    written.value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_listeners_overlap_where_the_operating_system_says_so() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (first, second) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((overlap(first, second), overlap(second, first)), (expected, expected), "{one} and {other}");
        }
    }
}
