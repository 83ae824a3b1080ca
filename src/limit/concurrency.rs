//! Requests under way: a permit is taken when a request is admitted and comes back when its answer has ended.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::key::Key;
use super::table::Table;
use super::tally::{Standing, Verdict};

/// When it is worth trying again. Nobody knows when a request ends; a second is what the field can say at least.
const RETRY: Duration = Duration::from_secs(1);

/// So many requests at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// How many.
    pub most: NonZeroU32,
}

/// The requests of one caller that are under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnderWay(u32);

impl UnderWay {
    /// Whether there is room for one more.
    pub(super) fn check(self, concurrency: Concurrency) -> Verdict {
        if self.0 < concurrency.most.get() { Verdict::Room } else { Verdict::Full(RETRY) }
    }

    /// Counts one more; `check` came before.
    pub(super) fn take(&mut self) {
        // A limit that only watches goes on counting above its figure.
        self.0 = self.0.saturating_add(1);
    }

    /// Where it stands.
    pub(super) fn standing(self, concurrency: Concurrency) -> Standing {
        let most = concurrency.most.get();
        Standing { quota: most.into(), remaining: most.saturating_sub(self.0).into(), window: None, reset: None }
    }

    /// Whether it is as good as none.
    pub(super) fn is_idle(self) -> bool {
        self.0 == 0
    }
}

/// A place among the requests under way, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table<UnderWay>>,
    shard: usize,
    key: Key,
}

impl Place {
    /// The place that was just taken.
    pub(super) fn new(table: Arc<Table<UnderWay>>, shard: usize, key: Key) -> Self {
        Self { table, shard, key }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(under_way) = self.table.lock(self.shard).get(self.key) {
            under_way.0 = under_way.0.saturating_sub(1);
        }
    }
}

/// What a request holds while it is under way; it goes with the body of its answer.
#[derive(Debug, Default)]
pub struct Occupancy {
    places: Vec<Place>,
}

impl Occupancy {
    pub(super) fn add(&mut self, place: Place) {
        self.places.push(place);
    }
}
