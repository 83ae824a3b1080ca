//! One line a request, whatever it is and however it ends.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::access::{Format, Log, Output, Running};
use super::*;
use crate::clock::{Clock, UnixTime};
use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::head::Head;
use crate::forward::Body;
use crate::forward::upstream::UpstreamId;
use crate::record::{Directory as _, Kind};
use crate::refusal::{Cause, Reason, Refusal};

/// A worker's telling, and what came of it.
struct Stage {
    scope: Rc<Scope>,
    clock: Clock,
    running: Running,
    lines: Arc<Mutex<Vec<u8>>>,
    connection: Connection,
}

impl Stage {
    fn new(format: Format) -> Self {
        let lines = Arc::<Mutex<Vec<u8>>>::default();
        let written = Arc::clone(&lines);
        let (log, running) = Log::start(Output::to(move |text| {
            written.lock().unwrap().extend_from_slice(text);
            Ok(())
        }))
        .unwrap();
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let told = Told { log, counted: None, refusals: Arc::default(), traces: trace::Queue::default(), workers: 1 };
        let sinks = Sinks::new(&told, clock.clone());
        let names = Names {
            listeners: vec![Some("public".into())],
            routes: vec![RouteNames { name: "all".into(), pattern: "/{*rest}".into() }],
            upstreams: vec![UpstreamNames { name: "api".into(), endpoints: vec!["http://10.0.0.5:80".into()] }],
            hidden: ["token".into()].into(),
        };
        let settings =
            Settings { access: Some(access::Settings { format, ..Default::default() }), refusals: 0, traces: None };
        let address = "127.0.0.1:80".parse().unwrap();
        let connection = Connection::new("[2001:db8::7]:4711".parse().unwrap(), address, ListenerId(0), None);
        Self { scope: Scope::new(&sinks, names, settings), clock, running, lines, connection }
    }

    fn begin(&self, parts: &Parts) -> Entry {
        Entry::begin(&self.scope, (&HeaderValue::from_static("an-id"), self.clock.now()), &self.connection, parts)
    }

    fn seen(&self, parts: &Parts, entry: &mut Entry) {
        let head = Head::new(parts, &self.connection, &TrustedProxies::default(), 8000);
        entry.head(&head.unwrap());
    }

    /// All lines, once the worker has ended.
    fn lines(self) -> Vec<String> {
        let Self { scope, running, lines, .. } = self;
        drop(scope);
        running.end();
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert_eq!(running.written(), text.lines().count() as u64);
        text.lines().map(str::to_owned).collect()
    }
}

fn get(target: &str) -> Parts {
    Request::get(target).header("host", "a.test").body(()).unwrap().into_parts().0
}

fn answer(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = Response::new(Body::whole(text.into()));
    *answer.status_mut() = status;
    answer
}

#[test]
fn every_request_has_one_line_however_it_ends() {
    type End = fn(Entry);
    let cases: [(End, &str); 5] = [
        (|_entry| (), r#""decision":"abandoned","status":499,"duration_us":0,"bytes_in":0,"bytes_out":0,"end":"left""#),
        (|_entry| panic!("a defect"), r#""decision":"failed","cause":"internal","detail":"a panic","status":500,"#),
        (
            |mut entry| drop(entry.answered(answer(StatusCode::OK, "four"))),
            r#""decision":"allowed","status":200,"duration_us":0,"bytes_in":0,"bytes_out":4,"end":"complete""#,
        ),
        (
            |mut entry| entry.answered_by_house(&answer(StatusCode::NO_CONTENT, "")),
            r#""decision":"house","status":204,"#,
        ),
        (
            |mut entry| {
                let answer = answer(StatusCode::NOT_FOUND, "none");
                entry.refused(&Refusal::new(Cause::NotFound, "nothing"), answer.status(), &answer);
            },
            r#""decision":"refused","cause":"not_found","detail":"nothing","status":404,"#,
        ),
    ];
    let stage = Stage::new(Format::Json);
    for (end, _) in cases {
        let entry = stage.begin(&get("/"));
        let _ = catch_unwind(AssertUnwindSafe(|| end(entry)));
    }
    let lines = stage.lines();
    assert_eq!(lines.len(), cases.len(), "{lines:#?}");
    for (line, (_, expected)) in lines.iter().zip(cases) {
        assert!(line.contains(expected), "{expected}: {line}");
    }
}

#[test]
fn a_line_says_what_is_known_and_nothing_of_the_request_before() {
    let stage = Stage::new(Format::Json);
    let mut parts = get("/a/b?token=hunter2&q=%0A");
    parts.headers.insert("user-agent", HeaderValue::from_bytes(b"a \"b\" \\ \xff\tc").unwrap());
    let mut entry = stage.begin(&parts);
    stage.seen(&parts, &mut entry);
    entry.route(0);
    let journey = entry.let_in().unwrap();
    journey.take(12);
    stage.clock.advance(std::time::Duration::from_millis(1500));
    drop(journey);
    drop(entry.answered(answer(StatusCode::OK, "four")));
    drop(stage.begin(&get("/")));
    let lines = stage.lines();
    assert_eq!(
        lines[0],
        r#"{"timestamp":"2027-01-15T08:00:00.000000Z","level":"INFO","target":"access","request_id":"an-id","#
            .to_owned()
            + r#""listener":"public","client_ip":"2001:db8::7","peer":"[2001:db8::7]:4711","method":"GET","#
            + r#""version":"HTTP/1.1","host":"a.test","path":"/a/b","query":"token=***&q=%0A","#
            + r#""user_agent":"a \"b\" \\ \ufffd\u0009c","route":"all","decision":"allowed","status":200,"#
            // No upstream was asked, so there is none that took its time.
            + r#""decision_us":0,"duration_us":1500000,"bytes_in":12,"bytes_out":4,"#
            + r#""end":"complete"}"#
    );
    assert_eq!(
        lines[1],
        r#"{"timestamp":"2027-01-15T08:00:01.500000Z","level":"INFO","target":"access","request_id":"an-id","#
            .to_owned()
            + r#""listener":"public","client_ip":"2001:db8::7","peer":"[2001:db8::7]:4711","method":"GET","#
            + r#""version":"HTTP/1.1","decision":"abandoned","status":499,"duration_us":0,"bytes_in":0,"#
            + r#""bytes_out":0,"end":"left"}"#
    );
}

#[test]
fn a_caller_whom_a_trusted_proxy_names_is_told_beside_the_peer() {
    for (given, told) in [("192.0.2.9", "192.0.2.9"), ("2001:db8:1::9", "2001:db8:1::9"), ("", "2001:db8::7")] {
        let stage = Stage::new(Format::Json);
        let mut parts = get("/");
        if !given.is_empty() {
            parts.headers.insert("x-forwarded-for", HeaderValue::from_static(given));
        }
        let mut entry = stage.begin(&parts);
        let proxies = TrustedProxies::new(vec!["2001:db8::/48".parse().unwrap()]);
        entry.head(&Head::new(&parts, &stage.connection, &proxies, 8000).unwrap());
        drop(entry.answered(answer(StatusCode::OK, "")));
        let line: Value = serde_json::from_str(&stage.lines()[0]).unwrap();
        assert_eq!((&line["client_ip"], &line["peer"]), (&told.into(), &"[2001:db8::7]:4711".into()));
    }
}

#[test]
fn the_fields_of_a_line_are_those_that_are_documented() {
    let stage = Stage::new(Format::Json);
    let mut parts = get("/a?b=1");
    parts.headers.insert("user-agent", HeaderValue::from_static("tests"));
    let mut entry = stage.begin(&parts);
    stage.seen(&parts, &mut entry);
    entry.route(0);
    let register = crate::scheme::stage::Register::new();
    register.account("acme", None);
    register.enrol(Kind::LicenseKey, "main", "acme", "a-key", |_| {});
    let record = register.look_up(Kind::LicenseKey, b"a-key").unwrap();
    entry.principal(&crate::scheme::stage::principal(record));
    let journey = entry.let_in().unwrap();
    journey.goes_to(UpstreamId(0), 0);
    drop(entry.answered(answer(StatusCode::OK, "")));
    let mut entry = stage.begin(&parts);
    let none = answer(StatusCode::NOT_FOUND, "");
    entry.refused(&Refusal::new(Cause::NotFound, "nothing"), none.status(), &none);
    let lines = stage.lines();
    let mut fields = BTreeSet::new();
    for line in &lines {
        let line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        fields.extend(line.keys().cloned());
    }
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["subject"], &line["account"]), (&"license_key:main".into(), &"acme".into()));
    assert_eq!((&line["upstream"], &line["endpoint"]), (&"api".into(), &"http://10.0.0.5:80".into()));
    assert_eq!(line["upstream_us"], 0);
    let page = include_str!("../../docs/access-log.md");
    let table = page.split("## What a JSON line says").nth(1).and_then(|rest| rest.split("## ").next()).unwrap();
    let documented: BTreeSet<_> =
        table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect();
    assert_eq!(fields, documented);
}

#[test]
fn a_line_in_the_combined_format_is_that_of_apache() {
    let stage = Stage::new(Format::Combined);
    let mut parts = get("/a?token=hunter2");
    parts.headers.insert("user-agent", HeaderValue::from_bytes("a \"b\" é".as_bytes()).unwrap());
    parts.headers.insert("referer", HeaderValue::from_static("https://shop.test/p?session=hunter2"));
    let mut entry = stage.begin(&parts);
    stage.seen(&parts, &mut entry);
    drop(entry.answered(answer(StatusCode::OK, "four")));
    assert_eq!(
        stage.lines(),
        [r#"2001:db8::7 - - [15/Jan/2027:08:00:00 +0000] "GET /a?token=***"#.to_owned()
            + r#" HTTP/1.1" 200 4 "https://shop.test/p" "a \x22b\x22 \xc3\xa9""#]
    );
}

#[test]
fn where_a_credential_was_not_believed_or_no_route_is_known_no_value_is_told() {
    for (cause, is_routed, told) in [
        (Cause::Credential(Reason::Leaked), true, "a=***&***"),
        (Cause::Credential(Reason::Unknown), true, "a=***&***"),
        (Cause::Credential(Reason::Missing), true, "a=plain&***"),
        (Cause::RateExceeded, true, "a=plain&***"),
        (Cause::NotFound, false, "a=***&***"),
    ] {
        let stage = Stage::new(Format::Json);
        let parts = get("/?a=plain&hunter2hunter2");
        let mut entry = stage.begin(&parts);
        stage.seen(&parts, &mut entry);
        if is_routed {
            entry.route(0);
        }
        let status = StatusCode::FORBIDDEN;
        entry.refused(&Refusal::new(cause, "for a reason"), status, &answer(status, ""));
        let lines = stage.lines();
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["query"], told, "{cause:?}");
    }
}

#[test]
fn nothing_a_caller_sends_makes_another_line_or_breaks_one() {
    let stage = Stage::new(Format::Json);
    let words = ["\u{7f}", "\u{1b}[31m", "\u{2028}", "\u{202e}", "\u{1f600}", "\u{85}", "\"},{\"", "\\", "é"];
    let mut sent = Vec::new();
    for word in words {
        let mut parts = get("/");
        // A field may hold neither DEL nor other controls; what it may hold is bytes.
        let Ok(value) = HeaderValue::from_bytes(word.as_bytes()) else { continue };
        parts.headers.insert("user-agent", value);
        let mut entry = stage.begin(&parts);
        entry.unread(&parts);
        sent.push(word);
    }
    let lines = stage.lines();
    assert_eq!(lines.len(), sent.len());
    for (line, word) in lines.iter().zip(sent) {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["user_agent"], word);
    }
}

#[test]
fn what_cannot_be_written_fast_enough_is_dropped_and_counted_and_nobody_waits() {
    let (open, gate) = mpsc::sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let (log, running) = Log::start(Output::to(move |_| {
        // Nothing is ever sent: it opens when the other end is dropped.
        let _ = gate.lock().unwrap().recv();
        Ok(())
    }))
    .unwrap();
    let clock = Clock::manual(UnixTime(0));
    let told = Told { log, counted: None, refusals: Arc::default(), traces: trace::Queue::default(), workers: 1 };
    let sinks = Sinks::new(&told, clock.clone());
    let settings = Settings { access: Some(access::Settings::default()), refusals: 0, traces: None };
    let scope = Scope::new(&sinks, Names::default(), settings);
    let address = "127.0.0.1:1".parse().unwrap();
    let connection = Connection::new(address, address, ListenerId(0), None);
    let parts = Request::builder().method(Method::GET).uri("/").body(()).unwrap().into_parts().0;
    for _ in 0..1000 {
        drop(Entry::begin(&scope, (&HeaderValue::from_static("id"), clock.now()), &connection, &parts));
        sinks.sweep();
    }
    assert!(running.dropped() > 700, "{}", running.dropped());
    drop((open, sinks, scope));
    running.end();
    assert_eq!(running.dropped() + running.written(), 1000);
}
