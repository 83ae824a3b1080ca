//! How a refusal is worded: one file a dialect. What happened is settled elsewhere; here it gets a status, header
//! fields and a body that the clients of this API can read. Each dialect's match over the causes is exhaustive, so that a
//! new way of saying no must be given a face in every one.

pub mod cameratag;
pub mod grpc;
pub mod message;
pub mod multicam;
pub mod oauth;
pub mod passed_on;
pub mod problem;
pub mod voximplant;
pub mod voximplant_http;
pub mod vxg;
pub mod vxg_admin;

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::refusal::{Cause, Reason, Refusal};

/// The wording of one vendor's API.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The word in `dialect = "…"`.
    pub name: &'static str,
    /// One line for listings.
    pub about: &'static str,
    /// Gives a refusal its face. `request_id` is what the caller may quote to the operator.
    pub word: fn(&Refusal, request_id: &str) -> Wording,
}

/// A refusal in words.
#[derive(Debug)]
pub struct Wording {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: HeaderValue,
    /// Fields that this API puts on every answer of its own.
    pub headers: Cow<'static, [(HeaderName, HeaderValue)]>,
    /// The body.
    pub body: Bytes,
}

/// Every dialect there is; the first is the default.
pub const DIALECTS: &[Dialect] = &[
    problem::DIALECT,
    vxg::DIALECT,
    vxg_admin::DIALECT,
    message::DIALECT,
    cameratag::DIALECT,
    multicam::DIALECT,
    oauth::DIALECT,
    voximplant::DIALECT,
    voximplant_http::DIALECT,
    grpc::DIALECT,
];

/// A refusal may turn into an acceptance at any moment, and 404, 405, 414 and 501 are cacheable unless they say no.
static NO_STORE: [(HeaderName, HeaderValue); 1] = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// The media type of gRPC, but for what its messages are.
const GRPC: &[u8] = b"application/grpc";

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The wording before a route is known: that of the listener, but for a client of gRPC, who reads none but its own (gRPC
/// over HTTP/2, "Requests": the type is `application/grpc`, or more behind a `+` or a `;`).
pub fn unrouted(listener: &'static Dialect, headers: &HeaderMap) -> &'static Dialect {
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let (own, rest) = media_type.split_at(media_type.len().min(GRPC.len()));
    let is_grpc = own.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '));
    if is_grpc { &grpc::DIALECT } else { listener }
}

/// The whole answer to a refused request. hyper adds its length and date.
pub fn render(dialect: &Dialect, refusal: &Refusal, request_id: &HeaderValue) -> Response<Bytes> {
    let wording = (dialect.word)(refusal, &String::from_utf8_lossy(request_id.as_bytes()));
    let mut response = Response::new(wording.body);
    *response.status_mut() = wording.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, wording.content_type);
    headers.extend(wording.headers.into_owned());
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
    headers.extend(refusal.fields.iter().cloned());
    // RFC 9110 §11.6.1 allows challenges elsewhere, but browsers would then ask for a password in vain.
    if wording.status == StatusCode::UNAUTHORIZED {
        for challenge in &refusal.challenges {
            headers.append(WWW_AUTHENTICATE, challenge.clone());
        }
    }
    if let Some(after) = refusal.retry_after {
        // Whole seconds, rounded up: a client that comes back on the second is not refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The status where a dialect has no wish of its own.
fn status(refusal: &Refusal) -> StatusCode {
    refusal.status.unwrap_or_else(|| usual(refusal.cause))
}

/// The status of a cause where nobody has chosen another: always that of an error.
fn usual(cause: Cause) -> StatusCode {
    match cause {
        Cause::MalformedRequest
        | Cause::MalformedBody
        | Cause::InvalidContent
        | Cause::OperationMissing
        | Cause::GrantRefused
        | Cause::GrantUnsupported => StatusCode::BAD_REQUEST,
        // Proven, but contradicting itself: presenting something else of the same kind would not help.
        // TLS must come first; asking for credentials would have them sent in clear again.
        Cause::Credential(Reason::Contradicted | Reason::Insecure)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused
        | Cause::AllotmentReached => StatusCode::FORBIDDEN,
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
        ) => StatusCode::UNAUTHORIZED,
        Cause::NotFound | Cause::OperationUnknown => StatusCode::NOT_FOUND,
        Cause::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Cause::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Cause::Conflict => StatusCode::CONFLICT,
        Cause::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Cause::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Cause::RateExceeded | Cause::QuotaExceeded | Cause::ConcurrencyExceeded | Cause::TooManyFailures => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Cause::TargetTooLong => StatusCode::URI_TOO_LONG,
        Cause::ExpectationFailed => StatusCode::EXPECTATION_FAILED,
        Cause::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Cause::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Cause::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Cause::MethodNotImplemented | Cause::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Cause::UpstreamUnreachable | Cause::UpstreamFailed => StatusCode::BAD_GATEWAY,
        Cause::Credential(Reason::Unsettled) | Cause::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// What the caller hears: what is wrong with their content, or what happened.
fn told(refusal: &Refusal) -> &str {
    refusal.said.as_deref().unwrap_or_else(|| sentence(refusal.cause))
}

/// What happened, in one plain sentence. The same for every credential that is not believed: which part of it was wrong
/// is for the log.
fn sentence(cause: Cause) -> &'static str {
    match cause {
        Cause::MalformedRequest => "The request could not be understood.",
        Cause::TargetTooLong => "The address of the request is too long.",
        Cause::HeadTooLarge => "The header fields of the request are too large.",
        Cause::ExpectationFailed => "The only expectation that can be met is 100-continue.",
        Cause::Misdirected => "This connection was made for another host. Please open a new one.",
        Cause::NotFound => "There is nothing at this address.",
        Cause::MethodNotAllowed => "This method cannot be used here.",
        Cause::MethodNotImplemented => "This method is not supported.",
        Cause::NotImplemented => "This is not available yet.",
        Cause::Credential(Reason::Insecure) => "Credentials are only taken over HTTPS.",
        Cause::Credential(Reason::Contradicted) | Cause::PermissionDenied => "The credential does not permit this.",
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
        ) => "Please present a valid credential.",
        Cause::AddressRefused => "This is not permitted from your address.",
        Cause::OriginRefused => "This is not permitted from this page.",
        Cause::OperationMissing => "The request names no operation.",
        Cause::OperationUnknown => "There is no such operation.",
        Cause::GrantRefused => "What was presented is not good for a token.",
        Cause::GrantUnsupported => "Tokens are not given for this.",
        Cause::BodyTooLarge => "The body of the request is too large.",
        Cause::MalformedBody => "The body of the request could not be read.",
        Cause::UnsupportedMediaType => "The body of the request is of a type that is not taken here.",
        Cause::InvalidContent => "The content of the request is not what is asked for.",
        Cause::Conflict => "The request does not go together with what is there.",
        Cause::AllotmentReached => "The account has all that it may have.",
        Cause::RateExceeded => "Too many requests. Please slow down.",
        Cause::QuotaExceeded => "The quota of requests is used up. Please come back when it begins anew.",
        Cause::ConcurrencyExceeded => "Too many requests at the same time. Please wait for one to end.",
        Cause::TooManyFailures => "Too many failed attempts. Please try again later.",
        Cause::BodyTimeout => "The body of the request did not arrive in time.",
        Cause::Credential(Reason::Unsettled) | Cause::Overloaded => {
            "The service is busy. Please try again in a moment."
        }
        Cause::UpstreamUnreachable | Cause::UpstreamFailed => {
            "The service behind this address did not answer properly."
        }
        Cause::UpstreamTimeout => "The service behind this address did not answer in time.",
        Cause::Internal => "Something went wrong on our side.",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use http::header::ALLOW;

    use super::*;

    /// Every cause, in the order of the list; a new one does not compile until it stands here.
    fn after(cause: Cause) -> Option<Cause> {
        Some(match cause {
            Cause::MalformedRequest => Cause::TargetTooLong,
            Cause::TargetTooLong => Cause::HeadTooLarge,
            Cause::HeadTooLarge => Cause::ExpectationFailed,
            Cause::ExpectationFailed => Cause::Misdirected,
            Cause::Misdirected => Cause::NotFound,
            Cause::NotFound => Cause::MethodNotAllowed,
            Cause::MethodNotAllowed => Cause::MethodNotImplemented,
            Cause::MethodNotImplemented => Cause::NotImplemented,
            Cause::NotImplemented => Cause::Credential(Reason::Missing),
            Cause::Credential(reason) => match reason {
                Reason::Missing => Cause::Credential(Reason::Foreign),
                Reason::Foreign => Cause::Credential(Reason::Malformed),
                Reason::Malformed => Cause::Credential(Reason::Ambiguous),
                Reason::Ambiguous => Cause::Credential(Reason::Insecure),
                Reason::Insecure => Cause::Credential(Reason::Leaked),
                Reason::Leaked => Cause::Credential(Reason::Unknown),
                Reason::Unknown => Cause::Credential(Reason::Unsettled),
                Reason::Unsettled => Cause::Credential(Reason::Mismatch),
                Reason::Mismatch => Cause::Credential(Reason::Expired),
                Reason::Expired => Cause::Credential(Reason::NotYetValid),
                Reason::NotYetValid => Cause::Credential(Reason::LivesTooLong),
                Reason::LivesTooLong => Cause::Credential(Reason::Disabled),
                Reason::Disabled => Cause::Credential(Reason::Contradicted),
                Reason::Contradicted => Cause::AddressRefused,
            },
            Cause::AddressRefused => Cause::PermissionDenied,
            Cause::PermissionDenied => Cause::OriginRefused,
            Cause::OriginRefused => Cause::OperationMissing,
            Cause::OperationMissing => Cause::OperationUnknown,
            Cause::OperationUnknown => Cause::GrantRefused,
            Cause::GrantRefused => Cause::GrantUnsupported,
            Cause::GrantUnsupported => Cause::BodyTooLarge,
            Cause::BodyTooLarge => Cause::UnsupportedMediaType,
            Cause::UnsupportedMediaType => Cause::InvalidContent,
            Cause::InvalidContent => Cause::Conflict,
            Cause::Conflict => Cause::AllotmentReached,
            Cause::AllotmentReached => Cause::RateExceeded,
            Cause::RateExceeded => Cause::QuotaExceeded,
            Cause::QuotaExceeded => Cause::ConcurrencyExceeded,
            Cause::ConcurrencyExceeded => Cause::TooManyFailures,
            Cause::TooManyFailures => Cause::MalformedBody,
            Cause::MalformedBody => Cause::BodyTimeout,
            Cause::BodyTimeout => Cause::Overloaded,
            Cause::Overloaded => Cause::UpstreamUnreachable,
            Cause::UpstreamUnreachable => Cause::UpstreamFailed,
            Cause::UpstreamFailed => Cause::UpstreamTimeout,
            Cause::UpstreamTimeout => Cause::Internal,
            Cause::Internal => return None,
        })
    }

    /// Every cause there is.
    pub(crate) fn causes() -> impl Iterator<Item = Cause> {
        std::iter::successors(Some(Cause::MalformedRequest), |cause| after(*cause))
    }

    #[test]
    fn the_list_of_causes_is_whole() {
        assert!(causes().eq(Cause::ALL));
    }

    /// Every cause in a dialect's words: name, status and body, line breaks made visible.
    pub(crate) fn every_cause(dialect: &Dialect) -> String {
        let line = |cause: Cause| {
            let wording = (dialect.word)(&Refusal::new(cause, "for the log"), "r-1");
            let body = str::from_utf8(&wording.body).unwrap().replace("\r\n", "\\r\\n");
            assert!(serde_json::from_slice::<serde_json::Value>(&wording.body).is_ok(), "{body}");
            assert!(!body.contains("for the log"), "{body}");
            format!("{} {} {body}", cause.name(), wording.status.as_u16())
        };
        causes().map(line).collect::<Vec<_>>().join("\n")
    }

    /// A whole answer as it stands on the wire, but for what hyper adds.
    pub(crate) fn written(response: &Response<Bytes>) -> String {
        let fields = response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let head: Vec<String> = std::iter::once(response.status().to_string()).chain(fields).collect();
        format!("{}\n\n{}", head.join("\n"), str::from_utf8(response.body()).unwrap().replace("\r\n", "\\r\\n"))
    }

    #[test]
    fn an_answer_carries_what_its_refusal_knows() {
        let mut refusal = Refusal::new(Cause::Credential(Reason::Missing), "none").closing();
        refusal.challenges = vec![HeaderValue::from_static("Basic realm=\"a\""), HeaderValue::from_static("Bearer")];
        refusal.fields = vec![(ALLOW, HeaderValue::from_static("GET, HEAD"))];
        refusal.retry_after = Some(Duration::from_millis(1500));
        let response = render(&problem::DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(written(&response), @r#"
        401 Unauthorized
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: r-1
        allow: GET, HEAD
        www-authenticate: Basic realm="a"
        www-authenticate: Bearer
        retry-after: 2
        connection: close

        {"type":"about:blank","title":"Unauthorized","status":401,"detail":"Please present a valid credential.","request_id":"r-1"}
        "#);
    }

    #[test]
    fn only_an_unauthorized_answer_has_challenges() {
        /// What these APIs answer to everybody who is not proven: CameraTag 403, Voximplant and gRPC 200.
        const NEVER_401: [&str; 4] = ["cameratag", "grpc", "oauth", "voximplant"];
        for (cause, unauthorized) in
            [(Cause::Credential(Reason::Expired), true), (Cause::Credential(Reason::Contradicted), false)]
        {
            let mut refusal = Refusal::new(cause, "");
            refusal.challenges = vec![HeaderValue::from_static("Bearer")];
            for dialect in DIALECTS {
                let response = render(dialect, &refusal, &HeaderValue::from_static("r-1"));
                let expected = usize::from(unauthorized && !NEVER_401.contains(&dialect.name));
                assert_eq!(response.headers().get_all(WWW_AUTHENTICATE).iter().count(), expected, "{}", dialect.name);
                assert!(!response.headers().contains_key(CONNECTION));
            }
        }
    }

    #[test]
    fn what_is_said_of_the_content_stands_in_place_of_the_general_sentence() {
        // That of gRPC has no body.
        for dialect in DIALECTS.iter().filter(|dialect| dialect.name != grpc::DIALECT.name) {
            let wording = (dialect.word)(&Refusal::content("`suid` is \"missing\""), "r-1");
            let body: serde_json::Value = serde_json::from_slice(&wording.body).unwrap();
            let places = ["/detail", "/errorDetail", "/Message", "/message", "/error/msg"];
            let said = places.iter().find_map(|place| body.pointer(place)?.as_str());
            let expected = match dialect.name {
                // Nobody is told what was wrong with a grant.
                "oauth" => (400, None),
                "voximplant" => (200, Some("`suid` is \"missing\"")),
                _ => (400, Some("`suid` is \"missing\"")),
            };
            assert_eq!((wording.status.as_u16(), said), expected, "{}", dialect.name);
        }
    }

    #[test]
    fn a_retry_is_never_asked_for_at_once() {
        for (after, expected) in [(0, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let refusal = Refusal::new(Cause::Overloaded, "").retry_after(Duration::from_millis(after));
            let response = render(&vxg::DIALECT, &refusal, &HeaderValue::from_static("r-1"));
            assert_eq!(response.headers()[RETRY_AFTER], expected);
        }
    }

    #[test]
    fn a_client_of_grpc_is_told_in_grpc_before_a_route_is_known() {
        for (media_type, expected) in [
            ("application/grpc", "grpc"),
            ("Application/gRPC+proto", "grpc"),
            ("application/grpc; charset=utf-8", "grpc"),
            ("application/grpc-web", "vxg"),
            ("application/grpcx", "vxg"),
            ("application/json", "vxg"),
            ("", "vxg"),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
            assert_eq!(unrouted(&DIALECTS[1], &headers).name, expected, "{media_type}");
        }
        assert_eq!(unrouted(&DIALECTS[1], &HeaderMap::new()).name, "vxg");
    }

    #[test]
    fn a_request_id_cannot_break_out_of_the_body() {
        for id in [&b"\",\"status\":200,\"x\":\""[..], b"\xff\xfe", b"a\\"] {
            let id = HeaderValue::from_bytes(id).unwrap();
            let response = render(&problem::DIALECT, &Refusal::malformed(""), &id);
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((body["status"].as_u64(), body.as_object().unwrap().len()), (Some(400), 5));
            assert_eq!(response.headers()["x-request-id"], id);
        }
    }
}
