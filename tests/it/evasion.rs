//! Who is counted stays who they are, whatever they change of themselves from one request to the next; and a
//! defect costs one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vidgate::clock::UnixTime;
use vidgate::limit::ledger::{Ledger, LedgerEntry, Unreadable};

use crate::house::TestGateway;
use crate::log::Log;
use crate::pki::Pki;
use crate::streams::{Streams, get};
use crate::upstream::Upstream;
use crate::wire::Wire;

/// Two customers of SecureVideo: `one:secret` and `two:secret`.
const ONE: &str = "Basic b25lOnNlY3JldA==";
const TWO: &str = "Basic dHdvOnNlY3JldA==";

/// A customer may ask four times, and so may an address; each on a route of its own.
fn counted(upstream: &Upstream, listener: &str) -> String {
    format!(
        r#"
trusted_proxies = ["127.0.0.1"]

[listener.public]
address = "127.0.0.1:0"
{listener}

[upstream.api]
endpoints = ["http://{}"]

[scheme.api.basic]
tls_only = false

[[account]]
id = "one"
api_client = [{{ id = "one", secret = "secret" }}]

[[account]]
id = "two"
api_client = [{{ id = "two", secret = "secret" }}]

[limit.customer]
quota = "4/month"

[limit.neighbours]
quota = "4/month"
per = "address"

[[route]]
name = "customers"
path = "/api/{{*rest}}"
case_sensitive = false
authenticate = "api"
forward = "api"
limits = ["customer"]

[[route]]
name = "anybody"
path = "/open/{{*rest}}"
authenticate = "open"
forward = "api"
limits = ["neighbours"]
"#,
        upstream.address()
    )
}

#[test]
fn a_customer_is_one_whatever_changes_around_the_credential() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&counted(&upstream, ""));
    let once = |request: String| Wire::connect(gateway.address("public")).ask(request).status;
    let ways = [
        "GET /api/x HTTP/1.1\r\nHost: a",
        "GET /API/%78 HTTP/1.1\r\nHost: A:8080",
        "GET http://b./api//x?y=1 HTTP/1.1\r\nHost: b.",
        "PUT /api/z HTTP/1.0\r\nHost: c\r\nX-Forwarded-For: 198.51.100.1\r\nUser-Agent: other",
        "GET /api/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::1\r\nX-Account: two\r\nCookie: session=2",
        "DELETE /api/x HTTP/1.1\r\nHost: a\r\nForwarded: for=198.51.100.2",
    ];
    let ask = |way: &str, word: &str| once(format!("{way}\r\nAuthorization: {word}\r\n\r\n"));
    let statuses: Vec<u16> = ways.iter().map(|way| ask(way, ONE)).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    // The same credential in another spelling is the same credential.
    assert_eq!(ask(ways[0], "bAsIc  b25lOn Nl Y3JldA=="), 429);
    assert_eq!(ask(ways[0], TWO), 200);
}

#[test]
fn streams_and_connections_of_http_2_forgive_nothing() {
    let (upstream, pki) = (Upstream::start(), Pki::new());
    pki.issue("a", &["localhost"]);
    let toml = counted(&upstream, "tls = { certificate = \"a.pem\", key = \"a.key\" }");
    let gateway = TestGateway::start_in(&toml, pki.path(), 2);
    let mut statuses = Vec::new();
    for targets in [["/open/1", "/open/2"], ["/open/3?a", "/open/%34"], ["/open/5", "/open/6"]] {
        let streams = Streams::connect(&gateway, &pki);
        statuses.extend(targets.map(|target| streams.ask(get(target)).status));
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
}

#[test]
fn an_address_is_one_in_every_spelling_and_of_ipv6_it_is_the_network() {
    let gateway = TestGateway::start(&counted(&Upstream::start(), ""));
    let ask = |address: &str| {
        let request = format!("GET /open/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n");
        Wire::connect(gateway.address("public")).ask(request).status
    };
    for (of_one, of_another) in [
        (
            [
                "198.51.100.7",
                "198.51.100.7:4711",
                "::ffff:198.51.100.7",
                "[::FFFF:c633:6407]:1",
                "6.6.6.6, 198.51.100.7",
            ],
            "198.51.100.8",
        ),
        (
            ["2001:db8::1", "2001:DB8:0:0:ffff:ffff:ffff:ffff", "[2001:db8::2]:80", "2001:0db8::a:b", "2001:db8::9"],
            "2001:db8:0:1::1",
        ),
    ] {
        assert_eq!(of_one.map(ask), [200, 200, 200, 200, 429], "{of_one:?}");
        assert_eq!(ask(of_another), 200, "{of_another}");
    }
}

/// A ledger with a defect that shows once.
#[derive(Debug)]
struct Defective(AtomicBool);

impl Ledger for Defective {
    fn reserve(&self, _: LedgerEntry, done: Box<dyn FnOnce(bool) + Send>) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "on purpose, and a secret of the house");
        done(true);
    }

    fn load(&self, _: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable> {
        Ok(Vec::new())
    }

    fn settle(&self, _: Vec<LedgerEntry>, _: Duration) -> bool {
        true
    }
}

#[test]
fn a_panic_costs_one_answer_and_no_more() {
    let log = Log::shared();
    let upstream = Upstream::start();
    let gateway = TestGateway::start_with_ledger(&counted(&upstream, ""), Arc::new(Defective(AtomicBool::new(true))));
    let request = |word: &str| format!("GET /api/panic HTTP/1.1\r\nHost: a\r\nAuthorization: {word}\r\n\r\n");
    let mut wire = gateway.connect();
    let mut other = gateway.connect();
    let answer = wire.send(request(ONE)).last_answer();
    assert_eq!((answer.status, answer.header("content-type")), (500, Some("application/problem+json")));
    let id = answer.header("x-request-id").expect("every answer has one").to_owned();
    for no in ["panic", "purpose", "secret", ".rs", "ledger"] {
        assert!(!answer.text().contains(no), "{no} in {}", answer.text());
    }
    log.await_line(&["\"status\":500", &id, "a panic"]);
    assert!(upstream.seen().is_empty());
    for wire in [&mut other, &mut gateway.connect()] {
        assert_eq!(wire.ask(request(TWO)).status, 200);
    }
    assert!(gateway.drain(), "nothing is left of it");
}
