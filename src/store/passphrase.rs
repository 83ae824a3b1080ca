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

    /// A lock that is quick to make, for tests.
    #[cfg(test)]
    pub(super) fn cheap(passphrase: &Secret) -> Self {
        Self::with_cost(passphrase, CHEAPEST).expect("the cheapest cost is bearable")
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Made with python:
    //   key = argon2.low_level.hash_secret_raw(b"correct horse battery staple", bytes(range(0x50, 0x60)),
    //                                          time_cost=2, memory_cost=8192, parallelism=2, hash_len=32, type=Type.ID)
    //   seal = lambda plain, aad: base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, aad))
    //   nonce = bytes(range(0xa0, 0xac)); seal(b"", b"vidgate passphrase 1")
    const HEADER: &str = r#"{"derivation":"argon2id","memory_kib":8192,"passes":2,"lanes":2,
        "salt":"UFFSU1RVVldYWVpbXF1eXw==","check":"oKGio6SlpqeoqaqrGXI1G6MEfCFPDlZmnXUcPQ=="}"#;
    //   seal(b"v3.X9tKpuXq0btatj", b"license_key/main/2")
    const SEALED: &str = "oKGio6SlpqeoqaqrfEVfYxiWz0Si6iMgLLc23dEnj9l76w+K7NQremEEt1pN";

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn header() -> LockHeader {
        serde_json::from_str(HEADER).unwrap()
    }

    #[test]
    fn a_file_sealed_elsewhere_opens_under_its_passphrase_alone() {
        let lock = Lock::open(&header(), &secret("correct horse battery staple")).unwrap();
        assert_eq!(lock.open_sealed(b"license_key/main/2", SEALED).unwrap().expose(), b"v3.X9tKpuXq0btatj");
        assert_eq!(lock.open_sealed(b"license_key/main/3", SEALED).unwrap_err(), Altered);
        assert_eq!(lock.open_sealed(b"license_key/main/2", &SEALED[..56]).unwrap_err(), Altered);
        assert_eq!(lock.open_sealed(b"license_key/main/2", &SEALED.replace("w+K", "w+L")).unwrap_err(), Altered);
        assert_eq!(lock.open_sealed(b"license_key/main/2", "not base64").unwrap_err(), Altered);
        assert_eq!(Lock::open(&header(), &secret("correct horse")).unwrap_err(), NotUnlocked::Passphrase);
    }

    #[test]
    fn new_files_cost_a_guess_64_mib_and_three_passes() {
        // Made with python, as above with: time_cost=3, memory_cost=65536, parallelism=1
        let salt = std::array::from_fn(|at| 0x50 + u8::try_from(at).unwrap());
        let key = derive(&secret("correct horse battery staple"), &salt, COST).unwrap();
        let expected = b"91ea1602559e8f93c1adce01ca6e4042e4628663de7788dec9d06654a2446f81";
        assert_eq!(data_encoding::HEXLOWER.encode(key.expose()).as_bytes(), expected);
    }

    #[test]
    fn an_altered_header_does_not_unlock() {
        let right = secret("correct horse battery staple");
        for altered in [
            LockHeader { passes: 1, ..header() },
            LockHeader { lanes: 1, ..header() },
            LockHeader { salt: "UFFSU1RVVldYWVpbXF1eYA==".into(), ..header() },
            LockHeader { check: SEALED.into(), ..header() },
            LockHeader { check: String::new(), ..header() },
        ] {
            assert_eq!(Lock::open(&altered, &right).unwrap_err(), NotUnlocked::Passphrase, "{altered:?}");
        }
        for salt in ["", "UFFSU1RVVldYWVpbXF1e", "?"] {
            let altered = LockHeader { salt: salt.into(), ..header() };
            assert_eq!(Lock::open(&altered, &right).unwrap_err(), NotUnlocked::Salt, "{salt}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_more_than_is_bearable() {
        for (memory_kib, passes, lanes) in [
            (100 * 1024 * 1024, 3, 1),
            (256 * 1024 + 1, 3, 1),
            (u32::MAX, 1, 1),
            (8191, 3, 1),
            (65536, 17, 1),
            (65536, u32::MAX, 1),
            (65536, 0, 1),
            (65536, 3, 17),
            (65536, 3, 0),
        ] {
            let hostile = LockHeader { memory_kib, passes, lanes, ..header() };
            assert_eq!(Lock::open(&hostile, &secret("x")).unwrap_err(), NotUnlocked::Cost, "{hostile:?}");
        }
        assert!(COST.is_bearable() && CHEAPEST.is_bearable() && DEAREST.is_bearable());
    }

    #[test]
    fn a_header_of_another_make_is_not_read() {
        for (what, by) in [("argon2id", "argon2d"), ("\"lanes\"", "\"threads\""), ("\"passes\":2", "\"passes\":-2")] {
            assert!(serde_json::from_str::<LockHeader>(&HEADER.replace(what, by)).is_err(), "{by}");
        }
    }

    #[test]
    fn each_lock_has_a_salt_of_its_own_and_shows_nothing() {
        let passphrase = secret("hunter2");
        let (one, other) =
            (Lock::with_cost(&passphrase, CHEAPEST).unwrap(), Lock::with_cost(&passphrase, CHEAPEST).unwrap());
        assert_ne!(one.header().salt, other.header().salt);
        assert_eq!(other.open_sealed(b"", &one.seal(b"", b"secret")).unwrap_err(), Altered);
        let written = serde_json::to_string(one.header()).unwrap();
        let opened = Lock::open(&serde_json::from_str(&written).unwrap(), &passphrase).unwrap();
        assert_eq!(opened.open_sealed(b"", &one.seal(b"", b"secret")).unwrap().expose(), b"secret");
        assert_eq!(format!("{one:?}"), "Lock(***)");
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens_again(bytes: Vec<u8>, aad: Vec<u8>) {
            let lock = Lock { cipher: Key::new(&[7; 32]).cipher(), header: header() };
            prop_assert!(lock.open_sealed(&aad, &lock.seal(&aad, &bytes)).unwrap().equals(&bytes));
        }

        #[test]
        fn garbage_is_refused(garbage: String) {
            let lock = Lock { cipher: Key::new(&[7; 32]).cipher(), header: header() };
            prop_assert!(lock.open_sealed(b"", &garbage).is_err());
        }
    }
}
