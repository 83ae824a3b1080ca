//! Who the caller is, once proven. Only a scheme can make a [`Principal`]: it is the receipt that `authorize` asks for.

use std::mem;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::clock::UnixTime;
use crate::record::{Account, App, Record, Scopes};
use crate::scheme::issuer::Stranger;

/// The scheme of an app that asks for no proof.
const WAIVED: &str = "waived";

/// An end that never comes.
const NEVER: UnixTime = UnixTime(u64::MAX);

/// A proven caller. Nobody outside can make one or make more of one:
///
/// ```compile_fail
/// fn promote(caller: &mut vidgate::scheme::Principal) {
///     caller.scopes = None;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Principal {
    speaker: Speaker,
    pub(super) account: Option<Arc<Account>>,
    scheme: &'static str,
    scopes: Option<Scopes>,
    pub(super) credentials: Credentials,
    /// What is known of them by the tokens of foreign issuers.
    pub(super) strangers: Several<Arc<Stranger>>,
    /// When what was presented ends by its own account.
    pub(super) until: UnixTime,
    /// What they may do at most, whatever stands on file.
    limits: Option<Scopes>,
    /// What the proof asks of the certificate of their connection.
    pub(super) certified: Option<Certified>,
}

/// What a proof asks of a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certified {
    /// It is known as it is: all it takes is that nobody has taken it back.
    ByItself,
    /// An authority vouches for it.
    ByAuthority,
}

/// Whose name a caller goes by.
#[derive(Clone, Debug)]
enum Speaker {
    /// One of the credentials, by its place among them.
    Credential(usize),
    /// A client certificate that is good without being on file.
    Certificate(HeaderValue),
    /// The token of a foreign issuer.
    Token(HeaderValue),
    /// A circumstance.
    Circumstance(HeaderValue),
}

/// The records of the credentials that proved a caller; one as a rule.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Several<Proven>);

/// A credential that proved a caller.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    /// As it was on file.
    pub(super) record: Arc<Record>,
    /// The place of the secret that was given, among those that the record has; `None`: it has no such.
    pub(super) by: Option<u8>,
    /// The account that it speaks for, where that is a child of its own.
    pub(super) account: Option<Arc<Account>>,
}

/// A list that has one element as a rule.
#[derive(Clone, Debug)]
pub(super) struct Several<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

impl<T> Several<T> {
    fn one(only: T) -> Self {
        Self { first: Some(only), more: Vec::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.more)
    }

    fn join(mut self, other: Self) -> Self {
        if self.first.is_none() {
            return other;
        }
        self.more.extend(other.first);
        self.more.extend(other.more);
        self
    }
}

impl Credentials {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.0.iter().map(|proven| &proven.record)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.0.first.is_some()) + self.0.more.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.first.is_none()
    }

    fn nth(&self, place: usize) -> &Record {
        self.iter().nth(place).expect("a speaker is one of the credentials")
    }

    /// Joins both lists.
    fn join(self, other: Self) -> Self {
        Self(self.0.join(other.0))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Proven> {
        self.0.iter_mut()
    }
}

impl Principal {
    /// The caller whom a record on file stands for.
    pub(super) fn of_record(scheme: &'static str, record: Arc<Record>) -> Self {
        Self {
            speaker: Speaker::Credential(0),
            account: Some(Arc::clone(&record.account)),
            scheme,
            scopes: record.scopes.clone(),
            credentials: Credentials(Several::one(Proven { record, by: None, account: None })),
            strangers: Several::default(),
            until: NEVER,
            limits: None,
            certified: None,
        }
    }

    /// The same caller, proven by the secret at this place of the record.
    pub(super) fn by(mut self, place: u8) -> Self {
        self.credentials.iter_mut().for_each(|proven| proven.by = Some(place));
        self
    }

    /// The same caller, whose credential says itself when it ends.
    pub(super) fn until(mut self, end: UnixTime) -> Self {
        self.until = self.until.min(end);
        self
    }

    /// The same caller, who may do no more than this.
    pub(super) fn limited_to(mut self, scopes: &Scopes) -> Self {
        self.scopes = both(self.scopes.as_ref(), Some(scopes));
        self.limits = both(self.limits.as_ref(), Some(scopes));
        self
    }

    /// The same caller, whose connection has a certificate of which this is asked.
    pub(super) fn certified(mut self, by: Certified) -> Self {
        self.certified = Some(by);
        self
    }

    /// Reads anew on file what they may do.
    pub(super) fn read_scopes(&mut self) {
        let on_file = self.credentials.iter().map(|record| record.scopes.as_ref());
        self.scopes = on_file.fold(self.limits.clone(), |all, own| both(all.as_ref(), own));
    }

    /// The same caller, speaking for another account (a child of the record's).
    pub(super) fn speaking_for(mut self, account: Arc<Account>) -> Self {
        for proven in self.credentials.iter_mut().filter(|proven| !Arc::ptr_eq(&proven.record.account, &account)) {
            proven.account = Some(Arc::clone(&account));
        }
        self.account = Some(account);
        self
    }

    /// A caller known by a circumstance alone, such as an address.
    pub(super) fn ambient(scheme: &'static str, subject: HeaderValue) -> Self {
        let speaker = Speaker::Circumstance(subject);
        Self {
            speaker,
            account: None,
            scheme,
            scopes: None,
            credentials: Credentials::default(),
            strangers: Several::default(),
            until: NEVER,
            limits: None,
            certified: None,
        }
    }

    /// A caller known by a certificate that no record is about. It speaks for no account.
    pub(super) fn of_certificate(scheme: &'static str, subject: HeaderValue) -> Self {
        Self { speaker: Speaker::Certificate(subject), ..Self::ambient(scheme, HeaderValue::from_static("")) }
    }

    /// A caller whom a foreign issuer knows.
    pub(super) fn of_stranger(scheme: &'static str, stranger: &Arc<Stranger>) -> Self {
        Self {
            speaker: Speaker::Token(stranger.subject.clone()),
            account: stranger.account.clone(),
            scheme,
            scopes: stranger.scopes.clone(),
            credentials: Credentials::default(),
            strangers: Several::one(Arc::clone(stranger)),
            until: NEVER,
            limits: stranger.scopes.clone(),
            certified: None,
        }
    }

    /// Whether whatever proved `other` has proven this caller too; nothing at all proves nobody.
    pub fn includes(&self, other: &Self) -> bool {
        let has = |record: &Arc<Record>| self.credentials.iter().any(|own| Arc::ptr_eq(own, record));
        let knows = |its: &Arc<Stranger>| {
            let is_same = |own: &Arc<Stranger>| Arc::ptr_eq(&own.keys, &its.keys) && own.subject == its.subject;
            self.strangers.iter().any(is_same)
        };
        let anything = !other.credentials.is_empty() || other.rests_on_issuers();
        anything && other.credentials.iter().all(has) && other.strangers.iter().all(knows)
    }

    /// Who a foreign issuer, or the authority of a certificate, says they are; `None`: a record does, or nobody.
    pub fn identity(&self) -> Option<&str> {
        match &self.speaker {
            Speaker::Token(_) | Speaker::Certificate(_) => Some(self.subject()),
            Speaker::Credential(_) | Speaker::Circumstance(_) => None,
        }
    }

    /// What a token claims of the caller, for the upstream.
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        self.strangers.first.as_ref().map_or(&[], |stranger| &stranger.fields)
    }

    /// An app that asks for no proof here: its switch is off.
    pub(super) fn waived(record: Arc<Record>) -> Self {
        Self::of_record(WAIVED, record)
    }

    /// The app that speaks, where an app does.
    pub fn app(&self) -> Option<&App> {
        self.credentials.iter().find_map(|record| record.attributes.app())
    }

    /// Who speaks, towards the upstream and the log: `camera:248527`, `license_key:main`, `address:office`.
    pub fn subject(&self) -> &str {
        match &self.speaker {
            Speaker::Credential(place) => self.credentials.nth(*place).subject(),
            Speaker::Certificate(name) | Speaker::Token(name) | Speaker::Circumstance(name) => {
                name.to_str().unwrap_or_default()
            }
        }
    }

    /// The subject as the value of a field: it was found to be one when it was made.
    pub fn subject_field(&self) -> &[u8] {
        match &self.speaker {
            Speaker::Credential(place) => self.credentials.nth(*place).subject().as_bytes(),
            Speaker::Certificate(name) | Speaker::Token(name) | Speaker::Circumstance(name) => name.as_bytes(),
        }
    }

    /// The credential that speaks; `None`: what speaks is not on file.
    pub fn speaker(&self) -> Option<&Record> {
        match &self.speaker {
            Speaker::Credential(place) => Some(self.credentials.nth(*place)),
            Speaker::Certificate(_) | Speaker::Token(_) | Speaker::Circumstance(_) => None,
        }
    }

    /// The account it speaks for.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// The kind of the scheme that proved it: `acc`, `lkey`, …
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// What it may do; `None` is not limited.
    pub fn scopes(&self) -> Option<&Scopes> {
        self.scopes.as_ref()
    }

    /// Every credential it was proven by.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether a credential proved it, and not a circumstance alone.
    pub(crate) fn is_identified(&self) -> bool {
        self.scheme != WAIVED
            && (!self.credentials.is_empty() || matches!(self.speaker, Speaker::Certificate(_) | Speaker::Token(_)))
    }

    /// One caller who was proven in two ways. `None`: the two speak for different accounts.
    ///
    /// No account agrees with any; an account agrees with those above it, and the lower one is meant. What both allow
    /// is allowed, and the more specific of the two speaks.
    pub(crate) fn agree(mut self, mut other: Self) -> Option<Self> {
        let self_speaks = match (&self.account, &other.account) {
            // A certificate says more than an address.
            (None, None) => self.is_identified() || !other.is_identified(),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            // Of one account, the credential that may do less says more about who is there.
            (Some(own), Some(its)) if own.id == its.id => self.scopes.is_some() || other.scopes.is_none(),
            (Some(own), Some(its)) if own.is_below(its) => true,
            (Some(own), Some(its)) if its.is_below(own) => false,
            (Some(_), Some(_)) => return None,
        };
        let scopes = both(self.scopes.as_ref(), other.scopes.as_ref());
        let limits = both(self.limits.as_ref(), other.limits.as_ref());
        let certified = self.certified.max(other.certified);
        if let Speaker::Credential(place) = &mut other.speaker {
            *place += self.credentials.len();
        }
        let credentials = mem::take(&mut self.credentials).join(mem::take(&mut other.credentials));
        let strangers = mem::take(&mut self.strangers).join(mem::take(&mut other.strangers));
        let until = self.until.min(other.until);
        let speaker = if self_speaks { self } else { other };
        Some(Self { scopes, credentials, strangers, until, limits, certified, ..speaker })
    }

    /// Whether they were proven by an app that asked for no proof.
    pub(super) fn is_waived(&self) -> bool {
        self.scheme == WAIVED
    }
}

/// What both allow.
fn both(one: Option<&Scopes>, other: Option<&Scopes>) -> Option<Scopes> {
    match (one, other) {
        (Some(own), Some(its)) => Some(own.intersection(its)),
        (one, None) | (None, one) => one.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attributes, Directory, Kind};
    use crate::scheme::stage::{Register, issuers_keys, stranger};

    /// `parent` is above `child`, which is above `grandchild`; `sibling` is beside `child`.
    fn register() -> Register {
        let register = Register::new();
        for (id, parent) in
            [("parent", None), ("child", Some("parent")), ("grandchild", Some("child")), ("sibling", Some("parent"))]
        {
            register.account(id, parent);
        }
        for account in ["parent", "child", "grandchild", "sibling"] {
            register.enrol(Kind::LicenseKey, account, account, account, |_| {});
            register.enrol(Kind::CameraToken, account, account, account, |record| {
                record.attributes = Attributes::Camera("7".into());
                record.scopes = Some(["all", "watch"].into_iter().collect());
            });
        }
        register
    }

    fn of(register: &Register, kind: Kind, account: &str) -> Principal {
        Principal::of_record(kind.name(), register.look_up(kind, account.as_bytes()).unwrap())
    }

    #[test]
    fn an_account_agrees_with_those_above_it_and_the_lower_one_is_meant() {
        let register = register();
        for (first, second, expected) in [
            ("child", "child", Some("child")),
            ("parent", "child", Some("child")),
            ("parent", "grandchild", Some("grandchild")),
            ("child", "grandchild", Some("grandchild")),
            ("child", "sibling", None),
            ("grandchild", "sibling", None),
        ] {
            for (first, second) in [(first, second), (second, first)] {
                let (own, its) = (of(&register, Kind::LicenseKey, first), of(&register, Kind::LicenseKey, second));
                let agreed = own.agree(its);
                let account = agreed.as_ref().map(|principal| &*principal.account.as_ref().unwrap().id.0);
                assert_eq!(account, expected, "{first} and {second}");
                if let Some(principal) = agreed {
                    assert_eq!(principal.subject(), format!("license_key:{}", expected.unwrap()));
                    assert_eq!(principal.credentials.iter().count(), 2);
                }
            }
        }
    }

    #[test]
    fn no_account_agrees_with_any_and_whoever_has_one_speaks() {
        let register = register();
        let office = || Principal::ambient("ip", HeaderValue::from_static("address:office"));
        let camera = || of(&register, Kind::CameraToken, "child");
        for merged in [office().agree(camera()), camera().agree(office())] {
            let merged = merged.unwrap();
            assert_eq!((merged.subject(), merged.scheme), ("camera_token:child", "camera_token"));
            assert_eq!(merged.scopes, camera().scopes);
        }
        let both = office().agree(office()).unwrap();
        assert!(both.account.is_none() && both.scopes.is_none() && !both.is_identified());
    }

    #[test]
    fn a_certificate_that_is_not_on_file_identifies_its_holder_and_speaks_before_an_address() {
        let register = register();
        let office = || Principal::ambient("ip", HeaderValue::from_static("address:office"));
        let ops = || Principal::of_certificate("mtls", HeaderValue::from_static("certificate:ops"));
        for merged in [ops(), office().agree(ops()).unwrap(), ops().agree(office()).unwrap()] {
            assert_eq!((merged.subject(), merged.scheme), ("certificate:ops", "mtls"));
            assert_eq!(merged.subject_field(), b"certificate:ops");
            assert!(merged.is_identified() && merged.account.is_none() && merged.credentials.is_empty());
        }
        let key = || of(&register, Kind::LicenseKey, "child");
        for merged in [ops().agree(key()).unwrap(), key().agree(ops()).unwrap()] {
            assert_eq!((merged.subject(), merged.credentials.len()), ("license_key:child", 1));
        }
    }

    #[test]
    fn a_caller_includes_only_what_proved_them() {
        let register = register();
        let (keys, others) = (issuers_keys(), issuers_keys());
        let known = |name, keys| {
            stranger(name, register.look_up(Kind::LicenseKey, b"child").map(|own| Arc::clone(&own.account)), keys)
        };
        let key = || of(&register, Kind::LicenseKey, "child");
        let (alice, office) = (known("alice", &keys), Principal::ambient("ip", HeaderValue::from_static("address:x")));
        for (what, own, its, expected) in [
            ("the same token", alice.clone(), known("alice", &keys), true),
            ("another's of the issuer", alice.clone(), known("bob", &keys), false),
            ("another issuer's of that name", alice.clone(), known("alice", &others), false),
            ("a token beside a key", key(), alice.clone(), false),
            ("a key beside a token", alice.clone(), key(), false),
            ("one of both", key().agree(alice.clone()).unwrap(), alice.clone(), true),
            ("the other of both", key().agree(alice.clone()).unwrap(), key(), true),
            ("both of one", key(), key().agree(alice).unwrap(), false),
            ("nothing at all", key(), office, false),
        ] {
            assert_eq!(own.includes(&its), expected, "{what}");
        }
    }

    #[test]
    fn what_both_allow_is_allowed_and_the_limited_one_speaks() {
        let register = register();
        let (key, camera) = (of(&register, Kind::LicenseKey, "child"), of(&register, Kind::CameraToken, "child"));
        for merged in [key.clone().agree(camera.clone()), camera.clone().agree(key)] {
            let merged = merged.unwrap();
            assert_eq!(merged.subject(), "camera_token:child");
            assert_eq!(merged.scopes, Some(["all", "watch"].into_iter().collect()));
        }
        let mut watching = camera.clone();
        watching.scopes = Some(["watch", "streaming"].into_iter().collect());
        assert_eq!(camera.agree(watching).unwrap().scopes, Some(["watch"].into_iter().collect()));
    }

    #[test]
    fn of_two_proofs_the_earlier_end_the_narrower_limits_and_the_stricter_certificate_hold() {
        let register = register();
        let scopes = |all: &[&str]| all.iter().copied().collect::<Scopes>();
        // The stricter one is not that of the credential that speaks.
        let mut short = of(&register, Kind::LicenseKey, "child").certified(Certified::ByAuthority);
        (short.until, short.limits) = (UnixTime(50), Some(scopes(&["watch", "all"])));
        let mut long = of(&register, Kind::CameraToken, "child").certified(Certified::ByItself);
        (long.until, long.limits) = (UnixTime(70), Some(scopes(&["watch", "streaming"])));
        for merged in [short.clone().agree(long.clone()), long.agree(short)] {
            let mut merged = merged.unwrap();
            assert_eq!((merged.until, merged.certified), (UnixTime(50), Some(Certified::ByAuthority)));
            assert_eq!(merged.limits, Some(scopes(&["watch"])));
            assert_eq!((merged.credentials.len(), merged.is_waived()), (2, false));
            // What is on file cannot undo what a proof was limited to.
            merged.read_scopes();
            assert_eq!(merged.scopes, Some(scopes(&["watch"])));
        }
    }

    #[test]
    fn of_two_who_say_as_much_the_first_one_speaks() {
        let register = register();
        let office = |name| Principal::ambient("ip", HeaderValue::from_static(name));
        let holder = |name| Principal::of_certificate("mtls", HeaderValue::from_static(name));
        let key = |name| of(&register, Kind::LicenseKey, name);
        for (first, second, expected) in [
            (office("address:a"), office("address:b"), "address:a"),
            (holder("certificate:a"), holder("certificate:b"), "certificate:a"),
            (key("child"), key("child"), "license_key:child"),
        ] {
            let merged = first.agree(second).unwrap();
            assert_eq!(merged.subject(), expected);
            let speaks = matches!(merged.speaker, Speaker::Credential(0));
            assert_eq!(speaks, merged.account.is_some(), "the first of two credentials");
        }
    }

    #[test]
    fn an_app_that_asks_for_no_proof_identifies_nobody() {
        let register = register();
        let record = || register.look_up(Kind::LicenseKey, b"child").unwrap();
        let (waived, proven) = (Principal::waived(record()), Principal::of_record("lkey", record()));
        assert_eq!((waived.is_waived(), waived.is_identified()), (true, false));
        assert_eq!((proven.is_waived(), proven.is_identified()), (false, true));
    }
}
