//! Connections to an upstream that are kept: used again, given up, and never the cause of a wrong answer.

use std::time::Duration;

use crate::house::{TestGateway, open};
use crate::peer::{Peer, Played};
use crate::ports::Reserved;
use crate::processes;
use crate::time::{Added, SLACK, timed};
use crate::upstream::Upstream;
use crate::wire::Wire;

/// Asks for `target` and answers it with its own name on `peer`.
fn exchange(wire: &mut Wire, peer: &mut Peer, target: &str) {
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(peer.head().target, target);
    peer.say(named(target));
    assert_eq!(wire.answer().text(), target);
}

/// The same on a connection that is made for it.
fn exchange_anew(wire: &mut Wire, played: &Played, target: &str) -> Peer {
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let (mut peer, request) = played.next_head();
    assert_eq!(request.target, target);
    peer.say(named(target));
    assert_eq!(wire.answer().text(), target);
    peer
}

fn named(target: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len())
}

#[test]
fn one_connection_serves_callers_one_after_another() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added::default());
    for _ in 0..3 {
        let mut wire = gateway.connect();
        for body in ["", "Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"] {
            let end = if body.is_empty() { "\r\n" } else { "" };
            assert_eq!(wire.ask(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}{end}")).status, 200);
        }
    }
    assert_eq!(upstream.seen().iter().map(|request| request.connection).collect::<Vec<_>>(), [0; 9]);
}

#[test]
fn requests_at_the_same_time_have_connections_of_their_own_and_the_last_used_is_taken_first() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    one.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut first, _) = played.next_head();
    let mut second = exchange_anew(&mut two, &played, "/2");
    first.say(named("/1"));
    assert_eq!(one.answer().text(), "/1");
    exchange(&mut two, &mut first, "/3");
    two.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.head().target, "/4");
    exchange(&mut one, &mut second, "/5");
}

#[test]
fn no_more_are_kept_than_the_upstream_is_allowed() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { upstream: "idle_connections = 1", ..Added::default() });
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    one.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut first, _) = played.next_head();
    let mut second = exchange_anew(&mut two, &played, "/2");
    first.say(named("/1"));
    assert_eq!(one.answer().text(), "/1");
    assert!(first.is_closed(), "there was room for one");
    exchange(&mut one, &mut second, "/3");
}

#[test]
fn an_unused_connection_is_kept_for_its_time_and_no_longer() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { upstream: "timeouts = { idle = \"55s\" }", ..Added::default() });
    let mut peer = exchange_anew(&mut gateway.connect(), &played, "/1");
    gateway.pass(Duration::from_secs(54));
    exchange(&mut gateway.connect(), &mut peer, "/2");
    gateway.pass(Duration::from_secs(54));
    exchange(&mut gateway.connect(), &mut peer, "/3");
    gateway.pass(Duration::from_secs(55) + SLACK);
    assert!(peer.is_closed());
    exchange_anew(&mut gateway.connect(), &played, "/4");
}

#[test]
fn a_connection_that_the_upstream_ends_is_not_used_again() {
    for fields in
        ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nConnection: X-A, Close"]
    {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut peer, _) = played.next_head();
        peer.say(format!("{fields}\r\nContent-Length: 2\r\n\r\nok"));
        assert_eq!(wire.answer().text(), "ok");
        exchange_anew(&mut wire, &played, "/2");
        assert!(peer.is_closed(), "{fields}");
    }
}

#[test]
fn a_request_on_a_connection_that_went_stale_is_sent_on_a_new_one() {
    let post = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let mut peer = exchange_anew(&mut wire, &played, "/1");
    // Many times, because the gateway may learn of the end at any point of its way to using the connection again.
    for (request, body) in [("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", ""), (post, "hello")].repeat(50) {
        // Closed just before it would be used again: nothing was sent on it.
        peer.leave();
        wire.send(request);
        peer = played.next();
        let received = peer.request();
        assert_eq!((received.target.as_str(), received.body.as_slice()), ("/2", body.as_bytes()));
        peer.say(named("/2"));
        assert_eq!(wire.answer().text(), "/2");
        assert!(played.is_left_alone(), "it was sent once");
    }
}

#[test]
fn a_request_is_sent_again_exactly_if_the_upstream_saw_nothing_of_it() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let (mut busy, mut wire) = (gateway.connect(), gateway.connect());
    let mut peer = exchange_anew(&mut wire, &played, "/1");
    for round in 0..40 {
        // The worker has its hands full, and finds the request and the end of the kept connection at once.
        busy.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
        wire.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        peer.finish();
        if peer.rest().is_empty() {
            peer = played.next();
            assert_eq!(peer.request().body, b"hello", "{round}");
            peer.say(named("/2"));
            assert_eq!(wire.answer().text(), "/2", "{round}");
        } else {
            assert_eq!(wire.answer().status, 502, "{round}");
            wire = gateway.connect();
            peer = exchange_anew(&mut wire, &played, "/1");
        }
        assert!(played.is_left_alone(), "{round}");
        assert!((0..50).all(|_| busy.answer().status == 204));
    }
}

#[test]
fn a_request_that_was_sent_is_not_sent_again() {
    for kept in [true, false] {
        for request in
            ["GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"]
        {
            let played = Played::start();
            let gateway = timed(&played.upstream, Added::default());
            let mut wire = gateway.connect();
            let peer = kept.then(|| exchange_anew(&mut wire, &played, "/1"));
            wire.send(request);
            let mut peer = peer.unwrap_or_else(|| played.next());
            assert_eq!(peer.request().target, "/2");
            drop(peer);
            assert_eq!(wire.answer().status, 502);
            // The next request shows that nothing else was on its way.
            exchange_anew(&mut wire, &played, "/3");
            assert!(played.is_left_alone());
        }
    }
}

#[test]
fn a_stale_connection_to_an_upstream_that_is_down_is_an_answer_of_502() {
    let port = Reserved::new();
    let (listener, endpoint) = (port.listen(), format!("http://{}", port.address()));
    let gateway = crate::time::timed_at(&endpoint, std::path::Path::new("."), Added::default());
    let mut wire = gateway.connect();
    wire.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut peer = Peer::new(listener.accept().expect("the gateway connects").0);
    assert_eq!(peer.head().target, "/1");
    drop(listener);
    processes::settle();
    peer.say(named("/1"));
    assert_eq!(wire.answer().text(), "/1");
    peer.leave();
    assert_eq!(wire.ask("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").status, 502);
}

#[test]
fn what_follows_an_answer_reaches_nobody() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (what, request, answer, text) in [
        ("a second answer", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("one behind chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("one behind nothing", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("one behind 204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("one behind 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n", ""),
        ("a body of HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n", ""),
        ("stray bytes", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n\r\n", "ok"),
    ] {
        let played = Played::start();
        let gateway = timed(&played.upstream, Added::default());
        let mut wire = gateway.connect();
        wire.send(format!("{request} /1 HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (mut peer, _) = played.next_head();
        // In one piece, so that the gateway holds both before it can give the first away.
        peer.say(format!("{answer}{EVIL}"));
        let head = wire.head();
        if request == "GET" {
            assert_eq!(wire.body(head).text(), text, "{what}");
        }
        exchange_anew(&mut wire, &played, "/2");
        assert!(peer.is_closed(), "{what}");
    }
}

#[test]
fn bytes_on_an_unused_connection_end_it() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added::default());
    let mut wire = gateway.connect();
    let mut peer = exchange_anew(&mut wire, &played, "/1");
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    assert!(peer.is_closed());
    exchange_anew(&mut wire, &played, "/2");
}

#[test]
fn endpoints_take_turns_and_share_no_connection() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let endpoints = format!("http://{}\", \"http://{}", one.address(), two.address());
    let gateway = crate::time::timed_at(&endpoints, std::path::Path::new("."), Added::default());
    let mut wire = gateway.connect();
    for _ in 0..4 {
        assert_eq!(wire.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    }
    for upstream in [one, two] {
        assert_eq!(upstream.seen().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0]);
    }
}

#[test]
fn many_callers_at_once_get_their_own_answers() {
    let upstream = Upstream::answering(|request| named(&request.target).into_bytes());
    let gateway = TestGateway::open(&upstream);
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let mut wire = gateway.connect();
            scope.spawn(move || {
                for turn in 0..50 {
                    let target = format!("/{caller}/{turn}");
                    assert_eq!(wire.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).text(), target);
                }
            });
        }
    });
    assert_eq!(upstream.seen().len(), 800);
}

#[test]
fn an_endpoint_that_is_down_costs_no_request() {
    let upstream = Upstream::start();
    let gone = Reserved::new();
    let toml = open(&upstream, "").replace("endpoints = [", &format!("endpoints = [\"http://{}\", ", gone.address()));
    let gateway = TestGateway::start(&toml);
    for _ in 0..4 {
        // A body is sent to the second endpoint whole: the first has not seen a byte of it.
        let answer = gateway.connect().ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(answer.status, 200);
    }
    assert!(upstream.seen().iter().all(|request| request.body == b"body"));
}
