//! `[log]`, as written.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::placed::Placed;
use crate::telemetry::access;
use crate::telemetry::log::{Format, Level};

/// `[log]`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Log {
    /// The least important messages that are written. Default: `info`.
    #[serde(default)]
    pub(in crate::config) level: Level,
    /// How a line looks. Default: `json`.
    #[serde(default)]
    pub(in crate::config) format: Format,
    /// Whether each request leaves a line, and how that looks. Default: true, a JSON object on standard error.
    pub(in crate::config) access: Option<Access>,
    /// Names in a query whose values are told nowhere, besides the places of credentials.
    #[serde(default)]
    #[schemars(example = ["session_id"])]
    pub(in crate::config) redact: Vec<Placed<String>>,
    /// How many of the last requests that were refused are kept in memory, for `vidgate why`. Default: 1024; 0: none.
    pub(in crate::config) refusals: Option<Placed<usize>>,
}

/// Whether each request leaves a line.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(in crate::config) enum Access {
    /// It does, or does not.
    Written(bool),
    /// It does, in this way.
    As(Lines),
}

/// How the lines of requests are written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "true, false or a table")]
pub(in crate::config) struct Lines {
    /// How a line looks. Default: `json`.
    #[serde(default)]
    pub(in crate::config) format: access::Format,
    /// The file that lines are added to; it is opened anew whenever the configuration is read anew. Default: standard error.
    #[schemars(example = "/var/log/vidgate/access.log")]
    pub(in crate::config) file: Option<Placed<PathBuf>>,
    /// The part of the requests that were let in which leaves a line, more than 0 and at most 1, which is all; others always
    /// do. Default: 1.
    pub(in crate::config) sample: Option<Placed<f64>>,
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Access;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E>(self, written: bool) -> Result<Access, E> {
                Ok(Access::Written(written))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Access, A::Error> {
                Lines::deserialize(MapAccessDeserializer::new(map)).map(Access::As)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
