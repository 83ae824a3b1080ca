//! WebSocket through the gateway: nothing passes before the upstream's own 101, everything behind it does, and whatever
//! ends a tunnel says so between two frames.

use std::io::{Read as _, Write as _};
use std::thread;
use std::time::Duration;

use http::{Method, Request};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vidgate::scheme::Lapse;
use vidgate::store::Resource;

use crate::house::{TestGateway, open};
use crate::peer::{Peer, Played};
use crate::standing::{Ground, lkey};
use crate::streams::{Pieces, Streams};
use crate::time::SLACK;
use crate::upstream::Received;
use crate::wire::{Answer, Wire};

/// RFC 6455 §1.3
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const WEBSOCKET: &str = "websocket = { idle = \"60s\", lifetime = \"1h\" }";

const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];
const POLICY_VIOLATION: [u8; 4] = [0x88, 2, 0x03, 0xf0];

fn handshake(more: &str) -> String {
    format!("GET /live HTTP/1.1\r\nHost: a\r\n{more}{UPGRADE}\r\n")
}

/// A tunnel, open for both.
fn tunnel(ground: &Ground, credential: &str) -> (Wire, Peer, Received, Answer) {
    let mut wire = ground.gateway.connect();
    wire.send(handshake(credential));
    let (mut peer, request) = ground.played.next_head();
    peer.say(format!("{SWITCHED}\r\n"));
    let answer = wire.head();
    assert_eq!(answer.status, 101);
    (wire, peer, request, answer)
}

fn opened(ground: &Ground) -> (Wire, Peer) {
    let (wire, peer, ..) = tunnel(ground, &lkey("first-key"));
    (wire, peer)
}

fn passes(wire: &mut Wire, peer: &mut Peer) {
    wire.send(b"\x81\x82mask\x05\x08");
    assert_eq!(peer.take(8), b"\x81\x82mask\x05\x08");
    peer.say(b"\x81\x02hi");
    assert_eq!(wire.take(4), b"\x81\x02hi");
}

#[test]
fn bytes_pass_both_ways_once_the_upstream_has_switched() {
    let ground = Ground::new(WEBSOCKET);
    let (mut wire, mut peer, request, answer) = tunnel(&ground, &lkey("first-key"));
    for (name, expected) in [
        ("connection", Some("Upgrade")),
        ("upgrade", Some("websocket")),
        ("sec-websocket-key", Some(KEY)),
        ("sec-websocket-version", Some("13")),
        ("authorization", None),
        ("x-vidgate-subject", Some("license_key:main")),
    ] {
        assert_eq!(request.header(name), expected, "{name}");
    }
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/live"));
    for (name, expected) in [
        ("connection", Some("Upgrade")),
        ("upgrade", Some("websocket")),
        ("sec-websocket-accept", Some(ACCEPT)),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(answer.header(name), expected, "{name}");
    }
    passes(&mut wire, &mut peer);
    // Frames are nobody's business until the tunnel has to close: these are none.
    let all: Vec<u8> = (0..10_usize << 20).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
    for down in [false, true] {
        let (mut from, mut to) = (wire.socket(), peer.socket());
        if down {
            std::mem::swap(&mut from, &mut to);
        }
        let sent = all.clone();
        let sending = thread::spawn(move || from.write_all(&sent).expect("it is taken"));
        let mut came = vec![0; all.len()];
        to.read_exact(&mut came).expect("it arrives");
        sending.join().expect("it was sent");
        assert!(came == all);
    }
    peer.finish();
    assert!(wire.is_closed());
    assert!(peer.is_closed());
}

#[test]
fn what_a_caller_sends_ahead_waits_for_the_upstreams_word() {
    let ground = Ground::new(WEBSOCKET);
    let mut wire = ground.gateway.connect();
    wire.send(handshake(&lkey("first-key")) + "\u{1}ahead");
    let (mut peer, _) = ground.played.next_head();
    assert!(peer.is_quiet(), "nothing passes before it");
    peer.say(format!("{SWITCHED}\r\nbehind"));
    assert_eq!(peer.take(6), b"\x01ahead");
    assert_eq!(wire.head().status, 101);
    assert_eq!(wire.take(6), b"behind");
}

#[test]
fn an_upstream_that_does_not_switch_answers_as_ever() {
    let ground = Ground::new(WEBSOCKET);
    let mut wire = ground.gateway.connect();
    wire.send(handshake(&lkey("first-key")));
    let (mut peer, _) = ground.played.next_head();
    peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.text(), answer.header("upgrade")), (403, "no", None));
    wire.send(format!("GET /next HTTP/1.1\r\nHost: a\r\n{}\r\n", lkey("first-key")));
    assert_eq!(peer.head().target, "/next");
}

#[test]
fn a_switch_to_anything_else_is_no_switch() {
    let ground = Ground::new(WEBSOCKET);
    for (what, said) in [
        ("another protocol", SWITCHED.replace("Upgrade: websocket", "Upgrade: h2c")),
        ("two protocols", SWITCHED.replace("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c")),
        ("nobody is told", SWITCHED.replace("Connection: Upgrade\r\n", "")),
        ("a body", format!("{SWITCHED}Content-Length: 5\r\n")),
        ("chunks", format!("{SWITCHED}Transfer-Encoding: chunked\r\n")),
        ("HTTP/1.0", SWITCHED.replace("HTTP/1.1", "HTTP/1.0")),
    ] {
        let mut wire = ground.gateway.connect();
        wire.send(handshake(&lkey("first-key")));
        let (mut peer, _) = ground.played.next_head();
        peer.say(format!("{said}\r\n"));
        assert_eq!(wire.answer().status, 502, "{what}");
        assert!(peer.is_closed(), "{what}");
    }
}

#[test]
fn whoever_is_not_let_in_reaches_no_upstream() {
    let ground = Ground::new(&format!("{WEBSOCKET}\norigin = {{ hosts = [\"example.com\"], required = false }}"));
    let key = lkey("first-key");
    for (what, request, status) in [
        ("nobody", handshake(""), 401),
        ("a stranger", handshake(&lkey("no-key")), 401),
        ("another page", handshake(&format!("{key}Origin: https://example.org\r\n")), 403),
        ("another version", handshake(&key).replace("13", "8"), 400),
        ("no version", handshake(&key).replace("Sec-WebSocket-Version: 13\r\n", ""), 400),
        ("no key", handshake(&key).replace(KEY, "short"), 400),
        ("another method", handshake(&key).replace("GET /live", "DELETE /live"), 400),
        ("a body", handshake(&format!("{key}Content-Length: 5\r\n")), 400),
    ] {
        assert_eq!(ground.gateway.connect().ask(request).status, status, "{what}");
        assert!(ground.played.is_left_alone(), "{what}");
    }
    let (mut wire, mut peer, ..) = tunnel(&ground, &format!("{key}Origin: https://www.example.com\r\n"));
    passes(&mut wire, &mut peer);
}

#[test]
fn where_it_is_not_let_through_and_for_other_protocols_the_upgrade_goes_no_further() {
    for (route, more) in [("", UPGRADE.to_owned()), (WEBSOCKET, UPGRADE.replace("websocket", "h2c"))] {
        let ground = Ground::new(route);
        let mut wire = ground.gateway.connect();
        wire.send(format!("GET /live HTTP/1.1\r\nHost: a\r\n{}{more}\r\n", lkey("first-key")));
        let (mut peer, request) = ground.played.next_head();
        assert_eq!((request.header("upgrade"), request.header("connection")), (None, None));
        peer.say(format!("{SWITCHED}\r\n"));
        assert_eq!(wire.answer().status, 502);
    }
}

#[test]
fn a_tunnel_in_which_nothing_is_said_ends_and_so_does_one_that_lasts_too_long() {
    let ground = Ground::new(WEBSOCKET);
    let (mut wire, mut peer) = opened(&ground);
    ground.gateway.pass(Duration::from_secs(59));
    passes(&mut wire, &mut peer);
    ground.gateway.pass(Duration::from_secs(59));
    peer.say(b"\x82\x01x");
    assert_eq!(wire.take(3), b"\x82\x01x");
    ground.gateway.pass(Duration::from_mins(1) + SLACK);
    assert_eq!(wire.take(4), GOING_AWAY);
    assert!(wire.is_closed() && peer.is_closed());

    let (mut wire, mut peer) = opened(&ground);
    for _ in 0..60 {
        ground.gateway.pass(Duration::from_secs(59));
        passes(&mut wire, &mut peer);
    }
    ground.gateway.pass(Duration::from_mins(1) + SLACK);
    assert_eq!(wire.take(4), GOING_AWAY);
    assert!(wire.is_closed() && peer.is_closed());
}

#[test]
fn a_caller_who_would_be_let_in_no_longer_is_told_so() {
    let ground = Ground::new(WEBSOCKET);
    let (mut other, mut others, ..) = tunnel(&ground, &lkey("other-key"));
    let (mut wire, mut peer) = opened(&ground);
    // In the middle of a frame, which comes to its end first.
    peer.say(b"\x82\x05he");
    assert_eq!(wire.take(4), b"\x82\x05he");
    let (mut silent, mut stuck) = opened(&ground);
    stuck.say(b"\x82\x05he");
    assert_eq!(silent.take(4), b"\x82\x05he");
    ground.delete(Resource::LicenseKey, "main");
    peer.say(b"llo\x82\x01x");
    let rest = wire.rest();
    assert!(
        rest == [b"llo".as_slice(), &POLICY_VIOLATION].concat()
            || rest == [b"llo\x82\x01x".as_slice(), &POLICY_VIOLATION].concat(),
        "{rest:?}"
    );
    assert!(peer.is_closed());
    // A frame that does not end is waited for only so long.
    assert!(silent.is_closed() && stuck.is_closed());
    assert_eq!(ground.gateway.endings().of(Lapse::Revoked), 2);
    passes(&mut other, &mut others);
}

#[test]
fn a_drain_closes_tunnels_between_two_frames() {
    let ground = Ground::new(WEBSOCKET);
    let (mut wire, mut peer) = opened(&ground);
    let (mut quiet, mut silent) = opened(&ground);
    peer.say(b"\x82\x7e\x01\x00");
    assert_eq!(wire.take(4), b"\x82\x7e\x01\x00");
    let Ground { gateway, .. } = ground;
    let draining = thread::spawn(|| gateway.drain());
    assert_eq!(quiet.take(4), GOING_AWAY);
    peer.say([b'x'; 256]);
    assert_eq!(wire.take(256), [b'x'; 256]);
    assert_eq!(wire.take(4), GOING_AWAY);
    assert!(wire.is_closed() && quiet.is_closed() && peer.is_closed() && silent.is_closed());
    drop((wire, quiet));
    assert!(draining.join().expect("it ends"), "in time");
}

#[test]
fn an_upstream_that_has_closed_is_not_closed_once_more() {
    let ground = Ground::new(WEBSOCKET);
    let (mut wire, mut peer) = opened(&ground);
    peer.say(b"\x88\x02\x03\xe8");
    assert_eq!(wire.take(4), b"\x88\x02\x03\xe8");
    ground.delete(Resource::LicenseKey, "main");
    assert!(wire.is_closed() && peer.is_closed());
}

#[test]
fn a_caller_who_has_said_all_still_hears_the_upstream() {
    let ground = Ground::new(WEBSOCKET);
    let (mut wire, mut peer) = opened(&ground);
    wire.send(b"last");
    wire.finish();
    assert_eq!(peer.rest(), b"last");
    peer.say(b"\x81\x03bye").finish();
    assert_eq!(wire.rest(), b"\x81\x03bye");
}

#[test]
fn a_tunnel_counts_as_under_way_until_it_has_ended() {
    let ground =
        Ground::new(&format!("{WEBSOCKET}\nlimits = [\"one\"]\n[limit.one]\nper = \"account\"\nconcurrency = 1"));
    let (mut wire, mut peer) = opened(&ground);
    assert_eq!(ground.gateway.connect().ask(handshake(&lkey("first-key"))).status, 429);
    passes(&mut wire, &mut peer);
    peer.finish();
    assert!(wire.is_closed());
    drop(wire);
    assert!(peer.is_closed());
    let (mut wire, mut peer) = opened(&ground);
    passes(&mut wire, &mut peer);
}

#[test]
fn a_tunnel_outlasts_the_configuration_that_it_began_under() {
    let played = Played::start();
    let toml = open(&played.upstream, "websocket = true");
    let gateway = TestGateway::alone(&toml);
    let mut wire = gateway.connect();
    wire.send(handshake(""));
    let (mut peer, _) = played.next_head();
    peer.say(format!("{SWITCHED}\r\n"));
    assert_eq!(wire.head().status, 101);
    gateway.adopt(&open(&played.upstream, ""));
    passes(&mut wire, &mut peer);
}

/// An extended CONNECT (RFC 8441).
fn connect(protocol: &'static str) -> Request<Pieces> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri("https://localhost/live")
        .header("authorization", "LKey first-key")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "ignored")
        .body(Pieces::none())
        .expect("a request");
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

/// What answers the key of a request.
fn accepted(request: &Received) -> String {
    use base64::Engine as _;
    use sha1::{Digest as _, Sha1};
    let key = request.header("sec-websocket-key").expect("a key");
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    SWITCHED.replace(ACCEPT, &base64::engine::general_purpose::STANDARD.encode(digest)) + "\r\n"
}

/// A connection on which the caller knows what the house takes.
fn streams(ground: &Ground) -> Streams {
    let streams = Streams::connect(&ground.gateway, &ground.pki);
    assert_eq!(streams.ask(crate::streams::get("/")).status, 401);
    streams
}

#[test]
fn a_stream_of_http_2_is_a_tunnel_as_well() {
    let ground = Ground::secure(WEBSOCKET);
    let streams = streams(&ground);
    let begin = || {
        let awaited = streams.send(connect("websocket"));
        let (mut peer, request) = ground.played.next_head();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/live"));
        assert_eq!((request.header("upgrade"), request.header("connection")), (Some("websocket"), Some("Upgrade")));
        peer.say(accepted(&request));
        let answer = streams.head(awaited).expect("a head");
        assert_eq!((answer.status().as_u16(), answer.headers().get("sec-websocket-accept")), (200, None));
        let stream = streams.wait(hyper::upgrade::on(answer)).expect("a tunnel");
        (TokioIo::new(stream), peer)
    };
    let ((mut one, mut first), (mut two, mut second)) = (begin(), begin());
    for (stream, peer) in [(&mut one, &mut first), (&mut two, &mut second)] {
        streams.wait(stream.write_all(b"up")).expect("taken");
        assert_eq!(peer.take(2), b"up");
        peer.say(b"\x81\x02hi");
        let mut came = [0; 4];
        streams.wait(stream.read_exact(&mut came)).expect("it arrives");
        assert_eq!(&came, b"\x81\x02hi");
    }
    first.finish();
    assert_eq!(streams.wait(one.read(&mut [0; 8])).expect("an end"), 0);
    // The connection has no other request, and is not idle for that.
    ground.gateway.pass(Duration::from_secs(59));
    ground.delete(Resource::LicenseKey, "main");
    let mut came = Vec::new();
    streams.wait(two.read_to_end(&mut came)).expect("an end");
    assert_eq!(came, POLICY_VIOLATION);
    assert!(second.is_closed());
}

#[test]
fn a_drain_closes_tunnels_of_http_2_too() {
    let ground = Ground::secure(WEBSOCKET);
    let streams = streams(&ground);
    let awaited = streams.send(connect("websocket"));
    let (mut peer, request) = ground.played.next_head();
    peer.say(accepted(&request));
    let answer = streams.head(awaited).expect("a head");
    let mut stream = TokioIo::new(streams.wait(hyper::upgrade::on(answer)).expect("a tunnel"));
    let Ground { gateway, .. } = ground;
    let draining = thread::spawn(|| gateway.drain());
    let mut came = Vec::new();
    streams.wait(stream.read_to_end(&mut came)).expect("an end");
    assert_eq!(came, GOING_AWAY);
    drop((stream, streams));
    assert!(draining.join().expect("it ends"), "in time");
}

#[test]
fn in_http_2_only_a_switch_of_ours_is_a_tunnel() {
    let ground = Ground::secure(WEBSOCKET);
    let streams = streams(&ground);
    for (what, said, status) in [
        ("another key", format!("{SWITCHED}\r\n"), 502),
        ("no switch", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), 502),
        ("refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno".to_owned(), 403),
    ] {
        let awaited = streams.send(connect("websocket"));
        let (mut peer, _) = ground.played.next_head();
        peer.say(said);
        assert_eq!(streams.whole(awaited).expect("an answer").status, status, "{what}");
    }
    assert_eq!(streams.ask(connect("connect-udp")).status, 501);
    let mut request = connect("websocket");
    request.headers_mut().remove("authorization");
    assert_eq!(streams.ask(request).status, 401);
    assert!(ground.played.is_left_alone());
}

#[test]
fn in_http_2_a_route_that_does_not_let_it_through_refuses_it() {
    let ground = Ground::secure(
        "[[route]]\nname = \"live\"\nlisteners = [\"public\"]\npath = \"/live/ws\"\nauthenticate = \"open\"\nforward = \"api\"\nwebsocket = true",
    );
    assert_eq!(streams(&ground).ask(connect("websocket")).status, 501);
    assert!(ground.played.is_left_alone());
}
