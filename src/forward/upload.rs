//! How a request fares between its two directions: who has the floor, and by when they shall have used it.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::forward::body::BodyError;
use crate::refusal::Cause;

/// How a request fares, seen by all who wait: the sender for the head of the answer, the answer for its next piece.
pub(super) struct Upload {
    /// The upstream's: until the head of the answer, and then for each piece of it.
    pub(super) deadline: Deadline,
    /// For the head of the answer, counted from the last byte that was sent.
    response: Duration,
    answered: Cell<bool>,
    /// Whether the answer is on its way.
    pub(super) answering: Cell<bool>,
    /// What the answer gives the upstream for its next piece, while it waits for one.
    awaited: Cell<Option<Duration>>,
    pub(super) ended: Cell<bool>,
    failed: Cell<Option<Cause>>,
}

impl Upload {
    /// Nothing sent yet.
    pub(super) fn new(deadline: Deadline, response: Duration) -> Rc<Self> {
        let [answered, answering, ended] = [(); 3].map(|()| Cell::new(false));
        let (awaited, failed) = (Cell::new(None), Cell::new(None));
        Rc::new(Self { deadline, response, answered, answering, awaited, ended, failed })
    }

    /// The upstream has the floor: it shall answer in time.
    pub(super) fn await_response(&self) {
        self.deadline.arm(self.response);
    }

    /// The head of the answer is here: from now on the deadline is the answer's.
    pub(super) fn answered(&self) {
        self.answered.set(true);
        self.answering.set(true);
        self.deadline.disarm();
    }

    /// The answer has ended, or nobody waits for it.
    pub(super) fn answer_ended(&self) {
        self.answering.set(false);
    }

    /// The answer waits for its next piece, or no longer.
    pub(super) fn await_piece(&self, idle: Option<Duration>) {
        self.awaited.set(idle);
        match idle {
            Some(idle) => self.deadline.arm(idle),
            None => self.deadline.disarm(),
        }
    }

    /// Why the request's body failed, if it did.
    pub(super) fn failure(&self) -> Option<Cause> {
        self.failed.get()
    }

    pub(super) fn fail(&self, cause: Cause) -> BodyError {
        self.failed.set(Some(cause));
        cause.name().into()
    }

    /// The caller has the floor: until it has sent more, no answer is due.
    pub(super) fn await_caller(&self) {
        if !self.answered.get() {
            self.deadline.disarm();
        }
    }

    /// More was sent: whatever is due from the upstream is counted from now.
    pub(super) fn moved(&self) {
        if !self.answered.get() {
            self.deadline.arm(self.response);
        } else if let Some(idle) = self.awaited.get() {
            self.deadline.arm(idle);
        }
    }
}

/// How an answer on its way waits for its next piece: from when it asks in vain, for so long.
#[derive(Debug)]
pub(super) struct Patience {
    idle: Duration,
    waiting: bool,
}

impl Patience {
    /// For so long each time.
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, waiting: false }
    }

    /// For how long.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// The next piece is not here. Ready, with what to say, when it was waited for too long.
    pub(super) fn wait(&mut self, upload: &Upload, context: &mut Context<'_>) -> Poll<BodyError> {
        if !self.waiting {
            self.waiting = true;
            upload.await_piece(Some(self.idle));
        }
        upload.deadline.poll(context).map(|()| "the upstream stopped in the middle of its answer".into())
    }

    /// It is here.
    pub(super) fn ended(&mut self, upload: &Upload) {
        if std::mem::take(&mut self.waiting) {
            upload.await_piece(None);
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("ended", &self.ended).finish_non_exhaustive()
    }
}
