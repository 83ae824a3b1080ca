//! Client certificates of super-administrators.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::Attributes;
use crate::record::Kind;
use crate::scheme::mtls;
use crate::store::refused::Fault;

/// A client certificate, known by its digest or by its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminCertificate {
    /// SHA-256 over the certificate (DER), as `openssl x509 -noout -fingerprint -sha256` prints it, or as 64 hex digits.
    #[serde(default, deserialize_with = "in_one_form")]
    pub sha256: Option<String>,
    /// For certificates of a CA: the common name, or the whole subject as `openssl x509 -noout -subject -nameopt RFC2253`
    /// prints it (RFC 4514). Beside `sha256` it is for the reader alone.
    #[serde(default)]
    pub subject: Option<String>,
}

/// A digest in the one form by which it is looked up. What is none stays as it is, for the fault.
fn in_one_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| mtls::digest(&text).unwrap_or(text)))
}

impl Attributes for AdminCertificate {
    const ABOUT: &'static str = "A client certificate of a super-administrator, by digest or subject";
    const FIELDS: &'static [&'static str] = &["sha256", "subject"];

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.sha256.is_none() && self.subject.is_none() {
            faults.push(Fault::new("sha256", "a certificate is known by its `sha256` or by its `subject`"));
        }
        if let Some(Err(invalid)) = self.sha256.as_deref().map(mtls::digest) {
            faults.push(Fault::new("sha256", invalid.message));
        }
        if let Some(Err(invalid)) = self.subject.as_deref().map(mtls::presentable) {
            faults.push(Fault::new("subject", invalid.message));
        }
        faults
    }

    fn public_handles<'a>(&'a self, _: &'a str) -> Vec<(Kind, &'a str)> {
        // No subject reads as a digest does, so that none stands in the place of another entry's.
        self.sha256
            .as_deref()
            .or(self.subject.as_deref())
            .map(|text| (Kind::AdminCertificate, text))
            .into_iter()
            .collect()
    }
}
