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
pub(super) struct Link(pub [u8; 32]);

impl Link {
    /// Before the first line.
    pub(super) const ORIGIN: Self = Self([0; 32]);

    /// Compares in constant time.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The maker and the checker of a chain.
#[derive(Clone)]
pub(super) struct Chain {
    keyed: Hmac<Sha256>,
}

impl Chain {
    /// The chain under this audit key.
    pub(super) fn new(audit_key: &Key) -> Self {
        Self { keyed: audit_key.mac() }
    }

    /// The link after `body`: HMAC-SHA256 over the link before it, its length in 8 bytes (big endian) and itself.
    pub(super) fn next(&self, previous: &Link, body: &[u8]) -> Link {
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

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn the_chain_is_what_other_tools_make_of_it() {
        // Made with python: H = lambda m: hmac.new(b"\x44"*32, m, "sha256").digest()
        //   one = H(bytes(32) + struct.pack(">Q", 5) + b"first"); two = H(one + struct.pack(">Q", 6) + b"second")
        let chain = Chain::new(&Key::new(&[0x44; 32]));
        let one = chain.next(&Link::ORIGIN, b"first");
        let two = chain.next(&one, b"second");
        assert_eq!(HEXLOWER.encode(&one.0), "7ece596d174c4997fa73bd89e32ddd5035a588cd78bb221dceb7754141f3621c");
        assert_eq!(HEXLOWER.encode(&two.0), "670e7fa6b24d5e2285c91ded6c5c01750957b0d39efb5b02634c58012fcd537a");
    }

    #[test]
    fn whatever_is_altered_dropped_swapped_or_forged_changes_the_end() {
        let chain = Chain::new(&Key::new(&[1; 32]));
        let end =
            |chain: &Chain, lines: &[&[u8]]| lines.iter().fold(Link::ORIGIN, |link, line| chain.next(&link, line));
        let genuine = end(&chain, &[b"one", b"two", b"three"]);
        assert!(genuine.equals(&end(&chain, &[b"one", b"two", b"three"])));
        let changed: [&[&[u8]]; 7] = [
            &[b"one", b"two", b"thref"],
            &[b"one", b"three"],
            &[b"two", b"one", b"three"],
            &[b"one", b"two", b"two", b"three"],
            &[b"onet", b"wo", b"three"],
            &[b"one", b"two"],
            &[b"one", b"two", b"three", b""],
        ];
        for lines in changed {
            assert!(!genuine.equals(&end(&chain, lines)), "{lines:?}");
        }
        assert!(!genuine.equals(&end(&Chain::new(&Key::new(&[2; 32])), &[b"one", b"two", b"three"])));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Chain::new(&Key::new(&[1; 32]))), "Chain(***)");
    }
}
