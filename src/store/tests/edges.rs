//! Where two things meet that seldom do: the same secret on file in two ways, what is declared and what is stored, a
//! change that cannot be shown, and what an import brings along.

use super::*;
use crate::record::{Account, Details, Digest, Key as RecordKey, Standing, Verdict};
use crate::store::key::Key;

impl House {
    /// Returns when the store has looked after everything that was due before this.
    fn rests(&self, name: &str) {
        for step in 0..2 {
            self.create(Resource::Account, json!({"id": format!("{name}-{step}")}));
        }
        until(&self.store, "a store that rests", || !self.store.state().unwrap().renewing);
    }

    /// A credential of the configuration, as it stands in the index.
    fn declare(&self, kind: Kind, id: &str, text: &str) {
        let index = self.store.index();
        let account = index.insert_account(Account::new("declared", Standing::default()).unwrap());
        let account = account.unwrap_or_else(|declared| declared);
        let key = RecordKey { kind, digest: index.digest(text.as_bytes()) };
        index.insert(Record::new(Details::new(key, id, account)).unwrap()).unwrap();
        let resource = upkeep::resource_of(kind);
        self.store.declare([(Resource::Account, "declared".to_owned()), (resource, id.to_owned())].into());
    }

    fn pepper(&self) -> Key {
        self.store.inner.keys.load().keyring.peppers()[0].key.clone()
    }
}

fn digest_of(pepper: &Key, text: &str) -> Vec<Given> {
    let Digest(digest) = Pepper::new(pepper.expose()).digest(text.as_bytes());
    vec![Given { created: None, expires: None, known: Known::Digest { pepper: pepper.clone(), digest } }]
}

#[test]
fn a_digest_that_turns_out_to_be_anothers_secret_takes_nobodys_place() {
    let house = furnished();
    // From another store, where nobody could see that it is Eva's key.
    let versions = digest_of(&Key::new(&[7; 32]), "eva's key");
    let document = object(json!({"id": "adam", "account": "acme", "login": "Adam"}));
    house.attempt(Operation::Create { resource: Resource::User, document, versions }).unwrap();
    let adam = house.found(Kind::User, "Adam").expect("he is known");
    let index = house.store.index();
    assert_eq!(index.proves(b"eva's key", adam.proofs(), house.clock.unix()), Verdict::Proven);
    index.proven(&adam, b"eva's key");
    house.rests("after");
    assert_eq!(house.found(Kind::UserKey, "eva's key").expect("it is known").id(), "eva");
    let house = house.reopened();
    assert_eq!(house.found(Kind::UserKey, "eva's key").expect("it is known").id(), "eva");
    let adam = house.found(Kind::User, "Adam").expect("he is known");
    assert_eq!(house.store.index().proves(b"eva's key", adam.proofs(), house.clock.unix()), Verdict::Proven);
}

#[test]
fn a_pepper_stays_while_credentials_of_the_configuration_are_known_under_it() {
    let house = House::new();
    house.declare(Kind::LicenseKey, "main", "declared-key");
    let actor = Actor("lea".to_owned());
    let old = house.store.state().unwrap().peppers[0].number;
    house.store.add_pepper(&actor).unwrap();
    house.rests("after");
    let refused = house.store.retire_pepper(&actor, old).unwrap_err().to_string();
    assert!(refused.contains("configuration"), "{refused}");
    assert!(house.found(Kind::LicenseKey, "declared-key").is_some());
    // After a start they are known under the newest one.
    let house = house.reopened();
    house.declare(Kind::LicenseKey, "main", "declared-key");
    house.rests("again");
    house.store.retire_pepper(&actor, old).unwrap();
    assert!(house.found(Kind::LicenseKey, "declared-key").is_some());
}

#[test]
fn a_digest_of_a_declared_secret_is_not_taken_in() {
    let house = furnished();
    house.declare(Kind::BearerToken, "fixed", "declared-declared");
    let document = object(json!({"id": "b2", "user": "eva"}));
    let versions = digest_of(&house.pepper(), "declared-declared");
    let refused = house.attempt(Operation::Create { resource: Resource::BearerToken, document, versions });
    assert!(refused.unwrap_err().to_string().contains("declared in the configuration"));
    assert_eq!(house.found(Kind::BearerToken, "declared-declared").unwrap().id(), "fixed");
}

#[test]
fn what_a_declared_credential_is_found_by_is_taken() {
    let house = furnished();
    let declared = [
        (Kind::ApiClient, "boss", "boss@example.com"),
        (Kind::App, "studio", "123-456-789"),
        (Kind::User, "root", "Root"),
        (Kind::AdminCertificate, "ops", "CN=ops"),
    ];
    for (kind, id, text) in declared {
        house.declare(kind, id, text);
    }
    let account = |mut document: Value| {
        document["account"] = "acme".into();
        document
    };
    for (resource, field, document) in [
        (Resource::ApiClient, "aliases", account(json!({"id": "thief", "aliases": ["a", "boss@example.com"]}))),
        (Resource::ApiClient, "id", account(json!({"id": "boss@example.com"}))),
        (Resource::App, "public_key", account(json!({"id": "thief", "public_key": "123-456-789"}))),
        (Resource::User, "login", account(json!({"id": "thief", "login": "Root"}))),
        (Resource::AdminCertificate, "sha256", account(json!({"id": "thief", "subject": "CN=ops"}))),
    ] {
        let operation = Operation::Create { resource, document: object(document), versions: Vec::new() };
        let Err(Refused::Conflict(fault)) = house.attempt(operation) else { panic!("{field} of {resource} is given") };
        assert!(fault.field == field && fault.message.contains("declared in the configuration"), "{fault}");
    }
    house.create(Resource::ApiClient, account(json!({"id": "honest"})));
    let refused = house.change(Resource::ApiClient, "honest", json!({"aliases": ["boss@example.com"]})).unwrap_err();
    assert!(refused.to_string().contains("declared in the configuration"), "{refused}");
    house.change(Resource::ApiClient, "honest", json!({"aliases": ["honest@example.com"]})).unwrap();
    for (kind, id, text) in declared {
        assert_eq!(house.found(kind, text).unwrap().id(), id);
    }
}

#[test]
fn what_cannot_be_shown_is_not_believed() {
    let house = furnished();
    house.store.index().remove_account("acme");
    house.change(Resource::LicenseKey, "main", json!({"disabled": true})).unwrap();
    assert!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").is_none());
}

#[test]
fn a_patch_names_no_field_that_there_is_none_of_not_even_to_remove_it() {
    let house = furnished();
    for patch in [json!({"colour": null}), json!({"colour": null, "name": "x"}), json!({"limits": null})] {
        let Err(Refused::Invalid(faults)) = house.change(Resource::LicenseKey, "main", patch.clone()) else {
            panic!("{patch} is taken");
        };
        assert!(["colour", "limits"].contains(&faults[0].field.as_str()), "{faults:?}");
    }
    house.change(Resource::LicenseKey, "main", json!({"name": null, "expires": null})).unwrap();
}

#[test]
fn whoever_is_moved_takes_along_no_line_that_gets_too_long() {
    let house = House::new();
    for line in ["a", "b"] {
        house.create(Resource::Account, json!({"id": format!("{line}0")}));
        for level in 1..10 {
            let parent = format!("{line}{}", level - 1);
            house.create(Resource::Account, json!({"id": format!("{line}{level}"), "parent": parent}));
        }
    }
    house.create(Resource::LicenseKey, json!({"account": "b9", "key": "deep-key"}));
    let refused = house.change(Resource::Account, "b0", json!({"parent": "a9"})).unwrap_err().to_string();
    assert!(refused.starts_with("`parent`: there are at most 16 accounts"), "{refused}");
    // Sixteen above one another, and no more.
    house.change(Resource::Account, "b0", json!({"parent": "a6"})).unwrap_err();
    house.change(Resource::Account, "b0", json!({"parent": "a5"})).unwrap();
    assert!(!house.found(Kind::LicenseKey, "deep-key").unwrap().account.is_disabled());
    assert_eq!(house.store.export(None, &mut std::io::sink()).unwrap(), 21);
}

#[test]
fn the_file_of_a_new_master_key_is_a_file_and_a_short_one() {
    let House { folder, clock, store } = House::new();
    drop(store);
    // Where the master key comes from a file, a new one takes its place there by itself.
    let elsewhere = Master { file: None, ..master(folder.path()) };
    let store = Store::open(&settings(folder.path()), elsewhere, clock.clone(), Purpose::Serve).unwrap();
    let house = House { folder, clock, store };
    let long = house.folder.path().join("long");
    std::fs::write(&long, [MASTER, &vec![b' '; 1 << 16]].concat()).unwrap();
    for (file, said) in [(Path::new("/dev/null"), "is not a file"), (&long, "is too long")] {
        let refused = house.store.rekey(&Actor("lea".to_owned()), Some(file)).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let house = furnished();
    let refused = house.store.rekey(&Actor("lea".to_owned()), Some(&long)).unwrap_err().to_string();
    assert!(refused.contains("by itself"), "{refused}");
}

#[test]
fn tokens_of_a_group_share_the_list_of_its_cameras() {
    let house = furnished();
    house.create(Resource::Token, json!({"id": "more", "group": "lobby"}));
    let cameras = || {
        let mut all = Vec::new();
        house.store.index().for_each(|record| {
            if let crate::record::Attributes::Group(group) = &record.attributes {
                all.push(Arc::clone(group.cameras.shared()));
            }
        });
        all
    };
    assert!(matches!(&*cameras(), [one, other] if Arc::ptr_eq(one, other)));
    house.create(Resource::Camera, json!({"id": "7", "account": "acme"}));
    house.change(Resource::CameraGroup, "lobby", json!({"cameras": ["7", "248527"]})).unwrap();
    assert!(matches!(&*cameras(), [one, other] if Arc::ptr_eq(one, other) && one.len() == 2));
}

#[test]
fn last_uses_that_are_on_file_are_not_written_again_after_a_start() {
    let house = furnished();
    house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").unwrap().seen(house.clock.unix());
    let house = house.reopened();
    house.wait(3600);
    let house = house.reopened();
    let commits = house.store.inner.engine.commits();
    house.wait(600);
    come_round(&house.store);
    assert_eq!(house.store.inner.engine.commits(), commits);
}

#[test]
fn a_name_is_not_taken_for_the_only_one_before_all_were_looked_at() {
    let house = House::new();
    let accounts = [("a", 0..10_000), ("b", 9_999..10_000)];
    for (account, numbers) in accounts {
        house.create(Resource::Account, json!({"id": account}));
        let camera = |number| create(Resource::Camera, json!({"account": account, "name": format!("{number:05}")}));
        house.try_all(numbers.map(camera).collect()).unwrap();
    }
    assert!(house.store.show(Resource::Camera, "09998").is_ok());
    assert!(matches!(house.store.show(Resource::Camera, "09999"), Err(Refused::Missing { .. })));
}

#[test]
fn an_answer_that_nobody_can_read_does_not_keep_old_keys_alive() {
    let house = furnished();
    let ask = |key: &str| {
        let idempotency = Some(Idempotency { key: key.to_owned(), fingerprint: [0; 32] });
        let operations = vec![create(Resource::LicenseKey, json!({"account": "acme"}))];
        house.store.apply(Request { actor: Actor("a".to_owned()), operations, idempotency }).unwrap()
    };
    let first = ask("good");
    let damage = |change: &redb::WriteTransaction| {
        let mut replays = change.open_table(shelf::Shelf::Replays.definition())?;
        replays.insert(b"a\0bad".as_slice(), b"nonsense".as_slice())?;
        Ok::<_, redb::Error>(())
    };
    house.store.inner.engine.write(damage).unwrap().unwrap();
    house.store.rekey(&Actor("lea".to_owned()), None).unwrap();
    until(&house.store, "a single key", || house.store.state().unwrap().data_keys.len() == 1);
    assert_eq!(house.store.state().unwrap().data_keys, [2]);
    let again = ask("good");
    assert!(again.replayed && again.outcomes[0].id == first.outcomes[0].id);
}
