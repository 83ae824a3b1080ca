use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::HEXLOWER;
use serde_json::json;

use super::*;
use crate::store::sample::{self, Sample, documents, holds, object};
use crate::store::{Operation, Resource};

fn backup(sample: &Sample) -> Vec<u8> {
    let mut bytes = Vec::new();
    let backup = sample.store.backup(&mut bytes).unwrap();
    assert_eq!(backup.bytes, bytes.len() as u64);
    bytes
}

fn restore(bytes: &[u8], settings: &Settings, master: &MasterKey) -> Result<Backup, NotRestored> {
    Store::restore(&mut &bytes[..], settings, master)
}

/// Everything but the writing of the file.
fn check(bytes: &[u8], master: &MasterKey) -> Result<Backup, NotRestored> {
    In::begin(&mut &bytes[..], master)?.read(|_, _, _| Ok(true))
}

fn files(sample: &Sample) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(sample.folder.path()).unwrap().map(name).collect()
}

#[test]
fn a_restored_store_is_the_one_that_was_backed_up() {
    let sample = Sample::full();
    let bytes = backup(&sample);
    let target = sample.beside("restored");
    let counts = restore(&bytes, &target, &sample.master).unwrap();
    assert_eq!((counts.entries, counts.deeds), (16, 20));
    assert_eq!(counts, check(&bytes, &sample.master).unwrap());
    let restored = sample.open(&target);
    assert_eq!(documents(&restored), documents(&sample.store));
    assert!(sample.secrets.len() > 10 && sample.secrets.iter().all(|held| held.opens(&restored)));
    assert_eq!(restored.verify_audit().unwrap(), sample.store.verify_audit().unwrap());
    assert_eq!(restored.verify_audit().unwrap().broken_at, None);
    // It is a store like any other: names are taken in it, and its trail goes on.
    let again = object(json!({ "account": "acme", "name": "main" }));
    assert!(matches!(sample::create(&restored, Resource::LicenseKey, again, Vec::new()), Err(Refused::Conflict(_))));
    let camera = object(json!({ "id": "new", "account": "below" }));
    sample::create(&restored, Resource::Camera, camera, Vec::new()).unwrap();
    assert_eq!(restored.verify_audit().unwrap().deeds, 21);
}

#[test]
fn a_backup_is_of_one_moment_while_the_store_goes_on() {
    let sample = Sample::full();
    let (store, stop) = (sample.store.clone(), AtomicBool::new(false));
    let backups = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each camera comes with its group in one change: in a backup stand both or neither.
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let create = |resource, document| Operation::Create { resource, document, versions: Vec::new() };
                let camera = object(json!({ "id": format!("c{number}"), "account": "acme" }));
                let group = json!({ "id": format!("g{number}"), "account": "acme", "cameras": [format!("c{number}")] });
                let operations = vec![create(Resource::Camera, camera), create(Resource::CameraGroup, object(group))];
                let actor = crate::store::Actor("local:0".to_owned());
                store.apply(crate::store::Request { actor, operations, idempotency: None }).unwrap();
                if number == 5 {
                    store.add_pepper(&crate::store::Actor("local:0".to_owned())).unwrap();
                }
            }
        });
        let backups: Vec<_> = (0..12).map(|_| backup(&sample)).collect();
        stop.store(true, Ordering::SeqCst);
        backups
    });
    for (place, bytes) in backups.iter().enumerate().step_by(4) {
        let target = sample.beside(&format!("restored{place}"));
        let counts = restore(bytes, &target, &sample.master).unwrap();
        let restored = sample.open(&target);
        let (documents, trail) = (documents(&restored), restored.verify_audit().unwrap());
        let count = |resource| documents.keys().filter(|(of, _)| *of == resource).count();
        assert_eq!(count(Resource::Camera), count(Resource::CameraGroup));
        assert_eq!((trail.broken_at, trail.deeds), (None, counts.deeds));
        assert!(sample.secrets.iter().all(|held| held.opens(&restored)));
    }
}

#[test]
fn nobody_waits_for_a_backup_that_is_slow_to_be_taken() {
    struct Slow<'a> {
        sample: &'a Sample,
        taken: Vec<u8>,
        made: usize,
    }
    impl Write for Slow<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let camera = object(json!({ "id": format!("new-{}", self.made), "account": "acme" }));
            sample::create(&self.sample.store, Resource::Camera, camera, Vec::new()).unwrap();
            self.made += 1;
            let taken = bytes.len().min(1000);
            self.taken.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sample = Sample::full();
    let mut sink = Slow { sample: &sample, taken: Vec::new(), made: 0 };
    let counts = sample.store.backup(&mut sink).unwrap();
    assert!(sink.made > 5 && counts.entries == 16);
    assert_eq!(check(&sink.taken, &sample.master).unwrap(), counts);
    assert_eq!(documents(&sample.store).len(), 16 + sink.made);
}

#[test]
fn no_secret_stands_in_a_backup() {
    let mut sample = Sample::full();
    // An answer that waits for a repetition holds a secret too.
    let idempotency = Some(crate::store::Idempotency { key: "once-and-again".to_owned(), fingerprint: [1; 32] });
    let document = object(json!({ "account": "acme" }));
    let operations = vec![Operation::Create { resource: Resource::LicenseKey, document, versions: Vec::new() }];
    let actor = crate::store::Actor("local:0".to_owned());
    sample.store.apply(crate::store::Request { actor, operations, idempotency }).unwrap();
    sample.create(Resource::User, json!({ "account": "acme", "login": "bob", "key": "correct horse" }));
    let bytes = backup(&sample);
    assert!(holds(&bytes, "alice") && !holds(&bytes, "once-and-again"));
    for held in &sample.secrets {
        assert!(!holds(&bytes, &held.text), "{held:?}");
    }
    let (keys, master) = (sample.store.inner.keys.load_full(), sample.master.to_text());
    let keyring = &keys.keyring;
    let mut raw: Vec<&[u8]> = vec![keyring.audit_key().expose().as_slice(), master.expose()];
    raw.extend(keyring.data_keys().iter().chain(keyring.peppers()).map(|key| key.key.expose().as_slice()));
    for key in raw {
        assert!(!bytes.windows(key.len()).any(|window| window == key));
    }
}

#[test]
fn a_backup_that_is_cut_off_or_altered_anywhere_is_refused() {
    let mut sample = Sample::empty();
    sample.create(Resource::Account, json!({ "id": "acme" }));
    sample.create(Resource::ApiClient, json!({ "id": "client", "account": "acme", "name": "main" }));
    let (bytes, master) = (backup(&sample), &sample.master);
    check(&bytes, master).unwrap();
    for cut in 0..bytes.len() {
        assert!(matches!(check(&bytes[..cut], master), Err(NotRestored::CutOff)), "{cut}");
    }
    let mut altered = bytes.clone();
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            altered[at] ^= 1 << bit;
            assert!(check(&altered, master).is_err(), "{at}");
            altered[at] ^= 1 << bit;
        }
    }
    assert!(matches!(check(&[&bytes[..], b"."].concat(), master), Err(NotRestored::Altered)));
    // The same with the file written.
    let target = sample.beside("restored");
    for at in (0..bytes.len()).step_by(97) {
        assert!(restore(&bytes[..at], &target, master).is_err(), "{at}");
        altered[at] ^= 1;
        assert!(restore(&altered, &target, master).is_err(), "{at}");
        altered[at] ^= 1;
        assert_eq!(files(&sample), ["store"]);
    }
    restore(&bytes, &target, master).unwrap();
}

#[test]
fn rows_left_out_moved_or_doubled_are_found() {
    let mut sample = Sample::empty();
    sample.create(Resource::Account, json!({ "id": "acme" }));
    sample.create(Resource::Account, json!({ "id": "other" }));
    let bytes = backup(&sample);
    let mut frames = Vec::new();
    let mut at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let head = &bytes[..at];
    while at < bytes.len() {
        let len = 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        frames.push(&bytes[at..at + len]);
        at += len;
    }
    assert_eq!(frames.len(), 2 + usize::try_from(check(&bytes, &sample.master).unwrap().rows - 1).unwrap());
    for place in 0..frames.len() {
        let (mut without, mut doubled, mut swapped) = (frames.clone(), frames.clone(), frames.clone());
        without.remove(place);
        doubled.insert(place, frames[place]);
        swapped.swap(place, (place + 1) % frames.len());
        for altered in [without, doubled, swapped] {
            assert!(check(&[head, &altered.concat()].concat(), &sample.master).is_err(), "{place}");
        }
    }
}

#[test]
fn a_backup_opens_under_its_master_key_alone_and_over_no_file() {
    let sample = Sample::full();
    let (bytes, target) = (backup(&sample), sample.beside("restored"));
    let other = MasterKey::random();
    assert!(matches!(restore(&bytes, &target, &other), Err(NotRestored::MasterKey)));
    assert_eq!(files(&sample), ["store"]);
    fs::write(&target.path, "mine").unwrap();
    assert!(matches!(restore(&bytes, &target, &sample.master), Err(NotRestored::Exists)));
    assert_eq!(fs::read(&target.path).unwrap(), b"mine");
    let nowhere = sample.beside("no/such/folder/store");
    assert!(matches!(restore(&bytes, &nowhere, &sample.master), Err(NotRestored::Write(_))));
}

#[test]
fn what_is_no_backup_is_told_from_a_later_one() {
    let master = MasterKey::random();
    let refused = |bytes: &[u8]| check(bytes, &master).unwrap_err().to_string();
    let text = "this is no backup of a store";
    assert_eq!([refused(&[b'x'; 100]), refused(b"{\"vidgate_export\":1}\n"), refused(b"\n")], [text; 3]);
    assert_eq!(refused(b"vidgate backup 3, whatever\n"), "this backup was made by a later version of vidgate");
    assert_eq!(refused(b"vidgate backup 1, store format 99\n"), "this backup was made by a later version of vidgate");
    assert_eq!(refused(b""), "the backup is cut off");
    // Lengths are not believed before the bytes are there.
    assert_eq!(refused(b"vidgate backup 1, store format 1\n\xff\xff\xff\xff"), "the backup is damaged, or was altered");
    assert_eq!(refused(b"vidgate backup 1, store format 1\n\0\0\xff\xff"), "the backup is cut off");
    assert_eq!(
        refused(b"vidgate backup 1, store format 1\n\0\0\0\x03\x08\0\x07"),
        "the backup is damaged, or was altered"
    );
}

#[test]
fn a_sink_that_takes_no_more_is_not_blamed_on_the_store() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sample = Sample::full();
    for refused in [sample.store.backup(&mut Full).unwrap_err(), sample.store.export(None, &mut Full).unwrap_err()] {
        assert_eq!(refused.to_string(), "it cannot be written out: no storage space");
    }
    backup(&sample);
}

// Made with python: H = lambda k, m: hmac.new(k, m, "sha256").digest(); frame = lambda b: struct.pack(">I", len(b)) + b
//   row = lambda table, k, v: frame(bytes([table]) + struct.pack(">H", len(k)) + k + v)
//   all = HEAD + row(8, b"keyring", SEALED of keyring.rs) + row(2, b"\1\0Acme", b"acme") + row(8, b"word", b"value")
//         + struct.pack(">IB8Q", 97, 0, 0, 1, 0, 0, 0, 0, 0, 2)
//   all + H(H(b"\x44"*32, b"vidgate backup 1"), all), here without HEAD
const FOREIGN: &str = "000000bc0800076b657972696e67a0a1a2a3a4a5a6a7a8a9aaabf6096e3e51de14a87a7c9dc81b67dec172ad480183a6537d8d1f\
        37976eba6410c36756eebe33422c4e8d15d9186b92e8560aea4a40f2385c637c297c8652a792969ea74d1287c6c2d6c0dd3aadec\
        ee98ef298986c4c6aa49dd460da982a97ea7bcb71898309dbca8ade83563b6bbde1b1763529ded06df786b8b9ae0f011b6098155\
        f43b9706c453731dbacf560ed592cc9de92ffa945c8012eeb4c04fe17cde6a7a8a14abdb0000000d020006010041636d6561636d\
        650000000c080004776f726476616c75650000006100000000000000000000000000000000010000000000000000000000000000\
        00000000000000000000000000000000000000000000000000000000000000000002ceb62a8a79da92cd91eeb7fb78d6e9efe5c4\
        7fe080046cc14da3231cdaae88ad";

#[test]
fn a_backup_made_elsewhere_is_read() {
    let master = MasterKey::parse(b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap();
    let bytes = [b"vidgate backup 1, store format 1\n", &HEXLOWER.decode(FOREIGN.as_bytes()).unwrap()[..]].concat();
    let mut rows = Vec::new();
    let mut source = &bytes[..];
    let read = In::begin(&mut source, &master).unwrap().read(|shelf, key, value| {
        rows.push((shelf, key.to_vec(), value.to_vec()));
        Ok(true)
    });
    assert_eq!(read.unwrap(), Backup { entries: 0, deeds: 0, rows: 3, bytes: bytes.len() as u64 });
    assert_eq!(rows[1], (Shelf::Names, b"\x01\0Acme".to_vec(), b"acme".to_vec()));
    assert_eq!((rows[0].0, rows[2].0), (Shelf::Meta, Shelf::Meta));
}

#[test]
fn a_backup_of_the_first_version_is_restored() {
    let sample = Sample::full();
    let bytes = backup(&sample);
    // The same, but for the head, the count of the ninth table, and what comes of them: the length and the seal.
    let seal_key = sample.store.inner.keys.load_full();
    let body = bytes.len() - TRAILER_LEN - 4;
    let mut first = FIRST_HEAD.as_bytes().to_vec();
    first.extend_from_slice(&bytes[HEAD.len()..body]);
    first.extend_from_slice(&u32::try_from(TRAILER_LEN - 8).unwrap().to_be_bytes());
    first.extend_from_slice(&bytes[body + 4..body + 4 + 1 + 8 * FIRST_TABLES]);
    let mut seal = sealing(&seal_key.keyring);
    seal.update(&first);
    first.extend_from_slice(&seal.finalize().into_bytes());
    let target = sample.beside("first");
    let counts = restore(&first, &target, &sample.master).unwrap();
    assert_eq!((counts.entries, counts.deeds), (16, 20));
    assert_eq!(documents(&sample.open(&target)), documents(&sample.store));
    // Neither version is taken for the other.
    let mut mixed = bytes.clone();
    mixed[..HEAD.len()].copy_from_slice(FIRST_HEAD.as_bytes());
    assert!(matches!(restore(&mixed, &sample.beside("mixed"), &sample.master), Err(NotRestored::Altered)));
}
