//! The tables of the store, how their keys are written, and a desk on which one transaction is worked: what a request
//! has laid down is taken back if the request is refused in the end, and the other requests of the same commit stay.
//!
//! | table | key | value |
//! |---|---|---|
//! | entries | resource, id | the entry, sealed by a tag |
//! | names | resource, account, 0, name | id |
//! | handles | kind, what it is found by | resource, id |
//! | needs | resource, id, 0, resource and id of what needs it | nothing |
//! | trail | sequence | one deed of the audit trail |
//! | replays | actor, 0, idempotency key | the answer that was given |
//! | used | resource, id | minutes since 1970 |
//! | meta | a word | the keyring, the head of the trail, … |
//! | spent | end of a window, limit, whom it counts | its start, requests that may be spent |

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::entry::{Entry, Keyed};
use super::hosted::Tally;
use super::keys::Keys;
use super::resource::Resource;
use crate::record::Kind;

/// Every table maps bytes to bytes, so that one undo serves all.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A key and what lies under it.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    Entries,
    Names,
    Handles,
    Needs,
    Trail,
    Replays,
    Used,
    Meta,
    /// Not in files of the first versions: it is made with the first change.
    Spent,
}

impl Shelf {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 9] = [
        Self::Entries,
        Self::Names,
        Self::Handles,
        Self::Needs,
        Self::Trail,
        Self::Replays,
        Self::Used,
        Self::Meta,
        Self::Spent,
    ];

    /// The name in the file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Names => "names",
            Self::Handles => "handles",
            Self::Needs => "needs",
            Self::Trail => "trail",
            Self::Replays => "replays",
            Self::Used => "used",
            Self::Meta => "keep",
            Self::Spent => "spent",
        }
    }

    /// As redb wants it.
    pub(super) fn definition(self) -> Definition {
        TableDefinition::new(self.name())
    }
}

/// One transaction at work.
pub(super) struct Desk<'txn> {
    tables: Vec<Table<'txn, &'static [u8], &'static [u8]>>,
    undo: Vec<(Shelf, Vec<u8>, Option<Vec<u8>>)>,
    tally: Tally,
    keys: &'txn Keys,
}

impl<'txn> Desk<'txn> {
    /// Opens every table; those that do not exist yet are made.
    pub(super) fn open(transaction: &'txn WriteTransaction, keys: &'txn Keys) -> Result<Self, redb::Error> {
        let tables =
            Shelf::ALL.iter().map(|shelf| transaction.open_table(shelf.definition())).collect::<Result<_, _>>()?;
        Ok(Self { tables, undo: Vec::new(), tally: Tally::default(), keys })
    }

    /// The keys under which entries are laid down.
    pub(super) fn keys(&self) -> &'txn Keys {
        self.keys
    }

    /// What lies under a key.
    pub(super) fn get(&self, on: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        Ok(self.tables[on as usize].get(key)?.map(|value| value.value().to_vec()))
    }

    /// Lays something down, or takes it away.
    pub(super) fn set(&mut self, on: Shelf, key: &[u8], value: Option<&[u8]>) -> Result<(), redb::Error> {
        let table = &mut self.tables[on as usize];
        let before = match value {
            Some(value) => table.insert(key, value)?.map(|before| before.value().to_vec()),
            None => table.remove(key)?.map(|before| before.value().to_vec()),
        };
        self.undo.push((on, key.to_vec(), before));
        Ok(())
    }

    /// The keys that begin so, at most `most` of them.
    pub(super) fn keys_under(&self, on: Shelf, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, redb::Error> {
        let mut found = Vec::new();
        for row in self.tables[on as usize].range::<&[u8]>(prefix..)? {
            let (key, _) = row?;
            if !key.value().starts_with(prefix) || found.len() == most {
                break;
            }
            found.push(key.value().to_vec());
        }
        Ok(found)
    }

    /// The first rows after a key, at most `most` of them.
    pub(super) fn rows_after(&self, on: Shelf, after: &[u8], most: usize) -> Result<Vec<Row>, redb::Error> {
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let rows = self.tables[on as usize].range::<&[u8]>(range)?.take(most);
        rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(Into::into))
            .collect()
    }

    /// The entry with this id.
    pub(super) fn entry(&self, resource: Resource, id: &str) -> Result<Option<Entry>, redb::Error> {
        let key = entry_key(resource, id);
        match self.tables[Shelf::Entries as usize].get(key.as_slice())? {
            None => Ok(None),
            Some(row) => self.keys.read_entry(&key, row.value()).map(Some).map_err(corrupt),
        }
    }

    /// Lays an entry down in the place of the one with its id.
    pub(super) fn put_entry(&mut self, entry: &Entry) -> Result<(), redb::Error> {
        let key = entry_key(entry.resource(), &entry.id);
        let row = self.keys.write_entry(&key, entry);
        self.set(Shelf::Entries, &key, Some(&row))
    }

    /// The cameras that came and went so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Notes that so many more cameras are an account's.
    pub(super) fn tally_more(&mut self, account: &str, more: i64) {
        self.tally.add(self.undo.len(), account, more);
    }

    /// How far the work has come; for `roll_back`.
    pub(super) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back everything since the mark.
    pub(super) fn roll_back(&mut self, mark: usize) -> Result<(), redb::Error> {
        self.tally.roll_back(mark);
        for (shelf, key, before) in self.undo.drain(mark..).rev() {
            let table = &mut self.tables[shelf as usize];
            match before {
                Some(before) => drop(table.insert(key.as_slice(), before.as_slice())?),
                None => drop(table.remove(key.as_slice())?),
            }
        }
        Ok(())
    }
}

/// What a damaged row is, in redb's words.
pub(super) fn corrupt(what: Damaged) -> redb::Error {
    redb::Error::Corrupted(what.to_string())
}

/// A row that was not written so.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a row of the store is damaged: {0}")]
pub(super) struct Damaged(pub(super) &'static str);

/// Where an entry lies.
pub(super) fn entry_key(resource: Resource, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + id.len());
    key.push(resource.code());
    key.extend_from_slice(id.as_bytes());
    key
}

/// Which entry lies there.
pub(super) fn of_entry_key(key: &[u8]) -> Option<(Resource, &str)> {
    let (code, id) = key.split_first()?;
    Some((Resource::of_code(*code)?, std::str::from_utf8(id).ok()?))
}

/// Where a name lies. Names hold no control characters, ids none at all.
pub(super) fn name_key(resource: Resource, account: &str, name: &str) -> Vec<u8> {
    let mut key = vec![resource.code()];
    key.extend_from_slice(account.as_bytes());
    key.push(0);
    key.extend_from_slice(name.as_bytes());
    key
}

/// Where a text lies by which something is found and that is no secret.
pub(super) fn public_handle_key(kind: Kind, text: &str) -> Vec<u8> {
    let mut key = vec![kind_code(kind), 0];
    key.extend_from_slice(text.as_bytes());
    key
}

/// Where a digest lies by which something is found.
pub(super) fn secret_handle_key(kind: Kind, keyed: &Keyed) -> Vec<u8> {
    let mut key = vec![kind_code(kind), 1];
    key.extend_from_slice(&keyed.pepper.to_be_bytes());
    key.extend_from_slice(&keyed.digest);
    key
}

/// Where it lies that `by` needs `entry`; without `by`, what all of those begin with.
pub(super) fn need_key(entry: &[u8], by: Option<&[u8]>) -> Vec<u8> {
    let mut key = entry.to_vec();
    key.push(0);
    key.extend_from_slice(by.unwrap_or_default());
    key
}

/// The number of a kind in the store; never used for anything else.
fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::LicenseKey => 1,
        Kind::ApiClient => 2,
        Kind::CameraToken => 3,
        Kind::GroupToken => 4,
        Kind::ServiceAccountKey => 5,
        Kind::User => 6,
        Kind::UserKey => 7,
        Kind::BearerToken => 8,
        Kind::App => 9,
        Kind::AdminCertificate => 10,
    }
}
