//! Another configuration while requests are in flight: each is answered by the one that it entered with.

use crate::house::TestGateway;
use crate::peer::Played;
use crate::upstream::Upstream;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A configuration with these listeners, the first of which stands last in the file, and one route to `upstream`.
fn world(upstream: &Upstream, listeners: &[&str]) -> String {
    let listener = |name: &&str| format!("[listener.{name}]\naddress = \"127.0.0.1:0\"\n");
    let listeners: String = listeners.iter().rev().map(listener).collect();
    let upstream = upstream.address();
    format!(
        r#"
{listeners}
[upstream.api]
endpoints = ["http://{upstream}"]
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
"#
    )
}

#[test]
fn a_request_keeps_the_world_that_it_entered_with_and_its_connection_does_not() {
    let (before, after) = (Played::start(), Upstream::start());
    let mut gateway = TestGateway::start(&world(&before.upstream, &["public", "other"]));
    let mut wire = gateway.connect();
    wire.send(GET);
    let (mut peer, _) = before.next_head();
    // The other way round in the file: a connection's listener is known by its name.
    gateway.adopt(&world(&after, &["other", "public"]));
    peer.say(OK);
    assert_eq!(wire.answer().text(), "ok");
    assert_eq!(wire.ask(GET).text(), "upstream-ok");
    assert_eq!(gateway.connect().ask(GET).text(), "upstream-ok");
    assert!(before.is_left_alone());
}

#[test]
fn connections_of_a_listener_that_is_no_more_end_with_what_is_in_flight_on_them() {
    let (before, after) = (Played::start(), Upstream::start());
    let mut gateway = TestGateway::start(&world(&before.upstream, &["public", "other"]));
    let (mut idle, mut busy, mut other) = (gateway.connect(), gateway.connect(), gateway.connect_to("other"));
    busy.send(GET);
    let (mut peer, _) = before.next_head();
    gateway.adopt(&world(&after, &["other"]));
    assert!(idle.is_closed());
    peer.say(OK);
    let last = busy.answer();
    assert_eq!((last.text(), last.header("connection")), ("ok", Some("close")));
    assert!(busy.is_closed());
    assert_eq!(other.ask(GET).text(), "upstream-ok", "that one stays");
}
