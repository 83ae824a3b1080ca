//! VXG's camera access token: `Acc` and the token as VXG hands it out, or the inner share token alone in `?token=`.
//! Group tokens (`SI`) are not read here.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Attributes, Kind, Record};
use crate::refusal::Reason;
use crate::scheme::access_token::{AccessToken, PARAMETER};
use crate::scheme::share_token::VerificationKey;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, query};
use crate::secret::SecretSource;

const WORD: &str = "Acc";

/// `[scheme.<name>.acc]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The key that the share tokens are made with (HMAC-SHA1), where it is known: a token with a wrong MAC is then
    /// refused before it is looked up.
    verification_key: Option<SecretSource>,
    /// Whether players may send the inner share token as `?token=`.
    #[serde(default = "yes")]
    query: bool,
}

fn yes() -> bool {
    true
}

/// The scheme.
#[derive(Debug)]
pub struct Acc {
    verification_key: Option<VerificationKey>,
    query: bool,
}

impl Scheme for Acc {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let verification_key = VerificationKey::resolve(settings.verification_key.as_ref(), kit)?;
        Ok(Self { verification_key, query: settings.query })
    }

    fn places(&self) -> Places {
        let query = if self.query { vec![PARAMETER.into()] } else { Vec::new() };
        Places { query, ..Places::authorization() }
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let outer = authorization::token(head, WORD)?.map(AccessToken::open).transpose()?;
        if outer.as_ref().is_some_and(|outer| outer.camera().is_none()) {
            return Err(Rejection::new(Reason::Malformed, "no `camid`: a group's token, which is not for `Acc`"));
        }
        let inner = if self.query { query::value(head.query(), PARAMETER)? } else { None };
        Ok(AccessToken::settle(outer, inner)?.map(Credential))
    }

    fn verify(&self, Credential(token): Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let (record, end) = token.believe(Kind::CameraToken, self.verification_key.as_ref(), scene)?;
        is_of(&record, token.camera())?;
        Ok(Principal::of_record("acc", record).until(end))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }
}

/// A camera access token as presented.
#[derive(Debug)]
pub struct Credential(AccessToken);

/// Refuses a token that claims another camera than the one on record.
fn is_of(record: &Record, claimed: Option<&[u8]>) -> Result<(), Rejection> {
    let Attributes::Camera(camera) = &record.attributes else {
        return Err(Rejection::new(Reason::Unknown, "the record of this share token names no camera"));
    };
    if claimed.is_some_and(|claimed| claimed != camera.as_bytes()) {
        return Err(Rejection::new(Reason::Contradicted, "`camid` is not the camera on record"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::{kit, named};

    #[test]
    fn the_query_is_a_place_only_where_it_is_read() {
        assert_eq!(named("acc", "camera", "").places().query, ["token".into()]);
        assert_eq!(named("acc", "camera", "query = false").places(), Places::authorization());
    }

    #[test]
    fn an_empty_verification_key_is_a_mistake() {
        let settings: Settings = toml::from_str("verification_key = \"\"").unwrap();
        assert!(Acc::new(settings, &kit("camera")).unwrap_err().message.contains("verification_key"));
    }
}
