//! Rotation as one operation: a new version of the secret is good from now on, and the one before it until the overlap
//! ends. The entry stays the same, and with it its id, its limits and its quota. A service account is known by its
//! `kid`, so that its successor is an entry of its own.

use std::time::Duration;

use serde_json::{Map, Value};

use super::document;
use super::entry::Entry;
use super::link::Stop;
use super::refused::{Fault, Refused};
use super::resource::{Body, Resource};
use super::rules::{self, Circumstances, Effect, Worked};
use super::shelf::Desk;
use super::trail::{Act, Deal};
use crate::clock::UnixTime;

/// How many versions of a secret are kept, and so how many can be good at once. Those that are over stay as long as there
/// is room, so that the log can say so.
pub(super) const MOST_VERSIONS: usize = 4;
/// How long the one before stays good where nothing is said. Of an entry that is disabled, not at all: who has switched off
/// a key that leaked, and rotates it, does not want it back with the next `enable`.
const OVERLAP: Duration = Duration::from_hours(24);
/// The longest overlap: rotation that never ends is none.
const LONGEST_OVERLAP: Duration = Duration::from_hours(366 * 24);

/// Rotates the secret of an entry.
pub(super) fn rotate(
    desk: &mut Desk<'_>,
    before: Entry,
    mut document: Map<String, Value>,
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let mut faults = Vec::new();
    let usual = if before.common.disabled { Duration::ZERO } else { OVERLAP };
    let overlap = overlap(document.remove("overlap"), usual, &mut faults);
    if before.resource() == Resource::ServiceAccount {
        return succeed(desk, before, document, overlap, faults, at);
    }
    let Some(rule) = before.resource().secret().filter(|rule| rule.make.is_some()) else {
        let message = format!("a {} has no secret to rotate", before.resource().words());
        return Err(Refused::invalid("", message).into());
    };
    let secret = document::take_secret(before.resource(), &mut document, &mut faults);
    faults.extend(document.keys().map(|key| unknown(key, &["overlap", rule.field])));
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults).into());
    }
    let number = before.versions.first().map_or(1, |newest| newest.number + 1);
    let Some((version, made)) = rules::new_version(desk, &before, secret.as_ref(), number, at)? else {
        return Err(Refused::invalid("", "there is no secret to rotate").into());
    };
    let mut older = before.versions.clone();
    for version in &mut older {
        version.expires = Some(earlier(version.expires, end(at.now, overlap)));
    }
    if older.iter().filter(|version| version.expires > Some(at.now)).count() >= MOST_VERSIONS {
        let message =
            format!("{MOST_VERSIONS} versions would still be good: wait, or rotate with an overlap of \"0s\"");
        return Err(Refused::conflict("overlap", message).into());
    }
    let worked = rules::replace(desk, before, at, Act::Rotate, Vec::new(), |after| {
        // The older one is, the earlier it ends: what falls off is over.
        after.versions = std::iter::once(version).chain(older).collect();
        after.versions.truncate(MOST_VERSIONS);
    })?;
    Ok(Worked { made, ..worked })
}

/// Another key of the same service account, with a `kid` of its own.
fn succeed(
    desk: &mut Desk<'_>,
    before: Entry,
    mut document: Map<String, Value>,
    overlap: Duration,
    mut faults: Vec<Fault>,
    at: &Circumstances<'_>,
) -> Result<Worked, Stop> {
    let (id, key) = (document.remove("id"), document.remove("public_key"));
    faults.extend(document.keys().map(|key| unknown(key, &["overlap", "id", "public_key"])));
    let Some(key) = key else {
        faults.push(Fault::new("public_key", "the new public key is missing"));
        return Err(Refused::Invalid(faults).into());
    };
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults).into());
    }
    let mut successor = document::writable(&before);
    for own in ["id", "name", "expires", "not_before", "successor"] {
        successor.remove(own);
    }
    successor.insert("public_key".into(), key);
    successor.extend(id.map(|id| ("id".to_owned(), id)));
    let create =
        super::Operation::Create { resource: Resource::ServiceAccount, document: successor, versions: Vec::new() };
    let made = rules::perform(desk, create, at)?;
    let id = made.entry.id.clone();
    let worked = rules::replace(desk, before, at, Act::Rotate, Vec::new(), |after| {
        after.common.expires = Some(earlier(after.common.expires, end(at.now, overlap)));
        if let Body::ServiceAccount(own) = &mut after.body {
            own.successor = Some(id);
        }
    })?;
    let effects: Vec<Effect> = made.effects.into_iter().chain(worked.effects).collect();
    let deals: Vec<Deal> = made.deals.into_iter().chain(worked.deals).collect();
    Ok(Worked { entry: made.entry, made: None, effects, deals })
}

fn end(now: UnixTime, overlap: Duration) -> UnixTime {
    UnixTime(now.0.saturating_add(overlap.as_secs()))
}

fn earlier(one: Option<UnixTime>, other: UnixTime) -> UnixTime {
    one.map_or(other, |one| one.min(other))
}

fn overlap(value: Option<Value>, usual: Duration, faults: &mut Vec<Fault>) -> Duration {
    let Some(value) = value.filter(|value| !value.is_null()) else { return usual };
    let span = value.as_str().and_then(|text| text.parse::<jiff::Span>().ok());
    let exact = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    match exact.and_then(|duration| Duration::try_from(duration).ok()) {
        Some(duration) if duration <= LONGEST_OVERLAP => duration,
        Some(_) | None => {
            faults.push(Fault::new("overlap", "this is a duration such as \"24h\", \"0s\" or \"7d\", a year at most"));
            usual
        }
    }
}

fn unknown(key: &str, known: &[&str]) -> Fault {
    let field: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Fault::new(field, format!("a rotation has no such field; it has {}", known.join(", ")))
}
