//! What time it is: the only place that asks the operating system. Time is an argument everywhere else, so that tests
//! move it instead of sleeping.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A source of time; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

/// Seconds since the Unix epoch, as credentials count them (RFC 7519 §2, `NumericDate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// As RFC 3339 has it, in UTC: `2027-01-01T00:00:00Z`.
    pub fn to_text(self) -> String {
        // Beyond the year 9999 nobody can say it.
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX).min(jiff::Timestamp::MAX.as_second());
        jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |timestamp| timestamp.to_string())
    }

    /// Reads RFC 3339, whatever its offset.
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_second()).ok().map(Self)
    }
}

/// Text for people, a number for the store.
impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.to_text().serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("this is not an instant after 1970; write it as \"2027-01-01T00:00:00Z\"")
        })
    }
}

impl JsonSchema for UnixTime {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "An instant, RFC 3339." })
    }
}

#[derive(Debug)]
struct Manual {
    start: Instant,
    start_unix: u64,
    moved_millis: AtomicU64,
}

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that stands still at `unix` until it is moved.
    pub fn manual(unix: UnixTime) -> Self {
        let start = system_instant();
        Self { manual: Some(Arc::new(Manual { start, start_unix: unix.0, moved_millis: AtomicU64::new(0) })) }
    }

    /// A clock that stands still: on the wall at `unix`, and for what is counted at this moment.
    pub fn set_to(&self, unix: UnixTime) -> Self {
        let manual = Manual { start: self.now(), start_unix: unix.0, moved_millis: AtomicU64::new(0) };
        Self { manual: Some(Arc::new(manual)) }
    }

    /// Moves a manual clock ahead; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            manual.moved_millis.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Monotonic time, for deadlines and limits.
    pub fn now(&self) -> Instant {
        self.manual_now().unwrap_or_else(system_instant)
    }

    /// The same, of a manual clock alone.
    pub fn manual_now(&self) -> Option<Instant> {
        let manual = self.manual.as_ref()?;
        Some(manual.start + Duration::from_millis(manual.moved_millis.load(Ordering::SeqCst)))
    }

    /// Wall-clock time, for the validity of credentials.
    pub fn unix(&self) -> UnixTime {
        match &self.manual {
            None => UnixTime(system_unix().as_secs()),
            Some(manual) => UnixTime(manual.start_unix + manual.moved_millis.load(Ordering::SeqCst) / 1000),
        }
    }

    /// Wall-clock time since 1970, for what is told of an instant.
    pub fn since_1970(&self) -> Duration {
        match &self.manual {
            None => system_unix(),
            Some(manual) => {
                Duration::from_secs(manual.start_unix)
                    + Duration::from_millis(manual.moved_millis.load(Ordering::SeqCst))
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that the lint points to")]
fn system_instant() -> Instant {
    Instant::now()
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock that the lint points to")]
fn system_unix() -> Duration {
    // A clock before 1970 reads as 0: every `exp` then lies in the future, but every `iat` does too and is refused.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_both_times_together() {
        let clock = Clock::manual(UnixTime(1_700_000_000));
        let before = clock.now();
        clock.advance(Duration::from_millis(2500));
        assert_eq!(clock.now() - before, Duration::from_millis(2500));
        assert_eq!(clock.unix(), UnixTime(1_700_000_002));
    }
}
