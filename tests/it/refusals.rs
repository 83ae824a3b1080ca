//! Refused requests on record, and the file that lines are added to.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::patience::until;
use crate::store_kill::Caller;
use crate::upstream::Upstream;

/// A folder with a store, and a gateway with an admin listener over it.
fn managed(folder: &Path, upstream: &Upstream, log: &str) -> TestGateway {
    let key = MasterKey::random();
    Store::create(&Settings { path: folder.join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
    fs::write(folder.join("master.key"), key.to_text().expose()).expect("written");
    fs::write(folder.join("token"), b"a-token-for-the-tests").expect("written");
    write(folder, upstream, log);
    TestGateway::start_file(&folder.join("vidgate.toml"))
}

fn write(folder: &Path, upstream: &Upstream, log: &str) {
    let upstream = upstream.address();
    let text = format!(
        r#"
trusted_proxies = ["127.0.0.1"]
{log}
[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
[admin]
address = "127.0.0.1:0"
[admin.tokens]
tests = {{ file = "token" }}
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://{upstream}"]
[scheme.license.lkey]
[[account]]
id = "acme"
license_key = [{{ id = "main", key = "a-good-key" }}]
[[route]]
name = "all"
path = "/api/{{*rest}}"
methods = ["GET"]
authenticate = "license"
forward = "api"
"#
    );
    fs::write(folder.join("vidgate.toml"), text).expect("written");
}

/// A request with this id, asked of the gateway; the status of its answer.
fn ask(gateway: &TestGateway, id: &str, target: &str, key: &str) -> u16 {
    let field = format!("Authorization: LKey {key}\r\nX-Request-Id: {id}\r\nUser-Agent: tests");
    gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n")).status
}

#[test]
fn why_a_request_was_refused_is_found_by_its_id() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    let gateway = managed(folder.path(), &upstream, "");
    let mut admin = Caller::new(gateway.admin_address(), "Bearer a-token-for-the-tests");
    let mut get = |path: &str| admin.ask("GET", path, None).expect("it answers");
    assert_eq!(ask(&gateway, "good", "/api/x", "a-good-key"), 200);
    assert_eq!(ask(&gateway, "a/bad:id", "/api/x?token=hunter2&a=1", "another-key"), 401);
    assert_eq!(ask(&gateway, "lost", "/nowhere?a=1", "a-good-key"), 404);
    let (status, refusal) = get("/v1/refusals/a%2Fbad:id");
    assert_eq!(status, 200, "{refusal}");
    assert!(refusal["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{refusal}");
    assert!(refusal["meaning"].is_string() && refusal["hint"].is_string(), "{refusal}");
    let expected = json!({
        "request_id": "a/bad:id", "at": "2025-01-01T00:00:00.000000Z", "decision": "refused", "status": 401,
        "cause": "credential_unknown", "listener": "public", "client_ip": "127.0.0.1", "method": "GET",
        "host": "a.test", "path": "/api/x", "query": "token=***&a=***", "user_agent": "tests", "route": "all",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&refusal[key], value, "{key}: {refusal}");
    }
    assert!(!refusal.to_string().contains("another-key"));
    for gone in ["good", "never"] {
        let (status, problem) = get(&format!("/v1/refusals/{gone}"));
        assert!(status == 404 && problem["detail"].as_str().is_some_and(|said| said.contains("let in")), "{problem}");
    }
    // The latest first, whichever worker had them.
    gateway.advance(Duration::from_millis(1));
    assert_eq!(ask(&gateway, "latest", "/nowhere", "a-good-key"), 404);
    let (_, listed) = get("/v1/refusals?limit=2");
    let ids: Vec<_> = listed["items"].as_array().expect("items").iter().map(|item| &item["request_id"]).collect();
    assert!(ids.len() == 2 && ids[0] == "latest", "{listed}");
}

#[test]
fn as_many_refusals_are_kept_as_is_said_and_no_more_after_a_reload() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    let gateway = managed(folder.path(), &upstream, "[log]\naccess = false\nrefusals = 8");
    let mut admin = Caller::new(gateway.admin_address(), "Bearer a-token-for-the-tests");
    let mut kept = || {
        let (_, listed) = admin.ask("GET", "/v1/refusals", None).expect("it answers");
        listed["items"].as_array().expect("items").clone()
    };
    for number in 0..32 {
        assert_eq!(ask(&gateway, &format!("of-{number}"), "/nowhere", "a-good-key"), 404);
    }
    // Two workers share them, and each keeps its half at most.
    assert!((4..=8).contains(&kept().len()), "{:?}", kept());
    let find = |kept: &[Value], id: &str| kept.iter().any(|item| item["request_id"] == id);
    assert!(find(&kept(), "of-31"));
    write(folder.path(), &upstream, "[log]\naccess = false\nrefusals = 2");
    gateway.reloader().reload().expect("it is right");
    assert!(kept().len() <= 2 && find(&kept(), "of-31"), "{:?}", kept());
    write(folder.path(), &upstream, "[log]\naccess = false\nrefusals = 0");
    gateway.reloader().reload().expect("it is right");
    assert_eq!(ask(&gateway, "none", "/nowhere", "a-good-key"), 404);
    assert!(kept().is_empty());
}

/// Waits until the file has so many lines.
fn await_lines(path: &Path, count: usize) -> Vec<String> {
    let mut text = String::new();
    until(&format!("{count} lines in {}", path.display()), || {
        text = fs::read_to_string(path).unwrap_or_default();
        text.ends_with('\n') && text.lines().count() >= count
    });
    assert_eq!(text.lines().count(), count, "{text}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_are_added_to_a_file_that_may_be_moved_away() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    let log = "[log]\naccess = { format = \"combined\", file = \"access.log\" }\nredact = [\"plate\"]";
    let gateway = managed(folder.path(), &upstream, log);
    let (file, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    assert_eq!(ask(&gateway, "one", "/api/x?plate=hunter2", "a-good-key"), 200);
    let lines = await_lines(&file, 1);
    let expected =
        "127.0.0.1 - acme [01/Jan/2025:00:00:00 +0000] \"GET /api/x?plate=*** HTTP/1.1\" 200 11 \"-\" \"tests\"";
    assert_eq!(lines, [expected]);
    fs::rename(&file, &moved).expect("it can be moved");
    gateway.reloader().reload().expect("it is right");
    assert_eq!(ask(&gateway, "two", "/nowhere", "a-good-key"), 404);
    await_lines(&file, 1);
    await_lines(&moved, 1);
    // What cannot be opened changes nothing.
    write(folder.path(), &upstream, "[log]\naccess = { file = \"no/such/folder/access.log\" }");
    let refused = gateway.reloader().reload().expect_err("it cannot be opened");
    assert!(format!("{refused:?}").contains("the access log"), "{refused:?}");
    assert_eq!(ask(&gateway, "three", "/nowhere", "a-good-key"), 404);
    await_lines(&file, 2);
    // All that was written is there once the gateway has ended.
    assert_eq!(ask(&gateway, "four", "/nowhere", "a-good-key"), 404);
    assert!(gateway.drain());
    await_lines(&file, 3);
}

#[test]
fn of_those_who_were_let_in_one_in_so_many_has_a_line_and_of_others_each() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    fs::write(
        folder.path().join("plain.toml"),
        format!(
            "[log]\naccess = {{ file = \"access.log\", sample = 4 }}\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
             [upstream.api]\nendpoints = [\"http://{}\"]\n[[route]]\nname = \"all\"\npath = \"/api/{{*rest}}\"\n\
             authenticate = \"open\"\nforward = \"api\"\n",
            upstream.address()
        ),
    )
    .expect("written");
    let text = fs::read_to_string(folder.path().join("plain.toml")).expect("it is there");
    let gateway = TestGateway::start_in(&text, folder.path(), 1);
    for number in 0..8 {
        assert_eq!(ask(&gateway, "id", &format!("/api/{number}"), "no"), 200);
        assert_eq!(ask(&gateway, "id", &format!("/nowhere/{number}"), "no"), 404);
    }
    assert!(gateway.drain());
    let lines = await_lines(&folder.path().join("access.log"), 10);
    assert_eq!(lines.iter().filter(|line| line.contains("\"decision\":\"allowed\"")).count(), 2);
}
