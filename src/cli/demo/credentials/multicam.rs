//! Multicam's: a user with a key, a token that the user was given, and the RSA pair to which logins encrypt their keys.

use super::{random, word};
use crate::cli::demo::Trouble;
use crate::endpoint::token;
use crate::secret::Secret;

/// A user and the gateway's pair.
pub(in crate::cli::demo) struct Multicam {
    /// The name that the user logs in with.
    pub(in crate::cli::demo) login: &'static str,
    /// The user's key: encrypted in a login, in clear as `x-apikey`.
    pub(in crate::cli::demo) key: String,
    /// A token of the user's that is there from the start.
    pub(in crate::cli::demo) token: String,
    /// The same with another end.
    pub(in crate::cli::demo) altered: String,
    /// The pair, PKCS#8 in PEM, as `vidgate multicam key new` makes it.
    pub(in crate::cli::demo) pair: Secret,
    /// Its public half, SPKI in PEM, as openssl reads it.
    pub(in crate::cli::demo) public: String,
}

impl Multicam {
    pub(super) fn create() -> Result<Self, Trouble> {
        let (pair, public) = token::generate().map_err(|invalid| Trouble::Pair(invalid.message))?;
        let (given, end) = (word(42)?, random::<1>()?[0] % 9);
        Ok(Self {
            login: "john@example.com",
            key: word(20)?,
            token: format!("{given}{end}"),
            altered: format!("{given}{}", end + 1),
            pair,
            public: pem(&public.to_line()),
        })
    }
}

/// A public key in one line, as PEM (RFC 7468 §13).
fn pem(line: &str) -> String {
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = line;
    while !rest.is_empty() {
        let (first, more) = rest.split_at(rest.len().min(64));
        text.push_str(first);
        text.push('\n');
        rest = more;
    }
    text + "-----END PUBLIC KEY-----\n"
}
