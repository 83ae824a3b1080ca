//! API identifiers with their secrets (SecureVideo, Voximplant). The id of the entry is the identifier; it may be found by
//! others as well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::Kind;
use crate::scheme::{account_key, basic};
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};
use crate::store::refused::Fault;

/// An API identifier (its id) with a secret (`Basic`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiClient {
    /// Other identifiers by which it is found, such as the name or the e-mail address of its account; no two clients share
    /// one.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl Attributes for ApiClient {
    const ABOUT: &'static str = "An API identifier (its id) with a secret (Basic)";
    const FIELDS: &'static [&'static str] = &["aliases"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "secret",
        sealed: false,
        found_as: None,
        check,
        make: Some(|| key_text::make(Prefix::API_SECRET)),
    });

    fn faults(&self) -> Vec<Fault> {
        account_key::aliases(&self.aliases)
            .map_err(|(place, message)| {
                let field = place.map_or_else(|| "aliases".to_owned(), |place| format!("aliases[{place}]"));
                Fault::new(field, message)
            })
            .err()
            .into_iter()
            .collect()
    }

    fn public_handles<'a>(&'a self, id: &'a str) -> Vec<(Kind, &'a str)> {
        [id].into_iter().chain(self.aliases.iter().map(String::as_str)).map(|text| (Kind::ApiClient, text)).collect()
    }
}

fn check(secret: &Secret) -> Result<Option<Secret>, &'static str> {
    // Ids are at most 128 bytes, whatever this one is.
    basic::presentable(&[b'x'; 128], secret.expose())
        .map(|()| None)
        .map_err(|_| "no request can carry this secret: it has no control characters and at most 895 bytes")
}
