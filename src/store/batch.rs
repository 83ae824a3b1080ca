//! What waits for the writer: changes, reservations of quotas and other tasks; how many of them share a transaction, and
//! when more are waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::{self, Thread};
use std::time::Duration;

use super::refused::Refused;
use super::writer::Writer;
use super::{Answer, Request};
use crate::limit::ledger::LedgerEntry;

/// The most operations in one transaction: it lies in memory until it is written. One request is never parted.
const MOST_AT_ONCE: usize = 8192;
/// From so many requests in one transaction on, others are on their way.
const CROWD: usize = 4;
/// How long those are waited for. Most of what a transaction costs, its fsyncs and the pages of its tables, it costs once:
/// fewer and larger ones leave the cores to the workers. Sixteen who ask one thing after another still get 3000 a second.
pub(super) const PATIENCE: Duration = Duration::from_millis(3);

/// Who hears what came of a request.
pub(super) type Reply = Box<dyn FnOnce(Result<Answer, Refused>) + Send>;

/// Something else that the writer does between two batches.
pub(super) type Task = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer is asked to do.
pub(super) enum Job {
    Change { request: Request, reply: Reply },
    Reserve(Reservation),
    Task(Task),
}

/// What is to stand in the ledger of quotas.
pub(super) struct Reservation {
    pub(super) entries: Vec<LedgerEntry>,
    done: Option<Box<dyn FnOnce(bool) + Send>>,
}

impl Reservation {
    pub(super) fn new(entries: Vec<LedgerEntry>, done: Box<dyn FnOnce(bool) + Send>) -> Self {
        Self { entries, done: Some(done) }
    }

    /// Tells that it is on disk.
    pub(super) fn succeed(mut self) {
        if let Some(done) = self.done.take() {
            done(true);
        }
    }
}

/// Whoever waits for one hears that it is not written, whatever became of it.
impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(false);
        }
    }
}

/// What is worked in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) requests: Vec<(Request, Reply)>,
    pub(super) reservations: Vec<Reservation>,
    operations: usize,
}

impl Batch {
    /// Whether there is nothing to be worked.
    pub(super) fn is_empty(&self) -> bool {
        self.operations == 0 && self.requests.is_empty()
    }

    /// How many jobs it holds.
    pub(super) fn jobs(&self) -> usize {
        self.requests.len() + self.reservations.len()
    }

    /// Takes a job in; a task is given back.
    fn take(&mut self, job: Job) -> Option<Task> {
        match job {
            Job::Change { request, reply } => {
                self.operations += request.operations.len();
                self.requests.push((request, reply));
            }
            Job::Reserve(reservation) => {
                self.operations += reservation.entries.len();
                self.reservations.push(reservation);
            }
            Job::Task(task) => return Some(task),
        }
        None
    }
}

impl Job {
    /// Answers that it will not be done. What else is dropped tells so by itself.
    pub(super) fn refuse(self, refused: Refused) {
        match self {
            Self::Change { reply, .. } => reply(Err(refused)),
            Self::Reserve(_) | Self::Task(_) => {}
        }
    }
}

/// Whether others are waited for before this is worked, after a transaction of so many requests. Few who ask one thing
/// after another wait for nobody; neither does a request that is relayed and waits for its quota.
pub(super) fn pauses(next: &Job, requests_before: usize) -> bool {
    matches!(next, Job::Change { .. }) && requests_before >= CROWD
}

/// Word to the writer that something waits which is not kept waiting. Waking its thread is not enough: a thread that
/// waits for jobs takes that for a new job, and would sleep through the pause behind it.
#[derive(Debug, Default)]
pub(super) struct Hurry(AtomicBool);

impl Hurry {
    /// Ends the writer's pause, or the next one. To be called when the job is in the queue.
    pub(super) fn up(&self, writer: &Thread) {
        self.0.store(true, Ordering::Release);
        writer.unpark();
    }

    /// The writer's pause: so long, or until somebody is in a hurry.
    pub(super) fn rest(&self, patience: Duration) {
        if !self.0.swap(false, Ordering::Acquire) {
            thread::park_timeout(patience);
            // Whoever ended it is taken in behind it.
            self.0.store(false, Ordering::Relaxed);
        }
    }
}

/// Takes what waits, up to a task, which comes after it.
pub(super) fn gather(jobs: &Receiver<Job>, batch: &mut Batch, first: Job) -> Option<Task> {
    let mut next = Some(first);
    while let Some(job) = next {
        if let Some(task) = batch.take(job) {
            return Some(task);
        }
        next = if batch.operations < MOST_AT_ONCE { jobs.try_recv().ok() } else { None };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::store::Actor;

    fn change() -> Job {
        let request = Request { actor: Actor("test:one".to_owned()), operations: Vec::new(), idempotency: None };
        Job::Change { request, reply: Box::new(|_| {}) }
    }

    #[test]
    fn a_crowd_is_waited_for_and_few_are_not() {
        let reserve = || Job::Reserve(Reservation::new(Vec::new(), Box::new(|_| {})));
        let task = || Job::Task(Box::new(|_| {}));
        for (what, next, before, waits) in [
            ("the first of all", change(), 0, false),
            ("one after another", change(), 1, false),
            ("a few", change(), CROWD - 1, false),
            ("a crowd", change(), CROWD, true),
            ("a large one", change(), 500, true),
            ("a quota", reserve(), 500, false),
            ("a task", task(), 500, false),
        ] {
            assert_eq!(pauses(&next, before), waits, "{what}");
        }
    }

    #[test]
    fn a_hurry_is_not_lost_when_the_thread_was_woken_before_it_pauses() {
        let (say, said) = channel();
        thread::spawn(move || {
            let hurry = Hurry::default();
            hurry.up(&thread::current());
            // As waiting for a job does.
            thread::park();
            hurry.rest(Duration::from_hours(1));
            say.send(()).unwrap();
        });
        assert_eq!(said.recv_timeout(Duration::from_mins(3)), Ok(()));
    }
}
