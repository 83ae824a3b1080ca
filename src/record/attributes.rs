//! What a credential may do, and what only its kind has.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKeyKind;

use super::{App, Digest, Members};
use crate::clock::UnixTime;

/// What only one kind of credential has.
#[derive(Debug, PartialEq)]
pub enum Attributes {
    /// Nothing more.
    None,
    /// What must be given with the identifier or name: any one of these. Two while a secret is being rotated.
    Proofs(Box<[Proof]>),
    /// The camera that the token is for.
    Camera(Arc<str>),
    /// The group that the token is for.
    Group(Box<Group>),
    /// The key that verifies what the service account signs.
    PublicKey(Box<PublicKey>),
    /// What an app signs with, and what it asks for.
    App(Box<App>),
}

impl Attributes {
    /// The app, where it is one.
    pub fn app(&self) -> Option<&App> {
        match self {
            Self::App(app) => Some(app),
            Self::None | Self::Proofs(_) | Self::Camera(_) | Self::Group(_) | Self::PublicKey(_) => None,
        }
    }
}

/// A group of cameras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub id: Arc<str>,
    /// Its cameras.
    pub cameras: Members,
}

/// A secret that is known by its digest alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which version of the secret it is: the same for as long as that is on file, under whatever pepper.
    pub number: u32,
    /// The number of the pepper of the digest.
    pub pepper: u16,
    /// The digest.
    pub digest: Digest,
    /// Good before then.
    pub expires: Option<UnixTime>,
}

/// A public key, ready to verify with.
pub struct PublicKey(pub jsonwebtoken::DecodingKey);

impl PublicKey {
    /// Whether both are the same key, written in the same way.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.0.kind(), other.0.kind()) {
            (DecodingKeyKind::SecretOrDer(own), DecodingKeyKind::SecretOrDer(its)) => own == its,
            (
                DecodingKeyKind::RsaModulusExponent { n, e },
                DecodingKeyKind::RsaModulusExponent { n: its_n, e: its_e },
            ) => n == its_n && e == its_e,
            (DecodingKeyKind::SecretOrDer(_), DecodingKeyKind::RsaModulusExponent { .. })
            | (DecodingKeyKind::RsaModulusExponent { .. }, DecodingKeyKind::SecretOrDer(_)) => false,
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// What a credential may do: words that the vendor's API knows (`all`, `watch`, `streaming`, …).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scopes(pub Arc<Vec<Box<str>>>);

impl Scopes {
    /// Whether `scope` is one of them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| &**own == scope)
    }

    /// What both allow.
    pub fn intersection(&self, other: &Self) -> Self {
        self.0.iter().filter(|scope| other.contains(scope)).collect()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Self(Arc::new(iter.into_iter().map(|scope| Box::from(scope.as_ref())).collect()))
    }
}
