//! A worker's connections of HTTP/2 to one endpoint: few, since each carries many requests. A request takes the first
//! one with room; where none has, another is opened by one request while the others wait for it; and where there are as
//! many as may be, requests wait until another one ends: so many, and no longer than their deadline.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

use crate::deadline::Deadlines;
use crate::forward::http2::session::{Lent, Session};

/// The most connections of a worker to one endpoint.
const MOST: usize = 4;
/// How many requests may wait for room.
const QUEUE: usize = 100;

/// A worker's connections to one endpoint.
#[derive(Debug)]
pub(in crate::forward) struct Sessions {
    deadlines: Rc<Deadlines>,
    keep: Duration,
    open: RefCell<Vec<Rc<Session>>>,
    /// Whether one is being opened.
    opening: Cell<bool>,
    queue: Rc<Queue>,
}

/// Who waits for room.
#[derive(Debug, Default)]
pub(super) struct Queue(RefCell<Slab<Waker>>);

impl Queue {
    /// There may be room now: whoever comes first takes it.
    pub(super) fn wake(&self) {
        for (_, waker) in self.0.borrow().iter() {
            waker.wake_by_ref();
        }
    }
}

/// What a request shall do.
pub(super) enum Turn {
    /// Go out on this connection.
    Use(Lent),
    /// Open one, also for those who wait.
    Open(Opening),
    /// Give up: too many wait.
    Full,
}

impl Sessions {
    /// None yet; each is kept for `keep` without being used.
    pub(in crate::forward) fn new(deadlines: Rc<Deadlines>, keep: Duration) -> Rc<Self> {
        let (open, queue) = (RefCell::default(), Rc::default());
        Rc::new(Self { deadlines, keep, open, opening: Cell::new(false), queue })
    }

    /// Whether it keeps connections as one with this setting would.
    pub(in crate::forward) fn is_like(&self, keep: Duration) -> bool {
        self.keep == keep
    }

    /// Ends what has aged.
    pub(in crate::forward) fn sweep(&self) {
        let now = self.deadlines.now();
        let aged = |session: &Session| {
            session.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= self.keep)
        };
        self.open.borrow_mut().retain(|session| !session.is_over() && !aged(session));
    }

    /// How many connections carry requests, and how many carry none.
    pub(in crate::forward) fn connections(&self) -> (usize, usize) {
        let open = self.open.borrow();
        let busy = open.iter().filter(|session| session.streams() > 0).count();
        (busy, open.len() - busy)
    }

    /// Who waits for room on its connections.
    pub(super) fn queue(&self) -> &Rc<Queue> {
        &self.queue
    }

    /// What a request shall do; pending while there is no room.
    fn poll_turn(self: &Rc<Self>, waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<Turn> {
        self.sweep();
        let open = self.open.borrow();
        if let Some(session) = open.iter().find(|session| session.streams() < session.room()) {
            return Poll::Ready(Turn::Use(Lent::new(session)));
        }
        if open.len() < MOST && !self.opening.replace(true) {
            return Poll::Ready(Turn::Open(Opening(Rc::clone(self))));
        }
        if waiting.poll(context) { Poll::Pending } else { Poll::Ready(Turn::Full) }
    }

    /// What a request shall do, once that is known.
    pub(super) async fn turn(self: &Rc<Self>) -> Turn {
        let mut waiting = Waiting { queue: Rc::clone(&self.queue), key: None };
        std::future::poll_fn(|context| self.poll_turn(&mut waiting, context)).await
    }
}

/// A request that waits; dropped, it waits no longer.
struct Waiting {
    queue: Rc<Queue>,
    key: Option<usize>,
}

impl Waiting {
    /// Waits on; `false`: too many do.
    fn poll(&mut self, context: &Context<'_>) -> bool {
        let mut queue = self.queue.0.borrow_mut();
        match self.key {
            Some(key) => queue[key].clone_from(context.waker()),
            None if queue.len() < QUEUE => self.key = Some(queue.insert(context.waker().clone())),
            None => return false,
        }
        true
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.queue.0.borrow_mut().remove(key);
        }
    }
}

/// A connection that is being opened. Dropped before it is, it is the next one's turn to try.
pub(super) struct Opening(Rc<Sessions>);

impl Opening {
    /// It is open.
    pub(super) fn done(self, session: &Rc<Session>) -> Lent {
        self.0.open.borrow_mut().push(Rc::clone(session));
        Lent::new(session)
    }

    /// Who waits for it.
    pub(super) fn queue(&self) -> &Rc<Queue> {
        self.0.queue()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.opening.set(false);
        self.0.queue.wake();
    }
}
