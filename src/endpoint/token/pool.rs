//! Threads for what takes long to compute. They give way to the workers, their number is that of the cores, and what
//! waits for them is bounded: more of it is refused, so that nobody else's request ever waits for it (threats A21).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::background;
use crate::refusal::{Cause, Refusal};

/// The most that waits. At a third of a millisecond each and one core, the last one waits for about 20 ms.
const MOST_WAITING: usize = 64;
/// With so much waiting, those who stand aside do not get a core: then somebody works who only gives way.
const TOO_MUCH: usize = MOST_WAITING / 4;
/// When it is worth trying again.
const AGAIN: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end when nobody can give them work any more.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Owner>);

/// What waits, and who for it.
#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    /// For those who stand aside: there is something.
    some: Condvar,
    /// For the one who gives way: there is too much.
    much: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// Starts a thread a core, and one more for when those get none.
    pub(super) fn start() -> io::Result<Self> {
        Self::of(thread::available_parallelism().map_or(1, Into::into))
    }

    fn of(threads: usize) -> io::Result<Self> {
        let pool = Self(Arc::new(Owner(Arc::default())));
        for number in 0..threads {
            let line = Arc::clone(&pool.0.0);
            let work = move || {
                background::stand_aside();
                line.work(|line| &line.some, 1);
            };
            thread::Builder::new().name(format!("vidgate-token-{number}")).spawn(work)?;
        }
        let line = Arc::clone(&pool.0.0);
        let relieve = move || {
            background::give_way();
            line.work(|line| &line.much, TOO_MUCH);
        };
        thread::Builder::new().name("vidgate-token-relief".to_owned()).spawn(relieve)?;
        Ok(pool)
    }

    /// Has something done as soon as a thread is free. Never waits.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Refusal> {
        let line = &*self.0.0;
        let mut waiting = line.lock();
        if waiting.jobs.len() >= MOST_WAITING {
            return Err(Refusal::new(Cause::Overloaded, "too many keys wait to be opened").retry_after(AGAIN));
        }
        waiting.jobs.push_back(Box::new(job));
        let much = waiting.jobs.len() >= TOO_MUCH;
        drop(waiting);
        line.some.notify_one();
        if much {
            line.much.notify_one();
        }
        Ok(())
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works whenever at least so much waits, until nobody can give work any more.
    fn work(&self, bell: fn(&Self) -> &Condvar, least: usize) {
        while let Some(job) = self.next(bell(self), least) {
            // Whoever waits for this one hears that nothing comes; the next one finds a thread all the same.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a thread that opens keys has panicked, and goes on");
            }
        }
    }

    fn next(&self, bell: &Condvar, least: usize) -> Option<Job> {
        let idle = |waiting: &mut Waiting| waiting.jobs.len() < least && !waiting.closed;
        let mut waiting = bell.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        waiting.jobs.pop_front()
    }
}

/// Closes the line when the last clone of the pool is gone; what waits is still done.
struct Owner(Arc<Line>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.some.notify_all();
        self.0.much.notify_all();
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Keeps a thread busy until `go` is dropped, and then panics.
    fn busy(begun: &Sender<()>, go: &Arc<Mutex<Receiver<()>>>) -> impl FnOnce() + Send + 'static {
        let (begun, go) = (begun.clone(), Arc::clone(go));
        move || {
            begun.send(()).unwrap();
            go.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap_or_default();
            panic!("on purpose");
        }
    }

    #[test]
    fn what_waits_is_bounded_relieved_and_a_panic_costs_one_job() {
        let pool = Pool::of(1).unwrap();
        let ((begun, begins), (go, may_go), (done, dones)) = (channel(), channel(), channel());
        let may_go = Arc::new(Mutex::new(may_go));
        pool.submit(busy(&begun, &may_go)).unwrap();
        begins.recv().unwrap();
        // The only thread is busy: with this much behind it, the other one begins with the first.
        pool.submit(busy(&begun, &may_go)).unwrap();
        let submit = |number| {
            let done = done.clone();
            pool.submit(move || done.send(number).unwrap())
        };
        (1..TOO_MUCH).for_each(|number| submit(number).unwrap());
        begins.recv().unwrap();
        // Both are busy now.
        (TOO_MUCH..=MOST_WAITING).for_each(|number| submit(number).unwrap());
        let refusal = submit(0).unwrap_err();
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
        drop(go);
        let mut all: Vec<_> = dones.iter().take(MOST_WAITING).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=MOST_WAITING).collect::<Vec<_>>());
    }

    #[test]
    fn the_threads_end_when_nobody_can_give_them_work() {
        let pool = Pool::of(2).unwrap();
        let line = Arc::downgrade(&pool.0.0);
        drop(pool);
        let mut tries = 0;
        while line.strong_count() > 0 {
            tries += 1;
            assert!(tries < 1_000_000, "a thread still waits");
            thread::yield_now();
        }
    }
}
