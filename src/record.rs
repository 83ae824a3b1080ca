//! What is known of a credential and its owner, in the one shape that every kind shares. Finding a record is the
//! business of `store/`; believing a credential that of `scheme/`.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::clock::UnixTime;

/// The name of an account: a customer, an organisation, a user of a vendor's API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Arc<str>);

/// Who owns credentials.
#[derive(Debug)]
pub struct Account {
    /// Its name, also in logs and towards the upstream.
    pub id: AccountId,
    /// The account that it belongs to.
    pub parent: Option<AccountId>,
    /// Switched off: none of its credentials is believed.
    pub disabled: bool,
    /// The name as a header value, made once.
    pub header: HeaderValue,
}

/// What a credential is. The name is what the configuration, the logs and the store call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// VXG's licence key: one or more per account.
    LicenseKey,
    /// An API identifier with its secret (SecureVideo).
    ApiClient,
    /// VXG's access token for one camera, looked up by its inner share token.
    CameraToken,
    /// VXG's access token for a group of cameras, looked up by its inner share token.
    GroupToken,
    /// The public key of a service account, looked up by its key id.
    ServiceAccountKey,
}

impl Kind {
    /// Every kind, for listings.
    pub const ALL: [Self; 5] =
        [Self::LicenseKey, Self::ApiClient, Self::CameraToken, Self::GroupToken, Self::ServiceAccountKey];

    /// The name in files and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::LicenseKey => "license_key",
            Self::ApiClient => "api_client",
            Self::CameraToken => "camera_token",
            Self::GroupToken => "group_token",
            Self::ServiceAccountKey => "service_account_key",
        }
    }
}

/// A keyed digest (HMAC-SHA256 under the pepper) of a key, token or identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

/// One credential.
#[derive(Debug)]
pub struct Record {
    /// What it is.
    pub kind: Kind,
    /// Its own name (not secret), unique for its kind: also in logs.
    pub id: Arc<str>,
    /// Who owns it.
    pub account: Arc<Account>,
    /// Who speaks with it, towards the upstream: `camera:248527`, `license_key:main`. Made once.
    pub subject: HeaderValue,
    /// Switched off by an operator.
    pub disabled: bool,
    /// Good from then on.
    pub not_before: Option<UnixTime>,
    /// Good before then.
    pub expires: Option<UnixTime>,
    /// What it may do; `None` is not limited.
    pub scopes: Option<Scopes>,
    /// What only its kind has.
    pub attributes: Attributes,
}

/// What only one kind of credential has.
#[derive(Debug)]
pub enum Attributes {
    /// Nothing more.
    None,
    /// The digest of the secret that goes with the identifier.
    Secret(Digest),
    /// The camera that the token is for.
    Camera(Arc<str>),
    /// The group that the token is for, and its cameras.
    Group {
        /// The group.
        id: Arc<str>,
        /// Its cameras.
        cameras: Vec<Arc<str>>,
    },
    /// The key that verifies what the service account signs.
    PublicKey(PublicKey),
}

/// A public key, ready to verify with.
pub struct PublicKey(pub jsonwebtoken::DecodingKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// What a credential may do: words that the vendor's API knows (`all`, `watch`, `streaming`, …).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scopes(pub Arc<[Arc<str>]>);

impl Scopes {
    /// Whether `scope` is one of them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|own| &**own == scope)
    }

    /// What both allow.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|scope| other.contains(scope)).cloned().collect())
    }
}

impl<T: AsRef<str>> FromIterator<T> for Scopes {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Self(iter.into_iter().map(|scope| Arc::from(scope.as_ref())).collect())
    }
}

/// Finds records; the corridor's only view of who exists. Never blocks, never touches a disk.
pub trait Directory {
    /// The digest by which `text` is known here.
    fn digest(&self, text: &[u8]) -> Digest;

    /// The credential of this kind with this digest.
    fn find(&self, kind: Kind, digest: &Digest) -> Option<Arc<Record>>;

    /// The account with this name.
    fn account(&self, id: &str) -> Option<Arc<Account>>;
}
