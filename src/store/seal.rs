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
pub(super) const TAG_LEN: usize = 16;

/// Where a sealed secret belongs. Opened for any other place, it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
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
pub(super) struct Sealed {
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
pub(super) enum NotGenuine {
    /// The data key with this number is not in the keyring, or no longer.
    #[error("the keyring has no data key {0}")]
    UnknownKey(u16),
    /// Damaged, tampered with, or moved here from another place.
    #[error("altered, or moved from another place")]
    Altered,
}

/// The data keys, ready to work with. Cheap to share, dear to make: keyed once for all rows.
pub(super) struct Sealer {
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
    pub(super) fn new(keyring: &Keyring) -> Self {
        Self { keys: keyring.data_keys().iter().map(DataKey::new).collect() }
    }

    /// The number of the data key for whatever is written from now on.
    pub(super) fn newest(&self) -> u16 {
        self.newest_key().number
    }

    /// Seals a secret for its place, under the newest data key.
    pub(super) fn seal(&self, place: Place<'_>, secret: &[u8]) -> Sealed {
        let key = self.newest_key();
        Sealed { key: key.number, bytes: key.cipher.seal(&place.aad(), secret) }
    }

    /// Opens a secret that was sealed for this place.
    pub(super) fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Secret, NotGenuine> {
        self.key(sealed.key)?.cipher.open(&place.aad(), &sealed.bytes).ok_or(NotGenuine::Altered)
    }

    /// The tag of a row: HMAC-SHA256, cut to 16 bytes, over the table's name, the row's key and its `body`, which is
    /// all that stands before the tag. `key` is the number of the data key that the row names.
    pub(super) fn tag(&self, key: u16, table: &str, row_key: &[u8], body: &[u8]) -> Result<[u8; TAG_LEN], NotGenuine> {
        Ok(self.key(key)?.tag(table, row_key, body))
    }

    /// Checks the tag of a row, in constant time.
    pub(super) fn verify_tag(
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

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'_> = Place { resource: "license_key", entry: "main", version: 2 };

    // Made with python: nonce = bytes(range(0xa0, 0xac))
    //   nonce + AESGCM(b"\x11"*32).encrypt(nonce, b"v3.X9tKpuXq0btatj", b"license_key\0main\0" + struct.pack(">I", 2))
    const SEALED: &[u8] = b"a0a1a2a3a4a5a6a7a8a9aaab15875e157960c8e34d47c26b1d315c98c8e76d996ad822e0669aa6952cca3f94e4";

    // Made with python: H = lambda k, m: hmac.new(k, m, "sha256").digest()
    //   H(H(b"\x11"*32, b"vidgate row tag 1"), b"entries\0" + struct.pack(">Q", 6) + b"lk\0abc" + b"\1\2body")[:16]
    const TAG: u128 = 0x2b60_56dc_1121_e3fa_1f5e_07e5_201f_7e1e;

    fn sealer() -> Sealer {
        let key = |number, byte| DataKey::new(&Numbered { number, key: Key::new(&[byte; 32]) });
        Sealer { keys: vec![key(1, 0x11), key(4, 0x22)] }
    }

    #[test]
    fn what_was_sealed_elsewhere_opens() {
        let sealed = Sealed { key: 1, bytes: HEXLOWER.decode(SEALED).unwrap() };
        assert_eq!(sealer().open(PLACE, &sealed).unwrap().expose(), b"v3.X9tKpuXq0btatj");
    }

    #[test]
    fn a_secret_opens_at_its_place_alone() {
        let (keys, elsewhere) = (sealer(), Sealer::new(&Keyring::new()));
        let sealed = keys.seal(PLACE, b"secret");
        assert_eq!((sealed.key, keys.newest()), (4, 4));
        assert_eq!(keys.open(PLACE, &sealed).unwrap().expose(), b"secret");
        for moved in [
            Place { version: 3, ..PLACE },
            Place { entry: "other", ..PLACE },
            Place { resource: "api_client", ..PLACE },
        ] {
            assert_eq!(keys.open(moved, &sealed).unwrap_err(), NotGenuine::Altered, "{moved:?}");
        }
        let renumbered = |key| Sealed { key, bytes: sealed.bytes.clone() };
        assert_eq!(keys.open(PLACE, &renumbered(1)).unwrap_err(), NotGenuine::Altered);
        assert_eq!(keys.open(PLACE, &renumbered(2)).unwrap_err(), NotGenuine::UnknownKey(2));
        assert_eq!(elsewhere.open(PLACE, &renumbered(1)).unwrap_err(), NotGenuine::Altered);
    }

    #[test]
    fn a_tag_is_what_other_tools_make_of_it() {
        assert_eq!(sealer().tag(1, "entries", b"lk\0abc", b"\x01\x02body"), Ok(TAG.to_be_bytes()));
        assert_eq!(sealer().verify_tag(1, "entries", b"lk\0abc", b"\x01\x02body", &TAG.to_be_bytes()), Ok(()));
    }

    #[test]
    fn a_tag_holds_for_its_row_alone() {
        let (sealer, tag) = (sealer(), TAG.to_be_bytes());
        for (key, table, row, body) in [
            (4, "entries", &b"lk\0abc"[..], &b"\x01\x02body"[..]),
            (1, "entry", b"lk\0abc", b"\x01\x02body"),
            (1, "entries", b"lk\0abd", b"\x01\x02body"),
            (1, "entries", b"lk\0ab", b"c\x01\x02body"),
            (1, "entries", b"lk\0abc", b"\x02\x02body"),
            (1, "entries", b"lk\0abc", b"\x01\x02bod"),
            (1, "entries", b"", b""),
        ] {
            assert_eq!(
                sealer.verify_tag(key, table, row, body, &tag),
                Err(NotGenuine::Altered),
                "{key} {table} {row:?}"
            );
        }
        for bit in 0..128 {
            let flipped = (TAG ^ (1 << bit)).to_be_bytes();
            let verdict = sealer.verify_tag(1, "entries", b"lk\0abc", b"\x01\x02body", &flipped);
            assert_eq!(verdict, Err(NotGenuine::Altered), "{bit}");
        }
        assert_eq!(sealer.verify_tag(3, "entries", b"", b"", &tag), Err(NotGenuine::UnknownKey(3)));
    }

    #[test]
    fn an_added_data_key_seals_from_then_on_and_the_old_one_still_opens() {
        let mut keyring = Keyring::new();
        let sealed = Sealer::new(&keyring).seal(PLACE, b"secret");
        keyring.add_data_key().unwrap();
        let both = Sealer::new(&keyring);
        assert_eq!(both.open(PLACE, &sealed).unwrap().expose(), b"secret");
        assert_eq!(both.seal(PLACE, b"secret").key, 2);
        keyring.retire_data_keys_before(2);
        assert_eq!(Sealer::new(&keyring).open(PLACE, &sealed).unwrap_err(), NotGenuine::UnknownKey(1));
    }

    #[test]
    fn debug_shows_no_key() {
        let sealed = Sealed { key: 1, bytes: b"hunter2".to_vec() };
        assert_eq!(format!("{:?} {sealed:?}", sealer()), "Sealer(***) Sealed(7 bytes under data key 1)");
    }

    proptest! {
        #[test]
        fn any_secret_opens_again_through_the_form_on_disk(secret: Vec<u8>, entry: String, version: u32) {
            let place = Place { resource: "api_client", entry: &entry, version };
            let written = postcard::to_stdvec(&sealer().seal(place, &secret)).unwrap();
            let read: Sealed = postcard::from_bytes(&written).unwrap();
            prop_assert!(sealer().open(place, &read).unwrap().equals(&secret));
        }

        #[test]
        fn garbage_is_refused(key in 0_u16..6, bytes: Vec<u8>) {
            let sealed = Sealed { key, bytes };
            prop_assert!(sealer().open(PLACE, &sealed).is_err());
        }
    }
}
