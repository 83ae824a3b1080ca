//! A worker that has enough to do: what comes beyond it is refused at once, in the words of the listener.

use crate::peer::Played;
use crate::time::{Added, timed};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_too_many_is_503_at_once_and_its_connection_goes_on() {
    let played = Played::start();
    let (top, listener) = ("[overload]\nmax_in_flight = 1", "dialect = \"message\"");
    let gateway = timed(&played.upstream, Added { top, listener, ..Added::default() });
    let (mut first, mut second) = (gateway.connect(), gateway.connect());
    first.send(GET);
    let (mut peer, _) = played.next_head();
    let refused = second.ask(GET);
    assert_eq!((refused.status, refused.header("retry-after"), refused.header("connection")), (503, Some("1"), None));
    assert!(refused.text().contains("\"Message\":"), "in the listener's dialect: {}", refused.text());
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
    let head = first.head();
    assert_eq!(second.ask(GET).status, 503, "the answer is under way still");
    peer.say("ok");
    assert_eq!(first.body(head).text(), "okok");
    second.send(GET);
    assert_eq!(peer.head().target, "/");
    peer.say(OK);
    assert_eq!(second.answer().text(), "ok");
}
