//! The credential that an upstream sees in the place of the caller's, as meant.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Map;

use super::secret;
use crate::config::file::{self, OwnCredential, Placed};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::forward::credential::{Claim, Kind, Minting, Own};
use crate::invalid::Invalid;
use crate::secret::{Secret, SecretSource};
use crate::units::Span;

/// The shortest key of an HMAC with SHA-256, in bytes (RFC 7518 §3.2).
const SHORTEST_KEY: usize = 32;
/// The claims that vidgate sets itself.
const SET_HERE: [&str; 5] = ["iss", "aud", "iat", "exp", "nbf"];

/// One credential; `None` where something is wrong with it.
pub(super) fn own(written: &Placed<OwnCredential>, source: &Source, report: &mut Report) -> Option<Own> {
    let table = &written.value;
    // Both, so that both mistakes are told.
    let header = header(written, report);
    let kinds = [table.value.is_some(), table.basic.is_some(), table.jwt.is_some(), table.from.is_some()];
    if kinds.iter().filter(|stands| **stands).count() != 1 {
        let invalid = Invalid::new("an upstream's credential is one thing")
            .hint("give it a `value` (with `header`), `basic`, `jwt` or `from`: one of them");
        report.error(written.place.clone(), invalid);
        return None;
    }
    if let (Some(prefix), None) = (&table.prefix, &table.from) {
        let invalid =
            Invalid::new("`prefix` stands before what an account has").hint("it goes with from = \"account\"");
        report.error(prefix.place.clone(), invalid);
    }
    let kind = if let Some(written) = &table.value {
        value(written, source, report).map(Kind::Fixed)
    } else if let Some(written) = &table.basic {
        basic(&written.value, source, report).map(Kind::Fixed)
    } else if let Some(written) = &table.jwt {
        minting(&written.value, source, report).map(|minting| Kind::Minted(Box::new(minting)))
    } else {
        prefix(table.prefix.as_ref(), report).map(Kind::OfAccount)
    };
    Some(Own { header: header?, kind: kind? })
}

/// Fields that frame the message or say who it is for; and the house's own, which it sets itself.
const NOT_A_CREDENTIAL: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "x-request-id",
];

fn header(written: &Placed<OwnCredential>, report: &mut Report) -> Option<HeaderName> {
    let Some(named) = &written.value.header else {
        if let Some(value) = &written.value.value {
            let invalid = Invalid::new("a `value` stands in a field").hint("say which: header = \"Authorization\"");
            report.error(value.place.clone(), invalid);
            return None;
        }
        return Some(AUTHORIZATION);
    };
    let Ok(name) = HeaderName::try_from(&named.value) else {
        report.error(named.place.clone(), Invalid::new(format!("`{}` is not a header name", named.value)));
        return None;
    };
    if NOT_A_CREDENTIAL.contains(&name.as_str()) || name.as_str().starts_with("x-vidgate-") {
        report.error(named.place.clone(), Invalid::new(format!("`{name}` carries no credential")));
        return None;
    }
    if name.as_str().contains('_') {
        let invalid = Invalid::new("many servers drop header names with `_`").hint("check that this one reads it");
        report.find(&rules::DROPPED_FIELD, named.place.clone(), invalid);
    }
    Some(name)
}

/// A secret as the value of a field.
pub(super) fn value(written: &Placed<SecretSource>, source: &Source, report: &mut Report) -> Option<HeaderValue> {
    let secret = field_text(written, source, report)?;
    sensitive(secret.expose())
}

/// What upstreams see of the callers of an account.
pub(super) fn of_account(written: &file::Account, source: &Source, report: &mut Report) -> Option<Arc<Secret>> {
    let written = written.upstream_credential.as_ref()?;
    field_text(written, source, report).map(Arc::new)
}

/// A secret that a field can carry.
fn field_text(written: &Placed<SecretSource>, source: &Source, report: &mut Report) -> Option<Secret> {
    let secret = secret(written, source, report)?;
    if HeaderValue::from_bytes(secret.expose()).is_err() {
        let invalid = Invalid::new("this secret cannot stand in a header: it holds control characters");
        report.error(written.place.clone(), invalid);
        return None;
    }
    Some(secret)
}

fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(written: &file::OwnBasic, source: &Source, report: &mut Report) -> Option<HeaderValue> {
    let user = &written.user;
    // RFC 7617 §2: the first colon ends the name, and control characters stand in neither.
    if user.value.is_empty() || user.value.contains(|letter: char| letter == ':' || letter.is_control()) {
        let invalid = Invalid::new("a user's name is not empty, and has neither colons nor control characters");
        report.error(user.place.clone(), invalid);
        return None;
    }
    let password = field_text(&written.password, source, report)?;
    let pair = Secret::new([user.value.as_bytes(), b":", password.expose()].concat());
    sensitive(format!("Basic {}", STANDARD.encode(pair.expose())).as_bytes())
}

fn prefix(written: Option<&Placed<String>>, report: &mut Report) -> Option<Box<str>> {
    let Some(written) = written else { return Some("".into()) };
    if HeaderValue::from_str(&written.value).is_err() {
        report.error(written.place.clone(), Invalid::new("this cannot stand in a header"));
        return None;
    }
    Some(written.value.as_str().into())
}

fn minting(written: &file::OwnToken, source: &Source, report: &mut Report) -> Option<Minting> {
    let key = key(written, source, report);
    let errors = report.errors();
    let lifetime = written.lifetime.as_ref().map_or(Span::seconds(300).0, |span| span.value.0);
    if let Some(span) = written.lifetime.as_ref().filter(|_| !(10..=86_400).contains(&lifetime.as_secs())) {
        report.error(span.place.clone(), Invalid::new("a token for an upstream lives for 10 seconds to a day"));
    }
    let mut claims = Vec::new();
    match &written.claims {
        None => claims.push(("sub".into(), Claim::Subject)),
        Some(named) => {
            for (name, claim) in &named.value {
                if SET_HERE.contains(&name.as_str()) {
                    let invalid = Invalid::new(format!("`{name}` is set by vidgate"));
                    report.error(named.place.clone(), invalid.hint("`issuer`, `audience` and `lifetime` say what"));
                }
                claims.push((name.as_str().into(), (*claim).into()));
            }
        }
    }
    let mut fixed = Map::new();
    for (name, said) in [("iss", &written.issuer), ("aud", &written.audience)] {
        if let Some(said) = said {
            fixed.insert(name.to_owned(), said.as_str().into());
        }
    }
    let header = Header { kid: written.key_id.clone(), ..Header::new(algorithm(written)) };
    let minting = Minting::new(key?, header, fixed, claims, lifetime);
    let minting = minting.map_err(|invalid| report.error(written.key.place.clone(), invalid)).ok();
    minting.filter(|_| report.errors() == errors)
}

fn algorithm(written: &file::OwnToken) -> Algorithm {
    match written.algorithm {
        file::Signing::Rs256 => Algorithm::RS256,
        file::Signing::Es256 => Algorithm::ES256,
        file::Signing::EdDsa => Algorithm::EdDSA,
        file::Signing::Hs256 => Algorithm::HS256,
    }
}

fn key(written: &file::OwnToken, source: &Source, report: &mut Report) -> Option<EncodingKey> {
    let secret = secret(&written.key, source, report)?;
    let bytes = secret.expose();
    let key = match written.algorithm {
        file::Signing::Rs256 => EncodingKey::from_rsa_pem(bytes).ok(),
        file::Signing::Es256 => EncodingKey::from_ec_pem(bytes).ok(),
        file::Signing::EdDsa => EncodingKey::from_ed_pem(bytes).ok(),
        file::Signing::Hs256 => (bytes.len() >= SHORTEST_KEY).then(|| EncodingKey::from_secret(bytes)),
    };
    if key.is_none() {
        let invalid = match written.algorithm {
            file::Signing::Hs256 => Invalid::new("a key for HS256 has 32 bytes or more"),
            file::Signing::Rs256 | file::Signing::Es256 | file::Signing::EdDsa => {
                Invalid::new("this is no private key for this algorithm")
                    .hint("it is PEM, as `openssl genpkey` writes it")
            }
        };
        report.error(written.key.place.clone(), invalid);
    }
    key
}

impl From<file::OwnClaim> for Claim {
    fn from(written: file::OwnClaim) -> Self {
        match written {
            file::OwnClaim::Subject => Self::Subject,
            file::OwnClaim::Account => Self::Account,
            file::OwnClaim::Scheme => Self::Scheme,
            file::OwnClaim::Scopes => Self::Scopes,
        }
    }
}
