//! Values that remember where they stand, and values that are one word of a registry.

use std::borrow::Cow;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::endpoint::{ENDPOINTS, Entry};
use crate::envelope::{DIALECTS, Dialect};

/// A value and its place in the file, in bytes.
#[derive(Clone, Debug)]
pub(in crate::config) struct Placed<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) place: Range<usize>,
}

impl<T> Placed<T> {
    /// The value at this place.
    pub(in crate::config) fn new(value: T, place: Range<usize>) -> Self {
        Self { value, place }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        let place = spanned.span();
        Ok(Self { value: spanned.into_inner(), place })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// `dialect = "…"`, found in the registry.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Worded(pub(in crate::config) &'static Dialect);

impl Default for Worded {
    fn default() -> Self {
        Self(&DIALECTS[0])
    }
}

impl<'de> Deserialize<'de> for Worded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = DIALECTS.iter().find(|dialect| dialect.name == name);
        found.map(Self).ok_or_else(|| serde::de::Error::custom(format!("there is no dialect `{name}`")))
    }
}

impl JsonSchema for Worded {
    fn schema_name() -> Cow<'static, str> {
        "Dialect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let choices: Vec<_> = DIALECTS
            .iter()
            .map(|dialect| serde_json::json!({ "type": "string", "const": dialect.name, "description": dialect.about }))
            .collect();
        json_schema!({ "description": "How refusals are worded.", "oneOf": choices })
    }
}

/// `endpoint = "…"`, found in the registry.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Answered(pub(in crate::config) &'static Entry);

impl<'de> Deserialize<'de> for Answered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Entry::of_name(&name)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("there is no endpoint `{name}`")))
    }
}

impl JsonSchema for Answered {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let choices: Vec<_> = ENDPOINTS
            .iter()
            .map(|entry| serde_json::json!({ "type": "string", "const": entry.name, "description": entry.about }))
            .collect();
        json_schema!({ "description": "What the house answers itself.", "oneOf": choices })
    }
}
