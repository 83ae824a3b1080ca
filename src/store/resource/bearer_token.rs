//! Opaque tokens that were issued to users.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, Owner, Reference, Resource, SecretRule};
use crate::record::Kind;
use crate::scheme::opaque;
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};

/// An opaque token (`Bearer`) of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerToken {
    /// The id of the user to whom it was issued. It goes when the user goes.
    pub user: String,
}

impl Attributes for BearerToken {
    const ABOUT: &'static str = "An opaque token that was issued to a user (Bearer)";
    const FIELDS: &'static [&'static str] = &["user"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "token",
        sealed: false,
        found_as: Some(Kind::BearerToken),
        check,
        make: Some(|| key_text::make(Prefix::BEARER_TOKEN)),
    });
    const OWNER: Owner = Owner::Inherited;

    fn references(&self) -> Vec<Reference<'_>> {
        vec![Reference { resource: Resource::User, id: &self.user, field: "user", follows: true }]
    }

    fn fixed_fields() -> &'static [&'static str] {
        &["user"]
    }
}

fn check(token: &Secret) -> Result<Option<Secret>, &'static str> {
    if (16..=4096).contains(&token.expose().len()) && opaque::presentable(token.expose()) {
        return Ok(None);
    }
    Err("a bearer token is 16 to 4096 letters, digits and `-._~+/=`, and does not look like a JWT")
}
