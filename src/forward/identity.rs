//! Who the caller is, told to the upstream in header fields that no caller can set: they are always stripped first.

use http::{HeaderName, HeaderValue};

use crate::forward::http1::{field, line};
use crate::limit::Admission;

/// Who speaks.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-vidgate-subject");
/// The account it speaks for.
pub const ACCOUNT: HeaderName = HeaderName::from_static("x-vidgate-account");
/// The kind of the scheme that proved it.
pub const SCHEME: HeaderName = HeaderName::from_static("x-vidgate-scheme");
/// What it may do, where it is limited.
pub const SCOPES: HeaderName = HeaderName::from_static("x-vidgate-scopes");

/// Writes the identity. The caller's own copies are not passed on.
pub(super) fn write(text: &mut Vec<u8>, admission: &Admission) {
    let principal = admission.principal();
    field(text, &SUBJECT, &principal.subject_header());
    line(text, SCHEME.as_str(), principal.scheme().as_bytes());
    if let Some(account) = principal.account() {
        field(text, &ACCOUNT, &account.header);
    }
    for (name, value) in principal.fields() {
        field(text, name, value);
    }
    if let Some(scopes) = principal.scopes()
        && let Ok(scopes) = HeaderValue::try_from(scopes.0.join(" "))
    {
        field(text, &SCOPES, &scopes);
    }
}
