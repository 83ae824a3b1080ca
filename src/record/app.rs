//! Apps that sign what is published and played (CameraTag): what the corridor knows of one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq};

use super::Hosts;
use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::secret::Secret;

/// An app, as the corridor sees it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the switches of the vendor's app, each on its own")]
pub struct App {
    /// The `api_key` that its signatures name; public.
    pub public_key: Box<str>,
    /// What it signs with. Two while the secret is being rotated.
    pub signers: Box<[Signer]>,
    /// Whose pages may use it. Empty: any.
    pub hosts: Hosts,
    /// Whether publishing must be signed.
    pub publish: bool,
    /// Whether playing must be signed.
    pub playback: bool,
    /// Whether the old generation of signatures, over the expiration alone, is taken too.
    pub expiration_only: bool,
    /// Which assets a public listing may show.
    pub wall: Wall,
    /// Whether refusals are sent with status 200, as old clients of the API expect.
    pub legacy_200: bool,
    /// Whether browsers are told that pages of the authorised hosts may read answers (CORS), and show them in frames.
    pub cross_origin: bool,
}

impl App {
    /// Whether `text` can be the public key of an app: 1 to 128 visible ASCII characters.
    pub fn check_public_key(text: &str) -> Result<(), Invalid> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(());
        }
        Err(Invalid::new("a public key is 1 to 128 visible ASCII characters"))
    }

    /// Whether `secret` can be what an app signs with: 8 to 1024 bytes.
    pub fn check_secret(secret: &Secret) -> Result<(), Invalid> {
        if (8..=1024).contains(&secret.expose().len()) {
            return Ok(());
        }
        Err(Invalid::new("a secret that signs has 8 to 1024 bytes"))
    }
}

/// Which assets a public listing may show, by the state that they are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WallMode")]
pub enum Wall {
    /// None.
    #[default]
    #[serde(rename = "none")]
    None,
    /// All.
    #[serde(rename = "all")]
    All,
    /// Those that were approved or featured.
    #[serde(rename = "white_list")]
    WhiteList,
    /// All but those that were rejected.
    #[serde(rename = "black_list")]
    BlackList,
}

/// A secret that signs, ready to be used: its HMAC-SHA1 (RFC 2104) with the key taken in.
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha1>,
    /// Good before then.
    expires: Option<UnixTime>,
}

impl Signer {
    /// Signs with `secret` until `expires`.
    pub fn new(secret: &Secret, expires: Option<UnixTime>) -> Self {
        let keyed = Hmac::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
        Self { keyed, expires }
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 20] {
        self.keyed.clone().chain_update(message).finalize().into_bytes().into()
    }

    /// Whether `tag` is the signature of `message`: all 20 bytes, in constant time.
    pub fn signed(&self, message: &[u8], tag: &[u8; 20]) -> Choice {
        self.sign(message).ct_eq(tag)
    }

    /// Whether both sign with one secret.
    pub fn is_same(&self, other: &Self) -> bool {
        self.signed(b"", &other.sign(b"")).into()
    }

    /// Good before then.
    pub fn expires(&self) -> Option<UnixTime> {
        self.expires
    }

    /// Whether it is good at `now`.
    pub fn is_good(&self, now: UnixTime) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// Equal where they sign the same, until the same moment.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.expires == other.expires && self.is_same(other)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_the_vendor_computes() {
        // By `openssl dgst -sha1 -hmac ct-secret-0001`.
        let signer = Signer::new(&Secret::new(b"ct-secret-0001".to_vec()), Some(UnixTime(100)));
        let message = br#"{"api_key":"123-456-789","expiration":4102444800}"#;
        let tag: [u8; 20] =
            data_encoding::HEXLOWER.decode(b"a6278a4184545200a08454ae33b31533b5ccfadf").unwrap().try_into().unwrap();
        assert!(bool::from(signer.signed(message, &tag)));
        assert!(!bool::from(signer.signed(&message[1..], &tag)));
        let mut other = tag;
        other[19] ^= 1;
        assert!(!bool::from(signer.signed(message, &other)));
        assert!(signer.is_good(UnixTime(99)) && !signer.is_good(UnixTime(100)));
        assert_eq!(format!("{signer:?}"), "Signer(***)");
    }
}
