//! API identifiers with their secrets (SecureVideo). The id of the entry is the identifier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::Kind;
use crate::scheme::basic;
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};

/// An API identifier (its id) with a secret (`Basic`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiClient {}

impl Attributes for ApiClient {
    const ABOUT: &'static str = "An API identifier (its id) with a secret (Basic)";
    const FIELDS: &'static [&'static str] = &[];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "secret",
        sealed: false,
        found_as: None,
        check,
        make: || key_text::make(Prefix::API_SECRET),
    });

    fn public_handles<'a>(&'a self, id: &'a str) -> Vec<(Kind, &'a str)> {
        vec![(Kind::ApiClient, id)]
    }
}

fn check(secret: &Secret) -> Result<Option<Secret>, &'static str> {
    // Ids are at most 128 bytes, whatever this one is.
    basic::presentable(&[b'x'; 128], secret.expose())
        .map(|()| None)
        .map_err(|_| "no request can carry this secret: it has no control characters and at most 895 bytes")
}
