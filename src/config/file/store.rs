//! `[store]`, as written.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::placed::Placed;
use crate::secret::SecretSource;
use crate::units::Size;

/// Where accounts and credentials are kept that are managed while vidgate runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Store {
    /// The file. `vidgate store init` makes it.
    #[schemars(example = "vidgate.redb")]
    pub(in crate::config) path: Placed<PathBuf>,
    /// The key that opens it: 64 hex digits, or 43 characters of base64.
    #[schemars(extend("x-missing" = "for example: master_key = { file = \"master.key\" }"))]
    pub(in crate::config) master_key: Placed<Elsewhere>,
    /// How much of the file is kept in memory at most. Default: 32 MiB.
    pub(in crate::config) cache: Option<Placed<Size>>,
}

/// Where a secret comes from that never stands in the configuration itself.
#[derive(Clone, Debug)]
pub(in crate::config) enum Elsewhere {
    /// The content of a file, relative to the configuration file.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

impl<'de> Deserialize<'de> for Elsewhere {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match SecretSource::deserialize(deserializer)? {
            SecretSource::File(path) => Ok(Self::File(path)),
            SecretSource::Env(name) => Ok(Self::Env(name)),
            // Its shape was refused before, at its place.
            SecretSource::Literal(_) => Err(serde::de::Error::custom("this secret never stands in the configuration")),
        }
    }
}

impl From<Elsewhere> for SecretSource {
    fn from(source: Elsewhere) -> Self {
        match source {
            Elsewhere::File(path) => Self::File(path),
            Elsewhere::Env(name) => Self::Env(name),
        }
    }
}

impl JsonSchema for Elsewhere {
    fn schema_name() -> Cow<'static, str> {
        "SecretElsewhere".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret from a file or from the environment, never in clear.",
            "oneOf": [
                { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false },
                { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false }
            ]
        })
    }
}
