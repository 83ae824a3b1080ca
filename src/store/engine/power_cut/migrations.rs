//! A file of an older format, brought up to the present one while the power fails.

use super::*;
use crate::store::engine::migrate::Migration;

const TO_2: &[Migration] = &[Migration {
    to: 2,
    run: |change| {
        let mut left = change.open_table(LEFT)?;
        let mut right = change.open_table(RIGHT)?;
        let keys: Vec<u64> = left.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, redb::Error>>()?;
        for key in keys {
            let longer = [left.get(key)?.unwrap().value(), b"2"].concat();
            left.insert(key, longer.as_slice())?;
            right.insert(key, longer.as_slice())?;
        }
        Ok(())
    },
}];

fn migrated(rows: &Rows) -> Rows {
    rows.iter().map(|(key, value)| (*key, [value.as_slice(), b"2"].concat())).collect()
}

#[test]
fn an_older_format_is_migrated_once_wholly_or_not_at_all() {
    let (disk, old) = filled_store(60);
    let (begin, new) = (disk.content(), migrated(&old));
    let open = |disk: &PowerCut| Engine::on(Box::new(disk.clone()), ROOMY, true, TO_2).unwrap();
    let engine = open(&disk);
    assert_eq!(engine.format(), Ok(1));
    assert!(disk.disk().journal.is_empty());
    engine.trust().unwrap();
    engine.trust().unwrap();
    assert_eq!(engine.format(), Ok(2));
    assert!(engine.read(rows).unwrap() == new);
    let journal = std::mem::take(&mut disk.disk().journal);
    drop(engine);
    let mut dice = Dice(9);
    let mut platter = Platter::new(begin);
    let mut formats = [0; 3];
    for event in &journal {
        platter.see(event, &mut dice);
        let disk = PowerCut::of(platter.cut(&mut dice));
        let engine = open(&disk);
        let format = engine.format().unwrap();
        formats[usize::try_from(format).unwrap()] += 1;
        assert!(&engine.read(rows).unwrap() == if format == 1 { &old } else { &new });
        engine.trust().unwrap();
        assert!(engine.read(rows).unwrap() == new);
    }
    assert!(formats[1] > 0 && formats[2] > 0, "{formats:?}");
}

#[test]
fn a_store_that_can_only_be_read_is_migrated_in_memory() {
    let (disk, old) = filled_store(60);
    let engine = Engine::on(Box::new(disk.clone()), QUICK, false, TO_2).unwrap();
    engine.trust().unwrap();
    assert!(engine.read(rows).unwrap() == migrated(&old));
    disk.disk().unreadable = true;
    let _ = engine.read(rows);
    disk.disk().unreadable = false;
    assert!(engine.read(rows).unwrap() == migrated(&old));
    drop(engine);
    assert!(disk.disk().journal.is_empty());
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let (disk, _) = filled_store(5);
    drop(Engine::on(Box::new(disk.clone()), QUICK, true, TO_2).unwrap().trust());
    disk.disk().journal.clear();
    let refused = disk.open(QUICK).unwrap_err();
    assert!(matches!(refused, Unopened::Newer { found: 2, known: 1 }), "{refused}");
    assert!(disk.disk().journal.is_empty());
}

#[test]
fn a_migration_that_finds_no_room_is_tried_again_by_the_next_change() {
    let (disk, old) = filled_store(60);
    let engine = Engine::on(Box::new(disk.clone()), QUICK, true, TO_2).unwrap();
    disk.disk().room = Some(20_000);
    assert_eq!(engine.trust(), Err(Failed::NoSpace));
    assert!(engine.read(rows).unwrap() == old);
    disk.disk().room = None;
    engine.write(|change| put(change, &one(61, 1))).unwrap().unwrap();
    let mut now = migrated(&old);
    now.extend(one(61, 1));
    assert!(engine.read(rows).unwrap() == now);
}
