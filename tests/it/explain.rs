//! A gateway that runs explains a request with its own counters, and nothing is counted by it; one that was refused walks
//! again as it came.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::processes;
use crate::store_kill::Caller;
use crate::upstream::Upstream;

const KEY: &str = "v3.a-key-for-this-test";

/// A gateway with an admin API, and limits that are soon spent.
fn house(upstream: &Upstream) -> (TestGateway, TempDir) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let master = MasterKey::random();
    fs::write(folder.path().join("master.key"), master.to_text().expose()).expect("written");
    fs::write(folder.path().join("token"), "a-token-for-the-tests").expect("written");
    Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &master).expect("made");
    let toml = format!(
        r#"
trusted_proxies = ["127.0.0.1", "198.51.100.9"]

[admin]
address = "127.0.0.1:0"
tokens = {{ tests = {{ file = "token" }} }}

[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}

[listener.public]
address = "127.0.0.1:0"

[listener.checks]
address = "127.0.0.1:0"
decide = {{ from = ["127.0.0.1"], as = "forwarded" }}

[upstream.api]
endpoints = ["http://{}"]

[scheme.license.lkey]
[scheme.user.basic]

[limit.burst]
rate = "2/1m"

[limit.guard]
failures = 2

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "{KEY}" }}]

[[route]]
name = "secure"
path = "/secure"
authenticate = "user"
forward = "api"

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "license"
forward = "api"
limits = ["burst", "guard"]
"#,
        upstream.address()
    );
    fs::write(folder.path().join("vidgate.toml"), &toml).expect("written");
    (TestGateway::start_in(&toml, folder.path(), 1), folder)
}

fn explained(admin: &mut Caller, key: &str) -> Value {
    let asked = json!({
        "url": "http://localhost/x?secret=unseen",
        "headers": [["Authorization", format!("LKey {key}")]],
        "peer": "127.0.0.1",
        "listener": "public",
    });
    let (status, explanation) = admin.ask("POST", "/v1/explanations", Some(&asked)).expect("it answers");
    assert_eq!(status, 200, "{explanation}");
    let text = explanation.to_string();
    assert!(!text.contains(key) && !text.contains("unseen"), "{text}");
    explanation
}

#[test]
fn a_gateway_explains_by_its_own_counters_and_counts_nothing() {
    let upstream = Upstream::start();
    let (gateway, _folder) = house(&upstream);
    let mut admin = Caller::new(gateway.admin_address(), "Bearer a-token-for-the-tests");
    let serve = |key: &str| {
        gateway.connect().ask(format!("GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {key}\r\n\r\n")).status
    };
    for _ in 0..5 {
        assert_eq!(explained(&mut admin, KEY)["decision"], "admitted");
        assert_eq!(explained(&mut admin, "v3.wrong-key")["cause"], "credential_unknown");
    }
    assert_eq!((serve(KEY), serve(KEY)), (200, 200), "nothing was taken");
    assert_eq!(explained(&mut admin, KEY)["cause"], "rate_exceeded");
    assert_eq!((serve(KEY), serve("v3.wrong-key"), serve("v3.wrong-key")), (429, 401, 401), "no failure was counted");
    let refused = explained(&mut admin, KEY);
    assert_eq!((&refused["cause"], &refused["answer"]["status"]), (&json!("too_many_failures"), &json!(429)));
    assert_eq!(serve(KEY), 429);
    assert_eq!(upstream.seen().len(), 2);
    let (status, problem) =
        admin.ask("POST", "/v1/explanations", Some(&json!({ "url": "nowhere" }))).expect("an answer");
    assert_eq!((status, &problem["status"]), (400, &json!(400)));
}

/// What `vidgate explain --id` says of a request that was refused: the cause on record, that of the same without its
/// credential, and the steps of it.
fn again(gateway: &TestGateway, folder: &TempDir, id: &str) -> (Value, Value, String) {
    let path = folder.path().join("of-the-command.toml");
    let text = fs::read_to_string(folder.path().join("vidgate.toml")).expect("it was written");
    // Where it listens in truth.
    let (any, own) =
        ("[admin]\naddress = \"127.0.0.1:0\"", format!("[admin]\naddress = \"{}\"", gateway.admin_address()));
    assert!(text.contains(any));
    fs::write(&path, text.replace(any, &own)).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    let output = processes::run(command.args(["explain", "--json", "--id", id, "--config"]).arg(&path));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let steps = told["explanation"]["steps"].to_string();
    (told["recorded"]["cause"].clone(), told["explanation"]["cause"].clone(), steps)
}

#[test]
fn a_request_on_record_walks_again_as_its_caller_came() {
    let upstream = Upstream::start();
    let (gateway, folder) = house(&upstream);
    let ask = |listener: &str, id: &str, fields: &str| {
        let head = format!("GET /secure HTTP/1.1\r\nHost: a.example\r\nX-Request-Id: {id}\r\n{fields}");
        gateway.connect_to(listener).ask(format!("{head}Authorization: Basic bm8tb25lOm5v\r\n\r\n")).status
    };
    let check = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /secure\r\nX-Forwarded-Host: a.example\r\n";
    let by = |proto: &str, hops: &str| format!("X-Forwarded-Proto: {proto}\r\nX-Forwarded-For: {hops}\r\n");
    let (missing, unknown, clear) = ("credential_missing", "credential_unknown", "credential_insecure");
    for (id, listener, fields, (recorded, again_then), client) in [
        ("proxied", "public", by("https", "203.0.113.7"), (unknown, missing), "203.0.113.7"),
        ("sixth", "public", by("https", "2001:db8::7"), (unknown, missing), "2001:db8::7"),
        ("in-clear", "public", by("http", "203.0.113.7"), (clear, missing), "203.0.113.7"),
        ("asked", "checks", by("https", "203.0.113.7") + check, (unknown, missing), "203.0.113.7"),
        ("asked-behind", "checks", by("https", "203.0.113.7, 198.51.100.9") + check, (unknown, missing), "203.0.113.7"),
        ("asked-in-clear", "checks", by("http", "203.0.113.7") + check, (clear, missing), "203.0.113.7"),
    ] {
        assert!([401, 403].contains(&ask(listener, id, &fields)), "{id}");
        let (was, is, steps) = again(&gateway, &folder, id);
        assert_eq!((was, is), (recorded.into(), again_then.into()), "{id}: {steps}");
        assert!(steps.contains(&format!("the caller is at {client}")), "{id}: {steps}");
        assert!(steps.contains(&format!(r#""secure":{}"#, recorded == unknown)), "{id}: {steps}");
    }
}
