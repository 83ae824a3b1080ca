//! `vidgate lint` at the command line: what it finds, how it ends, and whom it counts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::processes;

const CONFIGURATION: &str = r#"
[store]
path = "store.redb"
master_key = { file = "master.key" }
[admin]
address = "127.0.0.1:0"
tokens = { alice = { file = "admin.token" } }
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://127.0.0.1:2"]
[scheme.machine.apikey]
query = ["api_key"]
[limit.guard]
failures = 10
[[route]]
name = "all"
path = "/{*rest}"
authenticate = "machine"
forward = "api"
limits = ["guard"]
"#;

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let key = MasterKey::random();
    Store::create(&Settings { path: folder.path().join("store.redb"), cache: 1 << 20 }, &key).expect("a store");
    for (name, content) in [("master.key", key.to_text().expose()), ("admin.token", b"0123456789abcdef")] {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    }
    fs::write(folder.path().join("vidgate.toml"), CONFIGURATION).expect("a file");
    folder
}

fn run(folder: &Path, line: &str) -> Output {
    processes::run(Command::new(env!("CARGO_BIN_EXE_vidgate")).args(line.split(' ')).current_dir(folder))
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

#[test]
fn a_finding_ends_a_script_from_the_severity_on_that_it_asks_for() {
    let folder = folder();
    for (line, code) in [
        ("lint", 0),
        ("lint --deny high", 0),
        ("lint --deny medium", 1),
        ("lint --deny low --json", 1),
        ("lint --rules", 0),
        ("lint --config none.toml", 1),
        ("lint --markdown", 2),
    ] {
        assert_eq!(run(folder.path(), line).status.code(), Some(code), "{line}");
    }
    let said = String::from_utf8(run(folder.path(), "lint").stdout).expect("it is text");
    assert!(said.contains("warning[query-credential]") && said.contains("= note: medium: queries stand"), "{said}");
    assert!(said.contains("user_key: none") && said.ends_with("vidgate.toml: 0 high, 1 medium, 0 low\n"), "{said}");
    // A check says the same, shorter.
    let checked = run(folder.path(), "check");
    let said = String::from_utf8(checked.stderr).expect("it is text");
    assert!(
        checked.status.success() && said.contains("warning[query-credential]") && !said.contains("note:"),
        "{said}"
    );
}

#[test]
fn a_finding_is_told_to_scripts_in_parts() {
    let folder = folder();
    let told = document(&run(folder.path(), "lint --json"));
    let finding = &told["findings"][0];
    assert_eq!((&finding["rule"], &finding["severity"]), (&json!("query-credential"), &json!("medium")), "{told}");
    assert_eq!((&finding["line"], &finding["column"]), (&json!(12), &json!(9)), "{told}");
    fs::write(folder.path().join("vidgate.toml"), CONFIGURATION.replace("forward = \"api\"", "forward = \"apj\""))
        .expect("a file");
    let told = document(&run(folder.path(), "lint --json"));
    assert_eq!(told["errors"].as_array().map(Vec::len), Some(1), "{told}");
}

#[test]
fn whoever_still_uses_a_weak_scheme_is_counted_in_the_file_and_through_the_gateway_that_has_it() {
    let folder = folder();
    let users = "{\"resource\":\"account\",\"id\":\"acme\"}\n{\"resource\":\"account\",\"id\":\"zeta\"}\n\
                 {\"resource\":\"user\",\"id\":\"u1\",\"account\":\"acme\",\"login\":\"u1\",\"key\":\"a-key-of-many-letters-1\"}\n\
                 {\"resource\":\"user\",\"id\":\"u2\",\"account\":\"acme\",\"login\":\"u2\",\"key\":\"a-key-of-many-letters-2\"}\n";
    fs::write(folder.path().join("users.jsonl"), users).expect("a file");
    assert!(run(folder.path(), "import users.jsonl").status.success());
    let counted = |told: &Value| {
        let users = &told["findings"][0]["credentials"];
        (users["kind"].clone(), users["count"].clone(), users["most"].clone())
    };
    let expected = (json!("user_key"), json!(2), json!([{ "account": "acme", "count": 2 }]));
    assert_eq!(counted(&document(&run(folder.path(), "lint --json"))), expected);
    let before = fs::read(folder.path().join("store.redb")).expect("the file");
    run(folder.path(), "lint");
    assert!(before == fs::read(folder.path().join("store.redb")).expect("the file"), "a look changes nothing");
    // While a gateway has the file, it is asked.
    let gateway = TestGateway::start_in(CONFIGURATION, folder.path(), 1);
    let here = CONFIGURATION.replacen("127.0.0.1:0", &gateway.admin_address().to_string(), 1);
    fs::write(folder.path().join("running.toml"), here).expect("a file");
    let told = document(&run(folder.path(), "lint --json --config running.toml"));
    let own = told["findings"].as_array().and_then(|all| all.iter().find(|own| own["rule"] == "query-credential"));
    assert_eq!(counted(&json!({ "findings": [own] })), expected, "{told}");
}
