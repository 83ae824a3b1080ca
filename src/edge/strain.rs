//! Whether a worker keeps up. One that does not refuses what is new at once, before anything else is done for it, rather than
//! let it queue: late answers help nobody, and what waits takes memory. Once strained, it takes up work again only when it
//! is clearly better.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::edge::vitals::{Shedding, Vitals};
use crate::refusal::{Cause, Refusal};

/// So many sweeps in succession were late before a worker is found to be slow: one alone may be the machine's.
const LATE: u32 = 3;
/// And so many in time before it is found to keep up again.
const IN_TIME: u32 = 5;
/// When it is worth coming again.
const AGAIN: Duration = Duration::from_secs(1);

/// How much a worker bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How late its sweeps may be.
    pub lag: Duration,
    /// How many requests it has in flight at most.
    pub requests: usize,
    /// How many bytes of memory the process takes at most; `None`: nobody looks.
    pub memory: Option<u64>,
}

/// How much memory the process takes, for all workers to see. Looked at on the control thread.
#[derive(Debug, Default)]
pub struct Memory {
    /// 0: nobody looks.
    most: AtomicU64,
    full: AtomicBool,
}

impl Memory {
    /// From now on it may take so many bytes.
    pub fn limit(&self, most: Option<u64>) {
        self.most.store(most.unwrap_or(0), Ordering::Relaxed);
    }

    /// How many bytes it may take; `None`: nobody looks.
    pub fn most(&self) -> Option<u64> {
        Some(self.most.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }

    /// Looks how much it takes, where that matters.
    pub fn look(&self, resident: impl FnOnce() -> Option<u64>) {
        let most = self.most.load(Ordering::Relaxed);
        let taken = if most == 0 { None } else { resident() };
        let was_full = self.full.load(Ordering::Relaxed);
        // A twentieth must be free again before there is room.
        let full = taken.is_some_and(|taken| taken > if was_full { most - most / 20 } else { most });
        if full != was_full {
            self.full.store(full, Ordering::Relaxed);
            tracing::warn!(full, taken, most, "the memory that the process may take");
        }
    }
}

/// What is known of one worker.
#[derive(Debug)]
pub struct Strain {
    memory: Arc<Memory>,
    /// For whoever looks how the worker fares.
    vitals: Arc<Vitals>,
    /// Sweeps in succession that speak against what is thought of it.
    contrary: Cell<u32>,
    slow: Cell<bool>,
    full: Cell<bool>,
    crowded: Cell<bool>,
    requests: Rc<Cell<usize>>,
}

/// A request in flight on a worker.
#[derive(Debug)]
pub struct Load(Rc<Cell<usize>>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Strain {
    /// A worker that has nothing to do.
    pub fn new(memory: Arc<Memory>, vitals: Arc<Vitals>) -> Self {
        Self {
            memory,
            vitals,
            contrary: Cell::new(0),
            slow: Cell::new(false),
            full: Cell::new(false),
            crowded: Cell::new(false),
            requests: Rc::default(),
        }
    }

    /// The worker sweeps, so much later than it wanted.
    pub fn swept(&self, lag: Duration, settings: &Settings) {
        self.full.set(self.memory.full.load(Ordering::Relaxed));
        let slow = self.slow.get();
        // Clearly better is half as late.
        let most = if slow { settings.lag / 2 } else { settings.lag };
        let contrary = if (lag > most) == slow { 0 } else { self.contrary.get() + 1 };
        let turns = contrary >= if slow { IN_TIME } else { LATE };
        self.contrary.set(if turns { 0 } else { contrary });
        if turns {
            self.slow.set(!slow);
            tracing::warn!(slow = !slow, ?lag, "how a worker keeps up");
        }
        // Nobody may come to find out that there is room again.
        if self.requests.get() < settings.requests - settings.requests / 20 {
            self.crowded.set(false);
        }
        self.vitals.swept(lag, self.requests.get(), self.sheds());
    }

    /// Another configuration is in force from now on.
    pub fn adopt(&self, generation: u64) {
        self.vitals.adopt(generation);
    }

    fn sheds(&self) -> Option<Shedding> {
        let all = [(&self.full, Shedding::Memory), (&self.slow, Shedding::Slow), (&self.crowded, Shedding::Crowded)];
        all.into_iter().find(|(is, _)| is.get()).map(|(_, sheds)| sheds)
    }

    /// Takes a request in, which counts until what is returned is dropped; or says why it cannot bear one more.
    pub fn enter(&self, settings: &Settings) -> Result<Load, Refusal> {
        if self.full.get() {
            // The connection takes memory as well.
            let refusal = Refusal::new(Cause::Overloaded, "the process takes too much memory");
            return Err(refusal.retry_after(AGAIN).closing());
        }
        if self.slow.get() {
            return Err(Refusal::new(Cause::Overloaded, "the worker does not keep up").retry_after(AGAIN));
        }
        let requests = self.requests.get();
        let most = if self.crowded.get() { settings.requests - settings.requests / 20 } else { settings.requests };
        self.crowded.set(requests >= most);
        if requests >= most {
            return Err(
                Refusal::new(Cause::Overloaded, "the worker has too many requests in flight").retry_after(AGAIN)
            );
        }
        self.requests.set(requests + 1);
        Ok(Load(Rc::clone(&self.requests)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { lag: Duration::from_secs(1), requests: 40, memory: Some(1000) };

    fn strain() -> Strain {
        let strain = Strain::new(Arc::default(), Arc::default());
        strain.memory.limit(SETTINGS.memory);
        strain
    }

    fn refused(strain: &Strain) -> Option<&'static str> {
        strain.enter(&SETTINGS).err().map(|refusal| {
            assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
            refusal.detail
        })
    }

    #[test]
    fn a_worker_is_slow_after_several_late_sweeps_and_keeps_up_after_several_in_time() {
        let strain = strain();
        let sweep = |lag: u64, times: u32| (0..times).for_each(|_| strain.swept(Duration::from_millis(lag), &SETTINGS));
        sweep(5000, LATE - 1);
        sweep(1000, 1);
        sweep(5000, LATE - 1);
        assert_eq!(refused(&strain), None, "never so often in succession");
        sweep(1001, 1);
        assert_eq!(refused(&strain), Some("the worker does not keep up"));
        assert_eq!(strain.vitals.sheds(), Some(Shedding::Slow));
        sweep(0, IN_TIME - 1);
        sweep(501, 1);
        sweep(0, IN_TIME - 1);
        assert!(refused(&strain).is_some());
        sweep(500, 1);
        assert_eq!(refused(&strain), None);
        assert_eq!((strain.vitals.sheds(), strain.vitals.lag()), (None, Duration::from_millis(500)));
    }

    #[test]
    fn requests_in_flight_are_bounded_and_must_become_fewer_before_there_is_room() {
        let strain = strain();
        let mut loads: Vec<_> = (0..40).map(|_| strain.enter(&SETTINGS).unwrap()).collect();
        assert_eq!(refused(&strain), Some("the worker has too many requests in flight"));
        loads.truncate(38);
        assert!(refused(&strain).is_some());
        strain.swept(Duration::ZERO, &SETTINGS);
        assert_eq!((strain.vitals.sheds(), strain.vitals.requests()), (Some(Shedding::Crowded), 38));
        loads.truncate(37);
        strain.swept(Duration::ZERO, &SETTINGS);
        assert_eq!(strain.vitals.sheds(), None, "also where nobody has come to see");
        assert_eq!(refused(&strain), None);
        drop(loads);
        assert_eq!(strain.requests.get(), 0, "each gave its place back");
    }

    #[test]
    fn memory_is_full_above_its_bound_until_a_twentieth_is_free() {
        let strain = strain();
        for (taken, expected) in [
            (Some(1000), None),
            (Some(1001), Some("the process takes too much memory")),
            (Some(951), Some("the process takes too much memory")),
            (Some(950), None),
            (Some(1000), None),
            (None, None),
        ] {
            strain.memory.look(|| taken);
            strain.swept(Duration::ZERO, &SETTINGS);
            assert_eq!(refused(&strain), expected, "{taken:?}");
        }
        strain.memory.limit(None);
        strain.memory.look(|| panic!("nobody looks"));
    }
}
