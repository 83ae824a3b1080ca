//! Deadlines of one worker. Arming and disarming cost next to nothing, because nothing is scheduled: a sweep a few times
//! a second looks at what is due. They run on the house's [`Clock`], so that tests move time instead of sleeping.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::clock::{Clock, UnixTime};

/// How often a worker sweeps. A deadline fires at most this much late, and never early; where many fire at once, who waits
/// for one is woken later still.
pub const SWEEP: Duration = Duration::from_millis(100);

/// How many tasks are woken at once. A crowd whose time is over together would else stand before everybody else's
/// requests in the queue of its worker.
const AT_ONCE: usize = 8;
/// What lies between two such wakings.
pub const BREATH: Duration = Duration::from_millis(1);

/// All deadlines of a worker.
pub struct Deadlines {
    clock: Clock,
    now: Cell<Instant>,
    entries: RefCell<Slab<Entry>>,
    /// Whose time is over, and who was not woken yet.
    behind: RefCell<VecDeque<Waker>>,
}

#[derive(Default)]
struct Entry {
    due: Option<Instant>,
    fired: bool,
    /// Fired for good: arming it again does not take that back.
    over: bool,
    /// Who is over when this one fires.
    parent: Option<usize>,
    waker: Option<Waker>,
}

impl Deadlines {
    /// No deadlines yet.
    pub fn new(clock: Clock) -> Rc<Self> {
        let now = Cell::new(clock.now());
        Rc::new(Self { clock, now, entries: RefCell::default(), behind: RefCell::default() })
    }

    /// The time of the last sweep: coarse, and free to ask for. A clock that is moved by hand is asked itself, since it
    /// leaps further than any sweep lags.
    pub fn now(&self) -> Instant {
        self.clock.manual_now().unwrap_or_else(|| self.now.get())
    }

    /// The time of day.
    pub fn unix(&self) -> UnixTime {
        self.clock.unix()
    }

    /// A deadline that is not armed yet.
    pub fn register(self: &Rc<Self>) -> Deadline {
        let key = self.entries.borrow_mut().insert(Entry::default());
        Deadline { home: Rc::clone(self), key }
    }

    /// Wakes every task that waits, so that it looks around for another reason to stop.
    pub fn wake_all(&self) {
        let wakers: Vec<_> = self.entries.borrow_mut().iter_mut().filter_map(|(_, entry)| entry.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Fires what is due, and wakes the first of those who wait for it.
    pub fn sweep(&self) {
        let now = self.clock.now();
        self.now.set(now);
        let (mut behind, mut parents) = (self.behind.borrow_mut(), Vec::new());
        let mut entries = self.entries.borrow_mut();
        for (_, entry) in entries.iter_mut() {
            if entry.due.is_some_and(|due| due <= now) {
                entry.due = None;
                entry.fired = true;
                behind.extend(entry.waker.take());
                parents.extend(entry.parent);
            }
        }
        for parent in parents {
            let entry = &mut entries[parent];
            entry.over = true;
            behind.extend(entry.waker.take());
        }
        drop((entries, behind));
        self.wake_some();
    }

    /// Whether there are more to be woken, a [`BREATH`] later.
    pub fn is_behind(&self) -> bool {
        !self.behind.borrow().is_empty()
    }

    /// Wakes the next of them.
    pub fn wake_some(&self) {
        for _ in 0..AT_ONCE {
            // Outside the borrow: a waker may run code that arms another deadline.
            let Some(waker) = self.behind.borrow_mut().pop_front() else { return };
            waker.wake();
        }
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("armed_or_idle", &self.entries.borrow().len()).finish_non_exhaustive()
    }
}

/// One deadline; gone when dropped.
#[derive(Debug)]
pub struct Deadline {
    home: Rc<Deadlines>,
    key: usize,
}

impl Deadline {
    /// A deadline, not armed yet, that takes this one with it: when it fires, this one is over for good. It is dropped
    /// before this one is.
    pub fn child(&self) -> Self {
        let entry = Entry { parent: Some(self.key), ..Entry::default() };
        let key = self.home.entries.borrow_mut().insert(entry);
        Self { home: Rc::clone(&self.home), key }
    }

    /// Fires now, and for good.
    pub fn fire(&self) {
        let waker = {
            let entry = &mut self.home.entries.borrow_mut()[self.key];
            entry.over = true;
            entry.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Fires in `after` from now, whatever was armed before.
    pub fn arm(&self, after: Duration) {
        // The coarse clock lags by up to one sweep: adding it keeps the deadline from firing early.
        let due = self.home.now() + after + SWEEP;
        let entry = &mut self.home.entries.borrow_mut()[self.key];
        entry.due = Some(due);
        entry.fired = false;
    }

    /// Fires in `after` from now, or when it was to fire before that.
    pub fn hasten(&self, after: Duration) {
        let due = self.home.now() + after + SWEEP;
        let entry = &mut self.home.entries.borrow_mut()[self.key];
        entry.due = Some(entry.due.map_or(due, |before| before.min(due)));
    }

    /// Does not fire any more.
    pub fn disarm(&self) {
        let entry = &mut self.home.entries.borrow_mut()[self.key];
        entry.due = None;
        entry.fired = false;
    }

    /// The worker's coarse time.
    pub fn now(&self) -> Instant {
        self.home.now()
    }

    /// Ready once it has fired; otherwise the task is woken when it does.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let entry = &mut self.home.entries.borrow_mut()[self.key];
        if entry.fired || entry.over {
            return Poll::Ready(());
        }
        match &mut entry.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.home.entries.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn a_deadline_fires_late_by_a_sweep_at_most_and_never_early() {
        let clock = Clock::manual(UnixTime(0));
        let deadlines = Deadlines::new(clock.clone());
        let deadline = deadlines.register();
        let mut context = Context::from_waker(Waker::noop());
        deadline.arm(Duration::from_secs(10));
        clock.advance(Duration::from_secs(10));
        deadlines.sweep();
        assert!(deadline.poll(&mut context).is_pending());
        clock.advance(SWEEP);
        deadlines.sweep();
        assert!(deadline.poll(&mut context).is_ready());
    }

    #[test]
    fn a_deadline_armed_after_a_leap_counts_from_where_the_leap_ended() {
        let clock = Clock::manual(UnixTime(0));
        let deadlines = Deadlines::new(clock.clone());
        let deadline = deadlines.register();
        clock.advance(Duration::from_mins(1));
        deadline.arm(Duration::from_secs(10));
        deadlines.sweep();
        assert!(deadline.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn a_disarmed_deadline_does_not_fire() {
        let clock = Clock::manual(UnixTime(0));
        let deadlines = Deadlines::new(clock.clone());
        let deadline = deadlines.register();
        deadline.arm(Duration::from_secs(1));
        deadline.disarm();
        clock.advance(Duration::from_mins(1));
        deadlines.sweep();
        assert!(deadline.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    #[test]
    fn a_child_that_fires_takes_its_parent_with_it_for_good() {
        let clock = Clock::manual(UnixTime(0));
        let deadlines = Deadlines::new(clock.clone());
        let parent = deadlines.register();
        let [due, idle] = [parent.child(), parent.child()];
        let mut context = Context::from_waker(Waker::noop());
        due.arm(Duration::from_secs(1));
        assert!(parent.poll(&mut context).is_pending());
        clock.advance(Duration::from_secs(1) + SWEEP);
        deadlines.sweep();
        parent.arm(Duration::from_mins(1));
        assert!(parent.poll(&mut context).is_ready(), "arming it again does not take that back");
        assert!(idle.poll(&mut context).is_pending(), "its other children have their own time");
    }

    #[test]
    fn of_a_crowd_whose_time_is_over_only_some_are_woken_at_once_and_all_in_the_end() {
        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let clock = Clock::manual(UnixTime(0));
        let (deadlines, count) = (Deadlines::new(clock.clone()), Arc::new(Count(AtomicUsize::new(0))));
        let (waker, woken) = (Waker::from(Arc::clone(&count)), || count.0.load(Ordering::Relaxed));
        let crowd: Vec<_> = (0..=2 * AT_ONCE).map(|_| deadlines.register()).collect();
        for deadline in &crowd {
            deadline.arm(Duration::from_secs(1));
            assert!(deadline.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        clock.advance(Duration::from_secs(1) + SWEEP);
        deadlines.sweep();
        assert_eq!((woken(), deadlines.is_behind()), (AT_ONCE, true));
        let mut context = Context::from_waker(Waker::noop());
        assert!(crowd.iter().all(|deadline| deadline.poll(&mut context).is_ready()), "whoever looks sees it at once");
        deadlines.wake_some();
        assert_eq!((woken(), deadlines.is_behind()), (2 * AT_ONCE, true));
        deadlines.sweep();
        assert_eq!((woken(), deadlines.is_behind()), (2 * AT_ONCE + 1, false));
    }

    #[test]
    fn a_deadline_can_be_fired_at_once_and_for_good() {
        let deadline = Deadlines::new(Clock::manual(UnixTime(0))).register();
        deadline.fire();
        deadline.disarm();
        assert!(deadline.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
