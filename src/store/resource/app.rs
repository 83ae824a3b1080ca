//! Apps that sign what is published and played (CameraTag).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::Kind;
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};
use crate::store::refused::Fault;

/// The most authorised hosts, or entries of a wall.
const MOST_HOSTS: usize = 1024;

/// An app with a secret that signs (HMAC-SHA1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The public key by which pages name the app.
    pub public_key: String,
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
}

/// What must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signatures {
    /// Publishing.
    pub publish: bool,
    /// Playing.
    pub playback: bool,
    /// The old generation of signatures, over the expiration alone, is taken too.
    pub expiration_only: bool,
}

/// Which assets a public listing may show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wall {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    AllBut(Vec<String>),
}

impl Attributes for App {
    const ABOUT: &'static str = "An app that signs what is published and played";
    const FIELDS: &'static [&'static str] = &["public_key", "authorized_hosts", "signatures", "wall", "legacy_200"];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "secret",
        // The key of an HMAC is used in clear.
        sealed: true,
        found_as: None,
        check,
        make: || key_text::make(Prefix::APP_SECRET),
    });

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !(1..=128).contains(&self.public_key.len()) || !self.public_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            faults.push(Fault::new("public_key", "a public key is 1 to 128 visible ASCII characters"));
        }
        let host = |host: &String| {
            (1..=253).contains(&host.len()) && !host.chars().any(|c| c.is_control() || c == '/' || c == ' ')
        };
        if self.authorized_hosts.len() > MOST_HOSTS || !self.authorized_hosts.iter().all(host) {
            faults.push(Fault::new("authorized_hosts", format!("these are at most {MOST_HOSTS} host names")));
        }
        if let Wall::Only(assets) | Wall::AllBut(assets) = &self.wall
            && (assets.len() > MOST_HOSTS || !assets.iter().all(|asset| (1..=128).contains(&asset.len())))
        {
            faults.push(Fault::new("wall", format!("a list has at most {MOST_HOSTS} assets of 1 to 128 bytes")));
        }
        faults
    }

    fn public_handles<'a>(&'a self, _: &'a str) -> Vec<(Kind, &'a str)> {
        vec![(Kind::App, &self.public_key)]
    }
}

fn check(secret: &Secret) -> Result<Option<Secret>, &'static str> {
    if (8..=1024).contains(&secret.expose().len()) {
        return Ok(None);
    }
    Err("a secret that signs has 8 to 1024 bytes")
}
