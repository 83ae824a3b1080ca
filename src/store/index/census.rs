//! How many there are of each kind, kept up with every change: nobody walks through a million credentials to count them.

use std::array;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Index;
use crate::record::Kind;

/// Credentials by kind.
#[derive(Debug)]
pub(super) struct Census([AtomicUsize; Kind::ALL.len()]);

impl Default for Census {
    fn default() -> Self {
        Self(array::from_fn(|_| AtomicUsize::new(0)))
    }
}

impl Census {
    /// One more.
    pub(super) fn add(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn take(&self, kind: Kind) {
        self.0[kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Index {
    /// How many credentials there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many credentials there are of each kind.
    pub fn census(&self) -> impl Iterator<Item = (Kind, usize)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.census.0[kind as usize].load(Ordering::Relaxed)))
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_position_in_the_list_of_kinds() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
