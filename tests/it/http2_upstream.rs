//! An upstream in HTTP/2: it gets the same request as one in HTTP/1.1, many at once on few connections, and each caller
//! gets their own answer.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Frame;

use crate::framed::{Framed, Order, server_config};
use crate::house::TestGateway;
use crate::peer::Played;
use crate::pki::Pki;
use crate::ports::Reserved;
use crate::streams::{Pieces, Streams};
use crate::time::{Added, SLACK, timed_at};
use crate::upstream::Upstream;

/// What an upstream does to a request.
type Deed = fn(crate::framed::Asked);

const H2: &str = "protocol = \"h2\"";

/// A gateway before this upstream.
fn before(upstream: &Framed, added: Added<'_>) -> TestGateway {
    let own = format!("{H2}\n{}", added.upstream);
    timed_at(&format!("http://{}", upstream.address()), Path::new("."), Added { upstream: &own, ..added })
}

/// The same with TLS, for callers in HTTP/2.
fn secure(upstream: &Framed, added: Added<'_>) -> (Pki, TestGateway) {
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    let own = format!("{H2}\n{}", added.upstream);
    let listener = r#"tls = { certificate = "a.pem", key = "a.key" }"#;
    let added = Added { upstream: &own, listener, ..added };
    let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), added);
    (pki, gateway)
}

/// An ordinary request.
fn plain(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// The fields as sorted lines, but for the request id.
fn lines<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let lines = fields.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut lines: Vec<_> =
        lines.filter(|(name, _)| name != "x-request-id").map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines
}

#[test]
fn both_versions_of_http_get_the_same_request() {
    let (framed, lined) = (Framed::start(), Upstream::start());
    let top = "[scheme.license.lkey]\n[[account]]\nid = \"acme\"\n\
               license_key = [{ id = \"main\", key = \"v3.X9tKpuXq0btatj\" }]";
    let route = "credential = \"translate\"";
    let own = "credential = { header = \"X-Key\", value = \"upstream-secret\" }";
    let added = Added { top, route, upstream: own, authenticate: "license", ..Added::default() };
    let in_frames = before(&framed, added);
    let in_lines = timed_at(&format!("http://{}", lined.address()), Path::new("."), added);
    for (what, request) in [
        ("a plain one", "GET /a/../b//%63?d=%2F HTTP/1.1\r\nHost: a.test:81\r\n"),
        ("an empty query", "GET /? HTTP/1.1\r\nHost: a\r\n"),
        ("nothing to say", "POST /x HTTP/1.1\r\nHost: a\r\n"),
        ("trailers", "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nTrailer: X-Sum\r\n"),
        (
            "what is forged",
            "GET / HTTP/1.1\r\nHost: a\r\nX-Vidgate-Subject: root\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=x\r\n\
             X-Real-IP: 192.0.2.1\r\nX-HTTP-Method-Override: PUT\r\nX_Vidgate_Account: root\r\nX-Key: mine\r\nX.Key: mine\r\n",
        ),
        (
            "what is the connection's",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A, keep-alive\r\nX-A: 1\r\nKeep-Alive: 5\r\nProxy-X: 1\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\nCookie: a=b\r\nX-B: 1\r\nX-B: 2\r\n",
        ),
    ] {
        let request = format!("{request}Authorization: LKey v3.X9tKpuXq0btatj\r\n\r\n");
        assert_eq!(in_lines.connect().ask(&request).status, 200, "{what}");
        let expected = lined.seen().pop().expect("it arrived");
        let mut wire = in_frames.connect();
        wire.send(&request);
        let asked = framed.next();
        assert_eq!((asked.request.method().as_str(), asked.target()), (&*expected.method, &*expected.target), "{what}");
        let uri = asked.request.uri();
        let (host, named) = (expected.header("host"), uri.authority().map(http::uri::Authority::as_str));
        assert_eq!((uri.scheme_str(), named), (Some("http"), host), "{what}");
        assert!(expected.header("x-key").is_some() && expected.header("x-vidgate-subject").is_some(), "{expected:?}");
        let fields = expected.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let received = asked.request.headers();
        let received = received.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text")));
        assert_eq!(lines(received), lines(fields.filter(|(name, _)| *name != "host")), "{what}");
        asked.answer("ok");
        assert_eq!(wire.answer().text(), "ok", "{what}");
    }
}

#[test]
fn requests_share_a_connection_and_get_their_own_answers() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wires: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.send(plain(&format!("/{number}")));
    }
    let mut asked: Vec<_> = wires.iter().map(|_| upstream.next()).collect();
    assert!(asked.iter().all(|asked| asked.connection == 0));
    // The last one first.
    while let Some(last) = asked.pop() {
        let body = format!("for {}", last.target());
        last.answer(&body);
    }
    for (number, wire) in wires.iter_mut().enumerate() {
        assert_eq!(wire.answer().text(), format!("for /{number}"));
    }
}

#[test]
fn no_connection_carries_more_than_its_upstream_bears_and_the_rest_waits() {
    let upstream = Framed::with(Builder::new().max_concurrent_streams(2), None);
    let gateway = before(&upstream, Added::default());
    let mut wires: Vec<_> = (0..10).map(|_| gateway.connect()).collect();
    for wire in &mut wires {
        wire.send(plain("/"));
    }
    let mut taken: Vec<_> = (0..8).map(|_| upstream.next()).collect();
    for connection in 0..4 {
        assert_eq!(taken.iter().filter(|asked| asked.connection == connection).count(), 2);
    }
    gateway.settle("public");
    assert!(upstream.is_left_alone());
    // Both that wait are let in as others end.
    for asked in taken.drain(..2) {
        asked.answer("ok");
    }
    let rest = [upstream.next(), upstream.next()];
    for asked in taken.into_iter().chain(rest) {
        asked.answer("ok");
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().text(), "ok");
    }
}

#[test]
fn who_waits_for_room_is_not_kept_waiting_for_ever() {
    let upstream = Framed::with(Builder::new().max_concurrent_streams(1), None);
    let gateway = before(&upstream, Added { upstream: "timeouts = { response = \"1h\" }", ..Added::default() });
    let mut taken = Vec::new();
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = gateway.connect();
        wire.send(plain("/"));
        wires.push(wire);
        taken.push(upstream.next());
    }
    // As many as may wait, and then one more.
    let mut waiting: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    for wire in &mut waiting {
        wire.send(plain("/"));
    }
    // Each is seen before the next.
    gateway.settle("public");
    assert_eq!(gateway.connect().ask(plain("/")).status, 503);
    gateway.pass(Duration::from_secs(5) + SLACK);
    for wire in &mut waiting {
        assert_eq!(wire.answer().status, 504);
    }
}

#[test]
fn pieces_and_trailers_pass_both_ways_as_they_come() {
    let upstream = Framed::start();
    let (pki, gateway) = secure(&upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let awaited = streams.send(Request::post("https://localhost/").body(pieces).expect("a request"));
    let mut asked = upstream.next();
    assert_eq!((asked.header("content-length"), asked.header("transfer-encoding")), (None, None));
    streams.feed(&feed, Frame::data("one".into()));
    assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), "one");
    let mut answer = asked.head(200, &[("trailer", "x-sum"), ("connection", "x-a"), ("x-b", "1")][..1]);
    answer.send_data("uno".into(), false).expect("it is awaited");
    let mut body = streams.head(awaited).expect("a head").into_body();
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "uno");
    streams.feed(&feed, Frame::data("two".into()));
    assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), "two");
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "authorization", "host", "x-vidgate-subject", "content-length"] {
        trailers.insert(name, HeaderValue::from_static("7"));
    }
    streams.feed(&feed, Frame::trailers(trailers.clone()));
    drop(feed);
    assert!(upstream.piece(&mut asked).is_none());
    let received = upstream.trailers(&mut asked).expect("trailers");
    assert_eq!(received.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
    answer.send_data("dos".into(), false).expect("it is awaited");
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "dos");
    answer.send_trailers(trailers).expect("it is awaited");
    let received = streams.piece(&mut body).unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(received.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
    assert!(streams.piece(&mut body).is_none());
}

#[test]
fn a_body_with_a_length_comes_as_long_as_was_said() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let mut asked = upstream.next();
    assert_eq!(asked.header("content-length"), Some("10"));
    assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), "hello");
    wire.send("world");
    assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), "world");
    assert!(upstream.piece(&mut asked).is_none());
    let mut answer = asked.head(200, &[("content-length", "4")]);
    answer.send_data("done".into(), true).expect("it is awaited");
    assert_eq!(wire.answer().text(), "done");
}

#[test]
fn an_answer_before_the_end_of_the_upload_goes_on_beside_it() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let mut asked = upstream.next();
    let mut answer = asked.head(200, &[("content-length", "8")]);
    answer.send_data("half".into(), false).expect("it is awaited");
    assert_eq!(wire.head().status, 200);
    assert_eq!(wire.take(4), b"half");
    wire.send("world");
    let mut received = Vec::new();
    while let Some(piece) = upstream.piece(&mut asked) {
        received.extend_from_slice(&piece.expect("it is whole"));
    }
    assert_eq!(received, b"helloworld");
    answer.send_data("done".into(), true).expect("it is awaited");
    assert_eq!(wire.take(4), b"done");
}

#[test]
fn an_answer_to_head_and_answers_without_a_body_have_none() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wire = gateway.connect();
    for (method, status, length) in [("HEAD", 200, Some("100")), ("GET", 204, None), ("GET", 304, None)] {
        wire.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let fields: Vec<_> = length.iter().map(|length| ("content-length", *length)).collect();
        upstream.next().bare(status, &fields);
        let answer = wire.head();
        assert_eq!((answer.status, answer.header("content-length")), (status, length), "{method} {status}");
    }
    wire.send(plain("/"));
    upstream.next().answer("ok");
    assert_eq!(wire.answer().text(), "ok");
}

#[test]
fn what_was_refused_or_never_reached_is_sent_once_more() {
    for order in [None, Some(Order::Leave)] {
        let upstream = Framed::start();
        let gateway = before(&upstream, Added::default());
        let mut wire = gateway.connect();
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let first = upstream.next();
        if let Some(order) = order {
            // The next request finds that the connection takes none, and gets another.
            first.order(order);
            first.answer("ok");
            assert_eq!(wire.answer().text(), "ok");
            assert_eq!(upstream.ended(), 0);
            wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        } else {
            first.refuse(Reason::REFUSED_STREAM);
        }
        let mut second = upstream.next();
        assert_eq!(second.connection, usize::from(order.is_some()));
        assert_eq!(upstream.piece(&mut second).expect("a piece").expect("it is whole"), "hello");
        assert!(upstream.piece(&mut second).is_none());
        second.answer("again");
        assert_eq!(wire.answer().text(), "again", "{order:?}");
    }
}

#[test]
fn it_is_sent_no_third_time_and_not_without_its_beginning() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    upstream.next().refuse(Reason::REFUSED_STREAM);
    upstream.next().refuse(Reason::REFUSED_STREAM);
    assert_eq!(wire.answer().status, 502);
    assert!(upstream.is_left_alone());
    let mut wire = gateway.connect();
    wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\nhello");
    let mut asked = upstream.next();
    for piece in ["hello", "world"] {
        assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), piece);
        if piece == "hello" {
            wire.send("world");
        }
    }
    asked.refuse(Reason::REFUSED_STREAM);
    assert_eq!(wire.answer().status, 502);
    assert!(upstream.is_left_alone());
}

#[test]
fn what_may_have_been_processed_is_not_sent_again() {
    for (what, order) in [
        ("reset", None),
        ("broken", Some(Order::Break)),
        ("given up", Some(Order::Abort(Reason::INTERNAL_ERROR))),
        ("given up at ease", Some(Order::Abort(Reason::NO_ERROR))),
    ] {
        let upstream = Framed::start();
        let gateway = before(&upstream, Added::default());
        let (mut wire, mut other) = (gateway.connect(), gateway.connect());
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let asked = upstream.next();
        match order {
            None => asked.refuse(Reason::INTERNAL_ERROR),
            Some(order) => asked.order(order),
        }
        assert_eq!(wire.answer().status, 502, "{what}");
        assert!(upstream.is_left_alone(), "{what}");
        other.send(plain("/other"));
        let asked = upstream.next();
        assert_eq!(asked.target(), "/other", "{what}");
        asked.answer("ok");
        assert_eq!(other.answer().text(), "ok", "{what}");
    }
}

#[test]
fn an_upstream_that_hangs_is_not_waited_for() {
    let upstream = Framed::start();
    let timeouts = "timeouts = { response = \"30s\", body = \"20s\" }";
    let gateway = before(&upstream, Added { upstream: timeouts, ..Added::default() });
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    let mut asked = upstream.next();
    gateway.pass(Duration::from_secs(30) + SLACK);
    assert_eq!(wire.answer().status, 504);
    // Its stream is given up; the connection is not.
    assert_eq!(upstream.given_up(&mut asked), Reason::CANCEL);
    // And one that stops in the middle of its answer.
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    let mut asked = upstream.next();
    assert_eq!(asked.connection, 0);
    let mut answer = asked.head(200, &[("content-length", "10")]);
    answer.send_data("half".into(), false).expect("it is awaited");
    assert_eq!(wire.head().status, 200);
    assert_eq!(wire.take(4), b"half");
    gateway.settle("public");
    gateway.pass(Duration::from_secs(20) + SLACK);
    assert!(wire.is_closed());
    assert_eq!(upstream.reset(&mut answer), Reason::CANCEL);
}

#[test]
fn a_connection_that_answers_no_ping_is_given_up() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added { upstream: "timeouts = { connect = \"2s\" }", ..Added::default() });
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    let mut asked = upstream.next();
    asked.bare(204, &[]);
    assert_eq!(wire.answer().status, 204);
    asked.order(Order::Freeze);
    gateway.pass(Duration::from_secs(11));
    wire.send(plain("/"));
    gateway.settle("public");
    gateway.pass(Duration::from_secs(2) + SLACK);
    assert_eq!(wire.answer().status, 502);
    wire.send(plain("/"));
    let asked = upstream.next();
    assert_eq!(asked.connection, 1);
    asked.answer("ok");
    assert_eq!(wire.answer().text(), "ok");
}

#[test]
fn a_connection_that_nobody_uses_is_closed_in_time() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added { upstream: "timeouts = { idle = \"9s\" }", ..Added::default() });
    let mut wire = gateway.connect();
    for connection in 0..2 {
        wire.send(plain("/"));
        let asked = upstream.next();
        assert_eq!(asked.connection, connection);
        asked.answer("ok");
        assert_eq!(wire.answer().text(), "ok");
        gateway.settle("public");
        gateway.pass(Duration::from_secs(9) + SLACK);
        assert_eq!(upstream.ended(), connection);
    }
}

#[test]
fn a_caller_who_leaves_takes_the_request_back_and_nobody_elses() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut other = gateway.connect();
    other.send(plain("/other"));
    let mut kept = upstream.next();
    let mut flowing = kept.head(200, &[]);
    for (what, request, answered) in [
        ("before the head", plain("/"), false),
        ("in the answer", plain("/"), true),
        ("in the upload", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello".to_owned(), false),
        ("in both", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello".to_owned(), true),
    ] {
        let mut wire = gateway.connect();
        wire.send(request);
        let mut asked = upstream.next();
        if answered {
            let mut answer = asked.head(200, &[]);
            answer.send_data("x".into(), false).expect("it is awaited");
            wire.head();
            drop(wire);
            assert_eq!(upstream.reset(&mut answer), Reason::CANCEL, "{what}");
        } else {
            drop(wire);
            assert_eq!(upstream.given_up(&mut asked), Reason::CANCEL, "{what}");
        }
    }
    flowing.send_data("ok".into(), true).expect("it is awaited");
    assert!(other.answer().text().contains("ok"));
    assert_eq!(kept.connection, 0);
}

#[test]
fn the_slower_side_holds_the_faster_one_back() {
    const LARGE: usize = 64 << 20;
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    // An answer that nobody takes.
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    let mut asked = upstream.next();
    let mut answer = asked.head(200, &[]);
    let piece = Bytes::from(vec![b'x'; 1 << 16]);
    let mut sent = 0;
    // A fast reader beside it is not held up.
    let mut beside = gateway.connect();
    while sent < LARGE {
        answer.reserve_capacity(piece.len());
        let room = upstream.wait(async {
            let room = std::future::poll_fn(|context| answer.poll_capacity(context));
            tokio::time::timeout(Duration::from_millis(500), room).await.ok()
        });
        let Some(Some(Ok(room))) = room else { break };
        answer.send_data(piece.slice(..room.min(piece.len())), false).expect("it is awaited");
        sent += room;
    }
    assert!(sent < LARGE, "all of it was taken in");
    beside.send(plain("/beside"));
    upstream.next().answer("ok");
    assert!(beside.answer().text().contains("ok"));
    // An upload that nobody takes.
    let mut wire = gateway.connect();
    wire.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let _asked = upstream.next();
    let socket = wire.socket();
    assert!(crate::streaming::taken_until_it_stalls(socket) < LARGE);
}

#[test]
fn a_large_body_comes_whole_in_both_directions() {
    const LARGE: usize = 24 << 20;
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    let mut asked = upstream.next();
    let mut socket = wire.socket();
    let upload = std::thread::spawn(move || std::io::Write::write_all(&mut socket, &vec![b'u'; LARGE]));
    let mut received = 0;
    while let Some(piece) = upstream.piece(&mut asked) {
        received += memchr::memchr_iter(b'u', &piece.expect("it is whole")).count();
    }
    assert_eq!(received, LARGE);
    upload.join().expect("it ends").expect("it was taken");
    let mut answer = asked.head(200, &[("content-length", &LARGE.to_string())]);
    answer.send_data(Bytes::from(vec![b'd'; LARGE]), true).expect("it is awaited");
    assert_eq!(wire.head().status, 200);
    assert!(wire.take(LARGE).iter().all(|byte| *byte == b'd'));
}

/// Threats B23: whatever an upstream does, its own caller hears 502 or 504, or an answer that breaks off; and the next
/// caller their own answer.
#[test]
fn a_hostile_answer_harms_its_own_request_alone() {
    let upstream = Framed::start();
    let gateway = before(&upstream, Added::default());
    let mut beside = gateway.connect();
    beside.send(plain("/beside"));
    let mut kept = upstream.next();
    let mut kept = kept.head(200, &[("content-length", "4")]);
    let deeds: [(&str, Deed, Option<u16>); 6] = [
        (
            "a storm of interim answers",
            |mut asked| assert!((0..1000).filter(|_| asked.interim()).count() > 0),
            Some(502),
        ),
        ("fields without end", |mut asked| asked.bare(200, &[("x-a", &"a".repeat(100_000))]), Some(502)),
        ("a length and no body", |mut asked| asked.bare(200, &[("content-length", "5")]), Some(502)),
        (
            "two lengths",
            |mut asked| drop(asked.head(200, &[("content-length", "5"), ("content-length", "6")])),
            Some(502),
        ),
        (
            "less than was said",
            |mut asked| asked.head(200, &[("content-length", "9")]).send_data("four".into(), true).expect("sent"),
            None,
        ),
        (
            "more than was said",
            |mut asked| asked.head(200, &[("content-length", "2")]).send_data("four".into(), true).expect("sent"),
            None,
        ),
    ];
    for (what, deed, status) in deeds {
        let mut wire = gateway.connect();
        wire.send(plain("/evil"));
        deed(upstream.next());
        match status {
            Some(status) => assert_eq!(wire.answer().status, status, "{what}"),
            // Never more than was said, and nothing behind it.
            None => assert!(wire.rest().len() < 400, "{what}"),
        }
        let mut next = gateway.connect();
        next.send(plain("/next"));
        let asked = loop {
            let asked = upstream.next();
            if asked.target() == "/next" {
                break asked;
            }
        };
        asked.answer("mine");
        assert_eq!(next.answer().text(), "mine", "{what}");
    }
    kept.send_data("good".into(), true).expect("the connection has lived through it");
    assert_eq!(beside.answer().text(), "good");
}

#[test]
fn over_tls_it_is_agreed_upon_and_never_assumed() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    for (protocol, status) in [(&b"h2"[..], 200), (b"http/1.1", 502)] {
        let upstream = Framed::with(&Builder::new(), Some(server_config(&pki, "up", protocol)));
        let own = format!("{H2}\nca = \"ca.pem\"");
        let added = Added { upstream: &own, ..Added::default() };
        let endpoint = format!("https://localhost:{}", upstream.address().port());
        let gateway = timed_at(&endpoint, pki.path(), added);
        let mut wire = gateway.connect();
        wire.send(plain("/"));
        if status == 200 {
            let asked = upstream.next();
            assert_eq!(asked.request.uri().scheme_str(), Some("https"));
            asked.answer("ok");
        }
        assert_eq!(wire.answer().status, status);
    }
}

#[test]
fn an_upstream_that_speaks_something_else_is_not_understood() {
    for said in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "SSH-2.0-OpenSSH\r\n", ""] {
        let played = Played::start();
        let endpoint = format!("http://{}", played.upstream.address());
        let gateway = timed_at(&endpoint, Path::new("."), Added { upstream: H2, ..Added::default() });
        let mut wire = gateway.connect();
        wire.send(plain("/"));
        let mut peer = played.next();
        peer.take(24);
        peer.say(said);
        drop(peer);
        assert_eq!(wire.answer().status, 502, "{said:?}");
    }
}

#[test]
fn callers_of_a_refusing_endpoint_get_the_next_one() {
    let upstream = Framed::start();
    let gone = Reserved::new();
    let toml = crate::house::open(&Upstream::start(), "");
    let start = toml.find("endpoints").expect("there are some");
    let end = start + toml[start..].find('\n').expect("a line ends");
    let endpoints = format!("endpoints = [\"http://{}\", \"http://{}\"]\n{H2}", gone.address(), upstream.address());
    let gateway = TestGateway::alone(&format!("{}{endpoints}{}", &toml[..start], &toml[end..]));
    let mut wire = gateway.connect();
    wire.send(plain("/"));
    upstream.next().answer("ok");
    assert_eq!(wire.answer().text(), "ok");
}
