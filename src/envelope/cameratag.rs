//! CameraTag's dialect: `success`, `error` and `message`. Its recorder shows `error` where publishing fails, and `message`
//! where recording cannot begin; both say the same. The old recorder reads neither unless the status is
//! 200: apps with `legacy_200` have it so, which is settled where the app is known.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::{Dialect, NO_STORE, Wording, status, told};
use crate::refusal::{Cause, Reason, Refusal};

/// CameraTag.
pub const DIALECT: Dialect = Dialect { name: "cameratag", about: "CameraTag: success, error, message", word };

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: &'a str,
    message: &'a str,
}

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    let said = told(refusal);
    let failure = Failure { success: false, error: said, message: said };
    Wording {
        status: face(refusal),
        content_type: HeaderValue::from_static("application/json"),
        headers: Cow::Borrowed(&NO_STORE),
        body: Bytes::from(serde_json::to_vec(&failure).expect("text is always JSON")),
    }
}

/// The vendor has 403 for whoever may not, be it a signature, a page or a key: a browser that met 401 would
/// ask its user for a password that nobody has.
fn face(refusal: &Refusal) -> StatusCode {
    match refusal.cause {
        Cause::Credential(reason) if reason != Reason::Unsettled => refusal.status.unwrap_or(StatusCode::FORBIDDEN),
        // What is left of credentials is not the caller's fault, and over in a moment.
        Cause::Credential(_)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::OperationMissing
        | Cause::OperationUnknown
        | Cause::GrantRefused
        | Cause::GrantUnsupported
        | Cause::MalformedRequest
        | Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::ExpectationFailed
        | Cause::Misdirected
        | Cause::NotFound
        | Cause::MethodNotAllowed
        | Cause::MethodNotImplemented
        | Cause::NotImplemented
        | Cause::BodyTooLarge
        | Cause::UnsupportedMediaType
        | Cause::InvalidContent
        | Cause::Conflict
        | Cause::AllotmentReached
        | Cause::RateExceeded
        | Cause::QuotaExceeded
        | Cause::ConcurrencyExceeded
        | Cause::TooManyFailures
        | Cause::MalformedBody
        | Cause::BodyTimeout
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed
        | Cause::UpstreamTimeout
        | Cause::Internal => status(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, tests};
    use super::*;

    #[test]
    fn every_cause_has_success_error_and_message() {
        insta::assert_snapshot!(tests::every_cause(&DIALECT), @r#"
        malformed_request 400 {"success":false,"error":"The request could not be understood.","message":"The request could not be understood."}
        target_too_long 414 {"success":false,"error":"The address of the request is too long.","message":"The address of the request is too long."}
        head_too_large 431 {"success":false,"error":"The header fields of the request are too large.","message":"The header fields of the request are too large."}
        expectation_failed 417 {"success":false,"error":"The only expectation that can be met is 100-continue.","message":"The only expectation that can be met is 100-continue."}
        misdirected 421 {"success":false,"error":"This connection was made for another host. Please open a new one.","message":"This connection was made for another host. Please open a new one."}
        not_found 404 {"success":false,"error":"There is nothing at this address.","message":"There is nothing at this address."}
        method_not_allowed 405 {"success":false,"error":"This method cannot be used here.","message":"This method cannot be used here."}
        method_not_implemented 501 {"success":false,"error":"This method is not supported.","message":"This method is not supported."}
        not_implemented 501 {"success":false,"error":"This is not available yet.","message":"This is not available yet."}
        credential_missing 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_foreign 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_malformed 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_ambiguous 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_insecure 403 {"success":false,"error":"Credentials are only taken over HTTPS.","message":"Credentials are only taken over HTTPS."}
        credential_leaked 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_unknown 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_unsettled 503 {"success":false,"error":"The service is busy. Please try again in a moment.","message":"The service is busy. Please try again in a moment."}
        credential_mismatch 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_expired 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_not_yet_valid 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_lives_too_long 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_disabled 403 {"success":false,"error":"Please present a valid credential.","message":"Please present a valid credential."}
        credential_contradicted 403 {"success":false,"error":"The credential does not permit this.","message":"The credential does not permit this."}
        address_refused 403 {"success":false,"error":"This is not permitted from your address.","message":"This is not permitted from your address."}
        permission_denied 403 {"success":false,"error":"The credential does not permit this.","message":"The credential does not permit this."}
        origin_refused 403 {"success":false,"error":"This is not permitted from this page.","message":"This is not permitted from this page."}
        operation_missing 400 {"success":false,"error":"The request names no operation.","message":"The request names no operation."}
        operation_unknown 404 {"success":false,"error":"There is no such operation.","message":"There is no such operation."}
        grant_refused 400 {"success":false,"error":"What was presented is not good for a token.","message":"What was presented is not good for a token."}
        grant_unsupported 400 {"success":false,"error":"Tokens are not given for this.","message":"Tokens are not given for this."}
        body_too_large 413 {"success":false,"error":"The body of the request is too large.","message":"The body of the request is too large."}
        unsupported_media_type 415 {"success":false,"error":"The body of the request is of a type that is not taken here.","message":"The body of the request is of a type that is not taken here."}
        invalid_content 400 {"success":false,"error":"The content of the request is not what is asked for.","message":"The content of the request is not what is asked for."}
        conflict 409 {"success":false,"error":"The request does not go together with what is there.","message":"The request does not go together with what is there."}
        allotment_reached 403 {"success":false,"error":"The account has all that it may have.","message":"The account has all that it may have."}
        rate_exceeded 429 {"success":false,"error":"Too many requests. Please slow down.","message":"Too many requests. Please slow down."}
        quota_exceeded 429 {"success":false,"error":"The quota of requests is used up. Please come back when it begins anew.","message":"The quota of requests is used up. Please come back when it begins anew."}
        concurrency_exceeded 429 {"success":false,"error":"Too many requests at the same time. Please wait for one to end.","message":"Too many requests at the same time. Please wait for one to end."}
        too_many_failures 429 {"success":false,"error":"Too many failed attempts. Please try again later.","message":"Too many failed attempts. Please try again later."}
        malformed_body 400 {"success":false,"error":"The body of the request could not be read.","message":"The body of the request could not be read."}
        body_timeout 408 {"success":false,"error":"The body of the request did not arrive in time.","message":"The body of the request did not arrive in time."}
        overloaded 503 {"success":false,"error":"The service is busy. Please try again in a moment.","message":"The service is busy. Please try again in a moment."}
        upstream_unreachable 502 {"success":false,"error":"The service behind this address did not answer properly.","message":"The service behind this address did not answer properly."}
        upstream_failed 502 {"success":false,"error":"The service behind this address did not answer properly.","message":"The service behind this address did not answer properly."}
        upstream_timeout 504 {"success":false,"error":"The service behind this address did not answer in time.","message":"The service behind this address did not answer in time."}
        internal 500 {"success":false,"error":"Something went wrong on our side.","message":"Something went wrong on our side."}
        "#);
    }

    #[test]
    fn an_old_recorder_hears_200_whatever_happened() {
        for cause in [Cause::Credential(Reason::Missing), Cause::OriginRefused, Cause::NotFound, Cause::RateExceeded] {
            let refusal = Refusal::new(cause, "").with_status(StatusCode::OK);
            let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((response.status().as_u16(), body["success"].as_bool()), (200, Some(false)), "{cause:?}");
            assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()));
        }
    }
}
