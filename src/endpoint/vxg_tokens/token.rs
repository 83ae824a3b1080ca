//! Access tokens as the store keeps them: one entry a sharing, whose id is the `si` of the share token.

use serde_json::{Map, Value, json};

use super::{Desk, Hosts, LONGEST_NAME, enabled, metadata, or_null};
use crate::clock::UnixTime;
use crate::endpoint::document::{Document, Given, wrong};
use crate::endpoint::vxg::{self, Opens};
use crate::refusal::Refusal;
use crate::scheme::access_token;
use crate::store::{Operation, Outcome, Refused, Resource, Store};

/// The most sharings of one camera, or of one group, that can be made here.
pub(super) const MOST: usize = 100;
/// The most words of an access list.
const MOST_WORDS: usize = 32;

/// A sharing with its share token.
pub(super) struct Sharing {
    pub(super) entry: Outcome,
    inner: Option<String>,
}

/// What is to become of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It stays.
    Keep,
    /// Another one takes its place.
    Renew,
}

impl Sharing {
    /// An entry with its secret.
    pub(super) fn of(store: &Store, entry: Outcome) -> Result<Self, Refused> {
        let secret = store.reveal(Resource::Token, &entry.id)?;
        // What was imported may have the outer layer around it.
        let inner = secret.and_then(|secret| access_token::inner_token(secret.expose()).ok());
        let inner = inner.map(|inner| String::from_utf8_lossy(inner.expose()).into_owned());
        Ok(Self { entry, inner })
    }

    /// Takes out the oldest of those that are meant, one that is good before one that is not.
    pub(super) fn oldest(
        store: &Store,
        entries: &mut Vec<Outcome>,
        is_meant: impl Fn(&Outcome) -> bool,
    ) -> Result<Option<Self>, Refused> {
        let age = |(_, entry): &(usize, &Outcome)| {
            let created = entry.document.get("created").and_then(Value::as_str).unwrap_or_default();
            (!is_good(entry), created.to_owned(), entry.id.clone())
        };
        let meant = entries.iter().enumerate().filter(|(_, entry)| is_meant(entry));
        let oldest = meant.min_by_key(age).map(|(place, _)| place);
        oldest.map(|place| Self::of(store, entries.swap_remove(place))).transpose()
    }

    /// The words of its access.
    pub(super) fn scopes(&self) -> Vec<String> {
        scopes(&self.entry).map(str::to_owned).collect()
    }

    /// Whether its token is believed now.
    pub(super) fn is_good(&self) -> bool {
        is_good(&self.entry)
    }

    /// Its token as VXG hands it out.
    pub(super) fn token(&self, camera: Option<&str>, hosts: &Hosts) -> Option<String> {
        let scopes = self.scopes();
        let opens = camera.map_or(Opens::Group, |camera| Opens::Camera(camera, &scopes));
        Some(vxg::access_token(self.inner.as_deref()?, &opens, &hosts.api, &hosts.cam))
    }

    /// The sharing as VXG shows it.
    pub(super) fn to_value(&self, camera: &str, hosts: &Hosts) -> Value {
        let expires = self.entry.document.get("expires").and_then(Value::as_str);
        json!({
            "id": vxg::id(&self.entry.id),
            "name": super::name(&self.entry),
            "enabled": enabled(&self.entry),
            // ISO 8601 without a zone, as VXG writes it: UTC.
            "expire": expires.map(|text| text.trim_end_matches('Z')),
            "access": self.scopes(),
            "include_public": metadata(&self.entry, "include_public").is_some_and(|flag| flag == "true"),
            "token": or_null(self.token(Some(camera), hosts)),
        })
    }

    /// What is to become of the token, by what stands in a body: `null` asks for another one, and what was shown may
    /// come back. Tokens are made here: nobody's own text becomes one.
    pub(super) fn wish(own: Option<&Self>, given: Given<String>, member: &str) -> Result<Wish, Refusal> {
        match given {
            Given::Absent => Ok(Wish::Keep),
            Given::Null => Ok(Wish::Renew),
            Given::Value(text) => {
                let inner = access_token::inner_token(text.as_bytes()).ok();
                let same = |own: &str| inner.is_some_and(|inner| inner.expose() == own.as_bytes());
                match own.and_then(|own| own.inner.as_deref()) {
                    Some(own) if same(own) => Ok(Wish::Keep),
                    Some(_) | None => Err(wrong(member, "the token that is there, or null for a new one")),
                }
            }
        }
    }
}

impl Desk {
    /// Makes a sharing of a camera or a group.
    pub(super) fn new_sharing(&self, id: &str, of: (Resource, &str), mut document: Map<String, Value>) -> Operation {
        let field = if of.0 == Resource::Camera { "camera" } else { "group" };
        document.insert("id".into(), id.into());
        document.insert(field.into(), of.1.into());
        document.insert("token".into(), self.new_token(id, self.house.clock().unix()));
        Operation::Add { resource: Resource::Token, document, to: (of.0, of.1.to_owned()), most: MOST }
    }

    /// Another token in the place of the one before, which ends with it.
    ///
    /// It is issued later than that one, by a second where that is of this one: with a verification key, what is issued
    /// for one sharing at one time is one token.
    pub(super) fn next_token(&self, Sharing { entry, inner }: &Sharing) -> Operation {
        let after = inner.as_deref().and_then(vxg::issued).map_or(0, |issued| issued.0.saturating_add(1));
        let token = self.new_token(&entry.id, self.house.clock().unix().max(UnixTime(after)));
        let document = Map::from_iter([("overlap".to_owned(), "0s".into()), ("token".to_owned(), token)]);
        Operation::Rotate { resource: Resource::Token, id: entry.id.clone(), document, revision: None }
    }

    fn new_token(&self, sharing: &str, issued: UnixTime) -> Value {
        let token = vxg::share_token(sharing, issued, self.outfit.verification_key.as_ref());
        String::from_utf8_lossy(token.expose()).into_owned().into()
    }
}

/// Every token of a camera or a group.
pub(super) fn every(store: &Store, of: (Resource, &str)) -> Result<Vec<Outcome>, Refused> {
    Ok(store.slice(Resource::Token, Some(of), 0, usize::MAX)?.items)
}

/// The words of the access that a token gives.
pub(super) fn scopes(entry: &Outcome) -> impl Iterator<Item = &str> {
    let words = entry.document.get("scopes").and_then(Value::as_array);
    words.into_iter().flatten().filter_map(Value::as_str)
}

fn is_good(entry: &Outcome) -> bool {
    entry.document.get("status").and_then(Value::as_str) == Some("active")
}

/// Scopes alone.
pub(super) fn scoped(words: &[String]) -> Map<String, Value> {
    Map::from_iter([("scopes".to_owned(), json!(words))])
}

/// What a body says of a sharing, as a merge patch.
pub(super) fn patch(document: &mut Document) -> Result<Map<String, Value>, Refusal> {
    let mut patch = Map::new();
    match document.words("access", MOST_WORDS)? {
        Given::Absent => {}
        Given::Null => return Err(wrong("access", "a word or a list of words; a sharing has some access")),
        Given::Value(words) => drop(patch.insert("scopes".into(), json!(words))),
    }
    document.switch("enabled")?.map(|enabled| Value::from(!enabled)).patch("disabled", &mut patch);
    document.instant("expire")?.map(|end: UnixTime| json!(end)).patch("expires", &mut patch);
    let name = document.text("name", LONGEST_NAME)?.map(Value::from);
    let public = document.flag("include_public")?.map(|flag| Value::from(flag.to_string()));
    let mut beside = Map::new();
    name.patch("name", &mut beside);
    public.patch("include_public", &mut beside);
    if !beside.is_empty() {
        patch.insert("metadata".into(), beside.into());
    }
    Ok(patch)
}

/// A merge patch on nothing: what it would take away is not there.
pub(super) fn document(mut patch: Map<String, Value>) -> Map<String, Value> {
    patch.values_mut().filter_map(Value::as_object_mut).for_each(|inner| inner.retain(|_, value| !value.is_null()));
    patch.retain(|_, value| !value.is_null());
    patch
}
