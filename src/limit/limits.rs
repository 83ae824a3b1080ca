//! The counters, which outlive every configuration: a limit of the same name and measure goes on where it was, so that a
//! reload forgives nobody.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::concurrency::{Concurrency, UnderWay};
use super::fields::{self, Fields, Writing};
use super::key::{Caller, Counted, Key, Keys, Party, Per, others};
use super::ledger::{Ledger, LedgerEntry, Unreadable};
use super::policy::{Measure, Policy, PolicyId};
use super::quota::{Quota, Spending};
use super::rate::{Bucket, Rate};
use super::table::{SHARDS, Table};
use super::taking::Standings;
use super::tally::Moment;
use super::usage::Usage;
use crate::clock::{Clock, UnixTime};
use crate::record::Account;

/// The most callers that one limit tells apart. Only an operator makes accounts, credentials and cameras; addresses
/// anybody can have many of.
const MOST_KNOWN: usize = 1 << 20;
const MOST_ADDRESSES: usize = 1 << 18;

/// How long the true figures are waited for in the end.
const SETTLING: Duration = Duration::from_secs(5);

/// How many limits are remembered that no configuration has any more. Whoever takes one out and puts it back has forgiven
/// nobody meanwhile.
const MOST_GONE: usize = 8;

/// Every counter of the house, shared by all workers.
pub struct Limits {
    keys: Keys,
    epoch: Instant,
    ledger: Option<Arc<dyn Ledger>>,
    /// What the ledger held at the start and no limit has asked for yet.
    loaded: Mutex<Vec<LedgerEntry>>,
    pub(super) open: Mutex<Vec<Limit>>,
    /// Those that were in force, the latest last.
    gone: Mutex<Vec<Limit>>,
}

/// A limit with its counters.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) policy: Arc<Policy>,
    pub(super) tallies: Tallies,
    /// How it is described to callers, where that is the same for all of them.
    pub(super) described: Option<Arc<str>>,
    /// How callers are told where it stands, up to the first figure.
    pub(super) named: Arc<str>,
}

/// The counters of a limit, with what it measures.
#[derive(Clone, Debug)]
pub(super) enum Tallies {
    Rate(Rate, Arc<Table<Bucket>>),
    Quota(Quota, Arc<Table<Spending>>),
    Concurrency(Concurrency, Arc<Table<UnderWay>>),
}

impl Limit {
    /// Whether what it has counted means the same under another policy.
    fn goes_on_as(&self, policy: &Policy) -> bool {
        let alike = match (&self.tallies, policy.measure) {
            (Tallies::Rate(..), Measure::Rate(_)) | (Tallies::Concurrency(..), Measure::Concurrency(_)) => true,
            (Tallies::Quota(own, _), Measure::Quota(quota)) => own.period == quota.period,
            (Tallies::Rate(..) | Tallies::Quota(..) | Tallies::Concurrency(..), _) => false,
        };
        alike && self.policy.name == policy.name && self.policy.per == policy.per
    }
}

/// The limits of one configuration, as one worker holds them.
#[derive(Debug)]
pub struct Gate {
    pub(super) keys: Keys,
    pub(super) epoch: Instant,
    pub(super) ledger: Option<Arc<dyn Ledger>>,
    pub(super) limits: Box<[Limit]>,
    pub(super) turn: Cell<usize>,
    pub(super) writing: RefCell<Writing>,
}

impl Limits {
    /// No counters yet but those that the ledger holds. Without one, quotas begin anew with every start; with one that
    /// cannot be read, there is no start.
    pub fn new(ledger: Option<Arc<dyn Ledger>>, clock: &Clock) -> Result<Arc<Self>, Unreadable> {
        let now = clock.unix();
        let mut loaded = ledger.as_ref().map(|ledger| ledger.load(now)).transpose()?.unwrap_or_default();
        // A clock that was ahead for a while leaves windows to come. Of several of one caller the last one counts: the
        // present one.
        loaded.sort_by_key(|entry| entry.window.holds(now));
        Ok(Arc::new(Self {
            keys: Keys::default(),
            epoch: clock.now(),
            ledger,
            loaded: Mutex::new(loaded),
            open: Mutex::default(),
            gone: Mutex::default(),
        }))
    }

    /// The limits of a configuration, for one worker. They stand in the order of `policies`, which is that of their names.
    pub fn open(&self, policies: &[Policy]) -> Gate {
        debug_assert!(policies.is_sorted_by(|one, next| one.name < next.name), "the order in which locks are taken");
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<&Limit> = open.iter().chain(gone.iter().rev()).collect();
        let limits: Vec<Limit> = policies.iter().map(|policy| self.limit(policy, &known)).collect();
        let goes_on = |limit: &Limit| policies.iter().any(|policy| limit.goes_on_as(policy));
        let mut left: Vec<Limit> = gone.iter().chain(open.iter()).filter(|limit| !goes_on(limit)).cloned().collect();
        left.drain(..left.len().saturating_sub(MOST_GONE));
        *gone = left;
        open.clone_from(&limits);
        self.gate(limits)
    }

    /// The same to look at: which limits are in force stays as it is.
    pub fn look(&self, policies: &[Policy]) -> Gate {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |policy: &Policy| open.iter().find(|limit| *limit.policy == *policy).cloned();
        self.gate(policies.iter().map(|policy| known(policy).unwrap_or_else(|| Limit::unused(policy))).collect())
    }

    fn gate(&self, limits: Vec<Limit>) -> Gate {
        Gate {
            keys: self.keys.clone(),
            epoch: self.epoch,
            ledger: self.ledger.clone(),
            limits: limits.into(),
            turn: Cell::new(0),
            writing: RefCell::default(),
        }
    }

    /// The limit with the counters that it had, or with new ones.
    fn limit(&self, policy: &Policy, known: &[&Limit]) -> Limit {
        let before = known.iter().find(|limit| limit.goes_on_as(policy));
        let most = if policy.per == Per::Address { MOST_ADDRESSES } else { MOST_KNOWN };
        let tallies = match (policy.measure, before.map(|limit| limit.tallies.clone())) {
            (Measure::Rate(rate), Some(Tallies::Rate(_, table))) => Tallies::Rate(rate, table),
            (Measure::Quota(quota), Some(Tallies::Quota(_, table))) => Tallies::Quota(quota, table),
            (Measure::Quota(quota), _) => Tallies::Quota(quota, Arc::new(self.loaded(policy, &quota, most))),
            (Measure::Concurrency(own), Some(Tallies::Concurrency(_, table))) => Tallies::Concurrency(own, table),
            (measure, _) => Tallies::new(measure, most),
        };
        let (described, named) = (fields::described(policy), fields::named(policy));
        Limit { policy: Arc::new(policy.clone()), tallies, described, named }
    }

    /// A table with what the ledger held of this limit. A figure of another kind of window means nothing here.
    fn loaded(&self, policy: &Policy, quota: &Quota, most: usize) -> Table<Spending> {
        let table = Table::new(most);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, rest) = mem::take(&mut *loaded)
            .into_iter()
            .partition(|entry| entry.limit == policy.name && entry.window.period == quota.period);
        *loaded = rest;
        for LedgerEntry { key: text, window, spent, .. } in own {
            if let Some((key, shard)) = self.keys.named(&text) {
                table.lock(shard).put(key, Spending::loaded(text, window, spent));
            }
        }
        table
    }

    /// Where the quotas of an account stand: those that count by account, in the order of their names.
    pub fn usage(&self, account: &Account, now: UnixTime) -> Vec<Usage> {
        let key = self.keys.key(&Party::Account(&account.id.0));
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let quotas = open.iter().filter(|limit| limit.policy.per == Per::Account);
        quotas
            .filter_map(|limit| Some((limit, limit.tallies.quota()?)))
            .map(|(limit, (quota, table))| {
                let mut counters = table.lock(key.shard());
                let spending = counters.get(key).filter(|spending| !spending.is_over(now));
                let (window, spent) = spending
                    .map_or_else(|| (quota.period.window(now), 0), |spending| (spending.window, spending.spent));
                Usage { limit: limit.policy.name.clone(), window, spent, quota: quota.of(account.quota()) }
            })
            .collect()
    }

    /// Has the true figures written down, once nobody is served any more. Waits for the disk, but not for long: what is
    /// not written is logged, limit by limit, and stays as it was reserved.
    pub fn settle(&self, now: UnixTime) {
        let Some(ledger) = &self.ledger else { return };
        let (mut entries, mut counted) = (Vec::new(), Vec::new());
        for limit in self.open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Some((_, table)) = limit.tallies.quota() else { continue };
            let before = entries.len();
            for shard in 0..SHARDS {
                let counters = table.lock(shard);
                let unsettled = counters.all().filter(|it| it.is_unsettled() && !it.is_over(now));
                entries.extend(unsettled.map(|spending| spending.entry(&limit.policy.name, spending.spent)));
            }
            counted.push((limit.policy.name.clone(), entries.len() - before));
        }
        if entries.is_empty() || ledger.settle(entries, SETTLING) {
            return;
        }
        for (limit, counters) in counted.into_iter().filter(|(_, counters)| *counters > 0) {
            tracing::warn!(%limit, counters, "what was truly spent is not written down: it stays as it was reserved");
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

impl Gate {
    /// An instant as counters see it.
    pub(super) fn moment(&self, now: Instant, unix: UnixTime) -> Moment {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        Moment { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), unix }
    }

    pub(super) fn limit(&self, id: PolicyId) -> &Limit {
        &self.limits[id.0]
    }

    /// Whom a limit of this kind counts.
    pub(super) fn counted<'c>(&self, caller: &Caller<'c>, per: Per) -> Counted<'c> {
        let party = caller.party(per);
        Counted { per, party, key: self.keys.key(&party) }
    }

    /// What a caller is told of these limits.
    pub(super) fn fields(&self, ids: &[PolicyId], standings: &Standings<'_>) -> Fields {
        self.writing.borrow_mut().fields(ids, standings)
    }

    /// Forgets what does not matter any more: a part of it each time, so that nobody waits for long.
    pub fn sweep(&self, now: Instant, unix: UnixTime) {
        if self.limits.is_empty() {
            return;
        }
        let (now, shard) = (self.moment(now, unix), self.turn.get());
        self.turn.set((shard + 1) % SHARDS);
        for limit in &self.limits {
            match &limit.tallies {
                Tallies::Rate(rate, table) => table.sweep(shard, |bucket| bucket.is_idle(rate, now)),
                Tallies::Quota(_, table) => table.sweep(shard, |spending| spending.is_forgotten(now)),
                Tallies::Concurrency(_, table) => table.sweep(shard, |under_way| under_way.is_idle()),
            }
        }
    }
}

impl Tallies {
    /// None yet, and room for `most`.
    pub(super) fn new(measure: Measure, most: usize) -> Self {
        match measure {
            Measure::Rate(rate) => Self::Rate(rate, Arc::new(Table::new(most))),
            Measure::Quota(quota) => Self::Quota(quota, Arc::new(Table::new(most))),
            Measure::Concurrency(own) => Self::Concurrency(own, Arc::new(Table::new(most))),
        }
    }

    fn quota(&self) -> Option<(&Quota, &Arc<Table<Spending>>)> {
        match self {
            Self::Quota(quota, table) => Some((quota, table)),
            Self::Rate(..) | Self::Concurrency(..) => None,
        }
    }
}

/// The name of whom a new counter counts.
pub(super) fn name(party: &Party<'_>, settled: Key, shard: usize) -> Box<str> {
    if settled == Key::CROWD { others(shard) } else { party.to_string().into() }
}
