//! Apps that sign what is published and played (CameraTag).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::{self, Hosts, Kind, Wall};
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};
use crate::store::refused::Fault;

/// The most authorized hosts.
const MOST_HOSTS: usize = 1024;

/// An app with a secret that signs (HMAC-SHA1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The public key by which pages name the app.
    pub public_key: String,
    /// The `api_key` that its signatures name, where the apps of an account share one: an app is found by its public key,
    /// so that no two have the same. Absent: the public key.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Hosts whose pages may use it; a host stands for its subdomains too. Empty: any.
    #[serde(default)]
    pub authorized_hosts: Vec<String>,
    /// What must be signed.
    #[serde(default)]
    pub signatures: Signatures,
    /// Which assets a public listing may show.
    #[serde(default)]
    pub wall: Wall,
    /// Refusals are sent with status 200, as old clients of the API expect.
    #[serde(default)]
    pub legacy_200: bool,
    /// Browsers are told that pages of the authorized hosts may read answers (CORS), and show them in frames.
    #[serde(default)]
    pub cross_origin: bool,
}

/// What must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signatures {
    /// Publishing.
    pub publish: bool,
    /// Playing.
    pub playback: bool,
    /// The old generation of signatures, over the expiration alone, is taken too. Pages make it with the public key, so
    /// that anybody who sees one can sign.
    pub expiration_only: bool,
}

impl Attributes for App {
    const ABOUT: &'static str = "An app that signs what is published and played";
    const FIELDS: &'static [&'static str] =
        &["public_key", "api_key", "authorized_hosts", "signatures", "wall", "legacy_200", "cross_origin"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "secret",
        // The key of an HMAC is used in clear.
        sealed: true,
        found_as: None,
        check,
        make: Some(|| key_text::make(Prefix::APP_SECRET)),
    });

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(invalid) = record::App::check_public_key(&self.public_key) {
            faults.push(Fault::new("public_key", invalid.message));
        }
        if let Some(Err(invalid)) = self.api_key.as_deref().map(record::App::check_public_key) {
            faults.push(Fault::new("api_key", invalid.message));
        }
        if self.authorized_hosts.len() > MOST_HOSTS {
            faults.push(Fault::new("authorized_hosts", format!("these are at most {MOST_HOSTS} host names")));
        } else if let Err(invalid) = Hosts::new(&self.authorized_hosts) {
            faults.push(Fault::new("authorized_hosts", invalid.message));
        }
        faults
    }

    // In paths stands the API's own id of the app, in signatures its public key.
    fn public_handles<'a>(&'a self, id: &'a str) -> Vec<(Kind, &'a str)> {
        let mut handles = vec![(Kind::App, self.public_key.as_str())];
        if id != self.public_key {
            handles.push((Kind::App, id));
        }
        handles
    }
}

fn check(secret: &Secret) -> Result<Option<Secret>, &'static str> {
    record::App::check_secret(secret).map(|()| None).map_err(|_| "a secret that signs has 8 to 1024 bytes")
}
