//! What a worker tells of itself to whoever looks: written by it alone, ten times a second, so that no request pays for it.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::heartbeat::Heartbeat;

/// Why a worker refuses what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// The process takes too much memory.
    Memory = 1,
    /// It does not keep up.
    Lag = 2,
    /// It has too many requests in flight.
    InFlight = 3,
}

impl Overload {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Lag => "lag",
            Self::InFlight => "in_flight",
        }
    }

    /// In a sentence without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Memory => "the process takes too much memory",
            Self::Lag => "it does not keep up",
            Self::InFlight => "it has too many requests in flight",
        }
    }
}

/// What a worker tells of itself.
#[derive(Debug, Default)]
pub struct Vitals {
    heart: Heartbeat,
    /// In microseconds.
    lag: AtomicU64,
    in_flight: AtomicUsize,
    /// An [`Overload`], or 0.
    overload: AtomicU8,
    generation: AtomicU64,
}

impl Vitals {
    /// It has swept, so much later than it wanted, with so many requests in flight.
    pub fn swept(&self, lag: Duration, in_flight: usize, overload: Option<Overload>) {
        self.heart.beat();
        self.lag.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.in_flight.store(in_flight, Ordering::Relaxed);
        self.overload.store(overload.map_or(0, |reason| reason as u8), Ordering::Relaxed);
    }

    /// It serves this configuration from now on: the first is number 1, and each that comes after it one more.
    pub fn adopt(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// Which configuration it serves.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// For how long it has not swept.
    pub fn silence(&self) -> Duration {
        self.heart.silence()
    }

    /// How much later than it wanted it swept last.
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.lag.load(Ordering::Relaxed))
    }

    /// How many requests it had in flight then.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Why it refused what was new then, if it did.
    pub fn overload(&self) -> Option<Overload> {
        let overload = self.overload.load(Ordering::Relaxed);
        [Overload::Memory, Overload::Lag, Overload::InFlight].into_iter().find(|known| *known as u8 == overload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_is_what_is_read() {
        let vitals = Vitals::default();
        assert_eq!((vitals.generation(), vitals.in_flight(), vitals.overload()), (0, 0, None));
        for overload in [Some(Overload::Memory), Some(Overload::Lag), Some(Overload::InFlight), None] {
            vitals.swept(Duration::from_millis(7), 3, overload);
            assert_eq!((vitals.lag(), vitals.in_flight(), vitals.overload()), (Duration::from_millis(7), 3, overload));
        }
        vitals.adopt(2);
        assert_eq!(vitals.generation(), 2);
    }
}
