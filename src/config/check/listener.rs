//! `[listener.<name>]`, as meant.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use super::plain_name;
use crate::config::file::{self, KeyPair, Named, Placed, Tls};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::edge::listener::{Limits, Listener};
use crate::edge::tls::{Acceptor, Files};
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
        let tls = table.tls.as_ref().map(|tls| acceptor(tls, source, report));
        if let (Some(address), Some(tls)) = (address, tls.map_or(Some(None), |loaded| loaded.map(Some))) {
            let name = named.name.value.as_str().into();
            meant.push(Listener { name, address, tls, limits });
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

fn acceptor(tls: &Placed<Tls>, source: &Source, report: &mut Report) -> Option<Arc<Acceptor>> {
    let (place, tls) = (&tls.place, &tls.value);
    let errors = report.errors();
    if let (Some(crl), None) = (&tls.client_crl, &tls.client_ca) {
        let invalid = Invalid::new("revoked client certificates need `client_ca`: nobody asks for a certificate here");
        report.error(crl.place.clone(), invalid);
    }
    if let Some(authorities) = &tls.client_ca {
        let invalid =
            Invalid::new("callers are asked for a certificate, but nothing here refuses those without a good one")
                .hint("no scheme judges client certificates yet: let other schemes guard the routes of this listener");
        report.warn(authorities.place.clone(), invalid);
    }
    let first = KeyPair { certificate: tls.certificate.clone(), key: tls.key.clone() };
    let pairs: Vec<&KeyPair> = [&first].into_iter().chain(&tls.more).collect();
    let public = pairs.iter().map(|pair| &pair.certificate).chain(&tls.client_ca).chain(&tls.client_crl);
    for file in public.chain(pairs.iter().map(|pair| &pair.key)) {
        if let Err(invalid) = source.file(&file.value) {
            report.error(file.place.clone(), invalid);
        }
    }
    if report.errors() > errors {
        return None;
    }
    for pair in &pairs {
        if let Some(exposed) = source.exposure(&pair.key.value) {
            report.warn(pair.key.place.clone(), exposed);
        }
    }
    let path = |written: &Placed<std::path::PathBuf>| source.path(&written.value);
    let files = Files {
        certificates: pairs.iter().map(|pair| (path(&pair.certificate), path(&pair.key))).collect(),
        client_ca: tls.client_ca.as_ref().map(path),
        client_crl: tls.client_crl.as_ref().map(path),
    };
    match Acceptor::load(&files) {
        Ok(acceptor) => Some(Arc::new(acceptor)),
        Err(mistakes) => {
            for invalid in mistakes {
                report.error(place.clone(), invalid);
            }
            None
        }
    }
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
