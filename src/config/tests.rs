//! The files of `config/` and `tests/fixtures/`, read as an operator's would be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::clock::UnixTime;
use crate::forward::upstream::UpstreamId;
use crate::record::{Attributes, Directory, Kind, Quota, Record, Verdict};
use crate::store::{MasterKey, Purpose, Settings, Store};
use crate::world::Destination;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a folder, with a path that is the same on every machine, by name.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has configurations");
    files
}

fn read(text: &str) -> Result<Loaded, Report> {
    load_text("vidgate.toml", text, &here("tests/fixtures/valid"), Purpose::Look)
}

/// A configuration that is good but for what is added to it.
fn with(more: &str) -> String {
    format!("{}\n{more}", fs::read_to_string(here("tests/fixtures/valid/plain.toml")).unwrap())
}

fn find(loaded: &Loaded, kind: Kind, text: &str) -> Option<Arc<Record>> {
    loaded.world.directory.look_up(kind, text.as_bytes())
}

#[test]
fn every_file_that_comes_with_vidgate_is_good() {
    // The recipes name files of an operator's: `tests/it/recipes.rs` has them.
    for folder in ["config", "tests/fixtures/valid"] {
        for (name, text) in files(folder) {
            if let Err(report) = load_text(&name, &text, &here(folder), Purpose::Look) {
                panic!("{report}");
            }
        }
    }
}

#[test]
fn every_mistake_is_told_at_its_place_and_all_of_them_at_once() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(here("tests/fixtures/invalid"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    close_keys();
    for (name, text) in files("tests/fixtures/invalid") {
        let report = load_text(&name, &text, &here("tests/fixtures/invalid"), Purpose::Look).expect_err(&name);
        assert!(report.errors() > 0, "{name}");
        settings.bind(|| insta::assert_snapshot!(name.trim_end_matches(".toml"), report.render(false)));
    }
}

/// A repository keeps no modes beyond "may be run": a key that others may read is warned about.
fn close_keys() {
    for key in ["server.key", "version-1.key", "garbage.key", "encrypted.key"] {
        let owner_alone = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
        fs::set_permissions(here("tests/fixtures/keys").join(key), owner_alone).unwrap();
    }
}

#[test]
fn what_is_allowed_and_unwise_is_warned_about_at_its_place() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(here("tests/fixtures/unwise"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    close_keys();
    for (name, text) in files("tests/fixtures/unwise") {
        let warnings = load_text(&name, &text, &here("tests/fixtures/unwise"), Purpose::Look).expect(&name).warnings;
        settings.bind(|| insta::assert_snapshot!(name.trim_end_matches(".toml"), warnings.render(false)));
    }
}

#[test]
fn a_credential_that_no_request_can_carry_is_an_error() {
    let license_key = |key: &str| format!("license_key = [{{ id = \"y\", key = {key:?} }}]");
    let api_client = |secret: &str| format!("api_client = [{{ id = \"y\", secret = {secret:?} }}]");
    for (what, credential, good) in [
        ("a key", license_key("a-key="), true),
        ("a comma", license_key("a,key"), false),
        ("a blank", license_key("a key"), false),
        ("a letter beyond ASCII", license_key("a-k\u{e9}y"), false),
        ("what begins as a key of ours", license_key("vgl_a-key"), false),
        ("the longest key", license_key(&"k".repeat(8192)), true),
        ("a longer key", license_key(&"k".repeat(8193)), false),
        ("a secret", api_client("a: s\u{e9}cret,"), true),
        ("a control character", api_client("a\tsecret"), false),
        ("the longest identifier and secret", api_client(&"s".repeat(1022)), true),
        ("a longer secret", api_client(&"s".repeat(1023)), false),
    ] {
        let read = read(&with(&format!("[[account]]\nid = \"x\"\n{credential}")));
        assert_eq!(read.is_ok(), good, "{what}");
    }
}

#[test]
fn ten_mistakes_in_ten_tables_are_ten_reports() {
    let text = fs::read_to_string(here("tests/fixtures/invalid/many.toml")).unwrap();
    assert!(load_text("many.toml", &text, Path::new(""), Purpose::Look).unwrap_err().errors() >= 10);
}

#[test]
fn no_drawing_shows_a_secret() {
    for (name, text) in files("tests/fixtures/invalid") {
        let report = load_text(&name, &text, &here("tests/fixtures/invalid"), Purpose::Look).expect_err(&name);
        let shown = report.render(true) + &report.sentences().collect::<String>() + &format!("{report:?}");
        for secret in
            ["hunter2", "covered-covered", "forgotten-quotes", "the-same-key", "another-key", "12345678", "share.ey"]
        {
            assert!(!shown.contains(secret), "{secret} in {name}");
        }
    }
    let loaded =
        read(&with("[[account]]\nid = \"x\"\nlicense_key = [{ id = \"y\", key = \"hunter2-hunter2\" }]")).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let in_clear = |finding: Finding<'_>| finding.rule.is_some_and(|rule| rule.id == "secret-in-file");
    assert_eq!(loaded.warnings.findings().filter(|finding| in_clear(finding.clone())).count(), 1);
}

#[test]
fn the_reference_names_every_key_there_is() {
    let text = fs::read_to_string(here("config/vidgate.toml")).unwrap();
    let mut keys = BTreeSet::new();
    collect_keys(&schema(), &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    for key in keys {
        let written =
            [format!("{key} = "), format!(".{key}]"), format!("[{key}."), format!("[[{key}]]"), format!("[{key}]")];
        assert!(written.iter().any(|form| text.contains(form)), "`{key}` does not stand in config/vidgate.toml");
    }
}

#[test]
fn the_store_of_the_reference_is_good_once_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(here("config/example-service.pub.pem"), folder.path().join("example-service.pub.pem")).unwrap();
    let mut text = fs::read_to_string(here("config/vidgate.toml")).unwrap();
    for line in ["[store]", "path = \"vidgate.redb\"", "master_key = ", "cache = "] {
        let commented = format!("\n# {line}");
        assert_eq!(text.matches(&commented).count(), 1, "{line}");
        text = text.replace(&commented, &format!("\n{line}"));
    }
    let key = MasterKey::random();
    fs::write(folder.path().join("master.key"), key.to_text().expose()).unwrap();
    Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &key).unwrap();
    let loaded =
        load_text("vidgate.toml", &text, folder.path(), Purpose::Look).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.store.is_some());
}

fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_keys(value, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_schema_that_comes_with_vidgate_is_the_present_one() {
    let text = fs::read_to_string(here("config/vidgate.schema.json")).unwrap();
    let shipped: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shipped, schema(), "cargo run -- schema > config/vidgate.schema.json");
}

#[test]
fn the_world_keeps_the_order_of_the_file() {
    let loaded = read(&fs::read_to_string(here("tests/fixtures/valid/odd.toml")).unwrap()).unwrap();
    let world = &loaded.world;
    assert_eq!(world.listeners.iter().map(|listener| &*listener.name).collect::<Vec<_>>(), ["zebra", "ape"]);
    assert_eq!(world.upstreams.iter().map(|upstream| &*upstream.name).collect::<Vec<_>>(), ["six", "spare"]);
    assert_eq!(world.routes.iter().map(|route| &*route.name).collect::<Vec<_>>(), ["exact", "anyone"]);
    assert_eq!((world.tables.len(), world.dialects.len()), (2, 2));
    assert!(matches!(world.routes[0].destination, Destination::Upstream { id: UpstreamId(0), .. }));
    assert_eq!((world.routes[0].max_body, world.routes[1].max_body), (None, Some(0)));
    assert_eq!(world.listeners[1].limits.target_bytes, 512);
    assert_eq!((loaded.workers, loaded.stop.drain), (None, std::time::Duration::from_secs(30)));
    assert_eq!(&*world.upstreams[0].endpoints[0].host, "2001:db8::1");
}

#[test]
fn a_camera_may_have_tokens_with_different_scopes() {
    let loaded = read(&fs::read_to_string(here("tests/fixtures/valid/odd.toml")).unwrap()).unwrap();
    let token = |payload: &str| format!("share.{payload}.61a964c3tbc1fab00.AAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for (payload, id, scope) in [("eyJzaSI6IDF9", "1#1", "all"), ("eyJzaSI6IDJ9", "1#2", "watch")] {
        let record = find(&loaded, Kind::CameraToken, &token(payload)).unwrap();
        assert_eq!((record.id(), record.subject()), (id, "camera:1"));
        let scopes = record.scopes.as_ref().unwrap();
        assert_eq!((scopes.0.len(), scopes.contains(scope)), (1, true));
        assert!(matches!(&record.attributes, Attributes::Camera(camera) if &**camera == "1"));
        assert_eq!((&*record.account.id.0, record.account.is_disabled()), ("child", true));
    }
    assert!(loaded.world.directory.account("parent").unwrap().is_disabled());
    let service = find(&loaded, Kind::ServiceAccountKey, "kid").unwrap();
    assert!(matches!(service.attributes, Attributes::PublicKey(_)));
}

#[test]
fn an_api_client_is_found_by_its_identifier_and_known_by_its_secret() {
    let loaded =
        read(&with("[[account]]\nid = \"x\"\napi_client = [{ id = \"identifier\", secret = \"a:secret\" }]")).unwrap();
    let record = find(&loaded, Kind::ApiClient, "identifier").unwrap();
    let proven = |secret: &[u8]| loaded.world.directory.proves(secret, record.proofs(), UnixTime(0)) == Verdict::Proven;
    assert!(proven(b"a:secret") && !proven(b"another"));
}

#[test]
fn what_was_agreed_upon_with_a_declared_account_is_known() {
    let terms = |written: &str| {
        let loaded = read(&with(&format!("[[account]]\nid = \"x\"\n{written}"))).unwrap();
        loaded.world.directory.account("x").unwrap().terms()
    };
    assert_eq!(terms(""), None);
    assert_eq!(terms("addresses = [\"203.0.113.7\", \"0.0.0.0\"]\nquota = {}"), None);
    let some = terms("addresses = [\"203.0.113.0/24\"]\nquota = { hour = 5, month = 7 }\nhosted_cameras = 0").unwrap();
    assert!(some.allows("203.0.113.7".parse().unwrap()) && !some.allows("203.0.114.7".parse().unwrap()));
    assert_eq!(some.quota, Quota { hour: Some(5), day: None, month: Some(7) });
    assert_eq!(some.hosted_cameras, Some(0));
}

#[test]
fn a_list_of_addresses_has_a_bound() {
    let list =
        |length: usize| with(&format!("[[account]]\nid = \"x\"\naddresses = [{}]", "\"192.0.2.7\",".repeat(length)));
    assert!(read(&list(1024)).is_ok());
    assert!(read(&list(1025)).unwrap_err().to_string().contains("at most 1024 addresses"));
}

#[test]
fn a_route_without_authenticate_keeps_vidgate_from_starting() {
    let text = with("[[route]]\nname = \"more\"\npath = \"/more\"\nforward = \"vms\"");
    let drawn = read(&text).unwrap_err().to_string();
    assert!(drawn.contains("`authenticate` is missing") && drawn.contains("authenticate = \"open\""), "{drawn}");
    assert!(read(&text.replace("path = \"/more\"", "path = \"/more\"\nauthenticate = \"open\"")).is_ok());
}

#[test]
fn what_nobody_uses_is_warned_about() {
    let more = "[scheme.spare.lkey]\n[upstream.spare]\nendpoints = [\"http://10.0.0.9\"]";
    let warnings = read(&with(more)).unwrap().warnings;
    let told: Vec<_> = warnings.findings().filter(|finding| finding.message.contains("`spare`")).collect();
    assert_eq!(told.len(), 2, "{warnings}");
    // They matter little: a log says nothing of them.
    assert!(warnings.sentences().all(|sentence| !sentence.contains("`spare`")));
}

#[test]
fn a_secret_in_a_file_is_read_from_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.key"), "from-a-file\r\n").unwrap();
    let text = with("[[account]]\nid = \"x\"\nlicense_key = [{ id = \"y\", key = { file = \"acme.key\" } }]");
    fs::write(folder.path().join("vidgate.toml"), text).unwrap();
    let loaded = load(&folder.path().join("vidgate.toml"), Purpose::Look).unwrap();
    assert!(find(&loaded, Kind::LicenseKey, "from-a-file").is_some());
}

#[test]
fn a_configuration_that_cannot_be_read_is_told_plainly() {
    let report = load(Path::new("no/such.toml"), Purpose::Look).unwrap_err().to_string();
    assert!(report.contains("cannot read the configuration: there is no such file"), "{report}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vidgate.toml"), b"# \xff").unwrap();
    let report = load(&folder.path().join("vidgate.toml"), Purpose::Look).unwrap_err().to_string();
    assert!(report.contains("not UTF-8 from byte 2 on"), "{report}");
}
