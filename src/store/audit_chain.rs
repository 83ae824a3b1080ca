//! The chain through an audit trail: each line carries a keyed digest over itself and all lines before it, so that
//! who has only the file can alter, drop or insert nothing unseen. A trail cut off at its end still reads well by
//! itself: whoever keeps the trail also keeps the newest [`Link`], out of reach of who may touch the file.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::key::Key;

/// Where a chain stands after a line. Not secret.
#[derive(Clone, Copy, Debug)]
pub struct Link(pub [u8; 32]);

impl Link {
    /// Before the first line.
    pub const ORIGIN: Self = Self([0; 32]);

    /// Compares in constant time.
    pub fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The maker and the checker of a chain.
#[derive(Clone)]
pub struct Chain {
    keyed: Hmac<Sha256>,
}

impl Chain {
    /// The chain under this audit key.
    pub fn new(audit_key: &Key) -> Self {
        Self { keyed: audit_key.mac() }
    }

    /// The link after `body`: HMAC-SHA256 over the link before it, its length in 8 bytes (big endian) and itself.
    pub fn next(&self, previous: &Link, body: &[u8]) -> Link {
        let mut mac = self.keyed.clone();
        mac.update(&previous.0);
        mac.update(&(body.len() as u64).to_be_bytes());
        mac.update(body);
        Link(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain(***)")
    }
}
