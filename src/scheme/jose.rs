//! A JSON Web Signature in its compact form, read as strictly as RFC 7515 and RFC 8725 allow: RS256 alone, no header
//! that points elsewhere, no member twice, base64url to the letter. Whether its claims are good is for `jwt.rs`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use memchr::memchr_iter;

use crate::scheme::json::Json;

/// More nesting than any real token has.
const DEEPEST_JSON: usize = 16;

/// Members of a header that would change what is signed, or where the key comes from. All of them are refused rather
/// than ignored, and none of them is ever followed.
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"];

/// The three parts of a token.
pub(super) struct Compact<'a> {
    whole: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What a token says of itself.
#[derive(Debug, PartialEq)]
pub(super) struct Claims {
    /// `iss`, a number as its digits.
    pub(super) issuer: String,
    /// All of them.
    pub(super) all: Json<'static>,
    /// `iat`
    pub(super) issued: u64,
    /// `exp`
    pub(super) expires: u64,
    /// `nbf`
    pub(super) not_before: Option<u64>,
    /// Whether it names an audience (`aud`).
    pub(super) has_audience: bool,
}

/// Why a token is not even looked up.
pub(super) type Fault = &'static str;

/// Whether a Bearer token has the shape of a JWT: two dots. Others belong to a scheme of opaque tokens.
pub(super) fn has_shape(token: &[u8]) -> bool {
    memchr_iter(b'.', token).take(3).count() == 2
}

impl<'a> Compact<'a> {
    /// Parts a token that has the shape.
    pub(super) fn parse(token: &'a [u8]) -> Option<Self> {
        let whole = str::from_utf8(token).ok()?;
        let (header, rest) = whole.split_once('.')?;
        let (payload, signature) = rest.split_once('.')?;
        Some(Self { whole, header, payload, signature })
    }

    /// The whole token.
    pub(super) fn expose(&self) -> &'a str {
        self.whole
    }

    /// Reads the header: the `kid` of an RS256 signature.
    pub(super) fn key_id(&self) -> Result<String, Fault> {
        let header = object(self.header).ok_or("the header is not one strict JSON object in base64url")?;
        if REFUSED.iter().any(|name| header.member(name).is_some()) {
            return Err("the header holds a member that is never honoured");
        }
        if header.member("alg").and_then(Json::text) != Some("RS256") {
            return Err("`alg` is not RS256");
        }
        match header.member("kid").and_then(Json::text) {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            Some(_) | None => Err("no `kid`"),
        }
    }

    /// Whether the signature is one of this key. jsonwebtoken reads its base64url as strictly as we do, and aws-lc-rs
    /// refuses keys below 2048 bits: the vectors hold both to it.
    pub(super) fn holds(&self, key: &DecodingKey) -> bool {
        let signed = &self.whole[..self.header.len() + 1 + self.payload.len()];
        crypto::verify(self.signature, signed.as_bytes(), key, Algorithm::RS256).unwrap_or(false)
    }

    /// Reads the payload. Only for a token whose signature holds.
    pub(super) fn claims(&self) -> Result<Claims, Fault> {
        let payload = object(self.payload).ok_or("the payload is not one strict JSON object in base64url")?;
        let time = |name: &str| payload.member(name).and_then(Json::integer);
        let not_before = match payload.member("nbf") {
            None => None,
            Some(value) => Some(value.integer().ok_or("`nbf` is not an integer")?),
        };
        Ok(Claims {
            issuer: payload.member("iss").and_then(issuer).ok_or("`iss` is neither a string nor an integer")?,
            issued: time("iat").ok_or("`iat` is not an integer")?,
            expires: time("exp").ok_or("`exp` is not an integer")?,
            not_before,
            has_audience: payload.member("aud").is_some(),
            all: payload,
        })
    }
}

impl Compact<'_> {
    /// Whether the token names an issuer of which this is true, before anything of it is believed. One that names nobody,
    /// or cannot be read, does not.
    pub(super) fn names_issuer(&self, is: impl FnOnce(&Json<'_>) -> bool) -> bool {
        object(self.payload).is_some_and(|payload| payload.member("iss").is_some_and(is))
    }
}

impl fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Voximplant's clients send a number or its digits.
pub(super) fn issuer(value: &Json<'_>) -> Option<String> {
    match value {
        Json::Integer(number) => Some(number.to_string()),
        Json::Text(text) => Some(text.to_string()),
        Json::Object(_) | Json::List(_) | Json::Other => None,
    }
}

fn object(part: &str) -> Option<Json<'static>> {
    let text = String::from_utf8(strict(part)?).ok()?;
    Json::object(&text, DEEPEST_JSON).map(Json::into_owned)
}

/// No padding, no white space, no stray bits at the end.
fn strict(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn base64url(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    fn key_id(header: &str) -> Result<String, Fault> {
        Compact::parse(format!("{}.e30.AA", base64url(header)).as_bytes()).unwrap().key_id()
    }

    fn claims(payload: &str) -> Result<Claims, Fault> {
        Compact::parse(format!("e30.{}.AA", base64url(payload)).as_bytes()).unwrap().claims()
    }

    #[test]
    fn the_shape_is_two_dots() {
        for (token, expected) in [("a.b.c", true), ("..", true), ("a.b", false), ("abc", false), ("a.b.c.d.e", false)] {
            assert_eq!(has_shape(token.as_bytes()), expected, "{token}");
        }
    }

    #[test]
    fn a_header_names_rs256_and_a_key() {
        assert_eq!(key_id(r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#), Ok("k1".into()));
        for header in [
            "{}",
            r#"{"kid":"k1"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":""}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","kid":"k1","kid":"k1"}"#,
            r#"{"alg":["RS256"],"kid":"k1"}"#,
            r#"["RS256","k1"]"#,
            "not JSON",
        ] {
            assert!(key_id(header).is_err(), "{header}");
        }
        for algorithm in [
            "none", "None", "NONE", "nOnE", "", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ",
        ] {
            assert!(key_id(&format!(r#"{{"alg":"{algorithm}","kid":"k1"}}"#)).is_err(), "{algorithm}");
        }
    }

    #[test]
    fn a_header_that_points_elsewhere_is_refused() {
        for member in REFUSED {
            for value in ["null", "true", "[]", "\"x\""] {
                let header = format!(r#"{{"alg":"RS256","kid":"k1","{member}":{value}}}"#);
                assert!(key_id(&header).is_err(), "{header}");
            }
        }
    }

    #[test]
    fn base64url_is_read_to_the_letter() {
        // `{"alg":"RS256","kid":"k1"}` ends in a character with four bits to spare.
        let good = base64url(r#"{"alg":"RS256","kid":"k1"}"#);
        let read = |header: &str| Compact::parse(format!("{header}.e30.AA").as_bytes()).unwrap().key_id();
        assert!(read(&good).is_ok());
        let stray = format!("{}1", &good[..good.len() - 1]);
        for (what, header) in [
            ("padding", format!("{good}=")),
            ("white space", format!("{good} ")),
            ("stray bits", stray),
            ("the other alphabet", good.replacen("ey", "+y", 1)),
            ("nothing", String::new()),
        ] {
            assert!(read(&header).is_err(), "{what}");
        }
    }

    #[test]
    fn times_are_integers_and_the_issuer_is_a_number_or_a_text() {
        let full = claims(r#"{"iss":1,"iat":5,"exp":9}"#).unwrap();
        assert_eq!((&*full.issuer, full.issued, full.expires), ("1", 5, 9));
        assert!(full.not_before.is_none() && !full.has_audience);
        assert_eq!(claims(r#"{"iss":"1","iat":5,"exp":9}"#).unwrap().issuer, "1");
        assert_eq!(claims(r#"{"iss":1,"iat":5,"exp":9,"nbf":6}"#).unwrap().not_before, Some(6));
        assert!(claims(r#"{"iss":1,"iat":5,"exp":9,"aud":"x"}"#).unwrap().has_audience);
        for payload in [
            r#"{"iat":5,"exp":9}"#,
            r#"{"iss":1.0,"iat":5,"exp":9}"#,
            r#"{"iss":-1,"iat":5,"exp":9}"#,
            r#"{"iss":null,"iat":5,"exp":9}"#,
            r#"{"iss":[1],"iat":5,"exp":9}"#,
            r#"{"iss":1,"exp":9}"#,
            r#"{"iss":1,"iat":5}"#,
            r#"{"iss":1,"iat":"5","exp":9}"#,
            r#"{"iss":1,"iat":5.0,"exp":9}"#,
            r#"{"iss":1,"iat":5,"exp":9e0}"#,
            r#"{"iss":1,"iat":-5,"exp":9}"#,
            r#"{"iss":1,"iat":5,"exp":99999999999999999999}"#,
            r#"{"iss":1,"iat":5,"exp":9,"exp":10}"#,
            r#"{"iss":1,"iat":5,"exp":9,"nbf":"6"}"#,
        ] {
            assert!(claims(payload).is_err(), "{payload}");
        }
    }

    /// RFC 7515 Appendix A.2.
    #[test]
    fn the_rfcs_own_signature_holds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt");
        let token = std::fs::read_to_string(folder.join("rfc7515-a2.jws")).unwrap();
        let modulus = std::fs::read_to_string(folder.join("rfc7515-a2.modulus")).unwrap();
        let key = DecodingKey::from_rsa_components(modulus.trim(), "AQAB").unwrap();
        let compact = Compact::parse(token.trim().as_bytes()).unwrap();
        assert!(compact.holds(&key));
        assert_eq!(compact.key_id(), Err("no `kid`"));
        for (from, to) in [("eyJpc3Mi", "eyJpc3Mj"), ("cC4hiU", "cC4hiV")] {
            let forged = token.trim().replacen(from, to, 1);
            assert!(!Compact::parse(forged.as_bytes()).unwrap().holds(&key), "{to}");
        }
    }

    /// Wycheproof's RS256 vectors, which are not ours to copy: played where the folder that `VIDGATE_CORPUS` names has
    /// them, or else `../shared/corpus`.
    #[test]
    fn wycheproofs_signatures_hold_or_not_as_it_says() {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
        let corpus = std::env::var_os("VIDGATE_CORPUS").map_or_else(beside, PathBuf::from);
        let Ok(text) = std::fs::read_to_string(corpus.join("jose/json_web_signature_test.json")) else {
            eprintln!("skipped: neither VIDGATE_CORPUS nor ../shared/corpus has the corpus of JOSE vectors");
            return;
        };
        let corpus: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut played = 0;
        for group in corpus["testGroups"].as_array().unwrap() {
            let public = &group["public"];
            // What a key may be used for is settled when it is put on file, not by the token.
            if public["alg"] != "RS256" || public["use"] == "enc" {
                continue;
            }
            let key =
                DecodingKey::from_rsa_components(public["n"].as_str().unwrap(), public["e"].as_str().unwrap()).unwrap();
            for test in group["tests"].as_array().unwrap() {
                let Some(token) = test["jws"].as_str() else { continue };
                let believed = has_shape(token.as_bytes())
                    && Compact::parse(token.as_bytes()).is_some_and(|compact| {
                        object(compact.header)
                            .is_some_and(|header| header.member("alg").and_then(Json::text) == Some("RS256"))
                            && compact.holds(&key)
                    });
                assert_eq!(believed, test["result"] == "valid", "{}: {}", test["tcId"], test["comment"]);
                played += 1;
            }
        }
        assert!(played >= 20, "{played}");
    }
}
