//! Who the caller is, told to the upstream in header fields that no caller can set: they are always stripped first.

use http::HeaderName;

use crate::forward::fields::Fields;
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
pub(super) fn write(fields: &mut impl Fields, admission: &Admission) {
    let principal = admission.principal();
    fields.line(&SUBJECT, principal.subject_field());
    fields.line(&SCHEME, principal.scheme().as_bytes());
    if let Some(account) = principal.account() {
        fields.field(&ACCOUNT, &account.header);
    }
    for (name, value) in principal.fields() {
        fields.field(name, value);
    }
    if let Some(Scopes(scopes)) = principal.scopes()
        && scopes.iter().all(|scope| is_text(scope))
    {
        fields.words(&SCOPES, scopes);
    }
}

/// Whether a field can carry it (RFC 9110 §5.5).
fn is_text(scope: &str) -> bool {
    scope.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
