//! Callers in HTTP/2 over TLS, in front of an upstream in HTTP/1.1.

use std::io::Write;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;

use crate::house::TestGateway;
use crate::peer::Played;
use crate::pki::Pki;
use crate::streams::{Pieces, Streams, get};
use crate::time::{Added, SLACK, timed_at};
use crate::upstream::Upstream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway with TLS before this upstream.
pub fn secure(upstream: &Upstream, mut added: Added<'_>) -> (Pki, TestGateway) {
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    added.listener = r#"tls = { certificate = "a.pem", key = "a.key" }"#;
    let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), added);
    (pki, gateway)
}

fn post() -> http::request::Builder {
    Request::post("https://localhost/")
}

fn named(target: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len())
}

#[test]
fn a_request_is_said_in_http_1_1_with_its_authority_as_host() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let request = Request::post("https://localhost/a?b=%2F").header("cookie", "a=1").header("cookie", "b=2");
    let answer = streams.ask(request.header("te", "trailers").body(Pieces::none()).expect("a request"));
    assert_eq!((answer.status, &answer.body[..]), (200, &b"upstream-ok"[..]));
    let request = upstream.only();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/a?b=%2F"));
    for (name, expected) in [
        ("host", Some("localhost")),
        ("cookie", Some("a=1; b=2")),
        ("via", Some("2.0 vidgate")),
        ("te", Some("trailers")),
        ("content-length", Some("0")),
        ("transfer-encoding", None),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("localhost")),
        ("x-request-id", answer.headers.get("x-request-id").and_then(|id| id.to_str().ok())),
    ] {
        assert_eq!(request.header(name), expected, "{name}");
    }
}

#[test]
fn fields_of_the_upstreams_connection_do_not_pass() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.0 200 OK\r\nConnection: keep-alive, X-A\r\nKeep-Alive: 5\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok".into()
    });
    let (pki, gateway) = secure(&upstream, Added::default());
    let answer = Streams::connect(&gateway, &pki).ask(get("/"));
    let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-b", "x-request-id"]);
}

#[test]
fn many_streams_at_once_get_their_own_answers() {
    let upstream = Upstream::answering(|request| named(&request.target).into_bytes());
    let (pki, gateway) = secure(&upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let targets: Vec<_> = (0..300).map(|number| format!("/{number}")).collect();
    let awaited: Vec<_> = targets.iter().map(|target| streams.send(get(target))).collect();
    for (target, awaited) in targets.iter().zip(awaited) {
        assert_eq!(streams.whole(awaited).expect("an answer").body, target);
    }
    assert_eq!(upstream.seen().len(), targets.len());
}

#[test]
fn a_stream_that_waits_holds_no_other_up() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let slow = streams.send(get("/slow"));
    let (mut first, request) = played.next_head();
    assert_eq!(request.target, "/slow");
    let fast = streams.send(get("/fast"));
    let (mut second, _) = played.next_head();
    second.say(named("/fast"));
    assert_eq!(streams.whole(fast).expect("an answer").body, "/fast");
    first.say(named("/slow"));
    assert_eq!(streams.whole(slow).expect("an answer").body, "/slow");
}

#[test]
fn pieces_and_trailers_pass_both_ways_as_they_come() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let request = post().header("trailer", "x-sum, host").body(pieces).expect("a request");
    let awaited = streams.send(request);
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    streams.feed(&feed, Frame::data("one".into()));
    assert_eq!(peer.take_text(8), "3\r\none\r\n");
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nuno\r\n");
    let mut body = streams.head(awaited).expect("a head").into_body();
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "uno");
    streams.feed(&feed, Frame::data("two".into()));
    assert_eq!(peer.take_text(8), "3\r\ntwo\r\n");
    let sum = |value| {
        HeaderMap::from_iter(
            [("x-sum", value), ("host", "evil")]
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))),
        )
    };
    streams.feed(&feed, Frame::trailers(sum("6")));
    assert_eq!(peer.take_text(15), "0\r\nx-sum: 6\r\n\r\n");
    peer.say("0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\n\r\n");
    let trailers = streams.piece(&mut body).unwrap().unwrap().into_trailers().unwrap();
    assert_eq!((trailers.len(), trailers["x-sum"].as_bytes()), (1, &b"7"[..]));
    // Both directions have ended: the upstream's connection is used again.
    let again = streams.send(get("/again"));
    assert_eq!(peer.head().target, "/again");
    peer.say(OK);
    assert_eq!(streams.whole(again).expect("an answer").body, "ok");
}

const LARGE: usize = 32 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

#[test]
fn large_bodies_flow_both_ways_under_flow_control() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let length = LARGE.to_string();
    let awaited = streams.send(post().header("content-length", &length).body(pieces).expect("a request"));
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
    let piece = |at: usize| vec![u8::try_from(at / PIECE % 251).expect("it is below 251"); PIECE];
    let upload = thread::spawn(move || {
        for at in (0..LARGE).step_by(PIECE) {
            feed.blocking_send(Frame::data(piece(at).into())).expect("it is taken");
        }
    });
    let mut answering = peer.socket();
    let upstream = thread::spawn(move || {
        for at in (0..LARGE).step_by(PIECE) {
            assert!(peer.take(PIECE) == piece(at), "the piece at {at} is another");
        }
    });
    let download = thread::spawn(move || {
        write!(answering, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").expect("it is taken");
        for at in (0..LARGE).step_by(PIECE) {
            answering.write_all(&piece(at)).expect("it is taken");
        }
    });
    let mut body = streams.head(awaited).expect("a head").into_body();
    let (mut at, mut rest) = (0, Vec::new());
    while let Some(frame) = streams.piece(&mut body) {
        rest.extend_from_slice(frame.expect("it is whole").data_ref().unwrap_or(&Bytes::new()));
        while rest.len() >= PIECE {
            assert!(rest[..PIECE] == piece(at), "the piece at {at} is another");
            rest.drain(..PIECE);
            at += PIECE;
        }
    }
    assert_eq!((at, rest.len()), (LARGE, 0));
    for part in [upload, upstream, download] {
        part.join().expect("all of it was taken");
    }
}

#[test]
fn a_stream_that_is_not_read_holds_its_upstream_back_and_nobody_else() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(65_535).initial_connection_window_size(1 << 20);
    let streams = Streams::connect_with(&gateway, &pki, &builder);
    let unread = streams.send(get("/unread"));
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    let _body = streams.head(unread).expect("a head");
    let mut answering = peer.socket();
    answering.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    let (mut taken, zeros) = (0, vec![0; PIECE]);
    while let Ok(length) = answering.write(&zeros) {
        taken += length;
        assert!(taken < LARGE, "all of it was taken in");
    }
    let other = streams.send(get("/other"));
    let (mut second, _) = played.next_head();
    second.say(named("/other"));
    assert_eq!(streams.whole(other).expect("an answer").body, "/other");
}

#[test]
fn a_stream_that_is_reset_takes_its_request_back_and_no_other() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let stays = streams.send(get("/stays"));
    let (mut first, _) = played.next_head();

    let before_the_head = streams.send(get("/1"));
    let (mut peer, _) = played.next_head();
    streams.reset(before_the_head);
    assert!(peer.is_closed());

    let in_the_body = streams.send(get("/2"));
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    drop(streams.head(in_the_body).expect("a head"));
    assert!(peer.is_closed());

    let (feed, pieces) = Pieces::fed();
    let in_the_upload = streams.send(post().body(pieces).expect("a request"));
    let (mut peer, _) = played.next_head();
    streams.feed(&feed, Frame::data("hello".into()));
    assert_eq!(peer.take_text(10), "5\r\nhello\r\n");
    streams.reset(in_the_upload);
    assert_eq!(peer.rest(), b"", "it never looks whole");

    first.say(named("/stays"));
    assert_eq!(streams.whole(stays).expect("an answer").body, "/stays");
}

#[test]
fn a_connection_that_is_cut_takes_all_its_requests_back() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let awaited = [streams.send(get("/1")), streams.send(get("/2"))];
    let mut peers = [played.next_head().0, played.next_head().0];
    drop((streams, awaited));
    assert!(peers.iter_mut().all(crate::peer::Peer::is_closed));
}

#[test]
fn an_upstreams_fault_is_told_to_its_own_stream() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let stays = streams.send(get("/stays"));
    let (mut first, _) = played.next_head();

    let awaited = streams.send(get("/1"));
    played.next_head().0.say("garbage\r\n\r\n");
    let answer = streams.whole(awaited).expect("an answer");
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (502, &HeaderValue::from_static("application/problem+json"))
    );

    let awaited = streams.send(get("/2"));
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n");
    assert!(streams.whole(awaited).is_err(), "the stream is reset, never ended");

    let awaited = streams.send(get("/3"));
    let (mut peer, _) = played.next_head();
    gateway.pass(Duration::from_mins(1) + SLACK);
    assert_eq!(streams.whole(awaited).expect("an answer").status, 504);
    assert!(peer.is_closed());
    assert_eq!(streams.whole(stays).expect("an answer").status, 504);
    assert!(first.is_closed());
    let awaited = streams.send(get("/4"));
    played.next_head().0.say(OK);
    assert_eq!(streams.whole(awaited).expect("an answer").body, "ok");
}

#[test]
fn a_body_that_stops_coming_is_408_on_its_own_stream() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let awaited = streams.send(post().body(pieces).expect("a request"));
    let (mut peer, _) = played.next_head();
    streams.feed(&feed, Frame::data("hello".into()));
    assert_eq!(peer.take_text(10), "5\r\nhello\r\n");
    gateway.pass(Duration::from_secs(30) + SLACK);
    let answer = streams.whole(awaited).expect("an answer");
    assert_eq!((answer.status, answer.headers.get("connection")), (408, None));
    assert_eq!(peer.rest(), b"", "it never looks whole");
    let awaited = streams.send(get("/next"));
    played.next_head().0.say(OK);
    assert_eq!(streams.whole(awaited).expect("an answer").body, "ok");
}

#[test]
fn an_early_answer_reaches_the_caller() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let awaited = streams.send(post().body(pieces).expect("a request"));
    let (mut peer, _) = played.next_head();
    streams.feed(&feed, Frame::data("hello".into()));
    assert_eq!(peer.take_text(10), "5\r\nhello\r\n");
    peer.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno").finish();
    let answer = streams.whole(awaited).expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (413, &b"no"[..]));
}

#[test]
fn a_connection_without_a_request_ends_at_its_deadlines() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, Added::default());
    let mut fresh = Streams::connect(&gateway, &pki);
    let mut used = Streams::connect(&gateway, &pki);
    assert_eq!(used.ask(get("/")).status, 200);
    gateway.pass(Duration::from_secs(9));
    assert_eq!(used.ask(get("/")).status, 200);
    gateway.pass(Duration::from_secs(1) + SLACK);
    fresh.ended();
    gateway.pass(Duration::from_secs(73));
    assert_eq!(used.ask(get("/")).status, 200, "not before its time");
    gateway.pass(Duration::from_secs(75) + SLACK);
    used.ended();
}

#[test]
fn a_drain_says_goaway_and_finishes_the_streams_that_began() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let mut idle = Streams::connect(&gateway, &pki);
    let mut streams = Streams::connect(&gateway, &pki);
    let waiting = streams.send(get("/waiting"));
    let (mut first, _) = played.next_head();
    let reading = streams.send(get("/reading"));
    let (mut second, _) = played.next_head();
    second.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let mut body = streams.head(reading).expect("a head").into_body();
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "hello");

    let draining = thread::spawn(|| gateway.drain());
    idle.ended();
    first.say(named("/waiting"));
    assert_eq!(streams.whole(waiting).expect("an answer").body, "/waiting");
    second.say("world");
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "world");
    assert!(streams.piece(&mut body).is_none());
    streams.ended();
    let late = streams.send(get("/late"));
    assert!(streams.whole(late).is_err(), "nothing new begins");
    drop((idle, streams));
    assert!(draining.join().expect("it ends"), "all of it ended in time");
    assert!(played.is_left_alone());
}
