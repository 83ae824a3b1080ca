//! What ties an entry to others: its name, the texts and digests by which it is found, what it refers to. Tied when it
//! is laid down, untied when it is taken away; whatever is taken or missing is refused here.

use super::entry::{Entry, Version};
use super::refused::{Fault, Refused};
use super::resource::{Body, Owner, Resource, SecretRule};
use super::rules::{Circumstances, Declared};
use super::shelf::{Desk, Shelf, entry_key, name_key, need_key, of_entry_key, public_handle_key, secret_handle_key};
use crate::record::Kind;

/// Why a step was not done: the request is wrong, or the disk.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(Refused),
    Broken(redb::Error),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<redb::Error> for Stop {
    fn from(error: redb::Error) -> Self {
        Self::Broken(error)
    }
}

/// Ties an entry that is about to be laid down. What it refers to was looked at by [`references`].
pub(super) fn tie(desk: &mut Desk<'_>, entry: &Entry, at: &Circumstances<'_>) -> Result<(), Stop> {
    let key = entry_key(entry.resource(), &entry.id);
    if let Some(name) = &entry.common.name {
        let place = name_key(entry.resource(), scope(entry), name);
        take(desk, Shelf::Names, &place, entry.id.as_bytes(), || {
            Fault::new("name", format!("another {} has this name", entry.resource().words()))
        })?;
    }
    for (place, (kind, text)) in entry.body.public_handles(&entry.id).into_iter().enumerate() {
        let field = public_field(entry.resource(), place);
        let fault = || Fault::new(field, format!("another {} has it", entry.resource().words()));
        take(desk, Shelf::Handles, &public_handle_key(kind, text), &key, fault)?;
        if at.is_declared_text(kind, text) {
            let message =
                format!("another {} has it, which is declared in the configuration", entry.resource().words());
            return Err(Refused::conflict(field, message).into());
        }
    }
    for version in &entry.versions {
        tie_version(desk, entry, version)?;
    }
    for reference in entry.body.references() {
        let need = need_key(&entry_key(reference.resource, reference.id), Some(&key));
        desk.set(Shelf::Needs, &need, Some(&[]))?;
    }
    if let Some(account) = &entry.common.account {
        desk.set(Shelf::Needs, &need_key(&entry_key(Resource::Account, account), Some(&key)), Some(&[]))?;
    }
    Ok(())
}

/// Ties one version of a secret: its digest, where the entry is found by it.
pub(super) fn tie_version(desk: &mut Desk<'_>, entry: &Entry, version: &Version) -> Result<(), Stop> {
    let Some((rule, kind)) = found_as(&entry.body) else { return Ok(()) };
    let key = entry_key(entry.resource(), &entry.id);
    take(desk, Shelf::Handles, &secret_handle_key(kind, &version.digest), &key, || taken(entry.resource(), rule))
}

/// The fault of a secret that somebody else has already.
pub(super) fn taken(resource: Resource, rule: SecretRule) -> Fault {
    Fault::new(rule.field, format!("another {} has the same {}", resource.words(), rule.field))
}

/// Unties an entry that is about to be replaced or taken away.
pub(super) fn untie(desk: &mut Desk<'_>, entry: &Entry) -> Result<(), redb::Error> {
    let key = entry_key(entry.resource(), &entry.id);
    if let Some(name) = &entry.common.name {
        desk.set(Shelf::Names, &name_key(entry.resource(), scope(entry), name), None)?;
    }
    for (kind, text) in entry.body.public_handles(&entry.id) {
        desk.set(Shelf::Handles, &public_handle_key(kind, text), None)?;
    }
    for version in &entry.versions {
        untie_version(desk, entry, version)?;
    }
    for reference in entry.body.references() {
        let need = need_key(&entry_key(reference.resource, reference.id), Some(&key));
        desk.set(Shelf::Needs, &need, None)?;
    }
    if let Some(account) = &entry.common.account {
        desk.set(Shelf::Needs, &need_key(&entry_key(Resource::Account, account), Some(&key)), None)?;
    }
    Ok(())
}

/// Unties one version of a secret.
pub(super) fn untie_version(desk: &mut Desk<'_>, entry: &Entry, version: &Version) -> Result<(), redb::Error> {
    match found_as(&entry.body) {
        Some((_, kind)) => desk.set(Shelf::Handles, &secret_handle_key(kind, &version.digest), None),
        None => Ok(()),
    }
}

/// How an entry is found by its secret, if it is.
pub(super) fn found_as(body: &Body) -> Option<(SecretRule, Kind)> {
    let rule = body.resource().secret()?;
    if let Body::Token(token) = body { Some((rule, token.kind())) } else { Some((rule, rule.found_as?)) }
}

/// Looks at everything that an entry refers to and says whose the entry is.
pub(super) fn references(desk: &Desk<'_>, entry: &mut Entry, declared: &Declared) -> Result<(), Stop> {
    let mut faults = Vec::new();
    if let Some(account) = &entry.common.account
        && desk.entry(Resource::Account, account)?.is_none()
    {
        faults.push(missing("account", (Resource::Account, account), declared));
    }
    let mut owner = entry.common.account.clone();
    for reference in entry.body.references() {
        let Some(found) = desk.entry(reference.resource, reference.id)? else {
            faults.push(missing(reference.field, (reference.resource, reference.id), declared));
            continue;
        };
        if reference.resource == Resource::Account {
            continue;
        }
        match &owner {
            None => owner = found.common.account,
            Some(own) if found.common.account.as_ref() != Some(own) => {
                let message =
                    format!("the {} `{}` belongs to another account", reference.resource.words(), reference.id);
                faults.push(Fault::new(reference.field, message));
            }
            Some(_) => {}
        }
    }
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults).into());
    }
    if entry.resource().owner() == Owner::Inherited {
        entry.common.account = owner;
    }
    if let Body::Account(account) = &entry.body {
        ancestry(desk, &entry.id, account.parent.as_deref())?;
    }
    Ok(())
}

/// The longest line of accounts, each the parent of the next.
pub(super) const DEEPEST: usize = 16;

/// Nobody is their own ancestor.
fn ancestry(desk: &Desk<'_>, id: &str, parent: Option<&str>) -> Result<(), Stop> {
    let before = desk.entry(Resource::Account, id)?.map(|entry| entry.body);
    if let Some(Body::Account(before)) = before
        && before.parent.as_deref() == parent
    {
        // It was looked at when it was put there.
        return Ok(());
    }
    let too_deep = || Refused::invalid("parent", format!("there are at most {DEEPEST} accounts above one another"));
    let mut above = parent.map(str::to_owned);
    for over in 0..DEEPEST {
        let Some(next) = above else {
            // Those below move along.
            let too_low = over > 0 && reaches_down(desk, id, DEEPEST - over)?;
            return if too_low { Err(too_deep().into()) } else { Ok(()) };
        };
        if next == id {
            return Err(Refused::invalid("parent", format!("`{id}` would be its own ancestor")).into());
        }
        let Some(entry) = desk.entry(Resource::Account, &next)? else { return Ok(()) };
        let Body::Account(account) = entry.body else { return Ok(()) };
        above = account.parent;
    }
    Err(too_deep().into())
}

/// Whether there are accounts so many levels below one.
fn reaches_down(desk: &Desk<'_>, id: &str, levels: usize) -> Result<bool, redb::Error> {
    if levels == 0 {
        return Ok(true);
    }
    let accounts = need_key(&entry_key(Resource::Account, id), Some(&[Resource::Account.code()]));
    for key in desk.keys_under(Shelf::Needs, &accounts, usize::MAX)? {
        let below = of_entry_key(&key[accounts.len() - 1..]);
        if let Some((_, below)) = below
            && reaches_down(desk, below, levels - 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn missing(field: &str, (resource, id): (Resource, &str), declared: &Declared) -> Fault {
    if declared.contains(&(resource, id.to_owned())) {
        let what = resource.words();
        let message = format!(
            "the {what} `{id}` is declared in the configuration: what is in the store belongs to what is there too, so \
             declare this as well"
        );
        return Fault::new(field, message);
    }
    // The id is the caller's own text, and may be anything.
    let id: String = id.chars().filter(|c| !c.is_control()).take(128).collect();
    Fault::new(field, format!("there is no {} `{id}`", resource.words()))
}

/// Takes a place that must be free.
fn take(
    desk: &mut Desk<'_>,
    shelf: Shelf,
    key: &[u8],
    value: &[u8],
    fault: impl FnOnce() -> Fault,
) -> Result<(), Stop> {
    if desk.get(shelf, key)?.is_some() {
        return Err(Refused::Conflict(fault()).into());
    }
    Ok(desk.set(shelf, key, Some(value))?)
}

/// Within what a name is its own: the account; among accounts, all of them.
pub(super) fn scope(entry: &Entry) -> &str {
    entry.common.account.as_deref().unwrap_or_default()
}

/// The key of the document under which an entry has the text at this place among those by which it is found in public.
fn public_field(resource: Resource, place: usize) -> &'static str {
    match resource {
        Resource::ApiClient if place > 0 => "aliases",
        Resource::User => "login",
        Resource::App => "public_key",
        Resource::AdminCertificate => "sha256",
        Resource::Account
        | Resource::LicenseKey
        | Resource::ApiClient
        | Resource::Camera
        | Resource::CameraGroup
        | Resource::Token
        | Resource::BearerToken
        | Resource::ServiceAccount => "id",
    }
}
