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

/// The peppers in use, each with its number. Digests are made under the newest; those on file keep the one they were
/// made under, until their text is seen again or can be opened.
#[derive(Clone, Debug)]
pub struct Peppers {
    newest: (u16, Pepper),
    /// Newest first.
    older: Box<[(u16, Pepper)]>,
}

impl Peppers {
    /// These peppers, the newest last. `None`: there is none.
    pub fn new(peppers: impl IntoIterator<Item = (u16, Pepper)>) -> Option<Self> {
        let mut older: Vec<_> = peppers.into_iter().collect();
        let newest = older.pop()?;
        older.reverse();
        Some(Self { newest, older: older.into() })
    }

    /// A single one from the operating system's randomness.
    pub fn random() -> Self {
        Self { newest: (0, Pepper::random()), older: [].into() }
    }

    /// The number of the newest.
    pub fn newest(&self) -> u16 {
        self.newest.0
    }

    /// Every number, the newest first.
    pub fn numbers(&self) -> impl Iterator<Item = u16> {
        self.each().map(|(number, _)| *number)
    }

    /// The digest of `text` under the newest, and the number of that.
    pub fn digest_newest(&self, text: &[u8]) -> (u16, Digest) {
        (self.newest.0, self.newest.1.digest(text))
    }

    /// The digest of `text` under the pepper with this number. `None`: it is not in use (any more).
    pub fn digest_under(&self, number: u16, text: &[u8]) -> Option<Digest> {
        self.each().find(|(own, _)| *own == number).map(|(_, pepper)| pepper.digest(text))
    }

    /// The digests of `text` under all but the newest, newer ones first, each made when it is asked for.
    pub(super) fn digests_older(&self, text: &[u8]) -> impl Iterator<Item = Digest> {
        self.older.iter().map(|(_, pepper)| pepper.digest(text))
    }

    /// The digests of `text` under all, with their numbers, each made when it is asked for.
    pub(super) fn digests(&self, text: &[u8]) -> impl Iterator<Item = (u16, Digest)> {
        self.each().map(|(number, pepper)| (*number, pepper.digest(text)))
    }

    fn each(&self) -> impl Iterator<Item = &(u16, Pepper)> {
        std::iter::once(&self.newest).chain(&self.older)
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
    fn the_newest_pepper_is_the_last_one_and_older_ones_still_count() {
        let (old, new) = (Pepper::new(&[1; 32]), Pepper::new(&[2; 32]));
        let peppers = Peppers::new([(4, old.clone()), (5, new.clone())]).unwrap();
        assert_eq!((peppers.newest(), peppers.numbers().collect::<Vec<_>>()), (5, vec![5, 4]));
        assert_eq!(peppers.digest_newest(b"key"), (5, new.digest(b"key")));
        assert_eq!(peppers.digest_under(4, b"key"), Some(old.digest(b"key")));
        assert_eq!(peppers.digest_under(5, b"key"), Some(new.digest(b"key")));
        assert_eq!(peppers.digest_under(6, b"key"), None);
        assert_eq!(peppers.digests_older(b"key").collect::<Vec<_>>(), [old.digest(b"key")]);
        assert!(Peppers::new([]).is_none());
        assert_eq!(Peppers::random().numbers().count(), 1);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Pepper::new(&[7; 32])), "Pepper(***)");
    }
}
