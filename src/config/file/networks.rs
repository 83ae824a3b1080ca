//! A network where it is used: as it is, or by the name that `[networks]` gives it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// One entry of a list of networks, as it stands there: which of the two it is, or neither, is told at its place.
#[derive(Clone, Debug)]
pub(in crate::config) struct NetworkOrName(pub(in crate::config) String);

impl<'de> Deserialize<'de> for NetworkOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
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
