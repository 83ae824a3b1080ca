//! What the store keeps: accounts, the credentials that they own, and the things that credentials open. One file a
//! resource says what only that resource has; what they share stands in `entry.rs`. This list is the registry: the admin
//! API, the command line, import, export and the tests go through it.

mod account;
mod admin_certificate;
mod api_client;
mod app;
mod bearer_token;
mod camera;
mod camera_group;
mod license_key;
mod service_account;
mod token;
mod user;

use std::fmt;

use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::account::{Account, Limits, Quota};
pub use self::admin_certificate::AdminCertificate;
pub use self::api_client::ApiClient;
pub use self::app::{App, Signatures};
pub use self::bearer_token::BearerToken;
pub use self::camera::Camera;
pub use self::camera_group::CameraGroup;
pub use self::license_key::LicenseKey;
pub use self::service_account::ServiceAccount;
pub use self::token::Token;
pub use self::user::User;
use super::refused::Fault;
use crate::record::Kind;
use crate::secret::Secret;

/// What only one resource has, besides what every entry has.
pub(super) trait Attributes: Serialize + DeserializeOwned + JsonSchema {
    /// The one-line description, for the command line and the API's document.
    const ABOUT: &'static str;
    /// The keys of its document that are its own.
    const FIELDS: &'static [&'static str];
    /// The secret that goes with it, if any.
    const SECRET: Option<SecretRule> = None;
    /// Whose it is.
    const OWNER: Owner = Owner::Account;

    /// What is wrong with it by itself.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// What it refers to, which must exist.
    fn references(&self) -> Vec<Reference<'_>> {
        Vec::new()
    }

    /// The texts by which it is found and that are no secret, with the kind under which the corridor looks for them.
    fn public_handles<'a>(&'a self, _id: &'a str) -> Vec<(Kind, &'a str)> {
        Vec::new()
    }

    /// Keys that stay as they were made.
    fn fixed_fields() -> &'static [&'static str] {
        &[]
    }
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: it is an account.
    Nobody,
    /// Its document names the account.
    Account,
    /// The account of what it refers to.
    Inherited,
}

/// How the secret of a resource is made, kept and used.
#[derive(Clone, Copy, Debug)]
pub struct SecretRule {
    /// The key of the document under which it is given and, once, shown.
    pub field: &'static str,
    /// Whether it is also kept so that it can be shown or used in clear again.
    pub sealed: bool,
    /// The kind under which the corridor finds an entry by it; `None` where it only proves.
    pub found_as: Option<Kind>,
    /// What is wrong with one that was given; the text by which it is known, where that is only a part of it.
    pub check: fn(&Secret) -> Result<Option<Secret>, &'static str>,
    /// Makes one, where none is given. `None`: then there is none, and it is set and taken away by a change instead of being
    /// rotated, since nobody presents it.
    pub make: Option<fn() -> Secret>,
}

/// Something that must exist for an entry to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// What it is.
    pub resource: Resource,
    /// Its id.
    pub id: &'a str,
    /// The key of the document that names it.
    pub field: &'static str,
    /// The entry goes when it goes; else it cannot go before the entry has.
    pub follows: bool,
}

macro_rules! resources {
    ($($(#[$about:meta])* $name:ident = $code:literal, $word:literal, $path:literal;)*) => {
        /// What is kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Resource {
            $($(#[$about])* $name = $code,)*
        }

        impl Resource {
            /// All of them; what others refer to comes first.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in files, logs and the audit trail.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The name in the paths of the admin API.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// The one-line description.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => <$name as Attributes>::ABOUT,)* }
            }

            /// How its secret is made, kept and used.
            pub fn secret(self) -> Option<SecretRule> {
                match self { $(Self::$name => <$name as Attributes>::SECRET,)* }
            }

            /// Whose it is.
            pub fn owner(self) -> Owner {
                match self { $(Self::$name => <$name as Attributes>::OWNER,)* }
            }

            /// The keys of its document that are its own.
            pub(super) fn fields(self) -> &'static [&'static str] {
                match self { $(Self::$name => <$name as Attributes>::FIELDS,)* }
            }

            /// Keys that stay as they were made.
            pub fn fixed_fields(self) -> &'static [&'static str] {
                match self { $(Self::$name => <$name as Attributes>::fixed_fields(),)* }
            }

            /// The JSON schema of what is its own.
            pub fn schema(self) -> Schema {
                match self { $(Self::$name => schema_for!($name),)* }
            }
        }

        /// What only its resource has.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Body {
            $($(#[$about])* $name($name),)*
        }

        impl Body {
            /// Which resource it is of.
            pub fn resource(&self) -> Resource {
                match self { $(Self::$name(_) => Resource::$name,)* }
            }

            /// Reads what is left of a document without the keys that every entry has.
            pub(super) fn read(resource: Resource, own: Map<String, Value>) -> Result<Self, Fault> {
                match resource { $(Resource::$name => read(own).map(Self::$name),)* }
            }

            /// As it stands in a document.
            pub(super) fn write(&self) -> Map<String, Value> {
                match self { $(Self::$name(own) => write(own),)* }
            }

            /// What is wrong with it by itself.
            pub(super) fn faults(&self) -> Vec<Fault> {
                match self { $(Self::$name(own) => own.faults(),)* }
            }

            /// What it refers to, which must exist.
            pub fn references(&self) -> Vec<Reference<'_>> {
                match self { $(Self::$name(own) => own.references(),)* }
            }

            /// The texts by which it is found and that are no secret.
            pub(super) fn public_handles<'a>(&'a self, id: &'a str) -> Vec<(Kind, &'a str)> {
                match self { $(Self::$name(own) => own.public_handles(id),)* }
            }
        }
    };
}

// The numbers are written in the store: they are never used for anything else.
resources! {
    /// Who owns credentials.
    Account = 1, "account", "accounts";
    /// VXG's license key.
    LicenseKey = 2, "license_key", "license-keys";
    /// An API identifier with its secret.
    ApiClient = 3, "api_client", "api-clients";
    /// A camera.
    Camera = 4, "camera", "cameras";
    /// A group of cameras.
    CameraGroup = 5, "camera_group", "camera-groups";
    /// An access token for a camera or a group.
    Token = 6, "token", "tokens";
    /// A user with a key.
    User = 7, "user", "users";
    /// An opaque token that was issued to a user.
    BearerToken = 8, "bearer_token", "bearer-tokens";
    /// The public key of a service account.
    ServiceAccount = 9, "service_account", "service-accounts";
    /// An app that signs what is published and played.
    App = 10, "app", "apps";
    /// A client certificate of a super-administrator.
    AdminCertificate = 11, "admin_certificate", "admin-certificates";
}

impl Resource {
    /// The resource with this number in the store.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|resource| resource.code() == code)
    }

    /// Its number in the store.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// The resource of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|resource| resource.name() == name)
    }

    /// The name as people say it: `license key`.
    pub fn words(self) -> String {
        self.name().replace('_', " ")
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn read<T: DeserializeOwned>(own: Map<String, Value>) -> Result<T, Fault> {
    serde_path_to_error::deserialize(Value::Object(own)).map_err(|error| Fault::of_serde(&error))
}

/// What is wrong with a list of words, such as roles.
fn word_faults(field: &str, words: &[String]) -> Vec<Fault> {
    const MOST: usize = 64;
    let word = |word: &String| {
        (1..=128).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
    };
    if words.len() <= MOST && words.iter().all(word) {
        return Vec::new();
    }
    vec![Fault::new(field, format!("these are at most {MOST} words of visible ASCII without commas"))]
}

fn write<T: Serialize>(own: &T) -> Map<String, Value> {
    match serde_json::to_value(own) {
        Ok(Value::Object(map)) => map,
        Ok(_) | Err(_) => unreachable!("attributes are structs of plain values"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_resource_are_those_of_its_schema() {
        for resource in Resource::ALL {
            let schema = resource.schema().to_value();
            let mut named: Vec<&str> =
                schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
            let mut fields = resource.fields().to_vec();
            named.sort_unstable();
            fields.sort_unstable();
            assert_eq!(named, fields, "{resource}");
            assert_eq!(schema["additionalProperties"], false, "{resource} takes unknown fields");
            assert!(resource.fixed_fields().iter().all(|fixed| fields.contains(fixed)), "{resource}");
        }
    }

    #[test]
    fn numbers_names_and_paths_are_each_ones_own() {
        for resource in Resource::ALL {
            assert_eq!(Resource::of_code(resource.code()), Some(*resource));
            assert_eq!(Resource::ALL.iter().filter(|other| other.path() == resource.path()).count(), 1);
            assert_eq!(Resource::of_name(resource.name()), Some(*resource));
        }
        assert_eq!(Resource::of_code(0), None);
    }
}
