//! Entries as people write them: one JSON object, the same for the admin API, the command line, import and export.
//! Reading says everything that is wrong at once; writing never shows a secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::entry::{Common, Entry};
use super::key_text::{self, Shape};
use super::refused::{Fault, Refused};
use super::resource::{Body, Owner, Resource};
use crate::clock::UnixTime;
use crate::secret::Secret;

/// The keys that every entry has.
pub(super) const COMMON: [&str; 6] = ["name", "account", "disabled", "not_before", "expires", "metadata"];
/// The most entries of `metadata`, and the longest key and value.
const METADATA: (usize, usize, usize) = (64, 128, 4096);

/// What is asked to be made.
#[derive(Debug)]
pub(super) struct New {
    pub(super) id: Option<String>,
    pub(super) common: Common,
    pub(super) body: Body,
    /// The secret as given.
    pub(super) secret: Option<Secret>,
}

/// Reads the document of an entry to be made.
pub(super) fn read_new(resource: Resource, mut document: Map<String, Value>) -> Result<New, Refused> {
    let mut faults = Vec::new();
    let id = match document.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => {
            faults.extend(plain_id(&id).map(|message| Fault::new("id", message)));
            Some(id)
        }
        Some(_) => {
            faults.push(Fault::new("id", "an id is a string"));
            None
        }
    };
    let secret = take_secret(resource, &mut document, &mut faults);
    if resource == Resource::ApiClient && id.as_ref().is_some_and(|id| id.contains(':')) {
        faults.push(Fault::new("id", "an API identifier has no colon: in `Basic`, the first one ends it"));
    }
    match read_rest(resource, document, &mut faults) {
        Some((common, body)) if faults.is_empty() => Ok(New { id, common, body, secret }),
        Some(_) | None => Err(Refused::Invalid(faults)),
    }
}

impl Resource {
    /// What is wrong with the document of an entry to be made, as far as it tells by itself: whether what it refers to
    /// exists, and whether its id is taken, only the store knows.
    pub fn faults(self, document: Map<String, Value>) -> Vec<Fault> {
        match read_new(self, document) {
            Err(Refused::Invalid(faults)) => faults,
            Ok(_) | Err(_) => Vec::new(),
        }
    }
}

/// Reads an entry again after a merge patch (RFC 7396) on its document.
pub(super) fn read_patched(entry: &Entry, patch: &Map<String, Value>) -> Result<(Common, Body), Refused> {
    let resource = entry.resource();
    let before = writable(entry);
    let mut faults: Vec<Fault> = fixed(resource).filter_map(|field| changes(field, &before, patch)).collect();
    if patch.get("id").is_some_and(|id| id.as_str() != Some(&entry.id)) {
        faults.push(Fault::new("id", "an id stays as it was made"));
    }
    if let Some(rule) = resource.secret().filter(|rule| patch.contains_key(rule.field)) {
        faults.push(Fault::new(rule.field, "a secret is changed by rotation"));
    }
    // What is to be removed leaves no trace in what the patch makes.
    let removed = patch.iter().filter(|(_, value)| value.is_null()).map(|(key, _)| key.as_str());
    faults.extend(removed.filter(|key| !is_field(resource, key)).map(|key| unknown(resource, key)));
    let mut merged = Value::Object(before);
    merge(&mut merged, patch);
    let Value::Object(mut document) = merged else { return Err(Refused::Invalid(faults)) };
    document.remove("id");
    if let Some(rule) = resource.secret() {
        document.remove(rule.field);
    }
    match read_rest(resource, document, &mut faults) {
        Some(read) if faults.is_empty() => Ok(read),
        Some(_) | None => Err(Refused::Invalid(faults)),
    }
}

/// Keys that stay as they were made.
fn fixed(resource: Resource) -> impl Iterator<Item = &'static str> {
    let owner = (resource.owner() != Owner::Nobody).then_some("account");
    owner.into_iter().chain(resource.fixed_fields().iter().copied())
}

fn changes(field: &str, before: &Map<String, Value>, patch: &Map<String, Value>) -> Option<Fault> {
    let asked = patch.get(field)?;
    let same = before.get(field).unwrap_or(&Value::Null) == asked;
    (!same).then(|| Fault::new(field, "this stays as it was made"))
}

/// RFC 7396 §2
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(inner) => merge(target.entry(key).or_insert(Value::Null), inner),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

fn read_rest(resource: Resource, document: Map<String, Value>, faults: &mut Vec<Fault>) -> Option<(Common, Body)> {
    let (mut common, mut own) = (Map::new(), Map::new());
    for (key, value) in document {
        if COMMON.contains(&key.as_str()) {
            // A key without a value is a key that was left out.
            if !value.is_null() {
                common.insert(key, value);
            }
        } else if resource.fields().contains(&key.as_str()) {
            if !value.is_null() {
                own.insert(key, value);
            }
        } else {
            faults.push(unknown(resource, &key));
        }
    }
    let common: Option<Common> = serde_path_to_error::deserialize(Value::Object(common))
        .map_err(|error| faults.push(Fault::of_serde(&error)))
        .ok();
    let body = Body::read(resource, own).map_err(|fault| faults.push(fault)).ok();
    faults.extend(common.iter().flat_map(|common| common_faults(resource, common)));
    faults.extend(body.iter().flat_map(Body::faults));
    Some((common?, body?))
}

/// The keys of a document as people write it.
fn fields(resource: Resource) -> impl Iterator<Item = &'static str> {
    let secret = resource.secret().map(|rule| rule.field);
    ["id"].into_iter().chain(COMMON).chain(resource.fields().iter().copied()).chain(secret)
}

fn is_field(resource: Resource, key: &str) -> bool {
    fields(resource).any(|field| field == key)
}

fn unknown(resource: Resource, key: &str) -> Fault {
    let list = fields(resource).map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
    // The key is the caller's own text, and may be anything.
    let field: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Fault::new(field, format!("there is no such field; a document of `{resource}` has {list}"))
}

fn common_faults(resource: Resource, common: &Common) -> Vec<Fault> {
    let mut faults = Vec::new();
    let plain = |text: &str, longest: usize| (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control);
    if common.name.as_deref().is_some_and(|name| !plain(name, 256)) {
        faults.push(Fault::new("name", "a name is 1 to 256 bytes without control characters"));
    }
    match (resource.owner(), &common.account) {
        (Owner::Nobody, Some(_)) => {
            faults.push(Fault::new("account", "an account belongs to none; its `parent` is the one above it"));
        }
        (Owner::Account, None) => faults.push(Fault::new("account", "it needs the account that owns it")),
        (Owner::Nobody, None) | (Owner::Account, Some(_)) | (Owner::Inherited, _) => {}
    }
    if resource.owner() == Owner::Nobody && (common.not_before.is_some() || common.expires.is_some()) {
        faults.push(Fault::new("expires", "an account has no end of its own; it can be disabled"));
    }
    if let (Some(start), Some(end)) = (common.not_before, common.expires)
        && start >= end
    {
        faults.push(Fault::new("expires", "this is never good: it expires before it begins"));
    }
    let (most, key, value) = METADATA;
    let fits = |(name, text): (&String, &String)| plain(name, key) && text.len() <= value;
    if common.metadata.len() > most || !common.metadata.iter().all(fits) {
        let message =
            format!("these are at most {most} texts of at most {value} bytes, under keys of 1 to {key} bytes");
        faults.push(Fault::new("metadata", message));
    }
    faults
}

/// Ids of accounts and credentials go into header fields, paths and logs.
pub(super) fn plain_id(id: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',');
    let fits = (1..=128).contains(&id.len()) && id.bytes().all(plain);
    (!fits).then_some("an id is 1 to 128 visible ASCII characters, without spaces, quotes and commas")
}

/// Takes the secret out of a document, so that the text is wiped when it has served.
pub(super) fn take_secret(
    resource: Resource,
    document: &mut Map<String, Value>,
    faults: &mut Vec<Fault>,
) -> Option<Secret> {
    let rule = resource.secret()?;
    match document.remove(rule.field)? {
        Value::Null => None,
        Value::String(text) => {
            let secret = Secret::new(text.into_bytes());
            if key_text::shape(secret.expose()) == Shape::Mistyped {
                faults.push(Fault::new(rule.field, "this looks like a key made by vidgate, but its checksum is wrong"));
            } else if let Err(message) = (rule.check)(&secret) {
                faults.push(Fault::new(rule.field, message));
            }
            Some(secret)
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            faults.push(Fault::new(rule.field, "a secret is a string"));
            None
        }
    }
}

/// Takes out of a patch a secret that is set by a change: `Some(None)` takes it away.
#[expect(clippy::option_option, reason = "`None`: nothing is said of it")]
pub(super) fn take_settable(
    resource: Resource,
    patch: &mut Map<String, Value>,
) -> Result<Option<Option<Secret>>, Refused> {
    let Some(rule) = resource.secret().filter(|rule| rule.make.is_none()) else { return Ok(None) };
    if !patch.contains_key(rule.field) {
        return Ok(None);
    }
    let mut faults = Vec::new();
    let secret = take_secret(resource, patch, &mut faults);
    if faults.is_empty() { Ok(Some(secret)) } else { Err(Refused::Invalid(faults)) }
}

/// What can be written of an entry: its document without what only the house can say.
pub(super) fn writable(entry: &Entry) -> Map<String, Value> {
    let mut document = Map::from_iter([("id".to_owned(), json!(entry.id))]);
    let common = serde_json::to_value(&entry.common).expect("what every entry has are plain values");
    if let Value::Object(common) = common {
        document.extend(common);
    }
    document.extend(entry.body.write());
    document.retain(|_, value| !value.is_null());
    document
}

/// What the house knows of an entry besides what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionView {
    /// Counted from 1.
    pub number: u32,
    /// When it was made.
    pub created: UnixTime,
    /// Good before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixTime>,
}

/// The whole document of an entry, as it is shown.
pub(super) fn shown(entry: &Entry, last_used: Option<UnixTime>, now: UnixTime) -> Map<String, Value> {
    let mut document = writable(entry);
    let versions: Vec<_> = entry
        .versions
        .iter()
        .map(|version| VersionView { number: version.number, created: version.created, expires: version.expires })
        .collect();
    document.insert("status".into(), json!(entry.status(now)));
    document.insert("revision".into(), json!(entry.revision));
    document.insert("created".into(), json!(entry.created));
    document.insert("changed".into(), json!(entry.changed));
    if entry.resource().secret().is_some_and(|rule| rule.make.is_some() || !versions.is_empty()) {
        document.insert("versions".into(), json!(versions));
    }
    if let Some(last_used) = last_used {
        document.insert("last_used".into(), json!(last_used));
    }
    document
}
