//! Voximplant's dialect: `error` and `errors`, each with the vendor's number and its words. Its clients look
//! for the number in the body, and some take any status but 200 for a broken connection: what the API itself would refuse
//! has status 200. What never comes to be a call of the API keeps the status of HTTP: a message that cannot be read or is
//! too large, an address or a method that is not there, an upstream that fails, and, as the vendor has it, too many calls
//! at the same time (429).

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::{Dialect, NO_STORE, Wording, status};
use crate::refusal::{Cause, Reason, Refusal};

/// Voximplant, with status 200 as the vendor answers.
pub const DIALECT: Dialect =
    Dialect { name: "voximplant", about: "Voximplant: error and errors with a code, status 200", word: word_200 };

#[derive(Serialize)]
struct Failure<'a> {
    error: Said<'a>,
    errors: [Said<'a>; 1],
}

#[derive(Clone, Copy, Serialize)]
struct Said<'a> {
    msg: &'a str,
    code: u16,
}

fn word_200(refusal: &Refusal, _request_id: &str) -> Wording {
    let kept = refusal.status.is_some() || is_beneath(refusal.cause);
    wording(refusal, if kept { status(refusal) } else { StatusCode::OK })
}

/// The body, under this status.
pub(super) fn wording(refusal: &Refusal, status: StatusCode) -> Wording {
    let (code, msg) = number(refusal.cause);
    let said = Said { msg: refusal.said.as_deref().unwrap_or(msg), code: refusal.code.unwrap_or(code) };
    let failure = Failure { error: said, errors: [said] };
    Wording {
        status,
        content_type: HeaderValue::from_static("application/json"),
        headers: Cow::Borrowed(&NO_STORE),
        body: Bytes::from(serde_json::to_vec(&failure).expect("text and a number are always JSON")),
    }
}

/// Whether this is a matter of HTTP, and not of the API that is spoken over it.
fn is_beneath(cause: Cause) -> bool {
    match cause {
        Cause::Credential(Reason::Unsettled)
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
        | Cause::MalformedBody
        | Cause::BodyTimeout
        | Cause::ConcurrencyExceeded
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed
        | Cause::UpstreamTimeout
        | Cause::Internal => true,
        Cause::Credential(_)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::OperationMissing
        | Cause::OperationUnknown
        | Cause::GrantRefused
        | Cause::GrantUnsupported
        | Cause::InvalidContent
        | Cause::Conflict
        | Cause::AllotmentReached
        | Cause::RateExceeded
        | Cause::QuotaExceeded
        | Cause::TooManyFailures => false,
    }
}

/// The vendor's number and words (`APIErrorCode` of its clients). One for every credential that is not believed, so that
/// nobody learns which part of it was wrong; the numbers of a token's times are only said of one whose signature is good.
fn number(cause: Cause) -> (u16, &'static str) {
    match cause {
        Cause::Credential(Reason::Malformed) => (447, "Invalid token format."),
        Cause::Credential(Reason::LivesTooLong) => (454, "The token TTL exceeds the maximum limit."),
        Cause::Credential(Reason::NotYetValid) => (455, "Token issued in the future."),
        Cause::Credential(Reason::Expired) => (456, "The token has expired."),
        Cause::Credential(
            Reason::Missing
            | Reason::Ambiguous
            | Reason::Insecure
            | Reason::Leaked
            | Reason::Foreign
            | Reason::Unknown
            | Reason::Mismatch
            | Reason::Disabled
            | Reason::Contradicted,
        )
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::GrantRefused => (100, "Authorization failed"),
        Cause::OperationMissing => (102, "Missing 'cmd' parameter"),
        Cause::OperationUnknown | Cause::NotFound => (103, "Unknown command"),
        Cause::RateExceeded | Cause::QuotaExceeded | Cause::ConcurrencyExceeded | Cause::TooManyFailures => {
            (340, "Rate limit exceed")
        }
        Cause::MalformedRequest
        | Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::ExpectationFailed
        | Cause::Misdirected
        | Cause::MethodNotAllowed
        | Cause::MethodNotImplemented
        | Cause::GrantUnsupported
        | Cause::BodyTooLarge
        | Cause::UnsupportedMediaType
        | Cause::InvalidContent
        | Cause::Conflict
        | Cause::AllotmentReached
        | Cause::MalformedBody
        | Cause::BodyTimeout => (101, "Invalid arguments"),
        Cause::Credential(Reason::Unsettled)
        | Cause::NotImplemented
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed
        | Cause::UpstreamTimeout
        | Cause::Internal => (2, "Internal error"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, tests};
    use super::*;

    #[test]
    fn every_cause_has_the_vendors_number() {
        insta::assert_snapshot!(tests::every_cause(&DIALECT), @r#"
        malformed_request 400 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        target_too_long 414 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        head_too_large 431 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        expectation_failed 417 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        misdirected 421 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        not_found 404 {"error":{"msg":"Unknown command","code":103},"errors":[{"msg":"Unknown command","code":103}]}
        method_not_allowed 405 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        method_not_implemented 501 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        not_implemented 501 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        credential_missing 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_foreign 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_malformed 200 {"error":{"msg":"Invalid token format.","code":447},"errors":[{"msg":"Invalid token format.","code":447}]}
        credential_ambiguous 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_insecure 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_leaked 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_unknown 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_unsettled 503 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        credential_mismatch 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_expired 200 {"error":{"msg":"The token has expired.","code":456},"errors":[{"msg":"The token has expired.","code":456}]}
        credential_not_yet_valid 200 {"error":{"msg":"Token issued in the future.","code":455},"errors":[{"msg":"Token issued in the future.","code":455}]}
        credential_lives_too_long 200 {"error":{"msg":"The token TTL exceeds the maximum limit.","code":454},"errors":[{"msg":"The token TTL exceeds the maximum limit.","code":454}]}
        credential_disabled 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_contradicted 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        address_refused 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        permission_denied 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        origin_refused 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        operation_missing 200 {"error":{"msg":"Missing 'cmd' parameter","code":102},"errors":[{"msg":"Missing 'cmd' parameter","code":102}]}
        operation_unknown 200 {"error":{"msg":"Unknown command","code":103},"errors":[{"msg":"Unknown command","code":103}]}
        grant_refused 200 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        grant_unsupported 200 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        body_too_large 413 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        unsupported_media_type 415 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        invalid_content 200 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        conflict 200 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        allotment_reached 200 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        rate_exceeded 200 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        quota_exceeded 200 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        concurrency_exceeded 429 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        too_many_failures 200 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        malformed_body 400 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        body_timeout 408 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        overloaded 503 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        upstream_unreachable 502 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        upstream_failed 502 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        upstream_timeout 504 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        internal 500 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        "#);
    }

    #[test]
    fn the_number_that_an_endpoint_says_stands_in_place_of_the_general_one() {
        let mut refusal = Refusal::new(Cause::InvalidContent, "");
        refusal.code = Some(433);
        refusal.said = Some("Invalid key id.".into());
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(tests::written(&response), @r#"
        200 OK
        content-type: application/json
        cache-control: no-store
        x-request-id: r-1

        {"error":{"msg":"Invalid key id.","code":433},"errors":[{"msg":"Invalid key id.","code":433}]}
        "#);
    }

    #[test]
    fn who_comes_too_often_hears_when_to_come_back() {
        let refusal = Refusal::new(Cause::RateExceeded, "").retry_after(std::time::Duration::from_secs(7));
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (200, &HeaderValue::from(7)));
    }

    #[test]
    fn a_status_that_was_settled_elsewhere_stays() {
        let refusal = Refusal::new(Cause::UpstreamFailed, "").with_status(StatusCode::BAD_REQUEST);
        assert_eq!((DIALECT.word)(&refusal, "r-1").status, StatusCode::BAD_REQUEST);
    }
}
