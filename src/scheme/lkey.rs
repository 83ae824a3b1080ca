//! VXG's license key: `LKey` and a text that means nothing to us. The record with its digest says whose it is.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use std::fmt;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::Kind;
use crate::refusal::Reason;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, usable};

const WORD: &str = "LKey";

/// `[scheme.<name>.lkey]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// The scheme.
#[derive(Debug)]
pub struct LicenseKey;

/// A license key as presented.
pub struct Credential<'a>(&'a [u8]);

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether a request can carry this key at all.
pub(crate) fn presentable(key: &[u8]) -> Result<(), Invalid> {
    if is_one_word(key) && key.len() <= authorization::LONGEST {
        return Ok(());
    }
    Err(Invalid::new("no request can carry this license key")
        .hint("it is at most 8192 visible ASCII characters, without blanks and commas"))
}

fn is_one_word(key: &[u8]) -> bool {
    key.iter().all(|byte| byte.is_ascii_graphic() && *byte != b',')
}

impl Scheme for LicenseKey {
    type Settings = Settings;
    type Credential<'a> = Credential<'a>;

    fn new(_: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn places(&self) -> Places {
        Places::authorization()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential<'a>>, Rejection> {
        let Some(key) = authorization::token(head, WORD)? else { return Ok(None) };
        // A blank or a comma inside would be the start of something else.
        if !is_one_word(key) {
            return Err(Rejection::new(Reason::Malformed, "a license key is one word"));
        }
        Ok(Some(Credential(key)))
    }

    fn verify(&self, Credential(key): Credential<'_>, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let record = scene
            .directory
            .look_up(Kind::LicenseKey, key)
            .ok_or(Rejection::new(Reason::Unknown, "nobody was given this license key"))?;
        usable(&record, scene)?;
        Ok(Principal::of_record("lkey", record))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }
}
