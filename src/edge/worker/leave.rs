//! When a connection has to leave, and what is on it has to end.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::{Answer, Stay, Worker};
use crate::deadline::Deadline;
use crate::edge::connection::ListenerId;
use crate::edge::stage::Stage;

/// Whether a connection was asked to leave: because the house closes, because its listener is no more, or of its age.
pub(super) struct Leave {
    stage: Rc<Stage>,
    listener: ListenerId,
    age: Option<Deadline>,
    changes: u64,
    asked: bool,
    told: bool,
    last: Option<Deadline>,
}

impl Leave {
    /// Not asked yet.
    pub(super) fn new<A>(listener: ListenerId, stage: &Rc<Stage>, worker: &Worker<A>) -> Self {
        let age = stage.limits().age.map(|age| {
            let deadline = worker.deadlines.register();
            deadline.arm(age);
            deadline
        });
        Self { stage: Rc::clone(stage), listener, age, changes: 0, asked: false, told: false, last: None }
    }

    /// Whether it is asked now; that is said once.
    pub(super) fn is_asked<A: Answer>(&mut self, worker: &Worker<A>, context: &mut Context<'_>) -> bool {
        if self.asked {
            return false;
        }
        self.asked = self.ends_tunnels(worker) || self.age.as_ref().is_some_and(|age| age.poll(context).is_ready());
        if self.asked {
            self.stage.hurry();
        }
        self.asked
    }

    /// Whether the request in flight is the last one of HTTP/1; that is said once. Not before a head is whole: until then hyper
    /// takes the connection for idle, and would close it on a request that comes.
    pub(super) fn is_last<A: Answer>(&mut self, worker: &Worker<A>, context: &mut Context<'_>) -> bool {
        self.is_asked(worker, context);
        let last = self.asked && !self.told && !self.stage.is_idle();
        self.told |= last;
        last
    }

    /// Whether it was asked to leave and nothing keeps it.
    pub(super) fn is_done(&self) -> bool {
        self.asked && self.stage.is_between()
    }

    /// Whether tunnels on it have to end too: not because of its age, since they have one of their own.
    pub(super) fn ends_tunnels<A: Answer>(&mut self, worker: &Worker<A>) -> bool {
        if self.last.is_none() && self.changes != worker.changes.get() {
            self.changes = worker.changes.get();
            if let Stay::Leave(time) = worker.answer.stay(self.listener) {
                let last = worker.deadlines.register();
                last.arm(time);
                self.last = Some(last);
            }
        }
        self.last.is_some() || worker.draining.get()
    }

    /// Ready when the time is over that it had left.
    pub(super) fn poll_over(&self, context: &mut Context<'_>) -> Poll<()> {
        self.last.as_ref().map_or(Poll::Pending, |last| last.poll(context))
    }
}
