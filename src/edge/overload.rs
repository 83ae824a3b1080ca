//! Whether a worker keeps up. One that does not refuses what is new at once, before anything else is done for it, rather than
//! let it queue: late answers help nobody, and what waits takes memory. Once overloaded, it takes up work again only when it
//! is clearly better.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::edge::vitals::{Overload, Vitals};
use crate::refusal::{Cause, Refusal};

/// So many sweeps in succession were late before a worker is found to lag: one alone may be the machine's.
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
    pub in_flight: usize,
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
pub struct Gauge {
    memory: Arc<Memory>,
    /// For whoever looks how the worker fares.
    vitals: Arc<Vitals>,
    /// Sweeps in succession that speak against what is thought of it.
    contrary: Cell<u32>,
    lags: Cell<bool>,
    full: Cell<bool>,
    crowded: Cell<bool>,
    in_flight: Rc<Cell<usize>>,
}

/// A request in flight on a worker.
#[derive(Debug)]
pub struct Load(Rc<Cell<usize>>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Gauge {
    /// A worker that has nothing to do.
    pub fn new(memory: Arc<Memory>, vitals: Arc<Vitals>) -> Self {
        Self {
            memory,
            vitals,
            contrary: Cell::new(0),
            lags: Cell::new(false),
            full: Cell::new(false),
            crowded: Cell::new(false),
            in_flight: Rc::default(),
        }
    }

    /// The worker sweeps, so much later than it wanted.
    pub fn swept(&self, lag: Duration, settings: &Settings) {
        self.full.set(self.memory.full.load(Ordering::Relaxed));
        let lags = self.lags.get();
        // Clearly better is half as late.
        let most = if lags { settings.lag / 2 } else { settings.lag };
        let contrary = if (lag > most) == lags { 0 } else { self.contrary.get() + 1 };
        let turns = contrary >= if lags { IN_TIME } else { LATE };
        self.contrary.set(if turns { 0 } else { contrary });
        if turns {
            self.lags.set(!lags);
            tracing::warn!(lags = !lags, ?lag, "how a worker keeps up");
        }
        // Nobody may come to find out that there is room again.
        if self.in_flight.get() < settings.in_flight - settings.in_flight / 20 {
            self.crowded.set(false);
        }
        self.vitals.swept(lag, self.in_flight.get(), self.reason());
    }

    /// Another configuration is in force from now on.
    pub fn adopt(&self, generation: u64) {
        self.vitals.adopt(generation);
    }

    fn reason(&self) -> Option<Overload> {
        let all = [(&self.full, Overload::Memory), (&self.lags, Overload::Lag), (&self.crowded, Overload::InFlight)];
        all.into_iter().find(|(is, _)| is.get()).map(|(_, reason)| reason)
    }

    /// Takes a request in, which counts until what is returned is dropped; or says why it cannot bear one more.
    pub fn enter(&self, settings: &Settings) -> Result<Load, Refusal> {
        if self.full.get() {
            // The connection takes memory as well.
            let refusal = Refusal::new(Cause::Overloaded, "the process takes too much memory");
            return Err(refusal.retry_after(AGAIN).closing());
        }
        if self.lags.get() {
            return Err(Refusal::new(Cause::Overloaded, "the worker does not keep up").retry_after(AGAIN));
        }
        let in_flight = self.in_flight.get();
        let most = if self.crowded.get() { settings.in_flight - settings.in_flight / 20 } else { settings.in_flight };
        self.crowded.set(in_flight >= most);
        if in_flight >= most {
            return Err(
                Refusal::new(Cause::Overloaded, "the worker has too many requests in flight").retry_after(AGAIN)
            );
        }
        self.in_flight.set(in_flight + 1);
        Ok(Load(Rc::clone(&self.in_flight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { lag: Duration::from_secs(1), in_flight: 40, memory: Some(1000) };

    fn gauge() -> Gauge {
        let gauge = Gauge::new(Arc::default(), Arc::default());
        gauge.memory.limit(SETTINGS.memory);
        gauge
    }

    fn refused(gauge: &Gauge) -> Option<&'static str> {
        gauge.enter(&SETTINGS).err().map(|refusal| {
            assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
            refusal.detail
        })
    }

    #[test]
    fn a_worker_lags_after_several_late_sweeps_and_keeps_up_after_several_in_time() {
        let gauge = gauge();
        let sweep = |lag: u64, times: u32| (0..times).for_each(|_| gauge.swept(Duration::from_millis(lag), &SETTINGS));
        sweep(5000, LATE - 1);
        sweep(1000, 1);
        sweep(5000, LATE - 1);
        assert_eq!(refused(&gauge), None, "never so often in succession");
        sweep(1001, 1);
        assert_eq!(refused(&gauge), Some("the worker does not keep up"));
        assert_eq!(gauge.vitals.overload(), Some(Overload::Lag));
        sweep(0, IN_TIME - 1);
        sweep(501, 1);
        sweep(0, IN_TIME - 1);
        assert!(refused(&gauge).is_some());
        sweep(500, 1);
        assert_eq!(refused(&gauge), None);
        assert_eq!((gauge.vitals.overload(), gauge.vitals.lag()), (None, Duration::from_millis(500)));
    }

    #[test]
    fn requests_in_flight_are_bounded_and_must_become_fewer_before_there_is_room() {
        let gauge = gauge();
        let mut loads: Vec<_> = (0..40).map(|_| gauge.enter(&SETTINGS).unwrap()).collect();
        assert_eq!(refused(&gauge), Some("the worker has too many requests in flight"));
        loads.truncate(38);
        assert!(refused(&gauge).is_some());
        gauge.swept(Duration::ZERO, &SETTINGS);
        assert_eq!((gauge.vitals.overload(), gauge.vitals.in_flight()), (Some(Overload::InFlight), 38));
        loads.truncate(37);
        gauge.swept(Duration::ZERO, &SETTINGS);
        assert_eq!(gauge.vitals.overload(), None, "also where nobody has come to see");
        assert_eq!(refused(&gauge), None);
        drop(loads);
        assert_eq!(gauge.in_flight.get(), 0, "each gave its place back");
    }

    #[test]
    fn memory_is_full_above_its_bound_until_a_twentieth_is_free() {
        let gauge = gauge();
        for (taken, expected) in [
            (Some(1000), None),
            (Some(1001), Some("the process takes too much memory")),
            (Some(951), Some("the process takes too much memory")),
            (Some(950), None),
            (Some(1000), None),
            (None, None),
        ] {
            gauge.memory.look(|| taken);
            gauge.swept(Duration::ZERO, &SETTINGS);
            assert_eq!(refused(&gauge), expected, "{taken:?}");
        }
        gauge.memory.limit(None);
        gauge.memory.look(|| panic!("nobody looks"));
    }
}
