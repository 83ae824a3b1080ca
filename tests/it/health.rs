//! Whether the gateway lives, whether requests should be sent to it, and how it is doing: asked at the listener of
//! `[monitoring]`, at the one of `[admin]`, and by the commands for people and scripts.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::{TestGateway, open};
use crate::patience::until;
use crate::peer::Played;
use crate::ports::Reserved;
use crate::processes;
use crate::time::{Added, timed};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MONITORING: &str = "[monitoring]\naddress = \"127.0.0.1:0\"";
const TOKEN: &str = "a-token-for-the-tests";

fn ask(address: SocketAddr, line: &str) -> Answer {
    Wire::connect(address).ask(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

/// The status of `/live` or `/ready`, and what is not well.
fn health(gateway: &TestGateway, path: &str) -> (u16, Vec<String>) {
    let answer = ask(gateway.monitoring_address(), &format!("GET {path}"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let document: Value = serde_json::from_str(answer.text()).expect("JSON");
    assert_eq!(document["ok"], answer.status == 200);
    let checks = document["checks"].as_object().expect("checks");
    assert!(checks.values().all(|check| check["ok"] == check["why"].is_null()), "{document}");
    let wrong = checks.iter().filter(|(_, check)| check["ok"] == false);
    (answer.status, wrong.map(|(name, _)| name.clone()).collect())
}

/// Asks until it is so: a worker tells of itself ten times a second.
fn await_health(gateway: &TestGateway, path: &str, expected: &(u16, Vec<String>)) {
    until(&format!("{expected:?} at {path}"), || health(gateway, path) == *expected);
}

fn well() -> (u16, Vec<String>) {
    (200, Vec::new())
}

/// A gateway with a store and an admin listener, in a folder of its own.
fn with_store(upstream: &Upstream) -> (TestGateway, TempDir, String) {
    with_store_at(upstream, [SocketAddr::from(([127, 0, 0, 1], 0)); 2])
}

/// The same with `[monitoring]` and `[admin]` at these addresses.
fn with_store_at(upstream: &Upstream, [monitoring, admin]: [SocketAddr; 2]) -> (TestGateway, TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = MasterKey::random();
    fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
    let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
    Store::create(&settings, &key).expect("a store");
    let more = format!(
        "[monitoring]\naddress = \"{monitoring}\"\n[store]\npath = \"vidgate.redb\"\nmaster_key = {{ file = \"master.key\" }}\n\
         [admin]\naddress = \"{admin}\"\ntokens = {{ alice = \"{TOKEN}\" }}\n\
         [limit.hourly]\nquota = \"100/hour\"\nper = \"account\"\n"
    );
    let toml = open(upstream, &more);
    (TestGateway::start_in(&toml, folder.path(), 2), folder, toml)
}

#[test]
fn a_gateway_that_serves_lives_and_is_ready() {
    let gateway = TestGateway::start(&open(&Upstream::start(), MONITORING));
    assert_eq!((health(&gateway, "/live"), health(&gateway, "/ready")), (well(), well()));
    let checks = |path: &str| {
        let document: Value = serde_json::from_str(ask(gateway.monitoring_address(), path).text()).expect("JSON");
        document["checks"].as_object().expect("checks").keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(checks("GET /live"), "workers");
    assert_eq!(checks("GET /ready"), "configuration listeners overload stop store workers");
    assert_eq!(gateway.connect().ask(GET).status, 200, "and it is no way to the upstream");
}

#[test]
fn the_monitoring_listener_reads_health_and_does_nothing_else() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&open(&upstream, MONITORING));
    let at = gateway.monitoring_address();
    for (line, status) in [
        ("POST /ready", 405),
        ("DELETE /live", 405),
        ("OPTIONS /live", 405),
        ("GET /", 404),
        ("GET /ready/", 404),
        ("GET //live", 404),
        ("GET /v1/status", 404),
        ("GET /v1/accounts", 404),
        ("POST /v1/reload", 404),
    ] {
        assert_eq!(ask(at, line).status, status, "{line}");
    }
    assert_eq!(ask(at, "POST /live").header("allow"), Some("GET, HEAD"));
    let mut wire = Wire::connect(at);
    wire.send("HEAD /ready HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = wire.head();
    assert_eq!(head.status, 200);
    assert_eq!(
        wire.ask("GET /live HTTP/1.1\r\nHost: a\r\n\r\n").status,
        200,
        "HEAD had no body, and the connection goes on"
    );
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_caller_who_says_nothing_is_not_waited_for() {
    let gateway = TestGateway::start(&open(&Upstream::start(), MONITORING));
    let mut silent = Wire::connect(gateway.monitoring_address());
    silent.send("GET /live HTTP/1.1\r\n");
    assert_eq!(health(&gateway, "/live"), well(), "it is read by now");
    gateway.advance(Duration::from_secs(11));
    assert!(silent.is_closed());
}

#[test]
fn a_lame_duck_is_not_ready_and_lives_and_serves() {
    let top = format!("lame_duck = \"3s\"\n{MONITORING}");
    let gateway = timed(&Upstream::start(), Added { top: &top, ..Added::default() });
    let (public, monitoring) = (gateway.address("public"), gateway.monitoring_address());
    assert_eq!(ask(monitoring, "GET /ready").status, 200);
    let (ready, clock) = (gateway.readiness(), gateway.clock.clone());
    let draining = thread::spawn(|| gateway.drain());
    until("the beginning of its end", || !ready.load(std::sync::atomic::Ordering::Relaxed));
    let answer = ask(monitoring, "GET /ready");
    let document: Value = serde_json::from_str(answer.text()).expect("JSON");
    assert_eq!((answer.status, &document["checks"]["stop"]["ok"]), (503, &json!(false)));
    assert_eq!(document["detail"], "stop: it is about to end");
    assert_eq!(ask(monitoring, "GET /live").status, 200);
    assert_eq!(Wire::connect(public).ask(GET).status, 200);
    clock.advance(Duration::from_secs(3));
    assert!(draining.join().expect("it ends"));
}

#[test]
fn a_worker_that_refuses_is_not_ready_until_there_is_room_again() {
    let played = Played::start();
    let top = format!("[overload]\nmax_in_flight = 1\n{MONITORING}");
    let gateway = timed(&played.upstream, Added { top: &top, ..Added::default() });
    assert_eq!(health(&gateway, "/ready"), well());
    let mut first = gateway.connect();
    first.send(GET);
    let (mut peer, _) = played.next_head();
    assert_eq!(gateway.connect().ask(GET).status, 503);
    await_health(&gateway, "/ready", &(503, vec!["overload".to_owned()]));
    assert_eq!(health(&gateway, "/live"), well(), "it is busy, and not dead");
    peer.say(OK);
    assert_eq!(first.answer().text(), "ok");
    await_health(&gateway, "/ready", &well());
}

#[test]
fn a_reload_is_ready_when_every_worker_has_it() {
    let upstream = Upstream::start();
    let (gateway, folder, toml) = with_store(&upstream);
    let status = || -> Value {
        let line = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        let answer = Wire::connect(gateway.admin_address()).ask(line);
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_str(answer.text()).expect("JSON")
    };
    let generations = |status: &Value| -> Vec<u64> {
        let workers = status["workers"].as_array().expect("workers").iter();
        workers.map(|worker| worker["generation"].as_u64().expect("a number")).collect()
    };
    let first = status();
    assert_eq!((&first["configuration"]["generation"], generations(&first)), (&json!(1), vec![1, 1]));
    assert_eq!(first["configuration"]["last_reload"], Value::Null);
    gateway.adopt_in(&toml.replace("[limit.hourly]", "[limit.daily]"), folder.path());
    let second = status();
    assert_eq!((&second["configuration"]["generation"], generations(&second)), (&json!(2), vec![2, 2]));
    assert_eq!(second["limits"][0]["name"], "daily");
    assert_eq!(health(&gateway, "/ready"), well());
    assert!(gateway.reload("nonsense").is_err());
    let third = status();
    let last = &third["configuration"]["last_reload"];
    assert_eq!((&third["configuration"]["generation"], &last["ok"]), (&json!(2), &json!(false)));
    assert!(last["summary"].as_str().is_some_and(|summary| summary.starts_with("nothing was changed")), "{last}");
    assert_eq!(health(&gateway, "/ready"), well(), "what was before still serves");
}

#[test]
fn the_admin_listener_tells_health_to_anybody_and_the_rest_to_operators() {
    let (gateway, _folder, _) = with_store(&Upstream::start());
    let at = gateway.admin_address();
    for (line, status) in [
        ("GET /live", 200),
        ("HEAD /ready", 200),
        ("GET /ready", 200),
        ("POST /ready", 401),
        ("GET /v1/status", 401),
        ("GET /openapi.json", 401),
    ] {
        let mut wire = Wire::connect(at);
        wire.send(format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!(wire.head().status, status, "{line}");
    }
}

#[test]
fn a_status_tells_listeners_workers_upstreams_limits_and_the_store() {
    let upstream = Upstream::start();
    let (gateway, _folder, _) = with_store(&upstream);
    let mut open = gateway.connect();
    assert_eq!(open.ask(GET).status, 200);
    let line = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let answer = Wire::connect(gateway.admin_address()).ask(line);
    let status: Value = serde_json::from_str(answer.text()).expect("JSON");
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["started"], &status["uptime_seconds"]), (&json!("2025-01-01T00:00:00Z"), &json!(0)));
    let names: Vec<_> =
        status["listeners"].as_array().unwrap().iter().map(|own| own["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["public", "admin", "monitoring"]);
    let public = &status["listeners"][0];
    assert_eq!(public["address"], gateway.address("public").to_string());
    assert_eq!((&public["up"], &public["max_connections"]), (&json!(true), &json!(10_000)));
    // One more is taken before anybody comes by it.
    assert!((1..=2).contains(&public["connections"].as_u64().expect("a number")), "{public}");
    let connections = |worker: &Value| worker["connections"].as_u64().expect("a number");
    assert_eq!(status["workers"].as_array().unwrap().iter().map(connections).sum::<u64>(), 1);
    let endpoint = json!({ "url": format!("http://{}", upstream.address()), "state": "in", "why": null });
    assert_eq!(status["upstreams"], json!([{ "name": "api", "endpoints": [endpoint] }]));
    assert_eq!(status["limits"], json!([{ "name": "hourly", "measure": "quota", "log_only": false }]));
    assert_eq!((&status["store"]["entries"], &status["store"]["queue"]), (&json!(0), &json!(0)));
    assert_eq!(status["store"]["last_commit"], Value::Null);
    assert!(status["memory"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
}

#[test]
fn an_endpoint_that_is_left_alone_is_told_with_why() {
    let (nobody, upstream) = (Reserved::new(), Upstream::start());
    let (gateway, folder, toml) = with_store(&upstream);
    gateway.adopt_in(&toml.replace(&upstream.address().to_string(), &nobody.address().to_string()), folder.path());
    assert_eq!(gateway.connect().ask(GET).status, 502);
    let line = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let answer = Wire::connect(gateway.admin_address()).ask(line);
    let status: Value = serde_json::from_str(answer.text()).expect("JSON");
    let endpoint = &status["upstreams"][0]["endpoints"][0];
    assert_eq!(endpoint["state"], "resting", "{endpoint}");
    assert_eq!(endpoint["why"], "requests to it have failed: it is left alone for 1 s more");
}

/// Runs the real binary with a configuration that leads to this gateway.
fn run(folder: &Path, words: &[&str]) -> Output {
    processes::run(Command::new(env!("CARGO_BIN_EXE_vidgate")).args(words).current_dir(folder))
}

#[test]
fn the_commands_tell_by_their_exit_codes_how_it_stands() {
    // Its own until the end, when nobody answers there.
    let ports = [Reserved::new(), Reserved::new()];
    let (gateway, folder, bound) = with_store_at(&Upstream::start(), ports.each_ref().map(Reserved::address));
    let path = folder.path();
    fs::write(path.join("vidgate.toml"), &bound).expect("written");
    let monitoring = format!("[monitoring]\naddress = \"{}\"\n", gateway.monitoring_address());
    let without = bound.replace(&monitoring, "");
    assert_ne!(without, bound);
    fs::write(path.join("admin.toml"), without).expect("written");
    let said = |words: &[&str]| {
        let output = run(path, words);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    };
    for words in [&["health"][..], &["health", "--ready"], &["health", "--ready", "--config", "admin.toml"]] {
        assert_eq!(said(words), (Some(0), "all is well\n".to_owned()), "{words:?}");
    }
    let (code, page) = said(&["status"]);
    assert!(code == Some(0) && page.starts_with("ready          yes\n") && page.contains("hourly"), "{page}");
    let (code, document) = said(&["status", "--json"]);
    assert_eq!(
        (code, &serde_json::from_str::<Value>(&document).expect("JSON")["ready"]["ok"]),
        (Some(0), &json!(true))
    );
    gateway.readiness().store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(said(&["health"]).0, Some(0), "it lives");
    assert_eq!(said(&["health", "--ready"]), (Some(1), "vidgate: stop: it is about to end\n".to_owned()));
    let (code, page) = said(&["status"]);
    assert!(code == Some(1) && page.contains("no: stop: it is about to end"), "{page}");
    drop(gateway);
    // The threads of a gateway that is dropped end a moment later.
    ports.iter().for_each(Reserved::await_silence);
    let nobody = format!("vidgate: no gateway answers at {}\n", ports[1].address());
    assert_eq!(said(&["status"]), (Some(2), nobody));
    let (code, complaint) = said(&["health"]);
    assert!(code == Some(1) && complaint.contains("no gateway answers at"), "{complaint}");
}
