//! `[scheme.<name>.<kind>]`, as written: which kinds there are, and what their tables hold, is the registry's to say.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::scheme::{KINDS, KindEntry};

/// A scheme's kind and its settings, not yet built.
#[derive(Debug)]
pub(in crate::config) struct Scheme {
    pub(in crate::config) kind: &'static KindEntry,
    pub(in crate::config) settings: toml::Value,
    pub(in crate::config) place: std::ops::Range<usize>,
}

impl JsonSchema for Scheme {
    fn schema_name() -> Cow<'static, str> {
        "Scheme".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kinds: serde_json::Map<_, _> = KINDS
            .iter()
            .map(|entry| {
                let mut schema = (entry.schema)(generator);
                schema.insert("description".to_owned(), format!("{}: {}", entry.about, entry.wire).into());
                (entry.kind.to_owned(), schema.to_value())
            })
            .collect();
        json_schema!({
            "description": "A way to prove who one is: exactly one table, named after its kind.",
            "type": "object",
            "properties": kinds,
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1
        })
    }
}
