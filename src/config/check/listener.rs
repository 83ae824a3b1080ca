//! `[listener.<name>]`, as meant.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::{plain_name, tls};
use crate::config::file::{self, Named, Placed};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::edge::listener::{Limits, Listener};
use crate::invalid::Invalid;
use crate::units::{Size, Span};

/// The listeners; all of them, if the report has no error.
pub(super) fn listeners(written: &[Named<file::Listener>], source: &Source, report: &mut Report) -> Vec<Listener> {
    let mut taken: Vec<(SocketAddr, Range<usize>)> = Vec::new();
    let mut meant = Vec::new();
    for named in written {
        plain_name(&named.name, &[], report);
        let Some(table) = &named.table else { continue };
        let address = address(&table.address, &mut taken, report);
        let limits = limits(table, report);
        let tls = table.tls.as_ref().map(|written| tls::acceptor(written, source, report));
        if let (Some(address), Some(tls)) = (address, tls.map_or(Some(None), |loaded| loaded.map(Some))) {
            let name = named.name.value.as_str().into();
            meant.push(Listener { name, address, tls, limits, websocket: false });
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
        let invalid = Invalid::new(format!("`{address}` is taken by another listener"));
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
        header: or(timeouts.header, 10),
        idle: or(timeouts.idle, 75),
        body: or(timeouts.body, 30),
        write: or(timeouts.write, 30),
        connections,
        head_bytes: head.bytes(),
        target_bytes: target.bytes(),
    }
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
