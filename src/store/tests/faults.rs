//! Disks that are full, that fail, and that can only be read: changes are refused, and everything else goes on.

use super::scribe::{Scribe, documents, open_on, open_with};
use super::*;
use crate::store::engine::disk::{Disk, PowerCut};

/// A furnished store whose changes so far are safe on disk, and what was there.
fn house(seed: u64) -> Scribe {
    let mut scribe = Scribe::new(seed);
    scribe.furnish();
    scribe
}

/// The same store once more, on a disk of its own.
fn twin(of: &Scribe, image: &[u8]) -> (PowerCut, Store) {
    let disk = PowerCut::of(image.to_vec());
    let store = open_on(&disk, of.folder.path(), &of.clock, true).expect("it opens");
    (disk, store)
}

/// A bit of everything, all or nothing.
fn bulk() -> Vec<Operation> {
    vec![
        create(Resource::LicenseKey, json!({"id": "more", "account": "acme", "key": "one-more", "name": "x"})),
        Operation::Rotate {
            resource: Resource::LicenseKey,
            id: "main".to_owned(),
            document: object(json!({"key": "the-next"})),
            revision: None,
        },
        Operation::Delete { resource: Resource::User, id: "eva".to_owned(), revision: None },
        Operation::Change {
            resource: Resource::Account,
            id: "acme".to_owned(),
            patch: object(json!({"disabled": true, "metadata": {"note": "x".repeat(1000)}})),
            revision: None,
        },
    ]
}

fn ask(store: &Store, operations: Vec<Operation>) -> Result<Answer, Refused> {
    store.apply(Request { actor: Actor("test:bulk".to_owned()), operations, idempotency: None })
}

/// What the bulk does to what is found.
fn is_done(store: &Store) -> bool {
    let index = store.index();
    let found = |kind, text: &str| index.holder(kind, text.as_bytes()).is_some();
    let new = [found(Kind::LicenseKey, "one-more"), found(Kind::LicenseKey, "the-next")];
    let gone =
        [found(Kind::User, "Eva"), found(Kind::UserKey, "eva's key"), found(Kind::BearerToken, "opaque-opaque-opaque")];
    let disabled = index.account("acme").expect("it is there").is_disabled();
    let done = new == [true; 2] && gone == [false; 3] && disabled;
    assert!(done || (new == [false; 2] && gone == [true; 3] && !disabled), "it is half done");
    done
}

/// Breaks the disk, asks, mends it, and asks again. Says whether the change was refused at first.
fn through(scribe: &Scribe, image: &[u8], sentence: &str, what: &str, fault: impl FnOnce(&mut Disk)) -> bool {
    let (disk, store) = twin(scribe, image);
    fault(&mut disk.disk());
    let first = ask(&store, bulk());
    let refused = first.is_err();
    if let Err(error) = first {
        assert_eq!(error, Refused::Unavailable(sentence.to_owned()), "{what}");
        // What is found, what is shown and what is in the trail is as before.
        scribe.now().compare(&store, &scribe.ever, what);
        assert!(!is_done(&store));
    }
    mend(&mut disk.disk());
    if refused {
        ask(&store, bulk()).unwrap_or_else(|refused| panic!("{what}: it is still refused: {refused}"));
    }
    assert!(is_done(&store), "{what}");
    let (shown, trail) = (documents(&store), store.verify_audit().expect("it can be read"));
    assert_eq!((trail.deeds, trail.broken_at), (scribe.now().deeds.len() as u64 + 1, None), "{what}");
    drop(store);
    let store = open_on(&disk, scribe.folder.path(), &scribe.clock, true).expect("it opens");
    assert!(is_done(&store) && documents(&store) == shown, "{what}: it is not on disk");
    refused
}

fn mend(disk: &mut Disk) {
    disk.room = None;
    disk.failing_sync = None;
    disk.read_only = false;
}

#[test]
fn a_full_disk_refuses_changes_wherever_it_becomes_full_and_nothing_else_stops() {
    let scribe = house(1);
    let image = scribe.disk.content();
    let mut refused = 0;
    for step in 0.. {
        let full = |disk: &mut Disk| disk.room = Some(step * 3000);
        if !through(&scribe, &image, "the store's disk is full", &format!("room for {step} steps"), full) {
            break;
        }
        refused += 1;
    }
    assert!(refused > 10, "refused {refused} times");
}

#[test]
fn a_failed_fsync_refuses_the_change_and_the_next_one_is_taken() {
    let scribe = house(2);
    let image = scribe.disk.content();
    let sentence = "the store's disk failed: write back failed";
    let mut refused = 0;
    for nth in 0.. {
        let fail = |disk: &mut Disk| disk.failing_sync = Some(nth);
        if !through(&scribe, &image, sentence, &format!("fsync {nth} fails"), fail) {
            break;
        }
        refused += 1;
    }
    assert!(refused > 1, "refused {refused} times");
}

#[test]
fn a_disk_that_was_mounted_anew_for_reading_refuses_changes_until_it_can_be_written() {
    let scribe = house(3);
    let image = scribe.disk.content();
    assert!(through(&scribe, &image, "the store can only be read", "read-only", |disk| disk.read_only = true));
}

#[test]
fn a_store_that_can_only_be_read_serves_and_refuses_changes() {
    let scribe = house(4);
    let image = scribe.disk.content();
    let disk = PowerCut::of(image.clone());
    let store = open_on(&disk, scribe.folder.path(), &scribe.clock, false).expect("it opens");
    assert!(store.state().expect("it can be read").read_only);
    scribe.now().compare(&store, &scribe.ever, "read-only");
    let only = Refused::Unavailable("the store can only be read".to_owned());
    let actor = Actor("test:lea".to_owned());
    assert_eq!(ask(&store, bulk()).unwrap_err(), only);
    assert_eq!(store.add_pepper(&actor).unwrap_err(), only);
    assert_eq!(store.rekey(&actor, None).unwrap_err(), only);
    scribe.now().compare(&store, &scribe.ever, "read-only, after changes were refused");
    drop(store);
    assert!(disk.content() == image && disk.disk().journal.is_empty(), "it was written");
}

#[test]
fn a_store_is_served_from_a_disk_on_which_nothing_can_be_written_at_the_start() {
    let scribe = house(5);
    let image = scribe.disk.content();
    for (what, fault) in [
        ("full", (|disk| disk.room = Some(0)) as fn(&mut Disk)),
        ("failing", |disk| disk.failing_sync = Some(0)),
        ("read-only", |disk| disk.read_only = true),
    ] {
        let disk = PowerCut::of(image.clone());
        fault(&mut disk.disk());
        let store = open_on(&disk, scribe.folder.path(), &scribe.clock, true);
        let store = store.unwrap_or_else(|refused| panic!("{what}: it does not open: {refused}"));
        scribe.now().compare(&store, &scribe.ever, what);
        mend(&mut disk.disk());
        ask(&store, bulk()).unwrap_or_else(|refused| panic!("{what}: it is still refused: {refused}"));
        assert!(is_done(&store));
    }
}

#[test]
fn new_keys_that_find_no_room_leave_the_old_ones_good() {
    let scribe = house(6);
    let image = scribe.disk.content();
    let actor = Actor("test:lea".to_owned());
    for (what, change) in [
        ("rekey", (|store, actor| store.rekey(actor, None)) as fn(&Store, &Actor) -> Result<(), Refused>),
        ("pepper", |store, actor| store.add_pepper(actor).map(drop)),
    ] {
        for room in [0, 3000, 9000, 20_000] {
            std::fs::write(scribe.folder.path().join("master.key"), MASTER).expect("a file");
            let (disk, store) = twin(&scribe, &image);
            disk.disk().room = Some(room);
            let refused = change(&store, &actor).unwrap_err();
            assert_eq!(refused, Refused::Unavailable("the store's disk is full".to_owned()), "{what}");
            scribe.now().compare(&store, &scribe.ever, what);
            // As if the process were killed now.
            let left = PowerCut::of(disk.content());
            let again = open_on(&left, scribe.folder.path(), &scribe.clock, true).expect("it opens");
            scribe.now().compare(&again, &scribe.ever, what);
            drop(again);
            mend(&mut disk.disk());
            change(&store, &actor).expect("there is room again");
            ask(&store, bulk()).expect("it is done");
            drop(store);
            let store = open_on(&disk, scribe.folder.path(), &scribe.clock, true).expect("it opens");
            assert!(is_done(&store), "{what}");
        }
    }
}

#[test]
fn a_master_key_is_never_lost_that_the_store_is_sealed_under() {
    let scribe = house(7);
    let (disk, store) = twin(&scribe, &scribe.disk.content());
    let actor = Actor("test:lea".to_owned());
    let (key, away) = (scribe.folder.path().join("master.key"), scribe.folder.path().join("away"));
    // The new key cannot take its place: a folder is there. The store is under the new key all the same.
    std::fs::rename(&key, &away).expect("it is moved");
    std::fs::create_dir_all(key.join("full")).expect("a folder");
    let refused = store.rekey(&actor, None).unwrap_err();
    assert!(matches!(refused, Refused::Unavailable(_)), "{refused}");
    std::fs::remove_dir_all(&key).expect("it goes");
    std::fs::rename(&away, &key).expect("it is moved back");
    // The next one finds no room: the only copy of the key in use must not have been written over.
    disk.disk().room = Some(0);
    store.rekey(&actor, None).unwrap_err();
    drop(store);
    mend(&mut disk.disk());
    let store = open_on(&disk, scribe.folder.path(), &scribe.clock, true).expect("its master key is still there");
    assert!(!is_done(&store));
    store.rekey(&actor, None).expect("there is room again");
    drop(store);
    drop(open_on(&disk, scribe.folder.path(), &scribe.clock, true).expect("it opens"));
}

#[test]
fn last_uses_that_find_no_room_are_written_down_later() {
    let scribe = house(8);
    let (disk, store) = twin(&scribe, &scribe.disk.content());
    let record = store.index().holder(Kind::LicenseKey, b"v3.X9tKpuXq0btatj").expect("it is found");
    record.seen(scribe.clock.unix());
    disk.disk().room = Some(0);
    scribe.clock.advance(Duration::from_secs(301));
    ask(&store, bulk()).unwrap_err();
    // The writer looks after them once it has answered.
    store.task(|_| Ok(())).expect("it answers");
    mend(&mut disk.disk());
    scribe.clock.advance(Duration::from_secs(301));
    store.task(|_| Ok(())).expect("it answers");
    store.task(|_| Ok(())).expect("it answers");
    let shown = store.show(Resource::LicenseKey, "main").expect("it is there");
    assert_eq!(shown.document["last_used"], "2023-11-14T22:13:00Z");
}

#[test]
fn a_renewal_that_the_disk_stops_at_its_end_is_gone_on_with() {
    let scribe = house(9);
    let image = scribe.disk.content();
    let file = scribe.folder.path().join("another.key");
    std::fs::write(&file, MasterKey::random().to_text().expose()).expect("it is written");
    let mut taken = 0;
    for nth in 0..24 {
        let disk = PowerCut::of(image.clone());
        let key = Master { file: None, ..master(scribe.folder.path()) };
        let store = open_with(&disk, key, scribe.folder.path(), &scribe.clock, true).expect("it opens");
        disk.disk().failing_sync = Some(nth);
        if store.rekey(&Actor("test:lea".to_owned()), Some(&file)).is_err() {
            continue;
        }
        taken += 1;
        until(&store, &format!("a single key after fsync {nth} failed"), || {
            scribe.clock.advance(Duration::from_secs(1));
            store.state().expect("it can be read").data_keys.len() == 1
        });
    }
    assert!(taken > 8, "{taken}");
}
