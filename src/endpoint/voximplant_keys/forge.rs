//! Where RSA keys are made: one at a time over all workers, each on a thread of its own that gives way to them, and only
//! so many callers wait. A key takes a tenth of a second and more of a core, which nobody else's request waits for.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::background;
use crate::endpoint::token::{self, PublicKey};
use crate::refusal::{Cause, Refusal};
use crate::secret::Secret;

/// The most callers who make a key or wait for their turn.
const MOST_WAITING: usize = 8;
/// When it is worth trying again.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes keys. Clones share the one turn.
#[derive(Clone, Debug)]
pub(in crate::endpoint) struct Forge {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// The turn of one caller: nobody else makes a key until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Forge {
    /// One that is idle.
    pub(in crate::endpoint) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_WAITING)), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for the caller's turn; refuses where too many wait already.
    pub(super) async fn turn(&self) -> Result<Turn, Refusal> {
        let busy = || Refusal::new(Cause::Overloaded, "too many wait for a key to be made").retry_after(AGAIN);
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| busy())?;
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
        let Poll::Ready(Ok(first)) = pin!(forge.turn()).poll(&mut context) else { panic!("it is idle") };
        let mut waiting: Vec<_> = (1..MOST_WAITING).map(|_| Box::pin(forge.turn())).collect();
        for turn in &mut waiting {
            assert!(turn.as_mut().poll(&mut context).is_pending());
        }
        let Poll::Ready(Err(refusal)) = pin!(forge.turn()).poll(&mut context) else { panic!("there is no place") };
        assert_eq!((refusal.cause, refusal.retry_after), (Cause::Overloaded, Some(AGAIN)));
        drop(first);
        let second = waiting[0].as_mut().poll(&mut context);
        assert!(second.is_ready(), "it is theirs until they drop it");
        assert!(waiting[1].as_mut().poll(&mut context).is_pending());
    }
}
