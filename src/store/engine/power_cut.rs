//! What the engine makes of a disk that loses power, fills up and fails.

mod migrations;

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::disk::{Dice, Event, Platter, PowerCut};
use super::failed::{Failed, Unopened};
use super::migrate;
use super::{Engine, Settings};

const LEFT: TableDefinition<u64, &[u8]> = TableDefinition::new("left");
const RIGHT: TableDefinition<u64, &[u8]> = TableDefinition::new("right");
/// So small that almost every read goes to the disk.
const QUICK: Settings = Settings { cache: 96 * 1024, verify: false };
/// Sparing with the disk, for tests that open a store many times.
const ROOMY: Settings = Settings { cache: 8 << 20, verify: false };
const VERIFIED: Settings = Settings { verify: true, ..ROOMY };

type Rows = BTreeMap<u64, Vec<u8>>;

impl PowerCut {
    fn open(&self, settings: Settings) -> Result<Engine, Unopened> {
        Engine::on(Box::new(self.clone()), settings, true, &[])
    }

    fn trusted(&self, settings: Settings) -> Engine {
        let engine = self.open(settings).unwrap();
        engine.trust().unwrap();
        engine
    }
}

fn new_store() -> PowerCut {
    let disk = PowerCut::default();
    drop(Engine::create_on(Box::new(disk.clone()), QUICK, &[], tables).unwrap());
    disk.disk().journal.clear();
    disk
}

fn tables(change: &WriteTransaction) -> Result<(), redb::Error> {
    change.open_table(LEFT)?;
    change.open_table(RIGHT)?;
    Ok(())
}

/// A store with `count` rows on each side, closed.
fn filled_store(count: u64) -> (PowerCut, Rows) {
    let disk = new_store();
    let engine = disk.trusted(QUICK);
    let rows: Rows = (0..count).map(|key| (key, vec![u8::try_from(key % 251).unwrap(); 700])).collect();
    engine.write(|change| put(change, &rows)).unwrap().unwrap();
    drop(engine);
    disk.disk().journal.clear();
    (disk, rows)
}

/// The same rows on both sides, so that half a change shows.
fn put(change: &WriteTransaction, rows: &Rows) -> Result<(), redb::Error> {
    let (mut left, mut right) = (change.open_table(LEFT)?, change.open_table(RIGHT)?);
    for (key, value) in rows {
        left.insert(key, value.as_slice())?;
        right.insert(key, value.as_slice())?;
    }
    Ok(())
}

fn rows(look: &ReadTransaction) -> Result<Rows, redb::Error> {
    let mut sides = Vec::new();
    for table in [LEFT, RIGHT] {
        let mut side = Rows::new();
        for row in look.open_table(table)?.iter()? {
            let (key, value) = row?;
            side.insert(key.value(), value.value().to_vec());
        }
        sides.push(side);
    }
    let right = sides.pop().unwrap();
    assert!(sides.pop().unwrap() == right, "half a change is on disk");
    Ok(right)
}

fn one(key: u64, byte: u8) -> Rows {
    Rows::from([(key, vec![byte; 3000])])
}

/// Many changes of many sizes: the journal of the disk, and the content after each change.
fn workload(disk: &PowerCut, dice: &mut Dice) -> Vec<Rows> {
    let engine = disk.trusted(QUICK);
    let mut model = vec![engine.read(rows).unwrap()];
    let first = engine.read(migrate::commits).unwrap();
    for number in 1..=45_u64 {
        let mut next = model.last().unwrap().clone();
        // The file grows beyond its first size, then shrinks.
        let (most, longest) = if number < 25 { (30, 4000) } else { (6, 300) };
        engine
            .write(|change| {
                let (mut left, mut right) = (change.open_table(LEFT)?, change.open_table(RIGHT)?);
                for _ in 0..=dice.roll(most) {
                    let key = dice.roll(120);
                    if dice.roll(if number < 25 { 8 } else { 2 }) == 0 {
                        left.remove(key)?;
                        right.remove(key)?;
                        next.remove(&key);
                    } else {
                        let value = vec![u8::try_from(number).unwrap(); dice.index(longest)];
                        left.insert(key, value.as_slice())?;
                        right.insert(key, value.as_slice())?;
                        next.insert(key, value);
                    }
                }
                Ok::<_, redb::Error>(())
            })
            .unwrap()
            .unwrap();
        assert_eq!(engine.read(migrate::commits).unwrap(), first + number);
        disk.disk().journal.push(Event::Acknowledged(number));
        model.push(next);
    }
    drop(engine);
    model
}

/// Opens what a cut left, and gives the number of the last change in it.
fn survives(image: &[u8], settings: Settings, model: &[Rows], acknowledged: u64, first: u64) -> (PowerCut, u64) {
    let disk = PowerCut::of(image.to_vec());
    let engine = disk.open(settings).unwrap_or_else(|refused| panic!("does not open: {refused}"));
    let number = engine.read(migrate::commits).unwrap() - first;
    assert!(number == acknowledged || number == acknowledged + 1, "{number} is there of {acknowledged}");
    assert!(engine.read(rows).unwrap() == model[usize::try_from(number).unwrap()], "content of another change");
    drop(engine);
    assert!(disk.content() == image && disk.disk().journal.is_empty(), "looking has written");
    (disk, number)
}

#[test]
fn no_acknowledged_change_is_lost_or_torn_by_a_power_cut() {
    let mut dice = Dice(1);
    let disk = new_store();
    let begin = disk.content();
    let first = disk.open(ROOMY).unwrap().read(migrate::commits).unwrap();
    let mut model = workload(&disk, &mut dice);
    model.push(model.last().unwrap().clone());
    let journal = std::mem::take(&mut disk.disk().journal);
    let mut platter = Platter::new(begin);
    let (mut cuts, mut grown) = (0, 0);
    for (at, event) in journal.iter().enumerate() {
        platter.see(event, &mut dice);
        if at % 7 != 0 {
            continue;
        }
        let image = platter.cut(&mut dice);
        grown = grown.max(image.len());
        let settings = if cuts % 16 == 0 { VERIFIED } else { ROOMY };
        let (disk, number) = survives(&image, settings, &model, platter.acknowledged, first);
        cuts += 1;
        if cuts % 4 != 0 {
            continue;
        }
        // The power goes again, while the store comes up and takes a change.
        let engine = disk.trusted(settings);
        let mut next = model[usize::try_from(number).unwrap()].clone();
        next.extend(one(7, 77));
        engine.write(|change| put(change, &one(7, 77))).unwrap().unwrap();
        drop(engine);
        let journal = std::mem::take(&mut disk.disk().journal);
        let until = dice.index(journal.len());
        let mut platter = Platter::new(image);
        journal[..until].iter().for_each(|event| platter.see(event, &mut dice));
        let twice = [model[usize::try_from(number).unwrap()].clone(), next];
        survives(&platter.cut(&mut dice), ROOMY, &twice, 0, first + number);
        cuts += 1;
    }
    assert!(cuts >= 500, "only {cuts} cuts of {}", journal.len());
    assert!(grown > 1_200_000, "the file never grew: {grown}");
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_answering() {
    let (full, before) = filled_store(120);
    let mut refused = 0;
    for step in 0.. {
        let disk = PowerCut::of(full.content());
        let engine = disk.trusted(QUICK);
        let snapshot = engine.snapshot().unwrap();
        disk.disk().room = Some(step * 4000);
        let outcome = engine.write(|change| put(change, &one(3, 33)));
        let fitted = outcome.is_ok();
        let mut now = before.clone();
        if fitted {
            now.extend(one(3, 33));
        } else {
            assert_eq!(outcome.unwrap_err(), Failed::NoSpace);
            assert_eq!(engine.write(|change| put(change, &one(4, 44))).map(|_| ()).unwrap_err(), Failed::NoSpace);
            refused += 1;
        }
        assert!(engine.read(rows).unwrap() == now);
        disk.disk().room = None;
        for byte in 0..8 {
            engine.write(|change| put(change, &one(5, byte))).unwrap().unwrap();
        }
        now.extend(one(5, 7));
        assert!(engine.read(rows).unwrap() == now);
        assert!(rows(&snapshot).unwrap() == before, "a reader from before sees later content");
        drop((snapshot, engine));
        assert!(disk.open(VERIFIED).unwrap().read(rows).unwrap() == now);
        if fitted {
            break;
        }
    }
    assert!(refused > 3, "refused {refused} times");
}

#[test]
fn a_failed_fsync_takes_the_change_back_for_good() {
    let (full, before) = filled_store(120);
    for failing in 0..2 {
        for seed in 0..6 {
            let mut dice = Dice(seed);
            let disk = PowerCut::of(full.content());
            let engine = disk.trusted(QUICK);
            disk.disk().failing_sync = Some(failing);
            let outcome = engine.write(|change| put(change, &one(3, 33))).map(|_| ());
            assert_eq!(outcome, Err(Failed::Io("write back failed".to_owned())));
            assert!(engine.read(rows).unwrap() == before);
            engine.write(|change| put(change, &one(4, 44))).unwrap().unwrap();
            let mut platter = Platter::new(full.content());
            disk.disk().journal.iter().for_each(|event| platter.see(event, &mut dice));
            let mut now = before.clone();
            now.extend(one(4, 44));
            let after = PowerCut::of(platter.cut(&mut dice));
            assert!(after.open(VERIFIED).unwrap().read(rows).unwrap() == now);
        }
    }
}

#[test]
fn a_disk_that_cannot_be_read_for_a_while_does_not_end_the_store() {
    let (disk, before) = filled_store(200);
    let engine = disk.trusted(QUICK);
    disk.disk().unreadable = true;
    assert_eq!(engine.read(rows), Err(Failed::Io("bad sector".to_owned())));
    assert!(engine.write(|change| put(change, &one(3, 33))).is_err());
    disk.disk().unreadable = false;
    assert!(engine.read(rows).unwrap() == before);
    engine.write(|change| put(change, &one(3, 33))).unwrap().unwrap();
    assert!(engine.read(rows).unwrap()[&3] == one(3, 33)[&3]);
}

#[test]
fn a_snapshot_keeps_its_content_through_a_failure_and_all_that_is_written_after() {
    let (disk, before) = filled_store(300);
    let engine = disk.trusted(QUICK);
    let snapshot = engine.snapshot().unwrap();
    disk.disk().failing_sync = Some(0);
    assert!(engine.write(|change| put(change, &one(3, 33))).is_err());
    for byte in 0..12 {
        let all = before.keys().map(|key| (*key, vec![byte; 700])).collect();
        engine.write(|change| put(change, &all)).unwrap().unwrap();
    }
    assert!(rows(&snapshot).unwrap() == before);
}

#[test]
fn a_store_that_can_only_be_read_answers_and_refuses_changes() {
    let (disk, before) = filled_store(50);
    let image = disk.content();
    let engine = Engine::on(Box::new(disk.clone()), VERIFIED, false, &[]).unwrap();
    engine.trust().unwrap();
    assert!(engine.is_read_only());
    assert!(engine.read(rows).unwrap() == before);
    assert_eq!(engine.write(|change| put(change, &one(3, 33))).map(|_| ()), Err(Failed::ReadOnly));
    drop(engine);
    assert!(disk.content() == image && disk.disk().journal.is_empty());
}

#[test]
fn nothing_is_taken_before_the_content_is_trusted() {
    let (disk, before) = filled_store(5);
    let engine = disk.open(QUICK).unwrap();
    assert_eq!(engine.write(|change| put(change, &one(3, 33))).map(|_| ()), Err(Failed::ReadOnly));
    engine.trust().unwrap();
    engine.write(|change| put(change, &one(3, 33))).unwrap().unwrap();
    assert!(engine.read(rows).unwrap() != before);
}

#[test]
fn a_refused_change_leaves_nothing_behind() {
    let (disk, before) = filled_store(5);
    let engine = disk.trusted(QUICK);
    let refused = engine.write(|change| {
        put(change, &one(3, 33)).unwrap();
        Err::<(), _>("no")
    });
    assert_eq!(refused, Ok(Err("no")));
    let panicked = engine.write(|change| -> Result<(), redb::Error> {
        put(change, &one(3, 33))?;
        panic!("page out of range")
    });
    assert_eq!(panicked.map(|_| ()), Err(Failed::Corrupt("page out of range".to_owned())));
    assert!(engine.read(rows).unwrap() == before);
    engine.write(|change| put(change, &one(3, 33))).unwrap().unwrap();
}

/// Opens, and reads all, of a file with damage: refused, or good content of one of the last two states.
fn refused_or(image: &[u8], good: &[Rows], what: &str) -> bool {
    let disk = PowerCut::of(image.to_vec());
    let content = disk
        .open(VERIFIED)
        .map_err(|refused| refused.to_string())
        .and_then(|engine| engine.read(rows).map_err(|failed| failed.to_string()));
    assert!(disk.content() == image && disk.disk().journal.is_empty(), "{what}: opening has written");
    let Ok(content) = content else { return true };
    assert!(good.contains(&content), "{what}: other content");
    // Without the comparison of checksums the content may be anything, but nothing panics.
    if let Ok(engine) = disk.open(ROOMY) {
        let _ = engine.read(rows);
        let _ = engine.trust();
    }
    false
}

#[test]
fn a_damaged_file_is_refused_untouched_or_was_not_hurt() {
    let (disk, before) = filled_store(40);
    let engine = disk.trusted(QUICK);
    engine.write(|change| put(change, &one(3, 33))).unwrap().unwrap();
    let killed = disk.content();
    drop(engine);
    let mut now = before.clone();
    now.extend(one(3, 33));
    let good = [now, before];
    let mut dice = Dice(5);
    let mut refused = 0;
    for (nth, (file, name)) in [(killed, "killed"), (disk.content(), "closed")].into_iter().enumerate() {
        // Content begins after the header and is at the front of the file, as it is so small.
        let content = file.len().min(200_000);
        let anywhere = (0..90).map(|at| 320 + dice.index(if at < 80 { content } else { file.len() } - 320));
        for place in (nth..320).step_by(2).chain(anywhere.collect::<Vec<_>>()) {
            let mut image = file.clone();
            image[place] ^= 1 << dice.roll(8);
            refused += usize::from(refused_or(&image, &good, &format!("{name}, flipped at {place}")));
        }
        for _ in 0..20 {
            let len = dice.index(file.len());
            refused += usize::from(refused_or(&file[..len], &good, &format!("{name}, cut to {len}")));
        }
        for len in [0, 1, 9, 4096, 8192, file.len() - 1] {
            assert!(refused_or(&file[..len], &[], &format!("{name}, cut to {len}")));
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let disk = PowerCut::of(b"[server]\nlisten = 8080\n".repeat(1000));
    assert!(matches!(disk.open(QUICK), Err(Unopened::Corrupt(_))));
}

#[test]
fn an_engine_is_shared_between_threads() {
    let (disk, _) = filled_store(50);
    let engine = Arc::new(disk.trusted(QUICK));
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| (0..20).for_each(|_| assert_eq!(engine.read(rows).unwrap().len(), 50)));
        }
        for byte in 0..20 {
            disk.disk().failing_sync = (byte % 4 == 0).then_some(0);
            let _ = engine.write(|change| put(change, &one(3, byte)));
        }
    });
    assert_eq!(engine.read(rows).unwrap()[&3], vec![19; 3000]);
}
