//! `[roles.<name>]`, as written: who may do which operation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::placed::Placed;
use crate::authorize::role::{PRESETS, Preset};

/// Who may do which operation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Roles {
    /// The table of a vendor to begin with. Default: an empty one.
    pub(in crate::config) preset: Option<Known>,
    /// Who may do which operation, in the place of what the preset says of it.
    #[serde(default)]
    pub(in crate::config) operations: BTreeMap<String, Placed<Allowed>>,
    /// Who may do operations that stand nowhere. Default: there are no others, and they are refused as unknown.
    pub(in crate::config) others: Option<Placed<Allowed>>,
    /// Parameters in the query and in forms that nobody may send, compared without regard to case: credentials of kinds
    /// that are not taken here. Default: those of the preset.
    pub(in crate::config) refuse_parameters: Option<Vec<String>>,
    /// Parameters that are taken out on the way upstream, whatever has proven the caller. Default: those of the preset.
    pub(in crate::config) remove_parameters: Option<Vec<String>>,
}

/// Who may do something: `"basic"` is everyone who is proven, `"nobody"` nobody, and a list holders of one of these roles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "\"basic\", \"nobody\" or a list of roles")]
pub(in crate::config) enum Allowed {
    /// A word.
    Word(Word),
    /// Roles.
    Roles(Vec<String>),
}

/// Everyone or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Word {
    /// Everyone who is proven, with a role or without.
    Basic,
    /// Nobody, whatever their permissions.
    Nobody,
}

impl JsonSchema for Allowed {
    fn schema_name() -> Cow<'static, str> {
        "Allowed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who may do something.",
            "oneOf": [
                { "type": "string", "const": "basic", "description": "Everyone who is proven, with a role or without." },
                { "type": "string", "const": "nobody", "description": "Nobody, whatever their permissions." },
                { "type": "array", "items": { "type": "string" }, "description": "Holders of one of these roles, and callers whose permissions are not limited." }
            ]
        })
    }
}

/// `preset = "…"`, found in the registry.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Known(pub(in crate::config) &'static Preset);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = PRESETS.iter().find(|preset| preset.name == name);
        found.map(Self).ok_or_else(|| serde::de::Error::custom(format!("there is no table of roles `{name}`")))
    }
}

impl JsonSchema for Known {
    fn schema_name() -> Cow<'static, str> {
        "Preset".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let choices: Vec<_> = PRESETS
            .iter()
            .map(|preset| serde_json::json!({ "type": "string", "const": preset.name, "description": preset.about }))
            .collect();
        json_schema!({ "description": "A table of roles that comes with vidgate.", "oneOf": choices })
    }
}
