//! What is measured, as it is asked for: at the admin listener with a credential and at the one for monitoring without, in
//! both formats, and all of it under the names and labels of the one table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vidgate::store::{MasterKey, Settings, Store};
use vidgate::telemetry::metrics::families::{self, Family, Kind};

use crate::house::{TestGateway, open};
use crate::patience::until;
use crate::peer::Played;
use crate::pki::{Pki, ask, dial};
use crate::ports::Reserved;
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const MONITORING: &str = "[monitoring]\naddress = \"127.0.0.1:0\"";
const TOKEN: &str = "a-token-for-the-tests";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn scrape(address: SocketAddr, fields: &str) -> Answer {
    Wire::connect(address).ask(format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
}

/// Labels by their names, and a value.
type Sample = (BTreeMap<String, String>, f64);

/// A page, by metric with its suffix.
struct Page(BTreeMap<String, Vec<Sample>>);

impl Page {
    fn of(gateway: &TestGateway) -> Self {
        let answer = scrape(gateway.monitoring_address(), "");
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self::read(answer.text())
    }

    /// Reads a page, and holds each line to the table.
    fn read(text: &str) -> Self {
        let mut all = BTreeMap::<String, Vec<_>>::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, read_labels(rest.strip_suffix('}').expect("an end"))),
                None => (series, BTreeMap::new()),
            };
            let family = family_of(name);
            let own = labels.keys().map(String::as_str).filter(|label| *label != "le").collect::<BTreeSet<_>>();
            assert_eq!(own, family.labels.iter().copied().collect(), "{line}");
            assert_eq!(labels.contains_key("le"), name.ends_with("_bucket"), "{line}");
            let samples = all.entry(name.to_owned()).or_default();
            assert!(samples.iter().all(|(own, _)| *own != labels), "twice: {line}");
            samples.push((labels, value.parse().expect("a number")));
        }
        Self(all)
    }

    /// The sum of what has these labels; `None`: there is nothing.
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |own: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| own.get(*name).map(String::as_str) == Some(*value))
        };
        let found: Vec<f64> = self.0.get(name)?.iter().filter(|(own, _)| has(own)).map(|(_, value)| *value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

fn family_of(name: &str) -> &'static Family {
    let stem = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    let histogram = |family: &&Family| family.kind == Kind::Histogram && Some(family.name) == stem;
    let found = families::all().find(|family| family.name == name || histogram(family));
    found.unwrap_or_else(|| panic!("{name} is not in the table"))
}

/// `a="b",c="d"`; no value of these tests holds a quotation mark.
fn read_labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split_terminator("\",").map(|pair| pair.trim_end_matches('"').split_once("=\"").expect("a pair"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Asks until it is so: workers tell of what they have ten times a second.
pub fn await_value(gateway: &TestGateway, name: &str, labels: &[(&str, &str)], expected: f64) {
    until(&format!("{name} {labels:?} to be {expected}"), || Page::of(gateway).get(name, labels) == Some(expected));
}

/// Everything that can be measured, on one gateway.
struct House {
    gateway: TestGateway,
    upstream: Upstream,
    _keys: Upstream,
    pki: Pki,
    toml: String,
}

impl House {
    fn new() -> Self {
        let (pki, upstream) = (Pki::new(), Upstream::start());
        pki.issue("a", &["localhost"]);
        pki.revoke(&[7], 4000);
        let jwks = fs::read_to_string("tests/vectors/jwt/issuer.jwks").expect("the vector is there");
        let answer = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{jwks}", jwks.len());
        let keys = Upstream::answering(move |_| answer.clone().into_bytes());
        let key = MasterKey::random();
        fs::write(pki.path().join("master.key"), key.to_text().expose()).expect("written");
        Store::create(&Settings { path: pki.path().join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
        let toml = configuration(upstream.address(), keys.address());
        let gateway = TestGateway::start_in(&toml, pki.path(), 2);
        Self { gateway, upstream, _keys: keys, pki, toml }
    }
}

fn configuration(upstream: SocketAddr, keys: SocketAddr) -> String {
    format!(
        r#"
[monitoring]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
tokens = {{ alice = "{TOKEN}" }}
[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
[overload]
max_memory = "64 GiB"
[listener.public]
address = "127.0.0.1:0"
dialect = "message"
[listener.secure]
address = "127.0.0.1:0"
tls = {{ certificate = "a.pem", key = "a.key", client_ca = "ca.pem", client_crl = "ca.crl" }}
[upstream.api]
endpoints = ["http://{upstream}"]
max_in_flight = 100
[upstream.api.health]
path = "/healthz"
[scheme.api.basic]
tls_only = false
[scheme.staff.jwt.issuer]
name = "https://id.example.com"
url = "http://{keys}/keys?key=hunter3"
audience = ["vidgate"]
account_claim = "tenant"
[limit.guard]
failures = 2
[limit.few]
rate = "2/1h"
per = "account"
[[account]]
id = "one"
api_client = [{{ id = "one", secret = "secret" }}]
[[route]]
name = "known"
path = "/known/{{*rest}}"
authenticate = "api or staff"
forward = "api"
dialect = "message"
limits = ["few", "guard"]
[[route]]
name = "free"
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
"#
    )
}

#[test]
fn everything_in_the_table_is_measured_and_nothing_else() {
    let house = House::new();
    let secure = Arc::new(house.pki.client(&[]));
    assert!(ask(&mut dial(house.gateway.address("secure"), "localhost", &secure).unwrap(), "localhost").is_ok());
    assert_eq!(house.gateway.connect().ask(GET).status, 200);
    assert_eq!(house.gateway.connect().ask(GET.replace("/ ", "/known/a ")).status, 401);
    // What workers tell with their sweeps comes a moment later.
    for family in families::all().filter(|family| family.name != families::REFUSALS.name) {
        let name = match family.kind {
            Kind::Histogram => format!("{}_bucket", family.name),
            Kind::Counter | Kind::Gauge => family.name.to_owned(),
        };
        until(&name, || Page::of(&house.gateway).0.contains_key(&name));
    }
    let answer = scrape(house.gateway.monitoring_address(), "");
    for secret in ["hunter3", TOKEN] {
        assert!(!answer.text().contains(secret), "{secret}");
    }
}

#[test]
fn both_listeners_answer_in_the_format_that_is_accepted() {
    let house = House::new();
    let (admin, monitoring) = (house.gateway.admin_address(), house.gateway.monitoring_address());
    assert_eq!(scrape(admin, "").status, 401, "an operator's credential is asked for there");
    let operator = format!("Authorization: Bearer {TOKEN}\r\n");
    for (address, fields) in [(admin, operator.as_str()), (monitoring, "")] {
        assert!(scrape(address, fields).header("content-type").is_some_and(|kind| kind.starts_with("text/plain;")));
        let prometheus = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3\r\n";
        let answer = scrape(address, &format!("{fields}{prometheus}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(OPEN_METRICS)));
        assert_eq!(answer.header("vary"), Some("Accept"));
        assert!(answer.text().ends_with("# EOF\n"));
        Page::read(answer.text());
    }
    let post = Wire::connect(monitoring).ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn requests_are_counted_by_what_came_of_them() {
    let house = House::new();
    let mut wire = house.gateway.connect();
    let mut ask = |request: &str| wire.ask(request).status;
    let known = |more: &str| format!("GET /known/a HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let before = Page::of(&house.gateway);
    assert_eq!(before.get("vidgate_requests_total", &[]), None);
    let own = known("Authorization: Basic b25lOnNlY3JldA==\r\n");
    assert_eq!([ask(&own), ask(&own), ask(&own)], [200, 200, 429]);
    assert_eq!([ask(&known("")), ask(GET)], [401, 200]);
    assert_eq!(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"), 200);
    assert_eq!(ask("GET / HTTP/1.1\r\n\r\n"), 400);
    let page = Page::of(&house.gateway);
    for (route, scheme, outcome, expected) in [
        ("known", "basic", "allowed", 2.0),
        ("known", "basic", "refused", 1.0),
        ("known", "-", "refused", 1.0),
        ("free", "open", "allowed", 2.0),
        ("-", "-", "refused", 1.0),
    ] {
        let labels = [("route", route), ("scheme", scheme), ("outcome", outcome)];
        assert_eq!(page.get("vidgate_requests_total", &labels), Some(expected), "{labels:?}");
    }
    assert_eq!(page.get("vidgate_requests_total", &[]), Some(7.0));
    for (route, cause) in [("known", "rate_exceeded"), ("known", "credential_missing"), ("-", "malformed_request")] {
        let labels = [("route", route), ("cause", cause)];
        assert_eq!(page.get("vidgate_refusals_total", &labels), Some(1.0), "{labels:?}");
    }
    assert_eq!(page.get("vidgate_refusals_total", &[]), Some(3.0));
    for (route, status, expected) in
        [("known", "2xx", 2.0), ("known", "4xx", 2.0), ("free", "2xx", 2.0), ("-", "4xx", 1.0)]
    {
        let labels = [("route", route), ("status", status)];
        assert_eq!(page.get("vidgate_responses_total", &labels), Some(expected), "{labels:?}");
    }
    for (route, total, upstream) in [("known", 4.0, 2.0), ("free", 2.0, 2.0), ("-", 1.0, 0.0)] {
        let (labels, name) = ([("route", route)], |metric: &str| format!("vidgate_{metric}_duration_seconds_count"));
        assert_eq!(page.get(&name("request"), &labels), Some(total), "{route}");
        assert_eq!(page.get(&name("upstream"), &labels), Some(upstream), "{route}");
    }
    assert_eq!(page.get("vidgate_request_body_bytes_total", &[("route", "free")]), Some(5.0));
    assert!(page.get("vidgate_response_body_bytes_total", &[("route", "known")]).is_some_and(|bytes| bytes > 0.0));
}

#[test]
fn an_upstream_that_fails_and_a_caller_who_leaves_are_told_apart() {
    let played = Played::start();
    let gateway = TestGateway::start(&open(&played.upstream, MONITORING));
    let outcome = |outcome: &'static str| [("route", "all"), ("outcome", outcome)];
    let mut caller = gateway.connect();
    caller.send(GET);
    let (mut peer, _) = played.next_head();
    peer.say("nonsense\r\n\r\n");
    assert_eq!(caller.answer().status, 502);
    assert_eq!(Page::of(&gateway).get("vidgate_requests_total", &outcome("failed")), Some(1.0));
    assert_eq!(Page::of(&gateway).get("vidgate_refusals_total", &[("cause", "upstream_failed")]), Some(1.0));
    let mut caller = gateway.connect();
    caller.send(GET);
    let peer = played.next_head();
    drop(caller);
    await_value(&gateway, "vidgate_requests_total", &outcome("abandoned"), 1.0);
    assert_eq!(Page::of(&gateway).get("vidgate_responses_total", &[("status", "4xx")]), None, "there was none");
    drop(peer);
}

#[test]
fn limits_and_the_guard_say_how_they_stand() {
    let house = House::new();
    let mut wire = house.gateway.connect();
    let mut known = |secret: &str| {
        let credential = if secret == "secret" { "b25lOnNlY3JldA==" } else { "b25lOndyb25n" };
        wire.ask(format!("GET /known/a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {credential}\r\n\r\n")).status
    };
    assert_eq!([known("secret"), known("secret"), known("secret")], [200, 200, 429]);
    assert_eq!([known("wrong"), known("wrong"), known("secret")], [401, 401, 429]);
    let page = Page::of(&house.gateway);
    for (decision, expected) in [("admitted", 2.0), ("refused", 1.0), ("would_refuse", 0.0)] {
        let labels = [("limit", "few"), ("decision", decision)];
        assert_eq!(page.get("vidgate_limit_decisions_total", &labels), Some(expected), "{decision}");
    }
    assert_eq!(page.get("vidgate_limit_callers", &[("limit", "few")]), Some(1.0));
    for per in ["address", "identifier"] {
        assert_eq!(page.get("vidgate_guard_held", &[("limit", "guard"), ("per", per)]), Some(1.0), "{per}");
    }
    assert_eq!(page.get("vidgate_guard_refusals_total", &[("limit", "guard")]), Some(1.0));
}

#[test]
fn handshakes_and_certificates_are_told_by_listener() {
    let house = House::new();
    let at = house.gateway.address("secure");
    let own = Arc::new(house.pki.client(&[]));
    for _ in 0..2 {
        assert!(ask(&mut dial(at, "localhost", &own).unwrap(), "localhost").is_ok());
    }
    let stranger = Arc::new(Pki::new().client(&[]));
    assert!(dial(at, "localhost", &stranger).is_err());
    let told = |outcome: &'static str| [("listener", "secure"), ("outcome", outcome)];
    await_value(&house.gateway, "vidgate_tls_handshakes_total", &told("failed"), 1.0);
    let page = Page::of(&house.gateway);
    assert_eq!(page.get("vidgate_tls_handshakes_total", &told("done")), Some(2.0));
    assert_eq!(page.get("vidgate_tls_handshakes_total", &[("version", "1.3")]), Some(2.0));
    let listener = [("listener", "secure")];
    let expiry = page.get("vidgate_certificate_expiry_timestamp_seconds", &listener).expect("one");
    assert!(expiry > 1_735_689_600.0, "{expiry}");
    assert_eq!(page.get("vidgate_crl_this_update_timestamp_seconds", &listener), Some(1_734_220_800.0));
}

#[test]
fn endpoints_say_what_state_they_are_in() {
    let house = House::new();
    let endpoint = format!("http://{}", house.upstream.address());
    let state = |state: &'static str| [("upstream", "api"), ("state", state)];
    let page = Page::of(&house.gateway);
    assert_eq!(page.get("vidgate_upstream_endpoint_state", &state("in")), Some(1.0));
    assert_eq!(page.get("vidgate_upstream_endpoint_state", &[("endpoint", &*endpoint)]), Some(1.0), "in one of all");
    await_value(&house.gateway, "vidgate_key_set_fetches_total", &[("outcome", "succeeded")], 1.0);
    assert_eq!(house.gateway.connect().ask(GET).status, 200);
    await_value(&house.gateway, "vidgate_upstream_connections", &[("upstream", "api"), ("state", "idle")], 1.0);
}

#[test]
fn an_endpoint_that_is_left_alone_is_told() {
    let (nobody, upstream) = (Reserved::new(), Upstream::start());
    let toml = open(&upstream, MONITORING).replace(&upstream.address().to_string(), &nobody.address().to_string());
    let gateway = TestGateway::start(&toml);
    assert_eq!(gateway.connect().ask(GET).status, 502);
    let page = Page::of(&gateway);
    let state = |state: &'static str| page.get("vidgate_upstream_endpoint_state", &[("state", state)]);
    assert_eq!([state("in"), state("resting")], [Some(0.0), Some(1.0)]);
    let endpoint = format!("http://{}", nobody.address());
    assert_eq!(page.get("vidgate_upstream_ejections_total", &[("endpoint", &endpoint)]), Some(1.0));
    assert_eq!(page.get("vidgate_requests_total", &[("outcome", "failed")]), Some(1.0));
}

#[test]
fn what_is_under_way_is_seen_and_gone_when_it_has_ended() {
    let played = Played::start();
    let gateway = TestGateway::start(&open(&played.upstream, MONITORING));
    let mut caller = gateway.connect();
    caller.send(GET);
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
    let head = caller.head();
    await_value(&gateway, "vidgate_open_streams", &[("kind", "stream")], 1.0);
    await_value(&gateway, "vidgate_worker_requests_in_flight", &[], 1.0);
    await_value(&gateway, "vidgate_upstream_connections", &[("state", "busy")], 1.0);
    assert_eq!(Page::of(&gateway).get("vidgate_connections", &[("listener", "public")]), Some(1.0));
    peer.say("ok");
    caller.body(head);
    await_value(&gateway, "vidgate_open_streams", &[("kind", "stream")], 0.0);
    await_value(&gateway, "vidgate_upstream_connections", &[("state", "busy")], 0.0);
    await_value(&gateway, "vidgate_upstream_connections", &[("state", "idle")], 1.0);
    drop(caller);
    await_value(&gateway, "vidgate_connections", &[("listener", "public")], 0.0);
}

#[test]
fn a_reload_is_told_and_keeps_what_was_counted() {
    let house = House::new();
    let known = "GET /known/a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic b25lOnNlY3JldA==\r\n\r\n";
    assert_eq!(house.gateway.connect().ask(known).status, 200);
    assert_eq!(house.gateway.connect().ask(GET).status, 200);
    assert_eq!(Page::of(&house.gateway).get("vidgate_requests_total", &[("route", "free")]), Some(1.0));
    house.gateway.advance(Duration::from_secs(10));
    house.gateway.adopt_in(&house.toml.replace("name = \"free\"", "name = \"another\""), house.pki.path());
    assert!(house.gateway.reload("nonsense").is_err());
    assert_eq!(house.gateway.connect().ask(known).status, 200);
    let page = Page::of(&house.gateway);
    assert_eq!(page.get("vidgate_limit_decisions_total", &[("decision", "admitted")]), Some(2.0));
    assert_eq!(page.get("vidgate_config_generation", &[]), Some(2.0));
    assert_eq!(page.get("vidgate_config_last_reload_successful", &[]), Some(0.0));
    for outcome in ["succeeded", "failed"] {
        assert_eq!(page.get("vidgate_config_reloads_total", &[("outcome", outcome)]), Some(1.0), "{outcome}");
    }
    let requests = |route: &str| page.get("vidgate_requests_total", &[("route", route)]);
    assert_eq!([requests("known"), requests("free")], [Some(2.0), None]);
    let read = page.get("vidgate_config_loaded_timestamp_seconds", &[]).unwrap();
    assert_eq!(page.get("process_start_time_seconds", &[]), Some(read - 10.0));
}

#[test]
fn credentials_are_counted_by_kind_as_they_come_and_go() {
    let house = House::new();
    let count = |kind: &str| Page::of(&house.gateway).get("vidgate_credentials", &[("kind", kind)]);
    assert_eq!([count("api_client"), count("license_key")], [Some(1.0), Some(0.0)]);
    let change = |line: &str, body: &str| {
        let at = house.gateway.admin_address();
        let fields = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        let length = body.len();
        Wire::connect(at).ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n{body}"))
    };
    assert_eq!(change("POST /v1/accounts", r#"{"id":"two"}"#).status, 201);
    assert_eq!(change("POST /v1/license-keys", r#"{"id":"k","account":"two"}"#).status, 201);
    assert_eq!(count("license_key"), Some(1.0));
    let page = Page::of(&house.gateway);
    assert_eq!((page.get("vidgate_accounts", &[]), page.get("vidgate_store_entries", &[])), (Some(2.0), Some(2.0)));
    assert!(page.get("vidgate_store_commit_duration_seconds_count", &[]).is_some_and(|count| count >= 2.0));
    assert_eq!(page.get("vidgate_store_queue_length", &[]), Some(0.0));
    assert_eq!(change("DELETE /v1/license-keys/k", "").status, 204);
    assert_eq!(count("license_key"), Some(0.0));
}

/// Every PromQL expression of a file of rules or of a dashboard.
fn expressions(path: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there");
    if Path::new(path).extension().is_some_and(|kind| kind == "json") {
        let mut found = Vec::new();
        let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        gather(&dashboard, &mut found);
        return found;
    }
    text.lines().filter_map(|line| line.trim_start().strip_prefix("expr: ")).map(str::to_owned).collect()
}

fn gather(value: &serde_json::Value, found: &mut Vec<String>) {
    if let Some(fields) = value.as_object() {
        for (key, value) in fields {
            let text = value.as_str().filter(|_| ["expr", "query", "definition"].contains(&key.as_str()));
            found.extend(text.filter(|text| text.contains("vidgate_")).map(str::to_owned));
            gather(value, found);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        gather(item, found);
    }
}

/// The words of an expression, without what stands in quotation marks.
fn words(expression: &str) -> Vec<String> {
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
    bare.split(|other| !letter(other)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What is wrong with an expression: a metric or a label that does not exist, or a label that none of its metrics has.
fn mistakes(expression: &str) -> Vec<String> {
    const LANGUAGE: &[&str] = &[
        "sum",
        "min",
        "max",
        "by",
        "on",
        "and",
        "or",
        "rate",
        "increase",
        "changes",
        "offset",
        "time",
        "histogram_quantile",
        "label_values",
    ];
    let (mut wrong, mut labels) = (Vec::new(), BTreeSet::from(["instance", "job", "up"]));
    let words = words(expression);
    for word in &words {
        if word.starts_with("vidgate_") || word.starts_with("process_") {
            let stem = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| word.strip_suffix(suffix));
            let is = |family: &&Family| match family.kind {
                Kind::Histogram => Some(family.name) == stem,
                Kind::Counter | Kind::Gauge => family.name == word,
            };
            match families::all().find(is) {
                Some(family) => {
                    let own = (family.kind == Kind::Histogram).then_some("le");
                    labels.extend(family.labels.iter().copied().chain(own));
                }
                None => wrong.push(format!("there is no metric {word}")),
            }
        }
    }
    for word in &words {
        let known = LANGUAGE.contains(&word.as_str()) || labels.contains(word.as_str()) || word.starts_with('$');
        let number = word.starts_with(|first: char| first.is_ascii_digit());
        if !(known || number || word.starts_with("vidgate_") || word.starts_with("process_")) {
            wrong.push(format!("none of its metrics has a label {word}"));
        }
    }
    wrong
}

#[test]
fn dashboard_and_alerts_name_what_there_is() {
    for (path, least) in [("config/grafana/vidgate.json", 60), ("config/prometheus/alerts.yml", 20)] {
        let expressions = expressions(path);
        assert!(expressions.len() >= least, "{path}: {}", expressions.len());
        for expression in expressions {
            assert_eq!(mistakes(&expression), Vec::<String>::new(), "{path}: {expression}");
        }
    }
    for (expression, wrong) in [
        ("rate(vidgate_request_total[5m])", "there is no metric vidgate_request_total"),
        ("sum by (rute) (vidgate_requests_total)", "none of its metrics has a label rute"),
        ("vidgate_connections{route=\"a\"}", "none of its metrics has a label route"),
        ("rate(vidgate_request_duration_seconds[5m])", "there is no metric vidgate_request_duration_seconds"),
        ("vidgate_connections{le=\"1\"}", "none of its metrics has a label le"),
    ] {
        assert_eq!(mistakes(expression), [wrong], "{expression}");
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let text = fs::read_to_string("config/prometheus/alerts.yml").expect("it is there");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 20);
    for alert in alerts {
        for part in ["\n        expr: ", "severity: ", "summary: \"", "runbook: \""] {
            assert_eq!(alert.matches(part).count(), 1, "{part}: {alert}");
        }
    }
}

#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let (written, table) = (fs::read_to_string(&path).unwrap_or_default(), families::document());
    if written != table {
        let aside = std::env::temp_dir().join("metrics.md");
        fs::write(&aside, &table).expect("it can be written");
        panic!("docs/metrics.md is not what the table says; that lies in {}", aside.display());
    }
}
