use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clock::Clock;
use crate::store::Purpose;

fn ground(master_key: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("vidgate.toml");
    let minimal = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/valid/plain.toml")).unwrap();
    let text = format!("{minimal}\n[store]\npath = \"vidgate.redb\"\nmaster_key = {master_key}\n");
    fs::write(&config, text).unwrap();
    (folder, config)
}

const IN_FILE: &str = "{ file = \"master.key\" }";

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_made_can_be_served_and_is_its_owners_alone() {
    let (folder, config) = ground(IN_FILE);
    make_for(&config).unwrap();
    assert_eq!(names(&folder), ["master.key", "vidgate.redb", "vidgate.toml"]);
    for made in ["master.key", "vidgate.redb"] {
        let mode = fs::metadata(folder.path().join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{made}");
    }
    let loaded = config::load(&config, Purpose::Serve).unwrap();
    assert!(loaded.warnings.sentences().all(|warning| !warning.contains("master.key")));
    loaded.store.unwrap().start(Clock::system()).unwrap();
}

#[test]
fn a_key_that_is_there_is_used_and_nothing_that_exists_is_touched() {
    let (folder, config) = ground(IN_FILE);
    let key = MasterKey::random().to_text();
    let key_file = folder.path().join("master.key");
    fs::write(&key_file, key.expose()).unwrap();
    make_for(&config).unwrap();
    assert_eq!(fs::read(&key_file).unwrap(), key.expose());
    config::load(&config, Purpose::Look).unwrap();

    let store = fs::read(folder.path().join("vidgate.redb")).unwrap();
    for what in ["the key is there", "the key is gone"] {
        let refused = make_for(&config).unwrap_err().to_string();
        let told = match what {
            "the key is there" => "there is a file here already; nothing was changed",
            _ => "nothing was made: put the copy of the master key back",
        };
        assert!(refused.contains(told), "{what}: {refused}");
        assert!(fs::read(folder.path().join("vidgate.redb")).unwrap() == store, "{what}");
        assert_eq!(key_file.exists(), what == "the key is there");
        let _ = fs::remove_file(&key_file);
    }
}

#[test]
fn what_is_no_master_key_is_refused_and_nothing_is_made() {
    let (folder, config) = ground(IN_FILE);
    fs::write(folder.path().join("master.key"), "hunter2-hunter2").unwrap();
    let refused = make_for(&config).unwrap_err().to_string();
    assert!(refused.contains("neither 64 hex digits nor 43 characters"), "{refused}");
    assert!(!refused.contains("hunter2"));
    assert_eq!(names(&folder), ["master.key", "vidgate.toml"]);
}

#[test]
fn a_key_is_taken_back_when_the_store_cannot_be_made() {
    let (folder, config) = ground(IN_FILE);
    let text = fs::read_to_string(&config).unwrap().replace("\"vidgate.redb\"", "\"nowhere/vidgate.redb\"");
    fs::write(&config, text).unwrap();
    assert!(matches!(make_for(&config), Err(NotMade::Store(..))));
    assert_eq!(names(&folder), ["vidgate.toml"]);
}

#[test]
fn a_key_from_the_environment_must_be_there_and_the_way_to_make_one_is_told() {
    let (folder, config) = ground("{ env = \"VIDGATE_TEST_NOWHERE_SET\" }");
    let refused = make_for(&config).unwrap_err().to_string();
    assert!(refused.contains("`VIDGATE_TEST_NOWHERE_SET` is not set") && refused.contains("vidgate store key"));
    assert_eq!(names(&folder), ["vidgate.toml"]);
}

#[test]
fn a_configuration_without_a_store_is_told_what_to_add() {
    let config = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/valid/plain.toml"));
    let refused = make_for(config).unwrap_err().to_string();
    assert!(refused.contains("no store") && refused.contains("add [store]"), "{refused}");
}
