//! Who the caller is, once proven. Only a scheme can make a [`Principal`]: it is the receipt that `authorize` asks for.

use std::mem;
use std::sync::Arc;

use http::HeaderValue;

use crate::record::{Account, Directory, Record, Scopes};

/// A proven caller. Nobody outside can make one or make more of one:
///
/// ```compile_fail
/// fn promote(caller: &mut vidgate::scheme::Principal) {
///     caller.scopes = None;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Principal {
    subject: HeaderValue,
    account: Option<Arc<Account>>,
    scheme: &'static str,
    scopes: Option<Scopes>,
    credentials: Credentials,
}

/// The records of the credentials that proved a caller; one as a rule.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    first: Option<Arc<Record>>,
    more: Vec<Arc<Record>>,
}

impl Credentials {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.first.iter().chain(&self.more)
    }

    /// Joins both lists.
    pub fn join(mut self, other: Self) -> Self {
        if self.first.is_none() {
            return other;
        }
        self.more.extend(other.first);
        self.more.extend(other.more);
        self
    }
}

impl Principal {
    /// The caller whom a record on file stands for.
    pub(super) fn of_record(scheme: &'static str, record: Arc<Record>) -> Self {
        Self {
            subject: record.subject.clone(),
            account: Some(Arc::clone(&record.account)),
            scheme,
            scopes: record.scopes.clone(),
            credentials: Credentials { first: Some(record), more: Vec::new() },
        }
    }

    /// The same caller, speaking for another account (a child of the record's).
    pub(super) fn speaking_for(mut self, account: Arc<Account>) -> Self {
        self.account = Some(account);
        self
    }

    /// A caller known by a circumstance alone, such as an address.
    pub(super) fn ambient(scheme: &'static str, subject: HeaderValue) -> Self {
        Self { subject, account: None, scheme, scopes: None, credentials: Credentials::default() }
    }

    /// Who speaks, towards the upstream and the log: `camera:248527`, `license_key:main`, `address:office`.
    pub fn subject(&self) -> &HeaderValue {
        &self.subject
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
        self.credentials.first.is_some()
    }

    /// One caller who was proven in two ways. `None`: the two speak for different accounts.
    ///
    /// No account agrees with any; an account agrees with those above it, and the lower one is meant. What both allow
    /// is allowed, and the more specific of the two speaks.
    pub(crate) fn agree(mut self, mut other: Self, directory: &dyn Directory) -> Option<Self> {
        let self_speaks = match (&self.account, &other.account) {
            (_, None) => true,
            (None, Some(_)) => false,
            // Of one account, the credential that may do less says more about who is there.
            (Some(own), Some(its)) if own.id == its.id => self.scopes.is_some() || other.scopes.is_none(),
            (Some(own), Some(its)) if is_above(its, own, directory) => true,
            (Some(own), Some(its)) if is_above(own, its, directory) => false,
            (Some(_), Some(_)) => return None,
        };
        let scopes = match (&self.scopes, &other.scopes) {
            (Some(own), Some(its)) => Some(own.intersection(its)),
            (one, None) | (None, one) => one.clone(),
        };
        let credentials = mem::take(&mut self.credentials).join(mem::take(&mut other.credentials));
        let speaker = if self_speaks { self } else { other };
        Some(Self { scopes, credentials, ..speaker })
    }
}

/// The most levels of accounts below accounts; a circle in them ends here.
const DEEPEST_ACCOUNT: usize = 16;

fn is_above(upper: &Account, lower: &Account, directory: &dyn Directory) -> bool {
    let mut parent = lower.parent.clone();
    for _ in 0..DEEPEST_ACCOUNT {
        let Some(id) = parent else { return false };
        if id == upper.id {
            return true;
        }
        parent = directory.account(&id.0).and_then(|account| account.parent.clone());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attributes, Kind};
    use crate::scheme::stage::Register;

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
        let digest = register.digest(account.as_bytes());
        Principal::of_record(kind.name(), register.find(kind, &digest).unwrap())
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
                let agreed = own.agree(its, &register);
                let account = agreed.as_ref().map(|principal| &*principal.account.as_ref().unwrap().id.0);
                assert_eq!(account, expected, "{first} and {second}");
                if let Some(principal) = agreed {
                    assert_eq!(principal.subject, format!("license_key:{}", expected.unwrap()));
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
        for merged in [office().agree(camera(), &register), camera().agree(office(), &register)] {
            let merged = merged.unwrap();
            assert_eq!(
                (&merged.subject, merged.scheme),
                (&HeaderValue::from_static("camera_token:child"), "camera_token")
            );
            assert_eq!(merged.scopes, camera().scopes);
        }
        let both = office().agree(office(), &register).unwrap();
        assert!(both.account.is_none() && both.scopes.is_none() && !both.is_identified());
    }

    #[test]
    fn what_both_allow_is_allowed_and_the_limited_one_speaks() {
        let register = register();
        let (key, camera) = (of(&register, Kind::LicenseKey, "child"), of(&register, Kind::CameraToken, "child"));
        for merged in [key.clone().agree(camera.clone(), &register), camera.clone().agree(key, &register)] {
            let merged = merged.unwrap();
            assert_eq!(merged.subject, "camera_token:child");
            assert_eq!(merged.scopes, Some(["all", "watch"].into_iter().collect()));
        }
        let mut watching = camera.clone();
        watching.scopes = Some(["watch", "streaming"].into_iter().collect());
        assert_eq!(camera.agree(watching, &register).unwrap().scopes, Some(["watch"].into_iter().collect()));
    }

    #[test]
    fn a_circle_of_accounts_ends() {
        let register = Register::new();
        register.account("a", Some("b"));
        register.account("b", Some("a"));
        let (a, other) = (register.account("a", Some("b")), register.account("other", None));
        assert!(is_above(&register.account("b", Some("a")), &a, &register));
        assert!(!is_above(&other, &a, &register));
    }
}
