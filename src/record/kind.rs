//! What kinds of credentials there are.

/// What a credential is. The name is what the configuration, the logs and the store call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// VXG's license key: one or more per account.
    LicenseKey,
    /// An API identifier with its secret (SecureVideo).
    ApiClient,
    /// VXG's access token for one camera, looked up by its inner share token.
    CameraToken,
    /// VXG's access token for a group of cameras, looked up by its inner share token.
    GroupToken,
    /// The public key of a service account, looked up by its key id.
    ServiceAccountKey,
    /// A person or a program with a name and a key, looked up by the name.
    User,
    /// The same user, looked up by the key that was made for them.
    UserKey,
    /// An opaque token for `Bearer`.
    BearerToken,
    /// An app with an identifier of its own.
    App,
    /// The client certificate of an operator, looked up by its fingerprint.
    AdminCertificate,
}

impl Kind {
    /// Every kind, for listings.
    pub const ALL: [Self; 10] = [
        Self::LicenseKey,
        Self::ApiClient,
        Self::CameraToken,
        Self::GroupToken,
        Self::ServiceAccountKey,
        Self::User,
        Self::UserKey,
        Self::BearerToken,
        Self::App,
        Self::AdminCertificate,
    ];

    /// The name in files and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::LicenseKey => "license_key",
            Self::ApiClient => "api_client",
            Self::CameraToken => "camera_token",
            Self::GroupToken => "group_token",
            Self::ServiceAccountKey => "service_account_key",
            Self::User => "user",
            Self::UserKey => "user_key",
            Self::BearerToken => "bearer_token",
            Self::App => "app",
            Self::AdminCertificate => "admin_certificate",
        }
    }

    /// Who speaks with a credential of this kind, towards the upstream: the first word of the subject.
    pub fn speaker(self) -> &'static str {
        match self {
            Self::CameraToken => "camera",
            Self::GroupToken => "camera_group",
            Self::ServiceAccountKey => "service_account",
            Self::UserKey => "user",
            Self::LicenseKey
            | Self::ApiClient
            | Self::User
            | Self::BearerToken
            | Self::App
            | Self::AdminCertificate => self.name(),
        }
    }
}
