//! Where records have gone whose digest is another under a newer pepper: noted only for those whom somebody holds, such
//! as an open stream, and for as long as they do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Index;
use crate::record::{Key, Record};

/// Below this, nobody looks for notes that are of no use any more.
const FEW: usize = 64;

/// What was noted, by the address of the record: it is another for as long as somebody holds it.
#[derive(Debug, Default)]
pub(super) struct Moves(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    all: HashMap<usize, (Weak<Record>, Key)>,
    /// How many there were when those of no use were last thrown away.
    left: usize,
}

impl Moves {
    /// `record` is found by `to` from now on.
    pub(super) fn note(&self, record: &Arc<Record>, to: Key) {
        let mut notes = self.lock();
        if notes.all.len() >= FEW.max(2 * notes.left) {
            // The index holds none of them.
            notes.all.retain(|_, (record, _)| record.strong_count() > 0);
            notes.left = notes.all.len();
        }
        notes.all.insert(address(record), (Arc::downgrade(record), to));
    }

    /// Where `record` has gone, if it has.
    pub(super) fn of(&self, record: &Arc<Record>) -> Option<Key> {
        let notes = self.lock();
        let (own, to) = notes.all.get(&address(record))?;
        std::ptr::eq(own.as_ptr(), Arc::as_ptr(record)).then_some(*to)
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Takes a credential away from a digest that it was known by; it is known by `to` now. Whoever holds what was there
    /// can follow it, and its last use goes on.
    pub(in crate::store) fn leave(&self, from: Key, to: Key) {
        let Some(record) = self.known_by(from.kind, &from.digest) else { return };
        if let Some(now) = self.known_by(to.kind, &to.digest).filter(|now| now.id() == record.id()) {
            now.carry_use(&record);
        }
        self.moves.note(&record, to);
        self.remove(from.kind, &from.digest);
    }

    /// Takes a credential that is found by `text` away from where it was known under older peppers.
    pub fn moved(&self, record: &Record, text: &[u8]) {
        let (kind, to) = (record.kind(), *record.key());
        for digest in self.peppers.load().digests_older(text) {
            if self.known_by(kind, &digest).is_some_and(|known| known.id() == record.id()) {
                self.leave(Key { kind, digest }, to);
            }
        }
    }
}

fn address(record: &Arc<Record>) -> usize {
    Arc::as_ptr(record).addr()
}
