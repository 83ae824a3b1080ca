//! Counters by caller, shared by all workers: in shards with a lock each, bounded, and swept.
//!
//! A table that is full of counters that still matter takes in no more of them, and forgets none: whoever could push
//! others out could reset their limits. Newcomers then share one counter in each shard, the crowd's, so that all of them
//! together are let through no more often than [`SHARDS`] callers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::key::Key;

/// Parts of a table; a power of two.
pub(super) const SHARDS: usize = 64;

/// How often a full shard is searched for counters that do not matter any more, in nanoseconds.
const SEARCH: u64 = 1_000_000_000;

/// Counters of one limit.
#[derive(Debug)]
pub(super) struct Table<T> {
    shards: Box<[Shard<T>]>,
    /// The most counters of a shard, the crowd's not counted.
    most: usize,
}

#[derive(Debug)]
struct Shard<T> {
    counters: Mutex<Counters<T>>,
    /// Wakes those who wait for the ledger.
    written: Arc<Notify>,
}

/// The counters of one shard.
#[derive(Debug)]
pub(super) struct Counters<T> {
    by_key: HashMap<Key, T, BuildHasherDefault<Uniform>>,
    searched: Option<u64>,
    /// What came of those who were counted here.
    pub(super) told: Told,
}

/// What came of requests that were counted in one shard: noted under the lock that is held anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
    /// How many of all were counted as one of the crowd.
    pub(super) shared: u64,
}

impl<T> Table<T> {
    /// Room for `most` counters.
    pub(super) fn new(most: usize) -> Self {
        let shard = || Shard {
            counters: Mutex::new(Counters { by_key: HashMap::default(), searched: None, told: Told::default() }),
            written: Arc::default(),
        };
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), most: (most / SHARDS).max(1) }
    }

    /// No room at all: whoever comes is one of the crowd.
    pub(super) fn full() -> Self {
        Self { most: 0, ..Self::new(0) }
    }

    /// The counters of a shard, for this thread alone.
    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, Counters<T>> {
        // Every change of a counter is a single step: what a panic leaves behind is whole.
        self.shards[shard].counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most counters of a shard.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Who waits in this shard for the ledger.
    pub(super) fn written(&self, shard: usize) -> &Arc<Notify> {
        &self.shards[shard].written
    }

    /// How many counters there are, and what came of all who were counted. Each shard is locked for a moment.
    pub(super) fn standing(&self) -> (usize, Told) {
        let (mut callers, mut all) = (0, Told::default());
        for shard in 0..SHARDS {
            let counters = self.lock(shard);
            callers += counters.by_key.len();
            let Told { admitted, refused, would_refuse, shared } = counters.told;
            all.admitted += admitted;
            all.refused += refused;
            all.would_refuse += would_refuse;
            all.shared += shared;
        }
        (callers, all)
    }

    /// Forgets what does not matter any more in one shard.
    pub(super) fn sweep(&self, shard: usize, idle: impl Fn(&T) -> bool) {
        self.lock(shard).sweep(idle);
    }
}

impl<T> Counters<T> {
    /// The counter of this key.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut T> {
        self.by_key.get_mut(&key)
    }

    /// The counter of a key that was settled under the same lock.
    pub(super) fn settled(&mut self, key: Key) -> &mut T {
        self.by_key.get_mut(&key).expect("it was settled, and nothing was swept since")
    }

    /// Puts a counter there.
    pub(super) fn put(&mut self, key: Key, counter: T) {
        self.by_key.insert(key, counter);
    }

    /// The key under which `key` is counted: its own, or the crowd's where there is no room for one more. The counter is
    /// there from then on.
    pub(super) fn settle(
        &mut self,
        key: Key,
        (most, now): (usize, u64),
        idle: impl Fn(&T) -> bool,
        new: impl FnOnce(Key) -> T,
    ) -> Key {
        if self.by_key.contains_key(&key) {
            return key;
        }
        let full =
            |counters: &Self| counters.by_key.len() - usize::from(counters.by_key.contains_key(&Key::CROWD)) >= most;
        if full(self) && self.searched.is_none_or(|at| now.saturating_sub(at) >= SEARCH) {
            self.searched = Some(now);
            self.sweep(idle);
        }
        let settled = if full(self) { Key::CROWD } else { key };
        self.by_key.entry(settled).or_insert_with(|| new(settled));
        settled
    }

    /// Whether a newcomer would be one of the crowd. Nothing is changed by asking.
    pub(super) fn is_crowded(&self, (most, now): (usize, u64), idle: impl Fn(&T) -> bool) -> bool {
        let counters = || self.by_key.iter().filter(|(key, _)| **key != Key::CROWD);
        let searches = self.searched.is_none_or(|at| now.saturating_sub(at) >= SEARCH);
        counters().count() >= most && (!searches || counters().filter(|(_, own)| !idle(own)).count() >= most)
    }

    fn sweep(&mut self, idle: impl Fn(&T) -> bool) {
        self.by_key.retain(|_, counter| !idle(counter));
        if self.by_key.capacity() > 64 && self.by_key.len() < self.by_key.capacity() / 8 {
            self.by_key.shrink_to(self.by_key.len() * 2);
        }
    }

    /// Every counter, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_key.values_mut()
    }

    /// Every counter.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.by_key.values()
    }
}

/// Takes a key as it is: it is the outcome of a keyed hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Uniform(u64);

impl Hasher for Uniform {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use super::*;
    use crate::limit::key::{Keys, Party};

    #[test]
    fn keys_are_spread_over_all_shards_and_within_each_of_them() {
        let keys = Keys::default();
        let all: Vec<Key> = (0..10_000).map(|number: u32| keys.key(&Party::User(&number.to_string()))).collect();
        assert_eq!(all.iter().map(|key| key.shard()).collect::<HashSet<_>>().len(), SHARDS);
        let hash = |key: &Key| BuildHasherDefault::<Uniform>::default().hash_one(key);
        // A map takes its slot by the lowest bits, and tells neighbours apart by the seven highest.
        for bits in [0xfff, 0xfe << 56] {
            let first = all.iter().filter(|key| key.shard() == 0);
            let (slots, count) = (first.clone().map(|key| hash(key) & bits).collect::<HashSet<_>>(), first.count());
            assert!(slots.len() > count / 3, "{} of {count} by {bits:x}", slots.len());
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_told_apart_as_well() {
        let hash = |bytes: &[u8]| {
            let mut hasher = Uniform::default();
            hasher.write(bytes);
            hasher.finish()
        };
        let different: [&[u8]; 5] = [b"a", b"ab", b"ba", b"aaaaaaaa", b"aaaaaaaaa"];
        assert_eq!(different.map(hash).into_iter().collect::<HashSet<_>>().len(), different.len());
    }

    #[test]
    fn a_full_table_forgets_nobody_and_grows_no_further() {
        let (keys, table) = (Keys::default(), Table::new(SHARDS * 4));
        let names: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let here: Vec<Key> =
            names.iter().map(|name| keys.key(&Party::User(name))).filter(|key| key.shard() == 0).collect();
        assert!(here.len() > 50);
        let mut counters = table.lock(0);
        // Every counter that is there was used; nothing is idle.
        for (now, key) in here.iter().enumerate() {
            let settled = counters.settle(*key, (table.most(), now as u64), |used| *used == 0, |_| 0);
            assert_eq!(settled == *key, now < 4);
            *counters.settled(settled) += 1;
        }
        assert_eq!(counters.all().count(), 5);
        assert_eq!(*counters.settled(Key::CROWD), here.len() - 4);
        assert!(here[..4].iter().all(|key| counters.get(*key) == Some(&mut 1)));
        // Once one of them rests there is room again: searched for at most once a second.
        *counters.settled(here[0]) = 0;
        let late = here[10];
        for (now, expected) in [(SEARCH - 1, Key::CROWD), (SEARCH * 2, late), (SEARCH * 2, late)] {
            assert_eq!(counters.settle(late, (table.most(), now), |used| *used == 0, |_| 1), expected, "{now}");
        }
        assert!(here[1..4].iter().all(|key| counters.get(*key) == Some(&mut 1)));
        assert_eq!(counters.settle(here[0], (table.most(), SEARCH * 9), |used| *used == 0, |_| 0), Key::CROWD);
    }

    #[test]
    fn who_would_be_one_of_the_crowd_is_told_as_it_comes_about() {
        let keys = Keys::default();
        let names: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
        let mut here = names.iter().map(|name| keys.key(&Party::User(name))).filter(|key| key.shard() == 0);
        let table = Table::new(SHARDS * 2);
        let mut counters = table.lock(0);
        let idle = |used: &u32| *used == 0;
        for (what, now, expected) in [
            ("an empty table", 0, false),
            ("room for one more", 0, false),
            ("a full one", 0, true),
            ("a full one with a crowd", 0, true),
            ("searched a moment ago", SEARCH - 1, true),
            ("searched again", SEARCH, true),
        ] {
            let key = here.next().unwrap();
            let told = counters.is_crowded((table.most(), now), idle);
            let settled = counters.settle(key, (table.most(), now), idle, |_| 1);
            assert_eq!((told, settled != key), (expected, expected), "{what}");
        }
        counters.by_key.iter_mut().filter(|(key, _)| **key != Key::CROWD).take(1).for_each(|(_, used)| *used = 0);
        assert!(counters.is_crowded((table.most(), 2 * SEARCH - 1), idle), "one rests, and nobody looks");
        assert!(!counters.is_crowded((table.most(), 2 * SEARCH), idle), "one rests, and is found");
        counters.by_key.values_mut().for_each(|used| *used = 0);
        assert!(!counters.is_crowded((table.most(), 2 * SEARCH), idle), "all rest");
        assert_eq!(Table::<u32>::full().most(), 0);
        assert!(Table::<u32>::full().lock(0).is_crowded((0, 0), idle));
    }

    #[test]
    fn a_swept_table_gives_its_memory_back() {
        let (keys, table) = (Keys::default(), Table::new(1 << 20));
        let mut counters = table.lock(0);
        for number in 0..5000 {
            let key = keys.key(&Party::User(&number.to_string()));
            counters.settle(key, (table.most(), 0), |_| false, |_| number);
        }
        assert!(counters.by_key.capacity() >= 5000);
        counters.sweep(|number| *number > 10);
        assert!(counters.all().count() == 11 && counters.by_key.capacity() < 500);
    }
}
