//! An API identifier with its secret (SecureVideo), as RFC 7617 sends them: over TLS alone, unless the table says
//! otherwise. An unknown identifier costs the same work as a known one with a wrong secret, and the caller cannot tell
//! the two apart.

use http::HeaderValue;
use memchr::{memchr, memchr2};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::record::{Kind, Verdict};
use crate::refusal::Reason;
use crate::scan;
use crate::scheme::buffer::Buffer;
use crate::scheme::{Identifier, Kit, Places, Principal, Rejection, Scene, Scheme, authorization, usable};

const WORD: &str = "Basic";
/// The longest identifier, colon and secret, in bytes.
const LONGEST: usize = 1024;
/// The same in base64.
const LONGEST_TEXT: usize = LONGEST.div_ceil(3) * 4;

/// `[scheme.<name>.basic]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What clients show when they ask a person for the secret.
    #[serde(default = "realm")]
    realm: String,
    /// Whether it is believed only where the caller spoke TLS, to us or to a trusted proxy. One that came in clear is
    /// refused unseen.
    #[serde(default = "yes")]
    tls_only: bool,
    /// Whether requests that hold the secret of an API client in the query are refused, whatever else they present.
    #[serde(default = "yes")]
    leaks: bool,
}

fn yes() -> bool {
    true
}

fn realm() -> String {
    "SecureVideo".into()
}

/// The scheme.
#[derive(Debug)]
pub struct Basic {
    challenge: HeaderValue,
    tls_only: bool,
    leaks: bool,
}

/// An identifier and a secret as presented.
#[derive(Debug)]
pub struct Credential {
    text: Buffer<LONGEST>,
    /// Where the colon stands.
    colon: usize,
}

/// Whether a request can carry this identifier with this secret at all.
pub(crate) fn presentable(identifier: &[u8], secret: &[u8]) -> Result<(), Invalid> {
    if identifier.len() + 1 + secret.len() > LONGEST {
        return Err(Invalid::new("no request can carry a secret that is this long")
            .hint("the identifier, a colon and the secret are at most 1024 bytes"));
    }
    if secret.iter().any(u8::is_ascii_control) {
        return Err(Invalid::new("no request can carry this secret: it has a control character, such as a line break"));
    }
    Ok(())
}

impl Scheme for Basic {
    type Settings = Settings;
    type Credential<'a> = Credential;

    fn new(settings: Settings, _: &Kit<'_>) -> Result<Self, Invalid> {
        let realm = settings.realm;
        let plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
        if realm.is_empty() || !realm.bytes().all(plain) {
            return Err(Invalid::new("`realm` is a few words in ASCII, without quotes and backslashes"));
        }
        let challenge = HeaderValue::try_from(format!("{WORD} realm=\"{realm}\", charset=\"UTF-8\""))
            .expect("a plain realm makes a header value");
        Ok(Self { challenge, tls_only: settings.tls_only, leaks: settings.leaks })
    }

    fn places(&self) -> Places {
        Places::authorization()
    }

    fn read<'a>(&self, head: &Head<'a>, _: &'a Preface) -> Result<Option<Credential>, Rejection> {
        let Some(token) = authorization::token(head, WORD)? else { return Ok(None) };
        // Whoever reads along must not learn from the answer whether it was right.
        if self.tls_only && !head.secure() {
            return Err(Rejection::new(Reason::Insecure, "it came in clear, and is taken over TLS only"));
        }
        let text = decode(token).ok_or(malformed("not base64, or too much of it"))?;
        // RFC 7617 §2: the first colon parts them, a secret may hold more; neither holds control characters.
        let colon = memchr(b':', text.bytes()).ok_or(malformed("no colon"))?;
        if colon == 0 || has_control(text.bytes()) {
            return Err(malformed("no identifier, or a control character"));
        }
        Ok(Some(Credential { text, colon }))
    }

    fn verify(&self, credential: Credential, scene: &Scene<'_>) -> Result<Principal, Rejection> {
        let (identifier, secret) =
            (&credential.text.bytes()[..credential.colon], &credential.text.bytes()[credential.colon + 1..]);
        let record = scene.directory.look_up(Kind::ApiClient, identifier);
        // Nobody has no proofs, which costs the same work.
        let proofs = record.as_ref().map_or(&[][..], |record| record.proofs());
        let (proven, by) = scene.directory.proves_by(secret, proofs, scene.now);
        match record {
            Some(record) if proven == Verdict::Proven => {
                usable(&record, scene)?;
                scene.directory.proven(&record, secret);
                Ok(Principal::of_record("basic", record).by(by))
            }
            Some(_) if proven == Verdict::Over => {
                Err(Rejection::new(Reason::Expired, "the secret was rotated, and its overlap has ended"))
            }
            Some(_) => Err(Rejection::new(Reason::Mismatch, "the identifier is known, the secret is wrong")),
            None => Err(Rejection::new(Reason::Unknown, "nobody has this identifier")),
        }
    }

    fn identifier<'c>(&self, credential: &'c Credential) -> Option<Identifier<'c>> {
        Some(Identifier { kind: Kind::ApiClient, text: &credential.text.bytes()[..credential.colon] })
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Some(self.challenge.clone())
    }

    fn watches_for_leaks(&self) -> bool {
        self.leaks
    }
}

const fn malformed(detail: &'static str) -> Rejection {
    Rejection { reason: Reason::Malformed, detail }
}

/// Whether there is a control character (ASCII). Without a branch for each byte, several are looked at in one instruction.
fn has_control(text: &[u8]) -> bool {
    !scan::all(text, |byte| !byte.is_ascii_control())
}

/// Standard base64 with its padding and without stray bits. MIME encoders (RFC 2045) fold long lines, which arrives as
/// blanks inside: those are dropped; everything else that is not canonical is refused.
fn decode(token: &[u8]) -> Option<Buffer<LONGEST>> {
    if memchr2(b' ', b'\t', token).is_none() {
        return Buffer::decode_strictly(token);
    }
    let whole = token.iter().copied().filter(|&byte| !authorization::is_blank(byte));
    Buffer::decode_strictly(Buffer::<LONGEST_TEXT>::collect(whole).ok()?.bytes())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::record::Attributes;
    use crate::scheme::stage::{self, Register, Request, kit};

    fn build(realm: &str) -> Result<Basic, Invalid> {
        Basic::new(Settings { realm: realm.into(), tls_only: false, leaks: true }, &kit("api"))
    }

    #[test]
    fn the_challenge_names_the_realm() {
        let challenge = Scheme::challenge(&build("Secure Video").unwrap()).unwrap();
        assert_eq!(challenge, "Basic realm=\"Secure Video\", charset=\"UTF-8\"");
        for wrong in ["", "a\"b", "a\\b", "a\nb", "é"] {
            assert!(build(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn control_characters_are_found_however_many_there_are() {
        for (text, expected) in
            [("a:b", false), ("a:\u{80}", false), ("a:\n", true), ("\n:\n", true), ("a:\u{7f}\0\t", true)]
        {
            assert_eq!(has_control(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn wrong_ones_are_counted_for_the_identifier_and_leaks_are_looked_for_where_the_table_says_so() {
        let field = format!("Basic {}", STANDARD.encode("client:a:b"));
        let request = Request::get("/").header("authorization", &field);
        let scheme = build("api").unwrap();
        let credential = scheme.read(&request.head(), &Preface::EMPTY).unwrap().unwrap();
        let identifier = Scheme::identifier(&scheme, &credential);
        assert_eq!(identifier, Some(Identifier { kind: Kind::ApiClient, text: b"client" }));
        for leaks in [true, false] {
            let settings = Settings { realm: "api".into(), tls_only: true, leaks };
            assert_eq!(Scheme::watches_for_leaks(&Basic::new(settings, &kit("api")).unwrap()), leaks);
        }
    }

    #[test]
    fn while_a_secret_is_rotated_both_are_good_until_the_old_one_ends() {
        let register = Register::new();
        register.account("acme", None);
        register.enrol(Kind::ApiClient, "client", "acme", "client", |client| {
            client.attributes = Attributes::Proofs(stage::proofs([("old", Some(100)), ("new", None)]));
        });
        let scheme = build("api").unwrap();
        for (secret, now, expected) in [
            ("old", 99, Ok(())),
            ("new", 99, Ok(())),
            ("old", 100, Err(Reason::Expired)),
            ("new", 100, Ok(())),
            ("other", 99, Err(Reason::Mismatch)),
        ] {
            let field = format!("Basic {}", STANDARD.encode(format!("client:{secret}")));
            let request = Request::get("/").header("authorization", &field);
            let answer = stage::examine(&scheme, &request, &register, now);
            assert_eq!(answer.map(drop).map_err(|rejection| rejection.reason), expected, "{secret} at {now}");
        }
    }
}
