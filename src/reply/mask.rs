//! What an upstream says of its own failures stays in the house: stack traces, addresses and the names of things are for
//! the operator. The caller hears a general sentence in the words of the route's dialect, and may quote the request id,
//! which stands in the log beside what was said.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::deadline::Deadline;
use crate::forward::Body;
use crate::refusal::{Cause, Refusal};
use crate::reply::Hidden;

/// How much of an answer is read to its end, so that its connection can be used again.
const MOST: usize = 64 * 1024;
/// How long that may take: somebody waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of it is kept until secrets are covered; a head has room for no longer one.
const KEPT: usize = 33 * 1024;
/// How much of it goes into the log.
const SHOWN: usize = 512;

/// Whether an answer with this status is the upstream's own failure.
pub fn is_failure(answer: &Response<Body>) -> bool {
    answer.status().is_server_error()
}

/// Throws a failure away, once its cause stands in the log. What is returned is to be worded in its place.
pub async fn mask(
    answer: Response<Body>,
    (route, request_id): (&str, &HeaderValue),
    hidden: Hidden<'_>,
    patience: &Deadline,
) -> Refusal {
    let (parts, body) = answer.into_parts();
    patience.arm(PATIENCE);
    // More of it than is shown: a secret that is cut in two would not be recognised.
    let mut beginning = hidden.cover(body.discard(MOST, KEPT, patience).await);
    beginning.truncate(SHOWN);
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let content_type = &content_type[..content_type.len().min(SHOWN)];
    tracing::warn!(
        request_id = %request_id.as_bytes().escape_ascii(),
        route,
        status = parts.status.as_u16(),
        content_type = %content_type.escape_ascii(),
        body = %beginning.escape_ascii(),
        "the upstream failed, and the caller is not told how"
    );
    worded(parts.status, &parts.headers)
}

/// What the caller hears instead: the status, when to come again, and nothing else of it.
fn worded(status: StatusCode, fields: &HeaderMap) -> Refusal {
    let cause = match status {
        StatusCode::NOT_IMPLEMENTED => Cause::NotImplemented,
        StatusCode::BAD_GATEWAY => Cause::UpstreamFailed,
        StatusCode::SERVICE_UNAVAILABLE => Cause::Overloaded,
        StatusCode::GATEWAY_TIMEOUT => Cause::UpstreamTimeout,
        _ => Cause::Internal,
    };
    let mut refusal = Refusal::new(cause, "the upstream failed").with_status(status);
    // RFC 9110 §10.2.3: seconds or a date, and neither says anything of the inside.
    let plain = |value: &&HeaderValue| value.to_str().is_ok_and(|text| text.len() <= 32);
    refusal.fields.extend(fields.get(RETRY_AFTER).filter(plain).map(|value| (RETRY_AFTER, value.clone())));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stays_and_says_which_sentence_it_is() {
        for (status, cause) in [
            (500, Cause::Internal),
            (501, Cause::NotImplemented),
            (502, Cause::UpstreamFailed),
            (503, Cause::Overloaded),
            (504, Cause::UpstreamTimeout),
            (505, Cause::Internal),
            (599, Cause::Internal),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = worded(status, &HeaderMap::new());
            assert_eq!((refusal.cause, refusal.status), (cause, Some(status)));
            assert!(refusal.fields.is_empty() && !refusal.close);
        }
    }

    #[test]
    fn when_to_come_again_is_passed_on_and_nothing_else() {
        for (value, kept) in [("120", true), ("Wed, 21 Oct 2026 07:28:00 GMT", true), (&"1".repeat(33), false)] {
            let fields = [(RETRY_AFTER, value), (CONTENT_TYPE, "text/html")]
                .map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()));
            let refusal = worded(StatusCode::SERVICE_UNAVAILABLE, &fields.into_iter().collect());
            assert_eq!(refusal.fields.iter().map(|(name, _)| name).eq([&RETRY_AFTER]), kept, "{value}");
        }
    }
}
