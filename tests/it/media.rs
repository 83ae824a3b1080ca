//! What players and browsers ask for: ranges, conditions, segments and events. All of it passes byte for byte and as it
//! comes; only floods of ranges do not.

use std::fmt::Write as _;

use bytes::Bytes;
use http::Request;

use crate::framed::Framed;
use crate::house::{TestGateway, open};
use crate::http2::secure;
use crate::peer::Played;
use crate::streams::{Pieces, Streams};
use crate::time::Added;
use crate::upstream::Upstream;

#[test]
fn ranges_and_conditions_pass_in_both_directions() {
    let parts =
        "--sep\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--sep\r\nContent-Range: bytes 7-8/9\r\n\r\nhi\r\n--sep--\r\n";
    for (method, asked, status, said, body) in [
        ("GET", "Range: bytes=0-3", "206 Partial Content", "Content-Range: bytes 0-3/9\r\nETag: \"a\"", "abcd"),
        ("GET", "Range: bytes=-2\r\nIf-Range: \"a\"", "206 Partial Content", "Content-Range: bytes 7-8/9", "hi"),
        (
            "GET",
            "Range: bytes=0-1, 7-8",
            "206 Partial Content",
            "Content-Type: multipart/byteranges; boundary=sep",
            parts,
        ),
        ("GET", "Range: bytes=99-", "416 Range Not Satisfiable", "Content-Range: bytes */9", ""),
        ("GET", "If-None-Match: \"a\", W/\"b\"", "304 Not Modified", "ETag: \"a\"", ""),
        ("GET", "If-Modified-Since: Wed, 01 Jan 2025 00:00:00 GMT", "304 Not Modified", "Cache-Control: max-age=2", ""),
        ("HEAD", "Range: bytes=0-3", "206 Partial Content", "Content-Range: bytes 0-3/9\r\nAccept-Ranges: bytes", ""),
        ("GET", "Accept: */*", "200 OK", "Content-Type: application/vnd.apple.mpegurl", "#EXTM3U\n#EXTINF:2,\n1.ts\n"),
        ("GET", "Accept: */*", "200 OK", "Content-Type: video/mp2t\r\nAccept-Ranges: bytes", "G\u{0}\u{1}G"),
        ("GET", "Accept: */*", "200 OK", "Content-Type: application/dash+xml\r\nContent-Encoding: br", "<MPD/>"),
    ] {
        let played = Played::start();
        let gateway = TestGateway::open(&played.upstream);
        let mut wire = gateway.connect();
        wire.send(format!("{method} /v/1.ts HTTP/1.1\r\nHost: a\r\n{asked}\r\n\r\n"));
        let (mut peer, request) = played.next_head();
        for line in asked.split("\r\n") {
            let (name, value) = line.split_once(": ").expect("a field");
            assert_eq!(request.header(name), Some(value), "{asked}");
        }
        let bare = status.starts_with("304");
        let length = if bare { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        peer.say(format!("HTTP/1.1 {status}\r\n{said}\r\n{length}\r\n{body}"));
        let head = wire.head();
        assert_eq!(head.status.to_string(), status[..3], "{asked}");
        for line in said.split("\r\n") {
            let (name, value) = line.split_once(": ").expect("a field");
            assert_eq!(head.header(&name.to_ascii_lowercase()), Some(value), "{asked}");
        }
        assert_eq!(wire.take(body.len()), body.as_bytes(), "{asked}");
        // Nothing more of it follows.
        assert_eq!(wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204, "{asked}");
    }
}

/// Threats C38.
#[test]
fn a_flood_of_ranges_asks_for_the_whole() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&open(&upstream, ""));
    let ranges = |count: usize| {
        let mut text = "Range: bytes=0-0".to_owned();
        for at in 1..count {
            write!(text, ",{at}-{at}").expect("memory takes every write");
        }
        text + "\r\n"
    };
    for (what, fields, passes) in [
        ("as many as may be", ranges(100), true),
        ("one more", ranges(101), false),
        ("in two fields", ranges(60) + &ranges(60), false),
    ] {
        let answer = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(answer.text(), "upstream-ok", "{what}");
        let request = upstream.seen().pop().expect("it arrived");
        let passed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("range"));
        assert_eq!(passed, passes, "{what}");
    }
}

#[test]
fn an_event_arrives_before_the_next_one_is_sent() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nLast-Event-ID: 6\r\n\r\n");
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("last-event-id"), Some("6"));
    peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n");
    assert_eq!(wire.head().header("content-type"), Some("text/event-stream"));
    for event in ["id: 7\ndata: one\n\n", ": still here\n\n", "id: 8\ndata: two\n\n"] {
        peer.say(event);
        let chunk = format!("{:X}\r\n{event}\r\n", event.len());
        assert_eq!(wire.take(chunk.len()), chunk.as_bytes());
    }
}

#[test]
fn events_pass_to_callers_in_http2_whatever_the_upstream_speaks() {
    let played = Played::start();
    let (pki, gateway) = secure(&played.upstream, Added::default());
    let streams = Streams::connect(&gateway, &pki);
    let events = || Request::get("https://localhost/events").body(Pieces::none()).expect("a request");
    let awaited = streams.send(events());
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    let mut body = streams.head(awaited).expect("a head").into_body();
    for event in ["data: one\n\n", ": still here\n\n"] {
        peer.say(event);
        assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), event);
    }
    let framed = Framed::start();
    let added = Added {
        listener: r#"tls = { certificate = "a.pem", key = "a.key" }"#,
        upstream: "protocol = \"h2\"",
        ..Added::default()
    };
    let gateway = crate::time::timed_at(&format!("http://{}", framed.address()), pki.path(), added);
    let streams = Streams::connect(&gateway, &pki);
    let awaited = streams.send(events());
    let mut asked = framed.next();
    let mut answer = asked.head(200, &[("content-type", "text/event-stream")]);
    let mut body = streams.head(awaited).expect("a head").into_body();
    for event in ["data: one\n\n", ": still here\n\n"] {
        answer.send_data(Bytes::from_static(event.as_bytes()), false).expect("it is awaited");
        assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), event);
    }
}
