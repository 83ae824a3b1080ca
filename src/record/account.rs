//! Accounts: who owns credentials. An account is one shared object for as long as it exists; what may change of it, its
//! standing, is swapped beneath those who read it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::invalid::Invalid;
use crate::secret::Secret;
use crate::units::Network;

/// The most levels of accounts below accounts. Whoever lies deeper counts as disabled: a circle ends so as well.
pub const DEEPEST_ACCOUNT: usize = 16;

/// What stands for every address in a list of them.
const ANYWHERE: &str = "0.0.0.0";

/// The name of an account: a customer, an organisation, a user of a vendor's API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Arc<str>);

/// Who owns credentials.
pub struct Account {
    /// Its name, also in logs and towards the upstream.
    pub id: AccountId,
    /// The name as a header value, made once.
    pub header: HeaderValue,
    standing: ArcSwap<Standing>,
}

/// What may change of an account.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The account that it belongs to. Never one below itself.
    pub parent: Option<Arc<Account>>,
    /// Switched off: none of its credentials is believed, and none of those of the accounts below it.
    pub disabled: bool,
    /// Where from and how much. `None`: nothing was agreed upon.
    pub terms: Option<Arc<Terms>>,
    /// What upstreams see of its callers that ask for it.
    pub upstream_credential: Option<Arc<Secret>>,
}

/// What was agreed upon with an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Where its callers may come from; empty is anywhere.
    pub addresses: Vec<Network>,
    /// Where they may not come from, though it were on the list above.
    pub denied_addresses: Vec<Network>,
    /// How many requests it may make.
    pub quota: Quota,
    /// How many cameras it may have.
    pub hosted_cameras: Option<u64>,
}

/// How many requests an account may make in each window of the clock (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// In an hour.
    pub hour: Option<u64>,
    /// In a day.
    pub day: Option<u64>,
    /// In a month.
    pub month: Option<u64>,
}

impl Terms {
    /// The most addresses in one list.
    pub const MOST_ADDRESSES: usize = 1024;

    /// A list of addresses as it is written; `0.0.0.0` in it is anywhere, so that nothing else matters.
    pub fn addresses(written: &[String]) -> Result<Vec<Network>, String> {
        let networks = written.iter().map(|text| text.parse()).collect::<Result<Vec<Network>, _>>()?;
        Ok(if written.iter().any(|text| text == ANYWHERE) { Vec::new() } else { networks })
    }

    /// A list of addresses that are denied, as it is written; there, `0.0.0.0` is the address that nobody has, and would
    /// read as anywhere.
    pub fn denied_addresses(written: &[String]) -> Result<Vec<Network>, String> {
        written.iter().map(|text| Self::denied_address(text)).collect()
    }

    /// One of them.
    pub fn denied_address(text: &str) -> Result<Network, String> {
        if text == ANYWHERE {
            return Err(format!("`{ANYWHERE}` is no address to deny; to let nobody in, disable the account"));
        }
        text.parse()
    }

    /// Whether its callers may come from there: what is denied is denied, whatever else is listed.
    pub fn allows(&self, address: IpAddr) -> bool {
        let lists = |list: &[Network]| list.iter().any(|network| network.contains(address));
        !lists(&self.denied_addresses) && (self.addresses.is_empty() || lists(&self.addresses))
    }
}

impl Account {
    /// The account with this name.
    pub fn new(id: &str, standing: Standing) -> Result<Self, Invalid> {
        let header = HeaderValue::from_str(id)
            .map_err(|_| Invalid::new("the id of an account goes into header fields: it is visible ASCII"))?;
        Ok(Self { id: AccountId(id.into()), header, standing: ArcSwap::from_pointee(standing) })
    }

    /// Whether it, or an account above it, is switched off.
    pub fn is_disabled(&self) -> bool {
        // Recursion keeps each standing borrowed: a walk that cloned the parents would write to counters that all
        // workers share.
        fn walk(account: &Account, left: usize) -> bool {
            let standing = account.standing.load();
            standing.disabled || standing.parent.as_deref().is_some_and(|parent| left == 0 || walk(parent, left - 1))
        }
        walk(self, DEEPEST_ACCOUNT)
    }

    /// Whether `grant` grants it by what was agreed upon with it, and with every account above it: where one of them has
    /// agreed upon nothing, nothing stands against it there. Whoever lies too deep is granted nothing.
    pub fn grants(&self, grant: impl Fn(&Terms) -> bool) -> bool {
        // Recursion borrows, for the same reason as above.
        fn walk(account: &Account, grant: &impl Fn(&Terms) -> bool, left: usize) -> bool {
            let standing = account.standing.load();
            standing.terms.as_deref().is_none_or(grant)
                && standing.parent.as_deref().is_none_or(|parent| left > 0 && walk(parent, grant, left - 1))
        }
        walk(self, &grant, DEEPEST_ACCOUNT)
    }

    /// What was agreed upon with it.
    pub fn terms(&self) -> Option<Arc<Terms>> {
        self.standing.load().terms.clone()
    }

    /// What upstreams see of its callers that ask for it.
    pub fn upstream_credential(&self) -> Option<Arc<Secret>> {
        self.standing.load().upstream_credential.clone()
    }

    /// How many requests were agreed upon with it; of nothing agreed upon, nothing.
    pub fn quota(&self) -> Quota {
        // Borrowed: a clone of the terms would write to a counter that all workers share.
        self.standing.load().terms.as_ref().map_or_else(Quota::default, |terms| terms.quota)
    }

    /// The account that it belongs to.
    pub fn parent(&self) -> Option<Arc<Account>> {
        self.standing.load().parent.clone()
    }

    /// Whether `other` is its direct parent.
    pub fn is_child_of(&self, other: &Account) -> bool {
        self.standing.load().parent.as_ref().is_some_and(|parent| parent.id == other.id)
    }

    /// Whether `other` is above it, however far.
    pub fn is_below(&self, other: &Account) -> bool {
        fn walk(account: &Account, other: &Account, left: usize) -> bool {
            let standing = account.standing.load();
            let parent = standing.parent.as_deref();
            parent.is_some_and(|parent| parent.id == other.id || (left > 0 && walk(parent, other, left - 1)))
        }
        walk(self, other, DEEPEST_ACCOUNT)
    }

    /// Changes what may change, for all who hold it.
    pub fn stand(&self, standing: Standing) {
        self.standing.store(Arc::new(standing));
    }
}

// The account above is named and not shown: it has an account above it in turn.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.standing.load();
        f.debug_struct("Account")
            .field("id", &self.id.0)
            .field("parent", &standing.parent.as_ref().map(|parent| &parent.id.0))
            .field("disabled", &standing.disabled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, parent: Option<&Arc<Account>>) -> Arc<Account> {
        Arc::new(
            Account::new(id, Standing { parent: parent.cloned(), disabled: false, terms: None, ..Standing::default() })
                .unwrap(),
        )
    }

    #[test]
    fn a_disabled_ancestor_disables_all_below_and_nobody_above() {
        let top = account("top", None);
        let middle = account("middle", Some(&top));
        let bottom = account("bottom", Some(&middle));
        assert!(!bottom.is_disabled());
        middle.stand(Standing { parent: Some(Arc::clone(&top)), disabled: true, terms: None, ..Standing::default() });
        assert_eq!([&top, &middle, &bottom].map(|account| account.is_disabled()), [false, true, true]);
        middle.stand(Standing { parent: None, disabled: false, terms: None, ..Standing::default() });
        top.stand(Standing { parent: None, disabled: true, terms: None, ..Standing::default() });
        assert_eq!([&top, &middle, &bottom].map(|account| account.is_disabled()), [true, false, false]);
        bottom.stand(Standing { parent: Some(top), disabled: false, terms: None, ..Standing::default() });
        assert!(bottom.is_disabled());
    }

    #[test]
    fn an_account_is_below_those_above_it() {
        let top = account("top", None);
        let middle = account("middle", Some(&top));
        let (bottom, beside) = (account("bottom", Some(&middle)), account("beside", Some(&top)));
        assert!(bottom.is_below(&middle) && bottom.is_below(&top) && !bottom.is_below(&beside));
        assert!(!top.is_below(&bottom) && !top.is_below(&top));
        assert!(bottom.is_child_of(&middle) && !bottom.is_child_of(&top));
        assert_eq!(bottom.parent().unwrap().id, middle.id);
    }

    #[test]
    fn a_circle_ends_and_opens_nothing() {
        let (one, other, stranger) = (account("one", None), account("other", None), account("stranger", None));
        one.stand(Standing { parent: Some(Arc::clone(&other)), disabled: false, terms: None, ..Standing::default() });
        other.stand(Standing { parent: Some(Arc::clone(&one)), disabled: false, terms: None, ..Standing::default() });
        assert!(one.is_disabled() && one.is_below(&other) && !one.is_below(&stranger));
        assert_eq!(format!("{one:?}"), "Account { id: \"one\", parent: Some(\"other\"), disabled: false, .. }");
        other.stand(Standing::default());
    }

    #[test]
    fn the_deepest_account_is_enabled_and_a_deeper_one_is_not() {
        let mut chain = vec![account("0", None)];
        for level in 1..=DEEPEST_ACCOUNT + 1 {
            chain.push(account(&level.to_string(), chain.last()));
        }
        assert!(!chain[DEEPEST_ACCOUNT].is_disabled() && chain[DEEPEST_ACCOUNT].grants(|_| false));
        assert!(chain[DEEPEST_ACCOUNT + 1].is_disabled() && !chain[DEEPEST_ACCOUNT + 1].grants(|_| true));
    }

    #[test]
    fn every_account_above_has_to_grant_it_as_well() {
        let cameras = |most| Some(Arc::new(Terms { hosted_cameras: Some(most), ..Terms::default() }));
        let top = account("top", None);
        let (middle, bottom) = (account("middle", Some(&top)), account("bottom", None));
        bottom.stand(Standing {
            parent: Some(Arc::clone(&middle)),
            disabled: false,
            terms: cameras(1),
            ..Standing::default()
        });
        let granted = |most| bottom.grants(|terms| terms.hosted_cameras == Some(most));
        assert!(granted(1) && !granted(2));
        top.stand(Standing { parent: None, disabled: false, terms: cameras(2), ..Standing::default() });
        assert!(!granted(1) && !granted(2));
        top.stand(Standing { parent: None, disabled: false, terms: cameras(1), ..Standing::default() });
        assert!(granted(1));
    }

    #[test]
    fn an_address_list_allows_what_it_holds_and_the_wildcard_everything() {
        let terms = |written: &[&str]| {
            let written: Vec<String> = written.iter().map(|&text| text.to_owned()).collect();
            Terms { addresses: Terms::addresses(&written).unwrap(), ..Terms::default() }
        };
        for (written, address, allowed) in [
            (&["203.0.113.7"][..], "203.0.113.7", true),
            (&["203.0.113.7"], "::ffff:203.0.113.7", true),
            (&["203.0.113.7"], "203.0.113.8", false),
            (&["203.0.113.7", "2001:db8::/32"], "2001:db8::1", true),
            (&["203.0.113.7", "0.0.0.0"], "198.51.100.1", true),
            (&["0.0.0.0"], "2001:db8::1", true),
            (&[], "198.51.100.1", true),
        ] {
            assert_eq!(terms(written).allows(address.parse().unwrap()), allowed, "{written:?} {address}");
        }
        assert!(Terms::addresses(&["office".to_owned()]).is_err());
    }

    /// Vendors 5.1: `authorized_ips` may be a white list and a black list.
    #[test]
    fn what_is_denied_is_denied_whatever_is_allowed() {
        let list = |written: &[&str]| written.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (allowed, denied, address, expected) in [
            (&[][..], &["203.0.113.0/24"][..], "203.0.113.7", false),
            (&[], &["203.0.113.0/24"], "::ffff:203.0.113.7", false),
            (&[], &["203.0.113.0/24"], "203.0.114.7", true),
            (&["203.0.113.0/24"], &["203.0.113.7"], "203.0.113.7", false),
            (&["203.0.113.0/24"], &["203.0.113.7"], "203.0.113.8", true),
            (&["203.0.113.0/24"], &["203.0.113.7"], "198.51.100.1", false),
            (&["0.0.0.0"], &["2001:db8::/32"], "2001:db8::1", false),
            (&["0.0.0.0"], &["2001:db8::/32"], "2001:db9::1", true),
        ] {
            let terms = Terms {
                addresses: Terms::addresses(&list(allowed)).unwrap(),
                denied_addresses: Terms::denied_addresses(&list(denied)).unwrap(),
                ..Terms::default()
            };
            assert_eq!(terms.allows(address.parse().unwrap()), expected, "{allowed:?} {denied:?} {address}");
        }
        assert!(Terms::denied_addresses(&list(&["0.0.0.0"])).is_err());
        assert!(Terms::denied_addresses(&list(&["10.0.0.0/40"])).is_err());
    }

    #[test]
    fn a_name_that_no_header_can_carry_is_refused() {
        assert!(Account::new("a\nb", Standing::default()).is_err());
    }
}
