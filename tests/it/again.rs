//! Upstreams in HTTP/2 are borne with as those in HTTP/1.1 are: what failed is sent once more where that is allowed,
//! endpoints are asked how they are, and connections outlast another configuration that leaves them as they are.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use h2::Reason;
use h2::server::Builder;
use rustls::{ServerConnection, StreamOwned};

use crate::framed::{Asked, Framed, Order, server_config};
use crate::house::TestGateway;
use crate::log::Log;
use crate::pki::Pki;
use crate::upstream::{Upstream, read_request};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// A configuration with these endpoints, and `more` in the table of their upstream.
fn toml(endpoints: &[String], more: &str) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = {endpoints:?}
{more}

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
"#
    )
}

fn start(upstreams: &[&Framed], more: &str) -> TestGateway {
    let endpoints: Vec<_> = upstreams.iter().map(|upstream| format!("http://{}", upstream.address())).collect();
    TestGateway::start_in(&toml(&endpoints, &format!("protocol = \"h2\"\n{more}")), Path::new("."), 1)
}

/// What an upstream does to a request; what is returned is to be held until that has come of it.
type Deed = fn(Asked) -> Option<Asked>;

const FAILURES: [(&str, Deed); 4] = [
    ("reset", |asked| {
        asked.refuse(Reason::INTERNAL_ERROR);
        None
    }),
    ("broken", |asked| {
        asked.order(Order::Break);
        Some(asked)
    }),
    ("given up", |asked| {
        asked.order(Order::Abort(Reason::INTERNAL_ERROR));
        Some(asked)
    }),
    ("unavailable", |mut asked| {
        asked.bare(503, &[]);
        None
    }),
];

#[test]
fn what_means_the_same_twice_is_sent_once_more_after_a_failure() {
    for (what, deed) in FAILURES {
        let upstream = Framed::start();
        let gateway = start(&[&upstream], "retry = {}");
        let mut wire = gateway.connect();
        wire.send(GET);
        let held = deed(upstream.next());
        upstream.next().answer("again");
        assert_eq!(wire.answer().text(), "again", "{what}");
        drop(held);
        // And no third time.
        wire.send(GET);
        let held = [(); 2].map(|()| deed(upstream.next()));
        assert!(wire.answer().status >= 502, "{what}");
        assert!(upstream.is_left_alone(), "{what}");
        drop(held);
    }
}

#[test]
fn what_might_be_done_twice_is_not_sent_again() {
    for (what, deed) in FAILURES {
        let upstream = Framed::start();
        let gateway = start(&[&upstream], "retry = { attempts = 5 }");
        for request in [POST, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"] {
            let mut wire = gateway.connect();
            wire.send(request);
            let _held = deed(upstream.next());
            assert!(wire.answer().status >= 502, "{what}: {request}");
        }
        assert!(upstream.is_left_alone(), "{what}");
    }
}

#[test]
fn what_was_refused_unseen_is_sent_once_more_whatever_it_is_and_then_under_the_budget() {
    let upstream = Framed::start();
    let gateway = start(&[&upstream], "retry = { attempts = 3 }");
    for (request, times) in [(POST, 2), (GET, 4)] {
        let mut wire = gateway.connect();
        wire.send(request);
        (0..times).for_each(|_| upstream.next().refuse(Reason::REFUSED_STREAM));
        assert_eq!(wire.answer().status, 502, "{request}");
        assert!(upstream.is_left_alone(), "{request}");
    }
}

#[test]
fn retries_are_no_more_than_the_budget_has() {
    let upstream = Framed::start();
    let gateway = start(&[&upstream], "retry = { budget = \"1%\" }\nejection = { failures = 1000 }");
    let mut wire = gateway.connect();
    // Ten to begin with.
    for number in 0..12 {
        wire.send(GET);
        upstream.next().bare(503, &[]);
        if number < 10 {
            upstream.next().answer("again");
        }
        assert_eq!(wire.answer().status, if number < 10 { 200 } else { 503 }, "{number}");
    }
    assert!(upstream.is_left_alone());
}

#[test]
fn another_endpoint_gets_what_the_first_one_failed() {
    let (one, other) = (Framed::start(), Framed::start());
    let gateway = start(&[&one, &other], "retry = {}");
    let mut wire = gateway.connect();
    wire.send(GET);
    let failed = AtomicBool::new(false);
    thread::scope(|scope| {
        let failed = &failed;
        // Each gets it once, whichever is the first.
        let played = [one, other].map(|upstream| {
            scope.spawn(move || {
                let mut asked = upstream.next();
                if failed.swap(true, Ordering::SeqCst) {
                    asked.answer("from the other");
                } else {
                    asked.bare(503, &[]);
                }
                upstream
            })
        });
        assert_eq!(wire.answer().text(), "from the other");
        // Till here they are there.
        drop(played.map(|upstream| upstream.join().expect("it was asked")));
    });
}

#[test]
fn endpoints_in_http_2_are_asked_how_they_are_in_http_2() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    for tls in [false, true] {
        let config = tls.then(|| server_config(&pki, "up", b"h2"));
        let upstream = Framed::with(&Builder::new(), config);
        let port = upstream.address().port();
        let endpoint = if tls { format!("https://localhost:{port}") } else { format!("http://localhost:{port}") };
        let more = "protocol = \"h2\"\nca = \"ca.pem\"\nwhen_all_out = \"refuse\"\n\
                    health = { path = \"/healthz?x=1\", host = \"health.internal\", unhealthy = 1, healthy = 1, timeout = \"1m\" }";
        let more = if tls { more.to_owned() } else { more.replace("ca = \"ca.pem\"\n", "") };
        let log = Log::shared();
        let gateway = TestGateway::start_in(&toml(std::slice::from_ref(&endpoint), &more), pki.path(), 1);
        let mut asked = upstream.next();
        let (uri, scheme) = (asked.request.uri(), if tls { "https" } else { "http" });
        assert_eq!(uri.to_string(), format!("{scheme}://health.internal/healthz?x=1"));
        assert_eq!((asked.request.method().as_str(), asked.header("user-agent")), ("GET", Some("vidgate-health")));
        asked.bare(500, &[]);
        log.await_line(&[&endpoint, "not well", "500"]);
        let mut wire = gateway.connect();
        assert_eq!(wire.ask(GET).status, 502, "tls: {tls}");
        // Ten seconds are enough for the next question, be it a tenth late.
        gateway.advance(Duration::from_secs(12));
        upstream.next().bare(204, &[]);
        log.await_line(&[&endpoint, "well again"]);
        wire.send(GET);
        upstream.next().answer("ok");
        assert_eq!(wire.answer().text(), "ok", "tls: {tls}");
    }
}

#[test]
fn an_endpoint_that_does_not_agree_to_http_2_is_not_well() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    let upstream = Framed::with(&Builder::new(), Some(server_config(&pki, "up", b"http/1.1")));
    let endpoint = format!("https://localhost:{}", upstream.address().port());
    let log = Log::shared();
    let more = "protocol = \"h2\"\nca = \"ca.pem\"\nhealth = { path = \"/\", unhealthy = 1 }";
    let _gateway = TestGateway::start_in(&toml(std::slice::from_ref(&endpoint), more), pki.path(), 1);
    log.await_line(&[&endpoint, "not well"]);
    assert!(upstream.is_left_alone());
}

/// An upstream in HTTP/1.1 over TLS, which answers everything with this status.
fn in_lines(pki: &Pki, status: &Arc<AtomicU16>) -> Upstream {
    let (config, status) = (server_config(pki, "up", b"http/1.1"), Arc::clone(status));
    Upstream::raw(move |stream, _| {
        let session = ServerConnection::new(Arc::clone(&config)).expect("a session can begin");
        let mut reader = BufReader::new(StreamOwned::new(session, stream));
        while read_request(&mut reader, true).is_some() {
            let answer = format!("HTTP/1.1 {} X\r\nContent-Length: 2\r\n\r\nok", status.load(Ordering::SeqCst));
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn endpoints_with_tls_are_asked_how_they_are() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    let status = Arc::new(AtomicU16::new(503));
    let upstream = in_lines(&pki, &status);
    let endpoint = format!("https://localhost:{}", upstream.address().port());
    let log = Log::shared();
    let more = "ca = \"ca.pem\"\nwhen_all_out = \"refuse\"\nhealth = { path = \"/\", unhealthy = 1, healthy = 1, timeout = \"1m\" }";
    let gateway = TestGateway::start_in(&toml(std::slice::from_ref(&endpoint), more), pki.path(), 1);
    log.await_line(&[&endpoint, "not well", "503"]);
    status.store(200, Ordering::SeqCst);
    let mut wire = gateway.connect();
    assert_eq!(wire.ask(GET).status, 502);
    gateway.advance(Duration::from_secs(12));
    log.await_line(&[&endpoint, "well again"]);
    assert_eq!(wire.ask(GET).text(), "ok");
}

#[test]
fn connections_in_http_2_outlast_a_configuration_that_leaves_them_as_they_are() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    for tls in [false, true] {
        let upstream = Framed::with(&Builder::new(), tls.then(|| server_config(&pki, "up", b"h2")));
        let port = upstream.address().port();
        let endpoint = if tls { format!("https://localhost:{port}") } else { format!("http://localhost:{port}") };
        let more = if tls { "protocol = \"h2\"\nca = \"ca.pem\"" } else { "protocol = \"h2\"" };
        let configuration = |more: &str| toml(std::slice::from_ref(&endpoint), more);
        let gateway = TestGateway::start_in(&configuration(more), pki.path(), 1);
        let mut wire = gateway.connect();
        let mut connection = |what: &str| {
            wire.send(GET);
            let asked = upstream.next();
            let connection = asked.connection;
            asked.answer("ok");
            assert_eq!(wire.answer().text(), "ok", "{what}");
            connection
        };
        assert_eq!(connection("the first"), 0);
        // One that is under way is not disturbed.
        let mut beside = gateway.connect();
        beside.send(GET);
        let under_way = upstream.next();
        gateway.adopt_in(&configuration(&format!("{more}\nbalance = \"least_in_flight\"")), pki.path());
        assert_eq!(connection("another policy"), 0, "tls: {tls}");
        under_way.answer("before");
        assert_eq!(beside.answer().text(), "before");
        gateway.adopt_in(&configuration(&format!("{more}\ntimeouts = {{ connect = \"4s\" }}")), pki.path());
        assert_eq!(connection("another patience"), 1, "tls: {tls}");
        if tls {
            let named = format!("{more}\ntimeouts = {{ connect = \"4s\" }}\nserver_name = \"localhost\"");
            gateway.adopt_in(&configuration(&named), pki.path());
            assert_eq!(connection("a name"), 2);
            let (ca, other) = (pki.path().join("ca.pem"), Pki::new());
            let both = [&ca, &other.path().join("ca.pem")].map(|path| std::fs::read_to_string(path).expect("text"));
            std::fs::write(&ca, both.concat()).expect("written");
            gateway.adopt_in(&configuration(&named), pki.path());
            assert_eq!(connection("another authority beside"), 3);
            gateway.adopt_in(&configuration(&named), pki.path());
            assert_eq!(connection("the same"), 3);
            std::fs::write(&ca, &both[0]).expect("written");
        }
    }
}

#[test]
fn connections_with_tls_outlast_a_configuration_that_trusts_and_presents_the_same() {
    let pki = Pki::new();
    pki.issue("up", &["localhost"]);
    pki.issue("own", &[]);
    let upstream = in_lines(&pki, &Arc::new(AtomicU16::new(200)));
    let endpoint = format!("https://localhost:{}", upstream.address().port());
    let configuration = |more: &str| toml(std::slice::from_ref(&endpoint), &format!("ca = \"ca.pem\"\n{more}"));
    let gateway = TestGateway::start_in(&configuration(""), pki.path(), 1);
    let mut wire = gateway.connect();
    let mut connections = || {
        assert_eq!(wire.ask(GET).text(), "ok");
        upstream.connections()
    };
    assert_eq!((connections(), connections()), (1, 1));
    gateway.adopt_in(&configuration("balance = \"least_in_flight\""), pki.path());
    assert_eq!(connections(), 1);
    let own = "client_certificate = \"own.pem\"\nclient_key = \"own.key\"";
    gateway.adopt_in(&configuration(own), pki.path());
    assert_eq!(connections(), 2, "it presents something now");
    gateway.adopt_in(&configuration(own), pki.path());
    assert_eq!(connections(), 2);
    pki.issue("own", &[]);
    gateway.adopt_in(&configuration(own), pki.path());
    assert_eq!(connections(), 3, "something else in the same file");
}
