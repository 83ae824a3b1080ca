use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::clock::{Clock, UnixTime};
use crate::config::{self, Loaded, Report};
use crate::record::{Directory, Kind};
use crate::store::{Actor, Master, MasterKey, Operation, Purpose, Refused, Request, Resource, Settings, Store};

const FILE: &str = r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.vms]
endpoints = ["http://10.0.0.5"]

[[route]]
name = "all"
path = "/{*rest}"
authenticate = "open"
forward = "vms"

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }
"#;

const TOKEN: &str = "share.eyJzaSI6IDF9.61a964c3tbc1fab00.AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A folder with a configuration, a master key and a store.
struct Ground {
    folder: tempfile::TempDir,
    key: MasterKey,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap(), key: MasterKey::random() };
        ground.write("vidgate.toml", FILE.as_bytes());
        ground.write("master.key", ground.key.to_text().expose());
        fs::set_permissions(ground.path("master.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Store::create(&ground.settings(), &ground.key).unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Adds to the end of the configuration.
    fn declare(&self, more: &str) {
        self.write("vidgate.toml", format!("{FILE}\n{more}").as_bytes());
    }

    fn settings(&self) -> Settings {
        Settings { path: self.path("vidgate.redb"), cache: 1 << 20 }
    }

    fn open(&self) -> Store {
        let master = Master { key: self.key.clone(), file: Some(self.path("master.key")) };
        Store::open(&self.settings(), master, Clock::manual(UnixTime(1_800_000_000)), Purpose::Serve).unwrap()
    }

    /// Somebody who is in the store before.
    fn stock(&self) {
        let store = self.open();
        create(&store, Resource::Account, json!({ "id": "stored" })).unwrap();
        let key = json!({ "id": "main", "account": "stored", "key": "key-of-stored" });
        create(&store, Resource::LicenseKey, key).unwrap();
        create(&store, Resource::Camera, json!({ "id": "5", "account": "stored" })).unwrap();
    }

    fn load(&self, purpose: Purpose) -> Result<Loaded, Report> {
        config::load(&self.path("vidgate.toml"), purpose)
    }

    fn errors(&self, purpose: Purpose) -> Vec<String> {
        let report = self.load(purpose).expect_err("it is refused");
        let prefix = format!("{}:", self.path("vidgate.toml").display());
        let told = report.sentences().filter(|sentence| !sentence.contains("in clear"));
        told.map(|sentence| sentence.strip_prefix(&prefix).unwrap_or(&sentence).to_owned()).collect()
    }

    /// The content of the store's file, and when it was last written.
    fn store_file(&self) -> (Vec<u8>, SystemTime) {
        let path = self.path("vidgate.redb");
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap())
    }
}

fn create(store: &Store, resource: Resource, document: Value) -> Result<(), Refused> {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    change(store, Operation::Create { resource, document, versions: Vec::new() })
}

fn change(store: &Store, operation: Operation) -> Result<(), Refused> {
    let actor = Actor("local:0".to_owned());
    store.apply(Request { actor, operations: vec![operation], idempotency: None }).map(|_| ())
}

fn start(loaded: Loaded) -> Store {
    loaded.store.unwrap().start(Clock::manual(UnixTime(1_800_000_000))).unwrap()
}

#[test]
fn declared_and_stored_live_in_one_index_and_changes_reach_it() {
    let ground = Ground::new();
    ground.stock();
    ground.declare("[[account]]\nid = \"acme\"\nlicense_key = [{ id = \"spare\", key = \"key-of-acme\" }]");
    let loaded = ground.load(Purpose::Serve).unwrap();
    let directory = std::sync::Arc::clone(&loaded.world.directory);
    let known = |key: &str| directory.look_up(Kind::LicenseKey, key.as_bytes()).is_some();
    assert!(known("key-of-acme") && known("key-of-stored"));
    let store = start(loaded);
    let delete = Operation::Delete { resource: Resource::LicenseKey, id: "main".to_owned(), revision: None };
    change(&store, delete).unwrap();
    assert!(known("key-of-acme") && !known("key-of-stored"));
}

#[test]
fn what_is_declared_cannot_be_made_in_the_store() {
    let ground = Ground::new();
    ground.stock();
    ground.declare(&format!(
        "[[account]]\nid = \"acme\"\ncamera = [{{ id = \"7\", tokens = [\"{TOKEN}\"] }}]\n\
         license_key = [{{ id = \"spare\", key = \"key-of-acme\" }}]"
    ));
    let store = start(ground.load(Purpose::Serve).unwrap());
    for (resource, document) in [
        (Resource::Account, json!({ "id": "acme" })),
        (Resource::Camera, json!({ "id": "7", "account": "stored" })),
        (Resource::LicenseKey, json!({ "id": "spare", "account": "stored" })),
        (Resource::LicenseKey, json!({ "id": "other", "account": "stored", "key": "key-of-acme" })),
    ] {
        let refused = create(&store, resource, document).unwrap_err();
        assert!(matches!(refused, Refused::Conflict(_)), "{resource}: {refused}");
    }
    create(&store, Resource::Camera, json!({ "id": "8", "account": "stored" })).unwrap();
}

#[test]
fn a_refused_start_and_a_look_leave_the_file_as_it_was() {
    let restored = |ground: &Ground| ground.write("vidgate.toml", FILE.as_bytes());
    let ground = Ground::new();
    ground.stock();
    let sound = ground.store_file();
    for purpose in [Purpose::Look, Purpose::Serve] {
        let unchanged = |what: &str| assert!(ground.store_file() == sound, "{what}, {purpose:?}");

        drop(ground.load(purpose).unwrap());
        unchanged("found sound, and not started");

        ground.declare("[[account]]\nid = \"stored\"");
        assert_eq!(
            ground.errors(purpose),
            [
                "19:6: this account is in the store as `stored`; take it out of this file, or give one of the two another id"
            ]
        );
        unchanged("a clash of accounts");

        ground.declare(&format!("[[account]]\nid = \"x\"\ncamera = [{{ id = \"5\", tokens = [\"{TOKEN}\"] }}]"));
        assert_eq!(
            ground.errors(purpose),
            ["20:18: this camera is in the store as `5`; take it out of this file, or out of the store"]
        );
        unchanged("a clash of cameras");
        restored(&ground);

        ground.write("master.key", MasterKey::random().to_text().expose());
        assert_eq!(
            ground.errors(purpose),
            [
                "16:14: the master key does not open this store: the key belongs to another one, or the store is damaged; \
              use the master key that the store was made with, or that it was last given"
            ]
        );
        unchanged("a wrong master key");
        ground.write("master.key", ground.key.to_text().expose());
    }
}

#[test]
fn a_store_that_cannot_be_used_is_one_sentence_at_its_path_and_stays_as_it_is() {
    let damaged = "; move it away, and make it anew from the latest backup: vidgate restore FILE";
    for (what, content, message) in [
        ("empty", Vec::new(), "the store is damaged: the file is empty"),
        ("another file", b"#!/bin/sh\necho no store\n".repeat(400), "the store is damaged: "),
    ] {
        let ground = Ground::new();
        ground.write("vidgate.redb", &content);
        let before = ground.store_file();
        for purpose in [Purpose::Look, Purpose::Serve] {
            let errors = ground.errors(purpose);
            let [error] = &errors[..] else { panic!("{what}: {errors:?}") };
            let place = format!("15:8: {message}");
            assert!(error.starts_with(&place) && error.ends_with(damaged) && error.lines().count() == 1, "{error}");
            assert!(ground.store_file() == before, "{what}");
        }
    }
}

#[test]
fn a_store_of_a_later_format_is_refused_and_stays_as_it_is() {
    let ground = Ground::new();
    ground.stock();
    {
        let database = redb::Database::open(ground.path("vidgate.redb")).unwrap();
        let change = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
        change.open_table(meta).unwrap().insert("format", 99u32.to_be_bytes().as_slice()).unwrap();
        change.commit().unwrap();
    }
    let before = ground.store_file();
    for purpose in [Purpose::Look, Purpose::Serve] {
        assert_eq!(
            ground.errors(purpose),
            ["15:8: the store has format 99, and this vidgate knows formats up to 1; \
              use the vidgate that wrote it, or a later one"]
        );
        assert!(ground.store_file() == before, "{purpose:?}");
    }
}

#[test]
fn a_store_that_is_cut_short_anywhere_is_refused_or_whole_and_never_written() {
    let ground = Ground::new();
    ground.stock();
    let (whole, _) = ground.store_file();
    for pages in [1, 2, 3, 5, 8, 13, 21] {
        ground.write("vidgate.redb", &whole[..(pages * 4096).min(whole.len())]);
        let before = ground.store_file();
        for purpose in [Purpose::Look, Purpose::Serve] {
            if let Err(report) = ground.load(purpose) {
                assert_eq!(report.errors(), 1, "{report}");
            }
            assert!(ground.store_file() == before, "{pages} pages, {purpose:?}");
        }
    }
}

#[test]
fn a_missing_store_is_made_by_the_command_that_the_report_names() {
    let ground = Ground::new();
    fs::remove_file(ground.path("vidgate.redb")).unwrap();
    let config = ground.path("vidgate.toml");
    let expected =
        format!("15:8: there is no store here; make it with: vidgate store init --config {}", config.display());
    for purpose in [Purpose::Look, Purpose::Serve] {
        assert_eq!(ground.errors(purpose), [expected.as_str()]);
        assert!(!ground.path("vidgate.redb").exists(), "serving never makes one");
    }
    fs::remove_file(ground.path("master.key")).unwrap();
    let expected = format!(
        "16:14: cannot read `master.key`: there is no such file; vidgate store init --config {} makes it",
        config.display()
    );
    assert_eq!(ground.errors(Purpose::Serve), [expected]);
    assert!(!ground.path("master.key").exists());
}

#[test]
fn whoever_has_lost_the_master_key_of_a_store_is_not_told_to_make_another() {
    let ground = Ground::new();
    let back = "put the copy of the master key back: the store that is there opens with no other";
    fs::remove_file(ground.path("master.key")).unwrap();
    let gone = format!("16:14: cannot read `master.key`: there is no such file; {back}");
    assert_eq!(ground.errors(Purpose::Serve), [gone]);
    for content in ["", "not a key"] {
        ground.write("master.key", content.as_bytes());
        let errors = ground.errors(Purpose::Serve);
        assert!(errors.last().is_some_and(|error| error.ends_with(back)), "{errors:?}");
    }
}

#[test]
fn a_store_in_use_is_not_served_twice_and_a_look_says_that_it_did_not_look() {
    let ground = Ground::new();
    let store = ground.open();
    assert_eq!(
        ground.errors(Purpose::Serve),
        ["15:8: another vidgate has this store open; \
          one gateway at a time has a store: stop the other one, or give this one its own"]
    );
    let loaded = ground.load(Purpose::Look).unwrap();
    assert!(loaded.store.is_none());
    let found: Vec<_> = loaded.warnings.findings().filter_map(|finding| finding.rule).map(|rule| rule.id).collect();
    assert!(found.contains(&"store-in-use"), "{found:?}");
    drop(store);
    assert!(ground.load(Purpose::Serve).is_ok());
}

#[test]
fn a_file_with_another_mistake_does_not_open_the_store() {
    let ground = Ground::new();
    ground.declare("[[account]]\nid = \"a b\"");
    // Were it opened, this would be said as well.
    ground.write("vidgate.redb", b"damaged");
    assert_eq!(ground.errors(Purpose::Serve).len(), 1);
}

#[test]
fn the_store_of_a_master_key_from_the_environment_opens_too() {
    let ground = Ground::new();
    let text = |name: &str| FILE.replace("{ file = \"master.key\" }", &format!("{{ env = \"{name}\" }}"));
    ground.write("vidgate.toml", text("VIDGATE_TEST_NOWHERE_SET").as_bytes());
    assert_eq!(
        ground.errors(Purpose::Look),
        ["16:14: the environment variable `VIDGATE_TEST_NOWHERE_SET` is not set; \
          put the copy of the master key back: the store that is there opens with no other"]
    );
    // Set, and no master key.
    ground.write("vidgate.toml", text("CARGO_MANIFEST_DIR").as_bytes());
    assert!(ground.errors(Purpose::Look)[0].starts_with("16:14: the master key is neither 64 hex digits"));
}

#[test]
fn a_key_that_others_may_read_is_warned_about() {
    let ground = Ground::new();
    fs::set_permissions(ground.path("master.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let loaded = ground.load(Purpose::Look).unwrap();
    let warnings: Vec<_> = loaded.warnings.sentences().filter(|told| !told.contains("anyone may use")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("anyone on this machine may read")), "{warnings:?}");
}
