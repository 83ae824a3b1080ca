//! New keys for old, and what lies in the file.

use super::*;
use crate::record::Verdict;
use crate::store::load;

const SECRETS: [&str; 6] = [
    "v3.X9tKpuXq0btatj",
    "99176b1d244c",
    "xBWXdksAURv6ws5MOZX-AQIh-KM",
    "eva's key",
    "opaque-opaque-opaque",
    "app's secret",
];

impl House {
    fn file(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("vidgate.redb")).expect("the file is there")
    }

    /// Waits until the store has renewed what it can.
    fn renewed(&self, done: impl Fn(&State) -> bool) -> State {
        let state = || self.store.state().expect("it can be read");
        until(&self.store, "the renewal", || done(&state()));
        state()
    }

    fn all_works(&self) {
        for (kind, text) in [
            (Kind::LicenseKey, "v3.X9tKpuXq0btatj"),
            (Kind::CameraToken, INNER),
            (Kind::UserKey, "eva's key"),
            (Kind::User, "Eva"),
            (Kind::BearerToken, "opaque-opaque-opaque"),
            (Kind::App, "pk"),
        ] {
            assert!(self.found(kind, text).is_some(), "{kind:?}");
        }
        let client = self.found(Kind::ApiClient, "8ded5a89").expect("it is known");
        assert_eq!(self.store.index().proves(b"99176b1d244c", client.proofs(), self.clock.unix()), Verdict::Proven);
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_secret_lies_in_the_file_or_in_what_is_printed() {
    let house = furnished();
    house.rotate(Resource::LicenseKey, "main", json!({"key": "the-second-key"})).unwrap();
    house.delete(Resource::App, "app").unwrap();
    let asked = Idempotency { key: "again".to_owned(), fingerprint: [0; 32] };
    let operations = vec![create(Resource::LicenseKey, json!({"account": "acme"}))];
    let request = Request { actor: Actor("a".to_owned()), operations, idempotency: Some(asked) };
    let answer = house.store.apply(request).unwrap();
    let made = String::from_utf8(answer.outcomes[0].secret.as_ref().unwrap().expose().to_vec()).unwrap();
    let printed = format!("{:?} {:?} {answer:?}", house.store, house.found(Kind::LicenseKey, "the-second-key"));
    let file = house.file();
    assert!(contains(&file, "248527") && contains(&file, "Eva"), "this is the file");
    for secret in SECRETS.into_iter().chain(["the-second-key", made.as_str(), std::str::from_utf8(MASTER).unwrap()]) {
        assert!(!contains(&file, secret), "{secret} lies in the file");
        assert!(!printed.contains(secret), "{secret} is printed");
    }
}

#[test]
fn a_new_master_key_is_the_only_one_that_opens_the_store() {
    let house = furnished();
    house.store.rekey(&Actor("lea".to_owned()), None).unwrap();
    let state = house.renewed(|state| state.data_keys.len() == 1);
    assert_eq!(state.data_keys, [2]);
    house.all_works();
    let key = std::fs::read(house.folder.path().join("master.key")).unwrap();
    assert_ne!(key.trim_ascii(), MASTER);
    let house = house.reopened();
    house.all_works();
    // What is sealed can still be opened, under the new data key.
    let folder = house.folder.path().to_owned();
    let House { store, folder: kept, .. } = house;
    drop(store);
    std::fs::write(folder.join("master.key"), MASTER).unwrap();
    let before = std::fs::read(folder.join("vidgate.redb")).unwrap();
    let refused = Store::open(&settings(&folder), master(&folder), Clock::system(), Purpose::Serve).unwrap_err();
    assert!(matches!(refused, Unopened::MasterKey), "{refused}");
    assert_eq!(std::fs::read(folder.join("vidgate.redb")).unwrap(), before);
    drop(kept);
}

#[test]
fn a_change_of_the_master_key_that_was_cut_short_is_finished_at_the_start() {
    let house = furnished();
    house.store.rekey(&Actor("lea".to_owned()), None).unwrap();
    let House { folder, clock, store } = house;
    drop(store);
    // As if the power had gone before the new key took the place of the old one.
    let (key, next) = (folder.path().join("master.key"), load::next_key(&folder.path().join("master.key")));
    std::fs::rename(&key, &next).unwrap();
    std::fs::write(&key, MASTER).unwrap();
    let store = Store::open(&settings(folder.path()), master(folder.path()), clock.clone(), Purpose::Serve).unwrap();
    assert!(!next.exists());
    let house = House { folder, clock, store };
    house.all_works();
    house.renewed(|state| state.data_keys.len() == 1);
    let house = house.reopened();
    house.all_works();
}

#[test]
fn a_new_pepper_serves_what_can_be_opened_at_once_and_the_rest_when_it_is_seen() {
    let mut house = furnished();
    let actor = Actor("lea".to_owned());
    let number = house.store.add_pepper(&actor).unwrap();
    assert!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").is_some());
    let old = house.store.state().unwrap().peppers[0].number;
    // License key, tokens and the app's secret are sealed; the client's, the user's and the bearer's are digests.
    let uses = |state: &State| state.peppers.iter().map(|pepper| pepper.secrets).collect::<Vec<_>>();
    house.renewed(|state| uses(state) == [3, 4] && !state.renewing);
    let refused = house.store.retire_pepper(&actor, old).unwrap_err();
    assert!(refused.to_string().contains("3 secrets are known under this pepper alone"), "{refused}");
    house = house.reopened();
    house.all_works();
    let client = house.found(Kind::ApiClient, "8ded5a89").unwrap();
    house.renewed(|state| uses(state) == [1, 6]);
    house.store.index().proven(&client, b"99176b1d244c");
    house.renewed(|state| uses(state) == [0, 7] && !state.renewing);
    house.store.retire_pepper(&actor, old).unwrap();
    house.all_works();
    house = house.reopened();
    house.all_works();
    assert_eq!(uses(&house.store.state().unwrap()), [7]);
    assert!(matches!(house.store.retire_pepper(&actor, number), Err(Refused::Conflict(_))));
    let acts: Vec<_> = house.deeds().iter().flat_map(|deed| deed.changes.iter().map(|change| change.action)).collect();
    assert!(acts.ends_with(&[Act::AddPepper, Act::RetirePepper]), "{acts:?}");
}

#[test]
fn whoever_holds_a_credential_can_follow_it_under_a_new_pepper() {
    let house = furnished();
    let held = [
        (Kind::LicenseKey, "v3.X9tKpuXq0btatj"),
        (Kind::CameraToken, INNER),
        (Kind::User, "Eva"),
        (Kind::App, "pk"),
        (Kind::ApiClient, "8ded5a89"),
    ]
    .map(|(kind, text)| house.found(kind, text).expect("it is known"));
    house.store.add_pepper(&Actor("lea".to_owned())).unwrap();
    house.renewed(|state| state.peppers.len() == 2 && state.peppers[0].secrets == 3 && !state.renewing);
    for record in &held {
        let now = house.store.index().successor(record).expect("it is there still");
        assert_eq!(now.id(), record.id());
    }
    let license = house.store.index().successor(&held[0]).unwrap();
    assert_ne!(license.key(), held[0].key(), "it has moved");
    house.delete(Resource::LicenseKey, "main").unwrap();
    assert!(house.store.index().successor(&held[0]).is_none());
    assert!(house.store.index().successor(&license).is_none());
}

#[test]
fn what_somebody_moved_or_altered_in_the_file_is_noticed() {
    use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
    const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");
    for alter in [
        // The row of one license key in the place of another: its owner would get somebody else's rights.
        |table: &mut redb::Table<'_, &'static [u8], &'static [u8]>| {
            let row = table.get(b"\x02main".as_slice()).unwrap().unwrap().value().to_vec();
            table.insert(b"\x02other".as_slice(), row.as_slice()).unwrap();
        },
        |table: &mut redb::Table<'_, &'static [u8], &'static [u8]>| {
            let mut row = table.get(b"\x02main".as_slice()).unwrap().unwrap().value().to_vec();
            row[5] ^= 1;
            table.insert(b"\x02main".as_slice(), row.as_slice()).unwrap();
        },
    ] {
        let House { folder, store, .. } = furnished();
        drop(store);
        let database = Database::open(settings(folder.path()).path).unwrap();
        assert!(database.begin_read().unwrap().open_table(ENTRIES).is_ok());
        let change = database.begin_write().unwrap();
        alter(&mut change.open_table(ENTRIES).unwrap());
        change.commit().unwrap();
        drop(database);
        let before = std::fs::read(settings(folder.path()).path).unwrap();
        let refused = Store::open(&settings(folder.path()), master(folder.path()), Clock::system(), Purpose::Serve);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("the store is damaged"), "{refused}");
        assert_eq!(std::fs::read(settings(folder.path()).path).unwrap(), before);
    }
}

#[test]
fn a_store_is_open_once() {
    let house = furnished();
    let folder = house.folder.path();
    for purpose in [Purpose::Serve, Purpose::Look] {
        let refused = Store::open(&settings(folder), master(folder), Clock::system(), purpose).unwrap_err();
        assert!(refused.is_busy(), "{refused}");
    }
    let refused = Store::create(&settings(folder), &master(folder).key).unwrap_err();
    assert_eq!(refused.to_string(), "there is a file here already");
}

#[test]
fn a_store_that_is_only_looked_at_takes_no_changes() {
    let House { folder, clock, store } = furnished();
    drop(store);
    let before = std::fs::read(settings(folder.path()).path).unwrap();
    let store = Store::open(&settings(folder.path()), master(folder.path()), clock.clone(), Purpose::Look).unwrap();
    let house = House { folder, clock, store };
    house.all_works();
    assert!(matches!(house.delete(Resource::LicenseKey, "main"), Err(Refused::Unavailable(_))));
    assert_eq!(house.file(), before);
}
