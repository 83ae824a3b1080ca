//! What is noted of a request on its way to an upstream and back, for whoever tells of it: where it went, and how much of
//! its body was taken in. Nothing is decided by it.

use std::cell::Cell;
use std::fmt;

use super::upstream::UpstreamId;

/// Where a request went, and how much of it.
#[derive(Debug, Default)]
pub struct Journey {
    endpoint: Cell<Option<(UpstreamId, usize)>>,
    received: Cell<u64>,
}

impl Journey {
    /// The last endpoint that it was sent to: its upstream, and its place there.
    pub fn endpoint(&self) -> Option<(UpstreamId, usize)> {
        self.endpoint.get()
    }

    /// How many bytes of its body were taken in.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// So many more were.
    pub fn take(&self, bytes: u64) {
        self.received.set(self.received.get().saturating_add(bytes));
    }

    /// It begins anew, for another request.
    pub fn reset(&self) {
        self.endpoint.set(None);
        self.received.set(0);
    }

    /// It is sent to this endpoint.
    pub fn goes_to(&self, upstream: UpstreamId, endpoint: usize) {
        self.endpoint.set(Some((upstream, endpoint)));
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// All of it was handed on.
    Complete,
    /// It broke off: the upstream's doing, or the caller would be let in no longer.
    Broken,
    /// The caller left before.
    #[default]
    Left,
}

/// Who wants to know how an answer goes on after its head.
pub trait Witness: fmt::Debug {
    /// So many bytes of it were handed on.
    fn passed(&mut self, bytes: u64);

    /// So many bytes of the request were, where that goes on as long as the answer.
    fn received(&mut self, bytes: u64);

    /// It has ended.
    fn ended(self: Box<Self>, end: End);
}

/// A witness, told of the end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Witnessed {
    witness: Option<Box<dyn Witness>>,
    end: End,
}

impl Witnessed {
    /// Seen by this one.
    pub(super) fn by(witness: Box<dyn Witness>) -> Self {
        Self { witness: Some(witness), end: End::Left }
    }

    /// So many bytes of the answer were handed on.
    pub(super) fn passed(&mut self, bytes: u64) {
        if let Some(witness) = &mut self.witness {
            witness.passed(bytes);
        }
    }

    /// So many bytes of the request were.
    pub(super) fn received(&mut self, bytes: u64) {
        if let Some(witness) = &mut self.witness {
            witness.received(bytes);
        }
    }

    /// This is how it ends, if nothing follows.
    pub(super) fn ends(&mut self, end: End) {
        self.end = end;
    }

    /// Whether anybody looks.
    pub(super) fn is_seen(&self) -> bool {
        self.witness.is_some()
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        if let Some(witness) = self.witness.take() {
            witness.ended(self.end);
        }
    }
}
