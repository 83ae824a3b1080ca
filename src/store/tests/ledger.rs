//! What quotas have spent: never less on disk than was said to be there, whatever happens.

use std::collections::BTreeMap;

use super::scribe::{Scribe, open_on};
use super::*;
use crate::limit::ledger::{Ledger, LedgerEntry};
use crate::limit::window::Period;
use crate::store::engine::disk::{Dice, Platter, PowerCut};
use crate::store::shelf::Shelf;

fn entry(key: &str, period: Period, at: UnixTime, spent: u64) -> LedgerEntry {
    LedgerEntry { limit: "hourly".into(), key: format!("account:{key}").into(), window: period.window(at), spent }
}

fn reserve(store: &Store, entry: LedgerEntry) -> mpsc::Receiver<bool> {
    let (say, said) = mpsc::channel();
    store.reserve(entry, Box::new(move |written| say.send(written).unwrap_or_default()));
    said
}

/// By key, what is on file at this instant.
fn spent(store: &Store, now: UnixTime) -> BTreeMap<String, u64> {
    store.load(now).unwrap().into_iter().map(|entry| (entry.key.into(), entry.spent)).collect()
}

#[test]
fn what_was_reserved_is_there_after_a_restart_until_its_window_is_over() {
    let mut house = House::new();
    let now = house.clock.unix();
    let deeds = house.deeds().len();
    let all: Vec<_> = Period::ALL.into_iter().map(|period| entry(period.name(), period, now, 1000)).collect();
    for own in &all {
        for spent in [10, 1000] {
            assert_eq!(reserve(&house.store, LedgerEntry { spent, ..own.clone() }).recv(), Ok(true));
        }
    }
    // A zero and a colon part nothing.
    let odd = LedgerEntry { limit: "h".into(), key: "ourly\0account:\u{e9}".into(), ..all[0].clone() };
    assert_eq!(reserve(&house.store, odd.clone()).recv(), Ok(true));
    for _ in 0..2 {
        let mut found = house.store.load(now).unwrap();
        found.sort_by(|one, other| one.window.end.cmp(&other.window.end).then(other.limit.cmp(&one.limit)));
        assert_eq!(found, [&all[0], &odd, &all[1], &all[2]].map(Clone::clone));
        house = house.reopened();
    }
    assert_eq!(house.deeds().len(), deeds, "it is no deed");
    let left = |at: UnixTime| house.store.load(at).unwrap().len();
    assert_eq!((left(UnixTime(all[0].window.end.0 - 1)), left(all[0].window.end), left(all[2].window.end)), (4, 2, 0));
    // The true figures are lower.
    let lower = vec![LedgerEntry { spent: 7, ..all[0].clone() }, LedgerEntry { spent: 8, ..all[1].clone() }];
    assert!(house.store.settle(lower, Duration::MAX));
    let spent = spent(&house.store, now);
    assert_eq!([spent["account:hour"], spent["account:day"], spent["account:month"]], [7, 8, 1000]);
}

#[test]
fn windows_that_are_over_are_swept_a_day_later() {
    let house = House::new();
    let start = house.clock.unix();
    for period in Period::ALL {
        assert_eq!(reserve(&house.store, entry(period.name(), period, start, 1)).recv(), Ok(true));
    }
    let rows = |wait: Duration| {
        house.clock.advance(wait);
        // The first is answered before the store is looked after, the second afterwards.
        (0..2).for_each(|_| house.store.task(|_| Ok(())).expect("it answers"));
        house.store.load(UnixTime(0)).unwrap().len()
    };
    assert_eq!(rows(Duration::from_hours(24)), 3);
    assert_eq!(rows(Duration::from_hours(1)), 2);
    assert_eq!(rows(Duration::from_hours(24)), 1);
    assert_eq!(rows(Duration::from_hours(24 * 32)), 0);
}

/// A change for which the writer waits for others, an hour if nobody is in a hurry.
fn paused(house: &House) -> mpsc::Receiver<Result<Answer, Refused>> {
    let crowded = |writer: &mut Writer| {
        (writer.crowd, writer.patience) = (1000, Duration::from_hours(1));
        Ok(())
    };
    house.store.task(crowded).expect("it answers");
    let operations = vec![create(Resource::Account, json!({ "id": "acme" }))];
    let request = Request { actor: Actor("test:lea".to_owned()), operations, idempotency: None };
    let (say, said) = mpsc::channel();
    house.store.submit(request, move |outcome| say.send(outcome).unwrap_or_default());
    said
}

/// What cannot wait.
type Hurry = fn(House) -> Option<House>;

#[test]
fn a_quota_a_task_and_the_end_of_the_store_end_the_pause_for_a_crowd() {
    const SOON: Duration = Duration::from_mins(3);
    let hurries: [(&str, Hurry); 3] = [
        ("a quota", |house| {
            let said = reserve(&house.store, entry("a", Period::Hour, house.clock.unix(), 1));
            (said.recv_timeout(SOON) == Ok(true)).then_some(house)
        }),
        ("a task", |house| {
            let (say, said) = mpsc::channel();
            let task = move |_: &mut Writer| say.send(()).unwrap_or_default();
            house.store.send(Job::Task(Box::new(task)));
            (said.recv_timeout(SOON) == Ok(())).then_some(house)
        }),
        ("the end", |house| {
            drop(house.store);
            None
        }),
    ];
    for (what, hurry) in hurries {
        let house = House::new();
        let said = paused(&house);
        // Whatever fails is not waited for.
        let hurrying = std::thread::spawn(move || hurry(house));
        assert!(said.recv_timeout(SOON).is_ok_and(|outcome| outcome.is_ok()), "{what}");
        assert_eq!(hurrying.join().unwrap().is_some(), what != "the end", "{what}");
    }
}

#[test]
fn no_power_cut_loses_what_was_said_to_be_reserved() {
    let mut scribe = Scribe::new(21);
    let now = scribe.clock.unix();
    // What was handed in for each number of acknowledgements, and what of it was acknowledged.
    let mut acknowledged: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new()];
    let mut handed_in: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new()];
    for step in 1..60_u64 {
        let key = ["a", "b", "c"][scribe.dice.index(3)];
        let mut next = handed_in.last().unwrap().clone();
        next.insert(format!("account:{key}"), step * 10);
        // It may be on disk before it is acknowledged.
        *handed_in.last_mut().unwrap() = next.clone();
        let (disk, (say, said)) = (scribe.disk.clone(), mpsc::channel());
        let done = move |written| {
            disk.acknowledge();
            say.send(written).unwrap();
        };
        scribe.store.reserve(entry(key, Period::Month, now, step * 10), Box::new(done));
        if step % 5 == 0 {
            // Others change the store meanwhile, in the same commits or not.
            let create = create(Resource::Account, json!({ "id": format!("n{step}") }));
            let request = Request { actor: Actor("test:lea".to_owned()), operations: vec![create], idempotency: None };
            scribe.store.apply(request).unwrap();
        }
        assert_eq!(said.recv(), Ok(true));
        acknowledged.push(next.clone());
        handed_in.push(next);
    }
    let journal = std::mem::take(&mut scribe.disk.disk().journal);
    let mut dice = Dice(5);
    let mut platter = Platter::new(scribe.blank.clone());
    let mut ahead = 0;
    for event in journal {
        platter.see(&event, &mut dice);
        let number = usize::try_from(platter.acknowledged).unwrap();
        let disk = PowerCut::of(platter.cut(&mut dice));
        let store = open_on(&disk, scribe.folder.path(), &scribe.clock, true).expect("it opens");
        let found = spent(&store, now);
        assert!(found == acknowledged[number] || found == handed_in[number], "after {number}: {found:?}");
        ahead += usize::from(found != acknowledged[number]);
    }
    assert!(ahead > 5, "{ahead}");
}

#[test]
fn a_disk_that_fails_says_so_and_takes_it_when_it_is_mended() {
    let mut scribe = Scribe::new(22);
    scribe.furnish();
    let now = scribe.clock.unix();
    assert_eq!(reserve(&scribe.store, entry("a", Period::Hour, now, 10)).recv(), Ok(true));
    scribe.disk.disk().room = Some(0);
    assert_eq!(reserve(&scribe.store, entry("a", Period::Hour, now, 20)).recv(), Ok(false));
    // Nobody waits for ever, and nothing breaks.
    assert!(!scribe.store.settle(vec![entry("a", Period::Hour, now, 5)], Duration::MAX));
    assert_eq!(spent(&scribe.store, now)["account:a"], 10);
    scribe.disk.disk().room = None;
    assert_eq!(reserve(&scribe.store, entry("a", Period::Hour, now, 30)).recv(), Ok(true));
    assert_eq!(spent(&scribe.store, now)["account:a"], 30);
    scribe.disk.disk().failing_sync = Some(0);
    assert_eq!(reserve(&scribe.store, entry("a", Period::Hour, now, 40)).recv(), Ok(false));
    assert!(matches!(spent(&scribe.store, now)["account:a"], 30 | 40));
    assert_eq!(reserve(&scribe.store, entry("a", Period::Hour, now, 50)).recv(), Ok(true));
    let read_only = open_on(&PowerCut::of(scribe.disk.content()), scribe.folder.path(), &scribe.clock, false).unwrap();
    assert_eq!(spent(&read_only, now)["account:a"], 50);
    assert_eq!(reserve(&read_only, entry("a", Period::Hour, now, 60)).recv(), Ok(false));
}

#[test]
fn a_change_that_is_refused_takes_no_reservation_with_it() {
    let house = House::new();
    let now = house.clock.unix();
    // The writer is held up, so that all of it comes into one transaction.
    let (go, wait) = mpsc::channel::<()>();
    house.store.send(batch::Job::Task(Box::new(move |_| wait.recv().unwrap_or_default())));
    let first = reserve(&house.store, entry("a", Period::Hour, now, 10));
    let (say, said) = mpsc::channel();
    let operations = vec![create(Resource::Camera, json!({ "id": "c", "account": "nobody" }))];
    let request = Request { actor: Actor("test:lea".to_owned()), operations, idempotency: None };
    house.store.submit(request, move |answer| say.send(answer.is_ok()).unwrap());
    let second = reserve(&house.store, entry("b", Period::Hour, now, 10));
    go.send(()).unwrap();
    assert_eq!((first.recv(), said.recv(), second.recv()), (Ok(true), Ok(false), Ok(true)));
    assert_eq!(spent(&house.store, now).len(), 2);
}

#[test]
fn a_store_from_before_there_were_quotas_is_opened_backed_up_and_written() {
    let house = furnished();
    let now = house.clock.unix();
    let drop_table = |change: &redb::WriteTransaction| change.delete_table(Shelf::Spent.definition()).map(drop);
    house.store.inner.engine.write(|change| drop_table(change).map_err(redb::Error::from)).unwrap().unwrap();
    let house = house.reopened();
    assert_eq!(house.store.load(now), Ok(vec![]));
    house.store.backup(&mut Vec::new()).expect("it is backed up");
    assert_eq!(reserve(&house.store, entry("a", Period::Hour, now, 10)).recv(), Ok(true));
    let house = house.reopened();
    assert_eq!(spent(&house.store, now)["account:a"], 10);
    let mut backup = Vec::new();
    house.store.backup(&mut backup).expect("it is backed up");
    let beside = Settings { path: house.folder.path().join("restored.redb"), ..settings(house.folder.path()) };
    let master = || master(house.folder.path());
    Store::restore(&mut backup.as_slice(), &beside, &master().key).expect("it is restored");
    let restored = Store::open(&beside, master(), house.clock.clone(), Purpose::Look).expect("it opens");
    assert_eq!(spent(&restored, now)["account:a"], 10);
    assert_eq!(reserve(&restored, entry("a", Period::Hour, now, 20)).recv(), Ok(false), "it is only looked at");
}

#[test]
fn a_row_that_nobody_can_read_forgives_nobody() {
    let house = House::new();
    let now = house.clock.unix();
    let good = entry("a", Period::Hour, now, 10);
    assert_eq!(reserve(&house.store, good.clone()).recv(), Ok(true));
    let row = |key: &[u8], value: &[u8]| {
        let put = |change: &redb::WriteTransaction| {
            change.open_table(Shelf::Spent.definition())?.insert(key, value)?;
            Ok::<_, redb::Error>(())
        };
        house.store.inner.engine.write(put).unwrap().unwrap();
    };
    let key = |period: u8, name: &[u8]| [&good.window.end.0.to_be_bytes(), &[period][..], name].concat();
    for (what, key, value) in [
        ("a value that is cut off", key(1, b"\0\x06hourlyaccount:b"), &[0; 15][..]),
        ("a period that there is not", key(9, b"\0\x06hourlyaccount:b"), &[0; 16]),
        ("a name that is cut off", key(1, b"\0\x60hourly"), &[0; 16]),
    ] {
        row(&key, value);
        let said = house.store.load(now).unwrap_err().to_string();
        assert!(said.starts_with("what quotas have spent cannot be read: "), "{what}: {said}");
        assert!(said.contains("a quota's figure is none"), "{what}: {said}");
        let delete = |change: &redb::WriteTransaction| {
            change.open_table(Shelf::Spent.definition())?.remove(&*key)?;
            Ok::<_, redb::Error>(())
        };
        house.store.inner.engine.write(delete).unwrap().unwrap();
        assert_eq!(house.store.load(now), Ok(vec![good.clone()]), "{what}");
    }
}

#[test]
fn a_writer_that_does_not_come_to_it_is_not_waited_for_for_ever() {
    let house = House::new();
    let now = house.clock.unix();
    let (go, wait) = mpsc::channel::<()>();
    house.store.send(batch::Job::Task(Box::new(move |_| wait.recv().unwrap_or_default())));
    assert!(!house.store.settle(vec![entry("a", Period::Hour, now, 5)], Duration::ZERO));
    go.send(()).unwrap();
    // What was handed in is written all the same, once the writer goes on.
    house.store.task(|_| Ok(())).expect("it answers");
    assert_eq!(spent(&house.store, now)["account:a"], 5);
}
