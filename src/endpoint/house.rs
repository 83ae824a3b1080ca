//! What endpoints work on: the store, asked beside the worker, so that no request waits for another one's disk.

use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use super::voximplant_keys::Forge;
use super::{token, vxg, vxg_tokens};
use crate::clock::Clock;
use crate::limit::Limits;
use crate::limit::usage::Usage;
use crate::record::Account;
use crate::refusal::{Cause, Refusal};
use crate::store::{Actor, Fault, Operation, Outcome, Refused, Request, Store};

/// How many questions to the store are under way at once, over all workers: each has a thread for as long as it takes.
const MOST_QUESTIONS: usize = 8;
/// How often an id is drawn: they are drawn out of two thousand million.
const MOST_DRAWS: u32 = 8;

/// What endpoints are built from. Clones share it.
#[derive(Clone, Debug)]
pub struct Kit {
    store: Option<Store>,
    clock: Clock,
    questions: Arc<Semaphore>,
    tokens: Arc<vxg_tokens::Outfit>,
    desk: Option<token::Desk>,
    forge: Forge,
    limits: Arc<Limits>,
}

impl Kit {
    /// For a gateway with this store and these counters.
    pub fn new(store: Option<Store>, clock: Clock, tokens: Arc<vxg_tokens::Outfit>, limits: Arc<Limits>) -> Self {
        let questions = Arc::new(Semaphore::new(MOST_QUESTIONS));
        Self { store, clock, questions, tokens, desk: None, forge: Forge::new(), limits }
    }

    /// The same where users get tokens: starts the threads that prove them.
    pub fn issuing(self, outfit: Option<token::Outfit>) -> io::Result<Self> {
        let (Some(outfit), Some(store)) = (outfit, &self.store) else { return Ok(self) };
        let desk = token::Desk::open(outfit, store.index(), self.clock.clone())?;
        Ok(Self { desk: Some(desk), ..self })
    }

    /// The same for another configuration. Its threads go on.
    ///
    /// # Errors
    ///
    /// Where they are needed for the first time, the system may refuse them.
    pub fn under(&self, tokens: Arc<vxg_tokens::Outfit>, login: Option<token::Outfit>) -> io::Result<Self> {
        let desk = match (login, &self.desk, &self.store) {
            (Some(outfit), Some(desk), Some(store)) => Some(desk.under(outfit, store.index())),
            (login, _, _) => return Self { tokens, desk: None, ..self.clone() }.issuing(login),
        };
        Ok(Self { tokens, desk, ..self.clone() })
    }

    /// Where the quotas of an account stand.
    pub(super) fn usage(&self, account: &Account) -> Vec<Usage> {
        self.limits.usage(account, self.clock.unix())
    }

    /// The store, if there is one.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// What `vxg_tokens` was told.
    pub(super) fn tokens(&self) -> &Arc<vxg_tokens::Outfit> {
        &self.tokens
    }

    /// Who proves users for `token`.
    pub(super) fn desk(&self) -> Option<&token::Desk> {
        self.desk.as_ref()
    }

    /// Where keys of service accounts are made.
    pub(super) fn forge(&self) -> &Forge {
        &self.forge
    }

    /// The house over the store. An endpoint that needs one is built only where there is one.
    pub(super) fn house(&self) -> House {
        let store = self.store.clone().expect("endpoints of the store are built where there is one");
        House { store, clock: self.clock.clone(), questions: Arc::clone(&self.questions) }
    }
}

/// The store, for endpoints.
#[derive(Clone, Debug)]
pub(super) struct House {
    store: Store,
    clock: Clock,
    questions: Arc<Semaphore>,
}

impl House {
    /// What time it is.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Looks something up, on a thread that may wait.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = Arc::clone(&self.questions).acquire_owned().await;
        let store = self.store.clone();
        let looked = tokio::task::spawn_blocking(move || {
            // Kept until it is done, also when the caller does not wait for it.
            let _turn = turn;
            look(&store)
        });
        looked.await.map_err(|_| Refusal::new(Cause::Internal, "a question to the store broke"))?.map_err(refusal)
    }

    /// Has changes made: all of them, or none. They hold for the next request when this returns.
    pub(super) async fn change(&self, actor: Actor, operations: Vec<Operation>) -> Result<Vec<Outcome>, Refused> {
        let (say, said) = oneshot::channel();
        let request = Request { actor, operations, idempotency: None };
        self.store.submit(request, move |answer| drop(say.send(answer)));
        let answer = said.await.unwrap_or_else(|_| Err(Refused::Unavailable("the store has been closed".into())));
        answer.map(|answer| answer.outcomes)
    }

    /// Has something made under a new id, and returns that; where the id is taken, another one is drawn.
    pub(super) async fn make(&self, actor: Actor, plan: impl Fn(&str) -> Vec<Operation>) -> Result<String, Refused> {
        let mut draws = 0;
        loop {
            let id = vxg::new_id();
            draws += 1;
            match self.change(actor.clone(), plan(&id)).await {
                Ok(_) => return Ok(id),
                Err(refused) if draws < MOST_DRAWS && refused.taken() == Some("id") => {}
                Err(refused) => return Err(refused),
            }
        }
    }
}

impl Refused {
    /// Whether as much is there as may be.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::InBulk { refused, .. } => refused.is_full(),
            Self::Missing { .. }
            | Self::Invalid(_)
            | Self::Conflict(_)
            | Self::InUse { .. }
            | Self::Stale { .. }
            | Self::Allotment { .. }
            | Self::Reused
            | Self::Unavailable(_) => false,
        }
    }

    /// The key of the document that somebody else has already, where that is why.
    pub(super) fn taken(&self) -> Option<&str> {
        match self {
            Self::Conflict(Fault { field, .. }) => Some(field),
            Self::InBulk { refused, .. } => refused.taken(),
            Self::Missing { .. }
            | Self::Invalid(_)
            | Self::InUse { .. }
            | Self::Stale { .. }
            | Self::Allotment { .. }
            | Self::Full { .. }
            | Self::Reused
            | Self::Unavailable(_) => None,
        }
    }
}

/// How a refusal of the store is said to a caller. Whatever holds an id is left out: it may be another one's.
pub(super) fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Missing { .. } => Refusal::new(Cause::NotFound, "the store has no such entry"),
        Refused::Invalid(_) => Refusal::new(Cause::InvalidContent, "the store does not take the document"),
        Refused::Conflict(_) => conflict("something else has this already"),
        Refused::InUse { .. } => conflict("something that is kept still needs it"),
        Refused::Stale { .. } => conflict("it was changed at the same time; please look at it again"),
        Refused::Allotment { .. } => {
            Refusal::new(Cause::AllotmentReached, "the account has all the cameras that it may")
        }
        Refused::Full { .. } => Refusal::new(Cause::AllotmentReached, "as many are there as may be"),
        Refused::InBulk { refused, .. } => refusal(*refused),
        Refused::Reused => Refusal::new(Cause::Internal, "an idempotency key that nobody gave"),
        Refused::Unavailable(error) => {
            tracing::error!(%error, "the store did not answer an endpoint");
            Refusal::new(Cause::Overloaded, "the store is not available")
        }
    }
}

/// What is asked for does not go together with what is there; `said` tells the caller how.
pub(super) fn conflict(said: &str) -> Refusal {
    Refusal { said: Some(said.into()), ..Refusal::new(Cause::Conflict, "it does not go together with what is kept") }
}
