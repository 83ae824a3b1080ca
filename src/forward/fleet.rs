//! What all workers know of the endpoints together: who is well, who is left alone, and how many requests are under way.
//! It outlives every configuration: an endpoint of the same upstream goes on where it was.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::forward::health;
use crate::forward::line::Line;
use crate::forward::names::Name;
use crate::forward::policy::Ejection;
use crate::forward::trouble::{Fitness, Trouble, Verdict};
use crate::forward::upstream::Upstream;

/// The upstreams of one configuration, in its order.
pub type Groups = Arc<[Arc<Group>]>;

/// Every upstream of the house.
#[derive(Debug)]
pub struct Fleet {
    pub(super) clock: Clock,
    /// Where they are looked after.
    beside: Handle,
    pub(super) open: Mutex<Groups>,
}

/// The endpoints of one upstream, in the order of the configuration.
#[derive(Debug)]
pub struct Group {
    pub(super) upstream: Box<str>,
    pub(super) members: Vec<Arc<Member>>,
    pub(super) load: Arc<Load>,
    /// Taken by whoever sends endpoints out, so that no two do it at once and too many are gone.
    ejecting: Mutex<()>,
    /// Whether another configuration has come since.
    retired: AtomicBool,
}

/// How much an upstream has to do.
#[derive(Debug, Default)]
pub(super) struct Load {
    in_flight: AtomicU32,
    /// How many requests were sent once more.
    pub(super) retries: AtomicU64,
    pub(super) line: Line,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Member {
    /// `http://10.0.0.5:8000`, always with its port.
    pub(super) url: Box<str>,
    /// Its addresses, where it has a name.
    pub(super) name: Option<Arc<Name>>,
    /// Whether health checks find it well.
    well: AtomicBool,
    /// Whether anything is held against it: a request looks at `trouble` only then.
    troubled: AtomicBool,
    trouble: Mutex<Trouble>,
    in_flight: AtomicU32,
    /// How often it was left alone for a while.
    pub(super) ejections: AtomicU64,
    /// How many health checks it has passed and failed.
    pub(super) passed: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Fleet {
    /// No upstreams yet. `beside`: a runtime that no request waits for.
    pub fn new(clock: Clock, beside: Handle) -> Arc<Self> {
        Arc::new(Self { clock, beside, open: Mutex::default() })
    }

    /// The upstreams of a configuration, with what is known of their endpoints. They are looked after from now on, and
    /// those of the one before no longer.
    pub fn open(&self, upstreams: &[Upstream]) -> Groups {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened: Groups = upstreams
            .iter()
            .map(|upstream| {
                let before = open.iter().find(|group| group.upstream == upstream.name);
                Arc::new(Group::of(upstream, before.map(AsRef::as_ref)))
            })
            .collect();
        open.iter().for_each(|group| group.retired.store(true, Ordering::Relaxed));
        *open = Arc::clone(&opened);
        health::care(upstreams, &opened, &self.clock, &self.beside);
        opened
    }
}

impl Group {
    fn of(upstream: &Upstream, before: Option<&Self>) -> Self {
        let member = |url: String, host: &str| match before
            .and_then(|before| before.members.iter().find(|own| *own.url == *url))
        {
            Some(own) => Arc::clone(own),
            None => Arc::new(Member::new(url, host, upstream)),
        };
        let members = upstream.endpoints.iter().map(|endpoint| member(endpoint.url(), &endpoint.host)).collect();
        let load = before.map_or_else(Arc::default, |before| Arc::clone(&before.load));
        Self {
            upstream: upstream.name.clone(),
            members,
            load,
            ejecting: Mutex::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// Whether another configuration has come since.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// A request to this endpoint has failed; `unreachable`: there was no connection.
    pub(super) fn failed(&self, at: usize, unreachable: bool, trial: bool, ejection: &Ejection, now: Instant) {
        let _alone = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let member = &self.members[at];
        let verdict = {
            let mut trouble = member.trouble();
            let verdict = trouble.failed(unreachable, trial, ejection, now);
            member.troubled.store(true, Ordering::Relaxed);
            verdict
        };
        let rest = match verdict {
            Verdict::Counted => return,
            Verdict::Ejected(rest) => rest,
            Verdict::TooMany => {
                let out = self.members.iter().filter(|member| member.trouble().is_out()).count();
                if (out + 1) * 100 > ejection.most as usize * self.members.len() {
                    return;
                }
                member.trouble().eject(ejection, now)
            }
        };
        member.ejections.fetch_add(1, Ordering::Relaxed);
        let (upstream, endpoint, rest_seconds) = (&*self.upstream, &*member.url, rest.as_secs_f64());
        tracing::warn!(upstream, endpoint, rest_seconds, unreachable, "an endpoint is left alone for a while");
    }

    /// An endpoint has answered.
    pub(super) fn succeeded(&self, at: usize, trial: bool, ejection: &Ejection, now: Instant) {
        let member = &self.members[at];
        if !member.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut trouble = member.trouble();
        if trouble.succeeded(trial, ejection, now) {
            tracing::info!(upstream = &*self.upstream, endpoint = &*member.url, "an endpoint is back");
        }
        member.troubled.store(!trouble.is_over(), Ordering::Relaxed);
    }
}

/// How an endpoint lets a request in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// As any other.
    Plain,
    /// As the one that decides.
    Trial,
    /// Not at all: somebody else was faster.
    Closed,
}

impl Member {
    fn new(url: String, host: &str, upstream: &Upstream) -> Self {
        let named = host.parse::<IpAddr>().is_err();
        Self {
            url: url.into(),
            name: named.then(|| Arc::new(Name::new(host, &upstream.lookup))),
            well: AtomicBool::new(true),
            troubled: AtomicBool::new(false),
            trouble: Mutex::default(),
            in_flight: AtomicU32::new(0),
            ejections: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether health checks find it well.
    pub(super) fn is_well(&self) -> bool {
        self.well.load(Ordering::Relaxed)
    }

    /// Health checks found it so.
    pub(super) fn set_well(&self, well: bool) {
        self.well.store(well, Ordering::Relaxed);
    }

    /// What it may be given.
    pub(super) fn fitness(&self, ejection: &Ejection, now: Instant) -> Fitness {
        if !self.is_well() {
            Fitness::Nothing
        } else if self.troubled.load(Ordering::Relaxed) {
            self.trouble().fitness(ejection, now)
        } else {
            Fitness::Share(1.0)
        }
    }

    /// How long it is left alone still.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        self.trouble().rest(now)
    }

    /// Lets a request in.
    pub(super) fn enter(&self, ejection: &Ejection, now: Instant) -> Entry {
        if !self.troubled.load(Ordering::Relaxed) {
            return Entry::Plain;
        }
        let mut trouble = self.trouble();
        match trouble.fitness(ejection, now) {
            Fitness::Share(_) => Entry::Plain,
            Fitness::Trial if trouble.try_out(now) => Entry::Trial,
            Fitness::Trial | Fitness::Nothing => Entry::Closed,
        }
    }

    /// Nothing came of its trial.
    pub(super) fn trial_lost(&self) {
        self.trouble().trial_lost();
    }

    /// How many requests are under way to it, where they are counted.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one more, unless that is more than `most`.
    pub(super) fn take(&self, most: u32) -> bool {
        take(&self.in_flight, most)
    }

    /// One has ended.
    pub(super) fn give_back(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Load {
    /// How many requests are under way, where they are counted.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one more, unless that is more than `most`.
    pub(super) fn take(&self, most: u32) -> bool {
        take(&self.in_flight, most)
    }

    /// One has ended.
    pub(super) fn give_back(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sequentially consistent, as the line is: whoever finds no place and whoever gives one back, one of both sees the other.
fn take(count: &AtomicU32, most: u32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count < most).then(|| count + 1)).is_ok()
}
