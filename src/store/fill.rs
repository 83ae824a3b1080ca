//! Everything on file into the index, when a store is opened. One thread reads rows in their order; what others refer to
//! it makes known itself, the rest is believed and published by several at once.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use redb::{Range, ReadTransaction, ReadableTable};

use super::entry::Entry;
use super::index::Index;
use super::keys::Keys;
use super::publish::{Above, Publisher, above};
use super::read;
use super::resource::{Body, Resource};
use super::shelf::{Damaged, Shelf, corrupt, of_entry_key};
use crate::clock::UnixTime;

/// Rows that are handed over in one go.
const BATCH: usize = 512;
/// Batches that wait at most.
const WAITING: usize = 16;
/// Threads that publish, at most: more would wait for the one who reads.
const MOST_PUBLISHERS: usize = 4;

/// Rows one after the other in one piece of memory.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    rows: Vec<(usize, usize, Option<UnixTime>)>,
}

/// What tokens want to know of what they are for, where there is anything to know.
type Aboves = RwLock<HashMap<(Resource, String), Above>>;

/// Reads every entry into the index.
pub(super) fn fill(look: &ReadTransaction, keys: &Keys, index: &Arc<Index>) -> Result<(), redb::Error> {
    let aboves = Aboves::default();
    let (hand, batches) = sync_channel(WAITING);
    let batches = Mutex::new(Some(batches));
    let publishers = thread::available_parallelism().map_or(1, Into::into).min(MOST_PUBLISHERS);
    thread::scope(|scope| {
        let work = || publish(&batches, keys, &Publisher::new(Arc::clone(index)), &aboves);
        let publishers: Vec<_> = (0..publishers).map(|_| scope.spawn(work)).collect();
        let read = Reader { keys, publisher: Publisher::new(Arc::clone(index)), aboves: &aboves, hand }.read(look);
        let done = publishers.into_iter().try_for_each(|publisher| match publisher.join() {
            Ok(done) => done.map_err(corrupt),
            Err(panic) => std::panic::resume_unwind(panic),
        });
        // What a publisher found explains why the reader found nobody to hand rows to.
        done.and(read)
    })
}

/// The one who reads.
struct Reader<'a> {
    keys: &'a Keys,
    publisher: Publisher,
    aboves: &'a Aboves,
    hand: SyncSender<Batch>,
}

impl Reader<'_> {
    fn read(self, look: &ReadTransaction) -> Result<(), redb::Error> {
        let entries = look.open_table(Shelf::Entries.definition())?;
        let last = look.open_table(Shelf::Used.definition())?;
        let mut uses = Uses { rows: last.iter()?, next: None };
        let mut accounts = Some(Vec::new());
        let mut batch = Batch::default();
        for row in entries.iter()? {
            let (key, row) = row?;
            let (key, row) = (key.value(), row.value());
            let (resource, _) = of_entry_key(key).ok_or(Damaged("an entry is of no resource")).map_err(corrupt)?;
            if resource == Resource::Account {
                accounts.get_or_insert_default().push(entry(self.keys, key, row).map_err(corrupt)?);
                continue;
            }
            if let Some(accounts) = accounts.take() {
                introduce(&self.publisher, self.keys, &accounts).map_err(corrupt)?;
            }
            let latest = uses.of(key)?;
            if matches!(resource, Resource::Camera | Resource::CameraGroup | Resource::User) {
                let entry = entry(self.keys, key, row).map_err(corrupt)?;
                self.publisher.add(self.keys, &entry, &Above::default(), latest).map_err(corrupt)?;
                remember(self.aboves, entry);
                continue;
            }
            batch.bytes.extend_from_slice(key);
            batch.bytes.extend_from_slice(row);
            batch.rows.push((key.len(), row.len(), latest));
            if batch.rows.len() == BATCH && self.hand.send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
        if self.hand.send(batch).is_err() {
            return Ok(());
        }
        introduce(&self.publisher, self.keys, &accounts.unwrap_or_default()).map_err(corrupt)
    }
}

/// Last uses, read beside the entries: both lie in the order of their keys, so that one look at each row is enough.
struct Uses<'a> {
    rows: Range<'a, &'static [u8], &'static [u8]>,
    next: Option<(Vec<u8>, Option<UnixTime>)>,
}

impl Uses<'_> {
    fn of(&mut self, key: &[u8]) -> Result<Option<UnixTime>, redb::Error> {
        loop {
            match &self.next {
                Some((of, used)) if of.as_slice() == key => return Ok(*used),
                Some((of, _)) if of.as_slice() > key => return Ok(None),
                Some(_) | None => match self.rows.next().transpose()? {
                    None => return Ok(None),
                    Some((of, minutes)) => self.next = Some((of.value().to_vec(), read::last_used(minutes.value()))),
                },
            }
        }
    }
}

/// Believes and publishes what is handed over, until nothing more comes.
fn publish(
    batches: &Mutex<Option<Receiver<Batch>>>,
    keys: &Keys,
    publisher: &Publisher,
    aboves: &Aboves,
) -> Result<(), Damaged> {
    let _end = End(batches);
    loop {
        let next = locked(batches).as_ref().and_then(|batches| batches.recv().ok());
        let Some(batch) = next else { return Ok(()) };
        let mut rest = batch.bytes.as_slice();
        for (key, row, used) in batch.rows {
            let (head, tail) = rest.split_at(key);
            let (row, tail) = tail.split_at(row);
            rest = tail;
            let entry = entry(keys, head, row)?;
            let found = match above(&entry) {
                None => None,
                Some((resource, id)) => {
                    let aboves = aboves.read().unwrap_or_else(PoisonError::into_inner);
                    if aboves.is_empty() { None } else { aboves.get(&(resource, id.to_owned())).cloned() }
                }
            };
            publisher.add(keys, &entry, &found.unwrap_or_default(), used)?;
        }
    }
}

/// Ends the reading when a publisher ends, be it that all is read or that something was wrong: nobody is to wait for
/// room where nobody makes any.
struct End<'a>(&'a Mutex<Option<Receiver<Batch>>>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        drop(locked(self.0).take());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry of a row, if it lies in its own place.
fn entry(keys: &Keys, key: &[u8], row: &[u8]) -> Result<Entry, Damaged> {
    let entry = keys.read_entry(key, row)?;
    if of_entry_key(key) != Some((entry.resource(), entry.id.as_str())) {
        return Err(Damaged("an entry lies in another's place"));
    }
    Ok(entry)
}

/// Makes accounts known: all of them first, then how they stand, since a parent may come later than its child.
fn introduce(publisher: &Publisher, keys: &Keys, accounts: &[Entry]) -> Result<(), Damaged> {
    accounts.iter().try_for_each(|entry| publisher.account(keys, entry, None))?;
    accounts.iter().try_for_each(|entry| {
        let Body::Account(account) = &entry.body else { return Err(Damaged("an account is none")) };
        publisher.account(keys, entry, account.parent.as_deref())
    })
}

fn remember(aboves: &Aboves, entry: Entry) {
    let above = Above::of(&entry);
    if above != Above::default() {
        let mut aboves = aboves.write().unwrap_or_else(PoisonError::into_inner);
        aboves.insert((entry.resource(), entry.id), above);
    }
}
