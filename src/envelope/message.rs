//! SecureVideo's dialect: what an ASP.NET Web API answers, byte for byte, down to the line breaks inside its JSON and to
//! the three fields that forbid caching.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{Dialect, Wording, status, told};
use crate::refusal::{Cause, Reason, Refusal};

/// SecureVideo and other APIs built with ASP.NET.
pub const DIALECT: Dialect = Dialect { name: "message", about: "SecureVideo (ASP.NET): one property, Message", word };

/// What ASP.NET puts on answers that nobody may keep.
pub(super) static NO_CACHE: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (EXPIRES, HeaderValue::from_static("-1")),
];

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    let (status, message) = face(refusal);
    let message = serde_json::to_string(&message).expect("text is always JSON");
    Wording {
        status,
        content_type: HeaderValue::from_static("application/json; charset=utf-8"),
        headers: Cow::Borrowed(&NO_CACHE),
        body: Bytes::from(format!("{{\r\n  \"Message\": {message}\r\n}}")),
    }
}

fn face(refusal: &Refusal) -> (StatusCode, Cow<'_, str>) {
    if refusal.cause == Cause::AddressRefused {
        // The vendor answers 412 with these words, and its customers look for both.
        return (StatusCode::PRECONDITION_FAILED, "Request Must Be From a Whitelisted IP Address".into());
    }
    let message = web_api(refusal);
    if refusal.cause == Cause::QuotaExceeded {
        // The vendor's words for 429, and then which quota it is.
        return (status(refusal), format!("Too many requests. {message}").into());
    }
    (status(refusal), message.into())
}

/// Web API's own sentences, and ours where it has none.
pub(super) fn web_api(refusal: &Refusal) -> &str {
    match refusal.cause {
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
        ) => "Authorization has been denied for this request.",
        Cause::MethodNotAllowed | Cause::MethodNotImplemented => {
            "The requested resource does not support this HTTP method."
        }
        Cause::NotFound => "No HTTP resource was found that matches the request.",
        Cause::Internal => "An error has occurred.",
        Cause::Credential(Reason::Contradicted | Reason::Insecure | Reason::Unsettled)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::OperationMissing
        | Cause::OperationUnknown
        | Cause::GrantRefused
        | Cause::GrantUnsupported
        | Cause::NotImplemented
        | Cause::UnsupportedMediaType
        | Cause::InvalidContent
        | Cause::Conflict
        | Cause::AllotmentReached
        | Cause::RateExceeded
        | Cause::QuotaExceeded
        | Cause::ConcurrencyExceeded
        | Cause::TooManyFailures
        | Cause::MalformedRequest
        | Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::ExpectationFailed
        | Cause::Misdirected
        | Cause::BodyTooLarge
        | Cause::MalformedBody
        | Cause::BodyTimeout
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed
        | Cause::UpstreamTimeout => told(refusal),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::{render, tests};
    use super::*;

    #[test]
    fn every_cause_is_one_message() {
        insta::assert_snapshot!(tests::every_cause(&DIALECT), @r#"
        malformed_request 400 {\r\n  "Message": "The request could not be understood."\r\n}
        target_too_long 414 {\r\n  "Message": "The address of the request is too long."\r\n}
        head_too_large 431 {\r\n  "Message": "The header fields of the request are too large."\r\n}
        expectation_failed 417 {\r\n  "Message": "The only expectation that can be met is 100-continue."\r\n}
        misdirected 421 {\r\n  "Message": "This connection was made for another host. Please open a new one."\r\n}
        not_found 404 {\r\n  "Message": "No HTTP resource was found that matches the request."\r\n}
        method_not_allowed 405 {\r\n  "Message": "The requested resource does not support this HTTP method."\r\n}
        method_not_implemented 501 {\r\n  "Message": "The requested resource does not support this HTTP method."\r\n}
        not_implemented 501 {\r\n  "Message": "This is not available yet."\r\n}
        credential_missing 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_foreign 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_malformed 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_ambiguous 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_insecure 403 {\r\n  "Message": "Credentials are only taken over HTTPS."\r\n}
        credential_leaked 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_unknown 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_unsettled 503 {\r\n  "Message": "The service is busy. Please try again in a moment."\r\n}
        credential_mismatch 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_expired 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_not_yet_valid 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_lives_too_long 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_disabled 401 {\r\n  "Message": "Authorization has been denied for this request."\r\n}
        credential_contradicted 403 {\r\n  "Message": "The credential does not permit this."\r\n}
        address_refused 412 {\r\n  "Message": "Request Must Be From a Whitelisted IP Address"\r\n}
        permission_denied 403 {\r\n  "Message": "The credential does not permit this."\r\n}
        origin_refused 403 {\r\n  "Message": "This is not permitted from this page."\r\n}
        operation_missing 400 {\r\n  "Message": "The request names no operation."\r\n}
        operation_unknown 404 {\r\n  "Message": "There is no such operation."\r\n}
        grant_refused 400 {\r\n  "Message": "What was presented is not good for a token."\r\n}
        grant_unsupported 400 {\r\n  "Message": "Tokens are not given for this."\r\n}
        body_too_large 413 {\r\n  "Message": "The body of the request is too large."\r\n}
        unsupported_media_type 415 {\r\n  "Message": "The body of the request is of a type that is not taken here."\r\n}
        invalid_content 400 {\r\n  "Message": "The content of the request is not what is asked for."\r\n}
        conflict 409 {\r\n  "Message": "The request does not go together with what is there."\r\n}
        allotment_reached 403 {\r\n  "Message": "The account has all that it may have."\r\n}
        rate_exceeded 429 {\r\n  "Message": "Too many requests. Please slow down."\r\n}
        quota_exceeded 429 {\r\n  "Message": "Too many requests. The quota of requests is used up. Please come back when it begins anew."\r\n}
        concurrency_exceeded 429 {\r\n  "Message": "Too many requests at the same time. Please wait for one to end."\r\n}
        too_many_failures 429 {\r\n  "Message": "Too many failed attempts. Please try again later."\r\n}
        malformed_body 400 {\r\n  "Message": "The body of the request could not be read."\r\n}
        body_timeout 408 {\r\n  "Message": "The body of the request did not arrive in time."\r\n}
        overloaded 503 {\r\n  "Message": "The service is busy. Please try again in a moment."\r\n}
        upstream_unreachable 502 {\r\n  "Message": "The service behind this address did not answer properly."\r\n}
        upstream_failed 502 {\r\n  "Message": "The service behind this address did not answer properly."\r\n}
        upstream_timeout 504 {\r\n  "Message": "The service behind this address did not answer in time."\r\n}
        internal 500 {\r\n  "Message": "An error has occurred."\r\n}
        "#);
    }

    #[test]
    fn a_refused_address_is_answered_as_the_vendor_answers() {
        let refusal = Refusal::new(Cause::AddressRefused, "");
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(tests::written(&response), @r#"
        412 Precondition Failed
        content-type: application/json; charset=utf-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: r-1

        {\r\n  "Message": "Request Must Be From a Whitelisted IP Address"\r\n}
        "#);
    }
}
