//! How a map holds a record by the key inside it: one pointer a slot, and no key beside it.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use crate::record::{Key, Record};

/// A record that is hashed and compared by its key alone.
#[derive(Debug)]
pub(super) struct ByKey(pub(super) Arc<Record>);

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        self.0.key()
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

/// Takes eight bytes of a keyed digest for the hash that they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassThrough(u64);

/// Makes [`PassThrough`].
pub(super) type Uniform = BuildHasherDefault<PassThrough>;

impl Hasher for PassThrough {
    fn write_u64(&mut self, uniform: u64) {
        self.0 = uniform;
    }

    fn write(&mut self, bytes: &[u8]) {
        // No key comes here; whatever else does is told apart as well.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
