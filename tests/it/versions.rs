//! Which HTTP a listener speaks, for how long, and what it tells browsers: HTTP/2 in plain text by prior knowledge alone,
//! connections that grow old, and `Strict-Transport-Security`.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use crate::frames::{Frames, Outcome};
use crate::peer::Played;
use crate::pki::{self, Pki, dial};
use crate::streams::{Streams, get};
use crate::time::{Added, SLACK, timed, timed_at};
use crate::upstream::Upstream;
use crate::wire::Wire;

const BOTH: &str = "protocols = [\"http/1.1\", \"h2\"]";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn in_frames(target: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", target)]
}

fn ok() -> Outcome {
    Outcome::Answer(200, "upstream-ok".into())
}

#[test]
fn a_plain_listener_may_speak_both_and_the_first_bytes_decide() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added { listener: BOTH, ..Added::default() });
    let mut frames = Frames::plain(gateway.address("public"), b"");
    for _ in 0..2 {
        assert_eq!(frames.ask(&in_frames("/two"), b"", &[]), ok());
    }
    let mut wire = gateway.connect();
    for _ in 0..2 {
        assert_eq!(wire.ask(GET).status, 200);
    }
    // In pieces, and nothing of it is lost.
    let mut wire = gateway.connect();
    for byte in b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n" {
        wire.send([*byte]);
    }
    assert_eq!(wire.answer().status, 501);
    let seen = upstream.seen();
    assert_eq!(
        seen.iter().map(|seen| seen.header("via")).collect::<Vec<_>>(),
        [Some("2.0 vidgate"), Some("2.0 vidgate"), Some("1.1 vidgate"), Some("1.1 vidgate")]
    );
    assert!(seen.iter().all(|seen| seen.header("x-forwarded-proto") == Some("http")));
}

#[test]
fn a_preface_that_does_not_end_has_the_time_of_a_head() {
    let gateway = timed(&Upstream::start(), Added { listener: BOTH, ..Added::default() });
    for begun in [&PREFACE[..0], &PREFACE[..10], PREFACE] {
        let mut wire = gateway.connect();
        wire.send(begun);
        gateway.settle("public");
        gateway.pass(Duration::from_secs(9));
        let _ = wire.is_quiet();
        gateway.pass(Duration::from_secs(1) + SLACK);
        // Settings are all that was said.
        assert!(!wire.rest().starts_with(b"HTTP/1.1"));
    }
}

#[test]
fn in_plain_text_a_listener_speaks_http_1_alone_unless_it_says_otherwise() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added::default());
    let mut wire = gateway.connect();
    wire.send([PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat());
    let rest = wire.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{rest:?}");
    let gateway = timed(&upstream, Added { listener: "protocols = [\"h2\"]", ..Added::default() });
    let mut wire = gateway.connect();
    wire.send(GET);
    assert!(!wire.rest().windows(5).any(|window| window == b"HTTP/"));
    assert_eq!(Frames::plain(gateway.address("public"), b"").ask(&in_frames("/"), b"", &[]), ok());
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn nobody_comes_to_http_2_by_an_upgrade() {
    let upstream = Upstream::start();
    for listener in ["", BOTH] {
        let gateway = timed(&upstream, Added { listener, ..Added::default() });
        let mut wire = gateway.connect();
        let answer = wire.ask(
            "GET /case HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        );
        assert_eq!((answer.status, answer.header("upgrade")), (200, None));
        // What would be the tunnel is no request, and nothing of it goes on.
        wire.send([PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat());
        let rest = wire.rest();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{rest:?}");
        let last = upstream.seen().pop().expect("it was sent");
        assert_eq!((last.header("upgrade"), last.header("http2-settings")), (None, None));
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn http_2_may_stand_behind_a_proxy_header() {
    let upstream = Upstream::start();
    let listener = format!("{BOTH}\nproxy_protocol = [\"127.0.0.1\"]");
    let gateway = timed(&upstream, Added { listener: &listener, ..Added::default() });
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.7 4660 443\r\n";
    assert_eq!(Frames::plain(gateway.address("public"), header).ask(&in_frames("/"), b"", &[]), ok());
    assert_eq!(upstream.only().header("x-forwarded-for"), Some("192.0.2.1"));
}

#[test]
fn over_tls_what_is_spoken_is_what_is_offered() {
    let (pki, upstream) = (Pki::new(), Upstream::start());
    pki.issue("a", &["localhost"]);
    for (protocols, offered, expected) in [
        ("", &["h2", "http/1.1"][..], Some(Some("h2"))),
        ("protocols = [\"http/1.1\"]", &["h2", "http/1.1"], Some(Some("http/1.1"))),
        ("protocols = [\"http/1.1\"]", &["h2"], None),
        ("protocols = [\"h2\"]", &["h2", "http/1.1"], Some(Some("h2"))),
        ("protocols = [\"h2\"]", &["http/1.1"], None),
        ("protocols = [\"h2\"]", &[], Some(None)),
    ] {
        let listener = format!("{protocols}\ntls = {{ certificate = 'a.pem', key = 'a.key' }}");
        let added = Added { listener: &listener, ..Added::default() };
        let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), added);
        let secure = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(offered)));
        let agreed = secure.map(|secure| secure.conn.alpn_protocol().map(<[u8]>::to_vec)).ok();
        assert_eq!(agreed, expected.map(|name| name.map(|name| name.as_bytes().to_vec())), "{protocols} {offered:?}");
        if expected == Some(None) {
            let mut secure = dial(gateway.address("public"), "localhost", &Arc::new(pki.client(offered))).expect("TLS");
            let answer = pki::ask(&mut secure, "localhost").unwrap_or_default();
            assert_eq!(answer, "", "HTTP/1 is not spoken");
        }
    }
}

const OLD: &str = "timeouts = { age = \"60s\" }";
const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn an_old_connection_ends_where_nothing_is_in_flight() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added { listener: OLD, ..Added::default() });
    let mut wire = gateway.connect();
    assert_eq!(wire.ask(GET).status, 200);
    gateway.pass(MINUTE.saturating_sub(Duration::from_secs(1)));
    let answer = wire.ask(GET);
    assert_eq!((answer.status, answer.header("connection")), (200, None), "not before its time");
    gateway.pass(Duration::from_secs(1) + SLACK);
    assert!(wire.is_closed());
}

#[test]
fn an_old_connection_finishes_what_is_in_flight() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { listener: OLD, ..Added::default() });
    let mut wire = gateway.connect();
    gateway.settle("public");
    gateway.pass(Duration::from_secs(9));
    wire.send(GET);
    let (mut peer, _) = played.next_head();
    gateway.pass(Duration::from_secs(51) + SLACK);
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = wire.last_answer();
    assert_eq!((answer.status, answer.header("connection"), answer.text()), (200, Some("close"), "ok"));
}

#[test]
fn an_old_connection_in_frames_says_so_and_finishes_its_streams() {
    let (pki, played) = (Pki::new(), Played::start());
    pki.issue("a", &["localhost"]);
    let listener = format!("{OLD}\ntls = {{ certificate = 'a.pem', key = 'a.key' }}");
    let added = Added { listener: &listener, ..Added::default() };
    let gateway = timed_at(&format!("http://{}", played.upstream.address()), pki.path(), added);
    let mut streams = Streams::connect(&gateway, &pki);
    let waiting = streams.send(get("/waiting"));
    let (mut peer, _) = played.next_head();
    gateway.pass(Duration::from_secs(50));
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let mut body = streams.head(waiting).expect("a head").into_body();
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "hello");
    gateway.pass(Duration::from_secs(10) + SLACK);
    peer.say("world");
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), "world");
    assert!(streams.piece(&mut body).is_none());
    streams.ended();
}

#[test]
fn every_answer_over_tls_tells_browsers_to_stay_with_it() {
    let (pki, name) = (Pki::new(), "strict-transport-security");
    pki.issue("a", &["localhost"]);
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=0\r\nContent-Length: 2\r\n\r\nok".into()
    });
    let added = Added {
        listener: "hsts = \"365d\"\ntls = { certificate = 'a.pem', key = 'a.key' }",
        route: "[listener.plain]\naddress = '127.0.0.1:0'\n[[route]]\nname = 'plain'\nlisteners = ['plain']\n\
                path = '/plain'\nauthenticate = 'open'\nforward = 'api'",
        ..Added::default()
    };
    let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), added);
    let client = Arc::new(pki.client(&["http/1.1"]));
    for (target, status) in [("/", 200), ("/%00", 400), ("/../a", 400)] {
        let mut secure = dial(gateway.address("public"), "localhost", &client).expect("TLS");
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut secure, request.as_bytes()).expect("it can be sent");
        let mut answer = String::new();
        let _ = secure.read_to_string(&mut answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        let said: Vec<_> = answer.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(said, ["strict-transport-security: max-age=31536000"], "{target}");
    }
    let answer = Streams::connect(&gateway, &pki).ask(get("/"));
    assert_eq!(answer.headers.get_all(name).iter().collect::<Vec<_>>(), ["max-age=31536000"]);
    let mut plain = Wire::connect(gateway.address("plain"));
    assert_eq!(plain.ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n").header(name), None);
}
