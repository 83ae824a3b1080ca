//! Traces: which requests are part of one, what goes on to the upstream of it (W3C Trace Context), and two spans for each
//! that is sampled, sent to a collector. All of it is behind the feature `otlp`; without it, or without `[traces]`, trace
//! headers pass as any other.
//!
//! OTLP is written here by hand, over HTTP: some sixty lines of protobuf (`protobuf.rs`). The crates of OpenTelemetry bring
//! a runtime of their own for it, tell nobody what they drop, and break with every release.

#[cfg(feature = "otlp")]
mod context;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod protobuf;
#[cfg(feature = "otlp")]
mod span;

#[cfg(feature = "otlp")]
pub use self::exporter::{Queue, Running};
#[cfg(not(feature = "otlp"))]
pub use self::off::{Queue, Running, Span, Tracer};
#[cfg(feature = "otlp")]
pub use self::span::{Span, Tracer};
use crate::units::Network;

/// `[traces]`, as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where spans are sent.
    pub collector: Collector,
    /// Which requests have spans.
    pub sampling: Sampling,
}

/// Where spans are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// `host:port`, by which it is found and asked for.
    pub authority: String,
    /// The path of the request.
    pub path: String,
    /// What this gateway is called there (`service.name`).
    pub service: String,
}

/// Which requests have spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many of those that belong to no trace yet.
    pub ratio: Ratio,
    /// Whose word on a trace is taken. Whoever else comes with one begins a new one.
    pub trust: Vec<Network>,
}

/// A part of all, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u64);

impl Ratio {
    /// `None`: it is no part.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and the largest u64"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a sample of one in 2^53 is none")]
    pub fn new(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then_some(Self((part * u64::MAX as f64) as u64))
    }

    /// Whether it holds for this number, of numbers that are spread evenly.
    pub fn takes(self, number: u64) -> bool {
        self.0 == u64::MAX || number < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_takes_all_none_or_its_part() {
        for (part, number, taken) in [
            (1.0, u64::MAX, true),
            (0.0, 0, false),
            (0.5, u64::MAX / 2 - 1000, true),
            (0.5, u64::MAX / 2 + 1000, false),
        ] {
            assert_eq!(Ratio::new(part).unwrap().takes(number), taken, "{part} {number}");
        }
        assert!([-0.1, 1.1, f64::NAN].into_iter().all(|wrong| Ratio::new(wrong).is_none()));
    }
}
