//! A network where it is used: as it is, or by the name that `[networks]` gives it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::units::Network;

/// One entry of a list of networks.
#[derive(Clone, Debug)]
pub(in crate::config) enum NetworkOrName {
    /// A network or an address.
    Network(Network),
    /// What may be the name of some.
    Name(String),
}

impl NetworkOrName {
    /// Reads a text: what has a dot, a colon or a slash is meant to be a network, and is told what is wrong with it.
    pub(in crate::config) fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(network) => Ok(Self::Network(network)),
            Err(wrong) if text.is_empty() || text.contains(['.', ':', '/']) => Err(wrong),
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for NetworkOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for NetworkOrName {
    fn schema_name() -> Cow<'static, str> {
        "NetworkOrName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A network, an address, or a name of [networks].", "examples": ["10.0.0.0/8", "office"] })
    }
}
