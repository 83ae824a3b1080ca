//! Which of many requests leave a line, where not all do: spread evenly, so that each speaks for the same number.

/// In so many parts a whole is counted.
const WHOLE: u32 = 1_000_000_000;

/// A part of all, more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Default for Share {
    /// All.
    fn default() -> Self {
        Self(WHOLE)
    }
}

impl Share {
    /// `None`: it is no part, or nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and what is counted as a whole"
    )]
    pub fn new(part: f64) -> Option<Self> {
        let is_one = part > 0.0 && part <= 1.0;
        is_one.then(|| Self(((part * f64::from(WHOLE)).round() as u32).max(1)))
    }

    /// Whether it is everything.
    pub(in crate::telemetry) fn is_whole(self) -> bool {
        self.0 == WHOLE
    }

    /// Whether the next one belongs to it, after `before`, which is 0 at first; and what comes before the one behind it.
    pub(in crate::telemetry) fn takes(self, before: u32) -> (bool, u32) {
        (before < self.0, (before + self.0) % WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_and_never_nothing() {
        for wrong in [0.0, -0.1, 1.000_1, 100.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::new(wrong), None, "{wrong}");
        }
        assert_eq!(Share::new(1.0), Some(Share::default()));
        assert_eq!(Share::new(1e-300), Some(Share(1)));
    }

    #[test]
    fn a_share_takes_its_part_of_many_spread_evenly() {
        for (part, many, expected) in [(1.0, 50, 50), (0.75, 100, 75), (0.25, 8, 2), (0.01, 1000, 10), (0.4, 1000, 400)]
        {
            let share = Share::new(part).unwrap();
            let (mut before, mut taken, mut apart, mut most) = (0, 0, 0, 0);
            for _ in 0..many {
                let (chosen, next) = share.takes(before);
                (before, apart) = (next, apart + 1);
                if chosen {
                    (taken, most, apart) = (taken + 1, most.max(apart), 0);
                }
            }
            assert_eq!(taken, expected, "{part}");
            assert!(f64::from(most) < 1.0 / part + 1.0, "{part}: {most}");
        }
    }
}
