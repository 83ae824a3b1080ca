//! From the corridor into an endpoint and back: the body is read whole, the credential taken out, and what comes back is
//! an answer, or the refusal that axum carried.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body as Inner, to_bytes};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, HOST};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use tower::Service;

use super::{Caller, Endpoints, Entry};
use crate::deadline::Deadline;
use crate::forward::{Body, Gatherer, Passage, Payload, without_credential};
use crate::limit::Admission;
use crate::limit::failures::AtEndpoint;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Places;

/// The largest body of a request where the route says nothing, in bytes.
const MOST: u64 = 1 << 20;
/// The largest answer, in bytes.
const MOST_ANSWERED: usize = 16 << 20;
/// How long an endpoint may take, from the whole request on.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an endpoint needs of the gateway for one request.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Reads the body.
    pub gatherer: &'a Gatherer,
    /// Where the caller's credential may stand.
    pub places: &'a Places,
    /// The largest body that the route takes, in bytes.
    pub max_body: Option<u64>,
    /// How long the caller may take for each piece of the body.
    pub piece: Duration,
    /// The operation that was permitted, where the route asks for one.
    pub operation: Option<Box<str>>,
    /// The route's guard against guessing, if it has one.
    pub guard: Option<AtEndpoint>,
    /// Runs while the endpoint works.
    pub deadline: Deadline,
}

impl Endpoints {
    /// Has an endpoint answer.
    pub async fn answer(
        &self,
        entry: &'static Entry,
        (parts, body): (Box<Parts>, Payload),
        visit: Visit<'_>,
        passage: &Passage<'_>,
        admission: &Admission,
    ) -> Result<Response<Body>, Refusal> {
        let most = visit.max_body.unwrap_or(MOST).min(entry.max_body.unwrap_or(u64::MAX));
        let bytes = match body {
            Payload::Streamed(body) => visit.gatherer.collect(body, most, visit.piece, passage.in_flight).await?,
            Payload::Whole(bytes) => bytes,
        };
        let request = request(*parts, bytes, &visit, passage, admission)?;
        let router = self.router(entry).ok_or(Refusal::new(Cause::Internal, "the endpoint was not built"))?;
        let mut answering = pin!(router.clone().call(request));
        visit.deadline.arm(PATIENCE);
        let answered = poll_fn(|context| match answering.as_mut().poll(context) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending => visit.deadline.poll(context).map(|()| None),
        });
        match answered.await {
            Some(Ok(answer)) => whole(answer).await,
            Some(Err(never)) => match never {},
            None => Err(Refusal::new(Cause::Overloaded, "the endpoint did not answer in time")),
        }
    }
}

/// The request as the endpoint gets it.
fn request(
    parts: Parts,
    body: Bytes,
    visit: &Visit<'_>,
    passage: &Passage<'_>,
    admission: &Admission,
) -> Result<Request<Inner>, Refusal> {
    let Parts { method, uri, mut headers, .. } = parts;
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(http::uri::Authority::as_str).or(named).unwrap_or_default();
    let caller = Caller::new(admission.principal().clone(), passage.address, host, visit.operation.as_deref());
    let caller = caller.watched(visit.guard.clone());
    let rest = without_credential(&mut headers, uri.query(), visit.places);
    let path = passage.path.as_deref().unwrap_or_else(|| uri.path());
    let query = rest.as_deref().or(uri.query()).filter(|query| !query.is_empty());
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut request = Request::new(Inner::from(body));
    *request.method_mut() = method;
    *request.uri_mut() =
        Uri::try_from(target).map_err(|_| Refusal::new(Cause::Internal, "the target of the endpoint is none"))?;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// The answer with all of its body; nobody may keep it unless it says so.
async fn whole(answer: Response<Inner>) -> Result<Response<Body>, Refusal> {
    let (mut parts, body) = answer.into_parts();
    if let Some(mut refusal) = parts.extensions.remove::<Refusal>() {
        // Which methods a path takes is axum's knowledge.
        if let (Cause::MethodNotAllowed, Some(allow)) = (refusal.cause, parts.headers.remove(ALLOW)) {
            refusal.fields.push((ALLOW, allow));
        }
        return Err(refusal);
    }
    if let Some(refusal) = refused_by_axum(parts.status) {
        return Err(refusal);
    }
    let bytes = to_bytes(body, MOST_ANSWERED);
    let bytes = bytes.await.map_err(|_| Refusal::new(Cause::Internal, "the endpoint's answer has no end"))?;
    parts.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(Response::from_parts(parts, Body::whole(bytes)))
}

/// What an extractor of axum refused, in words of the house: endpoints themselves answer with refusals.
fn refused_by_axum(status: StatusCode) -> Option<Refusal> {
    let refusal = |cause| Some(Refusal::new(cause, "refused while the request was taken apart"));
    match status {
        StatusCode::NOT_FOUND => refusal(Cause::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => refusal(Cause::MethodNotAllowed),
        StatusCode::PAYLOAD_TOO_LARGE => refusal(Cause::BodyTooLarge),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => refusal(Cause::UnsupportedMediaType),
        other if other.is_client_error() => refusal(Cause::InvalidContent),
        other if other.is_server_error() => refusal(Cause::Internal),
        _ => None,
    }
}
