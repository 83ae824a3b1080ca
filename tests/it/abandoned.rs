//! Callers in HTTP/2 who ask for much and take little: a stream that takes nothing of its answer, and streams that are
//! given up before they are answered.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::frames::{Frames, House, Outcome};
use crate::patience::PATIENCE;
use crate::peer::Peer;
use crate::time::SLACK;
use crate::upstream::Upstream;

/// A listener whose connections end as soon as time moves, beside the one route.
const PROBE: &str =
    "listeners = [\"public\"]\n[listener.probe]\naddress = '127.0.0.1:0'\ntimeouts = { idle = \"1ms\" }";
const INITIAL_WINDOW_SIZE: u8 = 4;

fn get(target: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", target)]
}

/// A house in front of an upstream that the test plays.
fn played() -> (House, Receiver<TcpStream>) {
    let (sender, arrivals) = channel();
    (House::around(Upstream::raw(move |stream, _| sender.send(stream).unwrap_or_default()), PROBE), arrivals)
}

/// A stream without any room, to which the upstream has begun to answer.
fn without_room() -> (House, Frames, u32, Peer) {
    let (house, arrivals) = played();
    let mut frames = house.connect_with("localhost", &[(INITIAL_WINDOW_SIZE, 0)]);
    let stream = frames.begin(&get("/"), true);
    let mut peer = Peer::new(arrivals.recv_timeout(PATIENCE).expect("the gateway connects"));
    peer.head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello");
    assert_eq!(frames.status(stream), Some(200));
    (house, frames, stream, peer)
}

#[test]
fn a_stream_that_takes_nothing_of_its_answer_ends_its_connection_in_time() {
    let (house, mut frames, _, mut peer) = without_room();
    house.gateway.pass(Duration::from_secs(29));
    assert!(frames.ping(), "not before its time");
    house.gateway.pass(Duration::from_secs(1) + SLACK);
    assert!(!frames.ping(), "a sign of life is not enough");
    assert!(peer.is_closed(), "the upstream does not wait either");
}

#[test]
fn a_stream_that_takes_nothing_of_a_refusal_ends_its_connection_in_time() {
    let house = House::with(PROBE);
    let mut frames = house.connect_with("localhost", &[(INITIAL_WINDOW_SIZE, 0)]);
    let stream = frames.begin(&get("/%00"), true);
    assert_eq!(frames.status(stream), Some(400));
    house.gateway.pass(Duration::from_secs(29));
    assert!(frames.ping(), "not before its time");
    house.gateway.pass(Duration::from_secs(1) + SLACK);
    assert!(!frames.ping());
}

#[test]
fn a_stream_that_has_made_room_has_the_time_of_its_upstream() {
    let (house, mut frames, stream, mut peer) = without_room();
    house.gateway.pass(Duration::from_secs(29));
    frames.widen(stream, 10);
    assert!(frames.ping());
    house.gateway.pass(Duration::from_secs(55));
    assert!(frames.ping(), "it is the upstream that is slow");
    // This fills the room, and the next piece finds none.
    peer.say("world");
    frames.data_of(stream, 5);
    peer.say("more");
    house.gateway.pass(Duration::from_secs(60 + 30) + SLACK);
    assert!(peer.is_closed(), "the upstream does not wait for ever");
}

/// Begins a request and takes it back; whether the connection goes on.
fn abandon(frames: &mut Frames) -> bool {
    let stream = frames.begin(&get("/abandoned"), true);
    // Only then it is certain that the gateway has begun with it.
    let begun = frames.ping();
    frames.cancel(stream);
    begun && frames.ping()
}

#[test]
fn a_connection_that_abandons_all_its_requests_ends_after_a_hundred() {
    let (house, _arrivals) = played();
    let mut frames = house.connect("localhost");
    let ended = (0..300).find(|_| !abandon(&mut frames)).expect("it ends");
    // The last sign of life may overtake the end.
    assert!((100..=101).contains(&ended), "after {ended}");
    assert!(house.upstream.connections() <= 102);
}

#[test]
fn a_connection_may_abandon_more_when_it_takes_more() {
    let house = House::around(
        Upstream::answering(|request| match request.target.as_str() {
            "/taken" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into(),
            // An interim answer, and never a final one.
            _ => "HTTP/1.1 102 Processing\r\n\r\n".into(),
        }),
        PROBE,
    );
    let mut frames = house.connect("localhost");
    for _ in 0..100 {
        assert_eq!(frames.ask(&get("/taken"), b"", &[]), Outcome::Answer(200, "ok".into()));
    }
    assert!((0..108).all(|_| abandon(&mut frames)), "ten more than a hundred");
    assert!((0..10).any(|_| !abandon(&mut frames)), "and no more than that");
}
