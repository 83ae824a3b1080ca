//! How fast a request's body comes: a caller that stops, or that sends a byte now and then, is not waited for.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::deadline::{Deadline, Deadlines};
use crate::edge::stage::{InFlight, Uploading};

/// The least that a caller sends on average while it is waited for, in bytes a second.
const LEAST_RATE: u64 = 240;

/// How fast a request's body comes, counting only the time that the caller is waited for.
#[derive(Debug)]
pub(super) struct Pace {
    deadline: Deadline,
    /// For the next piece; also what an average is not asked of.
    piece: Duration,
    since: Option<Instant>,
    waited: Duration,
    bytes: u64,
    _uploading: Uploading,
}

impl Pace {
    /// The request's body is about to be read; `piece` is how long the caller may take for each piece.
    pub(super) fn new(deadlines: &Rc<Deadlines>, piece: Duration, in_flight: &InFlight) -> Self {
        Self {
            deadline: deadlines.register(),
            piece,
            since: None,
            waited: Duration::ZERO,
            bytes: 0,
            _uploading: in_flight.upload(),
        }
    }

    /// Forgives the wait so far.
    pub(super) fn go_on(&mut self) {
        self.since = None;
    }

    /// Nothing there: ready once the caller has taken too long.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            self.since = Some(self.deadline.now());
            self.deadline.arm(self.piece);
        }
        self.deadline.poll(context)
    }

    /// So many bytes came: whether that is fast enough. An empty piece is none, and the wait goes on.
    pub(super) fn keeps_up(&mut self, bytes: u64) -> bool {
        if bytes > 0
            && let Some(since) = self.since.take()
        {
            self.deadline.disarm();
            self.waited += self.deadline.now().saturating_duration_since(since);
        }
        self.bytes += bytes;
        self.bytes >= LEAST_RATE * self.waited.saturating_sub(self.piece).as_secs()
    }
}
