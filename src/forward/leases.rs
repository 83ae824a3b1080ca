//! The streams of one worker that are open, and whose they are: an answer on its way, a large upload, a tunnel. When a
//! caller would be let in no longer, all of theirs end. The directory counts its changes, so that nobody is looked at
//! while nothing changes; and whoever has an end is looked at when it comes. Where there are many, they are looked at in
//! rounds of a few sweeps, so that no change holds the worker up; a change in the middle of one is for the next.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use slab::Slab;

use crate::clock::UnixTime;
use crate::edge::stage::Cutter;
use crate::forward::lessee::Lessee;
use crate::record::Directory;
use crate::scheme::Lapse;

/// How many sweeps a stream has to end by itself, before its connection is ended.
const GRACE: u8 = 7;
/// Every so many sweeps those are looked at who rest on more than the directory: keys of issuers, authorities, lists.
const RESTLESS: u8 = 4;
/// As many places are looked at in a sweep at least.
const SLICE: usize = 4096;
/// A round takes no more sweeps than these: two of them are over within a second.
const ROUND: usize = 4;

/// How many streams were ended, and why; all workers count here.
#[derive(Debug, Default)]
pub struct Endings {
    revoked: AtomicU64,
    disabled: AtomicU64,
    expired: AtomicU64,
    withdrawn: AtomicU64,
}

impl Endings {
    /// How many were ended for this reason.
    pub fn of(&self, lapse: Lapse) -> u64 {
        self.counter(lapse).load(Ordering::Relaxed)
    }

    fn counter(&self, lapse: Lapse) -> &AtomicU64 {
        match lapse {
            Lapse::Revoked => &self.revoked,
            Lapse::Disabled => &self.disabled,
            Lapse::Expired => &self.expired,
            Lapse::Withdrawn => &self.withdrawn,
        }
    }
}

/// The open streams of one worker.
pub struct Leases {
    all: RefCell<Slab<Leased>>,
    /// How many of them are tunnels.
    tunnels: Cell<usize>,
    /// Those that nobody has looked at: their callers were proven when the request came, which may be a while ago.
    fresh: RefCell<Vec<usize>>,
    /// Those that were told to end.
    ending: RefCell<Vec<usize>>,
    /// The round that is under way.
    round: Cell<Option<Round>>,
    /// The directory's count when the last round of all began.
    changes: Cell<u64>,
    /// When the first of them ends by itself.
    next: Cell<UnixTime>,
    /// Whether any rests on more than the directory, and sweeps since the last round began.
    restless: Cell<bool>,
    sweeps: Cell<u8>,
    /// The sweep before: until then every stream was open by right.
    before: Cell<Option<Instant>>,
    endings: Arc<Endings>,
}

/// How far a round has come.
#[derive(Clone, Copy)]
struct Round {
    /// The first place that was not looked at.
    at: usize,
    /// Whether all are looked at, and not only those who rest on more than the directory.
    all: bool,
}

/// Whose stream it is.
struct Leased {
    lessee: Lessee,
    lapse: Option<Lapse>,
    waker: Option<Waker>,
    cutter: Option<Cutter>,
    /// Whether it may have something to say before its connection is ended.
    patient: bool,
    /// Sweeps since it was told to end.
    overdue: u8,
}

impl Leases {
    /// None open yet.
    pub fn new(endings: Arc<Endings>) -> Rc<Self> {
        Rc::new(Self {
            all: RefCell::default(),
            tunnels: Cell::new(0),
            fresh: RefCell::default(),
            ending: RefCell::default(),
            round: Cell::new(None),
            changes: Cell::new(0),
            next: Cell::new(UnixTime(u64::MAX)),
            restless: Cell::new(false),
            sweeps: Cell::new(0),
            before: Cell::new(None),
            endings,
        })
    }

    /// A stream of this caller is open until what is returned is dropped. With a `cutter`, its connection is ended where
    /// it does not end by itself.
    pub fn open(self: &Rc<Self>, lessee: Lessee, cutter: Option<Cutter>) -> Lease {
        if lessee.is_restless() {
            self.restless.set(true);
        }
        let leased = Leased { lessee, lapse: None, waker: None, cutter, patient: false, overdue: 0 };
        let key = self.all.borrow_mut().insert(leased);
        self.fresh.borrow_mut().push(key);
        Lease { home: Rc::clone(self), key }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// How many of them are tunnels.
    pub fn tunnels(&self) -> usize {
        self.tunnels.get()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the streams of those who would be let in no longer. Called a few times a second.
    pub fn sweep(&self, directory: &dyn Directory, unix: UnixTime, now: Instant) {
        let before = self.before.replace(Some(now)).unwrap_or(now);
        let fresh = mem::take(&mut *self.fresh.borrow_mut());
        if self.is_empty() {
            self.ending.borrow_mut().clear();
            self.changes.set(directory.changes());
            self.round.set(None);
            return;
        }
        let round = self.due(directory, unix);
        let mut wakers = Vec::new();
        let mut all = self.all.borrow_mut();
        let end = all.capacity();
        let slice = round.map_or(0..0, |Round { at, .. }| at..end.min(at + SLICE.max(end.div_ceil(ROUND))));
        self.round.set(round.filter(|_| slice.end < end).map(|round| Round { at: slice.end, ..round }));
        let restless_alone = round.is_some_and(|round| !round.all);
        for key in slice.clone() {
            if let Some(leased) = all.get_mut(key).filter(|leased| !restless_alone || leased.lessee.is_restless()) {
                self.look_at((key, leased), (directory, unix), (before, now), &mut wakers);
            }
        }
        for key in fresh.into_iter().filter(|key| restless_alone || !slice.contains(key)) {
            if let Some(leased) = all.get_mut(key) {
                self.look_at((key, leased), (directory, unix), (before, now), &mut wakers);
            }
        }
        drop(all);
        // Outside the borrow: a waker may run code that opens another.
        wakers.into_iter().for_each(Waker::wake);
        self.cut();
    }

    /// The round that goes on with this sweep, or begins with it.
    fn due(&self, directory: &dyn Directory, unix: UnixTime) -> Option<Round> {
        let under_way = self.round.get();
        self.sweeps.set(self.sweeps.get().saturating_add(1));
        if under_way.is_some_and(|round| round.all) {
            return under_way;
        }
        // Asked for before anybody is looked at: what changes meanwhile is looked at the next time.
        let changes = directory.changes();
        let all = changes != self.changes.replace(changes) || unix >= self.next.get();
        if all {
            self.next.set(UnixTime(u64::MAX));
            self.restless.set(false);
        } else if under_way.is_some() || !self.restless.get() || self.sweeps.get() < RESTLESS {
            return under_way;
        }
        self.sweeps.set(0);
        Some(Round { at: 0, all })
    }

    fn look_at(
        &self,
        (key, leased): (usize, &mut Leased),
        (directory, unix): (&dyn Directory, UnixTime),
        (before, now): (Instant, Instant),
        wakers: &mut Vec<Waker>,
    ) {
        if leased.lapse.is_some() {
            return;
        }
        match leased.lessee.standing(directory, unix) {
            Ok(until) => {
                self.next.set(self.next.get().min(until));
                if leased.lessee.is_restless() {
                    self.restless.set(true);
                }
            }
            Err(lapse) => {
                leased.lapse = Some(lapse);
                wakers.extend(leased.waker.take());
                self.ending.borrow_mut().push(key);
                self.endings.counter(lapse).fetch_add(1, Ordering::Relaxed);
                let principal = leased.lessee.principal();
                let within = now.saturating_duration_since(before).as_millis();
                tracing::info!(
                    cause = lapse.name(),
                    subject = %principal.subject(),
                    account = principal.account().map_or("", |account| &account.id.0),
                    within_ms = u64::try_from(within).unwrap_or(u64::MAX),
                    "an open stream is ended: its caller would be let in no longer"
                );
            }
        }
    }

    /// Ends the connections of those that do not end by themselves: at once where nothing else is on them.
    fn cut(&self) {
        let mut all = self.all.borrow_mut();
        let mut cut = Vec::new();
        self.ending.borrow_mut().retain(|key| {
            let Some(leased) = all.get_mut(*key).filter(|leased| leased.lapse.is_some()) else { return false };
            leased.overdue = leased.overdue.saturating_add(1);
            let Leased { cutter, patient, overdue, .. } = leased;
            let due = |cutter: &mut Cutter| !(cutter.is_shared() || *patient) || *overdue > GRACE;
            cut.extend(cutter.take_if(due));
            true
        });
        drop(all);
        cut.iter().for_each(Cutter::cut);
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("open", &self.len()).finish_non_exhaustive()
    }
}

/// An open stream; gone when dropped.
#[derive(Debug)]
pub struct Lease {
    home: Rc<Leases>,
    key: usize,
}

impl Lease {
    /// Gives it a moment to say why it ends.
    pub fn patient(self) -> Self {
        if !mem::replace(&mut self.home.all.borrow_mut()[self.key].patient, true) {
            self.home.tunnels.set(self.home.tunnels.get() + 1);
        }
        self
    }

    /// Ready once it has to end; otherwise the task is woken when it does.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Lapse> {
        let leased = &mut self.home.all.borrow_mut()[self.key];
        if let Some(lapse) = leased.lapse {
            return Poll::Ready(lapse);
        }
        match &mut leased.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let leased = self.home.all.borrow_mut().remove(self.key);
        self.home.tunnels.set(self.home.tunnels.get() - usize::from(leased.patient));
    }
}
