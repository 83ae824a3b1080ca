//! What is counted of requests, as those who manage the gateway see it: over the admin listener, and by the real binary
//! that asks there.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::ports::Reserved;
use crate::processes;
use crate::store_kill::Caller;
use crate::upstream::Upstream;

/// `client:secret` and `client:wrong`.
const RIGHT: &str = "Basic Y2xpZW50OnNlY3JldA==";
const WRONG: &str = "Basic Y2xpZW50Ondyb25n";
const HERE: &str = "203.0.113.9";
const TOKEN: &str = "a-token-for-the-tests";

struct House {
    folder: TempDir,
    gateway: TestGateway,
    admin: Caller,
    /// Nobody else's once the gateway has ended.
    port: Reserved,
    _upstream: Upstream,
}

impl House {
    fn new() -> Self {
        let (folder, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
        Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
        let port = Reserved::new();
        let address = port.address();
        let toml = format!(
            r#"
trusted_proxies = ["127.0.0.1"]
[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
[admin]
address = "{address}"
[admin.tokens]
tests = {{ file = "token" }}
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://{}"]
[scheme.api.basic]
tls_only = false
[[account]]
id = "acme"
api_client = [{{ id = "client", secret = "secret" }}]
[limit.guard]
failures = 2
first = "1h"
longest = "2h"
[limit.hourly]
quota = "100/hour"
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "api"
forward = "api"
limits = ["guard", "hourly"]
"#,
            upstream.address()
        );
        for (name, text) in
            [("master.key", key.to_text().expose()), ("token", TOKEN.as_bytes()), ("vidgate.toml", toml.as_bytes())]
        {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let gateway = TestGateway::start_in(&toml, folder.path(), 2);
        let admin = Caller::new(address, &format!("Bearer {TOKEN}"));
        Self { folder, gateway, admin, port, _upstream: upstream }
    }

    fn status(&self, address: &str, credential: &str) -> u16 {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n");
        self.gateway.connect().ask(format!("{head}Authorization: {credential}\r\n\r\n")).status
    }

    fn statuses<const N: usize>(&self, asked: [(&str, &str); N]) -> [u16; N] {
        asked.map(|(address, credential)| self.status(address, credential))
    }

    /// What the admin API answers.
    fn manage(&mut self, method: &str, path: &str) -> (u16, Value) {
        self.admin.ask(method, path, None).expect("it answers")
    }

    /// What the real binary prints, and whether it ended well.
    fn run(&self, line: &str) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
        let output = processes::run(command.args(line.split(' ')).current_dir(self.folder.path()));
        let text = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8(text).expect("it is text"))
    }
}

#[test]
fn what_is_refused_for_wrong_credentials_is_seen_and_taken_back_over_the_admin_listener() {
    let mut house = House::new();
    let beside = "203.0.113.10";
    assert_eq!(house.statuses([(HERE, WRONG), (HERE, WRONG), (HERE, RIGHT), (beside, RIGHT)]), [401, 401, 429, 429]);
    let (status, listed) = house.manage("GET", "/v1/failures");
    let items = listed["items"].as_array().expect("a list");
    let networks: Vec<_> = items.iter().map(|item| item["network"].as_str().expect("a text")).collect();
    assert_eq!((status, networks.len()), (200, 2), "{listed}");
    assert!(networks.contains(&"203.0.113.9/32") && networks.contains(&"203.0.113.0/24"), "{listed}");
    assert!(items.iter().all(|item| item["failures"] == 2 && item["until"].is_string()), "{listed}");
    assert!(!listed.to_string().contains("client"), "an identifier is nowhere kept");

    // What is not understood takes nothing back.
    for wrong in ["/v1/failures?adress=203.0.113.9", "/v1/failures?address=everywhere", "/v1/failures?address="] {
        assert_eq!(house.manage("DELETE", wrong).0, 400, "{wrong}");
    }
    let unknown = Caller::new(house.gateway.address("public"), RIGHT).ask("DELETE", "/v1/failures", None);
    assert_eq!(unknown.expect("it answers").0, 200, "which is the upstream's: nothing of it is managed there");
    assert_eq!(house.manage("DELETE", "/v1/failures?address=198.51.100.1"), (200, json!({ "cleared": 0 })));
    assert_eq!(house.statuses([(HERE, RIGHT), (beside, RIGHT)]), [429, 429]);

    assert_eq!(house.manage("DELETE", "/v1/failures?identifier=client").0, 200);
    assert_eq!(house.statuses([(beside, RIGHT), (HERE, RIGHT)]), [200, 200]);
    assert_eq!(house.manage("GET", "/v1/failures").1, json!({ "items": [] }));
    assert_eq!(house.statuses([(HERE, WRONG), (HERE, WRONG), (HERE, RIGHT)]), [401, 401, 429]);
    assert_eq!(house.manage("DELETE", "/v1/failures").1["cleared"], 2);
    assert_eq!(house.status(HERE, RIGHT), 200);

    let (_, trail) = house.manage("GET", "/v1/audit");
    let deeds = trail["items"].as_array().expect("a list").iter();
    let changes: Vec<_> = deeds.map(|deed| (&deed["actor"], &deed["changes"][0]["action"])).collect();
    let cleared = (&json!("token:tests"), &json!("clear_failures"));
    assert_eq!(changes, [cleared, cleared], "{trail}");
    assert!(!trail.to_string().contains("client"), "{trail}");
}

#[test]
fn the_commands_ask_the_gateway_that_runs() {
    let house = House::new();
    assert_eq!(house.statuses([(HERE, RIGHT), (HERE, RIGHT), (HERE, WRONG), (HERE, WRONG)]), [200, 200, 401, 401]);
    let (well, text) = house.run("usage acme --json");
    assert!(well, "{text}");
    let usage: Value = serde_json::from_str(&text).expect("JSON");
    let hourly = &usage["quotas"][0];
    assert_eq!((&hourly["limit"], &hourly["period"]), (&json!("hourly"), &json!("hour")));
    // 401 and 429 spend nothing.
    assert_eq!((&hourly["spent"], &hourly["quota"], &hourly["remaining"]), (&json!(2), &json!(100), &json!(98)));
    assert_eq!((&hourly["start"], &hourly["end"]), (&json!("2025-01-01T00:00:00Z"), &json!("2025-01-01T01:00:00Z")));
    let (well, table) = house.run("usage acme");
    assert!(well && table.lines().count() == 2 && table.contains("hourly"), "{table}");
    assert_eq!(house.run("usage nobody"), (false, "vidgate: there is no account `nobody`\n".to_owned()));

    let (well, listed) = house.run("failures list --json");
    let items: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(well && items.len() == 2 && items.iter().all(|item| item["failures"] == 2), "{listed}");
    let (well, own) = house.run("failures list --address 203.0.113.10");
    assert!(well && own.contains("203.0.113.0/24") && !own.contains("203.0.113.9/32"), "{own}");
    assert!(!house.run("failures clear").0, "whose, is to be said");
    assert_eq!(house.status(HERE, RIGHT), 429);
    assert_eq!(house.run("failures clear --all"), (true, "2 counters were cleared.\n".to_owned()));
    assert_eq!(house.run("failures clear --all"), (true, "There was nothing to forget.\n".to_owned()));
    assert_eq!(house.status(HERE, RIGHT), 200);
    // While none runs, what is on file is said: the true figure, since it ended in good order.
    let House { folder, gateway, admin, port: _port, _upstream } = house;
    assert!(gateway.drain());
    drop(admin);
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    let output = processes::run(command.args(["usage", "acme", "--json"]).current_dir(folder.path()));
    let usage: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(usage["quotas"][0]["spent"], 0, "of the hour that it is now");
}
