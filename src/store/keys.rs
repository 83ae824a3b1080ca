//! Every key of the store, ready to use: peppers to digest with, data keys to seal with, the chain of the audit trail.
//! Swapped whole when a key is added or retired.

use super::audit_chain::Chain;
use super::digest::{Pepper, Peppers};
use super::entry::{Entry, Keyed, Version};
use super::keyring::Keyring;
use super::seal::{Place, Sealed, Sealer, TAG_LEN};
use super::shelf::{Damaged, Shelf};
use crate::secret::Secret;

/// How an entry is laid down: postcard, then a tag.
const ROW_FORMAT: u8 = 1;
/// The format and the number of the data key.
const ROW_HEAD: usize = 3;

/// The keys.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) keyring: Keyring,
    pub(super) sealer: Sealer,
    pub(super) peppers: Peppers,
    pub(super) chain: Chain,
}

impl Keys {
    /// Makes them ready.
    pub(super) fn new(keyring: Keyring) -> Self {
        let peppers = keyring.peppers().iter().map(|pepper| (pepper.number, Pepper::new(pepper.key.expose())));
        let peppers = Peppers::new(peppers).expect("a keyring has a pepper");
        Self { sealer: Sealer::new(&keyring), chain: Chain::new(keyring.audit_key()), peppers, keyring }
    }

    /// The digest of a text under the newest pepper.
    pub(super) fn digest(&self, text: &[u8]) -> Keyed {
        let (pepper, digest) = self.peppers.digest_newest(text);
        Keyed { pepper, digest: digest.0 }
    }

    /// The digests of a text under every pepper, newest first.
    pub(super) fn digests(&self, text: &[u8]) -> impl Iterator<Item = Keyed> {
        self.peppers.digests(text).map(|(pepper, digest)| Keyed { pepper, digest: digest.0 })
    }

    /// Seals the secret of a version.
    pub(super) fn seal(&self, entry: &Entry, version: u32, secret: &Secret) -> Sealed {
        self.sealer.seal(place(entry, version), secret.expose())
    }

    /// Opens the secret of a version again. `None`: it was never kept.
    pub(super) fn open(&self, entry: &Entry, version: &Version) -> Result<Option<Secret>, Damaged> {
        let Some(sealed) = &version.sealed else { return Ok(None) };
        self.sealer
            .open(place(entry, version.number), sealed)
            .map(Some)
            .map_err(|_| Damaged("a sealed secret does not open"))
    }

    /// The row of an entry.
    pub(super) fn write_entry(&self, key: &[u8], entry: &Entry) -> Vec<u8> {
        let number = self.sealer.newest();
        let mut row = vec![ROW_FORMAT];
        row.extend_from_slice(&number.to_be_bytes());
        row.extend_from_slice(&entry.to_bytes());
        let tag = self.sealer.tag(number, Shelf::Entries.name(), key, &row).expect("the newest data key is there");
        row.extend_from_slice(&tag);
        row
    }

    /// The entry of a row, if it was written there by someone who has the keys.
    pub(super) fn read_entry(&self, key: &[u8], row: &[u8]) -> Result<Entry, Damaged> {
        let (body, tag) = row.split_last_chunk::<TAG_LEN>().ok_or(Damaged("it is too short"))?;
        let (head, written) = body.split_at_checked(ROW_HEAD).ok_or(Damaged("it is too short"))?;
        if head[0] != ROW_FORMAT {
            return Err(Damaged("its format is unknown"));
        }
        let number = u16::from_be_bytes([head[1], head[2]]);
        self.sealer
            .verify_tag(number, Shelf::Entries.name(), key, body, tag)
            .map_err(|_| Damaged("its tag does not hold"))?;
        Entry::of_bytes(written).ok_or(Damaged("it cannot be read"))
    }

    /// The number of the data key that tags a row.
    pub(super) fn row_key(row: &[u8]) -> Option<u16> {
        row.get(1..ROW_HEAD).map(|number| u16::from_be_bytes([number[0], number[1]]))
    }
}

fn place(entry: &Entry, version: u32) -> Place<'_> {
    Place { resource: entry.resource().name(), entry: &entry.id, version }
}
