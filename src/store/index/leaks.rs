//! Secrets of API clients by their digests, for the one question that their identifiers do not answer: is this text
//! anybody's secret? Some 50 bytes for each secret; credentials of other kinds take none.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::super::by_key::Uniform;
use crate::record::{Digest, Kind, Proof, Record};

/// Who has which secret.
#[derive(Debug)]
pub(super) struct Leaks(DashMap<Half, Holders, Uniform>);

/// One half of a keyed digest tells secrets apart; the other is compared in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Half([u8; 16]);

/// Those with one secret: one, unless somebody has given it to several.
#[derive(Debug)]
enum Holders {
    One(Arc<Record>),
    Several(Box<[Arc<Record>]>),
}

impl Leaks {
    pub(super) fn new(shards: usize) -> Self {
        Self(DashMap::with_capacity_and_hasher_and_shard_amount(0, Uniform::default(), shards))
    }

    /// Knows the secrets of `record` from now on, beside those of the one that it replaces.
    pub(super) fn add(&self, record: &Arc<Record>) {
        for proof in secrets(record) {
            match self.0.entry(Half::of(&proof.digest)) {
                Entry::Vacant(place) => {
                    place.insert(Holders::One(Arc::clone(record)));
                }
                Entry::Occupied(mut place) => place.get_mut().add(record),
            }
        }
    }

    /// Forgets them.
    pub(super) fn forget(&self, record: &Arc<Record>) {
        for proof in secrets(record) {
            if let Entry::Occupied(mut place) = self.0.entry(Half::of(&proof.digest))
                && place.get_mut().forget(record)
            {
                place.remove();
            }
        }
    }

    /// The first who has a secret with this digest, under the pepper of this number.
    pub(super) fn holder(&self, pepper: u16, digest: &Digest) -> Option<Arc<Record>> {
        let holders = self.0.get(&Half::of(digest))?;
        let has = |record: &&Arc<Record>| {
            secrets(record).iter().any(|proof| proof.pepper == pepper && proof.digest.equals(digest).into())
        };
        holders.all().iter().find(has).cloned()
    }
}

/// The secrets that no query may hold.
fn secrets(record: &Record) -> &[Proof] {
    if record.kind() == Kind::ApiClient { record.proofs() } else { &[] }
}

impl Holders {
    fn all(&self) -> &[Arc<Record>] {
        match self {
            Self::One(record) => std::slice::from_ref(record),
            Self::Several(records) => records,
        }
    }

    fn add(&mut self, record: &Arc<Record>) {
        match self {
            Self::One(first) => *self = Self::Several([Arc::clone(first), Arc::clone(record)].into()),
            Self::Several(records) => *records = records.iter().chain([record]).cloned().collect(),
        }
    }

    /// Whether nobody is left.
    fn forget(&mut self, record: &Arc<Record>) -> bool {
        match self {
            Self::One(own) => return Arc::ptr_eq(own, record),
            Self::Several(records) => {
                let rest: Vec<_> = records.iter().filter(|own| !Arc::ptr_eq(own, record)).cloned().collect();
                *self = match &rest[..] {
                    [last] => Self::One(Arc::clone(last)),
                    _ => Self::Several(rest.into()),
                };
            }
        }
        self.all().is_empty()
    }
}

impl Half {
    fn of(digest: &Digest) -> Self {
        Self(*digest.0.first_chunk().expect("a digest has 32 bytes"))
    }
}

// As with the whole digest: eight bytes of it are uniform.
impl Hash for Half {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from_ne_bytes(*self.0.first_chunk().expect("half a digest has 16 bytes")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{account, peppers};
    use super::super::*;
    use crate::record::{Attributes, Details};

    fn client(index: &Index, id: &str, secrets: &[&str]) -> Record {
        with(index, Kind::ApiClient, id, secrets.iter().map(|secret| index.proof(secret.as_bytes(), None)).collect())
    }

    fn with(index: &Index, kind: Kind, id: &str, proofs: Box<[Proof]>) -> Record {
        let account = index.account("acme").unwrap_or_else(|| account(index, "acme"));
        let mut details = Details::new(Key { kind, digest: index.digest(id.as_bytes()) }, id, account);
        details.attributes = Attributes::Proofs(proofs);
        Record::new(details).unwrap()
    }

    fn holder(index: &Index, secret: &str) -> Option<String> {
        index.look_up_secret(secret.as_bytes()).map(|record| record.id().to_owned())
    }

    #[test]
    fn a_secret_is_known_for_as_long_as_somebody_has_it() {
        let index = Index::new();
        let first = index.insert(client(&index, "one", &["old-secret", "new-secret"])).unwrap();
        assert_eq!(holder(&index, "old-secret").as_deref(), Some("one"));
        assert_eq!(holder(&index, "one"), None);
        // Rotated: the new one stays, the old one is over.
        index.publish(client(&index, "one", &["new-secret"]));
        assert_eq!((holder(&index, "old-secret"), holder(&index, "new-secret").as_deref()), (None, Some("one")));
        index.remove(Kind::ApiClient, &first.key().digest);
        assert_eq!(holder(&index, "new-secret"), None);
        assert_eq!(index.leaks.0.len(), 0, "nothing is left behind");
    }

    #[test]
    fn one_secret_of_several_is_known_until_the_last_has_lost_it() {
        let index = Index::new();
        let ids = ["one", "two", "three"];
        let digests: Vec<Digest> =
            ids.map(|id| index.insert(client(&index, id, &["shared-secret"])).unwrap().key().digest).into();
        for (gone, digest) in digests.iter().enumerate() {
            assert_eq!(holder(&index, "shared-secret").as_deref(), Some(ids[gone]));
            index.remove(Kind::ApiClient, digest);
        }
        assert_eq!((holder(&index, "shared-secret"), index.leaks.0.len()), (None, 0));
    }

    #[test]
    fn a_secret_that_is_known_under_an_older_pepper_is_found() {
        let index = Index::with_peppers(peppers([1]));
        index.insert(client(&index, "one", &["old-secret"])).unwrap();
        index.set_peppers(peppers([1, 2]));
        assert_eq!(holder(&index, "old-secret").as_deref(), Some("one"));
        index.set_peppers(peppers([2]));
        assert_eq!(holder(&index, "old-secret"), None);
    }

    #[test]
    fn passwords_of_people_are_no_secrets_of_api_clients() {
        let index = Index::new();
        let password = index.proof(b"a-password", None);
        index.insert(with(&index, Kind::User, "ann", [password].into())).unwrap();
        assert_eq!((holder(&index, "a-password"), index.leaks.0.len()), (None, 0));
    }
}
