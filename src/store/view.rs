//! More questions to the store, for those who answer in a vendor's words: a secret in clear, an entry by its name, a
//! slice of entries with how many there are in all. Answered from a snapshot, as in `read.rs`.

use redb::ReadTransaction;

use super::keys::Keys;
use super::read::{Found, entry};
use super::refused::Refused;
use super::resource::Resource;
use super::shelf::{Shelf, corrupt, entry_key, name_key, need_key};
use super::{Outcome, Store};
use crate::secret::Secret;

/// Some entries out of many, in the order of their ids.
#[derive(Debug)]
pub struct Slice {
    /// The entries.
    pub items: Vec<Outcome>,
    /// How many there are in all.
    pub total: usize,
}

impl Store {
    /// The newest version of an entry's secret, in clear. `None`: it is kept as a digest alone.
    pub fn reveal(&self, resource: Resource, id: &str) -> Result<Option<Secret>, Refused> {
        let found = self.look_under(|look, keys| {
            let Some((entry, _)) = entry(look, keys, &entry_key(resource, id))? else { return Ok(None) };
            match entry.versions.first() {
                Some(newest) => keys.open(&entry, newest).map(Some).map_err(corrupt),
                None => Ok(Some(None)),
            }
        })?;
        found.ok_or_else(|| self.missing(resource, id))
    }

    /// The entry of this id, and of no other: names are not looked at.
    pub fn exactly(&self, resource: Resource, id: &str) -> Result<Option<Outcome>, Refused> {
        self.one(|look, keys| entry(look, keys, &entry_key(resource, id)))
    }

    /// The entry that this account calls so; accounts themselves have their names without one.
    pub fn named(&self, resource: Resource, account: &str, name: &str) -> Result<Option<Outcome>, Refused> {
        self.one(|look, keys| {
            let place = name_key(resource, account, name);
            let id = look.open_table(Shelf::Names.definition())?.get(place.as_slice())?.map(|id| id.value().to_vec());
            match id {
                Some(id) => entry(look, keys, &[&[resource.code()][..], &id].concat()),
                None => Ok(None),
            }
        })
    }

    /// Entries from a place on, and how many there are: all of the resource, or those that need `of`, such as all
    /// tokens of a camera. Counting looks at keys alone.
    pub fn slice(
        &self,
        resource: Resource,
        of: Option<(Resource, &str)>,
        offset: usize,
        limit: usize,
    ) -> Result<Slice, Refused> {
        let (items, total) = self.look_under(|look, keys| {
            let (definition, head) = match of {
                None => (Shelf::Entries.definition(), Vec::new()),
                Some((needed, id)) => (Shelf::Needs.definition(), need_key(&entry_key(needed, id), None)),
            };
            let prefix = [head.as_slice(), &[resource.code()]].concat();
            let (mut items, mut total) = (Vec::new(), 0);
            for row in look.open_table(definition)?.range::<&[u8]>(prefix.as_slice()..)? {
                let (key, _) = row?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                if total >= offset && items.len() < limit {
                    items.extend(entry(look, keys, &key.value()[head.len()..])?);
                }
                total += 1;
            }
            Ok((items, total))
        })?;
        Ok(Slice { items: items.iter().map(|(entry, used)| self.outcome(entry, *used)).collect(), total })
    }

    fn one(
        &self,
        find: impl FnOnce(&ReadTransaction, &Keys) -> Result<Found, redb::Error>,
    ) -> Result<Option<Outcome>, Refused> {
        Ok(self.look_under(find)?.map(|(entry, used)| self.outcome(&entry, used)))
    }
}
