//! `vidgate sign jwt`: the header field that Voximplant's `token.sh` prints for a `credentials.json`, letter for letter: the
//! same header and claims in the same order, RS256 over both.

use std::path::PathBuf;

use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::manage;
use super::super::operator::Trouble;
use super::lifetime;
use crate::clock::UnixTime;

/// The longest life that the vendor lets a token have, and that of `token.sh`, in seconds.
const LIFETIME: u64 = 3600;

/// A token of a service account.
#[derive(Args, Debug)]
pub(in crate::cli) struct Jwt {
    /// The vendor's credentials.json: the `result` of `CreateKey`; - is standard input
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,
    /// The account to speak for: a child of the one in the credentials
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// For how long it is good, from now on; the vendor takes an hour at most [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    lifetime: Option<u64>,
}

/// What is needed of a credentials.json.
#[derive(Deserialize)]
struct Credentials {
    account_id: Value,
    key_id: String,
    private_key: Zeroed,
}

/// A text that is wiped when it has served.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Zeroed(Zeroizing<String>);

impl From<String> for Zeroed {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

// In the order of the vendor's script.
#[derive(Serialize)]
struct Claims {
    iat: u64,
    iss: Value,
    exp: u64,
}

impl Jwt {
    /// The line of `token.sh`.
    pub(super) fn sign(&self, now: UnixTime) -> Result<Zeroizing<String>, Trouble> {
        let text = manage::secret(&self.credentials)?;
        let credentials: Credentials = serde_json::from_str(&text).map_err(|_| {
            Trouble::plain("this is no credentials.json: an object with `account_id`, `key_id` and `private_key`")
        })?;
        let own = match &credentials.account_id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Trouble::plain("`account_id` in the credentials is neither a number nor a text"));
            }
        };
        let key = EncodingKey::from_rsa_pem(credentials.private_key.0.as_bytes())
            .map_err(|_| Trouble::plain("`private_key` in the credentials is no RSA key in PEM"))?;
        let header = Header { kid: Some(credentials.key_id), ..Header::new(Algorithm::RS256) };
        let exp = now.0.saturating_add(self.lifetime.unwrap_or(LIFETIME));
        let claims = Claims { iat: now.0, iss: issuer(self.account.as_ref().unwrap_or(&own)), exp };
        let token = jsonwebtoken::encode(&header, &claims, &key)
            .map_err(|_| Trouble::plain("`private_key` in the credentials cannot sign"))?;
        Ok(Zeroizing::new(format!("Authorization: Bearer {}\n", *Zeroizing::new(token))))
    }
}

/// A number where it is one, as the vendor's ids are.
fn issuer(id: &str) -> Value {
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => number.into(),
        Ok(_) | Err(_) => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::endpoint::token;

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn signed(credentials: &str, account: Option<&str>, lifetime: Option<u64>) -> Result<String, ()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.json");
        std::fs::write(&file, credentials).unwrap();
        let jwt = Jwt { credentials: file, account: account.map(str::to_owned), lifetime };
        jwt.sign(NOW).map(|text| text.to_string()).map_err(drop)
    }

    #[test]
    fn a_token_is_the_one_that_the_vendors_script_prints() {
        let (private, _) = token::generate().unwrap();
        let private = str::from_utf8(private.expose()).unwrap();
        for (id, account, lifetime, claims) in [
            (json!(7), None, None, r#"{"iat":1700000000,"iss":7,"exp":1700003600}"#),
            (json!("7"), None, Some(60), r#"{"iat":1700000000,"iss":7,"exp":1700000060}"#),
            (json!(7), Some("77"), None, r#"{"iat":1700000000,"iss":77,"exp":1700003600}"#),
            (json!("acme"), None, None, r#"{"iat":1700000000,"iss":"acme","exp":1700003600}"#),
            (json!("07"), None, None, r#"{"iat":1700000000,"iss":"07","exp":1700003600}"#),
        ] {
            let credentials = json!({ "account_email": "", "account_id": id, "key_id": "k-1", "private_key": private });
            let line = signed(&credentials.to_string(), account, lifetime).unwrap();
            let token = line.strip_prefix("Authorization: Bearer ").and_then(|rest| rest.strip_suffix('\n')).unwrap();
            let parts: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
            // As `jq -c` writes them.
            assert_eq!(String::from_utf8_lossy(&parts[0]), r#"{"typ":"JWT","alg":"RS256","kid":"k-1"}"#);
            assert_eq!(String::from_utf8_lossy(&parts[1]), claims);
            assert_eq!(parts[2].len(), 256);
        }
    }

    #[test]
    fn what_are_no_credentials_is_refused() {
        let (private, public) = token::generate().unwrap();
        let private = str::from_utf8(private.expose()).unwrap();
        for (what, credentials) in [
            ("no JSON", "credentials".to_owned()),
            ("no key", json!({ "account_id": 1, "key_id": "k" }).to_string()),
            ("no account", json!({ "account_id": null, "key_id": "k", "private_key": private }).to_string()),
            ("no PEM", json!({ "account_id": 1, "key_id": "k", "private_key": "x" }).to_string()),
            ("a public key", json!({ "account_id": 1, "key_id": "k", "private_key": public.to_pem() }).to_string()),
        ] {
            assert!(signed(&credentials, None, None).is_err(), "{what}");
        }
    }
}
