//! One account, credential or thing that is on file: what every resource shares, and the versions of its secret. How it
//! is laid down in the store stands here too; how people write it, in `document.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resource::{Body, Resource};
use super::seal::Sealed;
use crate::clock::UnixTime;

/// Something on file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id: 1 to 128 visible ASCII characters, the same for good.
    pub id: String,
    /// One more with every change.
    pub revision: u64,
    /// When it was made.
    pub created: UnixTime,
    /// When it was last changed.
    pub changed: UnixTime,
    /// What every entry may say of itself.
    pub common: Common,
    /// What only its resource has.
    pub body: Body,
    /// The versions of its secret, newest first.
    pub(super) versions: Vec<Version>,
}

/// What every entry may say of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// What people call it; it can be changed, unlike the id.
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
    /// The account that owns it.
    pub account: Option<String>,
    /// Switched off.
    pub disabled: bool,
    /// Good from then on.
    pub not_before: Option<UnixTime>,
    /// Good before then.
    pub expires: Option<UnixTime>,
    /// Whatever else is to be kept with it, text by text.
    pub metadata: BTreeMap<String, String>,
}

/// One version of a secret. Rotation adds one; the one before is good until the overlap ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Counted from 1.
    pub(super) number: u32,
    /// When it was made.
    pub(super) created: UnixTime,
    /// Good before then.
    pub(super) expires: Option<UnixTime>,
    /// Its keyed digest.
    pub(super) digest: Keyed,
    /// Itself, where it must be shown or used in clear again.
    pub(super) sealed: Option<Sealed>,
}

/// A digest with the number of the pepper that it was made under.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Keyed {
    pub(super) pepper: u16,
    pub(super) digest: [u8; 32],
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyed({})", self.pepper)
    }
}

impl Entry {
    /// What it is.
    pub fn resource(&self) -> Resource {
        self.body.resource()
    }

    /// The account that it belongs to, or that it is.
    pub fn account(&self) -> &str {
        self.common.account.as_deref().unwrap_or(&self.id)
    }

    /// How it stands at this instant.
    pub fn status(&self, now: UnixTime) -> Status {
        if self.common.disabled {
            Status::Disabled
        } else if self.common.expires.is_some_and(|end| now >= end) {
            Status::Expired
        } else if self.common.not_before.is_some_and(|start| now < start) {
            Status::Pending
        } else {
            Status::Active
        }
    }

    /// As it is laid down.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("entries are plain values")
    }

    /// Reads what was laid down; nothing may be left over.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((entry, [])) => Some(entry),
            Ok(_) | Err(_) => None,
        }
    }
}

/// How an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is believed.
    Active,
    /// Switched off by an operator.
    Disabled,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Pending,
}

impl Status {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Pending => "pending",
        }
    }

    /// The status of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Disabled, Self::Expired, Self::Pending].into_iter().find(|status| status.name() == name)
    }
}
