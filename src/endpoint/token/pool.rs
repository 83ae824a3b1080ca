//! Threads for what takes long to compute. They give way to the workers, their number is that of the cores, and what
//! waits for them is bounded: more of it is refused, so that nobody else's request ever waits for it.
//!
//! One address may have all of the room while nobody else wants any. Where there is none left, whoever has less than
//! another is let in all the same, and the last of those is refused that came from the address with the most.
//!
//! A thread that stands aside may have the lock of the line and no core to give it back on. So no worker waits for that
//! lock: whoever does not get it goes on with other requests, and comes again a moment later.

use std::collections::VecDeque;
use std::fmt;
use std::hint::spin_loop;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use crate::background;
use crate::refusal::{Cause, Refusal};

/// The most that waits. At a third of a millisecond each and one core, the last one waits for about 20 ms.
const MOST_WAITING: usize = 64;
/// With so much waiting, those who stand aside do not get a core: then somebody works who only gives way.
const TOO_MUCH: usize = MOST_WAITING / 4;
/// When it is worth trying again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the lock is tried in a row: whoever has it and a core gives it back within that time.
const TRIES: u32 = 100;
/// How long one who did not get it leaves the core to others,
const PAUSE: Duration = Duration::from_millis(1);
/// and how often: longer than the whole line takes where there is a core for it.
const PAUSES: u32 = 100;

/// What is to be done, or to be said where there is no room for it.
type Work = Box<dyn FnOnce(Turn) + Send>;

/// What became of a piece of work.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// It is done now.
    Now,
    /// It is not done: others came in its place.
    Never(Refusal),
}

struct Job {
    /// The network that it came from.
    from: IpAddr,
    work: Work,
}

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

    /// Has something done as soon as a thread is free, for somebody in the network `from`. Where nobody gives the lock of
    /// the line back for long, that is refused as well: no core is left for such work.
    pub(super) async fn submit(&self, from: IpAddr, work: impl FnOnce(Turn) + Send + 'static) -> Result<(), Refusal> {
        let mut job = Job { from, work: Box::new(work) };
        for _ in 0..PAUSES {
            job = match self.try_submit(job) {
                Ok(submitted) => return submitted,
                Err(Held(job)) => job,
            };
            sleep(PAUSE).await;
        }
        Err(full())
    }

    /// The same at once or not at all.
    fn try_submit(&self, job: Job) -> Result<Result<(), Refusal>, Held> {
        let line = &*self.0.0;
        let Some(mut waiting) = line.try_lock() else { return Err(Held(job)) };
        let outdone = if waiting.jobs.len() < MOST_WAITING {
            None
        } else {
            let Some(outdone) = waiting.outdone(job.from) else { return Ok(Err(full())) };
            Some(outdone)
        };
        waiting.jobs.push_back(job);
        let much = waiting.jobs.len() >= TOO_MUCH;
        drop(waiting);
        line.some.notify_one();
        if much {
            line.much.notify_one();
        }
        if let Some(job) = outdone {
            (job.work)(Turn::Never(full()));
        }
        Ok(Ok(()))
    }
}

/// A job that was not taken, because somebody else has the lock of the line.
struct Held(Job);

/// What is said where there is no room.
fn full() -> Refusal {
    Refusal::new(Cause::Overloaded, "too many keys wait to be opened").retry_after(AGAIN)
}

impl Waiting {
    /// Takes out the last of those from the network that has the most waiting, if that is still the most, or as much, with
    /// one less and one more for `from`.
    fn outdone(&mut self, from: IpAddr) -> Option<Job> {
        // Few enough to be counted: a map of them would cost more.
        let of = |network: IpAddr| self.jobs.iter().filter(|job| job.from == network).count();
        let (most, last) = (0..self.jobs.len()).map(|at| (of(self.jobs[at].from), at)).max()?;
        if of(from) + 1 < most { self.jobs.remove(last) } else { None }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without waiting.
    fn try_lock(&self) -> Option<MutexGuard<'_, Waiting>> {
        for _ in 0..TRIES {
            match self.waiting.try_lock() {
                Ok(waiting) => return Some(waiting),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => spin_loop(),
            }
        }
        None
    }

    /// Has the threads end once nothing waits any more.
    fn close(&self, mut waiting: MutexGuard<'_, Waiting>) {
        waiting.closed = true;
        drop(waiting);
        self.some.notify_all();
        self.much.notify_all();
    }

    /// Works whenever at least so much waits, until nobody can give work any more.
    fn work(&self, bell: fn(&Self) -> &Condvar, least: usize) {
        while let Some(job) = self.next(bell(self), least) {
            // Whoever waits for this one hears that nothing comes; the next one finds a thread all the same.
            if catch_unwind(AssertUnwindSafe(|| (job.work)(Turn::Now))).is_err() {
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
        if let Some(waiting) = self.0.try_lock() {
            return self.0.close(waiting);
        }
        // This may be a worker: somebody else waits for the lock.
        let line = Arc::clone(&self.0);
        let closing = thread::Builder::new().name("vidgate-token-close".to_owned());
        if closing.spawn(move || line.close(line.lock())).is_err() {
            self.0.close(self.0.lock());
        }
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
    use std::task::{Context, Waker};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Gives work to a pool, however often its threads have the lock.
    fn give(pool: &Pool, from: IpAddr, work: impl FnOnce(Turn) + Send + 'static) -> Result<(), Refusal> {
        let mut job = Job { from, work: Box::new(work) };
        loop {
            match pool.try_submit(job) {
                Ok(submitted) => return submitted,
                Err(Held(back)) => job = back,
            }
        }
    }

    #[test]
    fn whoever_does_not_get_the_lock_waits_for_nothing_and_loses_nothing() {
        let pool = Pool(Arc::new(Owner(Arc::default())));
        let (done, dones) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let entered = runtime.enter();
        let mut submitting = Box::pin(pool.submit(HERE, move |_| done.send(()).unwrap()));
        let held = pool.0.0.lock();
        assert!(submitting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(held.jobs.is_empty());
        drop((held, entered));
        runtime.block_on(submitting).unwrap();
        let job = pool.0.0.lock().jobs.pop_front().unwrap();
        (job.work)(Turn::Now);
        dones.recv().unwrap();
        // The one who ends it does not wait either.
        let line = Arc::clone(&pool.0.0);
        let held = line.lock();
        drop(pool);
        drop(held);
        while !line.lock().closed {
            thread::yield_now();
        }
    }

    /// Keeps a thread busy until `go` is dropped, and then panics.
    fn busy(begun: &Sender<()>, go: &Arc<Mutex<Receiver<()>>>) -> impl FnOnce(Turn) + Send + 'static {
        let (begun, go) = (begun.clone(), Arc::clone(go));
        move |_| {
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
        give(&pool, HERE, busy(&begun, &may_go)).unwrap();
        begins.recv().unwrap();
        // The only thread is busy: with this much behind it, the other one begins with the first.
        give(&pool, HERE, busy(&begun, &may_go)).unwrap();
        let submit = |number| {
            let done = done.clone();
            give(&pool, HERE, move |_| done.send(number).unwrap())
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
    fn one_address_does_not_keep_others_out() {
        // Nothing is done here: there is no thread.
        let pool = Pool(Arc::new(Owner(Arc::default())));
        let (say, said) = channel();
        let submit = |from: u8, number: usize| {
            let say = say.clone();
            give(&pool, IpAddr::from([192, 0, 2, from]), move |turn| say.send((from, number, turn)).unwrap())
        };
        // Alone, it has all of the room and no more.
        (0..MOST_WAITING).for_each(|number| submit(1, number).unwrap());
        assert!(submit(1, MOST_WAITING).is_err());
        // Others come in for the last of its, until each has as much as the others.
        (0..MOST_WAITING / 2).for_each(|number| submit(2, number).unwrap());
        assert!(submit(2, MOST_WAITING).is_err());
        submit(3, 0).unwrap();
        let refused: Vec<_> = said.try_iter().collect();
        let (last, first): (Vec<_>, Vec<_>) =
            refused.iter().map(|(from, number, _)| (*from, *number)).partition(|(from, _)| *from == 2);
        assert_eq!(first, (MOST_WAITING / 2..MOST_WAITING).rev().map(|number| (1, number)).collect::<Vec<_>>());
        assert_eq!(last, [(2, MOST_WAITING / 2 - 1)], "of two that have as much, the later one");
        let as_full = |refusal: &Refusal| (refusal.cause, refusal.retry_after) == (Cause::Overloaded, Some(AGAIN));
        assert!(refused.iter().all(|(_, _, turn)| matches!(turn, Turn::Never(refusal) if as_full(refusal))));
        let line = pool.0.0.lock();
        let left = |from: u8| line.jobs.iter().filter(|job| job.from == IpAddr::from([192, 0, 2, from])).count();
        assert_eq!((left(1), left(2), left(3)), (MOST_WAITING / 2, MOST_WAITING / 2 - 1, 1));
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
