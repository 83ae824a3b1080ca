//! VXG's license keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attributes, SecretRule};
use crate::record::Kind;
use crate::scheme::lkey;
use crate::secret::Secret;
use crate::store::key_text::{self, Prefix};

/// A license key (`LKey`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LicenseKey {}

impl Attributes for LicenseKey {
    const ABOUT: &'static str = "A license key of an account (LKey)";
    const FIELDS: &'static [&'static str] = &[];
    const SECRET: Option<SecretRule> = Some(SecretRule {
        field: "key",
        // VXG's admin API shows license keys again.
        sealed: true,
        found_as: Some(Kind::LicenseKey),
        check,
        make: Some(|| key_text::make(Prefix::LICENSE_KEY)),
    });
}

fn check(key: &Secret) -> Result<Option<Secret>, &'static str> {
    lkey::presentable(key.expose())
        .map(|()| None)
        .map_err(|_| "no request can carry this license key: it is 1 to 8192 visible ASCII characters without commas")
}
