//! How the failure guards stand, for whoever looks.

use std::sync::atomic::Ordering;

use super::counters::{Counters, Millis};
use super::{Failures, Guards, Policy};

/// How one guard stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub limit: Box<str>,
    /// Addresses with wrong credentials.
    pub addresses: Counted,
    /// Identifiers from one network with wrong credentials.
    pub identifiers: Counted,
    /// How many requests it has refused since the start.
    pub refused: u64,
}

/// How many of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Are remembered.
    pub all: usize,
    /// Are refused just now, or would be where the guard only logs.
    pub held: usize,
}

impl Counted {
    fn of<K: Copy + Eq + std::hash::Hash>(counters: &Counters<K>, policy: &Policy, now: Millis) -> Self {
        let mut counted = Self::default();
        counters.retain(|_, counter| {
            counted.all += usize::from(!policy.is_over(counter, now));
            counted.held += usize::from(counter.until > now);
            true
        });
        counted
    }
}

impl Guards {
    /// How the guards of the configuration in force stand, in its order. Takes each lock for a moment.
    pub fn standings(&self) -> Vec<Standing> {
        self.now().iter().map(Failures::standing).collect()
    }
}

impl Failures {
    fn standing(&self) -> Standing {
        let now = self.now();
        Standing {
            limit: self.name.clone(),
            addresses: Counted::of(&self.seen.addresses, &self.policy, now),
            identifiers: Counted::of(&self.seen.identifiers, &self.policy, now),
            refused: self.seen.refused.load(Ordering::Relaxed),
        }
    }
}
