//! How one endpoint stands by what became of requests: in, out for a rest that doubles, on trial with a single request,
//! or on its way back with a share that grows. Time and settings are arguments; the endpoint's own lock is around it.

use std::time::{Duration, Instant};

use crate::forward::policy::Ejection;

/// The share that an endpoint has as soon as it is back.
const FIRST_SHARE: f64 = 0.1;

/// What is held against an endpoint.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    state: State,
    /// Failures in a row.
    failures: u32,
    /// When the first of them was.
    first: Option<Instant>,
    /// How often it was sent out, as long as that counts.
    ejections: u32,
    /// Until when that counts.
    remembered: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    In,
    Out {
        until: Instant,
    },
    /// One request is under way that decides.
    Trial {
        since: Instant,
    },
    Returning {
        since: Instant,
    },
}

/// What an endpoint may be given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fitness {
    /// This part of its share.
    Share(f64),
    /// One request, to see how that fares.
    Trial,
    /// Nothing.
    Nothing,
}

/// What a failure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is counted.
    Counted,
    /// It is one too many, if there is room outside.
    TooMany,
    /// The endpoint is out from now on.
    Ejected(Duration),
}

impl Trouble {
    /// What the endpoint may be given now.
    pub(super) fn fitness(&self, ejection: &Ejection, now: Instant) -> Fitness {
        match self.state {
            State::In => Fitness::Share(1.0),
            State::Out { until } if until > now => Fitness::Nothing,
            State::Out { .. } => Fitness::Trial,
            State::Trial { .. } => Fitness::Nothing,
            State::Returning { since } => {
                let back = now.saturating_duration_since(since).as_secs_f64() / ejection.slow_return.as_secs_f64();
                Fitness::Share(back.clamp(FIRST_SHARE, 1.0))
            }
        }
    }

    /// How long it rests still.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Out { until } => Some(until.saturating_duration_since(now)),
            State::In | State::Trial { .. } | State::Returning { .. } => None,
        }
    }

    /// Whether it is out: resting, or on trial.
    pub(super) fn is_out(&self) -> bool {
        matches!(self.state, State::Out { .. } | State::Trial { .. })
    }

    /// Takes the one trial, if it is due and nobody else has it.
    pub(super) fn try_out(&mut self, now: Instant) -> bool {
        let due = matches!(self.state, State::Out { until } if until <= now);
        if due {
            self.state = State::Trial { since: now };
        }
        due
    }

    /// Nothing came of the trial: whoever comes next has it.
    pub(super) fn trial_lost(&mut self) {
        if let State::Trial { since } = self.state {
            self.state = State::Out { until: since };
        }
    }

    /// A request was answered; `trial`: it was sent although the endpoint was out. Says whether that is back now.
    pub(super) fn succeeded(&mut self, trial: bool, ejection: &Ejection, now: Instant) -> bool {
        match self.state {
            // It was under way before: the trial decides.
            State::Out { .. } | State::Trial { .. } if !trial => return false,
            State::Out { .. } | State::Trial { .. } => {
                (self.state, self.failures) = (State::Returning { since: now }, 0);
                return true;
            }
            State::Returning { since } if now.saturating_duration_since(since) >= ejection.slow_return => {
                self.state = State::In;
            }
            State::In | State::Returning { .. } => {}
        }
        self.failures = 0;
        false
    }

    /// Whether nothing is held against it.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::In && self.failures == 0
    }

    /// A request failed; `unreachable`: there was no connection.
    pub(super) fn failed(&mut self, unreachable: bool, trial: bool, ejection: &Ejection, now: Instant) -> Verdict {
        match self.state {
            // It was under way before, or nobody else was left.
            State::Out { .. } | State::Trial { .. } if !trial => Verdict::Counted,
            // It was out before: there is room outside.
            State::Out { .. } | State::Trial { .. } => Verdict::Ejected(self.eject(ejection, now)),
            State::In | State::Returning { .. } => {
                if self.first.is_none_or(|first| now.saturating_duration_since(first) > ejection.window) {
                    self.failures = 0;
                }
                if self.failures == 0 {
                    self.first = Some(now);
                }
                self.failures = self.failures.saturating_add(1);
                if unreachable {
                    Verdict::Ejected(self.eject(ejection, now))
                } else if self.failures >= ejection.failures {
                    Verdict::TooMany
                } else {
                    Verdict::Counted
                }
            }
        }
    }

    /// Sends it out; for how long.
    pub(super) fn eject(&mut self, ejection: &Ejection, now: Instant) -> Duration {
        if self.remembered.is_none_or(|until| until <= now) {
            self.ejections = 0;
        }
        let factor = 1_u32.checked_shl(self.ejections).unwrap_or(u32::MAX);
        let rest = ejection.rest.checked_mul(factor).unwrap_or(Duration::MAX).min(ejection.longest);
        // No further than what reaches the longest rest.
        self.ejections = (self.ejections + 1).min(31);
        self.failures = 0;
        self.state = State::Out { until: now + rest };
        self.remembered = Some(now + rest + ejection.slow_return + ejection.longest);
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixTime};

    const SECOND: Duration = Duration::from_secs(1);

    fn ejected(trouble: &mut Trouble, ejection: &Ejection, now: Instant) -> Option<Duration> {
        match trouble.failed(false, true, ejection, now) {
            Verdict::Counted => None,
            Verdict::TooMany => Some(trouble.eject(ejection, now)),
            Verdict::Ejected(rest) => Some(rest),
        }
    }

    #[test]
    fn failures_in_a_row_within_the_window_are_counted_and_others_are_not() {
        let (ejection, start) = (Ejection::default(), Clock::manual(UnixTime(0)).now());
        let mut trouble = Trouble::default();
        for _ in 0..4 {
            assert_eq!(trouble.failed(false, false, &ejection, start), Verdict::Counted);
        }
        trouble.succeeded(false, &ejection, start);
        assert!(trouble.is_over());
        for _ in 0..4 {
            assert_eq!(trouble.failed(false, false, &ejection, start), Verdict::Counted);
        }
        let later = start + 11 * SECOND;
        for _ in 0..4 {
            assert_eq!(trouble.failed(false, false, &ejection, later), Verdict::Counted);
        }
        assert_eq!(trouble.failed(false, false, &ejection, later), Verdict::TooMany);
    }

    #[test]
    fn a_rest_doubles_up_to_the_longest_and_is_forgotten_after_a_good_while() {
        let (ejection, start) = (Ejection::default(), Clock::manual(UnixTime(0)).now());
        let (mut trouble, mut now) = (Trouble::default(), start);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(trouble.failed(true, false, &ejection, now), Verdict::Ejected(expected * SECOND));
            assert_eq!(
                trouble.fitness(&ejection, now + (expected * SECOND).saturating_sub(SECOND / 2)),
                Fitness::Nothing
            );
            now += expected * SECOND;
            assert!(trouble.try_out(now) && !trouble.try_out(now), "one request, and no other");
            assert!(trouble.succeeded(true, &ejection, now));
        }
        now += 100 * SECOND;
        assert_eq!(trouble.failed(true, false, &ejection, now), Verdict::Ejected(SECOND));
    }

    #[test]
    fn the_trial_decides_and_the_share_grows_back() {
        let (ejection, start) = (Ejection::default(), Clock::manual(UnixTime(0)).now());
        let mut trouble = Trouble::default();
        trouble.failed(true, false, &ejection, start);
        let now = start + SECOND;
        assert_eq!(trouble.fitness(&ejection, now), Fitness::Trial);
        assert!(trouble.try_out(now));
        assert_eq!(trouble.fitness(&ejection, now), Fitness::Nothing);
        trouble.trial_lost();
        assert!(trouble.try_out(now), "whoever comes next has it");
        assert!(!trouble.succeeded(false, &ejection, now), "another one was under way");
        assert_eq!(ejected(&mut trouble, &ejection, now), Some(2 * SECOND));
        let now = now + 2 * SECOND;
        assert!(trouble.try_out(now) && trouble.succeeded(true, &ejection, now));
        for (after, share) in [(0, 0.1), (5, 0.5), (10, 1.0)] {
            assert_eq!(trouble.fitness(&ejection, now + after * SECOND), Fitness::Share(share));
        }
        trouble.succeeded(false, &ejection, now + 10 * SECOND);
        assert!(trouble.is_over());
    }
}
