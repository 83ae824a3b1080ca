//! Client certificates of super-administrators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Attributes;
use crate::record::Kind;
use crate::store::refused::Fault;

/// A client certificate, known by its digest or by its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminCertificate {
    /// SHA-256 over the certificate (DER), 64 hex digits in lower case.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The common name of the subject, for certificates of a CA.
    #[serde(default)]
    pub subject: Option<String>,
}

impl Attributes for AdminCertificate {
    const ABOUT: &'static str = "A client certificate of a super-administrator, by digest or subject";
    const FIELDS: &'static [&'static str] = &["sha256", "subject"];

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.sha256.is_none() && self.subject.is_none() {
            faults.push(Fault::new("sha256", "a certificate is known by its `sha256` or by its `subject`"));
        }
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.sha256.as_ref().is_some_and(|text| text.len() != 64 || !text.bytes().all(lower_hex)) {
            faults.push(Fault::new("sha256", "SHA-256 is 64 hex digits in lower case, without colons"));
        }
        if self
            .subject
            .as_ref()
            .is_some_and(|text| !(1..=256).contains(&text.len()) || text.chars().any(char::is_control))
        {
            faults.push(Fault::new("subject", "a subject is 1 to 256 bytes without control characters"));
        }
        faults
    }

    fn public_handles<'a>(&'a self, _: &'a str) -> Vec<(Kind, &'a str)> {
        // The two can never be the same text of two entries: a subject of 64 hex digits is still another entry's digest
        // only if an operator wrote it so, and then it is a clash.
        self.sha256
            .as_deref()
            .or(self.subject.as_deref())
            .map(|text| (Kind::AdminCertificate, text))
            .into_iter()
            .collect()
    }
}
