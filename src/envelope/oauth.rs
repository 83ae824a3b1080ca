//! The dialect of token endpoints (RFC 6749 §5.2), as ASP.NET's Katana speaks it in front of Multicam: one property
//! `error`, status 400, and three fields that forbid caching. No `error_description`: the vendor sends none,
//! and one that says which part of a grant was wrong would be an oracle.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::message::NO_CACHE;
use super::{Dialect, Wording, status};
use crate::refusal::{Cause, Reason, Refusal};

/// Token endpoints.
pub const DIALECT: Dialect =
    Dialect { name: "oauth", about: "token endpoints (RFC 6749 §5.2; Multicam): one property, error", word };

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    let (status, error) = face(refusal);
    Wording {
        status,
        // Katana's spelling, without a blank: some clients compare the whole value.
        content_type: HeaderValue::from_static("application/json;charset=UTF-8"),
        headers: Cow::Borrowed(&NO_CACHE),
        body: Bytes::from_static(error.as_bytes()),
    }
}

fn face(refusal: &Refusal) -> (StatusCode, &'static str) {
    // Whatever is wrong with what was sent is 400 (RFC 6749 §5.2); a status that was settled elsewhere stays.
    let bad = refusal.status.unwrap_or(StatusCode::BAD_REQUEST);
    match refusal.cause {
        Cause::GrantRefused => (bad, r#"{"error":"invalid_grant"}"#),
        Cause::GrantUnsupported => (bad, r#"{"error":"unsupported_grant_type"}"#),
        Cause::MalformedRequest
        | Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::ExpectationFailed
        | Cause::BodyTooLarge
        | Cause::UnsupportedMediaType
        | Cause::InvalidContent
        | Cause::OperationMissing
        | Cause::OperationUnknown
        | Cause::Conflict
        | Cause::MalformedBody => (bad, r#"{"error":"invalid_request"}"#),
        // What the request is for is not in question here, and clients of HTTP know these by their status.
        Cause::Misdirected
        | Cause::NotFound
        | Cause::MethodNotAllowed
        | Cause::MethodNotImplemented
        | Cause::NotImplemented
        | Cause::BodyTimeout => (status(refusal), r#"{"error":"invalid_request"}"#),
        // Not 401: the vendor's clients take that for a token that has run out, and come here for a new one.
        Cause::Credential(
            Reason::Missing
            | Reason::Malformed
            | Reason::Ambiguous
            | Reason::Insecure
            | Reason::Leaked
            | Reason::Foreign
            | Reason::Unknown
            | Reason::Mismatch
            | Reason::Expired
            | Reason::NotYetValid
            | Reason::LivesTooLong
            | Reason::Disabled
            | Reason::Contradicted,
        )
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::AllotmentReached => (refusal.status.unwrap_or(StatusCode::FORBIDDEN), r#"{"error":"access_denied"}"#),
        Cause::Credential(Reason::Unsettled)
        | Cause::RateExceeded
        | Cause::QuotaExceeded
        | Cause::ConcurrencyExceeded
        | Cause::TooManyFailures
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed
        | Cause::UpstreamTimeout => (status(refusal), r#"{"error":"temporarily_unavailable"}"#),
        Cause::Internal => (status(refusal), r#"{"error":"server_error"}"#),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, tests};
    use super::*;

    #[test]
    fn every_cause_is_one_error() {
        insta::assert_snapshot!(tests::every_cause(&DIALECT), @r#"
        malformed_request 400 {"error":"invalid_request"}
        target_too_long 400 {"error":"invalid_request"}
        head_too_large 400 {"error":"invalid_request"}
        expectation_failed 400 {"error":"invalid_request"}
        misdirected 421 {"error":"invalid_request"}
        not_found 404 {"error":"invalid_request"}
        method_not_allowed 405 {"error":"invalid_request"}
        method_not_implemented 501 {"error":"invalid_request"}
        not_implemented 501 {"error":"invalid_request"}
        credential_missing 403 {"error":"access_denied"}
        credential_foreign 403 {"error":"access_denied"}
        credential_malformed 403 {"error":"access_denied"}
        credential_ambiguous 403 {"error":"access_denied"}
        credential_insecure 403 {"error":"access_denied"}
        credential_leaked 403 {"error":"access_denied"}
        credential_unknown 403 {"error":"access_denied"}
        credential_unsettled 503 {"error":"temporarily_unavailable"}
        credential_mismatch 403 {"error":"access_denied"}
        credential_expired 403 {"error":"access_denied"}
        credential_not_yet_valid 403 {"error":"access_denied"}
        credential_lives_too_long 403 {"error":"access_denied"}
        credential_disabled 403 {"error":"access_denied"}
        credential_contradicted 403 {"error":"access_denied"}
        address_refused 403 {"error":"access_denied"}
        permission_denied 403 {"error":"access_denied"}
        origin_refused 403 {"error":"access_denied"}
        operation_missing 400 {"error":"invalid_request"}
        operation_unknown 400 {"error":"invalid_request"}
        grant_refused 400 {"error":"invalid_grant"}
        grant_unsupported 400 {"error":"unsupported_grant_type"}
        body_too_large 400 {"error":"invalid_request"}
        unsupported_media_type 400 {"error":"invalid_request"}
        invalid_content 400 {"error":"invalid_request"}
        conflict 400 {"error":"invalid_request"}
        allotment_reached 403 {"error":"access_denied"}
        rate_exceeded 429 {"error":"temporarily_unavailable"}
        quota_exceeded 429 {"error":"temporarily_unavailable"}
        concurrency_exceeded 429 {"error":"temporarily_unavailable"}
        too_many_failures 429 {"error":"temporarily_unavailable"}
        malformed_body 400 {"error":"invalid_request"}
        body_timeout 408 {"error":"invalid_request"}
        overloaded 503 {"error":"temporarily_unavailable"}
        upstream_unreachable 502 {"error":"temporarily_unavailable"}
        upstream_failed 502 {"error":"temporarily_unavailable"}
        upstream_timeout 504 {"error":"temporarily_unavailable"}
        internal 500 {"error":"server_error"}
        "#);
    }

    /// Katana's answer to a wrong password, which a client may compare whole.
    #[test]
    fn a_refused_grant_is_answered_as_the_vendor_answers() {
        let response = render(&DIALECT, &Refusal::new(Cause::GrantRefused, ""), &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(tests::written(&response), @r#"
        400 Bad Request
        content-type: application/json;charset=UTF-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: r-1

        {"error":"invalid_grant"}
        "#);
    }
}
