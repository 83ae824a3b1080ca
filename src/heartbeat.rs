//! Whether a thread still comes round: it says so each time, and anybody may look how long it has been silent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// When a thread came round last. Written by that thread alone.
#[derive(Debug)]
pub struct Heartbeat {
    clock: Clock,
    epoch: Instant,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
}

impl Heartbeat {
    /// A thread that comes round for the first time now.
    pub fn new(clock: Clock) -> Self {
        let epoch = clock.now();
        Self { clock, epoch, last: AtomicU64::new(0) }
    }

    /// It has come round.
    pub fn beat(&self) {
        let since = self.clock.now().saturating_duration_since(self.epoch);
        self.last.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long nothing was heard of it. Whoever asks takes nothing away from others who ask.
    pub fn silence(&self) -> Duration {
        let since = self.clock.now().saturating_duration_since(self.epoch);
        since.saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// By the system's clock: it is about a thread, and not about the time of credentials.
impl Default for Heartbeat {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn a_silence_begins_with_each_beat_and_is_the_same_for_all_who_ask() {
        let clock = Clock::manual(UnixTime(0));
        let heart = Heartbeat::new(clock.clone());
        clock.advance(Duration::from_secs(3));
        assert_eq!([heart.silence(), heart.silence()], [Duration::from_secs(3); 2]);
        heart.beat();
        assert_eq!(heart.silence(), Duration::ZERO);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(heart.silence(), Duration::from_millis(1500));
    }
}
