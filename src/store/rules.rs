//! What a change does, and what it may not do: create, change, delete. (Rotation stands in `rotate.rs`.) A change is
//! worked on a desk and leaves nothing half-done: whoever calls takes back what a refused request has laid down.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Operation;
use super::document::{self, New};
use super::entry::{Entry, Version};
use super::given::{self, Given};
use super::hosted;
use super::index::Index;
use super::link::{self, Stop};
use super::refused::Refused;
use super::resource::{Owner, Resource};
use super::shelf::{Desk, Shelf, entry_key, need_key, of_entry_key};
use super::trail::{Act, Deal};
use crate::clock::UnixTime;
use crate::record::{Digest, Kind};
use crate::secret::Secret;

/// What is declared in the configuration and cannot be in the store as well.
pub(super) type Declared = HashSet<(Resource, String)>;

/// Under which circumstances a change is worked.
pub(super) struct Circumstances<'a> {
    pub(super) now: UnixTime,
    pub(super) declared: &'a Declared,
    pub(super) index: &'a Index,
}

impl Circumstances<'_> {
    /// Whether a declared credential is known by this digest. It is one of a declared account: those on file are never.
    pub(super) fn is_declared(&self, kind: Kind, digest: [u8; 32]) -> bool {
        let holder = self.index.known_by(kind, &Digest(digest));
        holder.is_some_and(|record| self.declared.contains(&(Resource::Account, record.account.id.0.to_string())))
    }

    /// The same of a text that anybody may know.
    pub(super) fn is_declared_text(&self, kind: Kind, text: &str) -> bool {
        self.index.peppers().digests(text.as_bytes()).any(|(_, Digest(digest))| self.is_declared(kind, digest))
    }
}

/// What a change did to one entry.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
}

/// What one operation came to.
#[derive(Debug)]
pub(super) struct Worked {
    /// The entry that was meant, as it is now; as it was, if it is gone.
    pub(super) entry: Entry,
    /// A secret that was made for it.
    pub(super) made: Option<Secret>,
    /// Everything that was touched, the meant one among them.
    pub(super) effects: Vec<Effect>,
    /// The same for the audit trail.
    pub(super) deals: Vec<Deal>,
}

/// Works one operation.
pub(super) fn perform(desk: &mut Desk<'_>, operation: Operation, at: &Circumstances<'_>) -> Result<Worked, Stop> {
    match operation {
        Operation::Create { resource, document, versions } => create(desk, resource, document, versions, at),
        Operation::Add { resource, document, to, most } => add(desk, resource, document, (to, most), at),
        Operation::Change { resource, id, patch, revision } => {
            let before = find(desk, (resource, &id), revision, at)?;
            change(desk, before, patch, at)
        }
        Operation::Rotate { resource, id, document, revision } => {
            let before = find(desk, (resource, &id), revision, at)?;
            super::rotate::rotate(desk, before, document, at)
        }
        Operation::Issue { user, expires, most } => super::issue::issue(desk, &user, expires, most, at),
        Operation::Delete { resource, id, revision } => {
            let before = find(desk, (resource, &id), revision, at)?;
            delete(desk, before, at)
        }
    }
}

/// The entry, if it is there and still at that revision.
fn find(
    desk: &Desk<'_>,
    (resource, id): (Resource, &str),
    revision: Option<u64>,
    at: &Circumstances<'_>,
) -> Result<Entry, Stop> {
    let Some(entry) = desk.entry(resource, id)? else {
        let declared = at.declared.contains(&(resource, id.to_owned()));
        return Err(Refused::Missing { resource, id: id.to_owned(), declared }.into());
    };
    match revision {
        Some(revision) if revision != entry.revision => Err(Refused::Stale { revision: entry.revision }.into()),
        Some(_) | None => Ok(entry),
    }
}

pub(super) fn create(
    desk: &mut Desk<'_>,
    resource: Resource,
    document: Map<String, Value>,
    given: Vec<Given>,
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let New { id, common, body, secret } = document::read_new(resource, document)?;
    given::few_enough(given.len()).map_err(|message| Refused::invalid("versions", message))?;
    if let (Some(rule), Some(_), false) = (resource.secret(), &secret, given.is_empty()) {
        let message = format!("there is a `{}` already: it is the one or the other", rule.field);
        return Err(Refused::invalid("versions", message).into());
    }
    let id = id.unwrap_or_else(super::new_id);
    free(desk, resource, &id, at)?;
    let mut entry = Entry { id, revision: 1, created: at.now, changed: at.now, common, body, versions: Vec::new() };
    link::references(desk, &mut entry, at.declared)?;
    let made = if given.is_empty() {
        let (version, made) = first_version(desk, &entry, secret.as_ref(), at)?;
        entry.versions.extend(version);
        made
    } else {
        // Newest first, and counted from 1 upwards.
        for (older, given) in given.into_iter().rev().enumerate() {
            let number = u32::try_from(older + 1).unwrap_or(u32::MAX);
            entry.versions.insert(0, given.version(number, desk, &entry, at)?);
        }
        None
    };
    hosted::count(desk, None, Some(&entry), at.index.cameras())?;
    lay_down(desk, &entry, at)?;
    let deal = Deal::of(Act::Create, &entry, Vec::new());
    Ok(Worked { effects: vec![Effect { before: None, after: Some(entry.clone()) }], deals: vec![deal], made, entry })
}

/// Counted where it is made, so that nobody comes in between.
fn add(
    desk: &mut Desk<'_>,
    resource: Resource,
    document: Map<String, Value>,
    ((holder, id), most): ((Resource, String), usize),
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let there = need_key(&entry_key(holder, &id), Some(&[resource.code()]));
    if desk.keys_under(Shelf::Needs, &there, most)?.len() >= most {
        return Err(Refused::Full { holder, id, resource, most }.into());
    }
    create(desk, resource, document, Vec::new(), at)
}

/// Nobody has this id: neither in the store nor in the configuration.
pub(super) fn free(desk: &Desk<'_>, resource: Resource, id: &str, at: &Circumstances<'_>) -> Result<(), Stop> {
    let what = resource.words();
    if at.declared.contains(&(resource, id.to_owned())) {
        return Err(Refused::conflict("id", format!("the {what} `{id}` is declared in the configuration")).into());
    }
    if desk.get(Shelf::Entries, &entry_key(resource, id))?.is_some() {
        return Err(Refused::conflict("id", format!("the {what} `{id}` is there already")).into());
    }
    Ok(())
}

fn first_version(
    desk: &Desk<'_>,
    entry: &Entry,
    given: Option<&Secret>,
    at: &Circumstances<'_>,
) -> Result<(Option<Version>, Option<Secret>), Stop> {
    match new_version(desk, entry, given, 1, at)? {
        Some((version, made)) => Ok((Some(version), made)),
        None => Ok((None, None)),
    }
}

/// A version of the secret, given or made; `None` where the resource has no secret.
pub(super) fn new_version(
    desk: &Desk<'_>,
    entry: &Entry,
    given: Option<&Secret>,
    number: u32,
    at: &Circumstances<'_>,
) -> Result<Option<(Version, Option<Secret>)>, Stop> {
    let Some(rule) = entry.resource().secret() else { return Ok(None) };
    let made = if given.is_none() { rule.make.map(|make| make()) } else { None };
    let Some(secret) = given.or(made.as_ref()) else { return Ok(None) };
    let keys = desk.keys();
    let inner = (rule.check)(secret).map_err(|message| Refused::invalid(rule.field, message))?;
    let text = inner.as_ref().unwrap_or(secret).expose();
    // Under an older pepper somebody may have the same one: it would be found twice.
    if let Some((rule, kind)) = link::found_as(&entry.body) {
        for keyed in keys.digests(text) {
            if desk.get(Shelf::Handles, &super::shelf::secret_handle_key(kind, &keyed))?.is_some() {
                return Err(Refused::Conflict(link::taken(entry.resource(), rule)).into());
            }
            if at.is_declared(kind, keyed.digest) {
                return Err(declared(entry.resource(), rule.field).into());
            }
        }
    }
    let sealed = rule.sealed.then(|| keys.seal(entry, number, secret));
    let version = Version { number, created: at.now, expires: None, digest: keys.digest(text), sealed };
    Ok(Some((version, made)))
}

/// The refusal of a secret that the configuration has already.
pub(super) fn declared(resource: Resource, field: &str) -> Refused {
    Refused::conflict(field, format!("the same {} is declared in the configuration", resource.words()))
}

/// Ties a new entry and lays it down.
fn lay_down(desk: &mut Desk<'_>, entry: &Entry, at: &Circumstances<'_>) -> Result<(), Stop> {
    link::tie(desk, entry, at)?;
    Ok(desk.put_entry(entry)?)
}

fn change(
    desk: &mut Desk<'_>,
    before: Entry,
    mut patch: Map<String, Value>,
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let fields = patch.keys().cloned().collect();
    let given = document::take_settable(before.resource(), &mut patch)?;
    let (common, body) = document::read_patched(&before, &patch)?;
    let versions = match given {
        None => before.versions.clone(),
        Some(None) => Vec::new(),
        Some(Some(secret)) => {
            let number = before.versions.first().map_or(1, |newest| newest.number + 1);
            // The one before is of no use to anybody.
            new_version(desk, &before, Some(&secret), number, at)?.map(|(version, _)| version).into_iter().collect()
        }
    };
    replace(desk, before, at, Act::Change, fields, |after| {
        after.common = common;
        after.body = body;
        after.versions = versions;
    })
}

/// Lays a changed entry down in the place of what it was.
pub(super) fn replace(
    desk: &mut Desk<'_>,
    before: Entry,
    at: &Circumstances<'_>,
    act: Act,
    fields: Vec<String>,
    alter: impl FnOnce(&mut Entry),
) -> Result<Worked, Stop> {
    let mut changed = before.clone();
    alter(&mut changed);
    let same = changed == before;
    link::references(desk, &mut changed, at.declared)?;
    if same {
        // Nothing was asked that is not so already: no new revision, nothing for the trail.
        return Ok(Worked { entry: before, made: None, effects: Vec::new(), deals: Vec::new() });
    }
    hosted::count(desk, Some(&before), Some(&changed), at.index.cameras())?;
    changed.revision += 1;
    changed.changed = at.now;
    link::untie(desk, &before)?;
    link::tie(desk, &changed, at)?;
    desk.put_entry(&changed)?;
    let deals = vec![Deal::of(act, &changed, fields)];
    let mut effects = dependents(desk, &changed)?;
    effects.insert(0, Effect { before: Some(before), after: Some(changed.clone()) });
    Ok(Worked { entry: changed, made: None, effects, deals })
}

/// What stands or falls with an entry though it has not changed itself: the tokens of a camera, a group or a user.
fn dependents(desk: &Desk<'_>, entry: &Entry) -> Result<Vec<Effect>, Stop> {
    let mut effects = Vec::new();
    if matches!(entry.resource(), Resource::Account) {
        // What an account owns knows its account, and sees by itself how that stands.
        return Ok(effects);
    }
    for (resource, id) in needing(desk, entry, usize::MAX)? {
        if resource.owner() == Owner::Inherited
            && let Some(same) = desk.entry(resource, &id)?
        {
            effects.push(Effect { before: Some(same.clone()), after: Some(same) });
        }
    }
    Ok(effects)
}

/// What needs an entry, at most `most` of them.
pub(super) fn needing(desk: &Desk<'_>, entry: &Entry, most: usize) -> Result<Vec<(Resource, String)>, redb::Error> {
    let prefix = need_key(&entry_key(entry.resource(), &entry.id), None);
    let keys = desk.keys_under(Shelf::Needs, &prefix, most)?;
    let by = |key: &Vec<u8>| of_entry_key(&key[prefix.len()..]).map(|(resource, id)| (resource, id.to_owned()));
    Ok(keys.iter().filter_map(by).collect())
}

fn delete(desk: &mut Desk<'_>, entry: Entry, at: &Circumstances<'_>) -> Result<Worked, Stop> {
    let mut effects = Vec::new();
    let mut deals = Vec::new();
    for (by, by_id) in needing(desk, &entry, usize::MAX)? {
        let Some(needing) = desk.entry(by, &by_id)? else { continue };
        let follows = |entry: &Entry, needing: &Entry| {
            needing.body.references().iter().any(|reference| {
                reference.follows && reference.resource == entry.resource() && reference.id == entry.id
            })
        };
        if !follows(&entry, &needing) {
            let (resource, id) = (entry.resource(), entry.id.clone());
            return Err(Refused::InUse { resource, id, by, by_id }.into());
        }
        take_away(desk, needing, &mut effects, &mut deals)?;
    }
    hosted::count(desk, Some(&entry), None, at.index.cameras())?;
    take_away(desk, entry.clone(), &mut effects, &mut deals)?;
    // The meant one comes first, as everywhere.
    effects.rotate_right(1);
    deals.rotate_right(1);
    Ok(Worked { entry, made: None, effects, deals })
}

pub(super) fn take_away(
    desk: &mut Desk<'_>,
    entry: Entry,
    effects: &mut Vec<Effect>,
    deals: &mut Vec<Deal>,
) -> Result<(), redb::Error> {
    let key = entry_key(entry.resource(), &entry.id);
    link::untie(desk, &entry)?;
    desk.set(Shelf::Entries, &key, None)?;
    desk.set(Shelf::Used, &key, None)?;
    deals.push(Deal::of(Act::Delete, &entry, Vec::new()));
    effects.push(Effect { before: Some(entry), after: None });
    Ok(())
}
