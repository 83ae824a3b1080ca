//! Wrong credentials, counted by key in a table of bounded size that all workers share. A lock is held for one look-up;
//! while nothing is counted, which is how it mostly is, nobody takes one.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Policy;
use crate::scheme::Mark;

/// Parts of a table, each under a lock of its own.
const SHARDS: usize = 64;
/// The most counters in a part; 65,536 in all, which are about 8 MiB.
const MOST_IN_SHARD: usize = 1024;
/// The most identifiers that one counter tells apart.
const MOST_BLAMED: usize = 8;

/// Milliseconds on the house's monotonic clock.
pub(super) type Millis = u64;

/// What was counted of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// How many credentials were wrong.
    pub(super) count: u32,
    /// Until when nothing is looked at.
    pub(super) until: Millis,
    /// When the last one was wrong.
    pub(super) last: Millis,
    /// How many of them were for one identifier each, which its owner's success takes back. Others are nobody's.
    blamed: Vec<(Mark, u32)>,
}

/// What became of one wrong credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was counted.
    Counted,
    /// It was counted, and from now on nothing is looked at for so long.
    Last(Millis),
    /// It came beside others, one of which was the last: nothing is looked at for so long, and this does not count.
    TooMany(Millis),
}

/// A table of counters.
pub(super) struct Counters<K> {
    shards: Box<[Mutex<HashMap<K, Counter>>]>,
    /// How many there are in all.
    len: AtomicUsize,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash> Counters<K> {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, len: AtomicUsize::new(0), hasher: RandomState::new() }
    }

    /// Whether nothing is counted: one load.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// For how long nothing of this key is looked at.
    pub(super) fn held(&self, key: &K, now: Millis) -> Option<Millis> {
        if self.is_empty() {
            return None;
        }
        let until = self.shard(key).get(key)?.until;
        until.checked_sub(now).filter(|left| *left > 0)
    }

    /// Counts a wrong credential.
    pub(super) fn fail(&self, key: K, blamed: Option<Mark>, policy: &Policy, now: Millis) -> Fate {
        let mut shard = self.shard(&key);
        if !shard.contains_key(&key) {
            self.make_room(&mut shard, policy, now);
            shard.insert(key, Counter::default());
            self.len.fetch_add(1, Ordering::AcqRel);
        }
        let counter = shard.get_mut(&key).expect("it is there, or was just put there");
        if policy.is_over(counter, now) {
            *counter = Counter::default();
        }
        if counter.until > now {
            return Fate::TooMany(counter.until - now);
        }
        counter.count = counter.count.saturating_add(1);
        counter.last = now;
        counter.blame(blamed);
        match policy.hold(counter.count) {
            None => Fate::Counted,
            Some(hold) => {
                counter.until = now.saturating_add(hold);
                Fate::Last(hold)
            }
        }
    }

    /// Takes back what is blamed on an identifier, since its owner is there after all. What others are blamed for stays:
    /// whoever has one account must not get rid of what they tried on another.
    pub(super) fn forgive(&self, key: &K, mark: Mark, policy: &Policy) {
        if self.is_empty() {
            return;
        }
        let mut shard = self.shard(key);
        if shard.get_mut(key).is_some_and(|counter| counter.forgive(mark, policy)) {
            self.remove(&mut shard, key);
        }
    }

    /// Takes a counter away.
    pub(super) fn clear(&self, key: &K) {
        if !self.is_empty() {
            self.remove(&mut self.shard(key), key);
        }
    }

    /// Goes through all counters, part by part, and takes away those that `keep` says no to. What it changes of one is
    /// changed.
    pub(super) fn retain(&self, mut keep: impl FnMut(&K, &mut Counter) -> bool) {
        for shard in &self.shards {
            self.retain_in(&mut locked(shard), &mut keep);
        }
    }

    /// The same for one part alone, of [`SHARDS`].
    pub(super) fn retain_some(&self, part: usize, mut keep: impl FnMut(&K, &mut Counter) -> bool) {
        if !self.is_empty() {
            self.retain_in(&mut locked(&self.shards[part % SHARDS]), &mut keep);
        }
    }

    fn retain_in(&self, shard: &mut HashMap<K, Counter>, keep: &mut impl FnMut(&K, &mut Counter) -> bool) {
        let before = shard.len();
        shard.retain(&mut *keep);
        self.len.fetch_sub(before - shard.len(), Ordering::AcqRel);
    }

    /// Where a part is full: what is over goes, else the one that weighs least. A flood of first failures from ever new
    /// addresses so pushes out one another, and never what has been refused already; to be rid of that, each new one
    /// would have to be as heavy.
    fn make_room(&self, shard: &mut HashMap<K, Counter>, policy: &Policy, now: Millis) {
        if shard.len() < MOST_IN_SHARD {
            return;
        }
        self.retain_in(shard, &mut |_, counter| !policy.is_over(counter, now));
        if shard.len() >= MOST_IN_SHARD {
            let lightest = shard.iter().min_by_key(|(_, counter)| (counter.count, counter.last)).map(|(key, _)| *key);
            lightest.inspect(|key| self.remove(shard, key));
        }
    }

    fn remove(&self, shard: &mut HashMap<K, Counter>, key: &K) {
        if shard.remove(key).is_some() {
            self.len.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Counter>> {
        // The remainder is far below 64 bits.
        let place =
            usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).expect("it is below the number of parts");
        locked(&self.shards[place])
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
}

/// A counter is whole at every moment, so that a panic elsewhere leaves nothing behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counter {
    fn blame(&mut self, blamed: Option<Mark>) {
        let Some(mark) = blamed else { return };
        if let Some((_, count)) = self.blamed.iter_mut().find(|(own, _)| *own == mark) {
            *count = count.saturating_add(1);
        } else if self.blamed.len() < MOST_BLAMED {
            self.blamed.push((mark, 1));
        }
    }

    /// Takes back what is blamed on an identifier; whether nothing is left then.
    pub(super) fn forgive(&mut self, mark: Mark, policy: &Policy) -> bool {
        let Some(place) = self.blamed.iter().position(|(own, _)| *own == mark) else { return false };
        let (_, count) = self.blamed.swap_remove(place);
        self.count = self.count.saturating_sub(count);
        if policy.hold(self.count).is_none() {
            self.until = 0;
        }
        self.count == 0
    }
}
