//! Accounts and credentials in memory, as the corridor sees them. Many read while one writes; a reader never waits for
//! a disk.

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::digest::Pepper;
use crate::record::{Account, Digest, Directory, Kind, Record};

/// Everything known of who exists.
pub struct Index {
    pepper: Pepper,
    records: DashMap<(Kind, Digest), Arc<Record>>,
    accounts: DashMap<Arc<str>, Arc<Account>>,
}

/// Two credentials of one kind are the same key or token: who presents it cannot be told apart.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the same credential is on file as `{first}`")]
pub struct Clash {
    /// The kind of both.
    pub kind: Kind,
    /// The name of the one that was there before.
    pub first: Arc<str>,
}

impl Index {
    /// Nobody yet, under a pepper of its own.
    pub fn new() -> Self {
        Self::with_pepper(Pepper::random())
    }

    /// Nobody yet, under a pepper that outlives the process.
    pub fn with_pepper(pepper: Pepper) -> Self {
        Self { pepper, records: DashMap::new(), accounts: DashMap::new() }
    }

    /// Adds an account, or puts it in the place of the one with its name. Returns the shared one that records refer to.
    pub fn insert_account(&self, account: Account) -> Arc<Account> {
        let account = Arc::new(account);
        self.accounts.insert(Arc::clone(&account.id.0), Arc::clone(&account));
        account
    }

    /// Adds a credential, to be found by the digest of `digest_text`. The first one stays where two clash.
    pub fn insert(&self, record: Record, digest_text: &[u8]) -> Result<(), Clash> {
        match self.records.entry((record.kind, self.pepper.digest(digest_text))) {
            Entry::Occupied(first) => Err(Clash { kind: record.kind, first: Arc::clone(&first.get().id) }),
            Entry::Vacant(place) => {
                place.insert(Arc::new(record));
                Ok(())
            }
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory for Index {
    fn digest(&self, text: &[u8]) -> Digest {
        self.pepper.digest(text)
    }

    fn find(&self, kind: Kind, digest: &Digest) -> Option<Arc<Record>> {
        self.records.get(&(kind, *digest)).map(|record| Arc::clone(&record))
    }

    fn account(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.get(id).map(|account| Arc::clone(&account))
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("accounts", &self.accounts.len())
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::record::{AccountId, Attributes};

    fn account(id: &str) -> Account {
        Account { id: AccountId(id.into()), parent: None, disabled: false, header: HeaderValue::from_str(id).unwrap() }
    }

    fn record(kind: Kind, id: &str, account: &Arc<Account>) -> Record {
        Record {
            kind,
            id: id.into(),
            account: Arc::clone(account),
            subject: HeaderValue::from_str(&format!("{}:{id}", kind.name())).unwrap(),
            disabled: false,
            not_before: None,
            expires: None,
            scopes: None,
            attributes: Attributes::None,
        }
    }

    #[test]
    fn a_credential_is_found_by_its_kind_and_its_text_alone() {
        let index = Index::new();
        let acme = index.insert_account(account("acme"));
        index.insert(record(Kind::LicenseKey, "main", &acme), b"v3.X9tKpuXq0btatj").unwrap();
        let digest = index.digest(b"v3.X9tKpuXq0btatj");
        assert_eq!(&*index.find(Kind::LicenseKey, &digest).unwrap().id, "main");
        assert!(index.find(Kind::CameraToken, &digest).is_none());
        assert!(index.find(Kind::LicenseKey, &index.digest(b"v3.X9tKpuXq0btatk")).is_none());
        assert_eq!(index.account("acme").unwrap().id, acme.id);
        assert!(index.account("ACME").is_none());
    }

    #[test]
    fn the_same_key_twice_is_a_clash_that_names_the_first() {
        let index = Index::new();
        let acme = index.insert_account(account("acme"));
        index.insert(record(Kind::LicenseKey, "main", &acme), b"secret-key").unwrap();
        let clash = index.insert(record(Kind::LicenseKey, "spare", &acme), b"secret-key").unwrap_err();
        assert_eq!((&*clash.first, clash.kind), ("main", Kind::LicenseKey));
        assert_eq!(&*index.find(Kind::LicenseKey, &index.digest(b"secret-key")).unwrap().id, "main");
        // Two kinds may share a text: what is presented says which kind it is.
        index.insert(record(Kind::CameraToken, "1", &acme), b"secret-key").unwrap();
    }

    #[test]
    fn debug_counts_and_shows_nothing() {
        let index = Index::new();
        let acme = index.insert_account(account("acme"));
        index.insert(record(Kind::LicenseKey, "main", &acme), b"secret-key").unwrap();
        assert_eq!(format!("{index:?}"), "Index { accounts: 1, records: 1, .. }");
    }
}
