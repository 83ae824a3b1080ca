//! Where a request ends: whatever two readers could see differently is refused, the connection is closed behind it, and
//! no byte of a body is ever taken for a request (RFC 9112 §6.3 and §11.2).

use std::io::Read;
use std::sync::mpsc;

use crate::house::{TestGateway, open};
use crate::patience::PATIENCE;
use crate::stranger::Face::{Bare, Problem};
use crate::stranger::House;
use crate::upstream::{Upstream, read_request};

/// A request that must never be executed.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_content_length_that_can_be_read_in_two_ways_is_refused() {
    let house = House::open();
    for (fields, face) in [
        ("Content-Length: 5\r\nContent-Length: 6", Bare),
        ("Content-Length: 6\r\nContent-Length: 5", Bare),
        ("Content-Length: 5, 5", Bare),
        ("Content-Length: 5, 6", Bare),
        ("Content-Length: -5", Bare),
        ("Content-Length: +5", Bare),
        ("Content-Length: 0x5", Bare),
        ("Content-Length: 5 5", Bare),
        ("Content-Length: 5.0", Bare),
        ("Content-Length: 5e0", Bare),
        ("Content-Length: five", Bare),
        ("Content-Length: \u{665}", Bare),
        ("Content-Length:", Bare),
        ("Content-Length: 9223372036854775808", Problem),
        ("Content-Length: 18446744073709551616", Bare),
        ("Content-Length: 99999999999999999999999999", Bare),
        ("Content-Length : 5", Bare),
        ("Content_Length: 5", Problem),
        (" Content-Length: 5", Bare),
    ] {
        let raw = format!("POST /case HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{SMUGGLED}");
        house.refuses(fields, raw, 400, face);
    }
}

#[test]
fn the_same_length_twice_is_one_length() {
    // RFC 9110 §8.6 allows this reading: hyper has merged the two before we can see them, and one goes upstream.
    let house = House::open();
    let raw = "POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(house.send(raw).answer().status, 200);
    let received = house.upstream.only();
    assert_eq!((received.body.as_slice(), received.header("content-length")), (&b"hello"[..], Some("5")));
}

#[test]
fn a_transfer_coding_other_than_one_chunked_is_refused() {
    let house = House::open();
    for (fields, face) in [
        ("Transfer-Encoding: gzip, chunked", Problem),
        ("Transfer-Encoding: identity, chunked", Problem),
        ("Transfer-Encoding: chunked, chunked", Problem),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Problem),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", Problem),
        ("Transfer-Encoding: chunked, identity", Bare),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Bare),
        ("Transfer-Encoding: gzip", Bare),
        ("Transfer-Encoding: identity", Bare),
        ("Transfer-Encoding: xchunked", Bare),
        ("Transfer-Encoding: chunkedx", Bare),
        ("Transfer-Encoding: \"chunked\"", Bare),
        ("Transfer-Encoding: chunked;a=b", Bare),
        ("Transfer-Encoding: , chunked", Problem),
        ("Transfer-Encoding: \u{b}chunked", Bare),
        ("Transfer-Encoding:", Bare),
        ("Transfer-Encoding : chunked", Bare),
        ("Transfer_Encoding: chunked", Problem),
        ("Transfer-Encoding:\r\n chunked", Bare),
        ("X: y\rTransfer-Encoding: chunked", Bare),
    ] {
        let raw = format!("POST /case HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n{SMUGGLED}");
        house.refuses(fields, raw, 400, face);
    }
    let raw = format!("POST /case HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
    house.refuses("HTTP/1.0", raw, 400, Bare);
}

#[test]
fn a_length_beside_chunks_counts_for_nothing_and_ends_the_connection() {
    for fields in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let house = House::open();
        let mut wire =
            house.send(format!("POST /case HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"));
        assert_eq!(wire.last_answer().status, 200, "{fields}");
        let received = house.upstream.only();
        assert_eq!((received.body.as_slice(), received.header("content-length")), (&b"hello"[..], None), "{fields}");
    }
}

#[test]
fn a_chunk_that_can_be_read_in_two_ways_ends_the_request() {
    for (what, body) in [
        ("a size that is no number", "x\r\nhello\r\n0\r\n\r\n"),
        ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("a size of 2^64 and five", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        ("a bare CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        ("a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("more than announced", "5\r\nhello!\r\n0\r\n\r\n"),
        ("a bare LF behind the chunk", "5\r\nhello\n0\r\n\r\n"),
        ("an underscore", "5_0\r\nhello\r\n0\r\n\r\n"),
    ] {
        let house = House::open();
        let mut wire =
            house.send(format!("POST /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"));
        let answer = wire.last_answer();
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        let after = house.gateway.connect().ask("GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(after.status, 200, "{what}");
        assert_eq!(house.upstream.only().target, "/after", "{what}");
    }
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let house = House::open();
    let hello: &[u8] = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 a TLS handshake on a plain listener\r\n\r\n";
    let proxy = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /case HTTP/1.1\r\nHost: a\r\n\r\n";
    let proxy_two =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, raw) in [
        ("TLS", hello),
        ("the PROXY protocol", &proxy[..]),
        ("the PROXY protocol, version 2", &proxy_two[..]),
        ("HTTP/0.9", b"GET /case\r\n\r\n"),
        ("HTTP/0.9 by name", b"GET /case HTTP/0.9\r\nHost: a\r\n\r\n"),
        ("HTTP/1.2", b"GET /case HTTP/1.2\r\nHost: a\r\n\r\n"),
        ("HTTP/3.0", b"GET /case HTTP/3.0\r\nHost: a\r\n\r\n"),
        ("http/1.1", b"GET /case http/1.1\r\nHost: a\r\n\r\n"),
        ("two spaces", b"GET  /case HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a tab", b"GET\t/case HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a space behind the version", b"GET /case HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ("a bare CR", b"GET /case HTTP/1.1\rHost: a\r\n\r\n"),
        ("a folded field", b"GET /case HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
        ("a field folded at once", b"GET /case HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"),
        ("a space before the colon", b"GET /case HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
        ("no name", b"GET /case HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"),
        ("no colon", b"GET /case HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        ("a NUL in a name", b"GET /case HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n"),
        ("an octet over 127 in a name", b"GET /case HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n"),
        ("a NUL in a value", b"GET /case HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n"),
        ("a bell in a value", b"GET /case HTTP/1.1\r\nHost: a\r\nX: y\x07z\r\n\r\n"),
        ("a DEL in a value", b"GET /case HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n"),
        ("a bare CR in a value", b"GET /case HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n"),
        ("a NUL in the target", b"GET /ca\0se HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an escape in the target", b"GET /ca\x1bse HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a control in the method", b"G\x01ET /case HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a control in Authorization", b"GET /case HTTP/1.1\r\nHost: a\r\nAuthorization: LKey a\x01b\r\n\r\n"),
    ] {
        house.refuses(what, raw, 400, Bare);
    }
}

#[test]
fn line_feeds_alone_end_lines_and_go_no_further() {
    // RFC 9112 §2.2 lets a reader take them; the strict upstream of this test would not.
    let house = House::open();
    assert_eq!(house.send("GET /case HTTP/1.1\nHost: a\nX: y\n\n").answer().status, 200);
    assert_eq!(house.upstream.only().header("x"), Some("y"));
}

#[test]
fn a_refused_request_with_a_body_ends_the_conversation_before_the_body_is_a_request() {
    let house = House::with("methods = [\"GET\"]\nmax_body = \"1 KiB\"");
    let length = SMUGGLED.len();
    for (what, line, fields, status) in [
        ("no host", "POST / HTTP/1.1", format!("Content-Length: {length}"), 400),
        ("an unknown method", "BREW / HTTP/1.1", format!("Host: a\r\nContent-Length: {length}"), 501),
        ("a body too large", "GET / HTTP/1.1", "Host: a\r\nContent-Length: 100000".into(), 413),
    ] {
        house.refuses(what, format!("{line}\r\n{fields}\r\n\r\n{SMUGGLED}"), status, Problem);
    }
    // Where nothing is in doubt the connection may stay: then the body is read away, and what follows is answered.
    let body = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}");
    let mut wire = house.send(format!("{body}GET /after HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(wire.answer().status, 405);
    assert!(wire.is_closed() || wire.answer().status == 200);
    house.has_let_nothing_through("a body behind a method that the route does not take");
}

#[test]
fn requests_behind_a_refusal_that_closes_are_not_executed() {
    let house = House::open();
    for (what, first) in [
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("a bad path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        ("garbage", "\0\r\n\r\n"),
    ] {
        let mut wire = house.send(format!("{first}{SMUGGLED}{SMUGGLED}"));
        assert!(wire.last_answer().status >= 400, "{what}");
        house.has_let_nothing_through(what);
    }
}

#[test]
fn pipelined_requests_are_answered_in_turn_each_on_its_own() {
    let house = House::with("methods = [\"GET\"]");
    let mut wire = house.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPUT /2 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let statuses = [wire.answer().status, wire.answer().status, wire.answer().status];
    assert_eq!(statuses, [200, 405, 200]);
    let targets: Vec<String> = house.upstream.seen().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/1", "/3"]);
}

#[test]
fn nobody_is_asked_for_the_body_of_a_request_that_is_refused() {
    let house = House::with("methods = [\"GET\", \"POST\"]\nmax_body = \"1 KiB\"");
    for (what, line, fields, status) in [
        ("no host", "POST / HTTP/1.1", "Content-Length: 5", 400),
        ("a method that the route does not take", "PUT / HTTP/1.1", "Host: a\r\nContent-Length: 5", 405),
        ("a body too large", "POST / HTTP/1.1", "Host: a\r\nContent-Length: 5000", 413),
        (
            "two credentials",
            "POST / HTTP/1.1",
            "Host: a\r\nContent-Length: 5\r\nAuthorization: A b\r\nAuthorization: A b",
            401,
        ),
    ] {
        let mut wire = house.send(format!("{line}\r\n{fields}\r\nExpect: 100-continue\r\n\r\n"));
        assert_eq!(wire.head().status, status, "{what}");
    }
    house.has_let_nothing_through("expectations of what is refused");
}

#[test]
fn somebody_whose_request_is_taken_is_asked_for_the_body() {
    let house = House::open();
    let mut wire = house.send("POST /case HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.head().status, 100);
    assert!(wire.is_quiet());
    assert_eq!(wire.send("hello").answer().status, 200);
    assert_eq!(house.upstream.only().body, b"hello");
}

#[test]
fn an_unknown_expectation_fails() {
    let house = House::open();
    for expectation in ["200-ok", "100-continue, x", "100-continue\r\nExpect: x", ""] {
        let raw = format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: {expectation}\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(house.send(raw).head().status, 417, "{expectation}");
    }
    house.has_let_nothing_through("unknown expectations");
}

#[test]
fn a_body_shorter_than_announced_cancels_the_request_and_spoils_no_connection() {
    for (what, head, piece) in [
        ("by length", "Content-Length: 10", "hello"),
        ("in chunks", "Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        ("in the middle of a chunk", "Transfer-Encoding: chunked", "a\r\nhello"),
    ] {
        let house = House::open();
        assert_eq!(house.gateway.connect().ask("GET /before HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
        let mut wire = house.send(format!("POST /short HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{piece}"));
        house.upstream.await_head("/short");
        wire.finish();
        // An answer is of no use to most who have gone; where there is one, it is a refusal.
        let rest = wire.rest();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{what}: {}", String::from_utf8_lossy(&rest));
        assert_eq!(house.upstream.broken_off().target, "/short", "{what}");
        for target in ["/1", "/2"] {
            let answer = house.gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!((answer.status, answer.text()), (200, "upstream-ok"), "{what}");
        }
        let seen: Vec<_> =
            house.upstream.seen().into_iter().map(|request| (request.connection, request.target)).collect();
        assert_eq!(seen, [(0, "/before".into()), (1, "/1".into()), (1, "/2".into())], "{what}");
    }
}

#[test]
fn a_caller_who_leaves_takes_the_request_along() {
    let (told, left) = mpsc::channel();
    let upstream = Upstream::raw(move |mut stream, _| {
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a socket can be shared"));
        let request = read_request(&mut reader, true).expect("a request");
        told.send(request.target).expect("the test waits");
        // Never answered: the end of the connection is all that can come now.
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
        told.send("gone".into()).expect("the test waits");
    });
    let gateway = TestGateway::alone(&open(&upstream, ""));
    let mut wire = gateway.connect();
    wire.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    let next = || left.recv_timeout(PATIENCE).expect("the upstream notices");
    assert_eq!(next(), "/wait");
    drop(wire);
    assert_eq!(next(), "gone");
    assert!(gateway.drain(), "nothing is left behind");
}

#[test]
fn an_upgrade_is_taken_out_of_the_request_and_never_has_a_body() {
    let house = House::open();
    for upgrade in ["h2c", "websocket", "TLS/1.0, HTTP/1.1", "H2C"] {
        let answer = house.gateway.connect().ask(format!(
            "GET /case HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ));
        assert_eq!(answer.status, 200, "{upgrade}");
    }
    for received in house.upstream.seen() {
        for name in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(received.header(name), None, "{received:?}");
        }
    }
    let house = House::open();
    for fields in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        for upgrade in ["h2c", "websocket"] {
            let raw = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n{fields}\r\n\r\n{SMUGGLED}"
            );
            house.refuses(upgrade, raw, 400, Problem);
        }
    }
}

#[test]
fn a_body_arrives_whole_whatever_the_method() {
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
        for (framing, body) in
            [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
        {
            let house = House::open();
            let mut wire = house.send(format!("{method} /case HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}"));
            assert_eq!(wire.head().status, 200, "{method} {framing}");
            assert_eq!(house.upstream.only().body, b"hello", "{method} {framing}");
        }
    }
}
