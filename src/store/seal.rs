//! What keeps the content of the store secret and whole: secrets are sealed, rows carry a tag, both under a data key
//! and bound to their place. Which key is the newest, and when one is dropped, is the business of `keyring.rs`.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::key::{Cipher, Key};
use super::keyring::{Keyring, Numbered};
use crate::secret::Secret;

/// The label by which the key of the row tags is derived from a data key.
const TAG_LABEL: &[u8] = b"vidgate row tag 1";

/// The length of a row's tag in bytes.
pub const TAG_LEN: usize = 16;

/// Where a sealed secret belongs. Opened for any other place, it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name of the resource; holds no zero byte.
    pub resource: &'a str,
    /// The entry's id.
    pub entry: &'a str,
    /// The version of the secret within the entry.
    pub version: u32,
}

impl Place<'_> {
    // Unambiguous whatever the id: the resource ends at the first zero, and the version has a fixed length.
    fn aad(&self) -> Vec<u8> {
        debug_assert!(!self.resource.contains('\0'));
        [self.resource.as_bytes(), &[0], self.entry.as_bytes(), &[0], &self.version.to_be_bytes()].concat()
    }
}

/// A secret as it lies in the store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The number of the data key.
    pub key: u16,
    /// Nonce, ciphertext, tag.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes under data key {})", self.bytes.len(), self.key)
    }
}

/// Why something in the store is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// The data key with this number is not in the keyring, or no longer.
    #[error("the keyring has no data key {0}")]
    UnknownKey(u16),
    /// Damaged, tampered with, or moved here from another place.
    #[error("altered, or moved from another place")]
    Altered,
}

/// The data keys, ready to work with. Cheap to share, dear to make: keyed once for all rows.
pub struct Sealer {
    // Newest last, as in the keyring; never empty.
    keys: Vec<DataKey>,
}

struct DataKey {
    number: u16,
    cipher: Cipher,
    tags: Hmac<Sha256>,
}

impl DataKey {
    fn new(data_key: &Numbered) -> Self {
        let mut label = data_key.key.mac();
        label.update(TAG_LABEL);
        let tags = Key::new(&label.finalize().into_bytes().into()).mac();
        Self { number: data_key.number, cipher: data_key.key.cipher(), tags }
    }

    fn tag(&self, table: &str, row_key: &[u8], body: &[u8]) -> [u8; TAG_LEN] {
        debug_assert!(!table.contains('\0'));
        let mut mac = self.tags.clone();
        mac.update(table.as_bytes());
        // The zero and the length set the three apart: no two places with their bodies read alike.
        mac.update(&[0]);
        mac.update(&(row_key.len() as u64).to_be_bytes());
        mac.update(row_key);
        mac.update(body);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        *whole.first_chunk().expect("a tag is shorter than a digest")
    }
}

impl Sealer {
    /// A sealer under the data keys of this keyring.
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: keyring.data_keys().iter().map(DataKey::new).collect() }
    }

    /// The number of the data key for whatever is written from now on.
    pub fn newest(&self) -> u16 {
        self.newest_key().number
    }

    /// Seals a secret for its place, under the newest data key.
    pub fn seal(&self, place: Place<'_>, secret: &[u8]) -> Sealed {
        let key = self.newest_key();
        Sealed { key: key.number, bytes: key.cipher.seal(&place.aad(), secret) }
    }

    /// Opens a secret that was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, NotGenuine> {
        self.key(sealed.key)?.cipher.open(&place.aad(), &sealed.bytes).ok_or(NotGenuine::Altered)
    }

    /// The tag of a row: HMAC-SHA256, cut to 16 bytes, over the table's name, the row's key and its `body`, which is
    /// all that stands before the tag. `key` is the number of the data key that the row names.
    pub fn tag(&self, key: u16, table: &str, row_key: &[u8], body: &[u8]) -> Result<[u8; TAG_LEN], NotGenuine> {
        Ok(self.key(key)?.tag(table, row_key, body))
    }

    /// Checks the tag of a row, in constant time.
    pub fn verify_tag(
        &self,
        key: u16,
        table: &str,
        row_key: &[u8],
        body: &[u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), NotGenuine> {
        let genuine = self.key(key)?.tag(table, row_key, body).ct_eq(tag);
        if genuine.into() { Ok(()) } else { Err(NotGenuine::Altered) }
    }

    fn newest_key(&self) -> &DataKey {
        self.keys.last().expect("a keyring has at least one data key")
    }

    fn key(&self, number: u16) -> Result<&DataKey, NotGenuine> {
        // From the newest: nearly every row is under that one.
        self.keys.iter().rev().find(|key| key.number == number).ok_or(NotGenuine::UnknownKey(number))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}
