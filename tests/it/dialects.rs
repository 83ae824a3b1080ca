//! The words of a refusal, byte for byte, as each API's clients get them; the request id and the date left out.

use std::fmt::Write as _;

use crate::credentials::{BASIC, House, KEY, WATCH};
use crate::wire::Answer;

/// An answer as it stood on the wire.
fn written(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        match name.as_str() {
            "date" => {}
            "x-request-id" => text.push_str("x-request-id: …\n"),
            _ => _ = writeln!(text, "{name}: {value}"),
        }
    }
    let id = answer.header("x-request-id").expect("every refusal has an id");
    text + "\n" + &answer.text().replace(id, "…").replace('\r', "\\r")
}

#[test]
fn vxgs_clients_are_refused_in_vxgs_words() {
    let house = House::start();
    insta::assert_snapshot!(written(&house.ask("GET /api/v4/live/watch/", &[])), @r#"
        401
        content-type: application/json
        cache-control: no-store
        x-request-id: …
        www-authenticate: Acc
        content-length: 92

        {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        "#);
    insta::assert_snapshot!(written(&house.ask("GET /api/v3/x", &["Authorization: LKey a", "Authorization: LKey b"])), @r#"
        401
        content-type: application/json
        cache-control: no-store
        x-request-id: …
        www-authenticate: LKey
        content-length: 92

        {"status":401,"errorType":"invalid_auth","errorDetail":"Please present a valid credential."}
        "#);
    insta::assert_snapshot!(written(&house.ask("PUT /api/v4/x", &[&format!("Authorization: Acc {WATCH}")])), @r#"
        403
        content-type: application/json
        cache-control: no-store
        x-request-id: …
        content-length: 93

        {"status":403,"errorType":"access_deny","errorDetail":"The credential does not permit this."}
        "#);
    insta::assert_snapshot!(written(&house.ask("DELETE /api/v3/x", &[&format!("Authorization: LKey {KEY}")])), @r#"
        405
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        allow: GET, HEAD, PUT
        content-length: 157

        {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"This method cannot be used here.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("PUT /api/v3/x", &[&format!("Authorization: LKey {KEY}"), "Content-Length: 2000"])), @r#"
        413
        content-type: application/json
        cache-control: no-store
        x-request-id: …
        connection: close
        content-length: 94

        {"status":413,"errorType":"bad_request","errorDetail":"The body of the request is too large."}
        "#);
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn securevideos_clients_are_refused_in_securevideos_words() {
    let house = House::start();
    insta::assert_snapshot!(written(&house.ask("GET /sv/user", &[])), @r#"
        401
        content-type: application/json; charset=utf-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: …
        www-authenticate: Basic realm="SecureVideo", charset="UTF-8"
        content-length: 68

        {\r
          "Message": "Authorization has been denied for this request."\r
        }
        "#);
    insta::assert_snapshot!(written(&house.ask("GET /here/user", &[&format!("Authorization: Basic {BASIC}")])), @r#"
        412
        content-type: application/json; charset=utf-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: …
        content-length: 66

        {\r
          "Message": "Request Must Be From a Whitelisted IP Address"\r
        }
        "#);
    insta::assert_snapshot!(written(&house.ask("DELETE /sv/user", &[])), @r#"
        405
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        allow: GET, HEAD, PUT
        content-length: 157

        {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"This method cannot be used here.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("PUT /sv/user", &[&format!("Authorization: Basic {BASIC}"), "Content-Length: 2000"])), @r#"
        413
        content-type: application/json; charset=utf-8
        cache-control: no-cache
        pragma: no-cache
        expires: -1
        x-request-id: …
        connection: close
        content-length: 58

        {\r
          "Message": "The body of the request is too large."\r
        }
        "#);
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn everybody_else_is_refused_in_the_words_of_rfc_9457() {
    let house = House::start();
    insta::assert_snapshot!(written(&house.ask("GET /any/x", &[])), @r#"
        401
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        www-authenticate: Acc
        www-authenticate: LKey
        www-authenticate: Basic realm="SecureVideo", charset="UTF-8"
        www-authenticate: Bearer
        content-length: 153

        {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("GET /nowhere", &[])), @r#"
        404
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        content-length: 149

        {"type":"about:blank","title":"Not Found","status":404,"detail":"There is nothing at this address.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("GET /%00", &[])), @r#"
        400
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        connection: close
        content-length: 154

        {"type":"about:blank","title":"Bad Request","status":400,"detail":"The request could not be understood.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("DELETE /jwt/x", &[])), @r#"
        405
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        allow: GET, HEAD, PUT
        content-length: 157

        {"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"This method cannot be used here.","request_id":"…"}
        "#);
    insta::assert_snapshot!(written(&house.ask("get /jwt/x", &[])), @r#"
        501
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: …
        connection: close
        content-length: 151

        {"type":"about:blank","title":"Not Implemented","status":501,"detail":"This method is not supported.","request_id":"…"}
        "#);
    assert_eq!(house.upstream.connections(), 0);
}
