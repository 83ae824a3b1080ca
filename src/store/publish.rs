//! From what is on file to what the corridor sees: one entry becomes the records by which it is found, and an account
//! the shared one that its records refer to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};

use super::entry::{Common, Entry, Version};
use super::index::{Camera, Index};
use super::keys::Keys;
use super::link;
use super::resource::{self, Body, Owner, Resource, ServiceAccount, Token, User};
use super::rules::Effect;
use super::shelf::Damaged;
use crate::clock::UnixTime;
use crate::public_key;
use crate::record::{
    Account, App, Attributes, Details, Digest, Directory, Group, Hosts, Key, Kind, Members, Proof, Quota, Record,
    Scopes, Signer, Standing, Terms,
};

/// The most lists of scopes that are remembered, so that equal ones are one in memory.
const MOST_SCOPES: usize = 1024;
/// The most groups whose list of cameras is remembered.
const MOST_GROUPS: usize = 4096;

/// Publishes entries to an index.
#[derive(Debug)]
pub(super) struct Publisher {
    index: Arc<Index>,
    scopes: RefCell<HashMap<Vec<String>, Scopes>>,
    /// The cameras of groups, by group, so that all its tokens share one list.
    groups: RefCell<HashMap<String, Weak<[Arc<str>]>>>,
}

/// What an entry takes from the camera, group or user that it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Above {
    disabled: bool,
    not_before: Option<UnixTime>,
    expires: Option<UnixTime>,
    cameras: Option<Members>,
    /// What a user may do; empty is not limited.
    roles: Vec<String>,
}

impl Above {
    /// What those below an entry take from it.
    pub(super) fn of(entry: &Entry) -> Self {
        let Common { disabled, not_before, expires, .. } = entry.common;
        let cameras = match &entry.body {
            Body::CameraGroup(group) => Some(group.cameras.iter().map(String::as_str).collect()),
            Body::Account(_)
            | Body::LicenseKey(_)
            | Body::ApiClient(_)
            | Body::Camera(_)
            | Body::Token(_)
            | Body::User(_)
            | Body::BearerToken(_)
            | Body::ServiceAccount(_)
            | Body::App(_)
            | Body::AdminCertificate(_) => None,
        };
        let roles = if let Body::User(user) = &entry.body { user.roles.clone() } else { Vec::new() };
        Self { disabled, not_before, expires, cameras, roles }
    }
}

/// What an entry is for, where it takes something from it.
pub(super) fn above(entry: &Entry) -> Option<(Resource, &str)> {
    if entry.resource().owner() != Owner::Inherited {
        return None;
    }
    entry.body.references().first().map(|reference| (reference.resource, reference.id))
}

impl Publisher {
    /// Publishes there.
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { index, scopes: RefCell::default(), groups: RefCell::default() }
    }

    /// Lets everyone see a change. What stays is never missed in between.
    pub(super) fn show(&self, keys: &Keys, effect: &Effect, above: &Above) -> Result<(), Damaged> {
        let put = |after| {
            // Whatever goes wrong with the new place, the old one is taken away below.
            let done = panic::catch_unwind(AssertUnwindSafe(|| self.put(keys, after, above)));
            done.unwrap_or(Err(Damaged("a panic came between")))
        };
        let shown = effect.after.as_ref().map_or(Ok(Vec::new()), put);
        let kept = shown.as_deref().unwrap_or_default();
        if let Some(before) = &effect.before {
            let moved = effect.after.as_ref().map(|after| self.moved(before, after)).unwrap_or_default();
            for key in self.places(before).into_iter().filter(|key| !kept.contains(key)) {
                match moved.iter().find(|(from, to)| *from == key && kept.contains(to)) {
                    Some((from, to)) => self.index.leave(*from, *to),
                    None => drop(self.index.remove(key.kind, &key.digest)),
                }
            }
            if effect.after.is_none() && before.resource() == Resource::Account {
                self.index.remove_account(&before.id);
            }
            if effect.after.is_none() && before.resource() == Resource::Camera {
                self.index.cameras().remove(&before.id);
            }
        }
        // Once more, for what is swapped inside an account.
        self.index.changed();
        shown.map(drop)
    }

    /// Puts an entry where it is to be found, and says where that is. One that cannot be shown opens nothing from then
    /// on, not even as it was before.
    fn put(&self, keys: &Keys, entry: &Entry, above: &Above) -> Result<Vec<Key>, Damaged> {
        if let Body::Account(account) = &entry.body {
            self.account(keys, entry, account.parent.as_deref()).inspect_err(|_| self.distrust(entry))?;
        }
        self.camera(entry)?;
        let records = self.details(keys, entry, above)?.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
        Ok(records.into_iter().map(|record| *self.index.publish(record).key()).collect())
    }

    fn distrust(&self, account: &Entry) {
        if let Some(known) = self.index.account(&account.id) {
            known.stand(Standing { disabled: true, ..Standing::default() });
        }
    }

    /// Makes it known whose a camera is, where it is one. One that is nobody's is not known.
    fn camera(&self, entry: &Entry) -> Result<(), Damaged> {
        let Body::Camera(_) = entry.body else { return Ok(()) };
        let Some(account) = self.index.account(entry.account()) else {
            self.index.cameras().remove(&entry.id);
            return Err(Damaged("the account of a camera is missing"));
        };
        let Common { disabled, not_before, expires, .. } = entry.common;
        self.index.cameras().put(&entry.id, Camera { account, disabled, not_before, expires });
        Ok(())
    }

    /// Adds what was on file at the start, where nobody has been before.
    pub(super) fn add(&self, keys: &Keys, entry: &Entry, above: &Above, used: Option<UnixTime>) -> Result<(), Damaged> {
        self.camera(entry)?;
        for details in self.details(keys, entry, above)? {
            let record = record(Details { used, ..details })?;
            self.index.insert(record).map_err(|_| Damaged("two entries have the same key"))?;
        }
        Ok(())
    }

    /// Makes an account known, or says how it stands now.
    pub(super) fn account(&self, keys: &Keys, entry: &Entry, parent: Option<&str>) -> Result<(), Damaged> {
        let parent = match parent {
            None => None,
            Some(id) => Some(self.index.account(id).ok_or(Damaged("the parent of an account is missing"))?),
        };
        let terms = terms(&entry.body)?;
        let upstream_credential = match entry.versions.first() {
            None => None,
            Some(version) => keys.open(entry, version)?.map(Arc::new),
        };
        let standing = Standing { parent, disabled: entry.common.disabled, terms, upstream_credential };
        if let Some(known) = self.index.account(&entry.id) {
            known.stand(standing);
            return Ok(());
        }
        let account = Account::new(&entry.id, standing).map_err(|_| Damaged("an account has a strange id"))?;
        // Only the writer adds accounts, so that nobody can have been quicker.
        self.index.insert_account(account).map(drop).map_err(|_| Damaged("two accounts have one id"))
    }

    fn details(&self, keys: &Keys, entry: &Entry, above: &Above) -> Result<Vec<Details>, Damaged> {
        if link::found_as(&entry.body).is_none() && entry.body.public_handles(&entry.id).is_empty() {
            return Ok(Vec::new());
        }
        let account = self.index.account(entry.account()).ok_or(Damaged("the account of an entry is missing"))?;
        let mut all = Vec::new();
        if let Some((_, kind)) = link::found_as(&entry.body) {
            for version in &entry.versions {
                let key = Key { kind, digest: Digest(version.digest.digest) };
                let mut details = self.base(key, entry, above, &account)?;
                details.expires = earliest(details.expires, version.expires);
                all.push(details);
            }
        }
        for (kind, text) in entry.body.public_handles(&entry.id) {
            let key = Key { kind, digest: self.index.digest(text.as_bytes()) };
            let mut details = self.base(key, entry, above, &account)?;
            if let Body::App(own) = &entry.body {
                details.attributes = Attributes::App(Box::new(app(keys, entry, own)?));
            }
            all.push(details);
        }
        Ok(all)
    }

    fn base(&self, key: Key, entry: &Entry, above: &Above, account: &Arc<Account>) -> Result<Details, Damaged> {
        let mut details = Details::new(key, entry.id.as_str(), Arc::clone(account));
        details.disabled = entry.common.disabled || above.disabled;
        details.not_before = entry.common.not_before.max(above.not_before);
        details.expires = earliest(entry.common.expires, above.expires);
        details.attributes = self.attributes(key.kind, entry, above)?;
        match &entry.body {
            Body::Token(token) => {
                let (Some(target), kind) = (token.camera.as_ref().or(token.group.as_ref()), key.kind) else {
                    return Err(Damaged("a token is for nothing"));
                };
                details.subject = format!("{}:{target}", kind.speaker());
                details.scopes = Some(self.scopes(&token.scopes));
            }
            Body::BearerToken(token) => {
                details.subject = format!("{}:{}", Kind::User.speaker(), token.user);
                details.scopes = (!above.roles.is_empty()).then(|| self.scopes(&above.roles));
            }
            // Without a role they have no scopes: what that means is for the route to say.
            Body::ServiceAccount(ServiceAccount { roles, .. }) | Body::User(User { roles, .. })
                if !roles.is_empty() =>
            {
                details.scopes = Some(self.scopes(roles));
            }
            Body::Account(_)
            | Body::LicenseKey(_)
            | Body::ApiClient(_)
            | Body::Camera(_)
            | Body::CameraGroup(_)
            | Body::User(_)
            | Body::ServiceAccount(_)
            | Body::App(_)
            | Body::AdminCertificate(_) => {}
        }
        Ok(details)
    }

    fn attributes(&self, kind: Kind, entry: &Entry, above: &Above) -> Result<Attributes, Damaged> {
        let Body::Token(Token { camera, group, .. }) = &entry.body else { return attributes(kind, entry) };
        if let Some(camera) = camera {
            return Ok(Attributes::Camera(self.index.cameras().name(camera)));
        }
        let Some(group) = group else { return attributes(kind, entry) };
        let cameras = above.cameras.as_ref().ok_or(Damaged("the group of a token is missing"))?;
        Ok(Attributes::Group(Box::new(Group { id: group.as_str().into(), cameras: self.cameras(group, cameras) })))
    }

    fn cameras(&self, group: &str, cameras: &Members) -> Members {
        let mut known = self.groups.borrow_mut();
        if let Some(same) = known.get(group).and_then(Weak::upgrade).filter(|same| same == cameras.shared()) {
            return Members::of_shared(same);
        }
        if known.len() >= MOST_GROUPS {
            known.retain(|_, cameras| cameras.strong_count() > 0);
        }
        if known.len() < MOST_GROUPS {
            known.insert(group.to_owned(), Arc::downgrade(cameras.shared()));
        }
        cameras.clone()
    }

    fn scopes(&self, words: &[String]) -> Scopes {
        let mut known = self.scopes.borrow_mut();
        if let Some(scopes) = known.get(words) {
            return scopes.clone();
        }
        let scopes: Scopes = words.iter().collect();
        if known.len() < MOST_SCOPES {
            known.insert(words.to_vec(), scopes.clone());
        }
        scopes
    }

    /// What of an entry is found by another digest since the peppers have changed, from where to where.
    fn moved(&self, before: &Entry, after: &Entry) -> Vec<(Key, Key)> {
        let mut moved = Vec::new();
        if let Some((_, kind)) = link::found_as(&before.body) {
            let key = |version: &Version| Key { kind, digest: Digest(version.digest.digest) };
            for old in &before.versions {
                let new = after.versions.iter().find(|new| new.number == old.number && new.created == old.created);
                moved.extend(new.map(|new| (key(old), key(new))));
            }
        }
        let peppers = self.index.peppers();
        let handles = after.body.public_handles(&after.id);
        for (kind, text) in before.body.public_handles(&before.id) {
            if handles.iter().any(|(own, other)| *own == kind && *other == text) {
                let to = Key { kind, digest: self.index.digest(text.as_bytes()) };
                moved.extend(peppers.digests(text.as_bytes()).map(|(_, digest)| (Key { kind, digest }, to)));
            }
        }
        moved
    }

    /// Everywhere that an entry may be found.
    fn places(&self, entry: &Entry) -> Vec<Key> {
        let mut keys = Vec::new();
        if let Some((_, kind)) = link::found_as(&entry.body) {
            let place = |version: &Version| Key { kind, digest: Digest(version.digest.digest) };
            keys.extend(entry.versions.iter().map(place));
        }
        let peppers = self.index.peppers();
        for (kind, text) in entry.body.public_handles(&entry.id) {
            keys.extend(peppers.digests(text.as_bytes()).map(|(_, digest)| Key { kind, digest }));
        }
        keys
    }
}

fn attributes(kind: Kind, entry: &Entry) -> Result<Attributes, Damaged> {
    Ok(match &entry.body {
        Body::ServiceAccount(service) => {
            let key = public_key::read(service.public_key.as_bytes());
            Attributes::PublicKey(Box::new(key.map_err(|_| Damaged("a public key cannot be used"))?))
        }
        Body::ApiClient(_) | Body::User(_) if kind != Kind::UserKey => {
            Attributes::Proofs(entry.versions.iter().map(proof).collect())
        }
        Body::Account(_)
        | Body::LicenseKey(_)
        | Body::ApiClient(_)
        | Body::Camera(_)
        | Body::CameraGroup(_)
        | Body::Token(_)
        | Body::User(_)
        | Body::BearerToken(_)
        | Body::App(_)
        | Body::AdminCertificate(_) => Attributes::None,
    })
}

/// An app, with what it signs with in clear: an HMAC has no other way.
fn app(keys: &Keys, entry: &Entry, own: &resource::App) -> Result<App, Damaged> {
    let mut signers = Vec::with_capacity(entry.versions.len());
    for version in &entry.versions {
        let secret = keys.open(entry, version)?.ok_or(Damaged("what an app signs with was not kept"))?;
        signers.push(Signer::new(&secret, version.expires));
    }
    let resource::Signatures { publish, playback, expiration_only } = own.signatures;
    Ok(App {
        public_key: own.api_key.as_ref().unwrap_or(&own.public_key).as_str().into(),
        signers: signers.into(),
        hosts: Hosts::new(&own.authorized_hosts).map_err(|_| Damaged("an app has a strange host"))?,
        publish,
        playback,
        expiration_only,
        wall: own.wall,
        legacy_200: own.legacy_200,
        cross_origin: own.cross_origin,
    })
}

/// What was agreed upon with an account, if anything was.
fn terms(body: &Body) -> Result<Option<Arc<Terms>>, Damaged> {
    let Body::Account(account) = body else { return Ok(None) };
    let resource::Quota { hour, day, month } = account.quota;
    let terms = Terms {
        addresses: Terms::addresses(&account.addresses).map_err(|_| Damaged("an account has a strange address"))?,
        denied_addresses: Terms::denied_addresses(&account.denied_addresses)
            .map_err(|_| Damaged("an account denies a strange address"))?,
        quota: Quota { hour, day, month },
        hosted_cameras: account.limits.hosted_cameras,
    };
    Ok((terms != Terms::default()).then(|| Arc::new(terms)))
}

fn proof(version: &Version) -> Proof {
    let Version { number, digest, expires, .. } = version;
    Proof { number: *number, pepper: digest.pepper, digest: Digest(digest.digest), expires: *expires }
}

fn record(details: Details) -> Result<Record, Damaged> {
    Record::new(details).map_err(|_| Damaged("an entry has a strange id"))
}

fn earliest(one: Option<UnixTime>, other: Option<UnixTime>) -> Option<UnixTime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
