//! How a caller proves who they are. Each scheme is one file and one line in [`KINDS`]; it is pure: no I/O, no clock,
//! no tokio. What a wrong credential leads to is decided elsewhere: a scheme cannot write an answer.

pub mod acc;
pub mod access_token;
pub mod account_key;
pub mod apikey;
mod authorization;
pub mod basic;
mod buffer;
#[cfg(test)]
mod conformance;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod guard;
pub mod ip;
pub mod issuer;
mod jose;
pub(crate) mod json;
pub mod jwt;
pub mod key;
pub(crate) mod leak;
pub mod lkey;
pub mod mtls;
pub mod opaque;
mod open;
mod principal;
mod query;
mod scene;
pub mod share_token;
pub mod si;
pub mod signature;
mod standing;
#[cfg(test)]
pub(crate) mod stage;
#[cfg(all(fuzzing, not(test)))]
#[expect(dead_code, reason = "a fuzzer stands on a part of it")]
pub(crate) mod stage;
mod verified;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) use self::authorization::{at_most_one, word};
pub use self::guard::{Guard, Identifier, Mark};
pub(crate) use self::open::Open;
pub use self::principal::{Credentials, Principal};
pub use self::scene::{Fetching, Scene};
pub use self::standing::Lapse;
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::key_set::KeySet;
use crate::record::Record;
use crate::refusal::Reason;
use crate::secret::{Secret, SecretSource};

/// A way for a caller to prove who they are.
pub trait Scheme: fmt::Debug + Send + Sync + Sized + 'static {
    /// The table under `[scheme.<name>.<kind>]`.
    type Settings: DeserializeOwned + JsonSchema;
    /// What this scheme reads from a request, before anyone believes it; it may borrow from the head. Its `Debug` shows
    /// no secret.
    type Credential<'a>: fmt::Debug;

    /// Builds the scheme from its settings.
    fn new(settings: Self::Settings, kit: &Kit<'_>) -> Result<Self, Invalid>;

    /// Where its credential may stand: stripped and redacted everywhere, whoever wins.
    fn places(&self) -> Places;

    /// Finds this scheme's credential. `Ok(None)`: none of ours was presented, another scheme may speak.
    fn read<'a>(&self, head: &Head<'a>, preface: &'a Preface) -> Result<Option<Self::Credential<'a>>, Rejection>;

    /// Believes the credential or says why not.
    fn verify(&self, credential: Self::Credential<'_>, scene: &Scene<'_>) -> Result<Principal, Rejection>;

    /// Who is let in without a credential of this scheme: an app that asks for none, where the scene says which it is.
    /// Asked where nothing of ours was presented.
    fn unpresented(&self, _: &Scene<'_>) -> Result<Option<Principal>, Rejection> {
        Ok(None)
    }

    /// Whose secret a credential claims to hold, where it names someone in public: wrong ones are counted for each
    /// (identifier, network of the caller). Most credentials name nobody.
    fn identifier<'c>(&self, _: &'c Self::Credential<'_>) -> Option<Identifier<'c>> {
        None
    }

    /// What to offer in `WWW-Authenticate` when nothing was presented.
    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    /// Whether what it looks at is always there, so that a caller who is refused has nothing to present instead.
    fn ambient(&self) -> bool {
        false
    }

    /// Whether what it looks at is the connection's client certificate, which no request can bring along.
    fn by_certificate(&self) -> bool {
        false
    }

    /// Whether whom it proves may speak for an account: not those whom an issuer knows that names none.
    fn names_accounts(&self) -> bool {
        true
    }

    /// The keys of a foreign issuer, where it believes one: somebody else keeps them fresh.
    fn key_set(&self) -> Option<&Arc<KeySet>> {
        None
    }

    /// Whether requests that give away the secret of an API client in the query are refused where it is used, whoever
    /// sends them and whatever else proves them.
    fn watches_for_leaks(&self) -> bool {
        false
    }
}

/// The object-safe fold of [`Scheme`], so that a route can hold a list.
pub trait Examine: fmt::Debug + Send + Sync {
    /// Reads, then verifies: `Ok(None)` not mine, `Ok(Some)` proven, `Err` presented and wrong. The scene's [`Guard`]
    /// stands between the two, and hears what came of it.
    fn examine(&self, head: &Head<'_>, preface: &Preface, scene: &Scene<'_>) -> Result<Option<Principal>, Rejection>;

    /// See [`Scheme::places`].
    fn places(&self) -> Places;

    /// See [`Scheme::challenge`].
    fn challenge(&self) -> Option<HeaderValue>;

    /// See [`Scheme::ambient`].
    fn ambient(&self) -> bool;

    /// See [`Scheme::by_certificate`].
    fn by_certificate(&self) -> bool {
        false
    }

    /// See [`Scheme::names_accounts`].
    fn names_accounts(&self) -> bool {
        true
    }

    /// See [`Scheme::key_set`].
    fn key_set(&self) -> Option<&Arc<KeySet>> {
        None
    }

    /// See [`Scheme::watches_for_leaks`].
    fn watches_for_leaks(&self) -> bool;
}

impl<S: Scheme> Examine for S {
    fn examine(&self, head: &Head<'_>, preface: &Preface, scene: &Scene<'_>) -> Result<Option<Principal>, Rejection> {
        let Some(guard) = scene.guard else {
            let Some(credential) = self.read(head, preface)? else { return self.unpresented(scene) };
            return self.verify(credential, scene).map(Some);
        };
        let read = self.read(head, preface).inspect_err(|rejection| guard.saw(None, Err(rejection.reason)))?;
        let Some(credential) = read else { return self.unpresented(scene) };
        let mark = match self.identifier(&credential) {
            None => None,
            Some(identifier) => Some(guard.admits(identifier).ok_or(HELD_OFF)?),
        };
        let verified = self.verify(credential, scene);
        guard.saw(mark, verified.as_ref().map(drop).map_err(|rejection| rejection.reason));
        verified.map(Some)
    }

    fn places(&self) -> Places {
        Scheme::places(self)
    }

    fn challenge(&self) -> Option<HeaderValue> {
        Scheme::challenge(self)
    }

    fn ambient(&self) -> bool {
        Scheme::ambient(self)
    }

    fn by_certificate(&self) -> bool {
        Scheme::by_certificate(self)
    }

    fn names_accounts(&self) -> bool {
        Scheme::names_accounts(self)
    }

    fn key_set(&self) -> Option<&Arc<KeySet>> {
        Scheme::key_set(self)
    }

    fn watches_for_leaks(&self) -> bool {
        Scheme::watches_for_leaks(self)
    }
}

/// A credential that was presented and is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What kind of wrong.
    pub reason: Reason,
    /// The precise cause, for the log; never holds anything the caller sent.
    pub detail: &'static str,
}

impl Rejection {
    /// A rejection for `reason`.
    pub fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }
}

/// Of a credential that was not looked at. The guard, which knows for how long, words the refusal.
const HELD_OFF: Rejection = Rejection { reason: Reason::Unknown, detail: "not verified: too many were wrong" };

/// Where a credential may stand in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Header fields.
    pub headers: Vec<HeaderName>,
    /// Names in the query, compared after decoding.
    pub query: Vec<Box<str>>,
    /// Names in a form body.
    pub form: Vec<Box<str>>,
}

impl Places {
    /// The `Authorization` field alone.
    pub fn authorization() -> Self {
        Self { headers: vec![http::header::AUTHORIZATION], ..Self::default() }
    }

    /// Both lists in one, each place once.
    pub fn join(&mut self, other: Self) {
        for header in other.headers {
            if !self.headers.contains(&header) {
                self.headers.push(header);
            }
        }
        for (own, more) in [(&mut self.query, other.query), (&mut self.form, other.form)] {
            for name in more {
                if !own.contains(&name) {
                    own.push(name);
                }
            }
        }
    }
}

/// What a scheme may ask for while it is built.
pub struct Kit<'a> {
    /// The name in `[scheme.<name>.<kind>]`.
    pub name: &'a str,
    /// Reads a secret from where its setting says it is.
    pub resolve: &'a dyn Fn(&SecretSource) -> Result<Secret, Invalid>,
    /// Reads a file that holds no secret.
    pub file: &'a dyn Fn(&Path) -> Result<Vec<u8>, Invalid>,
}

/// Builds a scheme from its table.
pub type Build = fn(toml::Value, &Kit<'_>) -> Result<Box<dyn Examine>, Invalid>;

/// A row of the registry.
pub struct KindEntry {
    /// The word in `[scheme.<name>.<kind>]`, in the metrics and in the log.
    pub kind: &'static str,
    /// One line for listings.
    pub about: &'static str,
    /// How the credential looks on the wire, for listings.
    pub wire: &'static str,
    /// Builds the scheme from its table.
    pub build: Build,
    /// The JSON schema of its table.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KindEntry").field("kind", &self.kind).finish_non_exhaustive()
    }
}

const fn entry<S: Scheme>(kind: &'static str, about: &'static str, wire: &'static str) -> KindEntry {
    KindEntry { kind, about, wire, build: build::<S>, schema: schema::<S> }
}

fn build<S: Scheme>(table: toml::Value, kit: &Kit<'_>) -> Result<Box<dyn Examine>, Invalid> {
    let settings = S::Settings::deserialize(table).map_err(|error| Invalid::new(error.message().to_owned()))?;
    Ok(Box::new(S::new(settings, kit)?))
}

fn schema<S: Scheme>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<S::Settings>()
}

/// Every kind of scheme there is.
pub const KINDS: &[KindEntry] = &[
    entry::<acc::Acc>("acc", "VXG camera access token", "Authorization: Acc <token>, or ?token=<share token>"),
    entry::<si::Si>("si", "VXG access token of a group of cameras", "Authorization: SI <token>"),
    entry::<lkey::LicenseKey>("lkey", "VXG license key of an account", "Authorization: LKey <key>"),
    entry::<basic::Basic>("basic", "API identifier and secret", "Authorization: Basic base64(id:secret)"),
    entry::<key::Key>("key", "Public API identifier, without its secret", "?apiKey=<id>"),
    entry::<apikey::ApiKey>("apikey", "Secret key of a user", "x-apikey: <key>, or where the table says"),
    entry::<account_key::AccountKey>(
        "account_key",
        "Account with its API key (Voximplant, deprecated)",
        "?account_id=<id>&api_key=<key>, or in a form",
    ),
    entry::<jwt::Jwt>("jwt", "RS256 JSON Web Token of a service account", "Authorization: Bearer <jwt>"),
    entry::<signature::Signature>(
        "signature",
        "CameraTag signature of what is published or played",
        "?signature=<hex>&signature_json=<json>, or in a form",
    ),
    entry::<opaque::Opaque>("opaque", "Token that was issued to a user", "Authorization: Bearer <token>"),
    entry::<mtls::Mtls>("mtls", "Client certificate of an operator", "the TLS handshake"),
    entry::<ip::Ip>("ip", "Address of the caller", "the connection, or a trusted proxy's word"),
];

/// Whether a record may be used now. Which of the reasons applies is for the log; the caller hears one sentence.
fn usable(record: &Record, scene: &Scene<'_>) -> Result<(), Rejection> {
    if record.is_disabled() {
        return Err(Rejection::new(Reason::Disabled, "the credential is disabled"));
    }
    if record.account.is_disabled() {
        return Err(Rejection::new(Reason::Disabled, "the account, or one above it, is disabled"));
    }
    if record.not_before().is_some_and(|from| scene.now < from) {
        return Err(Rejection::new(Reason::NotYetValid, "the credential is not valid yet"));
    }
    if record.expires().is_some_and(|end| scene.now >= end) {
        return Err(Rejection::new(Reason::Expired, "the credential has expired"));
    }
    Ok(())
}
