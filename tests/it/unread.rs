//! Bodies that nobody reads to their end, in HTTP/2 (threat A2): the answer is not lost to a reset that overtakes it.

use std::time::Duration;

use crate::frames::{Frames, House, Outcome};
use crate::time::SLACK;

/// At most 1 KiB for `/small`, nobody behind `/dead`; and, without TLS, what `pass` asks for.
const TERMS: &str = r#"
listeners = ["public"]

[listener.probe]
address = '127.0.0.1:0'
timeouts = { idle = "1ms" }

[[route]]
name = "small"
listeners = ["public"]
path = "/small"
authenticate = "open"
forward = "api"
max_body = "1KiB"

[upstream.dead]
endpoints = ["http://127.0.0.1:1"]

[[route]]
name = "dead"
listeners = ["public"]
path = "/dead"
authenticate = "open"
forward = "dead"
"#;

const PIECE: [u8; 10_000] = [b'x'; 10_000];

/// Begins a POST and reads its answer before the body has ended.
fn refused(frames: &mut Frames, path: &str, more: &[(&str, &str)], begun: &[u8]) -> (u32, u16) {
    let mut fields = vec![(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    fields.extend(more);
    let stream = frames.begin(&fields, false);
    if !begun.is_empty() {
        frames.data(stream, begun, false);
    }
    match frames.outcome(stream) {
        Outcome::Answer(status, _) => (stream, status),
        Outcome::Reset => panic!("{path}: reset before its answer"),
    }
}

#[test]
fn the_rest_of_a_small_body_is_taken_in_behind_its_answer() {
    let house = House::with(TERMS);
    let mut frames = house.connect("localhost");
    for (what, path, more, begun, status) in [
        ("announced as too large", "/small", &[("content-length", "20000")][..], &PIECE[..], 413),
        ("too large in its middle", "/small", &[], &PIECE[..], 413),
        ("not asked for", "/dead", &[], &[], 502),
        ("announced, and not asked for", "/dead", &[("content-length", "20000")], &PIECE[..], 502),
    ] {
        let (stream, answered) = refused(&mut frames, path, more, begun);
        assert_eq!(answered, status, "{what}");
        assert!(!frames.is_reset(stream), "{what}: behind the answer");
        frames.data(stream, &PIECE, true);
        assert!(!frames.is_reset(stream), "{what}: behind the body");
    }
}

#[test]
fn a_large_body_is_not_taken_in() {
    let house = House::with(TERMS);
    let mut frames = house.connect("localhost");
    let (announced, _) = refused(&mut frames, "/small", &[("content-length", "65537")], &[]);
    assert!(frames.is_reset(announced), "one byte too many was announced");
    let (stream, _) = refused(&mut frames, "/dead", &[], &[]);
    for _ in 0..6 {
        frames.data(stream, &PIECE, false);
    }
    assert!(!frames.is_reset(stream), "60,000 bytes have come");
    frames.data(stream, &PIECE, false);
    assert!(frames.is_reset(stream), "70,000 bytes have come");
}

#[test]
fn a_body_that_does_not_come_is_waited_for_a_second() {
    let house = House::with(TERMS);
    let mut frames = house.connect("localhost");
    let (stream, _) = refused(&mut frames, "/small", &[("content-length", "20000")], &PIECE);
    house.gateway.pass(Duration::from_millis(990));
    assert!(!frames.is_reset(stream));
    house.gateway.pass(SLACK);
    assert!(frames.is_reset(stream));
}

#[test]
fn a_body_that_waits_to_be_asked_for_is_not_waited_for() {
    let house = House::with(TERMS);
    let mut frames = house.connect("localhost");
    let expecting = [("content-length", "20000"), ("expect", "100-continue")];
    let (stream, status) = refused(&mut frames, "/small", &expecting, &[]);
    assert_eq!(status, 413);
    assert!(frames.is_reset(stream));
}
