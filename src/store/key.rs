//! A secret key of 32 bytes and what is done with one: sealing (AES-256-GCM) and authenticating (HMAC-SHA256). What
//! is sealed, and where it belongs, is the business of the rooms that call this one.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

const TAG_LEN: usize = 16;

/// A secret key; wiped when dropped.
// On the heap: what moves is the pointer, so that a list of keys that grows leaves no copy of them behind.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key(Box<[u8; 32]>);

impl Key {
    /// The key with these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Box::new(*bytes))
    }

    /// A new one from the operating system's randomness.
    ///
    /// # Panics
    ///
    /// Where the operating system has none: no key made there could be kept secret.
    pub fn random() -> Self {
        let mut key = Self(Box::new([0; 32]));
        getrandom::fill(key.0.as_mut_slice()).expect("the operating system has randomness once it runs programs");
        key
    }

    /// Shows the bytes to the one piece of code that needs them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 under this key, to be cloned for each text: the two blocks of the key are hashed only here.
    pub(super) fn mac(&self) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than a block is filled up with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(self.expose());
        Hmac::new((&*block).into())
    }

    /// AES-256-GCM under this key.
    pub(super) fn cipher(&self) -> Cipher {
        Cipher(RandomizedNonceKey::new(&AES_256_GCM, self.expose()).expect("32 bytes are a key of AES-256"))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// AES-256-GCM, keyed once. What it seals reads nonce, ciphertext, tag.
///
/// Each sealing draws its nonce at random, so one key is good for 2³² of them (NIST SP 800-38D §8.3).
pub(super) struct Cipher(RandomizedNonceKey);

impl Cipher {
    /// Seals `plain`, bound to `aad`.
    pub(super) fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        // At its full length from the start: growing would leave the plain text behind in the old memory.
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(plain);
        let (nonce, tag) = self
            .0
            .seal_in_place_separate_tag(Aad::from(aad), &mut sealed[NONCE_LEN..])
            .expect("AES-GCM seals whatever is shorter than 64 GiB");
        sealed[..NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what was sealed under the same key and `aad`; `None` is another key, another `aad` or altered bytes.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(rest.to_vec());
        let length = self.0.open_in_place(Nonce::from(nonce), Aad::from(aad), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(Secret::new(std::mem::take(&mut *plain)))
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(***)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_again_and_altered_it_does_not(
            plain: Vec<u8>, aad: Vec<u8>, bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
        ) {
            let cipher = Key::random().cipher();
            let sealed = cipher.seal(&aad, &plain);
            prop_assert_eq!(sealed.len(), plain.len() + NONCE_LEN + TAG_LEN);
            prop_assert!(cipher.open(&aad, &sealed).unwrap().equals(&plain));
            prop_assert!(cipher.open(&[&aad[..], b"."].concat(), &sealed).is_none());
            prop_assert!(cipher.open(&aad, &sealed[..cut.index(sealed.len())]).is_none());
            prop_assert!(Key::random().cipher().open(&aad, &sealed).is_none());
            let mut flipped = sealed;
            let bit = bit.index(flipped.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(cipher.open(&aad, &flipped).is_none());
        }

        #[test]
        fn garbage_does_not_open(garbage: Vec<u8>) {
            prop_assert!(Key::new(&[7; 32]).cipher().open(b"", &garbage).is_none());
        }
    }

    #[test]
    fn the_same_secret_never_seals_to_the_same_bytes() {
        let cipher = Key::random().cipher();
        assert_ne!(cipher.seal(b"", b"secret"), cipher.seal(b"", b"secret"));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Key::new(&[7; 32]);
        assert_eq!(format!("{key:?} {:?}", key.cipher()), "Key(***) Cipher(***)");
    }
}
