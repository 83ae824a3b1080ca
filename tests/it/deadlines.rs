//! Everybody has their time and not a moment less: each stage of a connection ends at its deadline, and a stream that
//! moves has none.

use std::io::{ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::house::TestGateway;
use crate::patience::until;
use crate::peer::Played;
use crate::time::{Added, SLACK, timed};
use crate::upstream::Upstream;
use crate::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Holds the connection to live until a second before `limit`, and no longer than that.
fn ends_after(gateway: &TestGateway, wire: &mut Wire, limit: Duration, what: &str) {
    gateway.settle("public");
    gateway.pass(limit.saturating_sub(seconds(1)));
    assert!(wire.is_quiet(), "{what}: not before its time");
    gateway.pass(seconds(1) + SLACK);
    assert!(wire.is_closed(), "{what}");
}

#[test]
fn a_head_has_ten_seconds_from_the_start_of_the_connection() {
    let gateway = timed(&Upstream::start(), Added::default());
    for (what, begin) in [
        ("no byte", ""),
        ("a method", "GET"),
        ("half a head", "GET / HTTP/1.1\r\nHost: a\r\nX-A:"),
        ("line ends", "\r\n\r\n"),
    ] {
        let mut wire = gateway.connect();
        wire.send(begin);
        ends_after(&gateway, &mut wire, seconds(10), what);
    }
}

#[test]
fn a_head_that_dribbles_has_no_more_time() {
    let gateway = timed(&Upstream::start(), Added::default());
    let mut wire = gateway.connect();
    for piece in ["GET / HT", "TP/1.1\r\n", "Host: a\r\n"] {
        wire.send(piece);
        gateway.settle("public");
        gateway.pass(seconds(3));
    }
    wire.send("X-A: b\r\n");
    ends_after(&gateway, &mut wire, seconds(1) + SLACK, "dribbling");
}

#[test]
fn between_two_requests_there_are_75_seconds_and_then_10_for_a_head() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added::default());
    let mut wire = gateway.connect();
    assert_eq!(wire.ask(GET).status, 200);
    gateway.pass(seconds(74));
    assert_eq!(wire.ask(GET).status, 200, "the time between two requests is longer than a head's");
    gateway.pass(seconds(74));
    wire.send("GET / HTTP/1.1\r\n");
    ends_after(&gateway, &mut wire, seconds(10), "the second head");
    let mut wire = gateway.connect();
    assert_eq!(wire.ask(GET).status, 200);
    ends_after(&gateway, &mut wire, seconds(75), "idle");
    assert_eq!(upstream.seen().len(), 3);
}

#[test]
fn deadlines_are_the_listeners_own() {
    let listener = "timeouts = { header = \"3s\", idle = \"5s\", body = \"7s\" }";
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { listener, ..Added::default() });
    ends_after(&gateway, &mut gateway.connect(), seconds(3), "header");
    let mut wire = gateway.connect();
    wire.send(GET);
    played.next_head().0.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(wire.answer().status, 204);
    ends_after(&gateway, &mut wire, seconds(5), "idle");
}

#[test]
fn a_body_that_stops_coming_is_408_and_the_upstream_is_told() {
    for (framing, piece) in [("Content-Length: 10", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n")] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        wire.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        let (mut peer, _) = played.next_head();
        gateway.pass(seconds(29));
        wire.send(piece);
        assert_eq!(peer.take_text(piece.len()), piece);
        // Time counts from the last piece.
        gateway.pass(seconds(29));
        assert!(wire.is_quiet(), "not before its time");
        gateway.pass(seconds(1) + SLACK);
        let answer = wire.answer();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert!(wire.is_closed());
        assert_eq!(peer.rest(), b"", "it never looks whole");
    }
}

#[test]
fn a_body_that_stops_behind_an_early_answer_does_not_hold_the_connection_for_ever() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let (mut peer, _) = played.next_head();
    assert_eq!(peer.take_text(5), "hello");
    peer.say("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().status, 202);
    gateway.pass(seconds(75) + SLACK);
    assert!(wire.is_closed());
    assert_eq!(peer.rest(), b"");
}

#[test]
fn a_caller_who_reads_nothing_is_left_when_its_time_is_up() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send(GET);
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut pouring = peer.socket();
    pouring.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
    let (tell, told) = channel();
    let pour = thread::spawn(move || {
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        let mut rest = chunk.as_bytes();
        loop {
            match pouring.write(rest) {
                Ok(length) if length < rest.len() => rest = &rest[length..],
                Ok(_) => rest = chunk.as_bytes(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => tell.send("stalled").unwrap_or_default(),
                Err(_) => return tell.send("over").unwrap_or_default(),
            }
        }
    });
    assert_eq!(told.recv(), Ok("stalled"));
    gateway.pass(seconds(29));
    // Reading a little is enough to be given time again.
    wire.take(4 * 1024 * 1024);
    while told.try_recv().is_ok() {}
    assert_eq!(told.recv(), Ok("stalled"));
    gateway.pass(seconds(29));
    while let Ok(word) = told.try_recv() {
        assert_eq!(word, "stalled", "not before its time");
    }
    // The last stall may have begun a moment after time was moved, or was none but of the machine: then more is due.
    until("the upstream's answer to be taken from nobody", || {
        gateway.pass(seconds(30) + SLACK);
        told.recv() == Ok("over")
    });
    pour.join().expect("it ends");
}

#[test]
fn streams_that_move_outlive_every_deadline() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (mut peer, _) = played.next_head();
    // 25 seconds, and what is least in that time: 240 bytes a second.
    let piece = format!("1770\r\n{}\r\n", "u".repeat(6000));
    for _ in 0..8 {
        gateway.pass(seconds(25));
        wire.send(&piece);
        assert_eq!(peer.take_text(piece.len()), piece);
    }
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().status, 200);
    // A caller's pause and an upstream's have nothing to do with one another now.
    for _ in 0..8 {
        gateway.pass(seconds(55));
        peer.say("4\r\ndown\r\n");
        assert_eq!(wire.take(9), b"4\r\ndown\r\n");
    }
    wire.send("0\r\n\r\n");
    assert_eq!(peer.take_text(5), "0\r\n\r\n");
    peer.say("0\r\n\r\n");
    assert_eq!(wire.take(5), b"0\r\n\r\n");
}

#[test]
fn an_upstream_has_its_time_from_the_last_byte_it_was_sent() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18000\r\n\r\n");
    let (mut peer, _) = played.next_head();
    for letter in ["1", "2", "3"] {
        let piece = letter.repeat(6000);
        gateway.pass(seconds(25));
        wire.send(&piece);
        assert_eq!(peer.take_text(6000), piece);
    }
    gateway.pass(seconds(59));
    assert!(wire.is_quiet(), "not before its time");
    gateway.pass(seconds(1) + SLACK);
    assert_eq!(wire.answer().status, 504);
    assert!(peer.is_closed());
}

#[test]
fn a_body_that_trickles_is_refused() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let (mut peer, _) = played.next_head();
    // Never 30 seconds without a byte, but far from 240 bytes a second once the first 30 are over.
    for _ in 0..2 {
        gateway.pass(seconds(20));
        wire.send("x");
    }
    assert_eq!(wire.answer().status, 408);
    assert!(wire.is_closed() && peer.is_closed());
}

#[test]
fn an_upload_that_moves_keeps_its_early_answer_alive() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(wire.head().status, 200);
    // Far beyond the 60 seconds that an answer may rest: it waits for the upload, and the upload comes.
    for _ in 0..4 {
        gateway.pass(seconds(25));
        wire.send("x".repeat(10_000));
        assert_eq!(peer.take(10_000).len(), 10_000);
    }
    peer.say("done");
    assert_eq!(wire.take(4), b"done");
}

#[test]
fn an_upload_goes_on_behind_a_whole_answer() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().text(), "ok");
    // Longer than a head may take: what comes is no head.
    for _ in 0..3 {
        gateway.pass(seconds(20));
        wire.send("x".repeat(10_000));
        assert_eq!(peer.take(10_000).len(), 10_000);
    }
}

#[test]
fn a_crowd_of_slow_callers_holds_nobody_up() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added::default());
    let begun = [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A:",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ];
    let mut crowd: Vec<Wire> = (0..200).map(|_| gateway.connect()).collect();
    let mut honest = gateway.connect();
    for (number, wire) in crowd.iter_mut().enumerate() {
        wire.send(begun[number % begun.len()]);
        if number % 20 == 0 {
            assert_eq!(honest.ask(GET).status, 200);
        }
    }
    gateway.settle("public");
    // Each has its own time: those of the heads are over, and those of the bodies go on.
    gateway.pass(seconds(10) + SLACK);
    for (number, wire) in crowd.iter_mut().enumerate().filter(|(number, _)| number % begun.len() != 3) {
        assert!(wire.is_closed(), "{number}");
    }
    assert!(crowd[3].is_quiet(), "a body has more");
    assert_eq!(honest.ask(GET).status, 200);
}
