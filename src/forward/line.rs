//! Those who wait for a place at an upstream, over all workers: first come, first served, and no more than may wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A line of waiting requests.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// How many wait; read without the lock by whoever gives a place back.
    waiting: AtomicUsize,
    tickets: Mutex<Tickets>,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    queue: VecDeque<(u64, Waker)>,
}

/// A position in the line; left when dropped.
#[derive(Debug)]
pub(super) struct Ticket<'l> {
    line: &'l Line,
    number: u64,
}

impl Line {
    /// Whether nobody waits. While somebody does, no newcomer takes a place.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The last position, unless `most` wait already.
    pub(super) fn join(&self, most: usize) -> Option<Ticket<'_>> {
        let mut tickets = self.lock();
        if tickets.queue.len() >= most {
            return None;
        }
        let number = tickets.next;
        tickets.next += 1;
        tickets.queue.push_back((number, Waker::noop().clone()));
        self.waiting.store(tickets.queue.len(), Ordering::SeqCst);
        Some(Ticket { line: self, number })
    }

    /// A place was given back: whoever is first looks for one again.
    pub(super) fn given_back(&self) {
        if self.is_empty() {
            return;
        }
        let first = self.lock().queue.front().map(|(_, waker)| waker.clone());
        if let Some(waker) = first {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Ready with what `take` finds, once it is this one's turn to look.
    pub(super) fn poll<T>(&self, context: &Context<'_>, take: impl FnOnce() -> Option<T>) -> Poll<T> {
        let is_first = {
            let mut tickets = self.line.lock();
            let own = tickets.queue.iter().position(|(number, _)| *number == self.number);
            // Before it looks: a place that is given back meanwhile wakes it.
            if let Some(own) = own {
                tickets.queue[own].1.clone_from(context.waker());
            }
            own == Some(0)
        };
        // Outside the lock: what is taken may be given back at once.
        is_first.then(take).flatten().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        {
            let mut tickets = self.line.lock();
            tickets.queue.retain(|(number, _)| *number != self.number);
            self.line.waiting.store(tickets.queue.len(), Ordering::SeqCst);
        }
        // There may be room for the next one as well.
        self.line.given_back();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    impl Bell {
        fn rang(&self) -> bool {
            self.0.swap(false, Ordering::SeqCst)
        }
    }

    #[test]
    fn who_came_first_is_served_first_and_no_more_wait_than_may() {
        let line = Line::default();
        let bells = [(); 3].map(|()| Arc::new(Bell::default()));
        let wakers = bells.each_ref().map(|bell| Waker::from(Arc::clone(bell)));
        let contexts = wakers.each_ref().map(Context::from_waker);
        let [first, second, third] = [(); 3].map(|()| line.join(3).expect("there is room"));
        assert!(line.join(3).is_none());
        let full = || None::<()>;
        assert!(first.poll(&contexts[0], full).is_pending());
        assert!(second.poll(&contexts[1], || Some(())).is_pending(), "it is not this one's turn");
        assert!(third.poll(&contexts[2], || Some(())).is_pending());
        line.given_back();
        assert_eq!(bells.each_ref().map(|bell| bell.rang()), [true, false, false]);
        // It gives up in the very moment in which it was called.
        drop(first);
        assert_eq!(bells.each_ref().map(|bell| bell.rang()), [false, true, false]);
        assert!(second.poll(&contexts[1], || Some(())).is_ready());
        drop(second);
        assert!(bells[2].rang(), "there may be room for this one too");
        assert!(!line.is_empty());
        drop(third);
        assert!(line.is_empty());
    }
}
