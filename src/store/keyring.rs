//! The keys of a store and the master key that they lie sealed under: changing the master key re-wraps this one row.
//! What the keys are used for stands in `seal.rs`, `digest.rs` and `audit_chain.rs`; where the master key is kept is
//! the operator's business.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
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

    /// Whether both are the same key; compares in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
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
pub(super) struct Numbered {
    /// Its number; a newer key has a greater one. No two that are here share one; that of an adopted one may come again
    /// once it was retired.
    pub number: u16,
    /// The key.
    pub key: Key,
}

/// All keys of a store. Neither the data keys nor the peppers are ever none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Keyring {
    store_id: [u8; 16],
    data_keys: Vec<Numbered>,
    peppers: Vec<Numbered>,
    audit_key: Key,
}

/// The number of a new store's pepper: below it is room for the peppers of other stores.
const FIRST_PEPPER: u16 = 100;

/// Why a keyring does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOpened {
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
pub(super) struct Full;

impl Keyring {
    /// The keyring of a new store: a data key, a pepper and an audit key, all at random.
    pub(super) fn new() -> Self {
        let mut store_id = [0; 16];
        getrandom::fill(&mut store_id).expect("the operating system has randomness once it runs programs");
        let first = |number| vec![Numbered { number, key: Key::random() }];
        Self { store_id, data_keys: first(1), peppers: first(FIRST_PEPPER), audit_key: Key::random() }
    }

    /// Wraps the keyring under the master key.
    pub(super) fn seal(&self, master: &MasterKey) -> Vec<u8> {
        // The most that it can be, so that it never grows and leaves keys behind: see MAX_LIVE.
        let room = Vec::with_capacity(2 * MAX_LIVE * (3 + 32) + 64);
        let plain = postcard::to_extend(self, room).expect("a keyring has nothing that postcard cannot write");
        master.0.cipher().seal(AAD, Secret::new(plain).expose())
    }

    /// Opens what [`Keyring::seal`] made under the same master key.
    pub(super) fn open(sealed: &[u8], master: &MasterKey) -> Result<Self, NotOpened> {
        let plain = master.0.cipher().open(AAD, sealed).ok_or(NotOpened::Key)?;
        match postcard::take_from_bytes::<Self>(plain.expose()) {
            Ok((keyring, [])) if in_order(&keyring.data_keys) && in_order(&keyring.peppers) => Ok(keyring),
            Ok(_) | Err(_) => Err(NotOpened::Content),
        }
    }

    /// What tells this store from every other; not secret.
    pub(super) fn store_id(&self) -> &[u8; 16] {
        &self.store_id
    }

    /// The keys that secrets are sealed and rows are tagged under, newest last.
    pub(super) fn data_keys(&self) -> &[Numbered] {
        &self.data_keys
    }

    /// The number of the data key for whatever is written from now on.
    pub(super) fn newest_data_key(&self) -> u16 {
        newest(&self.data_keys).number
    }

    /// Adds a data key and gives its number.
    pub(super) fn add_data_key(&mut self) -> Result<u16, Full> {
        add(&mut self.data_keys)
    }

    /// Drops the data keys with a number below `number`, yet never the newest, and gives how many those were. What is
    /// still sealed under them is lost.
    pub(super) fn retire_data_keys_before(&mut self, number: u16) -> usize {
        let (before, newest) = (self.data_keys.len(), self.newest_data_key());
        self.data_keys.retain(|key| key.number >= number || key.number == newest);
        before - self.data_keys.len()
    }

    /// The keys of the digests, newest last.
    pub(super) fn peppers(&self) -> &[Numbered] {
        &self.peppers
    }

    /// The number of the pepper for whatever is digested from now on.
    pub(super) fn newest_pepper(&self) -> u16 {
        newest(&self.peppers).number
    }

    /// Adds a pepper and gives its number.
    pub(super) fn add_pepper(&mut self) -> Result<u16, Full> {
        add(&mut self.peppers)
    }

    /// Takes in the pepper of another store, for digests that come from there, and gives its number: the lowest, since
    /// nothing is to be made under it.
    pub(super) fn adopt_pepper(&mut self, key: Key) -> Result<u16, Full> {
        let number = self.peppers.first().and_then(|oldest| oldest.number.checked_sub(1)).ok_or(Full)?;
        if self.peppers.len() >= MAX_LIVE {
            return Err(Full);
        }
        self.peppers.insert(0, Numbered { number, key });
        Ok(number)
    }

    /// Drops a pepper; `false` if there is none with this number, or if it is the newest. What is known only by a
    /// digest under it is lost.
    pub(super) fn retire_pepper(&mut self, number: u16) -> bool {
        let before = self.peppers.len();
        if number != self.newest_pepper() {
            self.peppers.retain(|pepper| pepper.number != number);
        }
        self.peppers.len() < before
    }

    /// The key of the audit trail's chain.
    pub(super) fn audit_key(&self) -> &Key {
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

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    // Made with python:
    //   nonce = bytes(range(0xa0, 0xac)); master = bytes(range(32))
    //   plain = bytes(range(0x10, 0x20)) + b"\2" + b"\1" + b"\x11"*32 + b"\xac\2" + b"\x22"*32
    //           + b"\1" + b"\7" + b"\x33"*32 + b"\x44"*32
    //   nonce + AESGCM(master).encrypt(nonce, plain, b"vidgate keyring 1")    (cryptography.hazmat…aead.AESGCM)
    const SEALED: &str = "a0a1a2a3a4a5a6a7a8a9aaabf6096e3e51de14a87a7c9dc81b67dec172ad480183a6537d8d1f37976eba6410c\
        36756eebe33422c4e8d15d9186b92e8560aea4a40f2385c637c297c8652a792969ea74d1287c6c2d6c0dd3aadecee98ef298986c4c6aa4\
        9dd460da982a97ea7bcb71898309dbca8ade83563b6bbde1b1763529ded06df786b8b9ae0f011b6098155f43b9706c453731dbacf560ed5\
        92cc9de92ffa945c8012eeb4c04fe17cde6a7a8a14abdb";
    // The same with: plain = bytes(16) + b"\1\1" + b"\x11"*32 + b"\0" + b"\x44"*32
    const WITHOUT_PEPPER: &str = "a0a1a2a3a4a5a6a7a8a9aaabe6187c2d45cb02bf626587d3077ac0de71ad480183a6537d8d1f37976eba64\
        10c36756eebe33422c4e8d15d9186b92e8560a460c26945e3a051a4f1ae034c1f4f0f8c12b74e1a0a4b0a6bb5ccb8a88fe894fefc73d5bf\
        adb480f4998675c277504b444";

    fn bytes(hex: &str) -> Vec<u8> {
        HEXLOWER.decode(hex.as_bytes()).unwrap()
    }

    fn counting() -> MasterKey {
        let hex = b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        MasterKey::parse(hex).unwrap()
    }

    #[test]
    fn a_keyring_sealed_elsewhere_opens() {
        let keyring = Keyring::open(&bytes(SEALED), &counting()).unwrap();
        assert_eq!(keyring.store_id(), &0x1011_1213_1415_1617_1819_1a1b_1c1d_1e1f_u128.to_be_bytes());
        let of = |keys: &[Numbered]| keys.iter().map(|key| (key.number, key.key.expose()[31])).collect::<Vec<_>>();
        assert_eq!(of(keyring.data_keys()), [(1, 0x11), (300, 0x22)]);
        assert_eq!(of(keyring.peppers()), [(7, 0x33)]);
        assert_eq!((keyring.newest_data_key(), keyring.newest_pepper()), (300, 7));
        assert_eq!(keyring.audit_key().expose(), &[0x44; 32]);
    }

    #[test]
    fn another_master_key_and_altered_bytes_do_not_open_a_keyring() {
        let sealed = bytes(SEALED);
        assert_eq!(Keyring::open(&sealed, &MasterKey::random()).unwrap_err(), NotOpened::Key);
        for cut in [0, 11, 12, 27, sealed.len() - 1] {
            assert_eq!(Keyring::open(&sealed[..cut], &counting()).unwrap_err(), NotOpened::Key, "{cut}");
        }
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 0x10;
            assert_eq!(Keyring::open(&flipped, &counting()).unwrap_err(), NotOpened::Key, "{at}");
        }
    }

    #[test]
    fn a_content_that_makes_no_sense_is_told_from_a_wrong_key() {
        assert_eq!(Keyring::open(&bytes(WITHOUT_PEPPER), &counting()).unwrap_err(), NotOpened::Content);
        let opened = counting().0.cipher().open(AAD, &bytes(SEALED)).unwrap();
        for wrong in [&[opened.expose(), b"."].concat(), &opened.expose()[1..], &opened.expose()[..99], b""] {
            let sealed = counting().0.cipher().seal(AAD, wrong);
            assert_eq!(Keyring::open(&sealed, &counting()).unwrap_err(), NotOpened::Content);
        }
    }

    #[test]
    fn a_keyring_moves_to_another_master_key_with_all_it_holds() {
        let (old, new) = (MasterKey::random(), MasterKey::random());
        let mut keyring = Keyring::new();
        while keyring.add_data_key().is_ok() {}
        while keyring.add_pepper().is_ok() {}
        assert_eq!((keyring.data_keys().len(), keyring.peppers().len()), (MAX_LIVE, MAX_LIVE));
        let sealed = Keyring::open(&keyring.seal(&old), &old).unwrap().seal(&new);
        let opened = Keyring::open(&sealed, &new).unwrap();
        assert_eq!(postcard::to_stdvec(&opened).unwrap(), postcard::to_stdvec(&keyring).unwrap());
        assert_eq!(Keyring::open(&sealed, &old).unwrap_err(), NotOpened::Key);
    }

    #[test]
    fn retired_keys_go_and_the_newest_stays() {
        let mut keyring = Keyring::new();
        assert_eq!((keyring.add_data_key(), keyring.add_data_key()), (Ok(2), Ok(3)));
        assert_eq!(keyring.retire_data_keys_before(2), 1);
        assert_eq!(keyring.retire_data_keys_before(9), 1);
        assert_eq!((keyring.data_keys().len(), keyring.newest_data_key()), (1, 3));
        assert_eq!((keyring.add_pepper(), keyring.add_pepper()), (Ok(101), Ok(102)));
        assert!(keyring.retire_pepper(101) && !keyring.retire_pepper(101) && !keyring.retire_pepper(102));
        assert_eq!(keyring.peppers().iter().map(|pepper| pepper.number).collect::<Vec<_>>(), [100, 102]);
        // No number is given twice, even where there is room.
        keyring.peppers.last_mut().unwrap().number = u16::MAX;
        assert_eq!(keyring.add_pepper(), Err(Full));
    }

    #[test]
    fn a_master_key_reads_from_hex_and_from_base64() {
        // The second and third made with python: base64.b64encode(bytes(range(224, 256))), base64.urlsafe_b64encode(…).
        let (hex, standard, url) = (
            "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8=",
            "4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8=",
        );
        let upper = hex.to_ascii_uppercase();
        let spaced = format!(" \t{hex}\r\n");
        for text in [hex, &upper, &spaced, standard, &standard[..43], url, &url[..43]] {
            let key = MasterKey::parse(text.as_bytes()).unwrap();
            assert_eq!(key.to_text().expose(), &url.as_bytes()[..43], "{text}");
        }
    }

    #[test]
    fn what_is_no_master_key_is_refused_without_showing_it() {
        for wrong in [
            "",
            "hunter2",
            "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfef",
            "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfefg",
            "e0e1e2e3e4e5e6e7e8e9eaebecedeeef f0f1f2f3f4f5f6f7f8f9fafbfcfdfef",
            "4OHi4-Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8",
            "4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v9",
            "4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8A",
            "4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v==",
        ] {
            let shown = format!("{:?}", MasterKey::parse(wrong.as_bytes()).expect_err(wrong));
            assert!(wrong.is_empty() || !shown.contains(wrong), "{shown}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keyring = Keyring::open(&bytes(SEALED), &counting()).unwrap();
        let shown = format!("{:?} {keyring:?}", counting());
        assert!(shown.starts_with("MasterKey(***) Keyring {") && shown.contains("Key(***)"));
        assert!(
            ["17, 17", "34, 34", "51, 51", "68, 68", "1111", "4444"].iter().all(|key| !shown.contains(key)),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn any_master_key_reads_from_its_own_text(key: [u8; 32]) {
            let master = MasterKey(Key::new(&key));
            let read = MasterKey::parse(master.to_text().expose()).unwrap();
            prop_assert_eq!(read.0.expose(), &key);
        }

        #[test]
        fn random_text_is_no_master_key_and_no_panic(text: Vec<u8>) {
            prop_assert!(MasterKey::parse(&text).is_err());
        }
    }
}
