//! The store managed by the real binary, while no gateway runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::processes;

const CONFIGURATION: &str = r#"
[store]
path = "store.redb"
master_key = { file = "master.key" }
[listener.public]
address = "127.0.0.1:1"
[upstream.api]
endpoints = ["http://127.0.0.1:2"]
[scheme.license.lkey]
[[route]]
name = "all"
path = "/{*rest}"
authenticate = "license"
forward = "api"
"#;

struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = MasterKey::random();
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("a file");
        fs::write(folder.path().join("vidgate.toml"), CONFIGURATION).expect("a file");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, line: &str, input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
        processes::fed(command.args(line.split(' ')).current_dir(self.path()), input)
    }

    /// What a command prints that ends well.
    fn said(&self, line: &str, input: &str) -> String {
        let output = self.run(line, input);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// The exit code and the complaint of one that does not.
    fn refused(&self, line: &str, input: &str) -> (Option<i32>, String) {
        let output = self.run(line, input);
        assert!(!output.status.success() && output.stdout.is_empty(), "{line}");
        (output.status.code(), String::from_utf8(output.stderr).expect("it is text"))
    }
}

#[test]
fn a_licence_key_is_made_listed_rotated_and_deleted_at_the_command_line() {
    let house = House::new();
    house.said("account create --id alice", "");
    let made: Value = serde_json::from_str(&house.said("license create --account alice --id l1 --json", "")).unwrap();
    assert!(made["key"].as_str().unwrap().starts_with("vgl_"));
    let given = house.said("license create --account alice --id l2 --secret-file -", "v3.given\n");
    assert_eq!(given, "created license key `l2` (revision 1)\n");
    let table = house.said("license list", "");
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(!table.contains("v3.given") && !table.contains('│'), "{table}");
    assert!(house.said("license rotate l1 --overlap 24h", "").contains("It is shown this once"));
    house.said("license delete l1", "");
    let (code, complaint) = house.refused("license show l1", "");
    assert_eq!((code, complaint.as_str()), (Some(1), "vidgate: there is no license key `l1`\n"));
    let (code, _) = house.refused("license create --colour red", "");
    assert_eq!(code, Some(2));
    let audit = house.said("audit --json", "");
    let actors: Vec<Value> =
        audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["actor"].take()).collect();
    assert_eq!(actors.len(), 5);
    assert!(actors.iter().all(|actor| actor.as_str().unwrap().starts_with("local:")), "{actors:?}");
    assert!(house.said("audit --verify", "").starts_with("The audit trail is whole: 5 deeds."));
}

#[test]
fn a_file_of_entries_is_read_whole_before_it_is_sent() {
    let house = House::new();
    let good = "{\"resource\":\"camera\",\"id\":\"c1\",\"account\":\"a\"}\n{\"resource\":\"account\",\"id\":\"a\"}\n";
    let (code, complaint) = house.refused("import -", &format!("{good}{{\n"));
    assert_eq!(code, Some(1));
    assert!(complaint.starts_with("vidgate: line 3: "), "{complaint}");
    assert_eq!(house.said("import --dry-run -", good), "1 account, 1 camera can be sent; nothing was.\n");
    assert_eq!(house.said("camera list --json", ""), "");
    house.said("import -", good);
    let (_, complaint) = house.refused("import -", good);
    assert!(complaint.starts_with("vidgate: line 2: `id`: "), "{complaint}");
    house.said("import --skip-existing -", good);
    assert_eq!(house.said("camera list --json", "").lines().count(), 1);
}

#[test]
fn an_export_with_its_passphrase_makes_the_same_credentials_elsewhere() {
    let (house, other) = (House::new(), House::new());
    for place in [&house, &other] {
        fs::write(place.path().join("passphrase"), "a long passphrase\n").unwrap();
    }
    house.said("account create --id alice", "");
    house.said("license create --account alice --id l1 --secret-file -", "v3.given");
    house.said("license rotate l1 --overlap 24h", "");
    house.said("client create --account alice --id api --secret-file -", "a-secret-of-alice");
    let plain = house.said("export", "");
    assert_eq!(plain.lines().count(), 4, "{plain}");
    house.said("export --secrets --passphrase-file passphrase -o all.jsonl", "");
    let (_, complaint) = house.refused("export -o all.jsonl", "");
    assert_eq!(complaint, "vidgate: `all.jsonl` is there already, and is not replaced\n");
    let sealed = fs::read_to_string(house.path().join("all.jsonl")).unwrap();
    assert!(!sealed.contains("v3.given") && !sealed.contains("a-secret-of-alice"));
    let (_, complaint) = other.refused("import -", &sealed);
    assert!(complaint.contains("--passphrase-file"), "{complaint}");
    assert_eq!(other.said("import - --passphrase-file passphrase", &sealed), "");
    let shown: Value = serde_json::from_str(&other.said("license show l1 --json", "")).unwrap();
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    // A secret that is known in both is taken in both.
    let taken = other.refused("license create --account alice --id l3 --secret-file -", "v3.given").1;
    assert!(taken.starts_with("vidgate: "), "{taken}");
    let altered = sealed.replacen("\"id\":\"l1\"", "\"id\":\"l9\"", 1);
    let (_, complaint) = other.refused("import - --passphrase-file passphrase", &altered);
    assert!(
        complaint.starts_with("vidgate: line 3: `sealed`: ") || complaint.starts_with("vidgate: line 4: `sealed`: "),
        "{complaint}"
    );
}

#[test]
fn a_backup_makes_the_same_store_where_there_is_none() {
    let house = House::new();
    house.said("account create --id alice", "");
    let saved = house.run("backup saved", "");
    let told = String::from_utf8(saved.stderr).unwrap();
    let bytes = fs::metadata(house.path().join("saved")).unwrap().len();
    assert_eq!(told, format!("`saved`: the store as of now, {bytes} bytes; it opens with its master key alone\n"));
    assert!(saved.status.success() && saved.stdout.is_empty());
    let (_, complaint) = house.refused("backup saved", "");
    assert!(complaint.contains("is there already"), "{complaint}");
    house.said("account delete alice", "");
    let (_, complaint) = house.refused("restore saved", "");
    assert!(complaint.contains("move it away first"), "{complaint}");
    fs::rename(house.path().join("store.redb"), house.path().join("old.redb")).unwrap();
    house.said("restore saved", "");
    assert_eq!(house.said("account list --json", "").lines().count(), 1);
    assert!(house.said("store status", "").contains("account"));
    house.said("store rekey", "");
    house.said("store pepper add", "");
    assert!(house.said("audit", "").contains("rekey"));
}

#[test]
fn a_backup_goes_through_a_pipe_and_back() {
    let house = House::new();
    house.said("account create --id alice", "");
    let piped = house.run("backup -", "");
    let told = String::from_utf8(piped.stderr).unwrap();
    assert!(piped.status.success() && told.starts_with("standard output: the store as of now, "), "{told}");
    assert!(told.contains(&format!(" {} bytes;", piped.stdout.len())), "{told}");
    assert!(!house.path().join("-").exists());
    fs::rename(house.path().join("store.redb"), house.path().join("old.redb")).unwrap();
    fs::write(house.path().join("saved"), &piped.stdout).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    let saved = fs::File::open(house.path().join("saved")).unwrap();
    let restored = command.args(["restore", "-"]).current_dir(house.path()).stdin(saved).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(house.said("account list", "").contains("alice"));
    let exported = house.run("export -o entries", "");
    let told = String::from_utf8(exported.stderr).unwrap();
    let bytes = fs::metadata(house.path().join("entries")).unwrap().len();
    assert_eq!(told, format!("`entries`: every entry as of now, without secrets, {bytes} bytes\n"));
}

#[test]
fn what_only_a_gateway_can_tell_is_not_looked_for_where_none_can_be_asked() {
    let house = House::new();
    let without = CONFIGURATION.split("[listener.public]").nth(1).unwrap();
    fs::write(house.path().join("vidgate.toml"), format!("[listener.public]{without}")).unwrap();
    for (line, otherwise) in [
        ("reload", "SIGHUP has it read"),
        ("why x", "its log has the cause"),
        ("failures list", "a restart forgets"),
        ("usage x", "`RateLimit` fields"),
    ] {
        let (_, complaint) = house.refused(line, "");
        let beginning = "vidgate: no gateway can be asked: the configuration has no [admin], and that needs [store]; ";
        assert!(complaint.starts_with(beginning) && complaint.contains(otherwise), "{line}: {complaint}");
    }
}

#[test]
fn what_is_declared_is_named_as_declared() {
    let house = House::new();
    let declared = "[[account]]\nid = \"acme\"\nlicense_key = [{ id = \"acme-main\", key = \"v3.declared\" }]\n";
    fs::write(house.path().join("vidgate.toml"), format!("{CONFIGURATION}{declared}")).unwrap();
    for line in [
        "license show acme-main",
        "license disable acme-main",
        "license enable acme-main",
        "license rotate acme-main",
        "license change acme-main --name x",
        "license delete acme-main",
        "account show acme",
        "license create --account acme",
        "account create --id below --parent acme",
    ] {
        let (_, complaint) = house.refused(line, "");
        assert!(complaint.contains("is declared in the configuration"), "{line}: {complaint}");
    }
    let (_, complaint) = house.refused("license show acme-other", "");
    assert!(complaint.contains("there is no ") && !complaint.contains("declared"), "{complaint}");
    assert_eq!(house.said("license list --json", ""), "");
}
