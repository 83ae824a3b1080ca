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
    }

    /// A credential of the configuration, as it stands in the index.
    fn declare(&self, kind: Kind, id: &str, text: &str) {
        let index = self.store.index();
        let account = index.insert_account(Account::new("declared", Standing::default()).unwrap()).unwrap();
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
fn tokens_of_a_group_share_the_list_of_its_cameras() {
    let house = furnished();
    house.create(Resource::Token, json!({"id": "more", "group": "lobby"}));
    let cameras = || {
        let mut all = Vec::new();
        house.store.index().for_each(|record| {
            if let crate::record::Attributes::Group(group) = &record.attributes {
                all.push(Arc::clone(&group.cameras));
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
    std::thread::sleep(Duration::from_millis(700));
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
