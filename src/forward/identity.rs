//! Who the caller is, told to the upstream in header fields that no caller can set: they are always stripped first.

use http::HeaderName;

use crate::forward::http1::{field, line};
use crate::limit::Admission;
use crate::record::Scopes;

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
    line(text, SUBJECT.as_str(), principal.subject_field());
    line(text, SCHEME.as_str(), principal.scheme().as_bytes());
    if let Some(account) = principal.account() {
        field(text, &ACCOUNT, &account.header);
    }
    for (name, value) in principal.fields() {
        field(text, name, value);
    }
    if let Some(Scopes(scopes)) = principal.scopes()
        && scopes.iter().all(|scope| is_text(scope))
    {
        text.extend_from_slice(SCOPES.as_str().as_bytes());
        text.extend_from_slice(b":");
        for scope in scopes.iter() {
            text.extend_from_slice(b" ");
            text.extend_from_slice(scope.as_bytes());
        }
        text.extend_from_slice(b"\r\n");
    }
}

/// Whether a field can carry it (RFC 9110 §5.5).
fn is_text(scope: &str) -> bool {
    scope.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
