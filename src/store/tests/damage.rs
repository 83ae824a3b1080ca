//! Files that are not what was written: refused with one plain sentence, untouched, or not hurt at all.

use std::collections::BTreeSet;
use std::fs;

use super::scribe::{Scribe, open_on};
use super::*;
use crate::store::engine::disk::{Dice, PowerCut};

/// A folder with the master key of a scribe's store, and a file for it.
struct Desk {
    folder: TempDir,
    scribe: Scribe,
}

impl Desk {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("master.key"), MASTER).expect("a file");
        let mut scribe = Scribe::new(seed);
        scribe.furnish();
        for _ in 0..20 {
            let operation = scribe.operation();
            drop(scribe.ask(vec![operation]));
        }
        Self { folder, scribe }
    }

    fn open(&self) -> Result<Store, Unopened> {
        let folder = self.folder.path();
        Store::open(&settings(folder), master(folder), self.scribe.clock.clone(), Purpose::Serve)
    }

    /// Opens this file. `Some`: why it was refused; it is as it was.
    fn refusal(&self, image: &[u8], what: &str) -> Option<String> {
        let path = settings(self.folder.path()).path;
        fs::write(&path, image).expect("it can be written");
        match self.open() {
            Ok(store) => {
                self.scribe.now().compare(&store, &self.scribe.ever, what);
                None
            }
            Err(refused) => {
                let sentence = refused.to_string();
                assert!(plain(&sentence), "{what}: {sentence:?}");
                assert!(fs::read(&path).expect("it can be read") == image, "{what}: the file is not as it was");
                Some(sentence)
            }
        }
    }
}

/// One sentence that fits on a line.
fn plain(sentence: &str) -> bool {
    let wordy = ["panicked", "unwrap", "assertion", ".rs"];
    sentence.len() < 200 && !sentence.contains('\n') && wordy.iter().all(|word| !sentence.contains(word))
}

#[test]
fn a_damaged_file_is_refused_untouched_or_opens_with_all_that_was_in_it() {
    let desk = Desk::new(21);
    let killed = desk.scribe.disk.content();
    let mut dice = Dice(4);
    let mut refused = Vec::new();
    let (mut flipped, mut cut) = (0, 0);
    // What is read at the start is in use; the rest of the file is what earlier changes have left.
    let memory = PowerCut::of(killed.clone());
    drop(open_on(&memory, desk.folder.path(), &desk.scribe.clock, true).expect("it opens"));
    let reads: BTreeSet<(usize, usize)> = memory.disk().reads.iter().copied().collect();
    let reads: Vec<(usize, usize)> = reads.into_iter().filter(|(start, _)| *start > 0).collect();
    for nth in 0..360 {
        let mut image = killed.clone();
        let (start, len) = reads[dice.index(reads.len())];
        let place = match nth {
            0..40 => nth * 8 + dice.index(8),
            40..80 => dice.index(killed.len()),
            // The beginning of a page is what is filled first.
            80..220 => start + dice.index(len.min(400)),
            _ => start + dice.index(len),
        };
        for offset in 0..=dice.index(3) {
            image[(place + offset).min(killed.len() - 1)] ^= 1 + u8::try_from(dice.roll(255)).expect("a byte");
        }
        let refusal = desk.refusal(&image, &format!("bytes from {place} on are flipped"));
        flipped += usize::from(refusal.is_some());
        refused.extend(refusal);
    }
    for nth in 0..30 {
        let len = if nth < 10 {
            [0, 1, 9, 64, 320, 4095, 4096, 8192, killed.len() / 2, killed.len() - 1][nth]
        } else {
            dice.index(killed.len())
        };
        let refusal = desk.refusal(&killed[..len], &format!("cut to {len}"));
        cut += usize::from(refusal.is_some());
        refused.extend(refusal);
    }
    refused.sort();
    refused.dedup();
    assert!(flipped > 100 && cut == 30, "{flipped} of 360 flipped and {cut} of 30 cut were refused: {refused:#?}");
    // The desk is not to blame.
    assert_eq!(desk.refusal(&killed, "as it was"), None);
}

#[test]
fn what_is_no_store_is_refused_with_one_plain_sentence() {
    let desk = Desk::new(22);
    let mut dice = Dice(9);
    let garbage = |len: usize, dice: &mut Dice| {
        (0..len).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect::<Vec<u8>>()
    };
    let magic = desk.scribe.disk.content()[..9].to_vec();
    for (what, image, sentence) in [
        ("empty", Vec::new(), "the store is damaged: the file is empty"),
        ("a page of zeros", vec![0; 4096], "the store is damaged: "),
        ("many zeros", vec![0; 1 << 20], "the store is damaged: "),
        ("a configuration", b"[server]\nlisten = 8080\n".repeat(1000), "the store is damaged: "),
        ("a little garbage", garbage(100, &mut dice), "the store is damaged: "),
        ("garbage", garbage(100_000, &mut dice), "the store is damaged: "),
        ("garbage with the right beginning", [magic, garbage(100_000, &mut dice)].concat(), "the store is damaged: "),
    ] {
        let refused = desk.refusal(&image, what).unwrap_or_else(|| panic!("{what} was opened"));
        assert!(refused.starts_with(sentence), "{what}: {refused}");
    }
    let path = settings(desk.folder.path()).path;
    fs::remove_file(&path).expect("it goes");
    assert_eq!(desk.open().expect_err("nothing is there").to_string(), "there is no store here");
    fs::create_dir(&path).expect("a folder");
    let refused = desk.open().expect_err("a folder is no store").to_string();
    assert!(refused.starts_with("the store cannot be read: Is a directory") && plain(&refused), "{refused}");
}

#[test]
fn a_later_format_and_another_master_key_are_refused_untouched() {
    let desk = Desk::new(23);
    let image = desk.scribe.disk.content();
    fs::write(desk.folder.path().join("master.key"), MasterKey::random().to_text().expose()).expect("a file");
    let refused = desk.refusal(&image, "another key").expect("it is refused");
    assert!(refused.starts_with("the master key does not open this store"), "{refused}");
    fs::write(desk.folder.path().join("master.key"), MASTER).expect("a file");
    let path = settings(desk.folder.path()).path;
    fs::write(&path, &image).expect("a file");
    let database = redb::Database::open(&path).expect("it is redb's");
    let change = database.begin_write().expect("it can be written");
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    change.open_table(meta).expect("it is there").insert("format", 9_u32.to_be_bytes().as_slice()).expect("it is put");
    change.commit().expect("it is written");
    drop(database);
    let later = fs::read(&path).expect("it is there");
    let refused = desk.refusal(&later, "a later format").expect("it is refused");
    assert_eq!(refused, "the store has format 9, and this vidgate knows formats up to 1");
}
