//! The JSON of an access token, whatever JSON allows: escapes, nested values that are skipped, numbers and lists in any
//! form. No known member twice, since two readers of one token must never see two different tokens.

use std::borrow::Cow;
use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::{LONGEST_CLAIM, Parts, Span, Text};
use crate::scheme::buffer::{Buffer, Full};
use crate::scheme::json;

/// More nesting than any real token has (none).
const DEEPEST_JSON: usize = 16;

/// Reads `json` and lays its parts out in a text of their own.
pub(super) fn read(json: &[u8]) -> Option<(Text, Parts)> {
    Outer::parse(json)?.lay_out().ok()
}

/// The object. Other keys (`api`, `cam`, `cmngrid`, …) are skipped: nothing is routed by a token.
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
        // A list of the three in their order would do for serde as well.
        if !text.trim_start().starts_with('{') || !json::shallow(text, DEEPEST_JSON) {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    fn lay_out(&self) -> Result<(Text, Parts), Full> {
        let mut text = Text::new();
        let mut lay = |bytes: &[u8]| {
            let from = text.bytes().len();
            text.extend(bytes).map(|()| Span { from, to: from + bytes.len() })
        };
        let parts = Parts {
            token: lay(self.token.as_bytes())?,
            camera: self.camid.as_ref().map(|camera| lay(camera.0.bytes())).transpose()?,
            access: self.access.as_ref().map(|access| lay(access.0.bytes())).transpose()?,
        };
        Ok((text, parts))
    }
}

/// A number or a string.
struct Camera(Buffer<LONGEST_CLAIM>);

/// A word or a list of words.
struct Access(Buffer<LONGEST_CLAIM>);

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
