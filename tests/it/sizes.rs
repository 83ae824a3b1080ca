//! How much of a request is too much: told before anything is sent upstream wherever that can be known.

use crate::house::{TestGateway, open};
use crate::stranger::Face::{Bare, Problem};
use crate::stranger::House;
use crate::upstream::Upstream;

#[test]
fn a_head_that_is_too_large_is_refused() {
    let house = House::open();
    let long = |length: usize| "a".repeat(length);
    let fields = |count: usize| (0..count).fold(String::new(), |all, number| all + &format!("X-{number}: y\r\n"));
    for (what, head) in [
        ("a field of 33 KiB", format!("X: {}\r\n", long(33 * 1024))),
        ("a name of 33 KiB", format!("{}: y\r\n", long(33 * 1024))),
        ("a token of 100 KiB", format!("Authorization: Bearer {}\r\n", long(100 * 1024))),
        ("many fields of 1 KiB", format!("X: {}\r\n", long(1024)).repeat(40)),
        ("101 fields", fields(100)),
        ("10,000 fields", fields(10_000)),
    ] {
        house.refuses(what, format!("GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n"), 431, Bare);
    }
    let taken = house.send(format!("GET /after HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(99))).answer();
    assert_eq!(taken.status, 200, "100 fields: {taken:?}");
    let taken = house.send(format!("GET /after HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(31 * 1024))).answer();
    assert_eq!(taken.status, 200, "31 KiB: {taken:?}");
}

#[test]
fn a_head_that_never_ends_is_refused_as_soon_as_it_is_too_large() {
    let house = House::open();
    let mut wire = house.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for _ in 0..40 {
        wire.send("a".repeat(1024));
    }
    assert_eq!(wire.last_answer().status, 431);
    house.has_let_nothing_through("a head without an end");
}

#[test]
fn a_target_that_is_too_long_is_refused() {
    let house = House::open();
    for (what, target) in [
        ("a path", format!("/{}", "a".repeat(8 * 1024))),
        ("a query", format!("/?{}", "a".repeat(8 * 1024))),
        ("an absolute target", format!("http://a/{}", "a".repeat(8 * 1024))),
    ] {
        house.refuses(what, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, Problem);
    }
    let longest = format!("/{}", "a".repeat(8 * 1024 - 1));
    assert_eq!(house.send(format!("GET {longest} HTTP/1.1\r\nHost: a\r\n\r\n")).answer().status, 200);
    assert_eq!(house.upstream.seen().last().expect("it was sent").target, longest);
}

#[test]
fn a_target_longer_than_a_whole_head_is_refused_as_a_head() {
    House::open().refuses("40 KiB", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(40 * 1024)), 431, Bare);
}

#[test]
fn a_listener_may_bear_less() {
    let upstream = Upstream::start();
    let toml = open(&upstream, "").replace(
        "address = \"127.0.0.1:0\"",
        "address = \"127.0.0.1:0\"\nmax_head = \"16 KiB\"\nmax_target = \"300 B\"",
    );
    let house = House { gateway: TestGateway::alone(&toml), upstream };
    house.refuses("a head", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(16 * 1024)), 431, Bare);
    house.refuses("a target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(300)), 414, Problem);
}

#[test]
fn an_announced_body_that_is_too_large_is_refused_before_the_upstream_is_touched() {
    let house = House::with("max_body = \"1 KiB\"");
    for length in ["1025", "100000", "9223372036854775807"] {
        let raw =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        house.refuses(length, raw, 413, Problem);
    }
    let most = format!("POST /after HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n{}", "a".repeat(1024));
    assert_eq!(house.send(most).answer().status, 200);
}

#[test]
fn a_chunked_body_is_cut_off_where_it_becomes_too_large() {
    let house = House::with("max_body = \"1 KiB\"");
    let chunk = format!("200\r\n{}\r\n", "a".repeat(512));
    let head = "POST /after HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(house.send(format!("{head}{chunk}{chunk}0\r\n\r\n")).answer().status, 200);
    let head = head.replace("/after", "/large");
    let mut wire = house.send(format!("{head}{chunk}"));
    house.upstream.await_head("/large");
    wire.send(format!("{chunk}1\r\na\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = wire.last_answer();
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(house.upstream.broken_off().target, "/large");
    assert_eq!(house.gateway.connect().ask("GET /after HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert!(house.upstream.seen().iter().all(|request| request.target == "/after"));
}

#[test]
fn what_stands_around_chunks_is_bounded_too() {
    let long = "a".repeat(100 * 1024);
    for (what, body) in [
        ("an extension", format!("5;{long}\r\nhello\r\n0\r\n\r\n")),
        ("an extension of the last chunk", format!("5\r\nhello\r\n0;{long}\r\n\r\n")),
        ("many extensions", format!("1;{}\r\na\r\n", "b".repeat(1000)).repeat(100) + "0\r\n\r\n"),
        ("a trailer", format!("5\r\nhello\r\n0\r\nX: {long}\r\n\r\n")),
        ("many trailers", format!("5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(10_000))),
    ] {
        let house = House::open();
        let head = "POST /case HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(house.send(format!("{head}{body}")).last_answer().status, 400, "{what}");
        assert_eq!(house.gateway.connect().ask("GET /after HTTP/1.1\r\nHost: a\r\n\r\n").status, 200, "{what}");
        assert_eq!(house.upstream.only().target, "/after", "{what}");
    }
}
