//! What is known of a credential and its owner, in the one shape that every kind shares. Finding a record is the
//! business of `store/`; believing a credential that of `scheme/`.

mod account;
mod app;
mod attributes;
mod camera;
mod hosts;
mod kind;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use http::HeaderValue;
use subtle::{Choice, ConstantTimeEq};

pub use self::account::{Account, AccountId, DEEPEST_ACCOUNT, Quota, Standing, Terms};
pub use self::app::{App, Signer, Wall};
pub use self::attributes::{Attributes, Group, Proof, PublicKey, Scopes};
pub use self::camera::{Holding, Members};
pub use self::hosts::{Hosts, LONGEST_PAGE, Page};
pub use self::kind::Kind;
use crate::clock::UnixTime;
use crate::invalid::Invalid;

/// A keyed digest (HMAC-SHA256 under the pepper) of a key, token or identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Whether both are the same, in constant time: what differs is gathered first and asked for once.
    pub fn equals(&self, other: &Self) -> Choice {
        let word = |digest: &Self, at: usize| u64::from_ne_bytes(*digest.0[at..].first_chunk().expect("eight bytes"));
        let differs = (0..32).step_by(8).fold(0, |differs, at| differs | (word(self, at) ^ word(other, at)));
        differs.ct_eq(&0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

/// What a record is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// The digest of the text that is presented.
    pub digest: Digest,
}

// The digest is keyed and uniform: eight bytes of it tell keys apart, and no caller can make them meet.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.digest.0.split_first_chunk().expect("a digest has 32 bytes");
        state.write_u64(u64::from_ne_bytes(*first));
    }
}

/// One credential, as it is put on file.
#[derive(Debug)]
pub struct Details {
    /// What it is found by.
    pub key: Key,
    /// Its own name (not secret), unique for its kind: also in logs.
    pub id: String,
    /// Who owns it.
    pub account: Arc<Account>,
    /// Who speaks with it, towards the upstream: `camera:248527`, `license_key:main`.
    pub subject: String,
    /// Switched off by an operator.
    pub disabled: bool,
    /// Good from then on.
    pub not_before: Option<UnixTime>,
    /// Good before then.
    pub expires: Option<UnixTime>,
    /// When it was last used, as far as is known.
    pub used: Option<UnixTime>,
    /// What it may do; `None` is not limited.
    pub scopes: Option<Scopes>,
    /// What only its kind has.
    pub attributes: Attributes,
}

impl Details {
    /// A credential that is good for ever and for everything, and speaks by its own name.
    pub fn new(key: Key, id: impl Into<String>, account: Arc<Account>) -> Self {
        let id = id.into();
        Self {
            subject: format!("{}:{id}", key.kind.speaker()),
            key,
            id,
            account,
            disabled: false,
            not_before: None,
            expires: None,
            used: None,
            scopes: None,
            attributes: Attributes::None,
        }
    }
}

/// One credential, as the corridor sees it. There may be a million of them: 112 bytes, and one piece of text.
pub struct Record {
    key: Key,
    flags: AtomicU8,
    /// Where in `text` the subject ends.
    subject_len: u8,
    /// Where in `text` the id begins.
    id_at: u8,
    /// Whole minutes since 1970; 0 is never.
    used: AtomicU32,
    /// 0 is always.
    not_before: UnixTime,
    /// `u64::MAX` is never.
    expires: UnixTime,
    /// The subject, and behind it the id; what ends the one as it begins the other stands there once.
    text: Box<str>,
    /// Who owns it.
    pub account: Arc<Account>,
    /// What it may do; `None` is not limited.
    pub scopes: Option<Scopes>,
    /// What only its kind has.
    pub attributes: Attributes,
}

const DISABLED: u8 = 1;

/// Something that is said of a record once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Remark {
    /// It was found under an older pepper.
    Found = 2,
    /// One of its proofs was given that is known under an older pepper.
    Proven = 4,
}

impl Record {
    /// The record of this credential. Refuses a subject that no header field can carry.
    pub fn new(details: Details) -> Result<Self, Invalid> {
        let Details { key, id, account, subject, disabled, not_before, expires, used, scopes, attributes } = details;
        let subject_len = Self::speaks_as(&subject)?;
        // `license_key:main` holds `main`, and `camera:7` the first part of `7#2`.
        let shared = subject.char_indices().find_map(|(at, _)| id.starts_with(&subject[at..]).then_some(at));
        let id_at = shared.unwrap_or(subject.len());
        let text = [&subject[..id_at], &id].concat();
        Ok(Self {
            key,
            flags: AtomicU8::new(if disabled { DISABLED } else { 0 }),
            subject_len,
            id_at: u8::try_from(id_at).expect("an id begins within the subject or at its end"),
            used: AtomicU32::new(used.map_or(0, minutes)),
            not_before: not_before.unwrap_or(UnixTime(0)),
            expires: expires.unwrap_or(UnixTime(u64::MAX)),
            text: text.into_boxed_str(),
            account,
            scopes,
            attributes,
        })
    }

    /// Whether a credential can have this subject; its length.
    pub(crate) fn speaks_as(subject: &str) -> Result<u8, Invalid> {
        if HeaderValue::from_str(subject).is_err() || !subject.is_ascii() {
            return Err(Invalid::new("a subject goes into a header field: it is visible ASCII"));
        }
        u8::try_from(subject.len()).map_err(|_| Invalid::new("a subject is at most 255 bytes"))
    }

    /// Whether another record would make no difference in the place of this one, its last use aside.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.key == other.key
            && self.is_disabled() == other.is_disabled()
            && (self.not_before, self.expires) == (other.not_before, other.expires)
            && (self.id(), self.subject()) == (other.id(), other.subject())
            && Arc::ptr_eq(&self.account, &other.account)
            && self.scopes == other.scopes
            && self.attributes == other.attributes
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.key.kind
    }

    /// What it is found by.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its own name (not secret), unique for its kind: also in logs.
    pub fn id(&self) -> &str {
        &self.text[usize::from(self.id_at)..]
    }

    /// Who speaks with it, towards the upstream: `camera:248527`, `license_key:main`. A header field can carry it.
    pub fn subject(&self) -> &str {
        &self.text[..usize::from(self.subject_len)]
    }

    /// Whether an operator has switched it off.
    pub fn is_disabled(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & DISABLED != 0
    }

    /// Good from then on.
    pub fn not_before(&self) -> Option<UnixTime> {
        (self.not_before.0 != 0).then_some(self.not_before)
    }

    /// Good before then.
    pub fn expires(&self) -> Option<UnixTime> {
        (self.expires.0 != u64::MAX).then_some(self.expires)
    }

    /// What must be given with what it is found by, where its kind has such.
    pub fn proofs(&self) -> &[Proof] {
        match &self.attributes {
            Attributes::Proofs(proofs) => proofs,
            Attributes::None
            | Attributes::Camera(_)
            | Attributes::Group(_)
            | Attributes::PublicKey(_)
            | Attributes::App(_) => &[],
        }
    }

    /// Notes that a request was admitted with it. Writes once a minute at most: all workers share the record.
    pub fn seen(&self, now: UnixTime) {
        let now = minutes(now);
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    /// The minute in which it was last used; `None` is never.
    pub fn used(&self) -> Option<UnixTime> {
        let minutes = self.used.load(Ordering::Relaxed);
        (minutes != 0).then(|| UnixTime(u64::from(minutes) * 60))
    }

    /// Goes on from the last use of the record that this one replaces.
    pub(crate) fn carry_use(&self, before: &Self) {
        self.used.fetch_max(before.used.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether `remark` is now made for the first time.
    pub(crate) fn first(&self, remark: Remark) -> bool {
        // Read first: once it was made, nobody writes any more.
        !self.said(remark) && self.flags.fetch_or(remark as u8, Ordering::Relaxed) & remark as u8 == 0
    }

    /// Whether `remark` was made.
    pub(crate) fn said(&self, remark: Remark) -> bool {
        self.flags.load(Ordering::Relaxed) & remark as u8 != 0
    }

    /// Takes a remark back that nobody had room for.
    pub(crate) fn unsay(&self, remark: Remark) {
        self.flags.fetch_and(!(remark as u8), Ordering::Relaxed);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.key.kind)
            .field("id", &self.id())
            .field("subject", &self.subject())
            .field("account", &self.account.id.0)
            .finish_non_exhaustive()
    }
}

fn minutes(time: UnixTime) -> u32 {
    u32::try_from(time.0 / 60).unwrap_or(u32::MAX)
}

/// What a secret is worth beside an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It proves the holder.
    Proven,
    /// It did once: another has taken its place since.
    Over,
    /// It never did.
    Wrong,
}

/// Finds records; the corridor's only view of who exists. Never blocks, never touches a disk.
pub trait Directory {
    /// The credential of this kind that `text` stands for.
    fn look_up(&self, kind: Kind, text: &[u8]) -> Option<Arc<Record>>;

    /// The API client one of whose secrets `text` is, be it good still or over: for places where no secret belongs, never
    /// to prove anybody.
    fn look_up_secret(&self, text: &[u8]) -> Option<Arc<Record>>;

    /// Whether `text` is a secret behind one of these proofs, and behind which: its place among them, where it proves.
    /// Takes the same time whatever they are; for somebody unknown there are none, and it takes that time as well.
    fn proves_by(&self, text: &[u8], proofs: &[Proof], now: UnixTime) -> (Verdict, u8);

    /// The same, whichever it is.
    fn proves(&self, text: &[u8], proofs: &[Proof], now: UnixTime) -> Verdict {
        self.proves_by(text, proofs, now).0
    }

    /// Hears that `text` has just proven the holder of `record`, whose proof may be known in an outdated way.
    fn proven(&self, record: &Record, text: &[u8]);

    /// Whether `record` is what is on file now, and not what once was.
    fn is_current(&self, record: &Arc<Record>) -> bool;

    /// What is on file now in the place of `record`: itself, or the same credential as it was changed since.
    fn successor(&self, record: &Arc<Record>) -> Option<Arc<Record>>;

    /// How often something has changed that could end the standing of a credential: a number that is another after each
    /// change.
    fn changes(&self) -> u64;

    /// The account with this name.
    fn account(&self, id: &str) -> Option<Arc<Account>>;

    /// How the camera of this id stands at `now` to `account`.
    fn camera(&self, id: &str, account: &Account, now: UnixTime) -> Holding;

    /// When the camera of this id is over, where it has an end.
    fn camera_end(&self, id: &str) -> Option<UnixTime>;
}
