//! The dialect of the house: RFC 9457 problem details. Nothing here is special to a vendor; clients that know none of
//! its members still have the status.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use super::{Dialect, NO_STORE, Wording, status, told};
use crate::refusal::Refusal;

/// RFC 9457 `application/problem+json`.
pub const DIALECT: Dialect = Dialect { name: "problem", about: "RFC 9457 problem details", word };

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
}

fn word(refusal: &Refusal, request_id: &str) -> Wording {
    let status = status(refusal);
    let problem = Problem {
        // RFC 9457 §4.2.1: the problem is what the status says, and so is the title.
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: told(refusal),
        request_id,
    };
    let body = serde_json::to_vec(&problem).expect("text and a number are always JSON");
    Wording {
        status,
        content_type: HeaderValue::from_static("application/problem+json"),
        headers: Cow::Borrowed(&NO_STORE),
        body: Bytes::from(body),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_cause_is_a_problem() {
        insta::assert_snapshot!(super::super::tests::every_cause(&super::DIALECT), @r#"
        malformed_request 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"The request could not be understood.","request_id":"r-1"}
        target_too_long 414 {"type":"about:blank","title":"URI Too Long","status":414,"detail":"The address of the request is too long.","request_id":"r-1"}
        head_too_large 431 {"type":"about:blank","title":"Request Header Fields Too Large","status":431,"detail":"The header fields of the request are too large.","request_id":"r-1"}
        expectation_failed 417 {"type":"about:blank","title":"Expectation Failed","status":417,"detail":"The only expectation that can be met is 100-continue.","request_id":"r-1"}
        misdirected 421 {"type":"about:blank","title":"Misdirected Request","status":421,"detail":"This connection was made for another host. Please open a new one.","request_id":"r-1"}
        not_found 404 {"type":"about:blank","title":"Not Found","status":404,"detail":"There is nothing at this address.","request_id":"r-1"}
        method_not_allowed 405 {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"This method cannot be used here.","request_id":"r-1"}
        method_not_implemented 501 {"type":"about:blank","title":"Not Implemented","status":501,"detail":"This method is not supported.","request_id":"r-1"}
        not_implemented 501 {"type":"about:blank","title":"Not Implemented","status":501,"detail":"This is not available yet.","request_id":"r-1"}
        credential_missing 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_foreign 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_malformed 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_ambiguous 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_insecure 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"Credentials are only taken over HTTPS.","request_id":"r-1"}
        credential_leaked 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_unknown 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_unsettled 503 {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The service is busy. Please try again in a moment.","request_id":"r-1"}
        credential_mismatch 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_expired 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_not_yet_valid 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_lives_too_long 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_disabled 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        credential_contradicted 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"The credential does not permit this.","request_id":"r-1"}
        address_refused 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"This is not permitted from your address.","request_id":"r-1"}
        permission_denied 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"The credential does not permit this.","request_id":"r-1"}
        origin_refused 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"This is not permitted from this page.","request_id":"r-1"}
        operation_missing 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"The request names no operation.","request_id":"r-1"}
        operation_unknown 404 {"type":"about:blank","title":"Not Found","status":404,"detail":"There is no such operation.","request_id":"r-1"}
        grant_refused 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"What was presented is not good for a token.","request_id":"r-1"}
        grant_unsupported 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"Tokens are not given for this.","request_id":"r-1"}
        body_too_large 413 {"type":"about:blank","title":"Payload Too Large","status":413,"detail":"The body of the request is too large.","request_id":"r-1"}
        unsupported_media_type 415 {"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"The body of the request is of a type that is not taken here.","request_id":"r-1"}
        invalid_content 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"The content of the request is not what is asked for.","request_id":"r-1"}
        conflict 409 {"type":"about:blank","title":"Conflict","status":409,"detail":"The request does not go together with what is there.","request_id":"r-1"}
        allotment_reached 403 {"type":"about:blank","title":"Forbidden","status":403,"detail":"The account has all that it may have.","request_id":"r-1"}
        rate_exceeded 429 {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests. Please slow down.","request_id":"r-1"}
        quota_exceeded 429 {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"The quota of requests is used up. Please come back when it begins anew.","request_id":"r-1"}
        concurrency_exceeded 429 {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests at the same time. Please wait for one to end.","request_id":"r-1"}
        too_many_failures 429 {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many failed attempts. Please try again later.","request_id":"r-1"}
        malformed_body 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"The body of the request could not be read.","request_id":"r-1"}
        body_timeout 408 {"type":"about:blank","title":"Request Timeout","status":408,"detail":"The body of the request did not arrive in time.","request_id":"r-1"}
        overloaded 503 {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The service is busy. Please try again in a moment.","request_id":"r-1"}
        upstream_unreachable 502 {"type":"about:blank","title":"Bad Gateway","status":502,"detail":"The service behind this address did not answer properly.","request_id":"r-1"}
        upstream_failed 502 {"type":"about:blank","title":"Bad Gateway","status":502,"detail":"The service behind this address did not answer properly.","request_id":"r-1"}
        upstream_timeout 504 {"type":"about:blank","title":"Gateway Timeout","status":504,"detail":"The service behind this address did not answer in time.","request_id":"r-1"}
        internal 500 {"type":"about:blank","title":"Internal Server Error","status":500,"detail":"Something went wrong on our side.","request_id":"r-1"}
        "#);
    }
}
