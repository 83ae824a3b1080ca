//! What stands around a body: trailers in both directions, and `Expect: 100-continue`.

use crate::house::TestGateway;
use crate::peer::Played;
use crate::ports::Reserved;
use crate::time::{Added, timed};
use crate::upstream::Upstream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_coded_body_passes_as_it_is_both_ways() {
    // What `printf hello | gzip -n` prints; nobody on the way looks inside.
    let coded = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    let upstream = Upstream::answering(move |request| {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
        [format!("{head}Content-Length: {}\r\n\r\n", request.body.len()).as_bytes(), &request.body].concat()
    });
    let gateway = TestGateway::open(&upstream);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nAccept-Encoding: br, gzip;q=0.5\r\nContent-Length: {}\r\n\r\n",
        coded.len()
    );
    let answer = gateway.connect().ask([head.as_bytes(), coded].concat());
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), (Some("gzip"), Some("Accept-Encoding")));
    assert_eq!(answer.body, coded);
    let request = upstream.only();
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert_eq!(request.header("accept-encoding"), Some("br, gzip;q=0.5"));
    assert_eq!(request.body, coded);
}

#[test]
fn declared_trailers_of_a_request_reach_the_upstream_and_forbidden_ones_do_not() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    let answer = gateway.connect().ask(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Sum, Authorization, X-Vidgate-Subject, Content-Length, Transfer-Encoding, Host, X-Forwarded-For\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: abc\r\nX-Sum: def\r\nAuthorization: Own x\r\nX-Vidgate-Subject: root\r\n\
         Content-Length: 9\r\nTransfer-Encoding: gzip\r\nHost: b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Undeclared: 1\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    let request = upstream.only();
    assert_eq!(request.body, b"hello");
    let trailers: Vec<_> =
        request.trailers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
    assert_eq!(trailers, [("x-sum".to_owned(), "abc"), ("x-sum".to_owned(), "def")]);
    // Trailers are never merged into the head.
    assert_eq!((request.header("x-sum"), request.header("x-vidgate-subject")), (None, Some("anyone")));
}

#[test]
fn declared_trailers_of_an_answer_reach_a_caller_who_takes_them() {
    for (te, expected) in [("TE: trailers\r\nConnection: TE\r\n", Some("abc")), ("", None)] {
        let played = Played::start();
        let gateway = TestGateway::open(&played.upstream);
        let mut wire = gateway.connect();
        wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{te}\r\n"));
        let (mut peer, request) = played.next_head();
        assert_eq!(request.header("te"), expected.map(|_| "trailers"));
        peer.say(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie, Content-Length\r\n\r\n\
             5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\nX-Sum: abc\r\nContent-Length: 7\r\n\r\n",
        );
        let answer = wire.answer();
        assert_eq!((answer.text(), answer.header("trailer x-sum")), ("hello", expected));
        let trailers = answer.headers.iter().filter(|(name, _)| name.starts_with("trailer ")).count();
        assert_eq!((trailers, answer.header("set-cookie")), (expected.iter().count(), None));
        // The end of the trailers is the end of the message: the connections stay good on both sides.
        wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.head().target, "/2");
        peer.say(OK);
        assert_eq!(wire.answer().text(), "ok");
    }
}

#[test]
fn a_caller_who_waits_for_100_gets_it_once_the_upstream_takes_the_body() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("expect"), None);
    assert_eq!(wire.head().status, 100);
    wire.send("hello");
    assert_eq!(peer.take_text(5), "hello");
    peer.say("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.text()), (201, "ok"));
    // The body was read to its end: the connection goes on.
    wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().target, "/2");
    peer.say(OK);
    assert_eq!(wire.head().status, 200);
}

#[test]
fn a_caller_who_waits_for_100_and_is_refused_gets_the_refusal_alone() {
    let upstream = Upstream::start();
    let nobody = Reserved::new();
    for (what, added, target, expected) in [
        ("no route", Added { route: "host = \"b\"", ..Added::default() }, upstream.address(), 404),
        ("a method", Added { route: "methods = [\"GET\"]", ..Added::default() }, upstream.address(), 405),
        ("a size", Added { route: "max_body = \"4 B\"", ..Added::default() }, upstream.address(), 413),
        ("no upstream", Added::default(), nobody.address(), 502),
    ] {
        let gateway = crate::time::timed_at(&format!("http://{target}"), std::path::Path::new("."), added);
        let mut wire = gateway.connect();
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        let head = wire.head();
        assert_eq!(head.status, expected, "{what}");
        // The body may still come or not: behind such an answer only the end of the connection is clear.
        wire.body(head);
        assert!(wire.is_closed(), "{what}");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn an_upstreams_own_final_answer_replaces_the_100() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.text()), (417, "no"));
}

#[test]
fn an_unknown_expectation_is_refused() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    let answer = gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n\r\n");
    assert_eq!(answer.status, 417);
    assert!(upstream.seen().is_empty());
}
