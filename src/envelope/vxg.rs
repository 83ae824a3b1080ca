//! VXG's dialect: `status`, `errorType` and `errorDetail`. Their clients read `errorDetail`, and one of them tells an
//! error from an object by the presence of `status`.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use super::{Dialect, NO_STORE, Wording, status, told};
use crate::refusal::{Cause, Reason, Refusal};

/// VXG Cloud VMS.
pub const DIALECT: Dialect = Dialect { name: "vxg", about: "VXG Cloud VMS: status, errorType, errorDetail", word };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    status: u16,
    error_type: &'static str,
    error_detail: &'a str,
}

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    let status = status(refusal);
    let failure =
        Failure { status: status.as_u16(), error_type: error_type(refusal.cause), error_detail: told(refusal) };
    let body = serde_json::to_vec(&failure).expect("text and a number are always JSON");
    Wording {
        status,
        content_type: HeaderValue::from_static("application/json"),
        headers: Cow::Borrowed(&NO_STORE),
        body: Bytes::from(body),
    }
}

/// `invalid_auth` and `access_deny` are VXG's own; the rest follows their manner.
fn error_type(cause: Cause) -> &'static str {
    match cause {
        Cause::Credential(Reason::Contradicted | Reason::Insecure)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::AllotmentReached => "access_deny",
        Cause::Credential(
            Reason::Missing
            | Reason::Malformed
            | Reason::Ambiguous
            | Reason::Leaked
            | Reason::Foreign
            | Reason::Unknown
            | Reason::Mismatch
            | Reason::Expired
            | Reason::NotYetValid
            | Reason::LivesTooLong
            | Reason::Disabled,
        ) => "invalid_auth",
        Cause::MalformedRequest
        | Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::ExpectationFailed
        | Cause::Misdirected
        | Cause::BodyTooLarge
        | Cause::UnsupportedMediaType
        | Cause::InvalidContent
        | Cause::Conflict
        | Cause::OperationMissing
        | Cause::GrantRefused
        | Cause::GrantUnsupported
        | Cause::MalformedBody => "bad_request",
        Cause::RateExceeded | Cause::QuotaExceeded | Cause::ConcurrencyExceeded | Cause::TooManyFailures => {
            "limit_reached"
        }
        Cause::NotImplemented => "not_implemented",
        Cause::NotFound | Cause::OperationUnknown => "not_found",
        Cause::MethodNotAllowed | Cause::MethodNotImplemented => "method_not_allowed",
        Cause::BodyTimeout | Cause::UpstreamTimeout => "timeout",
        Cause::Credential(Reason::Unsettled)
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed => "service_unavailable",
        Cause::Internal => "server_error",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_cause_has_status_type_and_detail() {
        insta::assert_snapshot!(super::super::tests::every_cause(&super::DIALECT), @r#"
        malformed_request 400 {"status":400,"errorType":"bad_request","errorDetail":"The request could not be understood."}
        target_too_long 414 {"status":414,"errorType":"bad_request","errorDetail":"The address of the request is too long."}
        head_too_large 431 {"status":431,"errorType":"bad_request","errorDetail":"The header fields of the request are too large."}
        expectation_failed 417 {"status":417,"errorType":"bad_request","errorDetail":"The only expectation that can be met is 100-continue."}
        misdirected 421 {"status":421,"errorType":"bad_request","errorDetail":"This connection was made for another host. Please open a new one."}
        not_found 404 {"status":404,"errorType":"not_found","errorDetail":"There is nothing at this address."}
        method_not_allowed 405 {"status":405,"errorType":"method_not_allowed","errorDetail":"This method cannot be used here."}
        method_not_implemented 501 {"status":501,"errorType":"method_not_allowed","errorDetail":"This method is not supported."}
        not_implemented 501 {"status":501,"errorType":"not_implemented","errorDetail":"This is not available yet."}
        credential_missing 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_foreign 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_malformed 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_ambiguous 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_insecure 403 {"status":403,"errorType":"access_deny","errorDetail":"Credentials are only taken over HTTPS."}
        credential_leaked 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_unknown 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_unsettled 503 {"status":503,"errorType":"service_unavailable","errorDetail":"The service is busy. Please try again in a moment."}
        credential_mismatch 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_expired 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_not_yet_valid 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_lives_too_long 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_disabled 401 {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        credential_contradicted 403 {"status":403,"errorType":"access_deny","errorDetail":"The credential does not permit this."}
        address_refused 403 {"status":403,"errorType":"access_deny","errorDetail":"This is not permitted from your address."}
        permission_denied 403 {"status":403,"errorType":"access_deny","errorDetail":"The credential does not permit this."}
        origin_refused 403 {"status":403,"errorType":"access_deny","errorDetail":"This is not permitted from this page."}
        operation_missing 400 {"status":400,"errorType":"bad_request","errorDetail":"The request names no operation."}
        operation_unknown 404 {"status":404,"errorType":"not_found","errorDetail":"There is no such operation."}
        grant_refused 400 {"status":400,"errorType":"bad_request","errorDetail":"What was presented is not good for a token."}
        grant_unsupported 400 {"status":400,"errorType":"bad_request","errorDetail":"Tokens are not given for this."}
        body_too_large 413 {"status":413,"errorType":"bad_request","errorDetail":"The body of the request is too large."}
        unsupported_media_type 415 {"status":415,"errorType":"bad_request","errorDetail":"The body of the request is of a type that is not taken here."}
        invalid_content 400 {"status":400,"errorType":"bad_request","errorDetail":"The content of the request is not what is asked for."}
        conflict 409 {"status":409,"errorType":"bad_request","errorDetail":"The request does not go together with what is there."}
        allotment_reached 403 {"status":403,"errorType":"access_deny","errorDetail":"The account has all that it may have."}
        rate_exceeded 429 {"status":429,"errorType":"limit_reached","errorDetail":"Too many requests. Please slow down."}
        quota_exceeded 429 {"status":429,"errorType":"limit_reached","errorDetail":"The quota of requests is used up. Please come back when it begins anew."}
        concurrency_exceeded 429 {"status":429,"errorType":"limit_reached","errorDetail":"Too many requests at the same time. Please wait for one to end."}
        too_many_failures 429 {"status":429,"errorType":"limit_reached","errorDetail":"Too many failed attempts. Please try again later."}
        malformed_body 400 {"status":400,"errorType":"bad_request","errorDetail":"The body of the request could not be read."}
        body_timeout 408 {"status":408,"errorType":"timeout","errorDetail":"The body of the request did not arrive in time."}
        overloaded 503 {"status":503,"errorType":"service_unavailable","errorDetail":"The service is busy. Please try again in a moment."}
        upstream_unreachable 502 {"status":502,"errorType":"service_unavailable","errorDetail":"The service behind this address did not answer properly."}
        upstream_failed 502 {"status":502,"errorType":"service_unavailable","errorDetail":"The service behind this address did not answer properly."}
        upstream_timeout 504 {"status":504,"errorType":"timeout","errorDetail":"The service behind this address did not answer in time."}
        internal 500 {"status":500,"errorType":"server_error","errorDetail":"Something went wrong on our side."}
        "#);
    }
}
