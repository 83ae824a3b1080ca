//! Public keys of service accounts. The id of the entry is the `kid` of the tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, Reference};
use crate::public_key;
use crate::record::Kind;
use crate::store::refused::Fault;

/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;

/// The public key of a service account; its id is the `kid` of the tokens (JWT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// An RSA public key of 2048 bits or more, PEM, for RS256.
    pub public_key: String,
    /// What it may do, on routes that ask for roles or scopes: names of roles, compared without regard to case, hyphens and
    /// underscores. Empty: no role, and so only what needs none, on routes that ask for roles; routes that ask for scopes
    /// alone it may use all the same.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The id of the key that took its place.
    #[serde(default)]
    pub successor: Option<String>,
}

impl Attributes for ServiceAccount {
    const ABOUT: &'static str = "The public key of a service account; its id is the kid of the tokens (JWT)";
    const FIELDS: &'static [&'static str] = &["public_key", "roles", "description", "successor"];

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(invalid) = public_key::read(self.public_key.as_bytes()) {
            faults.push(Fault::new("public_key", invalid.message));
        }
        if self.description.as_ref().is_some_and(|text| text.len() > LONGEST_DESCRIPTION) {
            faults.push(Fault::new("description", format!("a description has at most {LONGEST_DESCRIPTION} bytes")));
        }
        faults.extend(super::word_faults("roles", &self.roles));
        faults
    }

    fn references(&self) -> Vec<Reference<'_>> {
        Vec::new()
    }

    fn public_handles<'a>(&'a self, id: &'a str) -> Vec<(Kind, &'a str)> {
        vec![(Kind::ServiceAccountKey, id)]
    }

    fn fixed_fields() -> &'static [&'static str] {
        &["successor"]
    }
}
