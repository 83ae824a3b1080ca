//! How much of it: rates, quotas and requests under way, counted over real connections on several workers.

use std::fmt;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use vidgate::clock::{Clock, UnixTime};
use vidgate::config;
use vidgate::limit::ledger::{Ledger, LedgerEntry, Unreadable};
use vidgate::record::{Directory, Quota, Standing, Terms};
use vidgate::run::{Options, Server};
use vidgate::store::Purpose;

use crate::house::{START, TestGateway};
use crate::log::Log;
use crate::peer::Played;
use crate::pki::Pki;
use crate::streams::{Streams, get};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

/// Two customers of SecureVideo: `one:secret` and `two:secret`, and `one:wrong`.
const ONE: &str = "Basic b25lOnNlY3JldA==";
const TWO: &str = "Basic dHdvOnNlY3JldA==";
const WRONG: &str = "Basic b25lOndyb25n";

fn limited(upstream: &Upstream, limits: &str, route: &str) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.api.basic]
tls_only = false

[scheme.office.ip]
networks = ["198.51.100.0/24"]

[[account]]
id = "one"
api_client = [{{ id = "one", secret = "secret" }}]

[[account]]
id = "two"
api_client = [{{ id = "two", secret = "secret" }}]

{limits}

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "api"
forward = "api"
dialect = "message"
{route}
"#,
        upstream.address()
    )
}

const HOURLY: &str = "[limit.hourly]\nquota = \"100000/hour\"";

fn agree(gateway: &TestGateway, account: &str, hour: u64) {
    let terms = Terms { quota: Quota { hour: Some(hour), ..Quota::default() }, ..Terms::default() };
    let account = gateway.directory.account(account).expect("it is declared");
    account.stand(Standing { terms: Some(Arc::new(terms)), ..Standing::default() });
}

fn ask(wire: &mut Wire, authorization: &str) -> Answer {
    wire.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n"))
}

fn statuses(wire: &mut Wire, authorization: &str, times: usize) -> Vec<u16> {
    (0..times).map(|_| ask(wire, authorization).status).collect()
}

/// How many of `connections` requests pass that are sent at the same time.
fn passed_at_once(gateway: &TestGateway, connections: usize) -> usize {
    let (barrier, address) = (&Barrier::new(connections), gateway.address("public"));
    thread::scope(|scope| {
        let callers: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(move || {
                    let mut wire = Wire::connect(address);
                    barrier.wait();
                    ask(&mut wire, ONE).status
                })
            })
            .collect();
        let statuses: Vec<u16> = callers.into_iter().map(|caller| caller.join().expect("no caller fails")).collect();
        assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
        statuses.iter().filter(|status| **status == 200).count()
    })
}

#[test]
fn a_quota_lets_exactly_so_many_through_in_each_window() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&limited(&upstream, HOURLY, "limits = [\"hourly\"]"));
    agree(&gateway, "one", 3);
    let mut wire = gateway.connect();
    assert_eq!(statuses(&mut wire, ONE, 5), [200, 200, 200, 429, 429]);
    // Another connection is the same customer, and another customer is not.
    assert_eq!(statuses(&mut gateway.connect(), ONE, 1), [429]);
    assert_eq!(statuses(&mut wire, TWO, 5), [200; 5]);
    gateway.advance(Duration::from_secs(3599));
    assert_eq!(ask(&mut gateway.connect(), ONE).header("retry-after"), Some("1"));
    gateway.advance(Duration::from_secs(1));
    assert_eq!(statuses(&mut gateway.connect(), ONE, 4), [200, 200, 200, 429]);
    assert_eq!(upstream.seen().len(), 11);
}

#[test]
fn a_quota_above_the_cap_is_the_cap() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&limited(&upstream, HOURLY, "limits = [\"hourly\"]"));
    agree(&gateway, "one", 250_000);
    let answer = ask(&mut gateway.connect(), ONE);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"hourly\";q=100000;w=3600"));
    assert_eq!(answer.header("ratelimit"), Some("\"hourly\";r=99999;t=3600"));
    let lower = HOURLY.replace("100000", "4");
    let gateway = TestGateway::start(&limited(&upstream, &lower, "limits = [\"hourly\"]"));
    agree(&gateway, "one", 250_000);
    assert_eq!(statuses(&mut gateway.connect(), ONE, 6), [200, 200, 200, 200, 429, 429]);
}

#[test]
fn of_many_at_once_exactly_so_many_pass() {
    let upstream = Upstream::start();
    for (workers, connections, quota) in [(2, 50, 10), (4, 64, 63)] {
        let toml = limited(&upstream, HOURLY, "limits = [\"hourly\"]");
        let gateway = TestGateway::start_in(&toml, Path::new("."), workers);
        agree(&gateway, "one", quota);
        assert_eq!(passed_at_once(&gateway, connections) as u64, quota);
    }
}

#[test]
fn a_refusal_says_why_in_the_dialect_and_when_to_come_back() {
    let upstream = Upstream::start();
    let limits = "[limit.hourly]\nquota = \"1/hour\"\n[limit.live]\nrate = \"5/1s\"";
    let gateway = TestGateway::start(&limited(&upstream, limits, "limits = [\"hourly\", \"live\"]"));
    gateway.advance(Duration::from_mins(40));
    let mut wire = gateway.connect();
    assert_eq!(ask(&mut wire, ONE).status, 200);
    gateway.advance(Duration::from_secs(1));
    let answer = ask(&mut wire, ONE);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1199")));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"hourly\";q=1;w=3600, \"live\";q=5;w=1"));
    assert_eq!(answer.header("ratelimit"), Some("\"hourly\";r=0;t=1199, \"live\";r=5;t=0"));
    assert!(
        answer.text().contains("\"Message\": \"Too many requests. The quota of requests is used up."),
        "{}",
        answer.text()
    );
    // The connection goes on.
    assert_eq!(ask(&mut wire, TWO).status, 200);
}

#[test]
fn what_is_refused_for_another_reason_takes_nothing() {
    let upstream = Upstream::start();
    let route = "limits = [\"hourly\"]\nmax_body = \"3 B\"\nscope = { read = [], write = [] }";
    let here = "\n[[route]]\nname = \"here\"\npath = \"/here\"\nauthenticate = \"api and office\"\nforward = \"api\"\n\
                dialect = \"message\"\nlimits = [\"hourly\"]\n";
    let gateway = TestGateway::start(&(limited(&upstream, HOURLY, route) + here));
    agree(&gateway, "one", 1);
    let mut wire = gateway.connect();
    for _ in 0..3 {
        let unproven = ask(&mut wire, WRONG);
        assert_eq!((unproven.status, unproven.header("ratelimit")), (401, None));
        let elsewhere = wire.ask(format!("GET /here HTTP/1.1\r\nHost: a\r\nAuthorization: {ONE}\r\n\r\n"));
        assert_eq!((elsewhere.status, elsewhere.header("ratelimit")), (412, None));
        let large = format!("POST / HTTP/1.1\r\nHost: a\r\nAuthorization: {ONE}\r\nContent-Length: 4\r\n\r\nfour");
        assert_eq!(gateway.connect().ask(large).status, 413);
    }
    assert_eq!(statuses(&mut wire, ONE, 2), [200, 429]);
    // And where both would refuse, the body is spoken of first.
    let large = format!("POST / HTTP/1.1\r\nHost: a\r\nAuthorization: {ONE}\r\nContent-Length: 4\r\n\r\nfour");
    assert_eq!(gateway.connect().ask(large).status, 413);
}

#[test]
fn a_rate_lets_a_burst_through_and_then_one_at_a_time() {
    let upstream = Upstream::start();
    let limits = "[limit.live]\nrate = \"2/1s\"\nburst = 3\nper = \"credential\"";
    let gateway = TestGateway::start(&limited(&upstream, limits, "limits = [\"live\"]"));
    let mut wire = gateway.connect();
    assert_eq!(statuses(&mut wire, ONE, 4), [200, 200, 200, 429]);
    assert_eq!(statuses(&mut wire, TWO, 1), [200]);
    gateway.advance(Duration::from_millis(499));
    assert_eq!(statuses(&mut wire, ONE, 1), [429]);
    gateway.advance(Duration::from_millis(1));
    assert_eq!(statuses(&mut wire, ONE, 2), [200, 429]);
    gateway.advance(Duration::from_mins(1));
    assert_eq!(statuses(&mut wire, ONE, 4), [200, 200, 200, 429]);
}

#[test]
fn what_the_upstream_says_of_its_own_limits_stands_beside_ours() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nRateLimit: \"own\";r=1;t=2\r\nRateLimit-Policy: \"own\";q=9;w=60\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let gateway = TestGateway::start(&limited(&upstream, HOURLY, "limits = [\"hourly\"]"));
    let answer = ask(&mut gateway.connect(), ONE);
    let of = |name| answer.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value).collect::<Vec<_>>();
    assert_eq!(of("ratelimit"), ["\"own\";r=1;t=2", "\"hourly\";r=99999;t=3600"]);
    assert_eq!(of("ratelimit-policy"), ["\"own\";q=9;w=60", "\"hourly\";q=100000;w=3600"]);
}

#[test]
fn a_request_that_fails_further_on_has_been_counted_and_says_so() {
    let upstream = Upstream::answering(|_| b"nonsense\r\n\r\n".to_vec());
    let gateway = TestGateway::start(&limited(&upstream, HOURLY, "limits = [\"hourly\"]"));
    let answer = ask(&mut gateway.connect(), ONE);
    assert_eq!((answer.status, answer.header("ratelimit")), (502, Some("\"hourly\";r=99999;t=3600")));
}

const UPLOADS: &str = "[limit.uploads]\nconcurrency = 1";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b25lOnNlY3JldA==\r\n\r\n";

#[test]
fn a_request_is_under_way_until_its_answer_has_ended() {
    let played = Played::start();
    let gateway = TestGateway::start(&limited(&played.upstream, UPLOADS, "limits = [\"uploads\"]"));
    let mut first = gateway.connect();
    first.send(GET);
    let (mut peer, _) = played.next_head();
    let refused = |gateway: &TestGateway| {
        let answer = ask(&mut gateway.connect(), ONE);
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
        assert_eq!(answer.header("ratelimit"), Some("\"uploads\";r=0"));
    };
    refused(&gateway);
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
    let head = first.head();
    assert_eq!(head.header("ratelimit-policy"), Some("\"uploads\";q=1;qu=\"concurrent-requests\""));
    assert_eq!(first.take(3), b"abc");
    refused(&gateway);
    peer.say("def");
    assert_eq!(first.take(3), b"def");
    // On the connection of the first, after it: whatever held its place is gone.
    first.send(GET);
    peer.head();
    peer.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(first.answer().status, 204);
    first.send(GET);
    peer.head();
    peer.say("nonsense");
    peer.finish();
    assert_eq!(first.answer().status, 502);
    first.send(GET);
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(first.answer().status, 204);
}

#[test]
fn a_caller_who_leaves_is_not_under_way_any_more() {
    let played = Played::start();
    // One worker: it comes to the next request when it has let go of all of the one before.
    let gateway = TestGateway::alone(&limited(&played.upstream, UPLOADS, "limits = [\"uploads\"]"));
    for answered in [false, true] {
        let mut leaving = gateway.connect();
        leaving.send(GET);
        let (mut peer, _) = played.next_head();
        if answered {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
            assert_eq!((leaving.head().status, leaving.take(3)), (200, b"abc".to_vec()));
        }
        drop(leaving);
        // The gateway lets go of the upstream when it lets go of the request.
        assert!(peer.is_closed());
        let mut next = gateway.connect();
        next.send(GET);
        let (mut peer, _) = played.next_head();
        peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(next.answer().status, 200);
    }
}

#[test]
fn streams_of_one_connection_are_counted_each() {
    let played = Played::start();
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    let limits = "[limit.uploads]\nconcurrency = 2\nper = \"route\"\n[limit.all]\nquota = \"4/day\"\nper = \"address\"";
    let toml = limited(&played.upstream, limits, "limits = [\"uploads\", \"all\"]")
        .replace("\"api\"\nforward", "\"open\"\nforward")
        .replace(
            "address = \"127.0.0.1:0\"",
            "address = \"127.0.0.1:0\"\ntls = { certificate = \"a.pem\", key = \"a.key\" }",
        );
    let gateway = TestGateway::start_in(&toml, pki.path(), 1);
    let streams = Streams::connect(&gateway, &pki);
    let first = streams.send(get("/1"));
    let (mut one, _) = played.next_head();
    let second = streams.send(get("/2"));
    let (mut two, _) = played.next_head();
    assert_eq!(streams.ask(get("/3")).status, 429);
    for (peer, awaited) in [(&mut one, first), (&mut two, second)] {
        peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(streams.whole(awaited).expect("an answer").status, 200);
    }
    for (target, expected) in [("/4", "\"all\";r=1;t=86400"), ("/5", "\"all\";r=0;t=86400")] {
        let awaited = streams.send(get(target));
        let (mut peer, _) = played.next_head();
        peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        let answer = streams.whole(awaited).expect("an answer");
        let standing = answer.headers["ratelimit"].to_str().expect("text");
        assert_eq!(standing, format!("{expected}, \"uploads\";r=1"));
    }
    assert_eq!(streams.ask(get("/6")).status, 429);
}

#[test]
fn a_limit_that_only_watches_speaks_in_the_log_alone() {
    let log = Log::shared();
    let upstream = Upstream::start();
    let limits = "[limit.watched-here]\nquota = \"1/hour\"\nlog_only = true";
    let gateway = TestGateway::start(&limited(&upstream, limits, "limits = [\"watched-here\"]"));
    let mut wire = gateway.connect();
    for _ in 0..2 {
        let answer = ask(&mut wire, ONE);
        assert_eq!((answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")), (200, None, None));
    }
    log.await_line(&["would have been refused", "watched-here", "account:one", "INFO"]);
}

/// A ledger that writes nothing until it is told to.
#[derive(Default)]
struct Slow(Mutex<Vec<(LedgerEntry, Done)>>);

type Done = Box<dyn FnOnce(bool) + Send>;

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

impl Slow {
    fn answer(&self, written: bool) -> Vec<LedgerEntry> {
        let asked = mem::take(&mut *self.0.lock().expect("no question panics"));
        asked
            .into_iter()
            .map(|(entry, done)| {
                done(written);
                entry
            })
            .collect()
    }

    fn await_questions(&self, many: usize) {
        while self.0.lock().expect("no question panics").len() < many {
            thread::yield_now();
        }
    }
}

impl Ledger for Slow {
    fn reserve(&self, entry: LedgerEntry, done: Done) {
        self.0.lock().expect("no question panics").push((entry, done));
    }

    fn load(&self, _: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable> {
        Ok(Vec::new())
    }

    fn settle(&self, entries: Vec<LedgerEntry>, _: Duration) -> bool {
        let done: Done = Box::new(|_| {});
        let mut asked = self.0.lock().expect("no question panics");
        asked.clear();
        asked.extend(entries.into_iter().next().map(|entry| (entry, done)));
        true
    }
}

#[test]
fn a_request_waits_until_its_quota_is_written_down() {
    let upstream = Upstream::start();
    let ledger = Arc::new(Slow::default());
    let toml = limited(&upstream, HOURLY, "limits = [\"hourly\"]");
    let gateway = TestGateway::start_with_ledger(&toml, Arc::clone(&ledger) as Arc<dyn Ledger>);
    agree(&gateway, "one", 500);
    let mut wire = gateway.connect();
    wire.send(GET);
    ledger.await_questions(1);
    assert!(upstream.seen().is_empty());
    let asked = ledger.answer(true);
    assert_eq!((&*asked[0].limit, &*asked[0].key, asked[0].spent), ("hourly", "account:one", 5));
    assert_eq!((asked[0].window.start.0, asked[0].window.end.0), (START.0, START.0 + 3600));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("ratelimit")), (200, Some("\"hourly\";r=499;t=3600")));
    assert_eq!(statuses(&mut wire, ONE, 2), [200, 200]);
    // Three are spent and five written: what was asked for ahead fails, and is asked for again.
    assert_eq!(ledger.answer(false)[0].spent, 8);
    assert_eq!(statuses(&mut wire, ONE, 2), [200, 200]);
    assert_eq!(ledger.answer(false)[0].spent, 9);
    wire.send(GET);
    ledger.await_questions(1);
    ledger.answer(false);
    let refused = wire.answer();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    // The figure that was spent goes to the ledger in the end.
    assert!(gateway.drain());
    assert_eq!(ledger.answer(true)[0].spent, 5);
}

#[test]
fn a_ledger_that_never_answers_keeps_nobody_for_long() {
    let log = Log::shared();
    let upstream = Upstream::start();
    let ledger = Arc::new(Slow::default());
    let toml = limited(&upstream, HOURLY, "limits = [\"hourly\"]");
    let gateway = TestGateway::start_with_ledger(&toml, Arc::clone(&ledger) as Arc<dyn Ledger>);
    let mut wire = gateway.connect();
    wire.send(GET);
    ledger.await_questions(1);
    // The deadline is set by the same worker before it answers anybody else.
    gateway.settle("public");
    gateway.advance(Duration::from_millis(5250));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(upstream.seen().is_empty());
    // Whoever waits and leaves takes nothing.
    let mut leaving = gateway.connect();
    leaving.send(format!("GET /left-the-ledger HTTP/1.1\r\nHost: a\r\nAuthorization: {TWO}\r\n\r\n"));
    ledger.await_questions(2);
    drop(leaving);
    log.await_line(&["/left-the-ledger", "\"status\":499"]);
    ledger.answer(true);
    for caller in [ONE, TWO] {
        assert_eq!(ask(&mut gateway.connect(), caller).header("ratelimit"), Some("\"hourly\";r=99999;t=3595"));
    }
}

/// A ledger in which nothing can be settled, or not even read.
#[derive(Debug)]
struct Burnt {
    readable: bool,
}

impl Ledger for Burnt {
    fn reserve(&self, _: LedgerEntry, done: Done) {
        done(true);
    }

    fn load(&self, _: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable> {
        if self.readable { Ok(Vec::new()) } else { Err(Unreadable("it burnt".to_owned())) }
    }

    fn settle(&self, entries: Vec<LedgerEntry>, patience: Duration) -> bool {
        assert_eq!((entries.len(), patience), (1, Duration::from_secs(5)));
        false
    }
}

#[test]
fn nobody_is_served_where_nobody_knows_what_was_spent() {
    let toml = limited(&Upstream::start(), HOURLY, "limits = [\"hourly\"]");
    let loaded = config::load_text("test.toml", &toml, Path::new("."), Purpose::Serve);
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let options = Options { workers: 1, clock: Clock::manual(START), output: crate::log::access() };
    let refused = Server::start_with_ledger(loaded, &options, Some(Arc::new(Burnt { readable: false })));
    let said = refused.expect_err("it does not start").to_string();
    assert_eq!(said, "what quotas have spent cannot be read: it burnt");
}

#[test]
fn what_cannot_be_settled_in_the_end_is_logged() {
    let log = Log::shared();
    let upstream = Upstream::start();
    let toml = limited(&upstream, &HOURLY.replace("hourly", "unsettled"), "limits = [\"unsettled\"]");
    let gateway = TestGateway::start_with_ledger(&toml, Arc::new(Burnt { readable: true }));
    assert_eq!(ask(&mut gateway.connect(), ONE).status, 200);
    assert!(gateway.drain());
    log.await_line(&["WARN", "limit=unsettled", "counters=1"]);
}
