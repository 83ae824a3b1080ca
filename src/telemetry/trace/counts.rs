//! What becomes of spans, of all workers together, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Spans, by what became of them. In a build without traces there are none.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Each outcome as it is called in metrics, and how many spans have met it.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        [("sent", &self.sent), ("dropped", &self.dropped), ("failed", &self.failed)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

#[cfg(feature = "otlp")]
impl Counts {
    /// So many had no room, and were given up before they were sent.
    pub(super) fn give_up(&self, spans: u64) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    /// So many were sent, of which the collector did not take these.
    pub(super) fn send(&self, spans: u64, failed: u64) {
        self.sent.fetch_add(spans - failed, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    /// How many are lost, of the one kind and of the other.
    pub(super) fn lost(&self) -> (u64, u64) {
        (self.dropped.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}
