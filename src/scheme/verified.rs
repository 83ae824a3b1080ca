//! Tokens that this worker has verified before, so that a signature is checked once and not on every request. Bounded;
//! refusals are never remembered; and what was true then is looked up again on every hit.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use quick_cache::unsync::Cache;

use crate::clock::UnixTime;
use crate::record::{Account, Record};
use crate::scheme::issuer::Stranger;

/// The memory of one worker.
pub struct Verified(RefCell<Cache<Key, Remembered>>);

/// SHA-256 over the scheme, its policy and the whole token: never a part of them, never joined texts.
pub(super) type Key = [u8; 32];

/// What a verified token proved.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// Who.
    pub(super) holder: Holder,
    /// When the token ends.
    pub(super) expires: UnixTime,
}

/// Whose token it is.
#[derive(Clone, Debug)]
pub(super) enum Holder {
    /// A service account's.
    OnFile {
        /// The record as it was. A key that was replaced since then has another.
        record: Arc<Record>,
        /// The account that the token speaks for, as it was.
        account: Arc<Account>,
    },
    /// Somebody's whom a foreign issuer knows.
    Stranger(Arc<Stranger>),
}

impl Verified {
    /// A memory of at most about `capacity` tokens, the least used of which are forgotten first.
    pub fn new(capacity: usize) -> Self {
        Self(RefCell::new(Cache::new(capacity.max(1))))
    }

    pub(super) fn recall(&self, key: &Key) -> Option<Remembered> {
        self.0.borrow().get(key).cloned()
    }

    pub(super) fn remember(&self, key: Key, proven: Remembered) {
        self.0.borrow_mut().insert(key, proven);
    }

    pub(super) fn forget(&self, key: &Key) {
        self.0.borrow_mut().remove(key);
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("tokens", &self.len()).finish()
    }
}
