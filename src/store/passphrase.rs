//! What leaves the store in a file is sealed under a passphrase: argon2id (RFC 9106) makes the key, AES-256-GCM seals
//! under it. What goes into the file, and who types the passphrase, is the business of the export.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::{Cipher, Key};
use crate::secret::Secret;

/// What the proof of the passphrase is bound to.
const CHECK_AAD: &[u8] = b"vidgate passphrase 1";

const SALT_LEN: usize = 16;

/// What new files are sealed with: 64 MiB, three passes, one lane (RFC 9106 §4, second choice, in one lane).
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// The least that is accepted from a file.
const CHEAPEST: Cost = Cost { memory_kib: 8 * 1024, passes: 1, lanes: 1 };
/// The most that is accepted: a file may have been made to exhaust whoever opens it.
const DEAREST: Cost = Cost { memory_kib: 256 * 1024, passes: 16, lanes: 16 };

/// What a guess at the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    fn is_bearable(self) -> bool {
        (CHEAPEST.memory_kib..=DEAREST.memory_kib).contains(&self.memory_kib)
            && (CHEAPEST.passes..=DEAREST.passes).contains(&self.passes)
            && (CHEAPEST.lanes..=DEAREST.lanes).contains(&self.lanes)
    }
}

/// How a key is made of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Derivation {
    /// Version 1.3 (0x13).
    Argon2id,
}

/// What a file tells about its lock; not secret. With the passphrase it makes the key again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockHeader {
    derivation: Derivation,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// In base64.
    salt: String,
    /// Nothing, sealed: opens under the right passphrase alone.
    check: String,
}

/// Why a file does not unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUnlocked {
    /// Another passphrase, or an altered header: the two look the same.
    #[error("the passphrase does not open this file")]
    Passphrase,
    /// The header asks for a derivation outside of the bounds.
    #[error(
        "this file asks for a derivation that is not accepted: from 8 to 256 MiB of memory, 1 to 16 passes and 1 to 16 lanes are"
    )]
    Cost,
    /// The header holds no salt.
    #[error("the salt of this file is not 16 bytes in base64")]
    Salt,
    /// The machine has less memory than the derivation takes.
    #[error("there is not enough memory to make the key of this file")]
    Memory,
}

/// Not sealed under this lock for this purpose, or altered since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("altered, or moved from another place or file")]
pub struct Altered;

/// A key made of a passphrase, and how it was made.
pub struct Lock {
    cipher: Cipher,
    header: LockHeader,
}

impl Lock {
    /// A new lock with a salt of its own. Slow on purpose: what it takes, each guess takes.
    ///
    /// # Panics
    ///
    /// Where the operating system has no randomness.
    pub fn new(passphrase: &Secret) -> Result<Self, NotUnlocked> {
        Self::with_cost(passphrase, COST)
    }

    fn with_cost(passphrase: &Secret, cost: Cost) -> Result<Self, NotUnlocked> {
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).expect("the operating system has randomness once it runs programs");
        let cipher = derive(passphrase, &salt, cost)?.cipher();
        let header = LockHeader {
            derivation: Derivation::Argon2id,
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: STANDARD.encode(salt),
            check: STANDARD.encode(cipher.seal(CHECK_AAD, &[])),
        };
        Ok(Self { cipher, header })
    }

    /// The lock of a file. As slow as making it was.
    pub fn open(header: &LockHeader, passphrase: &Secret) -> Result<Self, NotUnlocked> {
        let Derivation::Argon2id = header.derivation;
        let cost = Cost { memory_kib: header.memory_kib, passes: header.passes, lanes: header.lanes };
        if !cost.is_bearable() {
            return Err(NotUnlocked::Cost);
        }
        let salt = STANDARD.decode(&header.salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(NotUnlocked::Salt)?;
        let lock = Self { cipher: derive(passphrase, &salt, cost)?.cipher(), header: header.clone() };
        // Known at once, not by the first secret that fails to open.
        lock.open_sealed(CHECK_AAD, &header.check).map_err(|Altered| NotUnlocked::Passphrase)?;
        Ok(lock)
    }

    /// What to write into the file.
    pub fn header(&self) -> &LockHeader {
        &self.header
    }

    /// Seals `bytes` for the purpose `aad`; nonce, ciphertext and tag in base64.
    pub fn seal(&self, aad: &[u8], bytes: &[u8]) -> String {
        STANDARD.encode(self.cipher.seal(aad, bytes))
    }

    /// Opens what [`Lock::seal`] made for the same purpose.
    pub fn open_sealed(&self, aad: &[u8], sealed: &str) -> Result<Secret, Altered> {
        let sealed = STANDARD.decode(sealed).map_err(|_| Altered)?;
        self.cipher.open(aad, &sealed).ok_or(Altered)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock(***)")
    }
}

fn derive(passphrase: &Secret, salt: &[u8; SALT_LEN], cost: Cost) -> Result<Key, NotUnlocked> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| NotUnlocked::Cost)?;
    // Memory of our own: that of the library would not be wiped.
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(params.block_count()).map_err(|_| NotUnlocked::Memory)?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.expose(), salt, key.as_mut_slice(), memory.as_mut_slice())
        .map_err(|_| NotUnlocked::Cost)?;
    Ok(Key::new(&key))
}
