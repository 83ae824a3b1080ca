//! The JSON of a listing, `{"assets": […], …}` or the bare list, and what is left of it: read only as far as needed, and
//! cut, not written anew, so that numbers, order and blanks stay as they were. A member that would be found twice is an
//! error: two readers would see two listings.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

type Error = serde_json::Error;

/// The listing with the assets whose state `shows`. `None` is a state that is missing, or no text.
pub(super) fn without(text: &str, shows: impl Fn(Option<&str>) -> bool) -> Result<String, Error> {
    let whole: &RawValue = serde_json::from_str(text)?;
    let assets = if whole.get().starts_with('[') {
        whole
    } else {
        member(whole, "assets")?.ok_or_else(|| Error::custom("no assets"))?
    };
    let mut left = String::with_capacity(text.len());
    // Borrowed of the text, so that its place is the distance between the two.
    let from = assets.get().as_ptr().addr() - text.as_ptr().addr();
    left.push_str(&text[..from]);
    left.push('[');
    let mut first = true;
    for asset in serde_json::from_str::<Vec<&RawValue>>(assets.get())? {
        let state = member(asset, "state")?.and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        if !shows(state.as_deref()) {
            continue;
        }
        if !first {
            left.push(',');
        }
        first = false;
        left.push_str(asset.get());
    }
    left.push(']');
    left.push_str(&text[from + assets.get().len()..]);
    Ok(left)
}

/// The member of this name of an object; an error where there are two, and where it is no object.
fn member<'a>(object: &'a RawValue, name: &str) -> Result<Option<&'a RawValue>, Error> {
    let mut reader = serde_json::Deserializer::from_str(object.get());
    Member(name).deserialize(&mut reader)
}

/// Finds one member of an object.
struct Member<'n>(&'n str);

/// Whether the name of a member is this one.
struct Named<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = members.next_key_seed(Named(self.0))? {
            if !is_it {
                members.next_value::<IgnoredAny>()?;
            } else if found.replace(members.next_value()?).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(found)
    }
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
