//! Voximplant's: the RSA keys of service accounts, the file that is handed out with one, and tokens made with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{hex, random, uuid};
use crate::cli::demo::{Trouble, pki};
use crate::clock::UnixTime;

/// The longest that a token may live.
const LIFETIME: u64 = 3600;

/// An account and its child, each with what speaks for it.
pub(in crate::cli::demo) struct Voximplant {
    /// The account.
    pub(in crate::cli::demo) account: String,
    /// A child of it, in whose name its keys may speak too.
    pub(in crate::cli::demo) child: String,
    /// A key of the account, with the role of a developer.
    pub(in crate::cli::demo) key: Key,
    /// A key of the account without any role.
    pub(in crate::cli::demo) bare: Key,
    /// The deprecated secret of the account: `api_key` beside `account_id`.
    pub(in crate::cli::demo) api_key: String,
    /// Tokens made at the start.
    pub(in crate::cli::demo) tokens: Tokens,
}

/// The key of a service account.
pub(in crate::cli::demo) struct Key {
    /// Its id, `kid` in a token.
    pub(in crate::cli::demo) id: String,
    /// The private key, PEM.
    pub(in crate::cli::demo) private: String,
    /// The public key, PEM.
    pub(in crate::cli::demo) public: String,
}

/// Ready-made tokens; those that are good are so for an hour.
pub(in crate::cli::demo) struct Tokens {
    /// In the account's name.
    pub(in crate::cli::demo) own: String,
    /// In the child's name.
    pub(in crate::cli::demo) child: String,
    /// Of the key without a role.
    pub(in crate::cli::demo) bare: String,
    /// In the name of an account that the key has nothing to do with.
    pub(in crate::cli::demo) stranger: String,
    /// One that ended a minute ago.
    pub(in crate::cli::demo) expired: String,
    /// One that says it lives for a day.
    pub(in crate::cli::demo) long: String,
    /// One signed by another key under the same id.
    pub(in crate::cli::demo) forged: String,
    /// One that says it needs no signature.
    pub(in crate::cli::demo) unsigned: String,
}

impl Key {
    fn create() -> Result<Self, Trouble> {
        let (private, public) = pki::service_account_key()?;
        Ok(Self { id: uuid(random()?), private, public })
    }

    /// A token as Voximplant's clients make it, with the issuer as a number.
    fn token(&self, account: &str, issued: u64, lifetime: u64) -> Result<String, Trouble> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::RS256) };
        let claims = json!({ "iss": number(account), "iat": issued, "exp": issued + lifetime });
        Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_pem(self.private.as_bytes())?)?)
    }
}

impl Voximplant {
    pub(super) fn create(now: UnixTime) -> Result<Self, Trouble> {
        let (key, bare) = (Key::create()?, Key::create()?);
        let [account, child, stranger] = ["4152783", "4152784", "9999999"];
        let sign = |name: &str, from: u64, lifetime: u64| key.token(name, from, lifetime);
        let other = Key { id: key.id.clone(), ..Key::create()? };
        let own = sign(account, now.0, LIFETIME)?;
        let tokens = Tokens {
            child: sign(child, now.0, LIFETIME)?,
            bare: bare.token(account, now.0, LIFETIME)?,
            stranger: sign(stranger, now.0, LIFETIME)?,
            expired: sign(account, now.0.saturating_sub(LIFETIME), LIFETIME - 60)?,
            long: sign(account, now.0, 24 * 3600)?,
            forged: other.token(account, now.0, LIFETIME)?,
            unsigned: unsigned(&own, &key.id),
            own,
        };
        let (account, child) = (account.to_owned(), child.to_owned());
        Ok(Self { account, child, key, bare, api_key: hex(&random::<16>()?), tokens })
    }

    /// The file that Voximplant hands out with a key, and that its client libraries read.
    pub(in crate::cli::demo) fn file(&self) -> String {
        json!({
            "account_email": "demo@example.test",
            "account_id": number(&self.account),
            "key_id": self.key.id,
            "private_key": self.key.private,
        })
        .to_string()
    }

    /// What the vendor's `token.sh` does: prints the header field with a token of now, good for an hour. The vendor's
    /// needs jq, this one no more than openssl. `key` is the file of the private key, as a shell reads it.
    pub(in crate::cli::demo) fn script(&self, key: &str) -> String {
        format!(
            "#!/bin/sh\n\
             now=$(date +%s)\n\
             url() {{ openssl base64 -A | tr '+/' '-_' | tr -d =; }}\n\
             header=$(printf %s '{{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"{}\"}}' | url)\n\
             claims=$(printf '{{\"iat\":%d,\"iss\":{},\"exp\":%d}}' \"$now\" $((now + {LIFETIME})) | url)\n\
             signature=$(printf %s \"$header.$claims\" | openssl dgst -sha256 -sign {key} | url)\n\
             printf 'Authorization: Bearer %s\\n' \"$header.$claims.$signature\"\n",
            self.key.id, self.account
        )
    }
}

fn number(account: &str) -> u64 {
    account.parse().expect("the demo's account names are numbers")
}

/// The same claims under `alg: none`, without a signature: the oldest trick with these tokens.
fn unsigned(token: &str, key_id: &str) -> String {
    let claims = token.split('.').nth(1).expect("a token has three parts");
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": key_id, "typ": "JWT" }).to_string());
    format!("{header}.{claims}.")
}
