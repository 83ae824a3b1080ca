//! A JWK Set as it is written (RFC 7517), and the keys of it that are taken.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use crate::invalid::Invalid;
use crate::record::PublicKey;

/// More keys than any issuer has.
const MOST_KEYS: usize = 256;
/// What aws-lc verifies with, in bits.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// One key, and how it was written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) written: (String, String),
    pub(super) key: Arc<PublicKey>,
}

/// Keys by their ids.
pub(super) type Keys = HashMap<Box<str>, Entry>;

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Rsa {
    kid: String,
    n: String,
    e: String,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
}

/// The RS256 keys of a JWK Set. Others in it are for somebody else; a set with two of one id is not taken. A key that was
/// there before stays the same object.
pub(super) fn keys(text: &[u8], before: Option<&Keys>) -> Result<Keys, Invalid> {
    let written: Written = serde_json::from_slice(text)
        .map_err(|_| Invalid::new("this is not a JWK Set").hint("it is a JSON object with a list `keys` (RFC 7517)"))?;
    if written.keys.len() > MOST_KEYS {
        return Err(Invalid::new(format!("a JWK Set of more than {MOST_KEYS} keys is not read")));
    }
    let mut keys = HashMap::new();
    for key in written.keys.into_iter().filter(|key| key["kty"] == "RSA") {
        let Ok(rsa) = serde_json::from_value::<Rsa>(key) else { continue };
        let signs = rsa.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        if rsa.kid.is_empty() || !signs || rsa.alg.as_deref().is_some_and(|alg| alg != "RS256") || !is_long(&rsa.n) {
            continue;
        }
        let Rsa { kid, n, e, .. } = rsa;
        let known = before.and_then(|before| before.get(&*kid)).filter(|entry| entry.written == (n.clone(), e.clone()));
        let key = match known {
            Some(entry) => Arc::clone(&entry.key),
            None => match DecodingKey::from_rsa_components(&n, &e) {
                Ok(key) => Arc::new(PublicKey(key)),
                Err(_) => continue,
            },
        };
        if keys.insert(kid.clone().into_boxed_str(), Entry { written: (n, e), key }).is_some() {
            return Err(Invalid::new(format!("two keys of the JWK Set are called `{}`", kid.escape_debug())));
        }
    }
    if keys.is_empty() {
        return Err(Invalid::new("the JWK Set has no RSA key of 2048 bits or more, with a `kid`, for RS256"));
    }
    Ok(keys)
}

/// Whether a modulus in base64url has a length that is verified with.
fn is_long(modulus: &str) -> bool {
    URL_SAFE_NO_PAD.decode(modulus).is_ok_and(|bytes| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let first = bytes.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
        BITS.contains(&((bytes.len() - zeros) * 8 - first))
    })
}
