//! Who the caller is, told to the upstream in header fields that no caller can set: they are always stripped first.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::limit::Admission;

/// Who speaks.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-vidgate-subject");
/// The account it speaks for.
pub const ACCOUNT: HeaderName = HeaderName::from_static("x-vidgate-account");
/// The kind of the scheme that proved it.
pub const SCHEME: HeaderName = HeaderName::from_static("x-vidgate-scheme");
/// What it may do, where it is limited.
pub const SCOPES: HeaderName = HeaderName::from_static("x-vidgate-scopes");

/// Writes the identity. The caller's own copies are gone by now.
pub(super) fn write(headers: &mut HeaderMap, admission: &Admission) {
    let principal = admission.principal();
    headers.insert(SUBJECT, principal.subject_header());
    headers.insert(SCHEME, HeaderValue::from_static(principal.scheme()));
    if let Some(account) = principal.account() {
        headers.insert(ACCOUNT, account.header.clone());
    }
    if let Some(scopes) = principal.scopes()
        && let Ok(scopes) = HeaderValue::try_from(scopes.0.join(" "))
    {
        headers.insert(SCOPES, scopes);
    }
}
