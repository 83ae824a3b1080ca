//! VXG's access token, of a camera or of a group: base64 over JSON that carries an inner share token, or that inner
//! token alone. What the JSON claims is unsigned and never believed: the record of the inner token decides, and the
//! claims must only not say otherwise. Which of the two it is for, and where it may stand, is the business of `acc` and
//! `si`.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod outer;
mod plain;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::invalid::Invalid;
use crate::record::{Kind, Record};
use crate::refusal::Reason;
use crate::scheme::buffer::Buffer;
use crate::scheme::share_token::{Form, VerificationKey};
use crate::scheme::{Rejection, Scene, usable};
use crate::secret::Secret;

/// The parameter in which players send the inner share token.
pub(super) const PARAMETER: &str = "token";
/// The longest JSON that anyone looks into; real ones have about 300 bytes.
const LONGEST_JSON: usize = 2048;
/// The longest camera and the longest list of access words that a token may claim.
const LONGEST_CLAIM: usize = 128;

/// Room for an access token, or for a share token alone.
pub(super) type Text = Buffer<LONGEST_JSON>;

/// An access token of the right form.
pub(super) struct AccessToken {
    /// What the parts are parts of; as a rule the JSON as it was decoded.
    text: Text,
    parts: Parts,
    share: Form,
}

/// Where things stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    token: Span,
    camera: Option<Span>,
    /// The words, with a blank between them.
    access: Option<Span>,
}

/// A part of a text, from one byte to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: usize,
    to: usize,
}

impl Span {
    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.from..self.to]
    }

    fn len(self) -> usize {
        self.to - self.from
    }
}

impl AccessToken {
    /// Opens base64 over JSON.
    pub(super) fn open(text: &[u8]) -> Result<Self, Rejection> {
        let json = Text::decode_strictly(text).ok_or(malformed("not base64, or too much of it"))?;
        let (text, parts) = match plain::read(json.bytes()) {
            Some(parts) => (json, parts),
            None => outer::read(json.bytes()).ok_or(malformed("not the JSON of an access token"))?,
        };
        let share = Form::of(parts.token.of(text.bytes())).ok_or(malformed("`token` is not a share token"))?;
        Ok(Self { text, parts, share })
    }

    /// Takes an inner token that came alone.
    pub(super) fn bare(text: Text) -> Result<Self, Rejection> {
        let share = Form::of(text.bytes()).ok_or(malformed("the query holds no share token"))?;
        let token = Span { from: 0, to: text.bytes().len() };
        Ok(Self { text, parts: Parts { token, camera: None, access: None }, share })
    }

    /// One token from the header and the one in the query: both only where they are the same.
    pub(super) fn settle(outer: Option<Self>, inner: Option<Text>) -> Result<Option<Self>, Rejection> {
        match (outer, inner) {
            (outer, None) => Ok(outer),
            (None, Some(inner)) => Self::bare(inner).map(Some),
            (Some(outer), Some(inner)) if outer.inner() == inner.bytes() => Ok(Some(outer)),
            (Some(_), Some(_)) => Err(Rejection::new(Reason::Ambiguous, "header and query hold different tokens")),
        }
    }

    /// The camera that it claims to be for. VXG's own clients tell the two kinds by this: a group's token has none.
    pub(super) fn camera(&self) -> Option<&[u8]> {
        self.parts.camera.map(|camera| camera.of(self.text.bytes()))
    }

    /// Finds the record of the inner token, if its MAC holds (where the key is known), it has not outlived itself, and
    /// the record may be used and grants the access that is claimed. Says its own end too.
    pub(super) fn believe(
        &self,
        kind: Kind,
        key: Option<&VerificationKey>,
        scene: &Scene<'_>,
    ) -> Result<(Arc<Record>, UnixTime), Rejection> {
        let inner = self.inner();
        if let Some(key) = key {
            key.check(&self.share, inner)?;
        }
        let record = scene.directory.look_up(kind, inner);
        let record = record.ok_or(Rejection::new(Reason::Unknown, "nobody was given this share token"))?;
        self.share.current(scene.now)?;
        usable(&record, scene)?;
        self.claims_no_more_than(&record)?;
        Ok((record, self.share.expires()))
    }

    fn inner(&self) -> &[u8] {
        self.parts.token.of(self.text.bytes())
    }

    fn claims_no_more_than(&self, record: &Record) -> Result<(), Rejection> {
        let (Some(claimed), Some(granted)) = (self.parts.access, &record.scopes) else { return Ok(()) };
        let mut words = claimed.of(self.text.bytes()).split(|&byte| byte == b' ');
        if words.all(|word| granted.0.iter().any(|scope| scope.as_bytes() == word)) {
            return Ok(());
        }
        Err(Rejection::new(Reason::Contradicted, "`access` is not the one on record"))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text that a token's record is looked up by: the inner share token of `text`, which is either that token itself or
/// the base64 around it, as VXG hands it out.
pub fn inner_token(text: &[u8]) -> Result<Secret, Invalid> {
    let wrong = || {
        Invalid::new("this is not an access token")
            .hint("write the share token (`share.…`) or the base64 text that VXG hands out")
    };
    let token = if text.starts_with(b"share.") {
        Text::copy(text).map_err(|_| wrong()).and_then(|text| AccessToken::bare(text).map_err(|_| wrong()))?
    } else {
        AccessToken::open(text).map_err(|_| wrong())?
    };
    Ok(Secret::new(token.inner().to_vec()))
}

/// An access token around a share token, in JSON and base64 as VXG writes them: of a camera where one is named, else of a
/// group.
pub fn wrap(camera: Option<&str>, access: Option<&str>, inner: &str) -> Zeroizing<String> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // A number where it is written as one.
    let number = |camera: &str| camera.parse::<u64>().is_ok_and(|number| number.to_string() == camera);
    let camera = camera.map(|camera| if number(camera) { camera.to_owned() } else { quoted(camera) });
    let members = [("camid", camera), ("access", access.map(quoted)), ("token", Some(quoted(inner)))];
    let written = members.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\": {}", value?)));
    // Python's `json.dumps`: a blank behind each colon and comma.
    let json = Zeroizing::new(format!("{{{}}}", written.collect::<Vec<_>>().join(", ")));
    Zeroizing::new(STANDARD.encode(json.as_bytes()))
}

const fn malformed(detail: &'static str) -> Rejection {
    Rejection { reason: Reason::Malformed, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM";
    /// The token of VXG's own example.
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
    fn header_and_query_are_one_credential_only_where_they_are_the_same() {
        let outer = || Some(AccessToken::open(OUTER.as_bytes()).unwrap());
        let inner = |text: &str| Some(Text::copy(text.as_bytes()).unwrap());
        assert!(AccessToken::settle(None, None).unwrap().is_none());
        for (outer, inner) in [(outer(), None), (None, inner(INNER)), (outer(), inner(INNER))] {
            assert_eq!(AccessToken::settle(outer, inner).unwrap().unwrap().inner(), INNER.as_bytes());
        }
        let two = AccessToken::settle(outer(), inner(&INNER.replace("61a9", "61aa"))).unwrap_err();
        assert_eq!(two.reason, Reason::Ambiguous);
    }
}
