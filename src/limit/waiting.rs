//! A request that waits until its quota is written down.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::futures::OwnedNotified;

use crate::deadline::Deadline;

/// Waits for the ledger.
pub struct Waiting(Pin<Box<OwnedNotified>>);

impl Waiting {
    pub(super) fn new(written: OwnedNotified) -> Self {
        Self(Box::pin(written))
    }

    /// Whether the ledger has answered, this request or another, before the deadline.
    pub async fn before(mut self, deadline: &Deadline) -> bool {
        poll_fn(|context| match self.0.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => deadline.poll(context).map(|()| false),
        })
        .await
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
