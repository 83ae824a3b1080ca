//! Requests in a short time: the generic cell rate algorithm, in the form of its leaky bucket (ITU-T I.371, annex A;
//! both forms let the same requests through). A request adds to the level, time drains it, and what would make it flow
//! over is refused. All of it is whole numbers: of `count` requests a period, no fraction is lost or won.

use std::num::NonZeroU32;
use std::time::Duration;

use super::tally::{Moment, Standing, Verdict, seconds_up};

/// So many requests a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long; not zero.
    pub period: Duration,
    /// How many may come at once, after a time of rest.
    pub burst: NonZeroU32,
}

impl Rate {
    /// What one request adds to the level. A level is counted in shares of a nanosecond, of which there are `count`: so
    /// it drains by `count` a nanosecond, and one request is a whole period of nanoseconds.
    fn cost(&self) -> u128 {
        self.period.as_nanos()
    }

    fn brim(&self) -> u128 {
        u128::from(self.burst.get()) * self.cost()
    }

    fn drained_in(&self, nanos: u64) -> u128 {
        u128::from(nanos) * u128::from(self.count.get())
    }

    fn nanos_to_drain(&self, level: u128) -> u128 {
        level.div_ceil(u128::from(self.count.get()))
    }

    /// Seconds in which an empty allowance is full again, rounded up.
    pub(super) fn refill(&self) -> u64 {
        seconds_up(self.nanos_to_drain(self.brim()))
    }
}

/// The requests of one caller that have not drained yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    level: u128,
    at: u64,
    /// What a request adds to the level; 0: nothing was counted yet. It is another under a rate with another period.
    cost: u64,
}

impl Bucket {
    /// The level that this rate counts from: as many requests as it was under the one before.
    fn filled(&self, rate: &Rate) -> u128 {
        let (own, cost) = (u128::from(self.cost), rate.cost());
        if own == cost || own == 0 {
            return self.level;
        }
        // The whole requests and the part of one, so that nothing flows over; no part is lost.
        (self.level / own).saturating_mul(cost).saturating_add((self.level % own).saturating_mul(cost).div_ceil(own))
    }

    fn level(&self, rate: &Rate, now: Moment) -> u128 {
        self.filled(rate).saturating_sub(rate.drained_in(now.nanos.saturating_sub(self.at)))
    }

    /// Whether one more fits. Brings the level up to now.
    pub(super) fn check(&mut self, rate: &Rate, now: Moment) -> Verdict {
        // Never above the brim, also where it was filled under another rate: nobody waits longer than this one takes.
        self.level = self.level(rate, now).min(rate.brim());
        self.cost = u64::try_from(rate.cost()).unwrap_or(u64::MAX);
        // Two workers may look at the clock in one order and come here in the other.
        self.at = self.at.max(now.nanos);
        match (self.level + rate.cost()).checked_sub(rate.brim()) {
            None | Some(0) => Verdict::Room,
            Some(over) => {
                let nanos = u64::try_from(rate.nanos_to_drain(over)).unwrap_or(u64::MAX);
                Verdict::Full(Duration::from_nanos(nanos))
            }
        }
    }

    /// Counts one more; `check` came before.
    pub(super) fn take(&mut self, rate: &Rate) {
        self.level += rate.cost();
    }

    /// Where it stands; `check` came before.
    pub(super) fn standing(&self, rate: &Rate) -> Standing {
        let left = rate.brim().saturating_sub(self.level) / rate.cost();
        Standing {
            quota: u64::from(rate.burst.get()),
            remaining: u64::try_from(left).unwrap_or(u64::MAX),
            window: None,
            reset: Some(seconds_up(rate.nanos_to_drain(self.level))),
        }
    }

    /// Whether it is as good as none.
    pub(super) fn is_idle(&self, rate: &Rate, now: Moment) -> bool {
        self.level(rate, now) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::UnixTime;

    fn rate(count: u32, period: Duration, burst: u32) -> Rate {
        Rate { count: NonZeroU32::new(count).unwrap(), period, burst: NonZeroU32::new(burst).unwrap() }
    }

    fn at(nanos: u64) -> Moment {
        Moment { nanos, unix: UnixTime(0) }
    }

    fn ask(bucket: &mut Bucket, rate: &Rate, nanos: u64) -> Verdict {
        let verdict = bucket.check(rate, at(nanos));
        if verdict == Verdict::Room {
            bucket.take(rate);
        }
        verdict
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_at_a_time() {
        let (rate, mut bucket) = (rate(50, Duration::from_secs(1), 100), Bucket::default());
        for _ in 0..100 {
            assert_eq!(ask(&mut bucket, &rate, 0), Verdict::Room);
        }
        assert_eq!(ask(&mut bucket, &rate, 0), Verdict::Full(Duration::from_millis(20)));
        assert_eq!(bucket.standing(&rate), Standing { quota: 100, remaining: 0, window: None, reset: Some(2) });
        assert_eq!(ask(&mut bucket, &rate, 19_999_999), Verdict::Full(Duration::from_nanos(1)));
        assert_eq!(ask(&mut bucket, &rate, 20_000_000), Verdict::Room);
        assert_eq!(ask(&mut bucket, &rate, 20_000_000), Verdict::Full(Duration::from_millis(20)));
        assert!(!bucket.is_idle(&rate, at(2_019_999_999)) && bucket.is_idle(&rate, at(2_020_000_000)));
    }

    #[test]
    fn another_period_forgives_nobody_and_punishes_nobody() {
        let (minute, hour) = (rate(5, Duration::from_mins(1), 5), rate(5, Duration::from_hours(1), 5));
        let mut bucket = Bucket::default();
        for _ in 0..5 {
            assert_eq!(ask(&mut bucket, &minute, 0), Verdict::Room);
        }
        assert_eq!(ask(&mut bucket, &hour, 0), Verdict::Full(Duration::from_mins(12)));
        assert!(!bucket.is_idle(&minute, at(59_999_999_999)) && bucket.is_idle(&minute, at(60_000_000_000)));
        assert_eq!(ask(&mut bucket, &minute, 0), Verdict::Full(Duration::from_secs(12)));
        // Three and a half requests are still there, whatever they are counted in.
        let later = 18_000_000_000;
        assert_eq!(ask(&mut bucket, &minute, later), Verdict::Room);
        for now in [hour, minute, hour] {
            assert!(matches!(bucket.check(&now, at(later)), Verdict::Room | Verdict::Full(_)));
            assert_eq!(bucket.standing(&now).remaining, 0);
        }
        assert_eq!(ask(&mut bucket, &hour, later), Verdict::Full(Duration::from_mins(6)));
    }

    #[test]
    fn a_rate_that_no_nanosecond_divides_loses_and_wins_nothing() {
        // Every third of a second one passes, and the fractions add up: 3 million in a million seconds.
        let (rate, mut bucket) = (rate(3, Duration::from_secs(1), 1), Bucket::default());
        assert_eq!(ask(&mut bucket, &rate, 0), Verdict::Room);
        assert!(matches!(ask(&mut bucket, &rate, 333_333_333), Verdict::Full(_)));
        assert_eq!(ask(&mut bucket, &rate, 333_333_334), Verdict::Room);
        assert!(matches!(ask(&mut bucket, &rate, 666_666_667), Verdict::Full(_)));
        assert_eq!(ask(&mut bucket, &rate, 666_666_668), Verdict::Room);
    }

    #[test]
    fn a_clock_read_a_moment_earlier_gives_nothing_back() {
        let (rate, mut bucket) = (rate(1, Duration::from_secs(1), 1), Bucket::default());
        assert_eq!(ask(&mut bucket, &rate, 5_000_000_000), Verdict::Room);
        assert_eq!(ask(&mut bucket, &rate, 4_999_999_000), Verdict::Full(Duration::from_secs(1)));
        assert_eq!(ask(&mut bucket, &rate, 6_000_000_000), Verdict::Room);
    }

    #[test]
    fn a_bucket_that_was_full_under_a_slower_rate_is_full_under_this_one_and_no_more() {
        let (slow, fast) = (rate(1, Duration::from_hours(1), 5), rate(10, Duration::from_secs(1), 5));
        let mut bucket = Bucket::default();
        while ask(&mut bucket, &slow, 0) == Verdict::Room {}
        assert_eq!(ask(&mut bucket, &fast, 0), Verdict::Full(Duration::from_millis(100)));
        assert_eq!(ask(&mut bucket, &fast, 100_000_000), Verdict::Room);
    }

    #[test]
    fn the_largest_figures_are_no_panic() {
        let (rate, mut bucket) = (rate(u32::MAX, Duration::from_hours(24), u32::MAX), Bucket::default());
        assert_eq!(ask(&mut bucket, &rate, 0), Verdict::Room);
        assert_eq!(ask(&mut bucket, &rate, u64::MAX), Verdict::Room);
        assert_eq!(rate.refill(), 86_400);
    }

    proptest! {
        /// The virtual schedule of I.371, told in thousandths of the cost so that it stays a whole number.
        #[test]
        fn it_lets_through_what_the_virtual_schedule_does(
            count in 1_u32..50,
            burst in 1_u32..20,
            gaps in proptest::collection::vec(0_u64..400, 1..200),
        ) {
            let rate = rate(count, Duration::from_micros(1), burst);
            let (cost, limit) = (1000, u64::from(burst - 1) * 1000);
            let (mut bucket, mut now, mut theoretical) = (Bucket::default(), 0, 0);
            for gap in gaps {
                now += gap;
                let arrival = now * u64::from(count);
                let expected = theoretical <= arrival + limit;
                if expected {
                    theoretical = theoretical.max(arrival) + cost;
                }
                prop_assert_eq!(ask(&mut bucket, &rate, now) == Verdict::Room, expected);
            }
        }

        /// Whoever comes back when told passes, and a nanosecond earlier does not.
        #[test]
        fn retry_after_is_neither_early_nor_late(count in 1_u32..100, burst in 1_u32..5, start in 0_u64..1_000_000) {
            let (rate, mut bucket) = (rate(count, Duration::from_nanos(12_345), burst), Bucket::default());
            while ask(&mut bucket, &rate, start) == Verdict::Room {}
            let Verdict::Full(after) = bucket.check(&rate, at(start)) else { panic!("it is full") };
            let then = start + u64::try_from(after.as_nanos()).unwrap();
            prop_assert!(bucket.clone().check(&rate, at(then - 1)) != Verdict::Room);
            prop_assert!(bucket.check(&rate, at(then)) == Verdict::Room);
        }
    }
}
