//! Counters and times that one thread writes and others read: a load and a store each, without a lock and without waiting.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of a histogram's buckets, in seconds: from what the gateway itself takes to an answer that an upstream
/// prepares for minutes.
pub const BOUNDS: [f64; 18] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// The same in microseconds, and as many bits as can be compared four at once wherever this runs.
const MICROS: [i32; BOUNDS.len()] = micros();
/// One bucket for each bound, and one for what lies beyond.
pub const BUCKETS: usize = BOUNDS.len() + 1;

#[expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^31")]
const fn micros() -> [i32; BOUNDS.len()] {
    let (mut all, mut place) = ([0; BOUNDS.len()], 0);
    while place < BOUNDS.len() {
        all[place] = (BOUNDS[place] * 1e6) as i32;
        place += 1;
    }
    all
}

/// A counter that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts `more`. To be called by one thread alone: what two add at once may be lost.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// How much was counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Times, by how long they were, as one thread writes them.
#[derive(Debug)]
pub struct Times {
    buckets: [Count; BUCKETS],
    nanos: Count,
}

impl Default for Times {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| Count::default()), nanos: Count::default() }
    }
}

impl Times {
    /// Adds one. To be called by one thread alone, as [`Count::add`].
    pub fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // What lies beyond a bound by less than a microsecond lies beyond it.
        let micros = i32::try_from(nanos.div_ceil(1000)).unwrap_or(i32::MAX);
        // Without a branch for each bound.
        let place = MICROS.iter().map(|bound| i32::from(*bound < micros)).sum::<i32>();
        self.buckets[place.unsigned_abs() as usize].add(1);
        self.nanos.add(nanos);
    }
}

/// Times of several threads together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// How many lay in each bucket, and beyond the last bound.
    pub buckets: [u64; BUCKETS],
    /// All of them together, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Adds what one thread has counted.
    pub fn add(&mut self, times: &Times) {
        for (sum, own) in self.buckets.iter_mut().zip(&times.buckets) {
            *sum += own.get();
        }
        self.sum += Duration::from_nanos(times.nanos.get()).as_secs_f64();
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_the_first_bucket_that_is_not_too_small() {
        let times = Times::default();
        for millis in [0.5, 0.5001, 1.0, 1_800_000.0, 1_800_001.0] {
            times.add(Duration::from_secs_f64(millis / 1000.0));
        }
        let mut histogram = Histogram::default();
        histogram.add(&times);
        let filled = histogram.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        assert_eq!(filled.collect::<Vec<_>>(), [(0, &1), (1, &2), (17, &1), (18, &1)]);
    }
}
