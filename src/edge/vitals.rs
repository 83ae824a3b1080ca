//! What a worker tells of itself to whoever looks: written by it alone, ten times a second, so that no request pays for it.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::heartbeat::Heartbeat;

/// Why a worker refuses what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shedding {
    /// The process takes too much memory.
    Memory = 1,
    /// It does not keep up.
    Slow = 2,
    /// It has too many requests in flight.
    Crowded = 3,
}

impl Shedding {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Slow => "slow",
            Self::Crowded => "crowded",
        }
    }

    /// In a sentence without a full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Memory => "the process takes too much memory",
            Self::Slow => "it does not keep up",
            Self::Crowded => "it has too many requests in flight",
        }
    }
}

/// What a worker tells of itself.
#[derive(Debug, Default)]
pub struct Vitals {
    heart: Heartbeat,
    /// In microseconds.
    lag: AtomicU64,
    requests: AtomicUsize,
    /// A [`Shedding`], or 0.
    sheds: AtomicU8,
    generation: AtomicU64,
}

impl Vitals {
    /// It has swept, so much later than it wanted, with so many requests in flight.
    pub fn swept(&self, lag: Duration, requests: usize, sheds: Option<Shedding>) {
        self.heart.beat();
        self.lag.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.requests.store(requests, Ordering::Relaxed);
        self.sheds.store(sheds.map_or(0, |sheds| sheds as u8), Ordering::Relaxed);
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
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Why it refused what was new then, if it did.
    pub fn sheds(&self) -> Option<Shedding> {
        let sheds = self.sheds.load(Ordering::Relaxed);
        [Shedding::Memory, Shedding::Slow, Shedding::Crowded].into_iter().find(|known| *known as u8 == sheds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_last_is_what_is_read() {
        let vitals = Vitals::default();
        assert_eq!((vitals.generation(), vitals.requests(), vitals.sheds()), (0, 0, None));
        for sheds in [Some(Shedding::Memory), Some(Shedding::Slow), Some(Shedding::Crowded), None] {
            vitals.swept(Duration::from_millis(7), 3, sheds);
            assert_eq!((vitals.lag(), vitals.requests(), vitals.sheds()), (Duration::from_millis(7), 3, sheds));
        }
        vitals.adopt(2);
        assert_eq!(vitals.generation(), 2);
    }
}
