//! Connections that come by a balancer below HTTP: what its PROXY header says is where the caller is, from
//! the operator's balancers alone, and from them always.

use std::io::Write;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::log::Log;
use crate::pki::{self, Pki};
use crate::time::{Added, SLACK, timed, timed_at};
use crate::upstream::Upstream;
use crate::wire::Wire;

const TOP: &str = "[networks]\nlocal = [\"127.0.0.1\", \"::1\"]\noffice = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
                   [scheme.office.ip]\nnetworks = [\"office\"]\n";
const LISTENER: &str = "proxy_protocol = [\"local\"]";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 4660 443\r\n";

fn office(listener: &str) -> Added<'_> {
    Added { top: TOP, listener, authenticate: "office", ..Added::default() }
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("it is short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

fn of_the_office() -> Vec<u8> {
    binary(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 1, 187, 4, 0, 1, 0])
}

#[test]
fn the_caller_is_where_the_balancer_says() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, office(LISTENER));
    let six = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0; 4]].concat();
    for (what, header, status, address) in [
        ("version 1", LINE.to_vec(), 200, "192.0.2.1"),
        ("version 1, IPv6", b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(), 200, "2001:db8::1"),
        ("version 1, a mapped address", b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n".to_vec(), 200, "192.0.2.9"),
        ("version 1, elsewhere", b"PROXY TCP4 203.0.113.1 198.51.100.7 1 2\r\n".to_vec(), 403, ""),
        ("version 1, nobody knows whose", b"PROXY UNKNOWN 192.0.2.1\r\n".to_vec(), 403, ""),
        ("version 2", of_the_office(), 200, "192.0.2.1"),
        ("version 2, IPv6", binary(0x21, 0x21, &six), 200, "2001:db8::1"),
        ("version 2, the balancer's own", binary(0x20, 0x11, &of_the_office()[16..]), 403, ""),
        ("version 2, unspecified", binary(0x21, 0, &[]), 403, ""),
        ("version 2, UNIX", binary(0x21, 0x31, &[7; 216]), 403, ""),
    ] {
        let mut wire = gateway.connect();
        assert_eq!(wire.ask([&header[..], GET].concat()).status, status, "{what}");
        // The second request of the connection is the same caller's.
        assert_eq!(wire.ask(GET).status, status, "{what}");
        let seen = upstream.seen();
        if status == 200 {
            let last = seen.last().expect("it was sent");
            assert_eq!(last.header("x-forwarded-for"), Some(address), "{what}");
        }
    }
    assert_eq!(upstream.seen().len(), 10);
}

#[test]
fn a_balancer_that_names_nobody_is_where_its_socket_is() {
    let upstream = Upstream::start();
    let top = TOP.replace("networks = [\"office\"]", "networks = [\"local\"]");
    let gateway = timed(&upstream, Added { top: &top, ..office(LISTENER) });
    for (what, header) in [
        ("version 1", b"PROXY UNKNOWN\r\n".to_vec()),
        ("version 1, with what is to be ignored", b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec()),
        ("version 2, without a word more", binary(0x20, 0, &[])),
        ("version 2, with what is to be ignored", binary(0x20, 0x11, &of_the_office()[16..])),
        ("version 2, about nobody", binary(0x21, 0, &[4, 0, 1, 0])),
    ] {
        let mut wire = gateway.connect();
        // Of the address and not of what the header would say.
        assert_eq!(wire.ask([&header[..], GET].concat()).status, 200, "{what}");
        assert_eq!(upstream.seen().last().expect("it was sent").header("x-forwarded-for"), Some("127.0.0.1"), "{what}");
        // What a balancer does to see whether anybody is there: it connects, says who it is, and leaves.
        let mut probe = gateway.connect();
        probe.send(&header);
        probe.finish();
        assert!(probe.is_closed(), "{what}");
    }
    let elsewhere = gateway.connect().ask([LINE, GET].concat());
    assert_eq!(elsewhere.status, 403, "the office is not here");
}

#[test]
fn it_may_come_in_pieces_and_nothing_behind_it_is_lost() {
    let gateway = timed(&Upstream::start(), office(LISTENER));
    for header in [LINE.to_vec(), of_the_office()] {
        let mut wire = gateway.connect();
        for byte in [&header[..], &GET[..5]].concat() {
            wire.send([byte]);
        }
        gateway.settle("probe");
        assert_eq!(wire.ask(&GET[5..]).status, 200);
    }
}

#[test]
fn a_connection_from_a_balancer_without_a_header_is_closed() {
    let log = Log::shared();
    let upstream = Upstream::start();
    let gateway = timed(&upstream, office(LISTENER));
    for (what, bytes) in [
        ("a request", GET.to_vec()),
        ("TLS", b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03".to_vec()),
        ("a line in lower case", b"proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n".to_vec()),
        ("a line that is none", b"PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\nGET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a line without end", [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat()),
        ("datagrams", binary(0x21, 0x12, &of_the_office()[16..])),
        ("another version", binary(0x31, 0x11, &of_the_office()[16..])),
        ("more than 4 KiB", binary(0x21, 0x11, &[0; 5000])),
        ("two headers", [LINE, LINE, GET].concat()),
    ] {
        let mut wire = gateway.connect();
        wire.send(bytes);
        let rest = wire.rest();
        // The second header is a request that is none.
        let expected = if what == "two headers" { "HTTP/1.1 400 " } else { "" };
        assert!(rest.starts_with(expected.as_bytes()) && rest.is_empty() == expected.is_empty(), "{what}: {rest:?}");
    }
    assert_eq!(upstream.connections(), 0);
    log.await_line(&["no PROXY header", "does not begin with a PROXY header", "listener=\"public\""]);
}

#[test]
fn from_elsewhere_such_bytes_are_no_request() {
    let upstream = Upstream::start();
    for listener in ["", "proxy_protocol = [\"198.51.100.0/24\"]"] {
        let gateway = timed(&upstream, Added { listener, ..Added::default() });
        for header in [LINE.to_vec(), of_the_office()] {
            let mut wire = gateway.connect();
            wire.send([&header[..], GET].concat());
            assert_eq!(wire.last_answer().status, 400, "{listener}");
        }
        assert_eq!(gateway.connect().ask(GET).status, 200, "{listener}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.header("x-forwarded-for") == Some("127.0.0.1")));
}

#[test]
fn a_header_that_does_not_come_ends_with_the_time_for_a_head() {
    let gateway = timed(&Upstream::start(), office(LISTENER));
    for begun in ["", "PROXY TCP4 192.0.2.1", "\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
        let mut wire = gateway.connect();
        wire.send(begun);
        settle(&gateway);
        gateway.pass(std::time::Duration::from_secs(9));
        assert!(wire.is_quiet(), "{begun:?}: not before its time");
        gateway.pass(std::time::Duration::from_secs(1) + SLACK);
        assert!(wire.is_closed(), "{begun:?}");
    }
}

/// Returns once every connection made before has reached the one worker: the last of them was answered.
fn settle(gateway: &crate::house::TestGateway) {
    let answer = gateway.connect().ask([LINE, b"OPTIONS * HTTP/1.1\r\nHost: probe\r\n\r\n"].concat());
    assert_eq!(answer.status, 204);
}

#[test]
fn it_stands_before_tls() {
    let (pki, upstream) = (Pki::new(), Upstream::start());
    pki.issue("a", &["localhost"]);
    let listener = "proxy_protocol = [\"127.0.0.0/8\"]\ntls = { certificate = 'a.pem', key = 'a.key' }";
    let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), office(listener));
    for header in [LINE.to_vec(), of_the_office()] {
        let wire = Wire::connect(gateway.address("public"));
        let mut socket = wire.socket();
        socket.write_all(&header).expect("it can be sent");
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(pki.client(&["http/1.1"])), name).expect("a session");
        let answer = pki::ask(&mut StreamOwned::new(session, socket), "localhost").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(upstream.seen().iter().all(|seen| seen.header("x-forwarded-for") == Some("192.0.2.1")));
    // A handshake without it is none, and neither is a header within it.
    assert!(pki::dial(gateway.address("public"), "localhost", &Arc::new(pki.client(&["http/1.1"]))).is_err());
}

#[test]
fn the_word_of_proxies_is_taken_of_the_address_that_it_names() {
    let upstream = Upstream::start();
    let top = format!("trusted_proxies = [\"198.51.100.1\"]\n{TOP}");
    let gateway = timed(&upstream, Added { top: &top, ..office(LISTENER) });
    for (header, status) in [
        // The balancer's own address is no proxy's, whoever is behind it.
        (&b"PROXY TCP4 203.0.113.1 198.51.100.7 1 2\r\n"[..], 403),
        (b"PROXY TCP4 198.51.100.1 198.51.100.7 1 2\r\n", 200),
        (b"PROXY UNKNOWN\r\n", 403),
    ] {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
        assert_eq!(gateway.connect().ask([header, request].concat()).status, status);
    }
}
