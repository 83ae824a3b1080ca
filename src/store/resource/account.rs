//! Accounts: who owns credentials.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, Owner, Reference, Resource, SecretRule};
use crate::record::Terms;
use crate::secret::Secret;
use crate::store::refused::Fault;
use crate::units::Network;

/// Who owns credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The account that it belongs to.
    pub parent: Option<String>,
    /// What it may have.
    pub limits: Limits,
    /// How much it may ask for.
    pub quota: Quota,
    /// Where its callers may come from: networks or addresses; `0.0.0.0` is anywhere. Empty: not limited.
    pub addresses: Vec<String>,
    /// Where its callers may not come from, though it were listed above: networks or addresses.
    pub denied_addresses: Vec<String>,
}

/// What an account may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Cameras.
    pub hosted_cameras: Option<u64>,
}

/// How many requests an account may make in each window of the clock (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// In an hour.
    pub hour: Option<u64>,
    /// In a day.
    pub day: Option<u64>,
    /// In a month.
    pub month: Option<u64>,
}

impl Attributes for Account {
    const ABOUT: &'static str = "Who owns credentials";
    const FIELDS: &'static [&'static str] = &["parent", "limits", "quota", "addresses", "denied_addresses"];
    const OWNER: Owner = Owner::Nobody;
    // What upstreams see of its callers.
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "upstream_credential",
        sealed: true,
        found_as: None,
        check: upstream_credential,
        make: None,
    });

    fn faults(&self) -> Vec<Fault> {
        let allowed = list_faults("addresses", &self.addresses, str::parse);
        allowed
            .into_iter()
            .chain(list_faults("denied_addresses", &self.denied_addresses, Terms::denied_address))
            .collect()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let parent = |id| Reference { resource: Resource::Account, id, field: "parent", follows: false };
        self.parent.as_deref().map(parent).into_iter().collect()
    }
}

/// The longest credential that an account has for upstreams, in bytes.
const LONGEST: usize = 4096;

fn upstream_credential(secret: &Secret) -> Result<Option<Secret>, &'static str> {
    let text = secret.expose();
    if (1..=LONGEST).contains(&text.len()) && HeaderValue::from_bytes(text).is_ok() {
        return Ok(None);
    }
    Err("it stands in a header field: 1 to 4096 bytes without control characters")
}

fn list_faults(field: &str, list: &[String], read: impl Fn(&str) -> Result<Network, String>) -> Vec<Fault> {
    if list.len() > Terms::MOST_ADDRESSES {
        return vec![Fault::new(field, format!("there are at most {} addresses", Terms::MOST_ADDRESSES))];
    }
    let wrong = |(place, text): (usize, &String)| {
        read(text).err().map(|message| Fault::new(format!("{field}[{place}]"), message))
    };
    list.iter().enumerate().filter_map(wrong).collect()
}
