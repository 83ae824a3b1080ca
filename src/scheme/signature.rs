//! CameraTag's signatures of what is published and played: hex of HMAC-SHA1 over a JSON text that
//! names the app and an end, exactly as it was received. The text is believed only once its MAC holds; before that it
//! may choose a key, and no more. An app that asks for no signature is let in without one, where the route says which
//! app it is.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER_PERMISSIVE;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::UnixTime;
use crate::edge::head::Head;
use crate::edge::preface::{Field, Preface};
use crate::invalid::Invalid;
use crate::record::{App, Kind, Scopes, Signer};
use crate::refusal::Reason;
use crate::scheme::buffer::{Buffer, Full};
use crate::scheme::json::Json;
use crate::scheme::{Kit, Places, Principal, Rejection, Scene, Scheme, query, usable};
use crate::secret::Secret;
use crate::units::Span;

/// The longest signed text, in bytes.
const LONGEST_MESSAGE: usize = 4096;
/// More digits than an end of 64 bits has.
const LONGEST_EXPIRATION: usize = 20;
/// Longer than any signature, so that one of a wrong length is told from one that does not fit.
const LONGEST_SIGNATURE: usize = 64;
/// Objects within the signed text are no business of ours, and do not lie deep.
const DEEPEST: usize = 16;

/// `[scheme.<name>.signature]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is signed: which switch of the app is asked for, and which scope the caller gets.
    right: Right,
    /// Names of the parameter that holds the signed text, upper and lower case alike.
    #[serde(default = "message")]
    message: Vec<String>,
    /// The name of the parameter that holds the signature.
    #[serde(default = "signature")]
    signature: String,
    /// The name of the parameter that holds the end, where an app takes signatures over that alone.
    #[serde(default = "expiration")]
    expiration: String,
    /// How far ahead the end may lie. Default: any distance.
    max_lifetime: Option<Span>,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Right {
    /// What is published.
    Publish,
    /// What is played.
    Playback,
}

fn message() -> Vec<String> {
    ["signature_json", "signatureJson", "signatureJSON"].map(String::from).into()
}

fn signature() -> String {
    "signature".into()
}

fn expiration() -> String {
    "signature_expiration".into()
}

/// The scheme. Names are in lower case.
#[derive(Debug)]
pub struct Signature {
    right: Right,
    scopes: Scopes,
    /// Those of the signed text; behind them that of the signature, and that of the end.
    names: Vec<Box<str>>,
    /// How many of them are those of the signed text.
    of_message: usize,
    /// In seconds.
    max_lifetime: Option<u64>,
    /// What signs in the place of an app that is not known.
    nobody: Signer,
}

/// What was presented, or why it cannot be read. An app that asks for nothing does not mind which.
#[derive(Debug)]
pub struct Credential(Result<Signed, Rejection>);

/// A signature with what it is over.
struct Signed {
    /// `None`: over the expiration alone.
    message: Option<Buffer<LONGEST_MESSAGE>>,
    expiration: Option<Buffer<LONGEST_EXPIRATION>>,
    tag: [u8; 20],
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(***)")
    }
}

const MANY: Rejection = Rejection { reason: Reason::Ambiguous, detail: "different values for one part of a signature" };
const STRANGER: Rejection = Rejection { reason: Reason::Unknown, detail: "signed for an app that is not on file" };
const WRONG: Rejection = Rejection { reason: Reason::Mismatch, detail: "the app has not signed this" };
const NO_TEXT: Rejection = malformed("a signature without the text that it signs");
const NO_END: Rejection = malformed("the signed expiration is not a time in whole seconds");

const fn malformed(detail: &'static str) -> Rejection {
    Rejection { reason: Reason::Malformed, detail }
}

impl Scheme for Signature {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        let Settings { right, message, signature, expiration, max_lifetime } = settings;
        let mut names: Vec<Box<str>> = Vec::new();
        for name in message.iter().map(|name| name.to_ascii_lowercase().into_boxed_str()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let [signature, expiration] = [signature, expiration].map(|name| name.to_ascii_lowercase().into_boxed_str());
        if names.is_empty() || names.iter().chain([&signature, &expiration]).any(|name| name.is_empty()) {
            return Err(Invalid::new("a parameter has a name").hint("leave it out for the vendor's own"));
        }
        if signature == expiration || names.contains(&signature) || names.contains(&expiration) {
            return Err(Invalid::new("`message`, `signature` and `expiration` are parameters of their own")
                .hint("give each another name"));
        }
        let max_lifetime = max_lifetime.map(|span| span.0.as_secs());
        if max_lifetime == Some(0) {
            return Err(Invalid::new("`max_lifetime` is below one second").hint("leave it out for any lifetime"));
        }
        let of_message = names.len();
        names.extend([signature, expiration]);
        Ok(Self {
            right,
            scopes: [right.scope()].into_iter().collect(),
            names,
            of_message,
            max_lifetime,
            nobody: Signer::new(&Secret::new(Vec::new()), None),
        })
    }

    fn places(&self) -> Places {
        Places { query: self.names.clone(), form: self.names.clone(), ..Places::default() }
    }

    fn read<'a>(&self, head: &Head<'a>, preface: &'a Preface) -> Result<Option<Credential>, Rejection> {
        match self.find(head, preface) {
            Ok(Parts { message: None, tag: None, expiration: None }) => Ok(None),
            found => Ok(Some(Credential(found.and_then(signed)))),
        }
    }

    fn verify(&self, Credential(presented): Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let proven = presented.and_then(|signed| self.prove(&signed, scene));
        // Where nothing need be signed, what was signed wrongly is as good as nothing.
        proven.or_else(|rejection| self.unpresented(scene).ok().flatten().ok_or(rejection))
    }

    fn unpresented(&self, scene: &Scene<'_>) -> Result<Option<Principal>, Rejection> {
        let record = scene.app.and_then(|app| scene.directory.look_up(Kind::App, app.as_bytes()));
        let Some(record) =
            record.filter(|record| record.attributes.app().is_some_and(|app| !self.right.is_signed(app)))
        else {
            return Ok(None);
        };
        usable(&record, scene)?;
        Ok(Some(Principal::waived(record).limited_to(&self.scopes)))
    }
}

impl Signature {
    /// What was presented, in the query and in the form.
    fn find(&self, head: &Head<'_>, preface: &Preface) -> Result<Parts, Rejection> {
        let Parts { mut message, mut tag, mut expiration } = Parts::default();
        // All in one go: they are looked for under every name that some reader would take for one of theirs.
        query::each(head.query(), &self.names, |place, text| match place.checked_sub(self.of_message) {
            None => query::note_as_form(&mut message, text),
            Some(0) => query::note_as_form(&mut tag, text),
            Some(_) => query::note_as_form(&mut expiration, text),
        })?;
        if preface.has_fields() {
            let (of_message, others) = self.names.split_at(self.of_message);
            let (of_tag, of_expiration) = others.split_at(1);
            find_in_form(&mut message, of_message, preface)?;
            find_in_form(&mut tag, of_tag, preface)?;
            find_in_form(&mut expiration, of_expiration, preface)?;
        }
        Ok(Parts { message: given(message), tag: given(tag), expiration: given(expiration) })
    }

    /// Whose signature it is.
    fn prove(&self, signed: &Signed, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        // Not believed yet: where nothing else says the app, it chooses the key, and the key says whether it was true.
        let peeked = signed.message.as_ref().filter(|_| scene.app.is_none()).and_then(|text| object(text.bytes()));
        let named = || peeked.as_ref()?.member("api_key")?.text();
        let record = scene.app.or_else(named).and_then(|who| scene.directory.look_up(Kind::App, who.as_bytes()));
        let Some((record, app)) = record.as_ref().and_then(|record| Some((record, record.attributes.app()?))) else {
            let over = signed.message.as_ref().map_or(&[][..], Buffer::bytes);
            // The work of a wrong signature, for whoever measures.
            std::hint::black_box(self.nobody.signed(over, &signed.tag));
            return Err(STRANGER);
        };
        let (end, by) = match &signed.message {
            Some(message) => by_text(app, (message.bytes(), peeked), &signed.tag, scene.now)?,
            None => by_expiration(app, signed, scene.now)?,
        };
        if scene.now.0 >= end {
            return Err(Rejection::new(Reason::Expired, "the signed expiration is over"));
        }
        if self.max_lifetime.is_some_and(|most| end - scene.now.0 > most) {
            return Err(Rejection::new(
                Reason::LivesTooLong,
                "the signed expiration lies further ahead than the limit",
            ));
        }
        usable(record, scene)?;
        let principal = Principal::of_record("signature", Arc::clone(record)).limited_to(&self.scopes);
        let principal = principal.until(UnixTime(end));
        Ok(match by {
            Some(place) => principal.by(place),
            None => principal,
        })
    }
}

impl Right {
    fn scope(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Playback => "playback",
        }
    }

    /// Whether the app asks for a signature.
    fn is_signed(self, app: &App) -> bool {
        match self {
            Self::Publish => app.publish,
            Self::Playback => app.playback,
        }
    }
}

/// The parts of a signature, each of them where something stands under a name of it.
#[derive(Default)]
struct Parts {
    message: Option<Buffer<LONGEST_MESSAGE>>,
    tag: Option<Buffer<LONGEST_SIGNATURE>>,
    expiration: Option<Buffer<LONGEST_EXPIRATION>>,
}

/// Nothing, where nothing stands under the name.
fn given<const N: usize>(part: Option<Buffer<N>>) -> Option<Buffer<N>> {
    part.filter(|part| !part.bytes().is_empty())
}

/// Adds what stands in the form under one of these names.
fn find_in_form<const N: usize>(
    found: &mut Option<Buffer<N>>,
    names: &[Box<str>],
    preface: &Preface,
) -> Result<(), Rejection> {
    let is_named = |field: &Field| names.iter().any(|name| name.eq_ignore_ascii_case(&field.name));
    let values = || names.iter().flat_map(|name| preface.values(name));
    if values().next().is_some() && !preface.fields().any(is_named) {
        return Err(MANY);
    }
    for value in values() {
        let value = Buffer::copy(value).map_err(|Full| malformed("a part of the signature is too long"))?;
        match &found {
            Some(first) if first.bytes() != value.bytes() => return Err(MANY),
            Some(_) => {}
            None => *found = Some(value),
        }
    }
    Ok(())
}

fn signed(Parts { message, tag, expiration }: Parts) -> Result<Signed, Rejection> {
    let tag = tag.ok_or(malformed("something to sign without a signature"))?;
    let (mut bytes, mac) = ([0; 20], tag.bytes());
    let whole = mac.len() == 2 * bytes.len() && HEXLOWER_PERMISSIVE.decode_mut(mac, &mut bytes).is_ok();
    if !whole {
        return Err(malformed("a signature is 40 hex digits"));
    }
    if message.is_none() && expiration.is_none() {
        return Err(NO_TEXT);
    }
    Ok(Signed { message, expiration, tag: bytes })
}

/// What a text says, be that true or not.
fn object(message: &[u8]) -> Option<Json<'_>> {
    Json::object(str::from_utf8(message).ok()?, DEEPEST)
}

/// The end that a signed text says, in seconds since 1970, and the place of the secret that signed it. What was read of it
/// before need not be read again.
fn by_text(
    app: &App,
    (message, peeked): (&[u8], Option<Json<'_>>),
    tag: &[u8; 20],
    now: UnixTime,
) -> Result<(u64, Option<u8>), Rejection> {
    let by = is_signed(&app.signers, message, tag, now)?;
    let json = peeked.or_else(|| object(message)).ok_or(malformed("the signed text is not one plain JSON object"))?;
    match json.member("api_key").map(Json::text) {
        Some(Some(key)) if *key == *app.public_key => {}
        Some(Some(_)) => return Err(Rejection::new(Reason::Mismatch, "the signed text names another app")),
        Some(None) | None => return Err(malformed("the signed text names no app")),
    }
    match json.member("expiration") {
        Some(Json::Integer(end)) => Ok((*end, Some(by))),
        Some(Json::Text(text)) => Ok((seconds(text.as_bytes())?, Some(by))),
        Some(Json::Object(_) | Json::List(_) | Json::Other) | None => Err(NO_END),
    }
}

/// The end where it alone is signed: with the secret, or with the public key as pages of that time do it.
fn by_expiration(app: &App, signed: &Signed, now: UnixTime) -> Result<(u64, Option<u8>), Rejection> {
    let expiration = signed.expiration.as_ref().filter(|_| app.expiration_only).ok_or(NO_TEXT)?.bytes();
    let public = Signer::new(&Secret::new(app.public_key.as_bytes().to_vec()), None);
    let by_public = is_signed(&[public], expiration, &signed.tag, now);
    let by = is_signed(&app.signers, expiration, &signed.tag, now).map(Some).or(by_public.map(|_| None))?;
    Ok((seconds(expiration)?, by))
}

/// The place of the one among these that has signed it; all are asked, whichever it was.
fn is_signed(signers: &[Signer], message: &[u8], tag: &[u8; 20], now: UnixTime) -> Result<u8, Rejection> {
    let (mut good, mut over) = (None, false);
    for (place, signer) in (0_u8..=u8::MAX).zip(signers) {
        let own = bool::from(signer.signed(message, tag));
        if own && signer.is_good(now) {
            good = Some(place);
        }
        over |= own && !signer.is_good(now);
    }
    match (good, over) {
        (Some(place), _) => Ok(place),
        (None, true) => Err(Rejection::new(Reason::Expired, "signed with a secret that has been replaced")),
        (None, false) => Err(WRONG),
    }
}

/// A time in seconds, as digits and nothing else.
fn seconds(text: &[u8]) -> Result<u64, Rejection> {
    let digits = text.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(text).ok()).flatten();
    digits.and_then(|digits| digits.parse().ok()).ok_or(NO_END)
}

#[cfg(test)]
mod tests;
