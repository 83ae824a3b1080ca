//! Bodies in both directions: piece by piece, as large as they come, at the pace of the slower side; and what happens
//! when one side answers early or leaves.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crate::house::TestGateway;
use crate::patience::PATIENCE;
use crate::peer::Played;
use crate::time::{Added, timed};
use crate::upstream::Upstream;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LARGE: usize = 64 * 1024 * 1024;

/// Bytes that tell where they stand: no shift and no loss goes unnoticed.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    let words = from / 8..(from + length).div_ceil(8);
    words.flat_map(usize::to_be_bytes).collect()
}

const PIECE: usize = 64 * 1024;

fn write_pattern(mut socket: TcpStream) {
    for at in (0..LARGE).step_by(PIECE) {
        socket.write_all(&pattern(at, PIECE)).expect("the other side reads on");
    }
}

fn read_pattern(mut take: impl FnMut(usize) -> Vec<u8>) {
    for at in (0..LARGE).step_by(PIECE) {
        assert!(take(PIECE) == pattern(at, PIECE), "the piece at {at} is another");
    }
}

#[test]
fn pieces_pass_both_ways_as_they_come() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(peer.take_text(8), "3\r\none\r\n");
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().status, 200);
    for (up, down) in [("4\r\nmore\r\n", "2\r\nup\r\n"), ("1\r\nx\r\n", "5\r\nhello\r\n"), ("0\r\n\r\n", "0\r\n\r\n")] {
        wire.send(up);
        assert_eq!(peer.take_text(up.len()), up);
        peer.say(down);
        assert_eq!(wire.take(down.len()), down.as_bytes());
    }
    wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().target, "/2");
    peer.say(OK);
    assert_eq!(wire.answer().text(), "ok");
}

#[test]
fn a_large_body_goes_up_and_another_comes_down() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    let sending = wire.socket();
    let upload = thread::spawn(|| write_pattern(sending));
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("content-length"), Some(LARGE.to_string().as_str()));
    peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
    let answering = peer.socket();
    let download = thread::spawn(|| write_pattern(answering));
    let upstream = thread::spawn(move || read_pattern(|length| peer.take(length)));
    let head = wire.head();
    assert_eq!((head.status, head.header("content-length")), (200, Some(LARGE.to_string().as_str())));
    read_pattern(|length| wire.take(length));
    upstream.join().expect("the upload is whole");
    upload.join().expect("the upload was taken");
    download.join().expect("the answer was taken");
    assert_eq!(wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
}

#[test]
fn the_slower_side_holds_the_faster_one_back() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    // An answer that nobody reads, and an upload that nobody takes: neither is taken in by the house.
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    assert!(taken_until_it_stalls(peer.socket()) < LARGE);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let _peer = played.next_head();
    assert!(taken_until_it_stalls(wire.socket()) < LARGE);
}

/// Writes until nothing is taken for a moment; says how many bytes were.
pub fn taken_until_it_stalls(socket: TcpStream) -> usize {
    let (stalled, seen) = channel();
    thread::spawn(move || write_pattern_past_a_stall(socket, &stalled));
    seen.recv_timeout(PATIENCE).expect("it stalls")
}

/// Writes the whole pattern, and tells at which byte it stalled for a moment, first or last.
fn write_pattern_past_a_stall(mut socket: TcpStream, stalled: &Sender<usize>) {
    socket.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    let mut at = 0;
    while at < LARGE {
        // A piece may be taken in part: what follows begins at any byte.
        let start = at / 8 * 8;
        match socket.write(&pattern(start, PIECE.min(LARGE - start))[at - start..]) {
            Ok(length) => at += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => stalled.send(at).unwrap_or_default(),
            Err(_) => return,
        }
    }
    stalled.send(at).unwrap_or_default();
}

#[test]
fn a_reader_that_comes_back_gets_every_byte() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
    let answering = peer.socket();
    let (stalled, seen) = channel();
    let download = thread::spawn(move || write_pattern_past_a_stall(answering, &stalled));
    let at = seen.recv_timeout(PATIENCE).expect("it stalls");
    assert!(at < LARGE, "all of it was taken in");
    assert_eq!(wire.head().status, 200);
    read_pattern(|length| wire.take(length));
    download.join().expect("the answer was taken");
}

#[test]
fn an_answer_before_the_body_was_read_reaches_the_caller() {
    for round in 0..40 {
        let played = Played::start();
        let gateway = TestGateway::open(&played.upstream);
        let mut wire = gateway.connect();
        wire.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
        let mut sending = wire.socket();
        let upload = thread::spawn(move || while sending.write_all(&pattern(0, PIECE)).is_ok() {});
        let (mut peer, _) = played.next_head();
        peer.take(PIECE);
        peer.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo long");
        // With bytes unread this is a reset.
        drop(peer);
        let answer = wire.answer();
        assert_eq!((answer.status, answer.text()), (413, "too long"), "{round}");
        assert!(wire.is_closed(), "the rest of the body is nobody's");
        drop(wire);
        upload.join().expect("it ends");
    }
}

#[test]
fn an_upstream_that_answers_early_and_reads_on_loses_nothing() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let (mut peer, _) = played.next_head();
    assert_eq!(peer.take_text(5), "hello");
    peer.say("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().status, 202);
    wire.send("world");
    assert_eq!(peer.take_text(5), "world");
    wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut next, request) = played.next_head();
    assert_eq!(request.target, "/2");
    next.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    assert_eq!(wire.answer().text(), "2");
}

#[test]
fn an_early_answer_on_a_kept_connection_goes_on_beside_its_upload() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say(OK);
    assert_eq!(wire.answer().text(), "ok");
    for _ in 0..2 {
        wire.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        assert_eq!(peer.head().target, "/2");
        assert_eq!(peer.take_text(5), "hello");
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        assert_eq!(wire.head().status, 200);
        peer.say("half");
        assert_eq!(wire.take(4), b"half");
        wire.send("world");
        assert_eq!(peer.take_text(5), "world");
        // Both have ended: the connection is good for the next one.
        peer.say("done");
        assert_eq!(wire.take(4), b"done");
    }
    assert!(played.is_left_alone());
}

#[test]
fn a_caller_who_leaves_takes_the_request_back() {
    for (what, request, answer) in [
        ("before the head", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (
            "in a body with a length",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx",
        ),
        (
            "in chunks",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        ),
        ("in an upload", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", ""),
        ("in chunks of an upload", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", ""),
    ] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        wire.send(request);
        let (mut peer, _) = played.next_head();
        if !answer.is_empty() {
            peer.say(answer);
            wire.head();
            wire.take(1);
        }
        drop(wire);
        assert!(peer.is_closed(), "{what}");
        // What was left half done is nobody else's.
        let mut wire = gateway.connect();
        wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut next, request) = played.next_head();
        assert_eq!(request.target, "/2");
        next.say(OK);
        assert_eq!(wire.answer().text(), "ok", "{what}");
    }
}

#[test]
fn a_broken_off_upload_never_looks_whole_to_the_upstream() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
    let (mut peer, _) = played.next_head();
    assert_eq!(peer.take_text(7), "2\r\nhe\r\n");
    wire.send("nonsense\r\n");
    assert_eq!(peer.rest(), b"");
    assert_eq!(wire.answer().status, 400);
    assert!(wire.is_closed());
}

#[test]
fn a_caller_in_http_1_0_gets_chunks_as_a_stream_to_the_end() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".into()
    });
    let gateway = TestGateway::open(&upstream);
    let mut wire = gateway.connect();
    let answer = wire.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((answer.version.as_str(), answer.header("transfer-encoding")), ("HTTP/1.0", None));
    assert_eq!(answer.text(), "hello world");
    assert!(wire.is_closed());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let upstream = Upstream::answering(|request| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", request.target.len(), request.target).into_bytes()
    });
    let gateway = TestGateway::open(&upstream);
    let mut wire = gateway.connect();
    wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    for expected in ["/1", "/2", "/3"] {
        assert_eq!(wire.answer().text(), expected);
    }
    let targets: Vec<_> = upstream.seen().into_iter().map(|request| (request.target, request.body)).collect();
    assert_eq!(targets, [("/1".into(), vec![]), ("/2".into(), b"abc".to_vec()), ("/3".into(), vec![])]);
}
