//! What a fuzzer holds the readers of credentials to. Each function takes any bytes and panics where a promise is broken:
//! what is believed is what a plain reader finds in the same bytes, and what such a reader finds in good order is believed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER;
use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::clock::UnixTime;
use crate::edge::preface::Preface;
use crate::record::{Account, App, Attributes, Directory, Holding, Hosts, Kind, Proof, Record, Signer, Verdict, Wall};
use crate::scheme::jose::{self, Compact};
use crate::scheme::json::{Json, Member};
use crate::scheme::jwt::Verified;
use crate::scheme::share_token::Form;
use crate::scheme::stage::{self, Register, Request};
use crate::scheme::{Examine, Fetching, Scene};
use crate::secret::Secret;

/// A directory that nobody is in, and that notes what it was asked for.
#[derive(Default)]
struct Witness(RefCell<Vec<Vec<u8>>>);

impl Directory for Witness {
    fn look_up(&self, _: Kind, text: &[u8]) -> Option<Arc<Record>> {
        self.0.borrow_mut().push(text.to_vec());
        None
    }

    fn look_up_secret(&self, _: &[u8]) -> Option<Arc<Record>> {
        None
    }

    fn proves_by(&self, text: &[u8], _: &[Proof], _: UnixTime) -> (Verdict, u8) {
        self.0.borrow_mut().push(text.to_vec());
        (Verdict::Wrong, 0)
    }

    fn proven(&self, _: &Record, _: &[u8]) {}

    fn is_current(&self, _: &Arc<Record>) -> bool {
        false
    }

    fn successor(&self, _: &Arc<Record>) -> Option<Arc<Record>> {
        None
    }

    fn changes(&self) -> u64 {
        0
    }

    fn account(&self, _: &str) -> Option<Arc<Account>> {
        None
    }

    fn camera(&self, _: &str, _: &Account, _: UnixTime) -> Holding {
        Holding::Unknown
    }

    fn camera_end(&self, _: &str) -> Option<UnixTime> {
        None
    }
}

/// The whole of base64, be it padded or not, with stray bits or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

static BASIC: LazyLock<Box<dyn Examine>> = LazyLock::new(|| stage::build("basic", "tls_only = false"));

/// What stands behind `Basic`: who is asked for, and with which secret, is what a lenient reader finds there.
pub(crate) fn basic(data: &[u8]) {
    let field = [b"Basic ", data].concat();
    if HeaderValue::from_bytes(&field).is_err() {
        return;
    }
    let request = Request::get("/").bytes("authorization", &field);
    let (witness, verified) = (Witness::default(), Verified::new(1));
    let scene = Scene {
        directory: &witness,
        verified: &verified,
        guard: None,
        fetching: Fetching::Asked,
        app: None,
        now: UnixTime(1),
    };
    let answer = BASIC.examine(&request.head(), &Preface::EMPTY, &scene);
    assert!(answer.is_err(), "nobody is on file");
    let text: Vec<u8> = data.iter().copied().filter(|byte| !b" \t".contains(byte)).collect();
    let parted = |bytes: Vec<u8>| {
        let colon = bytes.iter().position(|byte| *byte == b':')?;
        Some(vec![bytes[..colon].to_vec(), bytes[colon + 1..].to_vec()])
    };
    let asked = witness.0.into_inner();
    if !asked.is_empty() {
        assert_eq!(Some(asked), LENIENT.decode(&text).ok().and_then(parted));
    } else if let Ok(bytes) = STANDARD.decode(&text) {
        let sound = bytes.len() <= 1024 && !bytes.iter().any(u8::is_ascii_control) && !bytes.starts_with(b":");
        assert!(!sound || parted(bytes).is_none(), "a sound credential is not read");
    }
}

/// VXG's inner token, `share.<payload>.<issued>t<lifetime>.<mac>`.
pub(crate) fn share_token(data: &[u8]) {
    let end = plain_share_token(data);
    let form = Form::of(data);
    assert_eq!(form.is_some(), end.is_some());
    if let (Some(form), Some(end)) = (form, end) {
        assert!(form.current(UnixTime(end)).is_err());
        assert!(end == 0 || form.current(UnixTime(end - 1)).is_ok());
    }
}

/// When such a token ends, read part by part.
pub(super) fn plain_share_token(data: &[u8]) -> Option<u64> {
    let text = str::from_utf8(data).ok().filter(|text| text.len() <= 256)?;
    let [word, payload, time, mac] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| digits)
    };
    let (issued, lifetime) = time.split_once('t')?;
    let sound = word == "share" && !payload.is_empty() && letters(payload);
    URL_SAFE_NO_PAD.decode(mac).ok().filter(|mac| sound && mac.len() == 20)?;
    number(issued)?.checked_add(number(lifetime)?)
}

/// The members of an object as they stand there, those that are there twice included.
pub(super) struct Members(pub(super) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl Members {
    /// Those of a text that is an object; nothing else is asked of it.
    pub(super) fn of(data: &[u8]) -> Option<Self> {
        // What is skipped is not looked at for its text.
        serde_json::from_str(str::from_utf8(data).ok()?).ok()
    }

    /// The same of one that has no member twice, at any depth, of which there are at most so many.
    fn strict(data: &[u8], depth: usize) -> Option<Self> {
        let members = Self::of(data).filter(|members| depth > 0 && members.0.len() <= 64)?;
        let names: BTreeSet<&str> = members.0.iter().map(|(name, _)| &**name).collect();
        let within = |(_, value): &(String, Box<RawValue>)| is_strict(value, depth - 1);
        (names.len() == members.0.len() && members.0.iter().all(within)).then_some(members)
    }

    /// Their values.
    pub(super) fn into_values(self) -> Vec<Box<RawValue>> {
        self.0.into_iter().map(|(_, value)| value).collect()
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    fn integer(&self, name: &str) -> Option<u64> {
        self.get(name)?.get().parse().ok().filter(|_| !self.get(name).is_some_and(|raw| raw.get().starts_with('+')))
    }
}

fn is_strict(value: &RawValue, depth: usize) -> bool {
    match value.get().as_bytes() {
        [b'{', ..] => Members::strict(value.get().as_bytes(), depth).is_some(),
        [b'[', ..] => depth > 0 && values(value).iter().all(|value| is_strict(value, depth - 1)),
        [b'-' | b'0'..=b'9', ..] => value.get().parse::<f64>().is_ok_and(f64::is_finite),
        text @ [b'"', ..] => serde_json::from_slice::<String>(text).is_ok(),
        _ => true,
    }
}

fn values(list: &RawValue) -> Vec<Box<RawValue>> {
    serde_json::from_str(list.get()).expect("a list was read as one")
}

/// A text as strict JSON: the same as a lenient reader finds, and nothing in good order is refused.
pub(crate) fn json(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let theirs = Members::strict(data, 16);
    let own = Json::object(text, 16);
    assert_eq!(own.is_some(), theirs.is_some(), "{text}");
    if let (Some(Json::Object(own)), Some(theirs)) = (own, theirs) {
        assert!(have_members(&own, &theirs), "{text}");
    }
}

fn have_members(own: &[Member<'_>], theirs: &Members) -> bool {
    let same =
        |((name, value), (other, raw)): (&Member<'_>, &(String, Box<RawValue>))| name == other && is_same(value, raw);
    own.len() == theirs.0.len() && own.iter().zip(&theirs.0).all(same)
}

fn is_same(own: &Json<'_>, raw: &RawValue) -> bool {
    let text = raw.get();
    match own {
        Json::Integer(number) => *number.to_string() == *text,
        Json::Text(own) => serde_json::from_str::<String>(text).is_ok_and(|text| text == *own),
        Json::Object(members) => Members::of(text.as_bytes()).is_some_and(|theirs| have_members(members, &theirs)),
        Json::List(list) => {
            let theirs = values(raw);
            list.len() == theirs.len() && list.iter().zip(&theirs).all(|(own, raw)| is_same(own, raw))
        }
        Json::Other => !text.starts_with(['{', '[', '"']) && text.parse::<u64>().is_err(),
    }
}

/// The first line is the header of a token and the rest its payload; and all of it a token as it stands.
pub(crate) fn jwt(data: &[u8]) {
    let at = memchr::memchr(b'\n', data).unwrap_or(data.len());
    let (header, payload) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let token = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    assert!(jose::has_shape(token.as_bytes()));
    let compact = Compact::parse(token.as_bytes()).expect("a token is text");
    assert_eq!(compact.key_id().ok(), key_id(header));
    let claims = compact.claims().ok();
    let theirs = Members::strict(payload, 16).filter(are_claims);
    assert_eq!(claims.is_some(), theirs.is_some());
    if let (Some(claims), Some(theirs)) = (claims, theirs) {
        let issuer = theirs.text("iss").or_else(|| theirs.integer("iss").map(|number| number.to_string()));
        assert_eq!(Some(claims.issuer), issuer);
        assert_eq!((Some(claims.issued), Some(claims.expires)), (theirs.integer("iat"), theirs.integer("exp")));
        assert_eq!((claims.not_before, claims.has_audience), (theirs.integer("nbf"), theirs.get("aud").is_some()));
    }
    as_it_stands(data);
}

fn key_id(header: &[u8]) -> Option<String> {
    let header = Members::strict(header, 16)?;
    let never = ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"];
    let good = header.text("alg")? == "RS256" && never.iter().all(|name| header.get(name).is_none());
    header.text("kid").filter(|id| good && !id.is_empty())
}

fn are_claims(claims: &Members) -> bool {
    (claims.text("iss").is_some() || claims.integer("iss").is_some())
        && (claims.integer("iat").is_some() && claims.integer("exp").is_some())
        && (claims.get("nbf").is_none() || claims.integer("nbf").is_some())
}

/// A token has one spelling: what was decoded is encoded as it stood there.
fn as_it_stands(token: &[u8]) {
    assert_eq!(jose::has_shape(token), memchr::memchr_iter(b'.', token).count() == 2);
    let Some(compact) = Compact::parse(token).filter(|_| jose::has_shape(token)) else { return };
    let text = str::from_utf8(token).expect("a token that was parted is text");
    let [header, payload, _] = text.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    for (part, read) in [(header, compact.key_id().is_ok()), (payload, compact.claims().is_ok())] {
        let decoded = URL_SAFE_NO_PAD.decode(part);
        assert!(!read || decoded.is_ok_and(|bytes| URL_SAFE_NO_PAD.encode(bytes) == part), "{text}");
    }
}

static SIGNATURE: LazyLock<Box<dyn Examine>> = LazyLock::new(|| stage::build("signature", "right = \"publish\""));

/// When the requests of `signature` are sent.
const NOW: u64 = 1000;
/// Who sends them.
const APP: &str = "123-456-789";

/// A text that an app signs: it opens where it is strict JSON that names the app and an end to come, and never without
/// the app's signature.
pub(crate) fn signature(message: &[u8]) {
    let app = || App {
        public_key: APP.into(),
        signers: [Signer::new(&Secret::new(b"ct-secret-0001".to_vec()), None)].into(),
        hosts: Hosts::default(),
        publish: true,
        playback: true,
        expiration_only: false,
        wall: Wall::None,
        legacy_200: false,
        cross_origin: false,
    };
    let mut tag = app().signers[0].sign(message);
    let register = Register::new();
    register.account("studio", None);
    register.enrol(Kind::App, "app", "studio", APP, |record| record.attributes = Attributes::App(Box::new(app())));
    let opens = |tag: &[u8; 20]| {
        let text = percent_encode(message, NON_ALPHANUMERIC);
        let request = Request::get("/").form(&format!("signature_json={text}&signature={}", HEXLOWER.encode(tag)));
        matches!(stage::examine(&**SIGNATURE, &request, &register, NOW), Ok(Some(_)))
    };
    assert_eq!(opens(&tag), is_to_come(message), "{}", String::from_utf8_lossy(message));
    tag[message.len() % 20] ^= 1;
    assert!(!opens(&tag), "it opens with a wrong signature");
}

fn is_to_come(message: &[u8]) -> bool {
    let Some(json) = Members::strict(message, 16).filter(|_| message.len() <= 4096) else { return false };
    let digits = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let written = || json.text("expiration").filter(digits).and_then(|text| text.parse().ok());
    let end = json.integer("expiration").or_else(written);
    json.text("api_key").is_some_and(|key| key == APP) && end.is_some_and(|end| end > NOW)
}
