use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::*;
use crate::record::{Attributes, Details, Standing, Verdict};
use crate::store::Pepper;

pub(super) fn account(index: &Index, id: &str) -> Arc<Account> {
    index.insert_account(Account::new(id, Standing::default()).unwrap()).unwrap()
}

fn keyed(index: &Index, digest: Digest, kind: Kind, id: &str) -> Record {
    let account = index.account("acme").unwrap_or_else(|| account(index, "acme"));
    Record::new(Details::new(Key { kind, digest }, id, account)).unwrap()
}

fn record(index: &Index, kind: Kind, id: &str, text: &[u8]) -> Record {
    keyed(index, index.digest(text), kind, id)
}

fn pepper(number: u16) -> (u16, Pepper) {
    (number, Pepper::new(&[u8::try_from(number).unwrap(); 32]))
}

pub(super) fn peppers(numbers: impl IntoIterator<Item = u16>) -> Peppers {
    Peppers::new(numbers.into_iter().map(pepper)).unwrap()
}

#[test]
fn a_credential_is_found_by_its_kind_and_its_text_alone() {
    let index = Index::new();
    index.insert(record(&index, Kind::LicenseKey, "main", b"v3.X9tKpuXq0btatj")).unwrap();
    assert_eq!(index.look_up(Kind::LicenseKey, b"v3.X9tKpuXq0btatj").unwrap().id(), "main");
    assert!(index.look_up(Kind::CameraToken, b"v3.X9tKpuXq0btatj").is_none());
    assert!(index.look_up(Kind::LicenseKey, b"v3.X9tKpuXq0btatk").is_none());
    assert_eq!(&*index.account("acme").unwrap().id.0, "acme");
    assert!(index.account("ACME").is_none());
}

#[test]
fn a_mistyped_key_of_ours_is_nobodys_and_a_name_may_begin_as_it_likes() {
    let index = Index::new();
    for (kind, id) in [(Kind::LicenseKey, "main"), (Kind::ApiClient, "client")] {
        index.insert(record(&index, kind, id, b"vgl_mistyped")).unwrap();
    }
    assert!(index.look_up(Kind::LicenseKey, b"vgl_mistyped").is_none());
    assert!(index.look_up(Kind::ApiClient, b"vgl_mistyped").is_some());
}

#[test]
fn the_same_key_twice_is_a_clash_that_names_the_first() {
    let index = Index::new();
    index.insert(record(&index, Kind::LicenseKey, "main", b"secret-key")).unwrap();
    let clash = index.insert(record(&index, Kind::LicenseKey, "spare", b"secret-key")).unwrap_err();
    assert_eq!((&*clash.first, clash.kind), ("main", Kind::LicenseKey));
    assert_eq!(clash.to_string(), "the same credential is on file as `main`");
    assert_eq!(index.look_up(Kind::LicenseKey, b"secret-key").unwrap().id(), "main");
    // Two kinds may share a text: what is presented says which kind it is.
    index.insert(record(&index, Kind::CameraToken, "1", b"secret-key")).unwrap();
    assert_eq!(index.len(), 2);
}

#[test]
fn an_account_keeps_its_name_until_it_is_removed() {
    let index = Index::new();
    let first = account(&index, "acme");
    let again = index.insert_account(Account::new("acme", Standing::default()).unwrap()).unwrap_err();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(Arc::ptr_eq(&index.remove_account("acme").unwrap(), &first));
    assert!(index.account("acme").is_none() && index.remove_account("acme").is_none());
}

#[test]
fn what_is_published_takes_the_place_of_what_was_there() {
    let index = Index::new();
    let before = index.insert(record(&index, Kind::LicenseKey, "main", b"key")).unwrap();
    before.seen(UnixTime(600));
    let after = index.publish(record(&index, Kind::LicenseKey, "main", b"key"));
    assert!(Arc::ptr_eq(&index.look_up(Kind::LicenseKey, b"key").unwrap(), &after));
    assert!(index.is_current(&after) && !index.is_current(&before));
    assert_eq!((after.used(), index.len()), (Some(UnixTime(600)), 1));
    let other = index.publish(record(&index, Kind::LicenseKey, "other", b"key"));
    assert_eq!((other.used(), index.is_current(&after)), (None, false));
    assert!(index.remove(Kind::CameraToken, &other.key().digest).is_none());
    assert!(Arc::ptr_eq(&index.remove(Kind::LicenseKey, &other.key().digest).unwrap(), &other));
    assert!(!index.is_current(&other) && index.look_up(Kind::LicenseKey, b"key").is_none() && index.is_empty());
}

#[test]
fn every_credential_is_visited_once() {
    let index = Index::new();
    for id in 0..1000 {
        let id = id.to_string();
        index.insert(record(&index, Kind::LicenseKey, &id, id.as_bytes())).unwrap();
    }
    let mut ids: Vec<u32> = Vec::new();
    index.for_each(|record| ids.push(record.id().parse().unwrap()));
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..1000));
}

#[test]
fn one_of_two_proofs_may_have_expired() {
    let index = Index::with_peppers(peppers([1]));
    let proofs = [index.proof(b"old", Some(UnixTime(100))), index.proof(b"new", None)];
    for (what, text, now, expected) in [
        ("the new one", "new", 200, Verdict::Proven),
        ("the old one while both are good", "old", 99, Verdict::Proven),
        ("the old one at its end", "old", 100, Verdict::Over),
        ("neither", "other", 50, Verdict::Wrong),
        ("nothing", "", 50, Verdict::Wrong),
    ] {
        assert_eq!(index.proves(text.as_bytes(), &proofs, UnixTime(now)), expected, "{what}");
        assert_eq!(index.proves(text.as_bytes(), &[], UnixTime(now)), Verdict::Wrong, "{what}, for nobody");
    }
}

#[test]
fn the_place_of_the_proof_that_counts_is_told() {
    let index = Index::with_peppers(peppers([1, 2]));
    let end = Some(UnixTime(100));
    let proofs = [("a", None), ("b", end), ("c", None), ("b", None), ("c", end)]
        .map(|(text, expires)| index.proof(text.as_bytes(), expires));
    for (text, now, expected) in [
        ("a", 0, (Verdict::Proven, 0)),
        ("b", 0, (Verdict::Proven, 3)),
        ("b", 100, (Verdict::Proven, 3)),
        ("c", 0, (Verdict::Proven, 4)),
        ("c", 100, (Verdict::Proven, 2)),
        ("d", 0, (Verdict::Wrong, 0)),
    ] {
        assert_eq!(index.proves_by(text.as_bytes(), &proofs, UnixTime(now)), expected, "{text} at {now}");
    }
    assert_eq!(index.proves_by(b"b", &proofs[1..2], UnixTime(100)), (Verdict::Over, 0));
}

#[test]
fn a_proof_counts_under_its_own_pepper_alone() {
    let index = Index::with_peppers(peppers([1]));
    let old = index.proof(b"secret", None);
    index.set_peppers(peppers([1, 2]));
    assert_eq!(index.proves(b"secret", std::slice::from_ref(&old), UnixTime(0)), Verdict::Proven);
    let misnumbered = Proof { pepper: 2, ..old.clone() };
    assert_eq!(index.proves(b"secret", &[misnumbered], UnixTime(0)), Verdict::Wrong);
    index.set_peppers(peppers([2]));
    assert_eq!(index.proves(b"secret", &[old], UnixTime(0)), Verdict::Wrong);
}

#[test]
fn a_credential_under_an_older_pepper_is_found_and_told_of_once() {
    let (sender, sightings) = sync_channel(8);
    let index = Index::with_peppers(peppers([1])).reporting(sender);
    let record = index.insert(record(&index, Kind::LicenseKey, "main", b"key")).unwrap();
    assert!(index.look_up(Kind::LicenseKey, b"key").is_some());
    assert!(sightings.try_recv().is_err(), "it is under the newest");
    index.set_peppers(peppers([1, 2]));
    assert!(index.holder(Kind::LicenseKey, b"key").is_some());
    assert!(sightings.try_recv().is_err(), "nobody presented it");
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&index.look_up(Kind::LicenseKey, b"key").unwrap(), &record));
        assert!(index.look_up(Kind::LicenseKey, b"another").is_none());
    }
    let digest = index.digest(b"key");
    let old = record.key().digest;
    let expected = Sighting { kind: Kind::LicenseKey, id: "main".into(), part: Part::Handle, old, pepper: 2, digest };
    assert_eq!(sightings.try_iter().collect::<Vec<_>>(), [expected]);
    index.set_peppers(peppers([2]));
    assert!(index.look_up(Kind::LicenseKey, b"key").is_none(), "its pepper is out of use");
}

#[test]
fn a_sighting_that_finds_no_room_is_told_later() {
    let (sender, sightings) = sync_channel(1);
    let index = Index::with_peppers(peppers([1])).reporting(sender);
    for text in ["a", "b"] {
        index.insert(record(&index, Kind::LicenseKey, text, text.as_bytes())).unwrap();
    }
    index.set_peppers(peppers([1, 2]));
    let mut told = Vec::new();
    for _ in 0..3 {
        for text in ["a", "b"] {
            assert!(index.look_up(Kind::LicenseKey, text.as_bytes()).is_some());
        }
        told.extend(sightings.try_iter().map(|sighting| sighting.id));
    }
    assert_eq!(told, ["a".into(), Box::from("b")]);
    drop(sightings);
    assert!(index.look_up(Kind::LicenseKey, b"a").is_some());
}

#[test]
fn a_secret_that_proved_under_an_older_pepper_is_told_of_once() {
    let (sender, sightings) = sync_channel(8);
    let index = Index::with_peppers(peppers([1])).reporting(sender);
    let proofs: Box<[Proof]> = [index.proof(b"secret", None)].into();
    let old = proofs[0].digest;
    index.set_peppers(peppers([1, 2]));
    let key = Key { kind: Kind::ApiClient, digest: index.digest(b"client") };
    let mut details = Details::new(key, "client", account(&index, "acme"));
    details.attributes = Attributes::Proofs(proofs);
    let client = index.insert(Record::new(details).unwrap()).unwrap();
    index.proven(&client, b"another");
    index.proven(&client, b"secret");
    index.proven(&client, b"secret");
    let digest = index.digest(b"secret");
    let expected = Sighting { kind: Kind::ApiClient, id: "client".into(), part: Part::Proof, old, pepper: 2, digest };
    assert_eq!(sightings.try_iter().collect::<Vec<_>>(), [expected]);
}

/// Each record is replaced, and each is moved to a pepper that came into use meanwhile.
#[test]
fn readers_never_miss_what_is_there_before_and_after() {
    const RECORDS: u16 = 400;
    let index = Index::with_peppers(peppers([1]));
    for id in 0..RECORDS {
        index.insert(record(&index, Kind::LicenseKey, &id.to_string(), &id.to_be_bytes())).unwrap();
    }
    let done = AtomicBool::new(false);
    let read = || {
        let mut rounds = 0;
        while rounds < 2 || !done.load(Ordering::Relaxed) {
            for id in 0..RECORDS {
                let found = index.look_up(Kind::LicenseKey, &id.to_be_bytes());
                assert_eq!(found.map(|record| record.id().to_owned()), Some(id.to_string()));
            }
            rounds += 1;
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        for newest in 2..6 {
            index.set_peppers(peppers([newest - 1, newest]));
            for id in 0..RECORDS {
                let old = index.peppers().digest_under(newest - 1, &id.to_be_bytes()).unwrap();
                index.publish(keyed(&index, old, Kind::LicenseKey, &id.to_string()));
                index.publish(record(&index, Kind::LicenseKey, &id.to_string(), &id.to_be_bytes()));
                index.remove(Kind::LicenseKey, &old).unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(index.len(), usize::from(RECORDS));
}

#[test]
fn debug_counts_and_shows_nothing() {
    let index = Index::new();
    index.insert(record(&index, Kind::LicenseKey, "main", b"secret-key")).unwrap();
    assert_eq!(format!("{index:?}"), "Index { accounts: 1, records: 1, .. }");
}

#[test]
fn whoever_holds_a_record_can_follow_it_to_another_digest() {
    let index = Index::with_peppers(peppers([1, 2]));
    let old = Digest([1; 32]);
    let held = index.insert(keyed(&index, old, Kind::LicenseKey, "main")).unwrap();
    held.seen(UnixTime(1_800_000_000));
    let changes = Directory::changes(&index);
    let moved = index.publish(record(&index, Kind::LicenseKey, "main", b"secret-key"));
    index.leave(*held.key(), *moved.key());
    assert_eq!(moved.used(), Some(UnixTime(1_800_000_000)));
    assert!(index.known_by(Kind::LicenseKey, &old).is_none());
    assert!(Arc::ptr_eq(&index.successor(&held).unwrap(), &moved));
    assert_ne!(Directory::changes(&index), changes);
    // Changed in its place.
    let renamed = index.publish(record(&index, Kind::LicenseKey, "main", b"secret-key"));
    assert!(Arc::ptr_eq(&index.successor(&held).unwrap(), &renamed));
    assert!(Arc::ptr_eq(&index.successor(&moved).unwrap(), &renamed));
    // Somebody else's by the same text.
    index.publish(record(&index, Kind::LicenseKey, "other", b"secret-key"));
    assert!(index.successor(&held).is_none() && index.successor(&renamed).is_none());
    index.remove(Kind::LicenseKey, &index.digest(b"secret-key"));
    assert!(index.successor(&held).is_none());
}
