//! A gateway that runs explains a request with its own counters, and nothing is counted by it.

use std::fs;

use serde_json::{Value, json};
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::store_kill::Caller;
use crate::upstream::Upstream;

const KEY: &str = "v3.a-key-for-this-test";

/// A gateway with an admin API, and limits that are soon spent.
fn house(upstream: &Upstream) -> (TestGateway, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let master = MasterKey::random();
    fs::write(folder.path().join("master.key"), master.to_text().expose()).expect("written");
    fs::write(folder.path().join("token"), "a-token-for-the-tests").expect("written");
    Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &master).expect("made");
    let toml = format!(
        r#"
[admin]
address = "127.0.0.1:0"
tokens = {{ tests = {{ file = "token" }} }}

[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}

[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.license.lkey]

[limit.burst]
rate = "2/1m"

[limit.guard]
failures = 2

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "{KEY}" }}]

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "license"
forward = "api"
limits = ["burst", "guard"]
"#,
        upstream.address()
    );
    (TestGateway::start_in(&toml, folder.path(), 1), folder)
}

fn explained(admin: &mut Caller, key: &str) -> Value {
    let asked = json!({
        "url": "http://localhost/x?secret=unseen",
        "headers": [["Authorization", format!("LKey {key}")]],
        "peer": "127.0.0.1",
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
