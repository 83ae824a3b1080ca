//! VXG's camera access token: `Acc` and base64 over JSON that carries an inner share token, or that inner token alone
//! in `?token=`. What the JSON claims is unsigned and never believed: the record of the inner token decides, and the
//! claims must only not say otherwise. Group tokens (`SI`) are not read here.

use std::borrow::Cow;
use std::fmt::{self, Write};

use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Attributes, Kind, Record};
use crate::refusal::Reason;
use crate::scheme::buffer::Buffer;
use crate::scheme::share_token::{self, ShareToken, VerificationKey};
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, authorization, json, query, usable};
use crate::secret::{Secret, SecretSource};

const WORD: &str = "Acc";
const PARAMETER: &str = "token";
/// The longest JSON that anyone looks into; real ones have about 300 bytes.
const LONGEST_JSON: usize = 2048;
/// More nesting than any real token has (none).
const DEEPEST_JSON: usize = 16;

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

/// A camera access token as presented.
#[derive(Debug)]
pub struct Credential {
    token: ShareToken,
    claims: Claims,
}

/// What the JSON around the inner token says of it.
#[derive(Debug, Default)]
struct Claims {
    camera: Option<Buffer<128>>,
    /// The words, with a blank between them.
    access: Option<Buffer<128>>,
}

impl Scheme for Acc {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, kit: &Kit<'_>) -> Result<Self, Invalid> {
        let verification_key = match &settings.verification_key {
            None => None,
            Some(source) => Some((kit.resolve)(source)?),
        };
        if verification_key.as_ref().is_some_and(|key| key.expose().is_empty()) {
            return Err(Invalid::new("`verification_key` is empty").hint("leave it out where the key is not known"));
        }
        Ok(Self { verification_key: verification_key.as_ref().map(VerificationKey::new), query: settings.query })
    }

    fn places(&self) -> Places {
        let query = if self.query { vec![PARAMETER.into()] } else { Vec::new() };
        Places { query, ..Places::authorization() }
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let outer = match authorization::token(head, WORD)? {
            None => None,
            Some(text) => Some(open(text)?),
        };
        let inner = if self.query { query::value(head.query(), PARAMETER)? } else { None };
        match (outer, inner) {
            (None, None) => Ok(None),
            (Some(outer), None) => Ok(Some(outer)),
            (None, Some(inner)) => {
                let token = ShareToken::parse(inner).ok_or(malformed("the query holds no share token"))?;
                Ok(Some(Credential { token, claims: Claims::default() }))
            }
            (Some(outer), Some(inner)) if outer.token.expose() == inner.bytes() => Ok(Some(outer)),
            (Some(_), Some(_)) => Err(Rejection::new(Reason::Ambiguous, "header and query hold different tokens")),
        }
    }

    fn verify(&self, credential: Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let Credential { token, claims } = credential;
        if let Some(key) = &self.verification_key {
            key.check(&token)?;
        }
        let record = scene
            .directory
            .look_up(Kind::CameraToken, token.expose())
            .ok_or(Rejection::new(Reason::Unknown, "nobody was given this share token"))?;
        token.current(scene.now)?;
        usable(&record, scene)?;
        claims.agree(&record)?;
        Ok(Principal::of_record("acc", record))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(WORD))
    }
}

impl Claims {
    /// Refuses claims that say something else than the record.
    fn agree(&self, record: &Record) -> Result<(), Rejection> {
        let Attributes::Camera(camera) = &record.attributes else {
            return Err(Rejection::new(Reason::Unknown, "the record of this share token names no camera"));
        };
        if self.camera.as_ref().is_some_and(|claimed| claimed.bytes() != camera.as_bytes()) {
            return Err(Rejection::new(Reason::Contradicted, "`camid` is not the camera on record"));
        }
        let (Some(claimed), Some(granted)) = (&self.access, &record.scopes) else { return Ok(()) };
        let mut words = claimed.bytes().split(|&byte| byte == b' ');
        if words.all(|word| granted.0.iter().any(|scope| scope.as_bytes() == word)) {
            return Ok(());
        }
        Err(Rejection::new(Reason::Contradicted, "`access` is not the one on record"))
    }
}

/// The text that a camera token's record is looked up by: the inner share token of `text`, which is either that token
/// itself or the base64 around it, as VXG hands it out.
pub fn inner_token(text: &[u8]) -> Result<Secret, Invalid> {
    let wrong = || {
        Invalid::new("this is not an access token")
            .hint("write the share token (`share.…`) or the base64 text that VXG hands out")
    };
    let inner = if text.starts_with(b"share.") {
        Buffer::copy(text).map_err(|_| wrong())?
    } else {
        let json = Buffer::<LONGEST_JSON>::decode(&STANDARD, text).ok_or_else(wrong)?;
        let outer = Outer::parse(json.bytes()).ok_or_else(wrong)?;
        Buffer::copy(outer.token.as_bytes()).map_err(|_| wrong())?
    };
    let token = ShareToken::parse(inner).ok_or_else(wrong)?;
    Ok(Secret::new(token.expose().to_vec()))
}

const fn malformed(detail: &'static str) -> Rejection {
    Rejection { reason: Reason::Malformed, detail }
}

/// Opens base64 over JSON.
fn open(text: &[u8]) -> Result<Credential, Rejection> {
    let json = Buffer::<LONGEST_JSON>::decode(&STANDARD, text).ok_or(malformed("not base64, or too much of it"))?;
    let outer = Outer::parse(json.bytes()).ok_or(malformed("not the JSON of an access token"))?;
    let inner = Buffer::<{ share_token::LONGEST }>::copy(outer.token.as_bytes()).ok();
    let token = inner.and_then(ShareToken::parse).ok_or(malformed("`token` is not a share token"))?;
    // VXG's own clients tell the two by this: without `camid` it is a group's token.
    let camera = outer.camid.ok_or(malformed("no `camid`: a group's token, which is not for `Acc`"))?;
    Ok(Credential { token, claims: Claims { camera: Some(camera.0), access: outer.access.map(|access| access.0) } })
}

/// The JSON of an access token. Other keys (`api`, `cam`, `cmngrid`, …) are skipped: nothing is routed by a token.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    camid: Option<Camera>,
    access: Option<Access>,
}

impl<'a> Outer<'a> {
    fn parse(json: &'a [u8]) -> Option<Self> {
        // Bytes of keys that are skipped are not checked by serde_json.
        let text = str::from_utf8(json).ok()?;
        if !json::shallow(text, DEEPEST_JSON) {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

/// A number or a string.
struct Camera(Buffer<128>);

/// A word or a list of words.
struct Access(Buffer<128>);

impl<'de> Deserialize<'de> for Camera {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Camera;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a string")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Camera, E> {
                let mut text = Buffer::new();
                write!(text, "{number}").map_err(E::custom)?;
                Ok(Camera(text))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Camera, E> {
                Buffer::copy(text.as_bytes()).map(Camera).map_err(|_| E::custom("too long"))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Access;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a list of words")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Access, E> {
                Buffer::copy(text.as_bytes()).map(Access).map_err(|_| E::custom("too long"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Access, A::Error> {
                let mut words = Buffer::new();
                while let Some(word) = list.next_element::<Cow<'de, str>>()? {
                    let blank: &[u8] = if words.bytes().is_empty() { b"" } else { b" " };
                    let room = words.extend(blank).and_then(|()| words.extend(word.as_bytes()));
                    room.map_err(|_| de::Error::custom("too long"))?;
                }
                Ok(Access(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::{kit, named};

    const INNER: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM";
    /// The token of the seed document.
    const OUTER: &str = "eyJjYW1pZCI6IDI0ODUyNywgImNtbmdyaWQiOiAyNDg5NjQsICJhY2Nlc3MiOiAiYWxsIiwgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURJek5UWXpPWDAuNjFhOTY0YzN0YmMxZmFiMDAueEJXWGRrc0FVUnY2d3M1TU9aWC1BUUloLUtNIiwgImFwaSI6ICJ3ZWIuc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIiwgImNhbSI6ICJjYW0uc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIn0=";

    #[test]
    fn a_record_is_found_by_the_inner_token_however_it_is_written() {
        for text in [INNER, OUTER] {
            assert!(inner_token(text.as_bytes()).unwrap().equals(INNER.as_bytes()), "{text}");
        }
        for wrong in ["", "share.x", "v3.X9tKpuXq0btatj", &OUTER[1..], &format!("{INNER} ")] {
            let invalid = inner_token(wrong.as_bytes()).unwrap_err();
            assert!(invalid.hint.is_some() && (wrong.is_empty() || !invalid.message.contains(wrong)), "{wrong}");
        }
    }

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
