//! The guards of the house, which outlive every configuration: one of the same name goes on where it was, so that a
//! reload forgives nobody.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Failures, Held, Settings, Which};
use crate::clock::Clock;

/// A position in `World::guards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardId(pub usize);

/// The guards of one configuration, in its order.
pub type Opened = Arc<[Failures]>;

/// How many guards are remembered that no configuration has any more.
const MOST_GONE: usize = 8;

/// Every guard of the house.
#[derive(Debug)]
pub struct Guards {
    clock: Clock,
    open: Mutex<Opened>,
    /// Those that were in force, the latest last.
    gone: Mutex<Vec<Failures>>,
}

impl Guards {
    /// None yet.
    pub fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, open: Mutex::default(), gone: Mutex::default() })
    }

    /// The guards of a configuration, with what those of the same names have counted.
    pub fn open(&self, settings: &[Settings]) -> Opened {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |own: &Settings| match open.iter().chain(gone.iter()).find(|guard| guard.name == own.name) {
            Some(before) => before.under(own),
            None => Failures::new(own, self.clock.clone()),
        };
        let opened: Opened = settings.iter().map(one).collect();
        let goes_on = |guard: &Failures| opened.iter().any(|own| own.name == guard.name);
        let mut left: Vec<Failures> = gone.iter().chain(open.iter()).filter(|guard| !goes_on(guard)).cloned().collect();
        left.drain(..left.len().saturating_sub(MOST_GONE));
        *gone = left;
        *open = Arc::clone(&opened);
        opened
    }

    /// The guards of a configuration to look at: which are in force stays as it is. Whoever is not known has counted
    /// nothing.
    pub fn look(&self, settings: &[Settings]) -> Opened {
        let now = self.now();
        let one = |own: &Settings| match now.iter().find(|guard| guard.name == own.name) {
            Some(known) => known.under(own),
            None => Failures::new(own, self.clock.clone()),
        };
        settings.iter().map(one).collect()
    }

    /// What all of them have counted, the most failures first, at most `most`.
    pub fn list(&self, which: &Which, most: usize) -> Vec<Held> {
        let mut all: Vec<Held> = self.now().iter().flat_map(|guard| guard.list(which, most)).collect();
        all.sort_by_key(|held| std::cmp::Reverse(held.failures));
        all.truncate(most);
        all
    }

    /// Takes it back; how much there was of it.
    pub fn clear(&self, which: &Which) -> usize {
        self.now().iter().map(|guard| guard.clear(which)).sum()
    }

    pub(super) fn now(&self) -> Opened {
        Arc::clone(&self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
