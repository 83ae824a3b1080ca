//! The dialect of gRPC: status 200, and what happened in `grpc-status` and `grpc-message`, with nothing behind the head
//! (a "trailers-only" answer). So every client of gRPC sees the error that it knows, and not one made up from a status.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Dialect, Wording, told};
use crate::refusal::{Cause, Reason, Refusal};

/// gRPC over HTTP/2.
pub const DIALECT: Dialect = Dialect { name: "grpc", about: "gRPC: trailers-only answers with `grpc-status`", word };

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What stands encoded in a message, beside all that is not ASCII (gRPC over HTTP/2, "Responses").
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

fn word(refusal: &Refusal, _: &str) -> Wording {
    let message = utf8_percent_encode(told(refusal), ENCODED).to_string();
    let message = HeaderValue::try_from(message).expect("percent-encoded text is visible ASCII");
    let headers = vec![
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (STATUS, HeaderValue::from(code(refusal.cause))),
        (MESSAGE, message),
    ];
    Wording {
        status: StatusCode::OK,
        content_type: HeaderValue::from_static("application/grpc"),
        headers: Cow::Owned(headers),
        body: Bytes::new(),
    }
}

/// The codes of gRPC (`google.rpc.Code`).
fn code(cause: Cause) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const FAILED_PRECONDITION: u16 = 9;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match cause {
        Cause::MalformedRequest
        | Cause::ExpectationFailed
        | Cause::MalformedBody
        | Cause::InvalidContent
        | Cause::UnsupportedMediaType
        | Cause::OperationMissing
        | Cause::GrantRefused
        | Cause::GrantUnsupported => INVALID_ARGUMENT,
        Cause::BodyTimeout | Cause::UpstreamTimeout => DEADLINE_EXCEEDED,
        Cause::Credential(Reason::Contradicted | Reason::Insecure)
        | Cause::AddressRefused
        | Cause::PermissionDenied
        | Cause::OriginRefused => PERMISSION_DENIED,
        Cause::TargetTooLong
        | Cause::HeadTooLarge
        | Cause::BodyTooLarge
        | Cause::RateExceeded
        | Cause::QuotaExceeded
        | Cause::ConcurrencyExceeded
        | Cause::TooManyFailures
        | Cause::AllotmentReached => RESOURCE_EXHAUSTED,
        Cause::Conflict => FAILED_PRECONDITION,
        // To a client of gRPC, a path is a method of a service.
        Cause::NotFound
        | Cause::MethodNotAllowed
        | Cause::MethodNotImplemented
        | Cause::NotImplemented
        | Cause::OperationUnknown => UNIMPLEMENTED,
        Cause::Internal => INTERNAL,
        Cause::Credential(Reason::Unsettled)
        | Cause::Misdirected
        | Cause::Overloaded
        | Cause::UpstreamUnreachable
        | Cause::UpstreamFailed => UNAVAILABLE,
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
        ) => UNAUTHENTICATED,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, tests};
    use super::*;

    #[test]
    fn a_refusal_is_a_head_and_nothing_else() {
        let mut refusal = Refusal::new(Cause::Credential(Reason::Expired), "for the log");
        refusal.challenges = vec![HeaderValue::from_static("Bearer")];
        let response = render(&DIALECT, &refusal, &HeaderValue::from_static("r-1"));
        insta::assert_snapshot!(tests::written(&response), @"
        200 OK
        content-type: application/grpc
        cache-control: no-store
        grpc-status: 16
        grpc-message: Please present a valid credential.
        x-request-id: r-1
        ");
    }

    #[test]
    fn each_cause_has_the_code_that_clients_act_upon() {
        for (cause, expected) in [
            (Cause::MalformedRequest, 3),
            (Cause::UpstreamTimeout, 4),
            (Cause::PermissionDenied, 7),
            (Cause::QuotaExceeded, 8),
            (Cause::NotFound, 12),
            (Cause::Internal, 13),
            (Cause::UpstreamFailed, 14),
            (Cause::Credential(Reason::Unsettled), 14),
            (Cause::Credential(Reason::Missing), 16),
        ] {
            assert_eq!(code(cause), expected, "{cause:?}");
        }
    }

    #[test]
    fn a_message_is_encoded_where_a_field_could_not_carry_it() {
        let wording = word(&Refusal::content("100 % of «x»\r\n"), "r-1");
        let message = wording.headers.iter().find(|(name, _)| *name == MESSAGE).unwrap();
        assert_eq!(message.1, "100 %25 of %C2%ABx%C2%BB%0D%0A");
    }
}
