//! A refusal that another proxy passes on to its caller. To the proxy any success lets the request through, so that here
//! every refusal has the status of an error, also where its dialect, or an app, wants 200; what the caller should see stands
//! in `X-Vidgate-Status`.

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::refusal::Refusal;

/// The status that the caller should see, where the proxy is told another one.
static STATUS: HeaderName = HeaderName::from_static("x-vidgate-status");
/// The body, for a proxy that throws the answer's own away.
static BODY: HeaderName = HeaderName::from_static("x-vidgate-body");

/// The longest body that goes into a field, in bytes: a proxy has little room for a head.
const LONGEST: usize = 2048;

/// For a proxy that passes on status, fields and body.
pub fn as_it_is(mut answer: Response<Bytes>, refusal: &Refusal) -> Response<Bytes> {
    let meant = answer.status();
    if !(meant.is_client_error() || meant.is_server_error()) {
        tell(&mut answer, super::usual(refusal.cause), meant);
    }
    keep(answer)
}

/// For nginx, whose `auth_request` knows 401 and 403, makes 500 of everything else, and throws the body away.
pub fn by_nginx(mut answer: Response<Bytes>) -> Response<Bytes> {
    let meant = answer.status();
    let said = if meant == StatusCode::UNAUTHORIZED { meant } else { StatusCode::FORBIDDEN };
    tell(&mut answer, said, meant);
    // Every dialect's body is JSON, where a raw line break says nothing.
    let line: Vec<u8> = answer.body().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if line.len() <= LONGEST
        && let Ok(line) = HeaderValue::from_maybe_shared(Bytes::from(line))
    {
        answer.headers_mut().insert(BODY.clone(), line);
    }
    keep(answer)
}

fn tell(answer: &mut Response<Bytes>, said: StatusCode, meant: StatusCode) {
    *answer.status_mut() = said;
    answer.headers_mut().insert(STATUS.clone(), HeaderValue::from(meant.as_u16()));
}

/// The proxy's connection is not the caller's: nothing that was wrong with the request is wrong with it.
fn keep(mut answer: Response<Bytes>) -> Response<Bytes> {
    answer.headers_mut().remove(CONNECTION);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::tests::written;
    use crate::envelope::{DIALECTS, problem, render, voximplant};
    use crate::refusal::{Cause, Reason};

    const MISSING: Cause = Cause::Credential(Reason::Missing);

    #[test]
    fn no_refusal_passes_for_a_success() {
        for dialect in DIALECTS {
            for cause in crate::envelope::tests::causes() {
                let legacy = Refusal::new(cause, "").with_status(StatusCode::OK);
                for refusal in [Refusal::new(cause, ""), legacy] {
                    let answer = || render(dialect, &refusal, &HeaderValue::from_static("r-1"));
                    let (meant, said) = (answer().status(), as_it_is(answer(), &refusal));
                    assert!(said.status().is_client_error() || said.status().is_server_error(), "{cause:?}");
                    let told = said
                        .headers()
                        .get(&STATUS)
                        .map_or(said.status().as_u16(), |own| own.to_str().unwrap().parse().unwrap());
                    assert_eq!(told, meant.as_u16(), "{} {cause:?}", dialect.name);
                    let by_nginx = by_nginx(answer());
                    assert!([401, 403].contains(&by_nginx.status().as_u16()), "{cause:?}");
                    assert_eq!(by_nginx.headers()[&STATUS], HeaderValue::from(meant.as_u16()), "{cause:?}");
                }
            }
        }
    }

    #[test]
    fn nginx_gets_what_its_caller_should_see() {
        let refusal = Refusal::new(Cause::RateExceeded, "").closing().retry_after(std::time::Duration::from_secs(2));
        let answer = by_nginx(render(&problem::DIALECT, &refusal, &HeaderValue::from_static("r-1")));
        insta::assert_snapshot!(written(&answer), @r#"
        403 Forbidden
        content-type: application/problem+json
        cache-control: no-store
        x-request-id: r-1
        retry-after: 2
        x-vidgate-body: {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests. Please slow down.","request_id":"r-1"}
        x-vidgate-status: 429

        {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests. Please slow down.","request_id":"r-1"}
        "#);
    }

    #[test]
    fn where_a_dialect_wants_success_the_proxy_is_told_the_usual_status() {
        let refusal = Refusal::new(MISSING, "");
        let answer = as_it_is(render(&voximplant::DIALECT, &refusal, &HeaderValue::from_static("r-1")), &refusal);
        assert_eq!((answer.status().as_u16(), answer.headers()[&STATUS].to_str().unwrap()), (401, "200"));
    }
}
