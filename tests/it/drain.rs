//! The house's own beginning and end: as many connections as it may have, a drain that finishes what is in flight, and a
//! restart that can bind at once.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::house::{TestGateway, open};
use crate::patience::until;
use crate::peer::Played;
use crate::ports::Reserved;
use crate::time::{Added, timed};
use crate::upstream::Upstream;
use crate::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_connection_over_the_cap_waits_until_one_leaves() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added { listener: "max_connections = 2", ..Added::default() });
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    assert_eq!((one.ask(GET).status, two.ask(GET).status), (200, 200));
    let mut three = gateway.connect();
    three.send(GET);
    assert!(three.is_quiet(), "the house is full");
    assert_eq!((one.ask(GET).status, upstream.seen().len()), (200, 3));
    drop(two);
    assert_eq!(three.answer().status, 200);
    drop(one);
    assert_eq!(gateway.connect().ask(GET).status, 200);
}

#[test]
fn a_listeners_cap_is_its_own() {
    let gateway = timed(&Upstream::start(), Added { listener: "max_connections = 1", ..Added::default() });
    let mut wire = gateway.connect();
    assert_eq!(wire.ask(GET).status, 200);
    assert_eq!(Wire::connect(gateway.address("probe")).ask(GET).status, 404);
}

/// A gateway at this port, with one worker; `top` stands above all tables.
fn at(port: &Reserved, upstream: &Upstream, top: &str) -> TestGateway {
    let toml = open(upstream, "").replace("127.0.0.1:0", &port.address().to_string());
    TestGateway::start_in(&format!("{top}\n{toml}"), Path::new("."), 1)
}

/// Lets it drain beside the test, and returns once it has begun.
fn draining(gateway: TestGateway) -> thread::JoinHandle<bool> {
    let ready = gateway.readiness();
    let draining = thread::spawn(|| gateway.drain());
    until("the beginning of its end", || !ready.load(Ordering::Relaxed));
    draining
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_nothing_else() {
    let (played, port) = (Played::start(), Reserved::new());
    let gateway = at(&port, &played.upstream, "");
    let (mut silent, mut half, mut idle) = (gateway.connect(), gateway.connect(), gateway.connect());
    half.send("GET / HTTP/1.1\r\nHost:");
    idle.send(GET);
    let (mut kept, _) = played.next_head();
    kept.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(idle.answer().status, 200);
    let (mut waiting, mut reading, mut sending) = (gateway.connect(), gateway.connect(), gateway.connect());
    waiting.send(GET);
    assert_eq!(kept.head().target, "/");
    let mut first = kept;
    reading.send(GET);
    let (mut second, _) = played.next_head();
    second.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let reading_head = reading.head();
    sending.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let (mut third, _) = played.next_head();
    assert_eq!(third.take_text(5), "hello");

    let clock = gateway.clock.clone();
    let draining = draining(gateway);
    port.await_silence();
    assert!(idle.is_closed(), "nothing was in flight on it");
    assert!(half.is_quiet() && silent.is_quiet(), "their heads may be on their way");
    until("the end of what never comes", || {
        clock.advance(Duration::from_millis(1200));
        !half.is_quiet() && !silent.is_quiet()
    });
    assert!(half.is_closed() && silent.is_closed());
    first.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = waiting.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("ok", Some("close")));
    second.say("world");
    assert_eq!(reading.body(reading_head).text(), "helloworld");
    sending.send("world");
    assert_eq!(third.take_text(5), "world");
    third.say("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(sending.answer().status, 201);
    // Our end closes first and waits, by its own clock, for theirs.
    for mut wire in [waiting, reading, sending] {
        assert!(wire.is_closed());
    }
    assert!(draining.join().expect("it ends"), "all of it ended in time");
    for peer in [&mut first, &mut second, &mut third] {
        assert!(peer.is_closed());
    }
}

#[test]
fn a_drain_answers_the_heads_that_were_on_their_way() {
    let (upstream, port) = (Upstream::start(), Reserved::new());
    let gateway = at(&port, &upstream, "");
    let (mut fresh, mut half, mut kept) = (gateway.connect(), gateway.connect(), gateway.connect());
    half.send("GET / HTTP/1.1\r\nHost:");
    assert_eq!(kept.ask(GET).status, 200);
    kept.send("GET / HTTP/1.1\r\n");
    assert!(kept.is_quiet());
    gateway.settle("public");
    let draining = draining(gateway);
    port.await_silence();
    fresh.send(GET);
    half.send(" a\r\n\r\n");
    kept.send("Host: a\r\n\r\n");
    for mut wire in [fresh, half, kept] {
        let answer = wire.answer();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
        assert!(wire.is_closed());
    }
    assert!(draining.join().expect("it ends"), "all of it ended in time");
}

#[test]
fn a_drain_waits_no_longer_than_it_is_told() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { top: "drain = \"100ms\"", ..Added::default() });
    let mut wire = gateway.connect();
    wire.send(GET);
    let (_peer, _) = played.next_head();
    let clock = gateway.clock.clone();
    let draining = draining(gateway);
    clock.advance(Duration::from_millis(100));
    assert!(!draining.join().expect("it ends"), "one request was still in flight");
}

#[test]
fn a_drain_with_nothing_in_flight_is_over_at_once() {
    let gateway = timed(&Upstream::start(), Added { top: "drain = \"20s\"", ..Added::default() });
    let mut wires: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask(GET).status, 200);
    }
    assert!(gateway.drain());
    assert!(wires.iter_mut().all(Wire::is_closed));
}

#[test]
fn a_restart_binds_the_same_port_at_once() {
    let (upstream, port) = (Upstream::start(), Reserved::new());
    let first = at(&port, &upstream, "");
    let mut wire = first.connect();
    assert_eq!(wire.ask(GET).status, 200);
    // Our end closes first, so that the port is left in TIME_WAIT.
    assert!(first.drain());
    assert!(wire.is_closed());
    let second = at(&port, &upstream, "");
    assert_eq!(second.address("public"), port.address());
    assert_eq!(second.connect().ask(GET).status, 200);
    drop(second);
    // The socket of a server that is dropped is free once its acceptor has gone.
    port.await_silence();
    assert_eq!(at(&port, &upstream, "").connect().ask(GET).status, 200);
}

#[test]
fn a_pause_longer_than_any_deadline_does_not_end_a_request_that_waits() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { upstream: "timeouts = { response = \"1h\" }", ..Added::default() });
    let mut wire = gateway.connect();
    wire.send(GET);
    let (mut peer, _) = played.next_head();
    gateway.pass(Duration::from_mins(50));
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().text(), "ok");
}

#[test]
fn a_lame_duck_says_that_it_is_not_ready_and_takes_requests_in_all_the_same() {
    let port = Reserved::new();
    let gateway = at(&port, &Upstream::start(), "lame_duck = \"2s\"");
    assert!(gateway.readiness().load(Ordering::Relaxed));
    let clock = gateway.clock.clone();
    let draining = draining(gateway);
    for left in [Duration::from_millis(1999), Duration::from_millis(1)] {
        assert_eq!(Wire::connect(port.address()).ask(GET).status, 200);
        clock.advance(left);
    }
    assert!(draining.join().expect("it ends"));
    port.await_silence();
}
