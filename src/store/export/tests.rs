use serde_json::json;

use super::*;
use crate::clock::UnixTime;
use crate::secret::Secret;
use crate::store::sample::{self, NOW, Sample, documents, holds};
use crate::store::tests::until;
use crate::store::{Filter, Outcome};

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn lock() -> Lock {
    Lock::cheap(&secret("correct horse battery staple"))
}

fn export(store: &Store, lock: Option<&Lock>) -> String {
    let mut bytes = Vec::new();
    let count = store.export(lock, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count() as u64, count + 1);
    text
}

fn lines(export: &str) -> Vec<(Resource, String, Map<String, Value>)> {
    let read = |line: &str| {
        let mut line: Map<String, Value> = serde_json::from_str(line).unwrap();
        let resource = Resource::of_name(line.remove("resource").unwrap().as_str().unwrap()).unwrap();
        (resource, line["id"].as_str().unwrap().to_owned(), line)
    };
    export.lines().skip(1).map(read).collect()
}

/// Imports as the command line does: line by line, each by one creation.
fn import(store: &Store, export: &str, lock: &Lock) -> Vec<Result<Outcome, Refused>> {
    let create = |(resource, id, mut line): (_, String, _)| {
        let given = unseal(&mut line, resource, &id, lock).unwrap();
        // Through the form in which the admin API has it.
        let values = Value::Array(given.iter().map(Given::to_value).collect());
        sample::create(store, resource, line, Given::read_all(values).unwrap())
    };
    lines(export).into_iter().map(create).collect()
}

#[test]
fn an_export_goes_into_another_store_and_everything_opens_there() {
    let (from, to) = (Sample::full(), Sample::empty());
    let text = export(&from.store, Some(&lock()));
    let header = read_head(text.lines().next().unwrap()).unwrap().unwrap();
    let lock = Lock::open(&header, &secret("correct horse battery staple")).unwrap();
    let results = import(&to.store, &text, &lock);
    assert!(results.iter().all(|result| result.as_ref().is_ok_and(|outcome| outcome.secret.is_none())), "{results:?}");
    let bare = |store| {
        let mut documents = documents(store);
        for document in documents.values_mut() {
            for house in ["revision", "created", "changed"] {
                document.remove(house);
            }
        }
        documents
    };
    assert_eq!(bare(&to.store), bare(&from.store));
    // What is kept in clear under seal is the same, with its older versions.
    let sealed = |store: &Store| {
        let lines = lines(&export(store, Some(&lock))).into_iter();
        let given = lines.map(|(resource, id, mut line)| unseal(&mut line, resource, &id, &lock).unwrap());
        given.map(|given| given.iter().map(Given::to_value).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(sealed(&to.store), sealed(&from.store));
    // One pepper came along, for all digests.
    let state = to.store.state().unwrap();
    let peppers: Vec<_> = state.peppers.iter().map(|pepper| (pepper.number, pepper.secrets)).collect();
    assert_eq!(peppers.len(), 2, "{peppers:?}");
    let trail = to.store.audit(0, 1000).unwrap();
    let adopted: Vec<_> = trail.iter().filter(|deed| deed.changes[0].resource == "store").collect();
    assert_eq!(
        (adopted.len(), adopted[0].changes[0].id.as_str(), adopted[0].actor.as_str()),
        (1, "pepper 99", "local:0")
    );
    // Only now: what is used there is soon known under that store's own pepper.
    assert!(from.secrets.iter().all(|held| held.opens(&to.store)));
    // It outlives the process; what is seen moves to the store's own pepper.
    let Sample { store, settings, master, clock, folder, .. } = to;
    drop(store);
    let store = sample::open(&settings, &master, &clock).unwrap();
    assert!(from.secrets.iter().all(|held| held.opens(&store)));
    until(&store, "secrets under its own pepper alone", || {
        from.secrets.iter().for_each(|held| assert!(held.opens(&store)));
        store.state().unwrap().peppers[0].secrets == 0
    });
    store.retire_pepper(&crate::store::Actor("local:0".to_owned()), 99).unwrap();
    assert!(from.secrets.iter().all(|held| held.opens(&store)));
    drop((store, folder));
}

#[test]
fn no_secret_stands_in_an_export() {
    let sample = Sample::full();
    let keys = sample.store.inner.keys.load_full();
    for text in [export(&sample.store, None), export(&sample.store, Some(&lock()))] {
        for held in &sample.secrets {
            assert!(!holds(text.as_bytes(), &held.text), "{held:?}");
            let (_, digest) = keys.peppers.digest_newest(held.text.as_bytes());
            assert!(!holds(text.as_bytes(), &data_encoding::HEXLOWER.encode(&digest.0)));
        }
        for key in keys.keyring.peppers() {
            assert!(!holds(text.as_bytes(), &data_encoding::HEXLOWER.encode(key.key.expose())));
        }
    }
    let bare = export(&sample.store, None);
    assert_eq!(bare.lines().next(), Some(r#"{"vidgate_export":1}"#));
    assert!(!bare.contains(SEALED) && read_head(r#"{"vidgate_export":1}"#).unwrap().is_none());
}

#[test]
fn references_come_before_what_refers_to_them() {
    let mut sample = Sample::full();
    // Below an account that comes later in the order of ids, and above one that comes earlier.
    sample.create(Resource::Account, json!({ "id": "aa", "parent": "below" }));
    sample.create(Resource::Account, json!({ "id": "acm", "parent": "aa" }));
    let text = export(&sample.store, None);
    let lines = lines(&text);
    let accounts: Vec<_> = lines.iter().take(6).map(|(_, id, _)| id.as_str()).collect();
    assert_eq!(accounts, ["zenith", "acme", "middle", "below", "aa", "acm"]);
    let resources: Vec<_> = lines.iter().map(|(resource, ..)| *resource).collect();
    assert!(resources.is_sorted() && resources.len() == 18);
    // Without secrets, new ones are made.
    let to = Sample::empty();
    for (resource, _, line) in lines {
        let outcome = sample::create(&to.store, resource, line, Vec::new()).unwrap();
        assert_eq!(outcome.secret.is_some(), resource.secret().is_some_and(|rule| rule.make.is_some()));
    }
}

#[test]
fn a_sealed_line_opens_under_its_passphrase_and_for_its_entry_alone() {
    let sample = Sample::full();
    let lock = lock();
    let text = export(&sample.store, Some(&lock));
    let header = read_head(text.lines().next().unwrap()).unwrap().unwrap();
    assert!(Lock::open(&header, &secret("correct horse")).is_err());
    let (resource, id, line) = lines(&text).into_iter().find(|(_, id, _)| id == "lk-1").unwrap();
    let mut own = line.clone();
    let given = unseal(&mut own, resource, &id, &lock).unwrap();
    assert!(!own.contains_key(SEALED) && given.len() == 2);
    assert_eq!((given[0].expires, given[1].expires), (None, Some(UnixTime(NOW.0 + 3600))));
    let held: Vec<_> = sample.secrets.iter().filter(|held| held.id == "lk-1").collect();
    for (given, held) in given.iter().rev().zip(held) {
        assert!(matches!(&given.known, Known::Secret(secret) if secret.equals(held.text.as_bytes())));
    }
    let refused = |resource, id, lock: &Lock| unseal(&mut line.clone(), resource, id, lock).unwrap_err();
    for fault in [
        refused(resource, "lk-2", &lock),
        refused(Resource::ApiClient, &id, &lock),
        refused(resource, &id, &Lock::cheap(&secret("correct horse battery staple"))),
    ] {
        assert_eq!(fault, Fault::new(SEALED, "altered, or moved from another place or file"));
    }
    let number = unseal(&mut Map::from_iter([(SEALED.to_owned(), json!(7))]), resource, &id, &lock).unwrap_err();
    assert_eq!(number.message, "what is sealed is a string");
    let senseless = lock.seal(&aad(resource, &id), br#"{"versions":["hunter2"]}"#);
    let fault = unseal(&mut Map::from_iter([(SEALED.to_owned(), json!(senseless))]), resource, &id, &lock).unwrap_err();
    assert_eq!(fault.message, "what is sealed here makes no sense");
    assert!(unseal(&mut Map::new(), resource, &id, &lock).unwrap().is_empty());
}

#[test]
fn a_first_line_of_another_make_is_refused() {
    let refused = |line| read_head(line).unwrap_err().to_string();
    let none = "this is no export: its first line has no `vidgate_export`";
    assert_eq!([refused(""), refused("{}"), refused("[1]"), refused(r#"{"id":"acme"}"#)], [none; 4]);
    assert!(refused(r#"{"vidgate_export":2,"lock":7}"#).contains("another version"));
    assert_eq!(refused(r#"{"vidgate_export":1,"lock":{}}"#), "`lock.derivation`: this is missing");
    assert!(refused(r#"{"vidgate_export":1,"key":1}"#).contains("unknown field"));
}

#[test]
fn an_export_beside_changes_of_the_keys_opens_all_the_same() {
    let sample = Sample::full();
    let lock = lock();
    let actor = crate::store::Actor("local:0".to_owned());
    let file = sample.folder.path().join("another.key");
    std::thread::scope(|scope| {
        let renew = scope.spawn(|| {
            for _ in 0..8 {
                let key = crate::store::MasterKey::random();
                std::fs::write(&file, key.to_text().expose()).unwrap();
                sample.store.rekey(&actor, Some(&file)).unwrap();
                sample.store.add_pepper(&actor).unwrap();
            }
        });
        while !renew.is_finished() {
            for (resource, id, mut line) in lines(&export(&sample.store, Some(&lock))) {
                let given = unseal(&mut line, resource, &id, &lock).unwrap();
                assert_eq!(given.is_empty(), resource.secret().is_none_or(|rule| rule.make.is_none()));
            }
            sample.store.backup(&mut std::io::sink()).unwrap();
        }
    });
    assert_eq!(sample.store.list(Resource::LicenseKey, &Filter::default(), None, 9).unwrap().items.len(), 2);
}
