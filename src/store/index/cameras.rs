//! Which camera is whose, and whether it is switched off. A camera's id is one text in memory, which its tokens share;
//! an ordinary camera takes a slot of a map and no more, and only those with something to say of themselves have a place
//! elsewhere. Many read while one writes.

use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;

use crate::clock::UnixTime;
use crate::record::{Account, Holding};

/// A camera, as it is put on file.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Who owns it.
    pub account: Arc<Account>,
    /// Switched off by an operator.
    pub disabled: bool,
    /// There from then on.
    pub not_before: Option<UnixTime>,
    /// There before then.
    pub expires: Option<UnixTime>,
}

/// The cameras that are known.
pub struct Cameras {
    /// By id: its owner, or `None` where `odd` has the last word.
    known: DashMap<Arc<str>, Option<Arc<Account>>>,
    /// Those that are switched off or have an end.
    odd: DashMap<Arc<str>, Camera>,
    /// How many cameras that are not switched off an account has.
    hosted: DashMap<Arc<str>, u64>,
}

impl Camera {
    /// One that is there for good.
    pub fn new(account: Arc<Account>) -> Self {
        Self { account, disabled: false, not_before: None, expires: None }
    }

    fn is_odd(&self) -> bool {
        self.disabled || self.not_before.is_some() || self.expires.is_some()
    }

    fn is_there(&self, now: UnixTime) -> bool {
        let (begun, over) =
            (self.not_before.is_none_or(|from| from <= now), self.expires.is_some_and(|end| end <= now));
        !self.disabled && begun && !over
    }
}

impl Cameras {
    /// None yet.
    pub(super) fn new(shards: usize) -> Self {
        let known = DashMap::with_capacity_and_hasher_and_shard_amount(0, std::hash::RandomState::new(), shards);
        Self { known, odd: DashMap::new(), hosted: DashMap::new() }
    }

    /// Puts a camera in the place of what was known of it before. One writes at a time.
    pub fn put(&self, id: &str, camera: Camera) {
        let before = self.host(id);
        let after = (!camera.disabled).then(|| Arc::clone(&camera.account));
        let name = self.name(id);
        // Readers ask `known` first: in between they find what was before, or that it is switched off.
        if camera.is_odd() {
            self.odd.insert(Arc::clone(&name), camera);
            self.known.insert(name, None);
        } else {
            self.known.insert(name, Some(camera.account));
            self.odd.remove(id);
        }
        self.count(before.as_deref(), after.as_deref());
    }

    /// Takes a camera away: nobody knows it from now on.
    pub fn remove(&self, id: &str) {
        let before = self.host(id);
        self.known.remove(id);
        self.odd.remove(id);
        self.count(before.as_deref(), None);
    }

    /// The one text in memory for the id of a camera, where the camera is known.
    pub fn name(&self, id: &str) -> Arc<str> {
        self.known.get(id).map_or_else(|| id.into(), |camera| Arc::clone(camera.key()))
    }

    /// How a camera stands at `now` to an account. Counts no references: all workers would write to them.
    pub fn holding(&self, id: &str, account: &Account, now: UnixTime) -> Holding {
        let held_by = |owner: &Account| owner.id == account.id || owner.is_below(account);
        let holding = |owner: &Account| if held_by(owner) { Holding::Held } else { Holding::Elsewhere };
        match self.known.get(id).as_deref() {
            None => return Holding::Unknown,
            Some(Some(owner)) => return holding(owner),
            Some(None) => {}
        }
        match self.odd.get(id).as_deref() {
            Some(camera) if camera.is_there(now) => holding(&camera.account),
            // Nothing there: whoever writes is about to say that it is an ordinary one again.
            Some(_) | None => Holding::Disabled,
        }
    }

    /// When a camera is over, where it has an end.
    pub fn end(&self, id: &str) -> Option<UnixTime> {
        self.odd.get(id)?.expires
    }

    /// How many cameras that are not switched off an account has, those of accounts below it aside.
    pub fn hosted(&self, account: &str) -> u64 {
        self.hosted.get(account).map_or(0, |count| *count)
    }

    /// Who has a camera that counts.
    fn host(&self, id: &str) -> Option<Arc<Account>> {
        let owner = self.known.get(id)?.clone();
        owner.or_else(|| self.odd.get(id).filter(|camera| !camera.disabled).map(|camera| Arc::clone(&camera.account)))
    }

    fn count(&self, before: Option<&Account>, after: Option<&Account>) {
        if before.map(|account| &account.id) == after.map(|account| &account.id) {
            return;
        }
        if let Some(account) = before {
            self.hosted.entry(Arc::clone(&account.id.0)).and_modify(|count| *count -= 1);
            self.hosted.remove_if(&account.id.0, |_, count| *count == 0);
        }
        if let Some(account) = after {
            *self.hosted.entry(Arc::clone(&account.id.0)).or_insert(0) += 1;
        }
    }
}

impl fmt::Debug for Cameras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cameras").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Standing;

    const NOW: UnixTime = UnixTime(100);

    fn account(id: &str, parent: Option<&Arc<Account>>) -> Arc<Account> {
        Arc::new(Account::new(id, Standing { parent: parent.cloned(), ..Standing::default() }).unwrap())
    }

    fn disabled(account: &Arc<Account>) -> Camera {
        Camera { disabled: true, ..Camera::new(Arc::clone(account)) }
    }

    #[test]
    fn an_account_holds_its_own_cameras_and_those_of_accounts_below() {
        let top = account("top", None);
        let below = account("below", Some(&top));
        let beside = account("beside", Some(&top));
        let cameras = Cameras::new(4);
        cameras.put("1", Camera::new(Arc::clone(&below)));
        for (who, expected) in [(&below, Holding::Held), (&top, Holding::Held), (&beside, Holding::Elsewhere)] {
            assert_eq!(cameras.holding("1", who, NOW), expected, "{who:?}");
            assert_eq!(cameras.holding("01", who, NOW), Holding::Unknown);
        }
        cameras.put("1", Camera::new(Arc::clone(&top)));
        assert_eq!(cameras.holding("1", &below, NOW), Holding::Elsewhere, "what is above is not held below");
        cameras.remove("1");
        assert_eq!(cameras.holding("1", &top, NOW), Holding::Unknown);
    }

    #[test]
    fn a_camera_that_is_off_or_out_of_its_time_is_disabled_for_everyone() {
        let (own, other) = (account("own", None), account("other", None));
        let cameras = Cameras::new(4);
        let times = |from: Option<u64>, end: Option<u64>| Camera {
            not_before: from.map(UnixTime),
            expires: end.map(UnixTime),
            ..Camera::new(Arc::clone(&own))
        };
        for (what, camera, expected) in [
            ("switched off", disabled(&own), Holding::Disabled),
            ("switched on", Camera::new(Arc::clone(&own)), Holding::Held),
            ("over", times(None, Some(100)), Holding::Disabled),
            ("not yet over", times(Some(100), Some(101)), Holding::Held),
            ("not begun", times(Some(101), None), Holding::Disabled),
        ] {
            cameras.put("1", camera);
            assert_eq!(cameras.holding("1", &own, NOW), expected, "{what}");
            assert_ne!(cameras.holding("1", &other, NOW), Holding::Held, "{what}");
        }
    }

    #[test]
    fn what_is_switched_off_does_not_count() {
        let (own, other) = (account("own", None), account("other", None));
        let cameras = Cameras::new(4);
        let counts = || (cameras.hosted("own"), cameras.hosted("other"));
        cameras.put("1", Camera::new(Arc::clone(&own)));
        cameras.put("2", Camera { expires: Some(UnixTime(1)), ..Camera::new(Arc::clone(&own)) });
        cameras.put("1", Camera::new(Arc::clone(&own)));
        assert_eq!(counts(), (2, 0), "what has an end is there still");
        cameras.put("1", disabled(&own));
        cameras.put("1", disabled(&own));
        assert_eq!(counts(), (1, 0));
        cameras.put("1", Camera::new(Arc::clone(&other)));
        assert_eq!(counts(), (1, 1));
        cameras.remove("1");
        cameras.remove("1");
        cameras.put("2", disabled(&own));
        assert_eq!((counts(), cameras.hosted.len()), ((0, 0), 0));
    }

    #[test]
    fn an_id_is_one_text_in_memory() {
        let own = account("own", None);
        let cameras = Cameras::new(4);
        cameras.put("1", Camera::new(Arc::clone(&own)));
        let name = cameras.name("1");
        cameras.put("1", disabled(&own));
        cameras.put("1", Camera::new(own));
        assert!(Arc::ptr_eq(&name, &cameras.name("1")));
        assert_eq!(&*cameras.name("2"), "2");
    }
}
