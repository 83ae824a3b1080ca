//! Questions to the store: one entry, a page of them, the audit trail, how the store itself is doing. They are answered
//! from a snapshot, beside the one who writes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use serde::Serialize;

use super::document;
use super::engine::Failed;
use super::entry::{Entry, Status};
use super::keys::Keys;
use super::refused::Refused;
use super::resource::Resource;
use super::shelf::{Definition, Shelf, corrupt, entry_key, need_key};
use super::trail::{self, Deed, Trail};
use super::writer::unavailable;
use super::{Outcome, Store};
use crate::clock::UnixTime;

/// The most rows that are looked at for one page: a filter that few pass makes short pages, not long waits.
const MOST_LOOKED_AT: usize = 10_000;

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this account.
    pub account: Option<String>,
    /// Those that were made for this user: bearer tokens.
    pub user: Option<String>,
    /// Those that stand so.
    pub status: Option<Status>,
    /// Those of this name.
    pub name: Option<String>,
}

/// Some entries, in the order of their ids.
#[derive(Debug)]
pub struct Page {
    /// The entries. There may be fewer than asked for though there is more.
    pub items: Vec<Outcome>,
    /// The id after which the next page begins, if there is more.
    pub next: Option<String>,
}

/// How the store is doing.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// What tells this store from every other, in hex.
    pub id: String,
    /// How many entries there are of each resource.
    pub entries: BTreeMap<&'static str, u64>,
    /// The peppers, oldest first.
    pub peppers: Vec<PepperUse>,
    /// The numbers of the data keys, oldest first; more than one while entries are sealed anew.
    pub data_keys: Vec<u16>,
    /// Entries are being laid down under newer keys.
    pub renewing: bool,
    /// How many deeds the audit trail has.
    pub deeds: u64,
    /// The size of the file, in bytes.
    pub file_bytes: u64,
    /// Changes are refused.
    pub read_only: bool,
}

/// A pepper, and how many secrets are known under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PepperUse {
    /// Its number.
    pub number: u16,
    /// How many versions of secrets.
    pub secrets: u64,
}

impl Store {
    /// The entry with this id; else the only one with this name.
    pub fn show(&self, resource: Resource, id: &str) -> Result<Outcome, Refused> {
        let found = self.look_under(|look, keys| {
            if let Some(entry) = entry(look, keys, &entry_key(resource, id))? {
                return Ok(Some(entry));
            }
            match named(look, resource, id)? {
                Some(key) => entry(look, keys, &key),
                None => Ok(None),
            }
        })?;
        found.map(|(entry, used)| self.outcome(&entry, used)).ok_or_else(|| self.missing(resource, id))
    }

    /// Why there is no entry with this id.
    pub(super) fn missing(&self, resource: Resource, id: &str) -> Refused {
        let declared = self.inner.declared.load().contains(&(resource, id.to_owned()));
        Refused::Missing { resource, id: id.to_owned(), declared }
    }

    /// The entries after an id that a filter lets through.
    pub fn list(
        &self,
        resource: Resource,
        filter: &Filter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, Refused> {
        let now = self.inner.clock.unix();
        self.look_under(|look, keys| {
            let mut page = Page { items: Vec::new(), next: None };
            for (looked_at, key) in keys_after(look, resource, filter, after)?.enumerate() {
                let key = key?;
                if page.items.len() == limit || looked_at == MOST_LOOKED_AT {
                    return Ok(page);
                }
                let Some((entry, used)) = entry(look, keys, &key)? else { continue };
                page.next = Some(entry.id.clone());
                // Of a user's, those of another account are none.
                let account = filter.account.as_ref().filter(|_| filter.user.is_some());
                let owned = account.is_none_or(|account| entry.account() == *account);
                let named = owned && filter.name.as_ref().is_none_or(|name| entry.common.name.as_ref() == Some(name));
                if named && filter.status.is_none_or(|status| entry.status(now) == status) {
                    page.items.push(self.outcome(&entry, used));
                }
            }
            page.next = None;
            Ok(page)
        })
    }

    /// The deeds after a sequence, at most `limit` of them.
    pub fn audit(&self, after: u64, limit: usize) -> Result<Vec<Deed>, Refused> {
        self.look(|look| trail::list(&look.open_table(Shelf::Trail.definition())?, after, limit))
    }

    /// Walks along the whole audit trail.
    pub fn verify_audit(&self) -> Result<Trail, Refused> {
        self.look_under(|look, keys| {
            let (trail, meta) =
                (look.open_table(Shelf::Trail.definition())?, look.open_table(Shelf::Meta.definition())?);
            trail::verify(&trail, &meta, &keys.chain)
        })
    }

    /// How the store is doing. Looks at every entry.
    pub fn state(&self) -> Result<State, Refused> {
        let zero = Resource::ALL.iter().map(|resource| (resource.name(), 0));
        self.look_under(|look, keys| {
            let mut state = State {
                id: data_encoding::HEXLOWER.encode(keys.keyring.store_id()),
                entries: zero.collect(),
                peppers: keys
                    .keyring
                    .peppers()
                    .iter()
                    .map(|own| PepperUse { number: own.number, secrets: 0 })
                    .collect(),
                data_keys: keys.keyring.data_keys().iter().map(|key| key.number).collect(),
                renewing: self.inner.renewing.load(Ordering::Acquire),
                deeds: look.open_table(Shelf::Trail.definition())?.len()?,
                file_bytes: std::fs::metadata(&self.inner.path).map_or(0, |file| file.len()),
                read_only: self.inner.engine.is_read_only(),
            };
            for row in look.open_table(Shelf::Entries.definition())?.iter()? {
                let (key, row) = row?;
                let entry = keys.read_entry(key.value(), row.value()).map_err(corrupt)?;
                *state.entries.entry(entry.resource().name()).or_default() += 1;
                for version in &entry.versions {
                    let pepper = state.peppers.iter_mut().find(|pepper| pepper.number == version.digest.pepper);
                    if let Some(pepper) = pepper {
                        pepper.secrets += 1;
                    }
                }
            }
            Ok(state)
        })
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Refused> {
        self.inner.engine.read(look).map_err(|failed: Failed| unavailable(&failed))
    }

    /// Looks at one moment of the store, with the keys of that moment.
    pub(super) fn look_under<T>(
        &self,
        look: impl FnOnce(&ReadTransaction, &Keys) -> Result<T, redb::Error>,
    ) -> Result<T, Refused> {
        let mut look = Some(look);
        loop {
            let keys = self.inner.keys.load_full();
            let seen = self.look(|snapshot| {
                // What is on file could be under keys that were added or let go in between.
                if !Arc::ptr_eq(&keys, &self.inner.keys.load()) {
                    return Ok(None);
                }
                look.take().map(|look| look(snapshot, &keys)).transpose()
            })?;
            if let Some(seen) = seen {
                return Ok(seen);
            }
        }
    }

    pub(super) fn outcome(&self, entry: &Entry, used: Option<UnixTime>) -> Outcome {
        Outcome {
            resource: entry.resource(),
            id: entry.id.clone(),
            revision: entry.revision,
            document: document::shown(entry, used, self.inner.clock.unix()),
            secret: None,
        }
    }
}

pub(super) type Found = Option<(Entry, Option<UnixTime>)>;

pub(super) fn entry(look: &ReadTransaction, keys: &Keys, key: &[u8]) -> Result<Found, redb::Error> {
    let Some(row) = look.open_table(Shelf::Entries.definition())?.get(key)? else { return Ok(None) };
    let entry = keys.read_entry(key, row.value()).map_err(corrupt)?;
    let used = look.open_table(Shelf::Used.definition())?.get(key)?.and_then(|used| last_used(used.value()));
    Ok(Some((entry, used)))
}

/// The key of the only entry of this name; none, where several accounts have one.
fn named(look: &ReadTransaction, resource: Resource, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let mut found = None;
    let table = look.open_table(Shelf::Names.definition())?;
    let first = [resource.code()];
    // To the end: one that stands further on would make it another's name as well.
    for row in table.range::<&[u8]>(first.as_slice()..)? {
        let (key, id) = row?;
        if key.value().first() != Some(&resource.code()) {
            break;
        }
        let own = key.value().iter().position(|byte| *byte == 0).map(|zero| &key.value()[zero + 1..]);
        if own == Some(name.as_bytes()) {
            if found.is_some() {
                return Ok(None);
            }
            found = Some([first.as_slice(), id.value()].concat());
        }
    }
    Ok(found)
}

/// The keys of entries after an id: of a user or an account, where the filter names one.
fn keys_after(
    look: &ReadTransaction,
    resource: Resource,
    filter: &Filter,
    after: Option<&str>,
) -> Result<impl Iterator<Item = Result<Vec<u8>, redb::Error>> + use<>, redb::Error> {
    let of = |definition: Definition, prefix: Vec<u8>, after: Option<Vec<u8>>| {
        let start = after.as_ref().map_or(Bound::Included(&prefix), Bound::Excluded);
        let rows = look.open_table(definition)?.range::<&[u8]>((start.map(Vec::as_slice), Bound::Unbounded))?;
        let keys = rows.map(|row| row.map(|(key, _)| key.value().to_vec()).map_err(redb::Error::from));
        let inside =
            move |key: &Result<Vec<u8>, _>| key.as_ref().map_or(true, |key: &Vec<u8>| key.starts_with(&prefix));
        Ok::<_, redb::Error>(keys.take_while(inside))
    };
    let own = after.map(|id| entry_key(resource, id));
    let user = filter.user.as_ref().map(|user| (Resource::User, user));
    let needed = user.or(filter.account.as_ref().map(|account| (Resource::Account, account)));
    let (definition, head) = match needed {
        None => (Shelf::Entries.definition(), Vec::new()),
        Some((needed, id)) => (Shelf::Needs.definition(), need_key(&entry_key(needed, id), None)),
    };
    let prefix = [head.as_slice(), &[resource.code()]].concat();
    let after = own.map(|own| [head.as_slice(), &own].concat());
    let cut = head.len();
    Ok(of(definition, prefix, after)?.map(move |key| key.map(|key| key[cut..].to_vec())))
}

/// The instant of a last use, as it lies in its table.
pub(super) fn last_used(minutes: &[u8]) -> Option<UnixTime> {
    Some(UnixTime(u64::from(u32::from_be_bytes(minutes.try_into().ok()?)) * 60))
}
