//! Multicam's dialect: ASP.NET Web API's one property `Message`, without the line breaks that SecureVideo's server puts
//! in. Its sentences are those of `message`; an address that is refused is 403 here.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderValue;

use super::message::{NO_CACHE, web_api};
use super::{Dialect, Wording, status};
use crate::refusal::Refusal;

/// Multicam Systems.
pub const DIALECT: Dialect =
    Dialect { name: "multicam", about: "Multicam (ASP.NET): one property, Message, compact", word };

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    let message = serde_json::to_string(web_api(refusal)).expect("text is always JSON");
    Wording {
        status: status(refusal),
        content_type: HeaderValue::from_static("application/json; charset=utf-8"),
        headers: Cow::Borrowed(&NO_CACHE),
        body: Bytes::from(format!("{{\"Message\":{message}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, tests};
    use super::*;
    use crate::refusal::{Cause, Reason};

    #[test]
    fn every_cause_is_one_message() {
        insta::assert_snapshot!(tests::every_cause(&DIALECT), @r#"
        malformed_request 400 {"Message":"The request could not be understood."}
        target_too_long 414 {"Message":"The address of the request is too long."}
        head_too_large 431 {"Message":"The header fields of the request are too large."}
        expectation_failed 417 {"Message":"The only expectation that can be met is 100-continue."}
        misdirected 421 {"Message":"This connection was made for another host. Please open a new one."}
        not_found 404 {"Message":"No HTTP resource was found that matches the request."}
        method_not_allowed 405 {"Message":"The requested resource does not support this HTTP method."}
        method_not_implemented 501 {"Message":"The requested resource does not support this HTTP method."}
        not_implemented 501 {"Message":"This is not available yet."}
        credential_missing 401 {"Message":"Authorization has been denied for this request."}
        credential_foreign 401 {"Message":"Authorization has been denied for this request."}
        credential_malformed 401 {"Message":"Authorization has been denied for this request."}
        credential_ambiguous 401 {"Message":"Authorization has been denied for this request."}
        credential_insecure 403 {"Message":"Credentials are only taken over HTTPS."}
        credential_leaked 401 {"Message":"Authorization has been denied for this request."}
        credential_unknown 401 {"Message":"Authorization has been denied for this request."}
        credential_unsettled 503 {"Message":"The service is busy. Please try again in a moment."}
        credential_mismatch 401 {"Message":"Authorization has been denied for this request."}
        credential_expired 401 {"Message":"Authorization has been denied for this request."}
        credential_not_yet_valid 401 {"Message":"Authorization has been denied for this request."}
        credential_lives_too_long 401 {"Message":"Authorization has been denied for this request."}
        credential_disabled 401 {"Message":"Authorization has been denied for this request."}
        credential_contradicted 403 {"Message":"The credential does not permit this."}
        address_refused 403 {"Message":"This is not permitted from your address."}
        permission_denied 403 {"Message":"The credential does not permit this."}
        origin_refused 403 {"Message":"This is not permitted from this page."}
        operation_missing 400 {"Message":"The request names no operation."}
        operation_unknown 404 {"Message":"There is no such operation."}
        grant_refused 400 {"Message":"What was presented is not good for a token."}
        grant_unsupported 400 {"Message":"Tokens are not given for this."}
        body_too_large 413 {"Message":"The body of the request is too large."}
        unsupported_media_type 415 {"Message":"The body of the request is of a type that is not taken here."}
        invalid_content 400 {"Message":"The content of the request is not what is asked for."}
        conflict 409 {"Message":"The request does not go together with what is there."}
        allotment_reached 403 {"Message":"The account has all that it may have."}
        rate_exceeded 429 {"Message":"Too many requests. Please slow down."}
        quota_exceeded 429 {"Message":"The quota of requests is used up. Please come back when it begins anew."}
        concurrency_exceeded 429 {"Message":"Too many requests at the same time. Please wait for one to end."}
        too_many_failures 429 {"Message":"Too many failed attempts. Please try again later."}
        malformed_body 400 {"Message":"The body of the request could not be read."}
        body_timeout 408 {"Message":"The body of the request did not arrive in time."}
        overloaded 503 {"Message":"The service is busy. Please try again in a moment."}
        upstream_unreachable 502 {"Message":"The service behind this address did not answer properly."}
        upstream_failed 502 {"Message":"The service behind this address did not answer properly."}
        upstream_timeout 504 {"Message":"The service behind this address did not answer in time."}
        internal 500 {"Message":"An error has occurred."}
        "#);
    }

    /// What Web API answers to a token that nobody knows.
    #[test]
    fn an_unknown_token_is_answered_as_the_vendor_answers() {
        let mut refusal = Refusal::new(Cause::Credential(Reason::Unknown), "");
        refusal.challenges = vec![HeaderValue::from_static("Bearer")];
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(tests::written(&response), @r#"
        401 Unauthorized
        content-type: application/json; charset=utf-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: r-1
        www-authenticate: Bearer

        {"Message":"Authorization has been denied for this request."}
        "#);
    }
}
