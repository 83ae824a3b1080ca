//! One line a request, however it ends.

use std::time::Duration;

use crate::house::{TestGateway, open};
use crate::log::Log;
use crate::peer::Played;

#[test]
fn a_caller_who_leaves_before_the_answer_has_a_line() {
    let log = Log::shared();
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let mut wire = gateway.connect();
    wire.send("GET /left/early HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    drop(wire);
    assert!(peer.is_closed());
    let line = log.await_line(&["\"path\":\"/left/early\""]);
    assert!(line.contains("\"decision\":\"abandoned\",\"status\":499,"), "{line}");
    assert!(line.contains("\"route\":\"all\""), "{line}");
}

#[test]
fn a_question_after_the_house_itself_has_a_line() {
    let log = Log::shared();
    let played = Played::start();
    let gateway = TestGateway::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", open(&played.upstream, "")));
    let ask = "OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Request-Id: a-ping-of-this-test\r\n\r\n";
    assert_eq!(gateway.connect().ask(ask).status, 204);
    let line = log.await_line(&["\"request_id\":\"a-ping-of-this-test\""]);
    assert!(
        line.contains("\"method\":\"OPTIONS\"") && line.contains("\"decision\":\"house\",\"status\":204"),
        "{line}"
    );
}

#[test]
fn a_streamed_answer_has_its_line_at_its_end_with_all_that_passed() {
    let log = Log::shared();
    let played = Played::start();
    let gateway = TestGateway::alone(&open(&played.upstream, ""));
    let mut wire = gateway.connect();
    let head = "POST /streamed/answer HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let (whole, cut) = (wire.send(head), "GET /cut/answer HTTP/1.1\r\nHost: a\r\n\r\n");
    whole.send("four");
    let mut peer = played.next();
    assert_eq!(peer.request().target, "/streamed/answer");
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(whole.head().status, 200);
    whole.until(b"first");
    assert!(!log.text().contains("/streamed/answer"), "the line is written at the end");
    gateway.advance(Duration::from_millis(250));
    peer.say("other");
    whole.until(b"other");
    let line = log.await_line(&["\"path\":\"/streamed/answer\""]);
    let end = "\"duration_us\":250000,\"bytes_in\":4,\"bytes_out\":10,\"end\":\"complete\"}";
    assert!(line.ends_with(end) && line.contains("\"upstream_us\":0,"), "{line}");
    // One that the upstream breaks off, and one that the caller leaves.
    wire.send(cut);
    peer.head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    wire.head();
    drop(peer);
    let line = log.await_line(&["\"path\":\"/cut/answer\""]);
    assert!(line.ends_with("\"bytes_out\":5,\"end\":\"broken\"}"), "{line}");
    let mut wire = gateway.connect();
    wire.send("GET /left/answer HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
    wire.until(b"first");
    drop(wire);
    let line = log.await_line(&["\"path\":\"/left/answer\""]);
    assert!(line.ends_with("\"bytes_out\":5,\"end\":\"left\"}"), "{line}");
}

#[test]
fn what_could_be_a_secret_stands_in_no_line() {
    let log = Log::shared();
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    let (secret, drawn) = ("hunter3hunter3", "9c176b1d244c484ed65dd792abc7");
    for target in [
        format!("/nowhere/%00?x={secret}"),
        format!("/hidden?signature={secret}&a=1"),
        format!("/hidden?x=anybody:{drawn}"),
        format!("/share.{drawn}.x/hidden?{secret}"),
    ] {
        let mut wire = gateway.connect();
        let field = format!("Authorization: Basic {secret}\r\nReferer: https://{secret}@a.test/?{secret}");
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        if target.contains("%00") {
            wire.ask(head);
        } else {
            wire.send(head);
            played.next_head().0.say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            wire.answer();
        }
    }
    assert_eq!(gateway.connect().ask(format!("{secret} / HTTP/1.1\r\nHost: a\r\n\r\n")).status, 501);
    let id = gateway.connect().ask("BREW / HTTP/1.1\r\nHost: a\r\n\r\n").header("x-request-id").map(str::to_owned);
    log.await_line(&["\"query\":\"signature=***&a=1\"", "\"decision\":\"allowed\""]);
    log.await_line(&["\"path\":\"/***/hidden\"", "\"query\":\"***\""]);
    log.await_line(&[&format!("\"request_id\":\"{}\"", id.expect("every answer has one")), "\"method\":\"BREW\""]);
    drop(gateway);
    log.await_line(&["\"method\":\"***\""]);
    assert!(!log.text().contains(secret) && !log.text().contains(drawn), "{}", log.text());
}
