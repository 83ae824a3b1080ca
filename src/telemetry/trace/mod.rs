//! Traces: which requests are part of one, what goes on to the upstream of it (W3C Trace Context), and two spans for each
//! that is sampled, sent to a collector. All of it is behind the feature `otlp`; without it, or without `[traces]`, trace
//! headers pass as any other.
//!
//! What lies on the path of a request is our own, and without `[traces]` it is one branch: a place that is none
//! (`span.rs`). What is told is copied into a batch and queued; the thread behind the queue makes messages of it and sends
//! them with the crates of OpenTelemetry.

#[cfg(feature = "otlp")]
mod batch;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(feature = "otlp")]
mod context;
mod counts;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod span;

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Uri};

pub use self::counts::Counts;
#[cfg(feature = "otlp")]
pub use self::exporter::{Prepared, Queue, Running};
#[cfg(not(feature = "otlp"))]
pub use self::off::{Prepared, Queue, Running, Span, Tracer};
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
    /// `http` or `https`, its host and port, and with [`Protocol::Http`] the path.
    pub endpoint: Uri,
    /// What it speaks.
    pub protocol: Protocol,
    /// The authorities that it is judged by; `None`: those of this host.
    pub ca: Option<PathBuf>,
    /// Fields that go with each request; their values are secrets, and marked as such.
    pub headers: HeaderMap,
    /// How long it may take for one batch.
    pub timeout: Duration,
    /// How many spans it gets at a time, at most.
    pub batch: usize,
    /// What is said of this gateway there, `service.name` first.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// What a collector speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/HTTP with protobuf.
    Http,
    /// OTLP/gRPC.
    Grpc,
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
