//! Requests in a window of the clock on the wall. Where a ledger keeps the figures, none is spent that is not written
//! down, in blocks of a hundredth of the quota: a crash counts what was left of the block as spent.

use std::cell::Cell;
use std::mem;
use std::num::NonZeroU64;
use std::time::Duration;

use super::ledger::LedgerEntry;
use super::tally::{Moment, Standing, Verdict};
use super::window::{Period, Window};
use crate::clock::UnixTime;
use crate::record;

/// For how long a counter is kept whose window is over, in nanoseconds: the clock may have been set wrongly.
const PATIENCE: u64 = 600_000_000_000;

/// So many requests a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many at most, whatever was agreed upon with an account.
    pub cap: NonZeroU64,
    /// In which window.
    pub period: Period,
}

impl Quota {
    /// What holds for an account with whom this was agreed upon: its own value, and the cap at most. 0 and nothing are
    /// the cap.
    pub fn of(&self, agreed: record::Quota) -> u64 {
        let own = match self.period {
            Period::Hour => agreed.hour,
            Period::Day => agreed.day,
            Period::Month => agreed.month,
        };
        own.filter(|own| *own > 0).map_or(self.cap.get(), |own| own.min(self.cap.get()))
    }
}

/// What one caller has spent of a window.
#[derive(Clone, Debug)]
pub(super) struct Spending {
    /// Whom it counts, as the ledger names them.
    pub(super) key: Box<str>,
    pub(super) window: Window,
    pub(super) spent: u64,
    /// Whether a ledger keeps it.
    kept: bool,
    /// Up to here it is written down as spent.
    written: u64,
    /// Up to here the ledger was asked to write.
    asked: Option<u64>,
    /// What the ledger may hold: the last figure that it was handed, whatever it said.
    handed: u64,
    failed: bool,
    /// The window before this one and what was spent of it: a clock that was ahead for a while comes back to it.
    before: Option<(Window, u64)>,
    /// Since when its window is over, on the clock that nobody sets.
    over_since: Cell<Option<u64>>,
}

impl Spending {
    /// Nothing spent yet.
    pub(super) fn new(key: Box<str>, quota: &Quota, now: Moment, kept: bool) -> Self {
        let window = quota.period.window(now.unix);
        let (before, over_since) = (None, Cell::new(None));
        Self { key, window, spent: 0, kept, written: 0, asked: None, handed: 0, failed: false, before, over_since }
    }

    /// What was written down before a restart: all of it may have been spent.
    pub(super) fn loaded(key: Box<str>, window: Window, spent: u64) -> Self {
        let (asked, before, over_since) = (None, None, Cell::new(None));
        Self { key, window, spent, kept: true, written: spent, asked, handed: spent, failed: false, before, over_since }
    }

    /// Whether there is room for one more of `most`. Begins the window anew when it is over.
    pub(super) fn check(&mut self, quota: &Quota, most: u64, now: Moment) -> Verdict {
        if self.is_over(now.unix) {
            let next = Self::new(mem::take(&mut self.key), quota, now, self.kept);
            let spent = self.before.filter(|(window, _)| *window == next.window).map_or(0, |(_, spent)| spent);
            *self = Self { spent, before: Some((self.window, self.spent)), ..next };
        }
        if self.spent >= most {
            Verdict::Full(Duration::from_secs(self.window.end.0.saturating_sub(now.unix.0)))
        } else if self.kept && self.spent >= self.written {
            Verdict::Unwritten { failed: self.failed && self.asked.is_none() }
        } else {
            Verdict::Room
        }
    }

    /// Takes for granted that the ledger writes down what is spent.
    pub(super) fn presume_written(&mut self) {
        self.kept = false;
    }

    /// Counts one more; `check` came before.
    pub(super) fn take(&mut self) {
        self.spent += 1;
    }

    /// Where it stands; `check` came before.
    pub(super) fn standing(&self, most: u64, now: Moment) -> Standing {
        Standing {
            quota: most,
            remaining: most.saturating_sub(self.spent),
            window: Some(self.window.end.0 - self.window.start.0),
            reset: Some(self.window.end.0.saturating_sub(now.unix.0)),
        }
    }

    /// What the ledger is to be asked for now: half a block before the last one is used up, so that a busy caller never
    /// waits; and never so much that more than one block is written and not spent.
    pub(super) fn ask(&mut self, most: u64) -> Option<u64> {
        let block = (most / 100).max(1);
        let left = self.written.saturating_sub(self.spent);
        if !self.kept || self.asked.is_some() || left > block / 2 || self.written >= most {
            return None;
        }
        self.handed = (self.spent + block).min(most);
        self.asked = Some(self.handed);
        self.asked
    }

    /// How the ledger keeps it: `spent` of this limit.
    pub(super) fn entry(&self, limit: &str, spent: u64) -> LedgerEntry {
        LedgerEntry { limit: limit.into(), key: self.key.clone(), window: self.window, spent }
    }

    /// The ledger has answered what it was asked for in `window`.
    pub(super) fn answered(&mut self, window: Window, figure: u64, written: bool) {
        if self.window == window && self.asked == Some(figure) {
            self.asked = None;
            self.failed = !written;
            if written {
                self.written = self.written.max(figure);
            }
        }
    }

    /// Whether the ledger may hold another figure than the true one.
    pub(super) fn is_unsettled(&self) -> bool {
        self.kept && self.handed != self.spent
    }

    /// Whether its window is over. A clock that was set back a little does not open the window before once more, of which
    /// nothing is known any longer.
    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        let length = self.window.end.0 - self.window.start.0;
        now >= self.window.end || now.0.saturating_add(length) < self.window.start.0
    }

    /// Whether its window has been over for so long that no clock will come back to it.
    pub(super) fn is_forgotten(&self, now: Moment) -> bool {
        if !self.is_over(now.unix) {
            self.over_since.set(None);
            return false;
        }
        let since = self.over_since.get().unwrap_or(now.nanos);
        self.over_since.set(Some(since));
        now.nanos.saturating_sub(since) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: u64 = 1_803_902_400; // 2027-03-01T12:00:00Z

    fn hourly(cap: u64) -> Quota {
        Quota { cap: NonZeroU64::new(cap).unwrap(), period: Period::Hour }
    }

    fn at(unix: u64) -> Moment {
        Moment { nanos: 0, unix: UnixTime(unix) }
    }

    fn ask(spending: &mut Spending, quota: &Quota, most: u64, unix: u64) -> Verdict {
        let verdict = spending.check(quota, most, at(unix));
        if verdict == Verdict::Room {
            spending.take();
        }
        verdict
    }

    #[test]
    fn the_own_value_holds_up_to_the_cap_and_nothing_is_the_cap() {
        let own = |hour| record::Quota { hour, day: Some(1), month: None };
        for (hour, expected) in [(None, 100_000), (Some(0), 100_000), (Some(3), 3), (Some(250_000), 100_000)] {
            assert_eq!(hourly(100_000).of(own(hour)), expected, "{hour:?}");
        }
        let quota = |period| Quota { period, ..hourly(5) };
        assert_eq!((quota(Period::Day).of(own(None)), quota(Period::Month).of(own(Some(1)))), (1, 5));
    }

    #[test]
    fn exactly_so_many_pass_in_each_window() {
        let quota = hourly(3);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON), false);
        for (unix, expected) in [
            (NOON, Verdict::Room),
            (NOON + 1, Verdict::Room),
            (NOON + 3000, Verdict::Room),
            (NOON + 3000, Verdict::Full(Duration::from_mins(10))),
            (NOON + 3599, Verdict::Full(Duration::from_secs(1))),
            (NOON + 3600, Verdict::Room),
            // Set back over the edge: what is known goes on.
            (NOON + 3599, Verdict::Room),
            (NOON + 3598, Verdict::Room),
            (NOON + 3597, Verdict::Full(Duration::from_secs(3603))),
            (NOON + 7200, Verdict::Room),
        ] {
            assert_eq!(ask(&mut spending, &quota, 3, unix), expected, "{unix}");
        }
    }

    #[test]
    fn a_window_of_a_wrong_clock_does_not_last() {
        let quota = hourly(1);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON + 1_000_000_000), false);
        assert_eq!(ask(&mut spending, &quota, 1, NOON + 1_000_000_000), Verdict::Room);
        assert_eq!(ask(&mut spending, &quota, 1, NOON), Verdict::Room);
    }

    #[test]
    fn a_clock_that_is_set_back_by_a_window_forgives_nothing() {
        let quota = hourly(1);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON), false);
        assert_eq!(ask(&mut spending, &quota, 1, NOON), Verdict::Room);
        let start = spending.window.start.0;
        assert!(matches!(ask(&mut spending, &quota, 1, start - 3600), Verdict::Full(_)));
        assert_eq!(ask(&mut spending, &quota, 1, start - 3601), Verdict::Room);
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_while_forgives_nothing() {
        let quota = hourly(3);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON), false);
        for unix in [NOON, NOON, NOON, NOON + 3 * 3600] {
            assert_eq!(ask(&mut spending, &quota, 3, unix), Verdict::Room);
        }
        assert!(matches!(ask(&mut spending, &quota, 3, NOON + 8), Verdict::Full(_)));
        // Where nobody asks meanwhile, nobody is forgotten at once either.
        let moment = |nanos, unix| Moment { nanos, unix: UnixTime(unix) };
        assert!(!spending.is_forgotten(moment(0, NOON + 8)));
        assert!(!spending.is_forgotten(moment(0, NOON + 7200)) && !spending.is_forgotten(moment(1, NOON + 8)));
        assert!(!spending.is_forgotten(moment(PATIENCE, NOON + 7200)), "over since then, and not since before");
        assert!(!spending.is_forgotten(moment(2 * PATIENCE - 1, NOON + 7200)));
        assert!(spending.is_forgotten(moment(2 * PATIENCE, NOON + 7200)));
    }

    #[test]
    fn a_lower_agreement_holds_at_once() {
        let quota = hourly(10);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON), false);
        for _ in 0..5 {
            assert_eq!(ask(&mut spending, &quota, 10, NOON), Verdict::Room);
        }
        assert!(matches!(ask(&mut spending, &quota, 4, NOON), Verdict::Full(_)));
        assert_eq!(
            spending.standing(4, at(NOON)),
            Standing { quota: 4, remaining: 0, window: Some(3600), reset: Some(3600) }
        );
        assert_eq!(ask(&mut spending, &quota, 6, NOON), Verdict::Room);
    }

    #[test]
    fn a_late_answer_of_the_ledger_changes_nothing_in_the_next_window() {
        let quota = hourly(1000);
        let mut spending = Spending::new("account:a".into(), &quota, at(NOON), true);
        assert_eq!(spending.check(&quota, 1000, at(NOON)), Verdict::Unwritten { failed: false });
        let (window, figure) = (spending.window, spending.ask(1000).unwrap());
        assert_eq!(spending.check(&quota, 1000, at(NOON + 3600)), Verdict::Unwritten { failed: false });
        spending.answered(window, figure, true);
        assert_eq!(spending.check(&quota, 1000, at(NOON + 3600)), Verdict::Unwritten { failed: false });
        // Also where as much was asked for in the next one; and what was not asked for is no answer.
        assert_eq!(spending.ask(1000), Some(figure));
        for (window, figure) in [(window, figure), (spending.window, figure + 1)] {
            spending.answered(window, figure, true);
            assert_eq!(spending.check(&quota, 1000, at(NOON + 3600)), Verdict::Unwritten { failed: false });
        }
        spending.answered(spending.window, figure, true);
        assert_eq!(spending.check(&quota, 1000, at(NOON + 3600)), Verdict::Room);
    }

    /// What happens to a counter and its ledger.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Request,
        Answer { written: bool, kept_anyway: bool },
        Kill,
        Stop,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            30 => Just(Event::Request),
            10 => Just(Event::Answer { written: true, kept_anyway: true }),
            2 => any::<bool>().prop_map(|kept_anyway| Event::Answer { written: false, kept_anyway }),
            1 => Just(Event::Kill),
            1 => Just(Event::Stop),
        ]
    }

    proptest! {
        /// However the ledger answers and whenever the process dies: never over, and each death costs a block at most.
        #[test]
        fn never_over_and_at_most_one_block_under(
            most in 1_u64..400,
            events in proptest::collection::vec(event(), 1..700),
        ) {
            let (quota, block) = (hourly(most), (most / 100).max(1));
            let mut spending = Spending::new("a".into(), &quota, at(NOON), true);
            let (mut disk, mut under_way, mut passed, mut deaths) = (0, None, 0, 0);
            for event in events {
                match event {
                    Event::Request => {
                        passed += u64::from(ask(&mut spending, &quota, most, NOON) == Verdict::Room);
                        if let Some(figure) = spending.ask(most) {
                            prop_assert!(under_way.is_none());
                            under_way = Some(figure);
                        }
                    }
                    Event::Answer { written, kept_anyway } => {
                        if let Some(figure) = under_way.take() {
                            if written || kept_anyway {
                                disk = figure;
                            }
                            spending.answered(spending.window, figure, written);
                        }
                    }
                    Event::Kill => {
                        // What was under way may be on disk, or not.
                        disk = under_way.take().unwrap_or(disk);
                        deaths += 1;
                        spending = Spending::loaded("a".into(), spending.window, disk);
                    }
                    Event::Stop => {
                        if spending.is_unsettled() {
                            disk = spending.spent;
                        }
                        under_way = None;
                        spending = Spending::loaded("a".into(), spending.window, disk);
                    }
                }
                prop_assert!(passed <= most, "over");
                prop_assert!(spending.spent <= passed + deaths * block, "more than a block lost by a death");
            }
        }

        /// A ledger that answers before the next half block is spent makes nobody wait after the first.
        #[test]
        fn nobody_waits_for_a_quick_ledger(most in 400_u64..10_000) {
            let quota = hourly(most);
            let mut spending = Spending::new("a".into(), &quota, at(NOON), true);
            prop_assert_eq!(spending.check(&quota, most, at(NOON)), Verdict::Unwritten { failed: false });
            let mut due: Option<(u64, u64)> = spending.ask(most).map(|figure| (figure, 0));
            for _ in 0..most {
                if let Some((figure, left)) = due {
                    due = if left > 0 { Some((figure, left - 1)) } else {
                        spending.answered(spending.window, figure, true);
                        None
                    };
                }
                prop_assert_eq!(ask(&mut spending, &quota, most, NOON), Verdict::Room);
                if let Some(figure) = spending.ask(most) {
                    due = Some((figure, (most / 100) / 2 - 1));
                }
            }
            prop_assert!(matches!(ask(&mut spending, &quota, most, NOON), Verdict::Full(_)));
        }
    }
}
