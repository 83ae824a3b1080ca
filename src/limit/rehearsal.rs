//! What would become of a request at its limits, without anything being counted: the counters that concern it are copied,
//! and the request is admitted by the copies, by the same steps as by those that are real.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Asked;
use super::fields;
use super::key::{Caller, Key};
use super::limits::{Gate, Limit, Tallies};
use super::policy::Policy;
use super::quota::Spending;
use super::rate::Bucket;
use super::table::Table;
use super::tally::Moment;

/// Room in the tables of copies; one for each shard is enough.
const ROOM: usize = 64;

impl Gate {
    /// A gate with the same limits, whose only counters are copies of those that concern this request. What it takes is
    /// gone with it, and no ledger hears of it.
    pub(super) fn copied(&self, asked: &Asked<'_>, caller: &Caller<'_>) -> Self {
        let now = self.moment(asked.now.0, asked.now.1);
        let copy = |(at, limit): (usize, &Limit)| {
            let concerned = asked.limits.iter().any(|id| id.0 == at);
            let key = self.counted(caller, limit.policy.per).key;
            let tallies = if concerned { limit.tallies.copied(key, now) } else { limit.tallies.clone() };
            Limit { tallies, ..limit.clone() }
        };
        Self {
            keys: self.keys.clone(),
            epoch: self.epoch,
            ledger: None,
            limits: self.limits.iter().enumerate().map(copy).collect(),
            turn: Cell::new(0),
            writing: RefCell::default(),
        }
    }
}

impl Limit {
    /// One of which nothing is known.
    pub(super) fn unused(policy: &Policy) -> Self {
        let tallies = Tallies::new(policy.measure, ROOM);
        let (described, named) = (fields::described(policy), fields::named(policy));
        Self { policy: Arc::new(policy.clone()), tallies, described, named }
    }
}

impl Tallies {
    fn copied(&self, key: Key, now: Moment) -> Self {
        match self {
            Self::Rate(rate, table) => {
                let idle = |bucket: &Bucket| bucket.is_idle(rate, now);
                Self::Rate(*rate, Arc::new(one(table, key, now, idle)))
            }
            Self::Quota(quota, table) => {
                let copy = one(table, key, now, |spending| spending.is_over(now.unix));
                copy.lock(key.shard()).all_mut().for_each(Spending::presume_written);
                Self::Quota(*quota, Arc::new(copy))
            }
            Self::Concurrency(own, table) => {
                Self::Concurrency(*own, Arc::new(one(table, key, now, |under_way| under_way.is_idle())))
            }
        }
    }
}

/// A table with a copy of the counter under which `key` would be counted. Where that would be the crowd's, the table is
/// full as the other one is.
fn one<T: Clone>(table: &Table<T>, key: Key, now: Moment, idle: impl Fn(&T) -> bool) -> Table<T> {
    let mut counters = table.lock(key.shard());
    if let Some(own) = counters.get(key).cloned() {
        let copy = Table::new(ROOM);
        copy.lock(key.shard()).put(key, own);
        return copy;
    }
    if !counters.is_crowded((table.most(), now.nanos), idle) {
        return Table::new(ROOM);
    }
    let copy = Table::full();
    if let Some(crowd) = counters.get(Key::CROWD).cloned() {
        copy.lock(key.shard()).put(Key::CROWD, crowd);
    }
    copy
}
