//! A worker's own connections to one endpoint: the last one used is the first one taken, so that the rest can age.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deadline::Deadlines;
use crate::forward::door::Turn;
use crate::forward::http1::Connection;
use crate::forward::names::Name;

/// Idle connections to one endpoint.
#[derive(Debug)]
pub(super) struct Pool {
    deadlines: Rc<Deadlines>,
    idle: RefCell<Vec<Idle>>,
    /// Held once more by each connection that is on loan, so that these are counted.
    lent: Rc<()>,
    keep: Duration,
    most: usize,
    /// Whose addresses they go to, where the endpoint has a name.
    name: Option<Arc<Name>>,
}

#[derive(Debug)]
struct Idle {
    connection: Rc<RefCell<Connection>>,
    address: Option<IpAddr>,
    since: Instant,
}

impl Pool {
    /// Keeps at most `most` connections, each for `keep` at most.
    pub(super) fn new(deadlines: Rc<Deadlines>, keep: Duration, most: usize, name: Option<Arc<Name>>) -> Rc<Self> {
        Rc::new(Self { deadlines, idle: RefCell::default(), lent: Rc::default(), keep, most, name })
    }

    /// Whether it keeps connections as one with these settings would.
    pub(super) fn is_like(&self, keep: Duration, most: usize) -> bool {
        (self.keep, self.most) == (keep, most)
    }

    /// Takes the connection that was used last and is still open. Nobody watches them: each is asked when it is due.
    pub(super) fn take(self: &Rc<Self>) -> Option<Lent> {
        let mut idle = self.idle.borrow_mut();
        let now = self.deadlines.now();
        while let Some(Idle { connection, address, since }) = idle.pop() {
            if now.saturating_duration_since(since) >= self.keep {
                // Everything below it is older still.
                idle.clear();
                return None;
            }
            if connection.borrow_mut().is_open() {
                return Some(Lent::new(connection, address, self));
            }
        }
        None
    }

    /// Drops what has aged, was closed by the upstream, or goes to an address that is not one of its name any more.
    pub(super) fn sweep(&self) {
        let now = self.deadlines.now();
        self.idle.borrow_mut().retain(|idle| {
            now.saturating_duration_since(idle.since) < self.keep
                && self.name.as_ref().zip(idle.address).is_none_or(|(name, address)| name.has(address))
                && idle.connection.borrow_mut().is_open()
        });
    }

    /// How many connections are on loan, and how many are idle.
    pub(super) fn connections(&self) -> (usize, usize) {
        (Rc::strong_count(&self.lent) - 1, self.idle.borrow().len())
    }

    fn give_back(&self, connection: Rc<RefCell<Connection>>, address: Option<IpAddr>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most {
            connection.borrow_mut().rest();
            idle.push(Idle { connection, address, since: self.deadlines.now() });
        }
    }
}

/// A connection on loan to one request. Dropped before its answer has ended, it is closed.
#[derive(Debug)]
pub(super) struct Lent {
    connection: Rc<RefCell<Connection>>,
    address: Option<IpAddr>,
    pool: Rc<Pool>,
    #[expect(dead_code, reason = "counted as long as this is held")]
    counted: Rc<()>,
    #[expect(dead_code, reason = "the request's place at the endpoint, held as long as this")]
    turn: Option<Turn>,
}

impl Lent {
    /// `address`: where it goes, if its pool is that of a name.
    pub(super) fn new(connection: Rc<RefCell<Connection>>, address: Option<IpAddr>, pool: &Rc<Pool>) -> Self {
        Self { connection, address, pool: Rc::clone(pool), counted: Rc::clone(&pool.lent), turn: None }
    }

    /// The same with the request's place at the endpoint, which is given back together with it.
    pub(super) fn with(self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// The connection.
    pub(super) fn connection(&self) -> &Rc<RefCell<Connection>> {
        &self.connection
    }

    /// The answer has ended: puts the connection back, if it may be used again. `taken` says that nothing more comes from
    /// the caller.
    pub(super) fn give_back(self, taken: bool) {
        let reusable = {
            let mut connection = self.connection.borrow_mut();
            connection.answer_ended(true);
            connection.is_reusable()
        };
        if reusable && taken {
            self.pool.give_back(self.connection, self.address);
        }
    }
}
