//! An opaque Bearer token (RFC 6750) that was issued to a user, as `POST /Token` of Multicam does: a text that means
//! nothing to us. The record with its digest says whose it is, and goes with its user.

use std::fmt;

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::Kind;
use crate::refusal::Reason;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, jose, usable};

const WORD: &str = "Bearer";

/// `[scheme.<name>.opaque]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// The scheme.
#[derive(Debug)]
pub struct Opaque;

/// A token as presented.
pub struct Credential<'a>(&'a [u8]);

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether this scheme would look a token up: it is of the characters of RFC 6750 §2.1, and not of the shape of a JWT.
pub(crate) fn presentable(token: &[u8]) -> bool {
    is_plain(token) && !jose::has_shape(token)
}

fn is_plain(token: &[u8]) -> bool {
    token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte))
}

impl Scheme for Opaque {
    type Settings = Settings;
    type Credential<'a> = Credential<'a>;

    fn new(_: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn places(&self) -> Places {
        // `?access_token=` (RFC 6750 §2.3) is not read: it would end up in logs.
        Places::authorization()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential<'a>>, Rejection> {
        let Some(token) = authorization::token(head, WORD)? else { return Ok(None) };
        // Two kinds of Bearer tokens are told apart by shape, so that `jwt` may stand beside this.
        if jose::has_shape(token) {
            return Ok(None);
        }
        if !is_plain(token) {
            return Err(Rejection::new(Reason::Malformed, "a character that no Bearer token has"));
        }
        Ok(Some(Credential(token)))
    }

    fn verify(&self, Credential(token): Credential<'_>, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let record = scene
            .directory
            .look_up(Kind::BearerToken, token)
            .ok_or(Rejection::new(Reason::Unknown, "nobody was given this token"))?;
        usable(&record, scene)?;
        Ok(Principal::of_record("opaque", record))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_taken_for_a_jwt_cannot_be_an_opaque_token() {
        for (token, expected) in [
            ("AQAAANCMnd8BFdERjHoAwE_Cl", true),
            ("a.b", true),
            ("a.b.c.d", true),
            ("a.b.c", false),
            ("a b", false),
            ("a,b", false),
            ("é", false),
        ] {
            assert_eq!(presentable(token.as_bytes()), expected, "{token}");
        }
    }
}
