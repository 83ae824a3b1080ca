//! VXG's access token for a group of cameras: `SI` and the token as VXG hands it out. It is told from a camera's by what
//! it does not name: a camera. Which cameras are in the group is known by its record alone.

use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Attributes, Kind};
use crate::refusal::Reason;
use crate::scheme::access_token::{AccessToken, PARAMETER};
use crate::scheme::share_token::VerificationKey;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, query};
use crate::secret::SecretSource;

const WORD: &str = "SI";

/// `[scheme.<name>.si]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The key that the share tokens are made with (HMAC-SHA1), where it is known: a token with a wrong MAC is then
    /// refused before it is looked up.
    verification_key: Option<SecretSource>,
    /// Whether the inner share token of a group may also come as `?token=`, which VXG's own clients send for cameras
    /// only.
    #[serde(default)]
    query: bool,
}

/// The scheme.
#[derive(Debug)]
pub struct Si {
    verification_key: Option<VerificationKey>,
    query: bool,
}

/// A group access token as presented.
#[derive(Debug)]
pub struct Credential(AccessToken);

impl Scheme for Si {
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
        if outer.as_ref().is_some_and(|outer| outer.camera().is_some()) {
            return Err(Rejection::new(Reason::Malformed, "with `camid`: a camera's token, which is not for `SI`"));
        }
        let inner = if self.query { query::value(head.query(), PARAMETER)? } else { None };
        Ok(AccessToken::settle(outer, inner)?.map(Credential))
    }

    fn verify(&self, Credential(token): Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let (record, end) = token.believe(Kind::GroupToken, self.verification_key.as_ref(), scene)?;
        if !matches!(record.attributes, Attributes::Group(_)) {
            return Err(Rejection::new(Reason::Unknown, "the record of this share token names no group"));
        }
        Ok(Principal::of_record("si", record).until(end))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::{kit, named};

    #[test]
    fn the_query_is_a_place_only_where_it_is_read() {
        assert_eq!(named("si", "group", "").places(), Places::authorization());
        assert_eq!(named("si", "group", "query = true").places().query, ["token".into()]);
    }

    #[test]
    fn an_empty_verification_key_is_a_mistake() {
        let settings: Settings = toml::from_str("verification_key = \"\"").unwrap();
        assert!(Si::new(settings, &kit("group")).unwrap_err().message.contains("verification_key"));
    }
}
