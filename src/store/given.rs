//! The versions of a secret as an export has them, and how they come into another store: a secret itself, or its digest
//! with the pepper that it was made under. Read into memory that is wiped, as far as whoever wrote them allows.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entry::{Entry, Keyed, Version};
use super::key::Key;
use super::key_text::{self, Shape};
use super::keyring::Keyring;
use super::link::Stop;
use super::refused::{Fault, Refused};
use super::rotate::MOST_VERSIONS;
use super::rules::{self, Circumstances};
use super::shelf::Desk;
use crate::clock::UnixTime;
use crate::secret::Secret;

/// The key of a document under which versions stand.
const FIELD: &str = "versions";

/// A version of a secret as an export has it.
#[derive(Clone, Debug)]
pub struct Given {
    /// When it was made.
    pub created: Option<UnixTime>,
    /// Good before then.
    pub expires: Option<UnixTime>,
    /// What is known of it.
    pub known: Known,
}

/// What an export knows of a secret.
#[derive(Clone)]
pub enum Known {
    /// Itself.
    Secret(Secret),
    /// Its digest alone, under a pepper of the store that it comes from.
    Digest {
        /// The pepper.
        pepper: Key,
        /// The digest.
        digest: [u8; 32],
    },
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(***)",
            Self::Digest { .. } => "Digest(***)",
        })
    }
}

/// How a version is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pepper: Option<Text>,
}

/// A text that is wiped.
struct Text(Secret);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(self.0.expose());
        text.map_err(|_| serde::ser::Error::custom("this is no text"))?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A string that is handed over is taken as it is, without a copy that stays behind.
        String::deserialize(deserializer).map(|text| Self(Secret::new(text.into_bytes())))
    }
}

impl Given {
    /// Reads one version: `{"created"?, "expires"?, "secret"}` or `{"created"?, "expires"?, "digest", "pepper"}`, the
    /// last two in hex.
    pub fn read(value: Value) -> Result<Self, Fault> {
        // What serde says of another sort of value would repeat it, and it may be a secret.
        if !value.is_object() {
            return Err(Fault::new("", "a version of a secret is an object"));
        }
        serde_path_to_error::deserialize::<_, Form>(value).map_err(|error| Fault::of_serde(&error)).and_then(Self::of)
    }

    /// Reads a list of versions, the newest first. Faults name their place: `versions[1].digest`.
    pub fn read_all(value: Value) -> Result<Vec<Self>, Fault> {
        let Value::Array(values) = value else {
            return Err(Fault::new(FIELD, "the versions of a secret are a list, the newest first"));
        };
        few_enough(values.len()).map_err(|message| Fault::new(FIELD, message))?;
        let placed = |(place, value)| {
            Self::read(value).map_err(|fault| {
                let dot = if fault.field.is_empty() { "" } else { "." };
                Fault { field: format!("{FIELD}[{place}]{dot}{}", fault.field), ..fault }
            })
        };
        values.into_iter().enumerate().map(placed).collect()
    }

    /// As [`Given::read`] reads it. In clear: for a request, never for a log.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self.to_form()).expect("a version that was read is texts")
    }

    /// The form that says it.
    pub(super) fn to_form(&self) -> Form {
        let Self { created, expires, known } = self;
        let (created, expires) = (*created, *expires);
        let hex = |bytes: &[u8; 32]| Some(Text(Secret::new(HEXLOWER.encode(bytes).into_bytes())));
        match known {
            Known::Secret(secret) => {
                Form { created, expires, secret: Some(Text(secret.clone())), digest: None, pepper: None }
            }
            Known::Digest { pepper, digest } => {
                Form { created, expires, secret: None, digest: hex(digest), pepper: hex(pepper.expose()) }
            }
        }
    }

    /// What a form says.
    pub(super) fn of(form: Form) -> Result<Self, Fault> {
        let Form { created, expires, secret, digest, pepper } = form;
        let known = match (secret, digest, pepper) {
            (Some(Text(secret)), None, None) => Known::Secret(secret),
            (None, Some(digest), Some(pepper)) => {
                let (digest, pepper) = (hex("digest", &digest)?, hex("pepper", &pepper)?);
                Known::Digest { pepper: Key::new(&pepper), digest: *digest }
            }
            _ => return Err(Fault::new("", "a version has a `secret`, or a `digest` and its `pepper`")),
        };
        Ok(Self { created, expires, known })
    }

    /// As a version of the entry's secret.
    pub(super) fn version(
        self,
        number: u32,
        desk: &Desk<'_>,
        entry: &Entry,
        at: &Circumstances<'_>,
    ) -> Result<Version, Stop> {
        let none = || Refused::invalid(FIELD, format!("a {} has no secret", entry.resource().words()));
        let rule = entry.resource().secret().ok_or_else(none)?;
        let (created, expires) = (self.created.unwrap_or(at.now), self.expires);
        match self.known {
            Known::Secret(secret) => {
                if key_text::shape(secret.expose()) == Shape::Mistyped {
                    let message = "this looks like a key made by vidgate, but its checksum is wrong";
                    return Err(Refused::invalid(FIELD, message).into());
                }
                let (version, _) = rules::new_version(desk, entry, Some(&secret), number, at)?.ok_or_else(none)?;
                Ok(Version { created, expires, ..version })
            }
            Known::Digest { .. } if rule.sealed => {
                Err(Refused::invalid(FIELD, "its secret itself is needed, not a digest").into())
            }
            Known::Digest { pepper, digest } => {
                let pepper = number_of(&desk.keys().keyring, &pepper).ok_or_else(|| {
                    Refused::conflict(FIELD, "the peppers of too many stores are in use; retire some first")
                })?;
                if rule.found_as.is_some_and(|kind| at.is_declared(kind, digest)) {
                    return Err(rules::declared(entry.resource(), FIELD).into());
                }
                Ok(Version { number, created, expires, digest: Keyed { pepper, digest }, sealed: None })
            }
        }
    }
}

/// The number that a pepper has in this store, if it is in use here.
pub(super) fn number_of(keyring: &Keyring, pepper: &Key) -> Option<u16> {
    let same = |own: &Key| bool::from(own.expose().ct_eq(pepper.expose()));
    keyring.peppers().iter().find(|own| same(&own.key)).map(|own| own.number)
}

/// Whether an entry may have so many versions.
pub(super) fn few_enough(count: usize) -> Result<(), String> {
    if count <= MOST_VERSIONS { Ok(()) } else { Err(format!("a secret has at most {MOST_VERSIONS} versions")) }
}

fn hex(field: &str, text: &Text) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let mut bytes = Zeroizing::new([0; 32]);
    let text = text.0.expose();
    match (text.len() == 64).then(|| HEXLOWER_PERMISSIVE.decode_mut(text, bytes.as_mut_slice())) {
        Some(Ok(_)) => Ok(bytes),
        Some(Err(_)) | None => Err(Fault::new(field, "this is 64 hex digits")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Resource;
    use crate::store::sample::{Sample, create, object};

    const DIGEST: [u8; 32] = [0xab; 32];

    fn digest(pepper: u8) -> Given {
        Given { created: None, expires: None, known: Known::Digest { pepper: Key::new(&[pepper; 32]), digest: DIGEST } }
    }

    fn clear(text: &str) -> Given {
        Given { created: None, expires: None, known: Known::Secret(Secret::new(text.as_bytes().to_vec())) }
    }

    #[test]
    fn a_version_is_read_as_it_is_written() {
        let text = "ab".repeat(32);
        let values = [
            json!({ "created": "2027-01-01T00:00:00Z", "expires": "2028-01-01T00:00:00Z", "secret": "p\"ä" }),
            json!({ "digest": text, "pepper": "01".repeat(32) }),
        ];
        for value in values {
            assert_eq!(Given::read(value.clone()).unwrap().to_value(), value);
        }
        let given = Given::read(json!({ "digest": text.to_uppercase(), "pepper": "01".repeat(32) })).unwrap();
        let Known::Digest { pepper, digest } = given.known else { panic!("a digest") };
        assert_eq!((pepper.expose(), digest), (&[1; 32], DIGEST));
    }

    #[test]
    fn what_is_no_version_is_refused_without_repeating_it() {
        let hex = "hunter2a".repeat(8);
        for (wrong, field) in [
            (json!("hunter2"), "versions[0]"),
            (json!(["hunter2"]), "versions[0]"),
            (json!({}), "versions[0]"),
            (json!({ "secret": "hunter2", "digest": hex }), "versions[0]"),
            (json!({ "digest": hex }), "versions[0]"),
            (json!({ "digest": hex, "pepper": hex }), "versions[0].digest"),
            (json!({ "digest": "ab".repeat(32), "pepper": hex }), "versions[0].pepper"),
            (json!({ "digest": "ab".repeat(31), "pepper": "ab".repeat(32) }), "versions[0].digest"),
            (json!({ "secret": ["hunter2"] }), "versions[0].secret"),
            (json!({ "secret": 7 }), "versions[0].secret"),
            (json!({ "created": "hunter2", "secret": "x" }), "versions[0].created"),
            (json!({ "key": "hunter2", "secret": "x" }), "versions[0].key"),
        ] {
            let fault = Given::read_all(json!([wrong])).unwrap_err();
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
            assert_eq!(fault.field, field, "{fault}");
        }
        let one = json!({ "secret": "x" });
        assert_eq!(Given::read_all(one.clone()).unwrap_err().field, "versions");
        assert!(Given::read_all(json!([one, one, one, one, one])).unwrap_err().message.contains("at most 4"));
        assert!(Given::read_all(json!([])).unwrap().is_empty());
    }

    #[test]
    fn debug_shows_neither_secret_nor_digest() {
        let shown = format!("{:?}", [digest(1), clear("hunter2")]);
        assert!(!shown.contains("171") && !shown.contains("hunter2") && shown.contains("Digest(***)"), "{shown}");
    }

    #[test]
    fn a_refused_creation_leaves_nothing_behind_not_even_a_pepper() {
        let mut sample = Sample::empty();
        sample.create(Resource::Account, json!({ "id": "acme" }));
        let refused = |resource, document, versions| {
            let before = sample.store.state().unwrap();
            let refused = create(&sample.store, resource, object(document), versions).unwrap_err().to_string();
            // Whatever was taken in for it is gone before the next change is worked.
            create(&sample.store, Resource::Account, object(json!({ "id": "acme" })), Vec::new()).unwrap_err();
            let after = sample.store.state().unwrap();
            assert_eq!((before.peppers, before.entries), (after.peppers, after.entries), "{refused}");
            refused
        };
        let client = || json!({ "id": "c", "account": "acme" });
        assert_eq!(
            refused(Resource::LicenseKey, json!({ "account": "acme" }), vec![digest(1)]),
            "`versions`: its secret itself is needed, not a digest"
        );
        assert_eq!(
            refused(Resource::Camera, json!({ "account": "acme" }), vec![digest(1)]),
            "`versions`: a camera has no secret"
        );
        assert_eq!(
            refused(Resource::ApiClient, json!({ "account": "acme", "secret": "hunter2hunter2" }), vec![digest(1)]),
            "`versions`: there is a `secret` already: it is the one or the other"
        );
        assert!(refused(Resource::ApiClient, client(), vec![digest(1); 5]).contains("at most 4 versions"));
        assert!(refused(Resource::ApiClient, json!({ "account": "nobody" }), vec![digest(1)]).contains("no account"));
        let mistyped = format!("vgs_{}_aaaaaaa", "a".repeat(52));
        assert!(refused(Resource::ApiClient, client(), vec![clear(&mistyped)]).contains("checksum"));
        let twice = vec![clear("one-and-the-same"), clear("one-and-the-same")];
        assert!(refused(Resource::LicenseKey, json!({ "account": "acme", "id": "l" }), twice).contains("the same key"));
    }

    #[test]
    fn peppers_of_other_stores_are_taken_in_once_and_not_without_bound() {
        let mut sample = Sample::empty();
        sample.create(Resource::Account, json!({ "id": "acme" }));
        let import = |id: String, pepper| {
            create(
                &sample.store,
                Resource::ApiClient,
                object(json!({ "id": id, "account": "acme" })),
                vec![digest(pepper)],
            )
        };
        for pepper in 1..=15 {
            import(format!("one-{pepper}"), pepper).unwrap();
            import(format!("two-{pepper}"), pepper).unwrap();
        }
        assert_eq!(
            import("three".to_owned(), 16).unwrap_err().to_string(),
            "`versions`: the peppers of too many stores are in use; retire some first"
        );
        let peppers = sample.store.state().unwrap().peppers;
        let of = |number: u16, secrets| crate::store::PepperUse { number, secrets };
        assert_eq!((peppers.len(), &peppers[0], &peppers[15]), (16, &of(85, 2), &of(100, 0)));
        // The same digest under the same pepper is the same secret; users are found by theirs.
        let user = |id: &str| object(json!({ "id": id, "account": "acme", "login": id }));
        create(&sample.store, Resource::User, user("a"), vec![digest(1)]).unwrap();
        let twice = create(&sample.store, Resource::User, user("b"), vec![digest(1)]).unwrap_err();
        assert_eq!(twice.to_string(), "`key`: another user has the same key");
    }
}
