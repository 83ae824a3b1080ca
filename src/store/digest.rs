//! The keyed digest by which keys and tokens are known. Whoever sees memory or disk learns no key, and cannot try
//! guesses without the pepper.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::record::Digest;

/// The key of the digest.
#[derive(Clone)]
pub struct Pepper {
    // Keyed once, then cloned for each digest: the two blocks of the key are not hashed again.
    keyed: Hmac<Sha256>,
}

impl Pepper {
    /// A new one from the operating system's randomness.
    ///
    /// # Panics
    ///
    /// Where the operating system has none: no key made there could be kept secret.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).expect("the operating system has randomness once it runs programs");
        Self::new(&key)
    }

    /// The pepper with this key.
    pub fn new(key: &[u8; 32]) -> Self {
        // RFC 2104 §2: a key shorter than a block is filled up with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self { keyed: Hmac::new((&*block).into()) }
    }

    /// The digest of `text` under this pepper.
    pub fn digest(&self, text: &[u8]) -> Digest {
        let mut mac = self.keyed.clone();
        mac.update(text);
        Digest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_hmac_sha256() {
        // Made with: printf 'what do ya want for nothing?' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0b0b…0b (32)
        let digest = Pepper::new(&[0x0b; 32]).digest(b"what do ya want for nothing?");
        let (first, last) = digest.0.split_at(16);
        assert_eq!(first, 0xc3f2_649c_34ea_24e4_d62a_2c7e_868b_bea0_u128.to_be_bytes());
        assert_eq!(last, 0x233c_9d4c_2cc3_0079_4db7_6aa1_8d68_22d8_u128.to_be_bytes());
    }

    #[test]
    fn two_processes_know_the_same_key_by_different_digests() {
        let (one, other) = (Pepper::random(), Pepper::random());
        assert_eq!(one.digest(b"key"), one.clone().digest(b"key"));
        assert_ne!(one.digest(b"key"), other.digest(b"key"));
        assert_ne!(one.digest(b"key"), one.digest(b"kez"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Pepper::new(&[7; 32])), "Pepper(***)");
    }
}
