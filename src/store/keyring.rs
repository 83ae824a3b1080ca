//! The keys of a store and the master key that they lie sealed under: changing the master key re-wraps this one row.
//! What the keys are used for stands in `seal.rs`, `digest.rs` and `audit_chain.rs`; where the master key is kept is
//! the operator's business.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::Key;
use crate::invalid::Invalid;
use crate::secret::Secret;

/// What a sealed keyring is bound to, and the format of its content.
const AAD: &[u8] = b"vidgate keyring 1";

/// How many keys of a sort live side by side. A presented key that nobody knows costs a digest under each pepper, so
/// the bound is a small one.
const MAX_LIVE: usize = 16;

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&base64::alphabet::STANDARD, EITHER_PADDING),
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, EITHER_PADDING),
];

/// The key that opens a store. It seals the keyring and nothing else.
#[derive(Clone)]
pub struct MasterKey(Key);

impl MasterKey {
    /// A new one from the operating system's randomness.
    pub fn random() -> Self {
        Self(Key::random())
    }

    /// Reads 64 hex digits, or 43 characters of base64 (44 with its `=`) in either alphabet; white space around them
    /// is not minded.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let text = text.trim_ascii();
        // One byte more than a key, which is what the decoders want as room.
        let mut bytes = Zeroizing::new([0; 33]);
        let length = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode_mut(text, &mut bytes[..32]).ok(),
            43 | 44 => BASE64.iter().find_map(|engine| engine.decode_slice(text, bytes.as_mut_slice()).ok()),
            _ => None,
        };
        match bytes.first_chunk::<32>() {
            Some(key) if length == Some(32) => Ok(Self(Key::new(key))),
            Some(_) | None => Err(Invalid::new("the master key is neither 64 hex digits nor 43 characters of base64")
                .hint("`vidgate store init` makes one")),
        }
    }

    /// The key as text, in 43 characters of base64 that are safe in an URL.
    pub fn to_text(&self) -> Secret {
        let mut text = vec![0; 43];
        URL_SAFE_NO_PAD.encode_slice(self.0.expose(), &mut text).expect("32 bytes are 43 characters of base64");
        Secret::new(text)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// One of several keys of a sort, told apart by number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbered {
    /// Its number; a newer key has a greater one, and none is given twice.
    pub number: u16,
    /// The key.
    pub key: Key,
}

/// All keys of a store. Neither the data keys nor the peppers are ever none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keyring {
    store_id: [u8; 16],
    data_keys: Vec<Numbered>,
    peppers: Vec<Numbered>,
    audit_key: Key,
}

/// Why a keyring does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// Sealed under another key, or altered since: the two look the same.
    #[error("the master key does not open this store: it is the key of another one, or the store is damaged")]
    Key,
    /// The key opened it, and its content makes no sense to this version.
    #[error("the keyring of this store was written in a way that is not known here")]
    Content,
}

/// There are as many keys of the sort as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many keys of this sort are in use as there may be; retire the older ones first")]
pub struct Full;

impl Keyring {
    /// The keyring of a new store: a data key, a pepper (both number 1) and an audit key, all at random.
    pub fn new() -> Self {
        let mut store_id = [0; 16];
        getrandom::fill(&mut store_id).expect("the operating system has randomness once it runs programs");
        let first = || vec![Numbered { number: 1, key: Key::random() }];
        Self { store_id, data_keys: first(), peppers: first(), audit_key: Key::random() }
    }

    /// Wraps the keyring under the master key.
    pub fn seal(&self, master: &MasterKey) -> Vec<u8> {
        // The most that it can be, so that it never grows and leaves keys behind: see MAX_LIVE.
        let room = Vec::with_capacity(2 * MAX_LIVE * (3 + 32) + 64);
        let plain = postcard::to_extend(self, room).expect("a keyring has nothing that postcard cannot write");
        master.0.cipher().seal(AAD, Secret::new(plain).expose())
    }

    /// Opens what [`Keyring::seal`] made under the same master key.
    pub fn open(sealed: &[u8], master: &MasterKey) -> Result<Self, NotOpened> {
        let plain = master.0.cipher().open(AAD, sealed).ok_or(NotOpened::Key)?;
        match postcard::take_from_bytes::<Self>(plain.expose()) {
            Ok((keyring, [])) if in_order(&keyring.data_keys) && in_order(&keyring.peppers) => Ok(keyring),
            Ok(_) | Err(_) => Err(NotOpened::Content),
        }
    }

    /// What tells this store from every other; not secret.
    pub fn store_id(&self) -> &[u8; 16] {
        &self.store_id
    }

    /// The keys that secrets are sealed and rows are tagged under, newest last.
    pub fn data_keys(&self) -> &[Numbered] {
        &self.data_keys
    }

    /// The number of the data key for whatever is written from now on.
    pub fn newest_data_key(&self) -> u16 {
        newest(&self.data_keys).number
    }

    /// Adds a data key and gives its number.
    pub fn add_data_key(&mut self) -> Result<u16, Full> {
        add(&mut self.data_keys)
    }

    /// Drops the data keys with a number below `number`, yet never the newest, and gives how many those were. What is
    /// still sealed under them is lost.
    pub fn retire_data_keys_before(&mut self, number: u16) -> usize {
        let (before, newest) = (self.data_keys.len(), self.newest_data_key());
        self.data_keys.retain(|key| key.number >= number || key.number == newest);
        before - self.data_keys.len()
    }

    /// The keys of the digests, newest last.
    pub fn peppers(&self) -> &[Numbered] {
        &self.peppers
    }

    /// The number of the pepper for whatever is digested from now on.
    pub fn newest_pepper(&self) -> u16 {
        newest(&self.peppers).number
    }

    /// Adds a pepper and gives its number.
    pub fn add_pepper(&mut self) -> Result<u16, Full> {
        add(&mut self.peppers)
    }

    /// Drops a pepper; `false` if there is none with this number, or if it is the newest. What is known only by a
    /// digest under it is lost.
    pub fn retire_pepper(&mut self, number: u16) -> bool {
        let before = self.peppers.len();
        if number != self.newest_pepper() {
            self.peppers.retain(|pepper| pepper.number != number);
        }
        self.peppers.len() < before
    }

    /// The key of the audit trail's chain.
    pub fn audit_key(&self) -> &Key {
        &self.audit_key
    }
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new()
    }
}

fn newest(keys: &[Numbered]) -> &Numbered {
    keys.last().expect("a keyring has at least one key of each sort")
}

fn add(keys: &mut Vec<Numbered>) -> Result<u16, Full> {
    let number = newest(keys).number.checked_add(1).filter(|_| keys.len() < MAX_LIVE).ok_or(Full)?;
    keys.push(Numbered { number, key: Key::random() });
    Ok(number)
}

fn in_order(keys: &[Numbered]) -> bool {
    (1..=MAX_LIVE).contains(&keys.len()) && keys.is_sorted_by(|older, newer| older.number < newer.number)
}
