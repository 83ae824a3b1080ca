use std::path::Path;
use std::sync::Arc;

use crate::config::Installed;
use crate::config::check::account;
use crate::config::file;
use crate::config::report::Report;
use crate::config::source::Source;
use crate::record::{Account, Details, Directory, Key, Kind, Record, Standing};
use crate::store::{Index, Pepper, Peppers, Resource};

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

[[account]]
id = "branch"
parent = "acme"
license_key = [{ id = "main", key = "key-of-branch" }]

[[account]]
id = "acme"
api_client = [{ id = "client", secret = "secret" }]
camera = [{ id = "5", tokens = ["share.eyJzaSI6IDF9.61a964c3tbc1fab00.AAAAAAAAAAAAAAAAAAAAAAAAAAA"] }]
"#;

/// Reads the file and puts everyone into the index.
fn install(text: &str, index: &Index) -> Report {
    succeed(text, index, &Installed::default()).1
}

/// The same in the place of those before.
fn succeed(text: &str, index: &Index, before: &Installed) -> (Option<Installed>, Report) {
    let mut report = Report::new("vidgate.toml", text);
    let file = file::read(text, &mut report).unwrap();
    let declared = account::accounts(&file.accounts, &Source::new(Path::new("")), &mut report);
    assert_eq!(report.errors(), 0, "{}", report.render(false));
    (declared.install(index, before, &mut report), report)
}

/// Somebody who was in the store before.
fn store(index: &Index, account: &str, kind: Kind, id: &str, text: &str) {
    let account = index.account(account).unwrap_or_else(|| {
        let account = Account::new(account, Standing::default()).unwrap();
        index.insert_account(account).unwrap()
    });
    let key = Key { kind, digest: index.digest(text.as_bytes()) };
    index.insert(Record::new(Details::new(key, id, account)).unwrap()).unwrap();
}

/// Errors with the text at their places.
fn errors(report: &Report) -> Vec<String> {
    let sentences = report.sentences().filter(|sentence| !sentence.contains("in clear"));
    sentences.map(|sentence| sentence.strip_prefix("vidgate.toml:").unwrap().to_owned()).collect()
}

#[test]
fn declared_and_stored_stand_side_by_side() {
    let index = Index::new();
    store(&index, "stored", Kind::LicenseKey, "other", "key-of-stored");
    let report = install(FILE, &index);
    assert_eq!(report.errors(), 0, "{}", report.render(false));
    assert_eq!(index.len(), 4);
    let (acme, branch) = (index.account("acme").unwrap(), index.account("branch").unwrap());
    assert!(branch.is_child_of(&acme));
    let declared = index.look_up(Kind::LicenseKey, b"key-of-branch").unwrap();
    assert_eq!((declared.id(), declared.subject()), ("main", "license_key:main"));
    assert!(index.look_up(Kind::LicenseKey, b"key-of-stored").is_some());
}

#[test]
fn under_a_newer_pepper_whoever_holds_a_declared_one_can_follow_it() {
    let peppers =
        |newest: u8| Peppers::new((1..=newest).map(|number| (number.into(), Pepper::new(&[number; 32])))).unwrap();
    let index = Index::with_peppers(peppers(1));
    let (before, _) = succeed(FILE, &index, &Installed::default());
    let handles = [(Kind::LicenseKey, "key-of-branch"), (Kind::ApiClient, "client")];
    let held = handles.map(|(kind, text)| index.look_up(kind, text.as_bytes()).unwrap());
    index.set_peppers(peppers(2));
    let (after, report) = succeed(FILE, &index, &before.unwrap());
    assert_eq!((index.len(), report.errors()), (3, 0), "nobody is there twice");
    for ((kind, text), held) in handles.into_iter().zip(&held) {
        let now = index.look_up(kind, text.as_bytes()).unwrap();
        assert!(!Arc::ptr_eq(&now, held) && Arc::ptr_eq(&index.successor(held).unwrap(), &now), "{text}");
    }
    // One that is declared no more is followed to nobody.
    let without = FILE.replace("key-of-branch", "another-key").replace("id = \"main\"", "id = \"other\"");
    let _ = succeed(&without, &index, &after.unwrap());
    assert!(index.successor(&held[0]).is_none() && index.successor(&held[1]).is_some());
}

#[test]
fn a_clash_names_the_stored_one_at_the_declared_place_and_nobody_comes_in() {
    let token = "share.eyJzaSI6IDF9.61a964c3tbc1fab00.AAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (what, account, kind, id, text, expected) in [
        (
            "the account",
            "acme",
            Kind::LicenseKey,
            "x",
            "x",
            "20:6: this account is in the store as `acme`; take it out of this file, or give one of the two another id",
        ),
        (
            "the key",
            "stored",
            Kind::LicenseKey,
            "spare",
            "key-of-branch",
            "17:37: the same license_key is in the store as `spare`; take it out of this file, or out of the store",
        ),
        (
            "the token",
            "stored",
            Kind::CameraToken,
            "spare",
            token,
            "22:33: the same camera is in the store as `spare`; take it out of this file, or out of the store",
        ),
        (
            "the id",
            "stored",
            Kind::LicenseKey,
            "main",
            "another-key",
            "17:23: this id is in the store as `main`, of the account `stored`; \
             no two credentials of the kind license_key share an id",
        ),
    ] {
        let index = Index::new();
        store(&index, account, kind, id, text);
        assert_eq!(errors(&install(FILE, &index)), [expected], "{what}");
        assert_eq!((index.len(), index.account("branch").is_none()), (1, true), "{what}");
    }
}

#[test]
fn the_same_id_of_another_kind_is_no_clash() {
    let index = Index::new();
    store(&index, "stored", Kind::BearerToken, "main", "key-of-branch");
    assert_eq!(errors(&install(FILE, &index)), [""; 0]);
}

#[test]
fn accounts_have_a_greatest_depth() {
    let level = |level: usize| format!("[[account]]\nid = \"a{level}\"\nparent = \"a{}\"\n", level - 1);
    let chain = |deepest: usize| (1..=deepest).map(level).collect::<String>();
    for (deepest, errors) in [(16, 0), (17, 1)] {
        let text = format!("{FILE}\n[[account]]\nid = \"a0\"\n{}", chain(deepest));
        let mut report = Report::new("vidgate.toml", &text);
        let file = file::read(&text, &mut report).unwrap();
        account::accounts(&file.accounts, &Source::new(Path::new("")), &mut report);
        assert_eq!(report.errors(), errors, "{deepest}: {}", report.render(false));
    }
}

#[test]
fn a_token_is_declared_by_the_id_that_it_goes_by() {
    let mut report = Report::new("vidgate.toml", FILE);
    let file = file::read(FILE, &mut report).unwrap();
    let declared = account::accounts(&file.accounts, &Source::new(Path::new("")), &mut report).entries();
    // A stored token with the id of a declared one is found as a clash at the next start.
    for (resource, id) in [(Resource::Camera, "5"), (Resource::Token, "5#1")] {
        assert!(declared.contains(&(resource, id.to_owned())), "{declared:?}");
    }
}
