//! Voximplant's dialect for clients that read statuses: the same bodies, and 401, 403, 404 or 429 in the place of 200. The
//! vendor's Python client still finds the number; its Node.js client rejects its promise.

use super::{Dialect, Wording, status, voximplant};
use crate::refusal::Refusal;

/// Voximplant, with the statuses of HTTP.
pub const DIALECT: Dialect =
    Dialect { name: "voximplant_http", about: "Voximplant: the same, with the statuses of HTTP", word };

fn word(refusal: &Refusal, _request_id: &str) -> Wording {
    voximplant::wording(refusal, status(refusal))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};

    use super::super::{render, tests};
    use super::*;
    use crate::refusal::{Cause, Reason};

    #[test]
    fn every_cause_has_its_status_and_the_vendors_number() {
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
        credential_missing 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_foreign 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_malformed 401 {"error":{"msg":"Invalid token format.","code":447},"errors":[{"msg":"Invalid token format.","code":447}]}
        credential_ambiguous 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_insecure 403 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_leaked 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_unknown 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_unsettled 503 {"error":{"msg":"Internal error","code":2},"errors":[{"msg":"Internal error","code":2}]}
        credential_mismatch 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_expired 401 {"error":{"msg":"The token has expired.","code":456},"errors":[{"msg":"The token has expired.","code":456}]}
        credential_not_yet_valid 401 {"error":{"msg":"Token issued in the future.","code":455},"errors":[{"msg":"Token issued in the future.","code":455}]}
        credential_lives_too_long 401 {"error":{"msg":"The token TTL exceeds the maximum limit.","code":454},"errors":[{"msg":"The token TTL exceeds the maximum limit.","code":454}]}
        credential_disabled 401 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        credential_contradicted 403 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        address_refused 403 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        permission_denied 403 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        origin_refused 403 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        operation_missing 400 {"error":{"msg":"Missing 'cmd' parameter","code":102},"errors":[{"msg":"Missing 'cmd' parameter","code":102}]}
        operation_unknown 404 {"error":{"msg":"Unknown command","code":103},"errors":[{"msg":"Unknown command","code":103}]}
        grant_refused 400 {"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}
        grant_unsupported 400 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        body_too_large 413 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        unsupported_media_type 415 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        invalid_content 400 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        conflict 409 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        allotment_reached 403 {"error":{"msg":"Invalid arguments","code":101},"errors":[{"msg":"Invalid arguments","code":101}]}
        rate_exceeded 429 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        quota_exceeded 429 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        concurrency_exceeded 429 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
        too_many_failures 429 {"error":{"msg":"Rate limit exceed","code":340},"errors":[{"msg":"Rate limit exceed","code":340}]}
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
    fn an_unproven_caller_is_told_what_to_present() {
        let mut refusal = Refusal::new(Cause::Credential(Reason::Missing), "");
        refusal.challenges = vec![HeaderValue::from_static("Bearer")];
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
