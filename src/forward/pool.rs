//! A worker's own connections to one endpoint: the last one used is the first one taken, so that the rest can age.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use crate::deadline::Deadlines;
use crate::forward::body::Outgoing;

/// Idle connections to one endpoint.
#[derive(Debug)]
pub(super) struct Pool {
    deadlines: Rc<Deadlines>,
    idle: RefCell<Vec<Idle>>,
    keep: Duration,
    most: usize,
}

struct Idle {
    sender: SendRequest<Outgoing>,
    since: Instant,
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Pool {
    /// Keeps at most `most` connections, each for `keep` at most.
    pub(super) fn new(deadlines: Rc<Deadlines>, keep: Duration, most: usize) -> Rc<Self> {
        Rc::new(Self { deadlines, idle: RefCell::default(), keep, most })
    }

    /// Takes the connection that was used last and is still open.
    pub(super) fn take(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle.borrow_mut();
        let now = self.deadlines.now();
        while let Some(Idle { sender, since }) = idle.pop() {
            if now.saturating_duration_since(since) >= self.keep {
                // Everything below it is older still.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// Drops what has aged or was closed by the upstream.
    pub(super) fn sweep(&self) {
        let now = self.deadlines.now();
        self.idle
            .borrow_mut()
            .retain(|idle| !idle.sender.is_closed() && now.saturating_duration_since(idle.since) < self.keep);
    }

    fn give_back(&self, sender: SendRequest<Outgoing>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most && !sender.is_closed() {
            idle.push(Idle { sender, since: self.deadlines.now() });
        }
    }
}

/// A connection on loan to one request.
pub(super) struct Lent {
    sender: SendRequest<Outgoing>,
    pool: Rc<Pool>,
}

impl Lent {
    pub(super) fn new(sender: SendRequest<Outgoing>, pool: &Rc<Pool>) -> Self {
        Self { sender, pool: Rc::clone(pool) }
    }

    /// The connection.
    pub(super) fn sender(&mut self) -> &mut SendRequest<Outgoing> {
        &mut self.sender
    }

    /// Puts it back; to be called only when both directions have ended on it.
    pub(super) fn give_back(self) {
        self.pool.give_back(self.sender);
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent")
    }
}
