//! Threads for what takes long to compute. They give way to the workers, their number is that of the cores, and what
//! waits for them is bounded: more of it is refused, so that nobody else's request ever waits for it (threats A21).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::background;
use crate::refusal::{Cause, Refusal};

/// The most that waits. At a third of a millisecond each and one core, the last one waits for about 20 ms.
const MOST_WAITING: usize = 64;
/// When it is worth trying again.
const AGAIN: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when nobody can give them work any more.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    jobs: SyncSender<Job>,
}

impl Pool {
    /// Starts a thread a core.
    pub(super) fn start() -> io::Result<Self> {
        Self::of(thread::available_parallelism().map_or(1, Into::into))
    }

    fn of(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(MOST_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name(format!("vidgate-token-{number}")).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs })
    }

    /// Has something done as soon as a thread is free. Never waits.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Refusal> {
        self.jobs
            .try_send(Box::new(job))
            .map_err(|_| Refusal::new(Cause::Overloaded, "too many keys wait to be opened").retry_after(AGAIN))
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    background::give_way();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { break };
        // Whoever waits for this one hears that nothing comes; the next one finds a thread all the same.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a thread that opens keys has panicked, and goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_waits_is_bounded_and_a_panic_costs_one_job() {
        let pool = Pool::of(1).unwrap();
        let (begun, begins) = channel();
        let (go, may_go) = channel::<()>();
        pool.submit(move || {
            begun.send(()).unwrap();
            may_go.recv().unwrap_or_default();
            panic!("on purpose");
        })
        .unwrap();
        begins.recv().unwrap();
        let (done, dones) = channel();
        for number in 0..MOST_WAITING {
            let done = done.clone();
            pool.submit(move || done.send(number).unwrap()).unwrap();
        }
        let refusal = pool.submit(|| ()).unwrap_err();
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
        drop(go);
        drop(done);
        assert_eq!(dones.iter().collect::<Vec<_>>(), (0..MOST_WAITING).collect::<Vec<_>>());
    }
}
