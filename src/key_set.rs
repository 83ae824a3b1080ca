//! The public keys of a foreign issuer (RFC 7517), which all workers share: read from a file once, or fetched beside the
//! corridor and swapped beneath those who read them. A key that nobody knows asks for a refresh, no more often than a
//! cool-down allows; what was fetched before stays good while its source does not answer, and not for ever.

mod jwks;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::Uri;

use self::jwks::{Entry, Keys, keys};
use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::record::PublicKey;

/// Keys without an end.
const NEVER: UnixTime = UnixTime(u64::MAX);

/// Where keys are fetched.
#[derive(PartialEq, Eq)]
pub struct Source {
    /// The address: https, or http on this machine.
    pub url: Uri,
    /// The authorities that the server's certificate is judged by, PEM; `None`: those of this host.
    pub authorities: Option<Vec<u8>>,
    /// How often.
    pub refresh: Duration,
    /// And how often at most for a key that nobody knows, or after a failure.
    pub cool_down: Duration,
    /// How long keys stay good that cannot be fetched again.
    pub max_age: Duration,
}

impl Source {
    /// Whether another says the same of where, and perhaps not of how often.
    pub fn is_there_too(&self, other: &Self) -> bool {
        self.url == other.url && self.authorities == other.authorities
    }

    /// The address without what may be secret in it: neither user nor password, nor a query.
    pub fn shown(&self) -> String {
        let url = &self.url;
        let host = url.host().unwrap_or_default();
        let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", url.scheme_str().unwrap_or_default(), url.path())
    }
}

/// Keys that came together.
#[derive(Debug)]
struct Held {
    keys: Keys,
    /// When they came; `None`: they were read from a file, and do not age.
    fetched: Option<UnixTime>,
    /// From when on nothing is proven by them any more.
    until: UnixTime,
}

/// The keys of one issuer.
pub struct KeySet {
    source: Option<Source>,
    held: ArcSwapOption<Held>,
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
    /// Nobody fetches any more: whoever asks would wait in vain.
    over: bool,
    /// When somebody last asked.
    asked: Option<UnixTime>,
    /// When somebody last asked during an attempt that was under way already.
    joined: Option<UnixTime>,
    /// Who fetches.
    fetcher: Option<Waker>,
    /// Who waits for an attempt to end.
    waiting: Vec<Waker>,
}

impl Wish {
    fn is_cooling(&self, source: &Source, now: UnixTime) -> bool {
        self.asked.is_some_and(|asked| now.0 < asked.0.saturating_add(source.cool_down.as_secs()))
    }
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
    /// Those that were fetched are too old to be believed.
    TooOld,
}

impl KeySet {
    /// The keys in a JWK Set.
    pub fn read(text: &[u8]) -> Result<Self, Invalid> {
        let set = Self::new(None);
        let held = Held { keys: keys(text, None)?, fetched: None, until: NEVER };
        set.held.store(Some(Arc::new(held)));
        Ok(set)
    }

    /// Keys that are to be fetched from there.
    pub fn at(source: Source) -> Self {
        Self::new(Some(source))
    }

    fn new(source: Option<Source>) -> Self {
        Self {
            source,
            held: ArcSwapOption::empty(),
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

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.held.load().as_ref().map_or(0, |held| held.keys.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where they are fetched, if they are.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The key of this id, as far as it is good at this time.
    pub fn find(&self, id: &str, now: UnixTime) -> Known {
        match &*self.held.load() {
            None => Known::Nothing,
            Some(held) if now >= held.until => Known::TooOld,
            Some(held) => held.keys.get(id).map_or(Known::Unknown, |entry| Known::Key(Arc::clone(&entry.key))),
        }
    }

    /// Until when `key` is good, as far as is known now; `None` where it is none of the issuer's any more.
    pub fn stands(&self, key: &Arc<PublicKey>) -> Option<UnixTime> {
        let held = self.held.load();
        let held = held.as_ref()?;
        held.keys.values().any(|entry| Arc::ptr_eq(&entry.key, key)).then_some(held.until)
    }

    /// From when on they are refused if they are not fetched again; `None` before they were fetched.
    pub fn good_until(&self) -> Option<UnixTime> {
        self.held.load().as_ref().map(|held| held.until)
    }

    /// Asks for a refresh, since a key is not there. Nothing comes of it during the cool-down, or where nothing is fetched.
    pub fn want(&self, now: UnixTime) {
        let Some(source) = &self.source else { return };
        let mut wish = self.wish();
        if wish.over || wish.is_cooling(source, now) {
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

    /// Whether somebody who asked for a refresh now would have to wait for one. Nothing comes of it.
    pub fn would_be_wanted(&self, now: UnixTime) -> bool {
        let wish = self.wish();
        wish.in_flight || !wish.over && self.source.as_ref().is_some_and(|source| !wish.is_cooling(source, now))
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
        if !wish.waiting.iter().any(|own| own.will_wake(context.waker())) {
            wish.waiting.push(context.waker().clone());
        }
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

    /// An attempt has ended at this time; with a JWK Set, it takes the place of the one before.
    pub fn end(&self, fetched: Option<&[u8]>, now: UnixTime) -> Result<(), Invalid> {
        let taken = fetched.map(|text| {
            let before = self.held.load_full();
            let keys = keys(text, before.as_deref().map(|held| &held.keys))?;
            self.hold(Held { keys, fetched: Some(now), until: self.end_of(Some(now)) });
            Ok(())
        });
        let came = matches!(taken, Some(Ok(())));
        let mut wish = self.wish();
        (wish.in_flight, wish.wanted) = (false, false);
        let joined = wish.joined.take();
        if !came {
            // Of those who have waited in vain, nobody begins the next one at once.
            wish.asked = wish.asked.max(joined);
        }
        self.tell(came, now);
        self.attempts.fetch_add(1, Ordering::Release);
        let waiting = std::mem::take(&mut wish.waiting);
        drop(wish);
        waiting.into_iter().for_each(Waker::wake);
        taken.unwrap_or(Ok(()))
    }

    /// Nobody fetches these keys any more: nobody waits for an attempt that was under way, or asks for another.
    pub fn give_up(&self) {
        let mut wish = self.wish();
        (wish.in_flight, wish.wanted, wish.over) = (false, false, true);
        self.attempts.fetch_add(1, Ordering::Release);
        let waiting = std::mem::take(&mut wish.waiting);
        drop(wish);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Notes what came of an attempt.
    fn tell(&self, succeeded: bool, now: UnixTime) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if succeeded {
            told.succeeded += 1;
            told.last_success = Some(now);
        } else {
            told.failed += 1;
        }
    }

    /// When keys that came at this time are too old.
    fn end_of(&self, fetched: Option<UnixTime>) -> UnixTime {
        match (fetched, &self.source) {
            (Some(UnixTime(at)), Some(source)) => UnixTime(at.saturating_add(source.max_age.as_secs())),
            (None, _) | (_, None) => NEVER,
        }
    }

    /// Holds these keys, and has those do so that were there before.
    fn hold(&self, held: Held) {
        let held = Arc::new(held);
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.retain(|former| former.strong_count() > 0);
        former.iter().filter_map(Weak::upgrade).for_each(|former| former.held.store(Some(Arc::clone(&held))));
        self.held.store(Some(held));
    }

    /// A set from the same place, and those that it had replaced, hold the same as this one from now on.
    fn replaces(&self, before: &Arc<Self>) {
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        former.append(&mut before.former.lock().unwrap_or_else(PoisonError::into_inner));
        former.push(Arc::downgrade(before));
    }

    /// Begins with the keys of a set from the same place, for as long as is said here.
    fn begin_with(&self, before: &Self) {
        if let Some(held) = before.held.load_full() {
            let Held { keys, fetched, .. } = &*held;
            self.hold(Held { keys: keys.clone(), fetched: *fetched, until: self.end_of(*fetched) });
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = before.told();
    }

    /// Holds no key any more but those that one of `next` has as well, word for word.
    fn shrink_to(&self, next: &[Arc<Self>]) {
        let Some(held) = self.held.load_full() else { return };
        let others: Vec<_> = next.iter().filter_map(|next| next.held.load_full()).collect();
        let is_kept =
            |other: &Held, id: &str, entry: &Entry| other.keys.get(id).is_some_and(|own| own.written == entry.written);
        let (mut rest, mut until) = (Keys::new(), held.until);
        for (id, entry) in &held.keys {
            let keepers = others.iter().filter(|other| is_kept(other, id, entry));
            if let Some(longest) = keepers.map(|other| other.until).max() {
                until = until.max(longest);
                rest.insert(id.clone(), entry.clone());
            }
        }
        self.hold(Held { keys: rest, fetched: held.fetched, until });
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the sets of one configuration follow those of another: nobody waits for keys to be fetched that are there, and who
/// was proven by a key before is held to what is said of it now.
pub fn succeed(before: &[Arc<KeySet>], next: &[Arc<KeySet>]) {
    // Several schemes may have keys from one place: each of them begins with what was there.
    for former in before {
        if let Some(next) = like(former, before, next) {
            next.replaces(former);
        }
    }
    for set in next {
        if let Some(former) = like(set, next, before) {
            set.begin_with(former);
        }
    }
    for former in before.iter().filter(|former| like(former, before, next).is_none()) {
        former.shrink_to(next);
    }
}

/// The one among `others` that has its keys from the same place as one of `own`: where several have, the one in the same
/// turn, since who was proven is known by the very key; one that is fetched as often comes before all others.
fn like<'s>(set: &Arc<KeySet>, own: &[Arc<KeySet>], others: &'s [Arc<KeySet>]) -> Option<&'s Arc<KeySet>> {
    let source = set.source.as_ref()?;
    let find = |is: fn(&Source, &Source) -> bool| {
        let alike = |one: &&Arc<KeySet>| one.source.as_ref().is_some_and(|one| is(source, one));
        let turn = own.iter().take_while(|one| !Arc::ptr_eq(one, set)).filter(alike).count();
        let mut found = others.iter().filter(alike);
        found.clone().nth(turn).or_else(|| found.next_back())
    };
    find(Source::eq).or_else(|| find(Source::is_there_too))
}

// A query may be a secret.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("source", &self.source.as_ref().map(Source::shown)).finish_non_exhaustive()
    }
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
        Source { url, authorities: None, refresh, cool_down, max_age: Duration::from_hours(24) }
    }

    #[test]
    fn only_keys_that_verify_rs256_are_taken() {
        let keys = KeySet::read(&set("issuer.jwks")).unwrap();
        assert!(matches!(keys.find("issuer-1", UnixTime(100)), Known::Key(_)));
        for other in ["for-encryption", "elliptic", "short", "rs512", "", "ISSUER-1"] {
            assert!(matches!(keys.find(other, UnixTime(100)), Known::Unknown), "{other}");
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
        assert!(matches!(keys.find("issuer-1", UnixTime(100)), Known::Nothing));
        assert!(keys.poll_wanted(&mut context).is_pending() && keys.attempt().is_none());
        keys.want(UnixTime(100));
        assert!(keys.poll_wanted(&mut context).is_ready() && keys.poll_wanted(&mut context).is_pending());
        let attempt = keys.attempt().unwrap();
        assert!(keys.poll_ended(attempt, &mut context).is_pending());
        keys.end(Some(&set("issuer.jwks")), UnixTime(100)).unwrap();
        assert!(keys.poll_ended(attempt, &mut context).is_ready() && keys.attempt().is_none());
        assert!(matches!(keys.find("issuer-1", UnixTime(100)), Known::Key(_)));
        keys.want(UnixTime(129));
        assert!(keys.attempt().is_none());
        keys.want(UnixTime(130));
        assert!(keys.attempt().is_some());
    }

    #[test]
    fn keys_stay_while_their_source_fails_and_go_when_it_drops_them() {
        let keys = KeySet::at(source());
        keys.end(Some(&set("issuer.jwks")), UnixTime(100)).unwrap();
        let Known::Key(first) = keys.find("issuer-1", UnixTime(100)) else { panic!("it is there") };
        keys.end(None, UnixTime(100)).unwrap();
        assert!(keys.end(Some(b"<html>"), UnixTime(100)).is_err());
        assert!(keys.stands(&first).is_some());
        keys.end(Some(&set("issuer.jwks")), UnixTime(100)).unwrap();
        assert!(keys.stands(&first).is_some(), "what has not changed is the same object");
        let without = String::from_utf8(set("issuer.jwks")).unwrap().replace("issuer-1", "another");
        keys.end(Some(without.as_bytes()), UnixTime(100)).unwrap();
        assert!(keys.stands(&first).is_none() && matches!(keys.find("issuer-1", UnixTime(100)), Known::Unknown));
    }

    fn days(days: u64) -> UnixTime {
        UnixTime(days * 86_400)
    }

    #[test]
    fn keys_are_too_old_a_while_after_they_came_last() {
        let keys = KeySet::at(source());
        assert_eq!(keys.good_until(), None);
        keys.end(Some(&set("issuer.jwks")), days(1)).unwrap();
        let Known::Key(first) = keys.find("issuer-1", days(1)) else { panic!("it is there") };
        keys.end(None, UnixTime(days(2).0 - 1)).unwrap();
        assert!(matches!(keys.find("issuer-1", UnixTime(days(2).0 - 1)), Known::Key(_)));
        assert!(matches!(keys.find("issuer-1", days(2)), Known::TooOld));
        assert!(matches!(keys.find("nobody-s", days(2)), Known::TooOld), "nothing is known of any key");
        assert_eq!((keys.stands(&first), keys.good_until()), (Some(days(2)), Some(days(2))));
        keys.end(Some(&set("issuer.jwks")), days(2)).unwrap();
        assert!(matches!(keys.find("issuer-1", days(2)), Known::Key(_)));
        assert_eq!(keys.stands(&first), Some(days(3)), "it is the same key");
        let told = keys.told();
        assert_eq!((told.succeeded, told.failed, told.last_success), (2, 1, Some(days(2))));
        let file = KeySet::read(&set("issuer.jwks")).unwrap();
        assert!(matches!(file.find("issuer-1", UnixTime(u64::MAX - 1)), Known::Key(_)));
    }

    #[test]
    fn another_configuration_says_anew_how_long_keys_are_good() {
        let before = Arc::new(KeySet::at(source()));
        before.end(Some(&set("issuer.jwks")), days(1)).unwrap();
        let Known::Key(first) = before.find("issuer-1", days(1)) else { panic!("it is there") };
        let shorter = Source { max_age: Duration::from_hours(12), refresh: Duration::from_mins(1), ..source() };
        let next = Arc::new(KeySet::at(shorter));
        succeed(&[Arc::clone(&before)], &[Arc::clone(&next)]);
        let noon = UnixTime(days(1).0 + 43_200);
        assert_eq!((before.stands(&first), next.stands(&first)), (Some(noon), Some(noon)));
        next.end(Some(&set("issuer.jwks")), noon).unwrap();
        assert_eq!(before.stands(&first), Some(days(2)), "who was proven before is held to the same");
        // Elsewhere it is another's key, unless it is the very same, word for word.
        let file = Arc::new(KeySet::read(&set("issuer.jwks")).unwrap());
        succeed(&[Arc::clone(&next)], &[file]);
        assert_eq!(next.stands(&first), Some(NEVER));
        succeed(&[Arc::clone(&next)], &[Arc::new(KeySet::at(source()))]);
        assert_eq!(next.stands(&first), Some(UnixTime(noon.0 + 86_400)), "it is asked for at the same place once more");
    }

    #[test]
    fn each_of_several_sets_of_one_place_goes_on_with_what_was_there() {
        let sets = || [Arc::new(KeySet::at(source())), Arc::new(KeySet::at(source()))];
        let (before, next) = (sets(), sets());
        let firsts = before.each_ref().map(|keys| {
            keys.end(Some(&set("issuer.jwks")), days(1)).unwrap();
            let Known::Key(first) = keys.find("issuer-1", days(1)) else { panic!("it is there") };
            first
        });
        succeed(&before, &next);
        for (keys, first) in next.iter().zip(&firsts) {
            assert!(matches!(keys.find("issuer-1", days(1)), Known::Key(own) if Arc::ptr_eq(&own, first)));
            assert_eq!((keys.len(), keys.told().succeeded), (before[0].len(), 1));
            // Who was proven under the one before is held to what comes now.
            keys.end(Some(&set("issuer.jwks")), days(2)).unwrap();
        }
        for (keys, first) in before.iter().zip(&firsts) {
            assert_eq!(keys.stands(first), Some(days(3)));
        }
        // A scheme more, and one less.
        let more = [(), (), ()].map(|()| Arc::new(KeySet::at(source())));
        succeed(&next, &more);
        assert!(more.iter().all(|keys| matches!(keys.find("issuer-1", days(2)), Known::Key(_))));
        let one = [Arc::new(KeySet::at(source()))];
        succeed(&more, &one);
        assert!(matches!(one[0].find("issuer-1", days(2)), Known::Key(_)));
    }

    #[test]
    fn nobody_waits_for_keys_that_nobody_fetches_any_more() {
        let keys = KeySet::at(source());
        let mut context = Context::from_waker(Waker::noop());
        keys.want(UnixTime(100));
        let attempt = keys.attempt().unwrap();
        assert!(keys.poll_ended(attempt, &mut context).is_pending());
        keys.give_up();
        assert!(keys.poll_ended(attempt, &mut context).is_ready());
        keys.want(UnixTime(1000));
        assert!(keys.attempt().is_none() && !keys.would_be_wanted(UnixTime(1000)));
    }

    #[test]
    fn whoever_waits_is_noted_once() {
        struct Waiting;
        impl std::task::Wake for Waiting {
            fn wake(self: Arc<Self>) {}
        }
        let keys = KeySet::at(source());
        let waker = Waker::from(Arc::new(Waiting));
        let mut context = Context::from_waker(&waker);
        keys.want(UnixTime(100));
        for _ in 0..3 {
            assert!(keys.poll_ended(keys.attempt().unwrap(), &mut context).is_pending());
        }
        assert_eq!(keys.wish().waiting.len(), 1);
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, expected) in [
            ("https://keys.example.com/jwks.json", "https://keys.example.com/jwks.json"),
            ("http://user:hunter2@127.0.0.1:8080/a?key=hunter2", "http://127.0.0.1:8080/a"),
            ("https://[::1]:8443", "https://[::1]:8443/"),
        ] {
            let source = Source { url: url.parse().unwrap(), ..source() };
            assert_eq!(source.shown(), expected);
            assert!(!format!("{source:?}").contains("hunter2"));
            assert!(!format!("{:?}", KeySet::at(source)).contains("hunter2"));
        }
    }
}
