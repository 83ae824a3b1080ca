//! Secrets in memory: wiped when dropped, starred when printed, compared in constant time. Where they come from is
//! written here as text ([`SecretSource`]); reading it is the business of `config/source.rs`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that nobody may see.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Shows the bytes to the one piece of code that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Compares in constant time for equal lengths.
    pub fn equals(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret comes from, as written: `{ file = "…" }`, `{ env = "…" }`, or a literal (allowed, warned about).
#[derive(Clone)]
pub enum SecretSource {
    /// The content of a file, without one final line break. Relative to the configuration file.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
    /// The secret itself, in clear in the configuration.
    Literal(Secret),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Literal(_) => f.write_str("***"),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> serde::de::Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret: { file = \"path\" }, { env = \"NAME\" } or a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretSource, E> {
        Ok(SecretSource::Literal(Secret::new(text.as_bytes().to_vec())))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let Some((key, value)) = map.next_entry::<String, String>()? else {
            return Err(serde::de::Error::custom("a secret needs `file` or `env`"));
        };
        let source = match key.as_str() {
            "file" => SecretSource::File(PathBuf::from(value)),
            "env" => SecretSource::Env(value),
            other => return Err(serde::de::Error::unknown_field(other, &["file", "env"])),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(serde::de::Error::custom("a secret has exactly one source: `file` or `env`"));
        }
        Ok(source)
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: from a file, from the environment, or (warned about) in clear.",
            "oneOf": [
                { "type": "object", "properties": { "file": { "type": "string" } }, "required": ["file"], "additionalProperties": false },
                { "type": "object", "properties": { "env": { "type": "string" } }, "required": ["env"], "additionalProperties": false },
                { "type": "string" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        key: SecretSource,
    }

    #[test]
    fn a_literal_never_shows_in_debug() {
        let holder: Holder = toml::from_str("key = \"hunter2-hunter2\"").unwrap();
        let SecretSource::Literal(secret) = &holder.key else { panic!("a literal") };
        assert!(secret.equals(b"hunter2-hunter2") && !secret.equals(b"hunter2-hunter3"));
        assert!(!format!("{holder:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_has_exactly_one_source() {
        for wrong in ["key = {}", "key = { file = \"a\", env = \"B\" }", "key = { vault = \"a\" }", "key = 3"] {
            assert!(toml::from_str::<Holder>(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(toml::from_str::<Holder>("key = { env = \"A\" }").unwrap().key, SecretSource::Env(_)));
    }
}
