//! Upstreams that fail, lie or hang: the caller gets one clear answer or a body that is seen to break off, and the next
//! request its own.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::house::TestGateway;
use crate::peer::{Peer, Played};
use crate::ports::Reserved;
use crate::time::{Added, SLACK, timed, timed_at};
use crate::wire::{Answer, Wire};

const GET: &str = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";

fn asked(played: &Played, wire: &mut Wire) -> Peer {
    wire.send(GET);
    let (peer, request) = played.next_head();
    assert_eq!(request.target, "/1");
    peer
}

/// Whatever happened: the next request, on a connection of its own towards the upstream, gets its own answer.
fn is_sound(gateway: &TestGateway, played: &Played, what: &str) {
    let mut wire = gateway.connect();
    wire.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, request) = played.next_head();
    assert_eq!(request.target, "/next", "{what}");
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
    assert_eq!(wire.answer().text(), "next", "{what}");
    assert!(played.is_left_alone(), "{what}");
}

/// A refusal in the dialect of the house, with the id of the request.
fn assert_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert_eq!(body["status"], status, "{what}");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{what}");
}

#[test]
fn an_answer_that_is_none_is_502() {
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(1000));
    let large_head = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(66_000));
    for (what, answer) in [
        ("nothing at all", ""),
        ("half a status line", "HTTP/1.1 20"),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("a head without its end", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
        ("garbage", "\u{0}\u{1}\u{2}garbage\r\n\r\n"),
        ("another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n"),
        ("HTTP/0.9", "<html></html>"),
        ("HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a status that is no number", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
        ("a head too large", large_head.as_str()),
        ("too many fields", many_fields.as_str()),
        ("both framings", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (
            "both framings, the other way",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!"),
        ("one length in two fields", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        ("one length twice in a list", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
        ("a list of lengths without a body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5, 6\r\n\r\n"),
        ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
        ("a length in hexadecimal", "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello"),
        ("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello"),
        ("a length too large", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\nhello"),
        ("a coding that nobody asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
        ("a coding below chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked below a coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        (
            "chunked twice",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("CR in a value", "HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n"),
        ("NUL in a value", "HTTP/1.1 200 OK\r\nX-A: a\u{0}b\r\nContent-Length: 0\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\nX-A : a\r\nContent-Length: 0\r\n\r\n"),
        ("a name with a space", "HTTP/1.1 200 OK\r\nX A: a\r\nContent-Length: 0\r\n\r\n"),
        ("no name", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n"),
        ("no colon", "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n"),
        ("101 unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello"),
        ("nothing behind 100", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("nothing behind many hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(500).leak()),
    ] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        let mut peer = asked(&played, &mut wire);
        peer.say(answer).finish();
        assert_refused(&wire.answer(), 502, what);
        assert!(peer.is_closed(), "{what}");
        is_sound(&gateway, &played, what);
        // The caller's connection has nothing to do with it.
        assert_eq!(wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204, "{what}");
    }
}

#[test]
fn bare_line_feeds_of_an_upstream_do_not_reach_the_caller() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let mut peer = asked(&played, &mut wire);
    peer.say("HTTP/1.1 200 OK\nX-A: a\nContent-Length: 2\n\nok");
    let head = wire.raw_head();
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
}

#[test]
fn interim_answers_are_passed_over() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let mut peer = asked(&played, &mut wire);
    peer.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
    peer.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1000));
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = wire.answer();
    assert_eq!((answer.text(), answer.header("link")), ("ok", None));
}

#[test]
fn a_body_that_breaks_off_is_seen_to_break_off() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (what, begin, rest) in [
        ("no last chunk", CHUNKED, ""),
        ("half a chunk", CHUNKED, "5\r\nwo"),
        ("half a last chunk", CHUNKED, "0\r\n"),
        ("a size that is none", CHUNKED, "xyz\r\nworld\r\n0\r\n\r\n"),
        ("a negative size", CHUNKED, "-1\r\nworld\r\n0\r\n\r\n"),
        ("a size too large", CHUNKED, "ffffffffffffffff1\r\nworld\r\n0\r\n\r\n"),
        ("an empty size", CHUNKED, "\r\nworld\r\n0\r\n\r\n"),
        ("a chunk longer than its size", CHUNKED, "2\r\nworld\r\n0\r\n\r\n"),
        ("a trailer that is none", CHUNKED, "0\r\nno colon\r\n\r\n"),
        ("a length too long", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", "world"),
    ] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        let mut peer = asked(&played, &mut wire);
        peer.say(begin);
        assert_eq!(wire.head().status, 200, "{what}");
        let first = if begin == CHUNKED { "5\r\nhello\r\n" } else { "hello" };
        assert_eq!(wire.take(first.len()), first.as_bytes(), "{what}");
        peer.say(rest).finish();
        let left = wire.rest();
        assert!(left.len() < 495 && !left.ends_with(b"0\r\n\r\n"), "{what}: {}", String::from_utf8_lossy(&left));
        assert!(peer.is_closed(), "{what}");
        is_sound(&gateway, &played, what);
    }
}

#[test]
fn a_body_longer_than_its_length_is_cut_there() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let mut peer = asked(&played, &mut wire);
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\nevil");
    assert_eq!(wire.answer().text(), "hello");
    assert!(peer.is_closed());
    is_sound(&gateway, &played, "a body too long");
}

#[test]
fn an_upstream_that_is_down_is_502_in_the_dialect_of_the_route() {
    let gone = Reserved::new();
    for (dialect, content_type, sentence) in [
        ("problem", "application/problem+json", "detail"),
        ("vxg", "application/json", "errorDetail"),
        ("message", "application/json", "message"),
    ] {
        let route = format!("dialect = \"{dialect}\"");
        let gateway = timed_at(
            &format!("http://{}", gone.address()),
            Path::new("."),
            Added { route: &route, ..Added::default() },
        );
        let mut wire = gateway.connect();
        for request in [GET, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"] {
            let answer = wire.ask(request);
            assert_eq!((answer.status, answer.header("connection").is_some()), (502, request != GET), "{dialect}");
            assert!(answer.header("content-type").is_some_and(|own| own.starts_with(content_type)), "{answer:?}");
            let text: serde_json::Value = serde_json::from_slice(&answer.body).expect("it is JSON");
            let found = text.to_string().to_ascii_lowercase().contains(&sentence.to_ascii_lowercase());
            assert!(found && answer.header("x-request-id").is_some(), "{dialect}: {answer:?}");
        }
    }
}

#[test]
fn an_upstream_that_does_not_answer_is_504_when_its_time_is_up() {
    for (dialect, beginning) in
        [("problem", ""), ("vxg", "HTTP/1.1 200 OK\r\nX-A"), ("message", "HTTP/1.1 100 Continue\r\n\r\n")]
    {
        let played = Played::start();
        let route = format!("dialect = \"{dialect}\"");
        let gateway = timed(&played.upstream, Added { route: &route, ..Added::default() });
        let mut wire = gateway.connect();
        let mut peer = asked(&played, &mut wire);
        peer.say(beginning);
        gateway.pass(Duration::from_secs(59));
        assert!(wire.is_quiet(), "not before its time");
        gateway.pass(Duration::from_secs(1) + SLACK);
        let answer = wire.answer();
        assert_eq!(answer.status, 504);
        assert!(answer.header("x-request-id").is_some());
        assert!(peer.is_closed(), "the request is taken back");
        is_sound(&gateway, &played, dialect);
        assert_eq!(wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
    }
}

#[test]
fn a_head_that_never_ends_has_no_more_time_than_one_that_never_begins() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { upstream: "timeouts = { response = \"20s\" }", ..Added::default() });
    let mut wire = gateway.connect();
    let mut peer = asked(&played, &mut wire);
    for piece in ["HTTP/1.1 200 OK\r\n", "X-A: a\r\n", "X-B: b\r\n", "X-C: c\r\n"] {
        peer.say(piece);
        gateway.pass(Duration::from_secs(5));
    }
    gateway.pass(SLACK);
    assert_refused(&wire.answer(), 504, "dribbling");
    assert!(peer.is_closed());
}

#[test]
fn a_storm_of_interim_answers_stops_nobody_else_and_ends_at_its_deadline() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let peer = asked(&played, &mut wire);
    let mut storming = peer.socket();
    let storm = thread::spawn(move || {
        let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: </{}>\r\n\r\n", "a".repeat(8000));
        while storming.write_all(hints.as_bytes()).is_ok() {}
    });
    is_sound(&gateway, &played, "in the storm");
    gateway.pass(Duration::from_mins(1) + SLACK);
    assert_refused(&wire.answer(), 504, "a storm");
    storm.join().expect("the storm ends");
    is_sound(&gateway, &played, "after the storm");
}

#[test]
fn an_answer_that_stops_in_the_middle_is_ended_when_its_time_is_up() {
    for (framing, pieces, end) in [
        ("Transfer-Encoding: chunked\r\n", ["5\r\nhello\r\n", "5\r\nworld\r\n"], "\r\n"),
        ("Content-Length: 500\r\n", ["hello", "world"], ""),
        ("", ["hello", "world"], "\r\n"),
    ] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added { upstream: "timeouts = { body = \"30s\" }", ..Added::default() });
        let mut wire = gateway.connect();
        let mut peer = asked(&played, &mut wire);
        peer.say(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{}", pieces[0]));
        assert_eq!(wire.head().status, 200);
        wire.until(format!("hello{end}").as_bytes());
        // Time counts from the last piece.
        gateway.pass(Duration::from_secs(29));
        peer.say(pieces[1]);
        wire.until(format!("world{end}").as_bytes());
        gateway.pass(Duration::from_secs(29));
        assert!(wire.is_quiet(), "not before its time");
        gateway.pass(Duration::from_secs(1) + SLACK);
        assert_eq!(wire.rest(), b"", "without a last chunk");
        assert!(peer.is_closed());
        is_sound(&gateway, &played, framing);
    }
}

#[test]
fn an_upstream_that_accepts_no_connection_is_504_when_its_time_is_up() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port is free");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it has an address");
    // A queue that is full: the kernel leaves further callers without a word.
    let mut waiting = Vec::new();
    let full = loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            Ok(stream) if waiting.len() < 64 => waiting.push(stream),
            other => break other,
        }
    };
    assert_eq!(full.expect_err("the queue is full").kind(), ErrorKind::TimedOut);
    let gateway = timed_at(&format!("http://{address}"), Path::new("."), Added::default());
    let mut wire = gateway.connect();
    wire.send(GET);
    gateway.pass(Duration::from_secs(4));
    assert!(wire.is_quiet(), "not before its time");
    gateway.pass(Duration::from_secs(1) + SLACK);
    assert_refused(&wire.answer(), 504, "connecting");
}
