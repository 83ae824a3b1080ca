//! The ledger of quotas: how much of each window is spent, at most. It is written in the commits of all other changes, by
//! the same thread, and leaves nothing in the audit trail. A window is over when the clock says so; its rows go a day
//! later, so that a clock that was set ahead for a while forgives nobody.

use std::sync::mpsc;
use std::time::Duration;

use redb::{ReadOnlyTable, ReadTransaction, TableError};

use super::Store;
use super::batch::{Job, Reservation};
use super::shelf::{Damaged, Desk, Shelf, corrupt};
use crate::clock::UnixTime;
use crate::limit::ledger::{Ledger, LedgerEntry, Unreadable};
use crate::limit::window::{Period, Window};

/// How long a row is kept after the end of its window, in seconds.
const KEPT: u64 = 24 * 60 * 60;
/// The most rows that are taken away in one step.
const SWEEP: usize = 2000;
/// The end of a window and its period.
const HEAD: usize = 9;

impl Ledger for Store {
    fn reserve(&self, entry: LedgerEntry, done: Box<dyn FnOnce(bool) + Send>) {
        self.send(Job::Reserve(Reservation::new(vec![entry], done)));
    }

    fn load(&self, now: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable> {
        self.look(|look| rows(look, now)).map_err(|refused| Unreadable(refused.to_string()))
    }

    fn settle(&self, entries: Vec<LedgerEntry>, patience: Duration) -> bool {
        let (say, said) = mpsc::channel();
        let done = move |written| say.send(written).unwrap_or_default();
        self.send(Job::Reserve(Reservation::new(entries, Box::new(done))));
        said.recv_timeout(patience) == Ok(true)
    }
}

/// Lays down how much is spent.
pub(super) fn write(desk: &mut Desk<'_>, entries: &[LedgerEntry]) -> Result<(), redb::Error> {
    entries.iter().try_for_each(|entry| {
        let value = [entry.window.start.0.to_be_bytes(), entry.spent.to_be_bytes()].concat();
        desk.set(Shelf::Spent, &row_key(entry), Some(&value))
    })
}

/// Throws away what is over since long. Whether there is more.
pub(super) fn sweep(desk: &mut Desk<'_>, now: UnixTime) -> Result<bool, redb::Error> {
    let over = |key: &[u8]| end(key).is_none_or(|end| end.saturating_add(KEPT) <= now.0);
    // They lie in the order of their ends.
    let keys: Vec<_> = desk.keys_under(Shelf::Spent, &[], SWEEP)?.into_iter().take_while(|key| over(key)).collect();
    keys.iter().try_for_each(|key| desk.set(Shelf::Spent, key, None))?;
    Ok(keys.len() == SWEEP)
}

/// A table that is looked at.
type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A table, where the file has it.
pub(super) fn table(look: &ReadTransaction, shelf: Shelf) -> Result<Option<Rows>, TableError> {
    match look.open_table(shelf.definition()) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) if shelf == Shelf::Spent => Ok(None),
        Err(error) => Err(error),
    }
}

fn rows(look: &ReadTransaction, now: UnixTime) -> Result<Vec<LedgerEntry>, redb::Error> {
    let Some(table) = table(look, Shelf::Spent)? else { return Ok(Vec::new()) };
    let from = now.0.saturating_add(1).to_be_bytes();
    let mut entries = Vec::new();
    for row in table.range::<&[u8]>(from.as_slice()..)? {
        let (key, value) = row?;
        let entry = entry(key.value(), value.value()).ok_or(Damaged("a quota's figure is none"));
        entries.push(entry.map_err(corrupt)?);
    }
    Ok(entries)
}

fn row_key(LedgerEntry { limit, key, window, .. }: &LedgerEntry) -> Vec<u8> {
    let name = u16::try_from(limit.len()).expect("the name of a limit is short");
    let period = [period_code(window.period)];
    [&window.end.0.to_be_bytes(), &period[..], &name.to_be_bytes(), limit.as_bytes(), key.as_bytes()].concat()
}

fn end(key: &[u8]) -> Option<u64> {
    key.first_chunk().map(|end| u64::from_be_bytes(*end))
}

fn entry(row_key: &[u8], value: &[u8]) -> Option<LedgerEntry> {
    let (head, rest) = row_key.split_at_checked(HEAD)?;
    let (name, rest) = rest.split_first_chunk()?;
    let (limit, key) = rest.split_at_checked(usize::from(u16::from_be_bytes(*name)))?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Box::from);
    let (start, spent) = value.split_first_chunk()?;
    let window = Window {
        period: period_of(head[HEAD - 1])?,
        start: UnixTime(u64::from_be_bytes(*start)),
        end: UnixTime(end(head)?),
    };
    let spent = u64::from_be_bytes(spent.try_into().ok()?);
    Some(LedgerEntry { limit: text(limit)?, key: text(key)?, window, spent })
}

/// The number of a period in the store; never used for another.
fn period_code(period: Period) -> u8 {
    match period {
        Period::Hour => 1,
        Period::Day => 2,
        Period::Month => 3,
    }
}

fn period_of(code: u8) -> Option<Period> {
    Period::ALL.into_iter().find(|period| period_code(*period) == code)
}
