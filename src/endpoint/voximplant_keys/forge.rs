//! Where RSA keys are made: one at a time over all workers, each on a thread of its own that gives way to them, and only
//! so many callers wait, of one account no more than two. A key takes a tenth of a second and more of a core, which nobody
//! else's request waits for.
//!
//! Who has a place is kept without a lock: a thread that gives way may be the one that gives a place back, and no worker
//! waits for it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::background;
use crate::endpoint::token::{self, PublicKey};
use crate::refusal::{Cause, Refusal};
use crate::secret::Secret;

/// The most callers who make a key or wait for their turn.
const MOST_WAITING: usize = 8;
/// The most of them that are for one account.
const MOST_OF_AN_ACCOUNT: usize = 2;
/// When it is worth trying again.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes keys. Clones share the one turn.
#[derive(Clone, Debug)]
pub(in crate::endpoint) struct Forge {
    places: Arc<Places>,
    turn: Arc<Semaphore>,
}

/// Who makes a key or waits: in each place a digest of the account, or 0.
#[derive(Debug, Default)]
struct Places {
    taken: [AtomicU64; MOST_WAITING],
    digests: RandomState,
}

/// A place, free again when dropped.
#[derive(Debug)]
struct Place {
    all: Arc<Places>,
    at: usize,
}

impl Places {
    /// Takes a place for an account, if there is one for it.
    fn take(self: &Arc<Self>, account: &str) -> Result<Place, Refusal> {
        let digest = self.digests.hash_one(account).max(1);
        let free = |at: &usize| self.taken[*at].compare_exchange(0, digest, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let at = (0..MOST_WAITING)
            .find(free)
            .ok_or_else(|| Refusal::new(Cause::Overloaded, "too many wait for a key to be made").retry_after(AGAIN))?;
        let place = Place { all: Arc::clone(self), at };
        // Counted once it is taken: of two who come at once, none overlooks the other.
        let own = self.taken.iter().filter(|taken| taken.load(Ordering::SeqCst) == digest).count();
        if own > MOST_OF_AN_ACCOUNT {
            let detail = "as many keys of the account are being made as may be";
            return Err(Refusal::new(Cause::ConcurrencyExceeded, detail).retry_after(AGAIN));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.taken[self.at].store(0, Ordering::SeqCst);
    }
}

/// The turn of one caller: nobody else makes a key until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

impl Forge {
    /// One that is idle.
    pub(in crate::endpoint) fn new() -> Self {
        Self { places: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for the turn of a caller of this account; refuses where too many wait already.
    pub(super) async fn turn(&self, account: &str) -> Result<Turn, Refusal> {
        let place = self.places.take(account)?;
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| Refusal::new(Cause::Internal, "nobody has a turn any more"))?;
        Ok(Turn { _turn: turn, _place: place })
    }
}

impl Turn {
    /// Makes a pair: the private half as PKCS#8 in PEM, and the public one. The turn goes on.
    pub(super) async fn make(self) -> Result<(Self, Secret, PublicKey), Refusal> {
        let (say, said) = oneshot::channel();
        let work = move || {
            background::give_way();
            // With the turn: while it is made for nobody, because the caller has left, nobody else's is.
            drop(say.send((self, token::generate())));
        };
        let started = thread::Builder::new().name("vidgate-forge".to_owned()).spawn(work);
        started.map_err(|_| Refusal::new(Cause::Overloaded, "no thread to make a key on").retry_after(AGAIN))?;
        let broken = Refusal::new(Cause::Internal, "no key could be made");
        match said.await {
            Ok((turn, Ok((private, public)))) => Ok((turn, private, public)),
            Ok((_, Err(_))) | Err(_) => Err(broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn one_key_is_made_at_a_time_and_few_wait_for_theirs() {
        let forge = Forge::new();
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(first)) = pin!(forge.turn("first")).poll(&mut context) else { panic!("it is idle") };
        let accounts = ["a", "b", "c", "d", "e", "f", "g"];
        let mut waiting: Vec<_> = accounts.iter().map(|account| Box::pin(forge.turn(account))).collect();
        for turn in &mut waiting {
            assert!(turn.as_mut().poll(&mut context).is_pending());
        }
        let Poll::Ready(Err(refusal)) = pin!(forge.turn("h")).poll(&mut context) else { panic!("there is no place") };
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
        drop(first);
        let second = waiting[0].as_mut().poll(&mut context);
        assert!(second.is_ready(), "it is theirs until they drop it");
        assert!(waiting[1].as_mut().poll(&mut context).is_pending());
    }

    #[test]
    fn one_account_has_two_places_and_others_have_the_rest() {
        let places = Arc::new(Places::default());
        let mut own: Vec<_> = (0..MOST_OF_AN_ACCOUNT).map(|_| places.take("acme").unwrap()).collect();
        let refusal = places.take("acme").unwrap_err();
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::ConcurrencyExceeded, Some(AGAIN)));
        // Whoever was refused has left nothing behind: all the others are free.
        let others = (MOST_OF_AN_ACCOUNT..MOST_WAITING).map(|number| places.take(&number.to_string()).unwrap());
        let others: Vec<_> = others.collect();
        assert_eq!(places.take("another").unwrap_err().cause, Cause::Overloaded);
        own.pop();
        own.push(places.take("acme").unwrap());
        assert_eq!((own.len(), others.len()), (MOST_OF_AN_ACCOUNT, MOST_WAITING - MOST_OF_AN_ACCOUNT));
    }
}
