//! Users with a key (Multicam).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::Kind;
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};
use crate::store::refused::Fault;

/// The longest user name, in bytes.
const LONGEST_LOGIN: usize = 256;

/// A user with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name that the user logs in with.
    pub login: String,
    /// What the user may do, with the key or a token, on routes that ask for roles or scopes: names of roles. Empty: no role,
    /// and so only what needs none, on routes that ask for roles; routes that ask for scopes alone they may use all the same.
    #[serde(default)]
    pub roles: Vec<String>,
}

impl Attributes for User {
    const ABOUT: &'static str = "A user with a key";
    const FIELDS: &'static [&'static str] = &["login", "roles"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "key",
        sealed: false,
        found_as: Some(Kind::UserKey),
        check,
        make: Some(|| key_text::make(Prefix::USER_KEY)),
    });

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.login.is_empty() || self.login.len() > LONGEST_LOGIN || self.login.chars().any(char::is_control) {
            let message = format!("a user name is 1 to {LONGEST_LOGIN} bytes without control characters");
            faults.push(Fault::new("login", message));
        }
        faults.extend(super::word_faults("roles", &self.roles));
        faults
    }

    fn public_handles<'a>(&'a self, _: &'a str) -> Vec<(Kind, &'a str)> {
        vec![(Kind::User, &self.login)]
    }
}

fn check(key: &Secret) -> Result<Option<Secret>, &'static str> {
    let text = key.expose();
    if text.is_empty() || text.len() > 1024 || text.iter().any(u8::is_ascii_control) {
        return Err("a key is 1 to 1024 bytes without control characters");
    }
    Ok(None)
}
