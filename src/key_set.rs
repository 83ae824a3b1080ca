//! The public keys of a foreign issuer (RFC 7517), which all workers share: read from a file once, or fetched beside the
//! corridor and swapped beneath those who read them. A key that nobody knows asks for a refresh, no more often than a
//! cool-down allows; what was fetched before stays good while its source does not answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::record::PublicKey;

/// More keys than any issuer has.
const MOST_KEYS: usize = 256;
/// What aws-lc verifies with, in bits.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Where keys are fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The address: https, or http on this machine.
    pub url: Uri,
    /// The authorities that the server's certificate is judged by, PEM; `None`: those of this host.
    pub authorities: Option<Vec<u8>>,
    /// How often.
    pub refresh: Duration,
    /// And how often at most for a key that nobody knows, or after a failure.
    pub cool_down: Duration,
}

/// One key, and how it was written.
#[derive(Clone, Debug)]
struct Entry {
    written: (String, String),
    key: Arc<PublicKey>,
}

/// The keys of one issuer.
pub struct KeySet {
    source: Option<Source>,
    keys: ArcSwapOption<HashMap<Box<str>, Entry>>,
    /// Counts the attempts to fetch them.
    attempts: AtomicU64,
    wish: Mutex<Wish>,
    /// Sets of configurations before this one with the same source, for as long as somebody has one: they hold the same.
    former: Mutex<Vec<Weak<Self>>>,
    told: Mutex<Told>,
}

/// What came of fetching, for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How often keys came.
    pub succeeded: u64,
    /// How often none did.
    pub failed: u64,
    /// When they came last.
    pub last_success: Option<UnixTime>,
}

#[derive(Default)]
struct Wish {
    /// Somebody asks for a key that is not there.
    wanted: bool,
    /// An attempt is under way, or about to be.
    in_flight: bool,
    /// When somebody last asked.
    asked: Option<UnixTime>,
    /// When somebody last asked during an attempt that was under way already.
    joined: Option<UnixTime>,
    /// Who fetches.
    fetcher: Option<Waker>,
    /// Who waits for an attempt to end.
    waiting: Vec<Waker>,
}

/// What is known of a key.
#[derive(Debug)]
pub enum Known {
    /// It is one of the issuer's.
    Key(Arc<PublicKey>),
    /// It is none of the issuer's.
    Unknown,
    /// No keys have been fetched yet.
    Nothing,
}

impl KeySet {
    /// The keys in a JWK Set.
    pub fn read(text: &[u8]) -> Result<Self, Invalid> {
        let set = Self::new(None);
        set.keys.store(Some(Arc::new(keys(text, None)?)));
        Ok(set)
    }

    /// Keys that are to be fetched from there.
    pub fn at(source: Source) -> Self {
        Self::new(Some(source))
    }

    fn new(source: Option<Source>) -> Self {
        Self {
            source,
            keys: ArcSwapOption::empty(),
            attempts: AtomicU64::new(0),
            wish: Mutex::default(),
            former: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// What came of fetching them so far, of sets with the same source before this one included.
    pub fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of an attempt.
    pub fn tell(&self, succeeded: bool, now: UnixTime) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if succeeded {
            told.succeeded += 1;
            told.last_success = Some(now);
        } else {
            told.failed += 1;
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.load().as_ref().map_or(0, |keys| keys.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where they are fetched, if they are.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The key of this id.
    pub fn find(&self, id: &str) -> Known {
        match &*self.keys.load() {
            None => Known::Nothing,
            Some(keys) => keys.get(id).map_or(Known::Unknown, |entry| Known::Key(Arc::clone(&entry.key))),
        }
    }

    /// Whether `key` is still one of the issuer's.
    pub fn has(&self, key: &Arc<PublicKey>) -> bool {
        self.keys.load().as_ref().is_some_and(|keys| keys.values().any(|entry| Arc::ptr_eq(&entry.key, key)))
    }

    /// Asks for a refresh, since a key is not there. Nothing comes of it during the cool-down, or where nothing is fetched.
    pub fn want(&self, now: UnixTime) {
        let Some(source) = &self.source else { return };
        let mut wish = self.wish();
        let cooling = wish.asked.is_some_and(|asked| now.0 < asked.0.saturating_add(source.cool_down.as_secs()));
        if cooling {
            return;
        }
        if wish.in_flight {
            wish.joined = Some(now);
            return;
        }
        (wish.wanted, wish.in_flight, wish.asked) = (true, true, Some(now));
        let fetcher = wish.fetcher.take();
        drop(wish);
        fetcher.into_iter().for_each(Waker::wake);
    }

    /// The attempt that is under way, to be waited for with [`KeySet::poll_ended`].
    pub fn attempt(&self) -> Option<u64> {
        self.wish().in_flight.then(|| self.attempts.load(Ordering::Acquire))
    }

    /// Ready when that attempt has ended, whatever came of it.
    pub fn poll_ended(&self, attempt: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut wish = self.wish();
        if self.attempts.load(Ordering::Acquire) != attempt {
            return Poll::Ready(());
        }
        wish.waiting.push(context.waker().clone());
        Poll::Pending
    }

    /// For whoever fetches: ready when somebody asks for a refresh.
    pub fn poll_wanted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut wish = self.wish();
        if std::mem::take(&mut wish.wanted) {
            return Poll::Ready(());
        }
        wish.fetcher = Some(context.waker().clone());
        Poll::Pending
    }

    /// An attempt begins.
    pub fn begin(&self) {
        self.wish().in_flight = true;
    }

    /// An attempt has ended; with a JWK Set, it takes the place of the one before.
    pub fn end(&self, fetched: Option<&[u8]>) -> Result<(), Invalid> {
        let taken = fetched.map(|text| {
            let before = self.keys.load_full();
            keys(text, before.as_deref()).map(|keys| self.hold(Arc::new(keys)))
        });
        let mut wish = self.wish();
        (wish.in_flight, wish.wanted) = (false, false);
        let joined = wish.joined.take();
        if !matches!(taken, Some(Ok(()))) {
            // Of those who have waited in vain, nobody begins the next one at once.
            wish.asked = wish.asked.max(joined);
        }
        self.attempts.fetch_add(1, Ordering::Release);
        let waiting = std::mem::take(&mut wish.waiting);
        drop(wish);
        waiting.into_iter().for_each(Waker::wake);
        taken.unwrap_or(Ok(()))
    }

    /// Holds these keys, and has those do so that were there before.
    fn hold(&self, keys: Arc<HashMap<Box<str>, Entry>>) {
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.retain(|former| former.strong_count() > 0);
        former.iter().filter_map(Weak::upgrade).for_each(|former| former.keys.store(Some(Arc::clone(&keys))));
        self.keys.store(Some(keys));
    }

    /// Begins with the keys of a set with the same source, which holds the same as this one from now on.
    fn go_on_from(&self, before: &Arc<Self>) {
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.append(&mut before.former.lock().unwrap_or_else(PoisonError::into_inner));
        former.push(Arc::downgrade(before));
        self.keys.store(before.keys.load_full());
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = before.told();
    }

    /// Holds no key any more but those that one of `next` has as well, word for word.
    fn shrink_to(&self, next: &[Arc<Self>]) {
        let stays = |id: &str, entry: &Entry| {
            next.iter().any(|next| {
                let keys = next.keys.load();
                keys.as_ref().and_then(|keys| keys.get(id)).is_some_and(|own| own.written == entry.written)
            })
        };
        let Some(keys) = self.keys.load_full() else { return };
        let rest = keys.iter().filter(|(id, entry)| stays(id, entry)).map(|(id, entry)| (id.clone(), entry.clone()));
        self.hold(Arc::new(rest.collect()));
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the sets of one configuration follow those of another: nobody waits for keys to be fetched that are there, and who
/// was proven by a key before is held to what is said of it now.
pub fn succeed(before: &[Arc<KeySet>], next: &[Arc<KeySet>]) {
    for former in before {
        let same = |next: &&Arc<KeySet>| former.source.is_some() && former.source == next.source;
        match next.iter().find(same) {
            Some(next) => next.go_on_from(former),
            None => former.shrink_to(next),
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("source", &self.source.as_ref().map(|source| &source.url))
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Rsa {
    kid: String,
    n: String,
    e: String,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
}

/// The RS256 keys of a JWK Set. Others in it are for somebody else; a set with two of one id is not taken. A key that was
/// there before stays the same object.
fn keys(text: &[u8], before: Option<&HashMap<Box<str>, Entry>>) -> Result<HashMap<Box<str>, Entry>, Invalid> {
    let written: Written = serde_json::from_slice(text)
        .map_err(|_| Invalid::new("this is not a JWK Set").hint("it is a JSON object with a list `keys` (RFC 7517)"))?;
    if written.keys.len() > MOST_KEYS {
        return Err(Invalid::new(format!("a JWK Set of more than {MOST_KEYS} keys is not read")));
    }
    let mut keys = HashMap::new();
    for key in written.keys.into_iter().filter(|key| key["kty"] == "RSA") {
        let Ok(rsa) = serde_json::from_value::<Rsa>(key) else { continue };
        let signs = rsa.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        if rsa.kid.is_empty() || !signs || rsa.alg.as_deref().is_some_and(|alg| alg != "RS256") || !is_long(&rsa.n) {
            continue;
        }
        let Rsa { kid, n, e, .. } = rsa;
        let known = before.and_then(|before| before.get(&*kid)).filter(|entry| entry.written == (n.clone(), e.clone()));
        let key = match known {
            Some(entry) => Arc::clone(&entry.key),
            None => match DecodingKey::from_rsa_components(&n, &e) {
                Ok(key) => Arc::new(PublicKey(key)),
                Err(_) => continue,
            },
        };
        if keys.insert(kid.clone().into_boxed_str(), Entry { written: (n, e), key }).is_some() {
            return Err(Invalid::new(format!("two keys of the JWK Set are called `{}`", kid.escape_debug())));
        }
    }
    if keys.is_empty() {
        return Err(Invalid::new("the JWK Set has no RSA key of 2048 bits or more, with a `kid`, for RS256"));
    }
    Ok(keys)
}

/// Whether a modulus in base64url has a length that is verified with.
fn is_long(modulus: &str) -> bool {
    URL_SAFE_NO_PAD.decode(modulus).is_ok_and(|bytes| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let first = bytes.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
        BITS.contains(&((bytes.len() - zeros) * 8 - first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str) -> Vec<u8> {
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt").join(name)).unwrap()
    }

    fn source() -> Source {
        let url = "http://127.0.0.1:1/keys".parse().unwrap();
        let (refresh, cool_down) = (Duration::from_mins(5), Duration::from_secs(30));
        Source { url, authorities: None, refresh, cool_down }
    }

    #[test]
    fn only_keys_that_verify_rs256_are_taken() {
        let keys = KeySet::read(&set("issuer.jwks")).unwrap();
        assert!(matches!(keys.find("issuer-1"), Known::Key(_)));
        for other in ["for-encryption", "elliptic", "short", "rs512", "", "ISSUER-1"] {
            assert!(matches!(keys.find(other), Known::Unknown), "{other}");
        }
        for wrong in ["", "[]", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"RSA\"}]}"] {
            assert!(KeySet::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let twice = String::from_utf8(set("issuer.jwks")).unwrap().replace("issuer-2", "issuer-1");
        assert_eq!(
            KeySet::read(twice.as_bytes()).unwrap_err().message,
            "two keys of the JWK Set are called `issuer-1`"
        );
    }

    #[test]
    fn a_key_that_is_not_there_is_asked_for_once_in_a_cool_down() {
        let keys = KeySet::at(source());
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(keys.find("issuer-1"), Known::Nothing));
        assert!(keys.poll_wanted(&mut context).is_pending() && keys.attempt().is_none());
        keys.want(UnixTime(100));
        assert!(keys.poll_wanted(&mut context).is_ready() && keys.poll_wanted(&mut context).is_pending());
        let attempt = keys.attempt().unwrap();
        assert!(keys.poll_ended(attempt, &mut context).is_pending());
        keys.end(Some(&set("issuer.jwks"))).unwrap();
        assert!(keys.poll_ended(attempt, &mut context).is_ready() && keys.attempt().is_none());
        assert!(matches!(keys.find("issuer-1"), Known::Key(_)));
        keys.want(UnixTime(129));
        assert!(keys.attempt().is_none());
        keys.want(UnixTime(130));
        assert!(keys.attempt().is_some());
    }

    #[test]
    fn keys_stay_while_their_source_fails_and_go_when_it_drops_them() {
        let keys = KeySet::at(source());
        keys.end(Some(&set("issuer.jwks"))).unwrap();
        let Known::Key(first) = keys.find("issuer-1") else { panic!("it is there") };
        keys.end(None).unwrap();
        assert!(keys.end(Some(b"<html>")).is_err());
        assert!(keys.has(&first));
        keys.end(Some(&set("issuer.jwks"))).unwrap();
        assert!(keys.has(&first), "what has not changed is the same object");
        let without = String::from_utf8(set("issuer.jwks")).unwrap().replace("issuer-1", "another");
        keys.end(Some(without.as_bytes())).unwrap();
        assert!(!keys.has(&first) && matches!(keys.find("issuer-1"), Known::Unknown));
    }
}
