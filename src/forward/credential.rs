//! The credential that an upstream sees in the place of the caller's: the same for everybody, that of the caller's
//! account, or a token (JWT, RFC 7519) that is minted for the caller. Signing can cost a millisecond, so a worker keeps
//! what it has minted for half of its lifetime: as many tokens as `REMEMBERED`, the least used of which go first.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use jsonwebtoken::{EncodingKey, Header};
use quick_cache::unsync::Cache;
use serde_json::{Map, Value, json};

use crate::clock::UnixTime;
use crate::forward::request::Way;
use crate::forward::upstream::CredentialPolicy;
use crate::invalid::Invalid;
use crate::limit::Admission;
use crate::record::Scopes;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// Minted tokens that a worker keeps.
const REMEMBERED: usize = 10_000;

/// The credential of an upstream.
#[derive(Debug)]
pub struct Own {
    /// The field that it stands in.
    pub header: HeaderName,
    /// What stands there.
    pub kind: Kind,
}

/// What stands in the field.
pub enum Kind {
    /// This, whoever asks.
    Fixed(HeaderValue),
    /// What is on record for the caller's account, behind these words. A caller of no account, or of one for which nothing
    /// is on record, is refused.
    OfAccount(Box<str>),
    /// A token for the caller.
    Minted(Box<Minting>),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed(***)",
            Self::OfAccount(_) => "OfAccount",
            Self::Minted(_) => "Minted",
        })
    }
}

/// How tokens are minted.
pub struct Minting {
    key: EncodingKey,
    header: Header,
    /// What is the same in every token.
    fixed: Map<String, Value>,
    claims: Vec<(Box<str>, Claim)>,
    lifetime: Duration,
}

/// What a claim says of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Who speaks, such as `api_client:main`.
    Subject,
    /// The account that they speak for.
    Account,
    /// What proved them.
    Scheme,
    /// What they may do, with spaces between.
    Scopes,
}

impl Claim {
    /// What it says of this caller; nothing where there is nothing to say.
    fn of(self, principal: &Principal) -> Option<Box<str>> {
        match self {
            Self::Subject => Some(principal.subject().into()),
            Self::Account => principal.account().map(|account| (*account.id.0).into()),
            Self::Scheme => Some(principal.scheme().into()),
            Self::Scopes => principal.scopes().map(|Scopes(scopes)| scopes.join(" ").into()),
        }
    }
}

impl Minting {
    /// Tokens signed with `key`. Fails where the key is not one for the algorithm of `header`.
    pub fn new(
        key: EncodingKey,
        header: Header,
        fixed: Map<String, Value>,
        claims: Vec<(Box<str>, Claim)>,
        lifetime: Duration,
    ) -> Result<Self, Invalid> {
        let minting = Self { key, header, fixed, claims, lifetime };
        minting
            .mint(&[], UnixTime(0))
            .map_err(|_| Invalid::new(format!("this key cannot sign with {:?}", minting.header.alg)))?;
        Ok(minting)
    }

    fn mint(&self, said: &[Option<Box<str>>], now: UnixTime) -> Result<HeaderValue, Refusal> {
        let unsigned = || Refusal::new(Cause::Internal, "no token could be minted for the upstream").closing();
        let mut claims = self.fixed.clone();
        for ((name, _), value) in self.claims.iter().zip(said) {
            if let Some(value) = value {
                claims.insert(name.to_string(), json!(value));
            }
        }
        claims.insert("iat".to_owned(), json!(now.0));
        claims.insert("exp".to_owned(), json!(now.0 + self.lifetime.as_secs()));
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|_| unsigned())?;
        sensitive(format!("Bearer {token}").as_bytes()).ok_or_else(unsigned)
    }
}

/// A value that no log shows.
fn sensitive(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A field and its value.
pub(super) type Field<'a> = (&'a HeaderName, Cow<'a, HeaderValue>);

/// By which key, and what it says of the caller.
type Token = (usize, Vec<Option<Box<str>>>);

/// The tokens that a worker has minted.
pub(super) struct Minted(RefCell<Cache<Token, (HeaderValue, UnixTime)>>);

impl Default for Minted {
    fn default() -> Self {
        Self(RefCell::new(Cache::new(REMEMBERED)))
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("tokens", &self.0.borrow().len()).finish()
    }
}

impl Minted {
    /// What an upstream sees of this caller at this instant.
    pub(super) fn field<'a>(
        &self,
        own: &'a Own,
        principal: &Principal,
        now: impl FnOnce() -> UnixTime,
    ) -> Result<Field<'a>, Refusal> {
        let value = match &own.kind {
            Kind::Fixed(value) => Cow::Borrowed(value),
            Kind::OfAccount(words) => Cow::Owned(of_account(words, principal)?),
            Kind::Minted(minting) => Cow::Owned(self.token(minting, principal, now())?),
        };
        Ok((&own.header, value))
    }

    fn token(&self, minting: &Minting, principal: &Principal, now: UnixTime) -> Result<HeaderValue, Refusal> {
        let said: Vec<_> = minting.claims.iter().map(|(_, claim)| claim.of(principal)).collect();
        // A way of minting stays where it is for as long as this memory does.
        let key = (std::ptr::from_ref(minting).addr(), said);
        if let Some((value, minted)) = self.0.borrow().get(&key)
            && (minted.0..minted.0 + minting.lifetime.as_secs().div_ceil(2)).contains(&now.0)
        {
            return Ok(value.clone());
        }
        let value = minting.mint(&key.1, now)?;
        self.0.borrow_mut().insert(key, (value.clone(), now));
        Ok(value)
    }
}

/// What the upstream sees in the place of the caller's credential, where that is translated.
pub(super) fn own<'a>(
    minted: &Minted,
    way: Way<'a>,
    admission: &Admission,
    now: impl FnOnce() -> UnixTime,
) -> Result<Option<Field<'a>>, Refusal> {
    if way.credential != CredentialPolicy::Translate {
        return Ok(None);
    }
    // The configuration has been found to have one.
    let none = || Refusal::new(Cause::Internal, "no credential to put in the place of the caller's").closing();
    minted.field(way.own.ok_or_else(none)?, admission.principal(), now).map(Some)
}

fn of_account(words: &str, principal: &Principal) -> Result<HeaderValue, Refusal> {
    let none = || Refusal::new(Cause::PermissionDenied, "the account has no credential for the upstream");
    let secret = principal.account().and_then(crate::record::Account::upstream_credential).ok_or_else(none)?;
    sensitive(&[words.as_bytes(), secret.expose()].concat()).ok_or_else(none)
}
