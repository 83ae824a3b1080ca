//! The counters of one request, each with its lock, for as long as it takes to look at all of them and then to take from
//! all of them: nobody sees one that is taken and another that is not.

use std::sync::{Arc, MutexGuard};

use super::concurrency::{Concurrency, Occupancy, Place, UnderWay};
use super::key::{Caller, Counted, Key, Per};
use super::ledger::LedgerEntry;
use super::limits::{Gate, Limit, Tallies, name};
use super::quota::{Quota, Spending};
use super::rate::{Bucket, Rate};
use super::table::{Counters, Table};
use super::tally::{Moment, Standing, Verdict};

/// The locked counter of one limit.
pub(super) struct Held<'g> {
    pub(super) limit: &'g Limit,
    shard: usize,
    key: Key,
    counter: Locked<'g>,
}

enum Locked<'g> {
    Rate(&'g Rate, MutexGuard<'g, Counters<Bucket>>),
    /// With the quota of this caller.
    Quota(&'g Quota, u64, &'g Arc<Table<Spending>>, MutexGuard<'g, Counters<Spending>>),
    Concurrency(Concurrency, &'g Arc<Table<UnderWay>>, MutexGuard<'g, Counters<UnderWay>>),
}

/// What is to be written down, once nothing is locked any more.
pub(super) struct Ask {
    entry: LedgerEntry,
    table: Arc<Table<Spending>>,
    shard: usize,
    key: Key,
}

impl<'g> Held<'g> {
    /// Locks the counter of this caller; it is there from then on. `counted` is whom the limit counts.
    pub(super) fn lock(
        limit: &'g Limit,
        gate: &Gate,
        caller: &Caller<'_>,
        Counted { party, key, .. }: Counted<'_>,
        now: Moment,
    ) -> Self {
        let policy = &*limit.policy;
        let shard = key.shard();
        let (key, counter) = match &limit.tallies {
            Tallies::Rate(rate, table) => {
                let mut counters = table.lock(shard);
                let (room, idle) = ((table.most(), now.nanos), |bucket: &Bucket| bucket.is_idle(rate, now));
                (counters.settle(key, room, idle, |_| Bucket::default()), Locked::Rate(rate, counters))
            }
            Tallies::Quota(quota, table) => {
                let mut counters = table.lock(shard);
                let (room, over) = ((table.most(), now.nanos), |spending: &Spending| spending.is_over(now.unix));
                let kept = gate.ledger.is_some();
                let new = |settled| Spending::new(name(&party, settled, shard), quota, now, kept);
                let key = counters.settle(key, room, over, new);
                let account = caller.principal.account().filter(|_| policy.per == Per::Account && key != Key::CROWD);
                let most = account.map_or(quota.cap.get(), |account| quota.of(account.quota()));
                (key, Locked::Quota(quota, most, table, counters))
            }
            Tallies::Concurrency(concurrency, table) => {
                let mut counters = table.lock(shard);
                let (room, idle) = ((table.most(), now.nanos), |under_way: &UnderWay| under_way.is_idle());
                let key = counters.settle(key, room, idle, |_| UnderWay::default());
                (key, Locked::Concurrency(*concurrency, table, counters))
            }
        };
        Self { limit, shard, key, counter }
    }

    /// Whether there is room for one more.
    pub(super) fn check(&mut self, now: Moment) -> Verdict {
        match &mut self.counter {
            Locked::Rate(rate, counters) => counters.settled(self.key).check(rate, now),
            Locked::Quota(quota, most, _, counters) => counters.settled(self.key).check(quota, *most, now),
            Locked::Concurrency(concurrency, _, counters) => counters.settled(self.key).check(*concurrency),
        }
    }

    /// Counts one more if it is `taken`, and says where it stands then; and what the ledger is to be asked for now.
    pub(super) fn conclude(&mut self, taken: bool, occupancy: &mut Occupancy, now: Moment) -> (Standing, Option<Ask>) {
        match &mut self.counter {
            Locked::Rate(rate, counters) => {
                let bucket = counters.settled(self.key);
                if taken {
                    bucket.take(rate);
                }
                (bucket.standing(rate), None)
            }
            Locked::Quota(_, most, table, counters) => {
                let spending = counters.settled(self.key);
                if taken {
                    spending.take();
                }
                let ask = spending.ask(*most).map(|figure| Ask {
                    entry: spending.entry(&self.limit.policy.name, figure),
                    table: Arc::clone(table),
                    shard: self.shard,
                    key: self.key,
                });
                (spending.standing(*most, now), ask)
            }
            Locked::Concurrency(concurrency, table, counters) => {
                let under_way = counters.settled(self.key);
                if taken {
                    under_way.take();
                    occupancy.add(Place::new(Arc::clone(table), self.shard, self.key));
                }
                (under_way.standing(*concurrency), None)
            }
        }
    }

    /// Notes for whoever looks what came of the request: whether it was taken, and whether this limit had no room for it.
    pub(super) fn note(&mut self, taken: bool, full: bool) {
        let told = match &mut self.counter {
            Locked::Rate(_, counters) => &mut counters.told,
            Locked::Quota(.., counters) => &mut counters.told,
            Locked::Concurrency(.., counters) => &mut counters.told,
        };
        told.admitted += u64::from(taken);
        told.refused += u64::from(full && !self.limit.policy.log_only);
        told.would_refuse += u64::from(full && self.limit.policy.log_only);
        told.shared += u64::from((taken || full) && self.key == Key::CROWD);
    }

    /// Resolves when the ledger has answered one who waits in this shard. Made while the lock is held, it misses no answer.
    pub(super) fn written(&self) -> Option<tokio::sync::futures::OwnedNotified> {
        match &self.counter {
            Locked::Quota(_, _, table, _) => Some(Arc::clone(table.written(self.shard)).notified_owned()),
            Locked::Rate(..) | Locked::Concurrency(..) => None,
        }
    }
}

impl Ask {
    /// Asks; nothing may be locked by this thread, since the ledger may answer at once.
    pub(super) fn submit(self, gate: &Gate) {
        let Some(ledger) = &gate.ledger else { return };
        let Self { entry, table, shard, key } = self;
        let mut answer = Answer { table, shard, key, window: entry.window, figure: entry.spent, written: false };
        ledger.reserve(
            entry,
            Box::new(move |written| {
                answer.written = written;
                drop(answer);
            }),
        );
    }
}

/// The ledger's answer on its way. A ledger that drops it has not written anything down.
struct Answer {
    table: Arc<Table<Spending>>,
    shard: usize,
    key: Key,
    window: super::window::Window,
    figure: u64,
    written: bool,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(spending) = self.table.lock(self.shard).get(self.key) {
            spending.answered(self.window, self.figure, self.written);
        }
        self.table.written(self.shard).notify_waiters();
    }
}
