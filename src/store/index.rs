//! Accounts and credentials in memory, as the corridor sees them. Many read while one writes; a reader never waits for
//! a disk, and a credential that is replaced or moved to another digest is never missed in between.

mod cameras;
mod census;
mod leaks;
mod moves;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

pub use self::cameras::{Camera, Cameras};
use self::census::Census;
use self::leaks::Leaks;
use self::moves::Moves;
use super::by_key::{ByKey, Uniform};
use super::digest::Peppers;
use super::key_text::{self, Shape};
use crate::clock::UnixTime;
use crate::record::{Account, Digest, Directory, Holding, Key, Kind, Proof, Record, Remark, Verdict};

/// How many parts the records lie in. A part that grows makes its readers wait; with a million records that is for
/// about 4000 of them.
const SHARDS: usize = 256;
/// As many proofs are compared with each secret at least, so that their number does not show.
const MOST_PROOFS: usize = 4;

/// Everything known of who exists.
pub struct Index {
    peppers: ArcSwap<Peppers>,
    records: DashMap<ByKey, (), Uniform>,
    accounts: DashMap<Arc<str>, Arc<Account>>,
    leaks: Leaks,
    cameras: Cameras,
    moves: Moves,
    census: Census,
    /// One more with every change that is done.
    changes: AtomicU64,
    sightings: Option<SyncSender<Sighting>>,
}

/// Two credentials of one kind are the same key or token: who presents it cannot be told apart.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the same credential is on file as `{first}`")]
pub struct Clash {
    /// The kind of both.
    pub kind: Kind,
    /// The name of the one that was there before.
    pub first: Box<str>,
}

/// A credential known under an older pepper was presented, so that its digest under the newest is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The kind of the record.
    pub kind: Kind,
    /// The name of the record.
    pub id: Box<str>,
    /// Which of its digests.
    pub part: Part,
    /// That digest as it was.
    pub old: Digest,
    /// The number of the newest pepper.
    pub pepper: u16,
    /// The digest under it.
    pub digest: Digest,
}

/// A digest of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one by which it is found.
    Handle,
    /// The one of a secret that goes with it.
    Proof,
}

impl Index {
    /// Nobody yet, under a pepper of its own.
    pub fn new() -> Self {
        Self::with_peppers(Peppers::random())
    }

    /// Nobody yet, under peppers that outlive the process.
    pub fn with_peppers(peppers: Peppers) -> Self {
        Self {
            peppers: ArcSwap::from_pointee(peppers),
            records: DashMap::with_capacity_and_hasher_and_shard_amount(0, Uniform::default(), SHARDS),
            accounts: DashMap::new(),
            leaks: Leaks::new(SHARDS),
            cameras: Cameras::new(SHARDS),
            moves: Moves::default(),
            census: Census::default(),
            changes: AtomicU64::new(0),
            sightings: None,
        }
    }

    /// Tells of credentials that are known under an older pepper when they are presented: each once, unless there was
    /// no room for it.
    pub fn reporting(self, sightings: SyncSender<Sighting>) -> Self {
        Self { sightings: Some(sightings), ..self }
    }

    /// Changes the peppers. What is on file under one that is not among them is not found any more.
    pub fn set_peppers(&self, peppers: Peppers) {
        self.peppers.store(Arc::new(peppers));
    }

    /// The peppers in use.
    pub fn peppers(&self) -> Arc<Peppers> {
        self.peppers.load_full()
    }

    /// The digest of `text` under the newest pepper.
    pub fn digest(&self, text: &[u8]) -> Digest {
        self.peppers.load().digest_newest(text).1
    }

    /// What proves `secret` under the newest pepper.
    pub fn proof(&self, secret: &[u8], expires: Option<UnixTime>) -> Proof {
        let (pepper, digest) = self.peppers.load().digest_newest(secret);
        // What is declared has no versions: it is known by what it is, and never by a number that versions have.
        let (first, _) = digest.0.split_first_chunk().expect("a digest has 32 bytes");
        Proof { number: u32::from_ne_bytes(*first) | 1 << 31, pepper, digest, expires }
    }

    /// Adds an account. Returns the shared one that records refer to; `Err`: the one that has its name already.
    pub fn insert_account(&self, account: Account) -> Result<Arc<Account>, Arc<Account>> {
        match self.accounts.entry(Arc::clone(&account.id.0)) {
            Entry::Occupied(first) => Err(Arc::clone(first.get())),
            Entry::Vacant(place) => Ok(Arc::clone(&place.insert(Arc::new(account)))),
        }
    }

    /// Takes an account away. Its credentials are the business of whoever does so.
    pub fn remove_account(&self, id: &str) -> Option<Arc<Account>> {
        let removed = self.accounts.remove(id).map(|(_, account)| account);
        self.changed();
        removed
    }

    /// Something has changed that could end the standing of a credential, and everybody can see it.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Which camera is whose.
    pub fn cameras(&self) -> &Cameras {
        &self.cameras
    }

    /// Adds a credential. The first one stays where two clash.
    pub fn insert(&self, record: Record) -> Result<Arc<Record>, Clash> {
        let record = Arc::new(record);
        match self.records.entry(ByKey(Arc::clone(&record))) {
            Entry::Occupied(first) => {
                let first = &first.key().0;
                Err(Clash { kind: first.kind(), first: first.id().into() })
            }
            Entry::Vacant(place) => {
                place.insert(());
                self.census.add(record.kind());
                self.leaks.add(&record);
                Ok(record)
            }
        }
    }

    /// Puts a credential in place, whatever was found by its digest before. Its last use goes on where it is the same
    /// one. From then on readers find the new one; until then, the one before.
    pub fn publish(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.leaks.add(&record);
        match self.records.entry(ByKey(Arc::clone(&record))) {
            Entry::Occupied(before) => {
                let (before, ()) = before.replace_entry(());
                self.leaks.forget(&before.0);
                if before.0.id() == record.id() {
                    record.carry_use(&before.0);
                }
            }
            Entry::Vacant(place) => {
                place.insert(());
                self.census.add(record.kind());
            }
        }
        self.changed();
        record
    }

    /// The same, but leaves in place what says the same: whatever hangs on that goes on.
    pub fn settle(&self, record: Record) -> Arc<Record> {
        let before = self.records.get(record.key()).map(|before| Arc::clone(&before.key().0));
        before.filter(|before| before.equals(&record)).unwrap_or_else(|| self.publish(record))
    }

    /// Takes a credential away: nobody finds it from now on.
    pub fn remove(&self, kind: Kind, digest: &Digest) -> Option<Arc<Record>> {
        let (record, ()) = self.records.remove(&Key { kind, digest: *digest })?;
        self.census.take(kind);
        self.leaks.forget(&record.0);
        self.changed();
        Some(record.0)
    }

    /// Visits every credential. `visit` must not change the index: it holds a part of it still.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Record>)) {
        self.records.iter().for_each(|record| visit(&record.key().0));
    }

    /// The credential that `text` stands for, without a word to anyone.
    pub fn holder(&self, kind: Kind, text: &[u8]) -> Option<Arc<Record>> {
        self.search(kind, text).map(|found| found.record)
    }

    /// The credential that is known by this digest.
    pub(super) fn known_by(&self, kind: Kind, digest: &Digest) -> Option<Arc<Record>> {
        self.records.get(&Key { kind, digest: *digest }).map(|record| Arc::clone(&record.key().0))
    }

    fn search(&self, kind: Kind, text: &[u8]) -> Option<Found> {
        let mut peppers = self.peppers.load();
        loop {
            if let Some(found) = self.search_under(&peppers, kind, text) {
                return Some(found);
            }
            let now = self.peppers.load();
            // What is moved to a pepper that is newer than these would be missed under them.
            if Arc::ptr_eq(&peppers, &now) {
                return None;
            }
            peppers = now;
        }
    }

    fn search_under(&self, peppers: &Guard<Arc<Peppers>>, kind: Kind, text: &[u8]) -> Option<Found> {
        let (pepper, newest) = peppers.digest_newest(text);
        let get = |digest: &Digest| {
            let record = self.records.get(&Key { kind, digest: *digest })?;
            Some(Found { record: Arc::clone(&record.key().0), pepper, newest })
        };
        let found = get(&newest);
        if found.is_some() {
            return found;
        }
        let mut older = peppers.digests_older(text).peekable();
        older.peek()?;
        // The newest once more: a record may have been moved there after it was asked for, and away from the older one
        // before that was.
        older.find_map(|digest| get(&digest)).or_else(|| get(&newest))
    }

    fn tell(&self, record: &Record, remark: Remark, sighting: impl FnOnce() -> Sighting) {
        let Some(sightings) = &self.sightings else { return };
        if record.first(remark)
            && let Err(TrySendError::Full(_)) = sightings.try_send(sighting())
        {
            record.unsay(remark);
        }
    }
}

/// A record, and the digest of the text under the newest pepper.
struct Found {
    record: Arc<Record>,
    pepper: u16,
    newest: Digest,
}

/// Whether a text may be anybody's. A key of our own carries a checksum, so that garbage costs no digest. Names that
/// people chose carry none, however they begin.
fn worth_looking_up(kind: Kind, text: &[u8]) -> bool {
    match kind {
        Kind::LicenseKey | Kind::CameraToken | Kind::GroupToken | Kind::UserKey | Kind::BearerToken => {
            key_text::shape(text) != Shape::Mistyped
        }
        Kind::ApiClient | Kind::ServiceAccountKey | Kind::User | Kind::App | Kind::AdminCertificate => true,
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory for Index {
    fn look_up(&self, kind: Kind, text: &[u8]) -> Option<Arc<Record>> {
        if !worth_looking_up(kind, text) {
            return None;
        }
        let Found { record, pepper, newest } = self.search(kind, text)?;
        let old = record.key().digest;
        if old != newest {
            let id = || record.id().into();
            let sighting = || Sighting { kind, id: id(), part: Part::Handle, old, pepper, digest: newest };
            self.tell(&record, Remark::Found, sighting);
        }
        Some(record)
    }

    fn look_up_secret(&self, text: &[u8]) -> Option<Arc<Record>> {
        let peppers = self.peppers.load();
        peppers.digests(text).find_map(|(pepper, digest)| self.leaks.holder(pepper, &digest))
    }

    fn proves_by(&self, text: &[u8], proofs: &[Proof], now: UnixTime) -> (Verdict, u8) {
        let padding = MOST_PROOFS.saturating_sub(proofs.len());
        let nobodys = Proof { number: 0, pepper: 0, digest: Digest([0; 32]), expires: Some(UnixTime(0)) };
        let proofs = || proofs.iter().chain(std::iter::repeat_n(&nobodys, padding));
        let (mut proven, mut over, mut by) = (0, 0, 0);
        for (pepper, digest) in self.peppers.load().digests(text) {
            for (place, proof) in (0_u8..=u8::MAX).zip(proofs()) {
                // 0 or 1. Neither of the two is a secret.
                let counts = u8::from(proof.pepper == pepper);
                let current = u8::from(proof.expires.is_none_or(|end| now < end));
                let equal = digest.equals(&proof.digest).unwrap_u8() & counts;
                let chosen = equal & current;
                proven |= chosen;
                by = by * (1 - chosen) + place * chosen;
                over |= equal & !current;
            }
        }
        match (proven, over) {
            (1, _) => (Verdict::Proven, by),
            (_, 1) => (Verdict::Over, 0),
            _ => (Verdict::Wrong, 0),
        }
    }

    fn proven(&self, record: &Record, text: &[u8]) {
        let peppers = self.peppers.load();
        let outdated = || record.proofs().iter().filter(|proof| proof.pepper != peppers.newest());
        if self.sightings.is_none() || record.said(Remark::Proven) || outdated().next().is_none() {
            return;
        }
        let is_of = |proof: &&Proof| peppers.digest_under(proof.pepper, text) == Some(proof.digest);
        let Some(old) = outdated().find(is_of).map(|proof| proof.digest) else { return };
        self.tell(record, Remark::Proven, || {
            let (pepper, digest) = peppers.digest_newest(text);
            Sighting { kind: record.kind(), id: record.id().into(), part: Part::Proof, old, pepper, digest }
        });
    }

    fn is_current(&self, record: &Arc<Record>) -> bool {
        self.records.get(record.key()).is_some_and(|current| Arc::ptr_eq(&current.key().0, record))
    }

    fn successor(&self, record: &Arc<Record>) -> Option<Arc<Record>> {
        let key = record.key();
        let current = self.known_by(key.kind, &key.digest).or_else(|| {
            let Key { kind, digest } = self.moves.of(record)?;
            self.known_by(kind, &digest)
        });
        // Somebody else's may have come by the same text.
        current.filter(|current| current.id() == record.id())
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn account(&self, id: &str) -> Option<Arc<Account>> {
        self.accounts.get(id).map(|account| Arc::clone(&account))
    }

    fn camera(&self, id: &str, account: &Account, now: UnixTime) -> Holding {
        self.cameras.holding(id, account, now)
    }

    fn camera_end(&self, id: &str) -> Option<UnixTime> {
        self.cameras.end(id)
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
mod tests;
