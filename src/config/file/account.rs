//! `[[account]]`, as written.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::placed::Placed;
use crate::clock::UnixTime;
use crate::record::Wall;
use crate::secret::SecretSource;

/// Who owns credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[expect(clippy::struct_field_names, reason = "the fields are the keys of the table")]
pub(in crate::config) struct Account {
    /// Its name, also in logs and towards the upstream.
    pub(in crate::config) id: Placed<String>,
    /// The account that it belongs to.
    pub(in crate::config) parent: Option<Placed<String>>,
    /// Switched off: none of its credentials is believed, and none of those of the accounts below it.
    #[serde(default)]
    pub(in crate::config) disabled: bool,
    /// Where its callers may come from: networks or addresses; `0.0.0.0` is anywhere. The lists of the accounts above it
    /// count as well. Default: anywhere.
    #[schemars(example = ["192.0.2.7", "10.0.0.0/8"])]
    pub(in crate::config) addresses: Option<Placed<Vec<Placed<String>>>>,
    /// Where its callers may not come from, though it were in `addresses`. The lists of the accounts above it count as well.
    /// Default: nowhere.
    #[schemars(example = ["198.51.100.66", "203.0.113.128/25"])]
    pub(in crate::config) denied_addresses: Option<Placed<Vec<Placed<String>>>>,
    /// How many requests it may make, under a limit with a quota. Default: what that limit lets through.
    #[serde(default)]
    pub(in crate::config) quota: Quota,
    /// How many cameras it may have. Default: any number.
    pub(in crate::config) hosted_cameras: Option<u64>,
    /// What an upstream with credential = { from = "account" } sees of its callers. Default: they are refused there.
    pub(in crate::config) upstream_credential: Option<Placed<SecretSource>>,
    /// License keys (`LKey`).
    #[serde(default)]
    pub(in crate::config) license_key: Vec<LicenseKey>,
    /// API identifiers with their secrets (`Basic`).
    #[serde(default)]
    pub(in crate::config) api_client: Vec<ApiClient>,
    /// Access tokens of cameras (`Acc`).
    #[serde(default)]
    pub(in crate::config) camera: Vec<Camera>,
    /// Access tokens of groups of cameras.
    #[serde(default)]
    pub(in crate::config) camera_group: Vec<CameraGroup>,
    /// Public keys of service accounts (JWT).
    #[serde(default)]
    pub(in crate::config) service_account: Vec<ServiceAccount>,
    /// Apps that sign what is published and played (`signature`).
    #[serde(default)]
    pub(in crate::config) app: Vec<App>,
    /// Client certificates of operators (`mtls`).
    #[serde(default)]
    pub(in crate::config) admin_certificate: Vec<AdminCertificate>,
}

/// How many requests an account may make in each window of the clock (UTC). 0 is the same as nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(in crate::config) struct Quota {
    /// In an hour.
    pub(in crate::config) hour: Option<u64>,
    /// In a day.
    pub(in crate::config) day: Option<u64>,
    /// In a month.
    pub(in crate::config) month: Option<u64>,
}

/// What every credential may say of itself.
#[derive(Clone, Debug)]
pub(in crate::config) struct Moments {
    pub(in crate::config) disabled: bool,
    pub(in crate::config) not_before: Option<Placed<Moment>>,
    pub(in crate::config) expires: Option<Placed<Moment>>,
}

// serde's `flatten` does not go with `deny_unknown_fields`, so the fields that all credentials share are written into
// each of them.
macro_rules! credential {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, expecting = "a table")]
        pub(in crate::config) struct $name {
            /// Its name: 1 to 128 visible ASCII characters without quotes and commas.
            pub(in crate::config) id: Placed<String>,
            $($(#[$field_about])* pub(in crate::config) $field: $type,)*
            /// Switched off.
            #[serde(default)]
            pub(in crate::config) disabled: bool,
            /// Good from then on.
            pub(in crate::config) not_before: Option<Placed<Moment>>,
            /// Good before then.
            pub(in crate::config) expires: Option<Placed<Moment>>,
        }

        impl $name {
            /// When it is good.
            pub(in crate::config) fn moments(&self) -> Moments {
                Moments {
                    disabled: self.disabled,
                    not_before: self.not_before.clone(),
                    expires: self.expires.clone(),
                }
            }
        }
    };
}

credential! {
    /// A license key.
    LicenseKey {
        /// The key.
        key: Placed<SecretSource>,
    }
}

credential! {
    /// An API identifier (its `id`) with its secret.
    ApiClient {
        /// The secret.
        secret: Placed<SecretSource>,
        /// Other identifiers by which it is found, such as the name or the e-mail address of its account. Default: none.
        aliases: Option<Placed<Vec<Placed<String>>>>,
    }
}

credential! {
    /// A camera with its access tokens.
    Camera {
        /// Share tokens (`share.…`), or whole access tokens in base64. Default: none, the camera is the account's and no
        /// more.
        tokens: Option<Placed<Vec<Placed<SecretSource>>>>,
        /// What they may do. Default: all.
        scopes: Option<Placed<Vec<String>>>,
    }
}

credential! {
    /// A group of cameras with its access tokens.
    CameraGroup {
        /// The cameras of the group.
        cameras: Vec<Placed<String>>,
        /// Share tokens (`share.…`), or whole access tokens in base64.
        tokens: Placed<Vec<Placed<SecretSource>>>,
        /// What they may do. Default: all.
        scopes: Option<Placed<Vec<String>>>,
    }
}

credential! {
    /// The public key of a service account; its `id` is the `kid` of the tokens.
    ServiceAccount {
        /// An RSA public key of 2048 bits or more, PEM, for RS256.
        public_key: Placed<PathBuf>,
        /// What it may do, on routes that ask for roles (`operation`, `roles`) or scopes: names of roles. Default: none, and
        /// only what needs no role; routes that ask for scopes alone it may use all the same.
        roles: Option<Placed<Vec<String>>>,
    }
}

credential! {
    /// An app that signs what is published and played. Its `id` is what the API calls it in paths.
    App {
        /// The public key by which pages name it.
        public_key: Placed<String>,
        /// The `api_key` that its signatures name, where several apps share one. Default: the public key.
        api_key: Option<Placed<String>>,
        /// What it signs with (HMAC-SHA1): the API's private key.
        secret: Placed<SecretSource>,
        /// Hosts whose pages may use it; a host stands for its subdomains too. Default: any.
        authorized_hosts: Option<Placed<Vec<String>>>,
        /// What must be signed. Default: nothing.
        #[serde(default)]
        signatures: Signatures,
        /// Which assets a public listing may show. Default: none.
        #[serde(default)]
        wall: Wall,
        /// Whether refusals are sent with status 200, as old clients of the API expect. Default: false.
        #[serde(default)]
        legacy_200: bool,
        /// Whether browsers are told that pages of the authorized hosts may read answers (CORS), and show them in frames.
        /// Default: false.
        #[serde(default)]
        cross_origin: bool,
    }
}

/// What an app must sign.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(in crate::config) struct Signatures {
    /// What it publishes.
    pub(in crate::config) publish: bool,
    /// What it plays.
    pub(in crate::config) playback: bool,
    /// Whether the old generation of signatures, over the expiration alone, is taken too. Pages make it with the public
    /// key, so that anybody who sees one can sign.
    pub(in crate::config) expiration_only: bool,
}

credential! {
    /// A client certificate, known by its digest or by its subject.
    AdminCertificate {
        /// SHA-256 over the certificate (DER), as `openssl x509 -noout -fingerprint -sha256` prints it, or as 64 hex
        /// digits: this very certificate, whoever has issued it.
        sha256: Option<Placed<String>>,
        /// The common name, or the whole subject as `openssl x509 -noout -subject -nameopt RFC2253` prints it: any
        /// certificate of the listener's `client_ca` with this subject.
        subject: Option<Placed<String>>,
    }
}

/// An instant as operators write it: RFC 3339, in quotes or as TOML's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Moment(pub(in crate::config) UnixTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an instant such as \"2027-01-01T00:00:00Z\"")]
        enum Written {
            Text(String),
            Toml(toml::value::Datetime),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Toml(datetime) => datetime.to_string(),
        };
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not an instant; write it as \"2027-01-01T00:00:00Z\""))
        })?;
        u64::try_from(timestamp.as_second())
            .map(|seconds| Self(UnixTime(seconds)))
            .map_err(|_| serde::de::Error::custom("an instant here lies after 1970"))
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "An instant, RFC 3339.", "examples": ["2027-01-01T00:00:00Z"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Holder {
        at: Moment,
    }

    #[test]
    fn an_instant_is_read_in_quotes_and_as_toml_has_it() {
        for text in ["\"2027-01-01T00:00:00Z\"", "2027-01-01T00:00:00Z", "2027-01-01T01:00:00+01:00"] {
            let holder: Holder = toml::from_str(&format!("at = {text}")).unwrap();
            assert_eq!(holder.at.0, UnixTime(1_798_761_600), "{text}");
        }
        for wrong in ["\"2027-01-01\"", "2027-01-01", "2027-01-01T00:00:00", "\"1960-01-01T00:00:00Z\"", "7", "\"\""] {
            assert!(toml::from_str::<Holder>(&format!("at = {wrong}")).is_err(), "{wrong}");
        }
    }
}
