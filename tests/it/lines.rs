//! One line a request, however it ends.

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
    let line = log.await_line(&["path=\"/left/early\""]);
    assert!(line.contains("status=499 cause=\"abandoned\" detail=\"the caller left before the answer\""), "{line}");
    assert!(line.contains("route=\"all\""), "{line}");
}

#[test]
fn a_question_after_the_house_itself_has_a_line() {
    let log = Log::shared();
    let played = Played::start();
    let gateway = TestGateway::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", open(&played.upstream, "")));
    let ask = "OPTIONS * HTTP/1.1\r\nHost: a\r\nX-Request-Id: a-ping-of-this-test\r\n\r\n";
    assert_eq!(gateway.connect().ask(ask).status, 204);
    let line = log.await_line(&["request_id=a-ping-of-this-test"]);
    assert!(line.contains("method=\"OPTIONS\"") && line.contains("status=204"), "{line}");
}
