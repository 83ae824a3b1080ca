//! Windows of the clock on the wall: the hour, the day and the month, in UTC.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From minute 0 to minute 0.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

/// One window of the clock. Times are in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// What kind of window it is.
    pub period: Period,
    /// Its first second.
    pub start: UnixTime,
    /// The first second of the one after it.
    pub end: UnixTime,
}

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

impl Period {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The window of this length that `now` lies in.
    pub fn window(self, now: UnixTime) -> Window {
        let (start, end) = match self {
            Self::Hour => whole(now.0, 60 * 60),
            Self::Day => whole(now.0, DAY),
            Self::Month => month(now.0),
        };
        Window { period: self, start: UnixTime(start), end: UnixTime(end) }
    }
}

impl Window {
    /// Whether `now` lies in it.
    pub fn holds(&self, now: UnixTime) -> bool {
        (self.start..self.end).contains(&now)
    }
}

/// The window of `length` seconds, counted from the epoch, that `now` lies in. Unix time has no leap seconds.
fn whole(now: u64, length: u64) -> (u64, u64) {
    let start = now - now % length;
    (start, start.saturating_add(length))
}

/// The calendar month that `now` lies in.
fn month(now: u64) -> (u64, u64) {
    let first = |date: jiff::civil::Date| {
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        u64::try_from(midnight).ok()
    };
    let found =
        i64::try_from(now).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).and_then(|now| {
            let date = now.to_zoned(jiff::tz::TimeZone::UTC).date();
            Some((first(date.first_of_month())?, first(date.last_of_month().tomorrow().ok()?)?))
        });
    // Beyond the year 9999 the calendar ends; a window of 31 days is as good as any there.
    found.unwrap_or_else(|| whole(now, 31 * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_the_clock_on_the_wall_in_utc() {
        // `date -u -d … +%s`
        for (period, now, start, end) in [
            (Period::Hour, "2027-03-01T12:34:56Z", "2027-03-01T12:00:00Z", "2027-03-01T13:00:00Z"),
            (Period::Hour, "2027-03-01T12:00:00Z", "2027-03-01T12:00:00Z", "2027-03-01T13:00:00Z"),
            (Period::Hour, "2027-12-31T23:59:59Z", "2027-12-31T23:00:00Z", "2028-01-01T00:00:00Z"),
            (Period::Day, "2027-03-01T23:59:59Z", "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z"),
            (Period::Month, "2027-02-28T23:59:59Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"),
            (Period::Month, "2028-02-29T10:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Period::Month, "2027-12-31T23:59:59Z", "2027-12-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ] {
            let at = |text| UnixTime::parse(text).unwrap();
            let window = period.window(at(now));
            assert_eq!((window.start, window.end), (at(start), at(end)), "{period:?} {now}");
            assert!(window.holds(at(now)) && window.holds(at(start)) && !window.holds(at(end)));
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_no_panic() {
        for now in [0, u64::MAX - 1, 253_402_300_799, 253_402_300_800] {
            for period in Period::ALL {
                let window = period.window(UnixTime(now));
                assert!(window.start.0 <= now && now < window.end.0, "{now}");
            }
        }
    }
}
