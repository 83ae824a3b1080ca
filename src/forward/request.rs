//! The request as the upstream gets it: one path, one framing, one Host, nothing that belongs to the hop before, and
//! the caller's identity in the place of their credential.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRAILER, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Body as _;

use crate::edge::stage::InFlight;
use crate::forward::body::Outgoing;
use crate::forward::forwarded::{self, Origin};
use crate::forward::upstream::{CredentialPolicy, Endpoint, HostPolicy, Upstream};
use crate::forward::{headers, identity};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Places;

/// The request id, towards the upstream and the caller.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most fields that vidgate adds to a request.
const ADDED: usize = 12;

/// How a route sends its requests.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Where to.
    pub upstream: &'a Upstream,
    /// What becomes of the caller's credential.
    pub credential: CredentialPolicy,
    /// Every place where a credential may stand.
    pub places: &'a Places,
    /// Header names with an underscore that may pass.
    pub underscored: &'a [HeaderName],
    /// The largest body, in bytes.
    pub max_body: Option<u64>,
}

/// What is known of a request besides its parts.
#[derive(Debug)]
pub struct Passage<'a> {
    /// The canonical path, where it differs from the one received.
    pub path: Option<String>,
    /// Whether the caller spoke TLS.
    pub secure: bool,
    /// Whether the connection comes from a trusted proxy.
    pub trusted: bool,
    /// The connection.
    pub connection: &'a crate::edge::connection::Connection,
    /// The request on its connection.
    pub in_flight: &'a InFlight,
    /// The request id.
    pub id: &'a HeaderValue,
}

/// Turns a received request into the one that is sent.
pub(super) fn prepare(
    parts: Parts,
    body: Outgoing,
    way: Way<'_>,
    passage: &Passage<'_>,
    admission: &Admission,
) -> Result<Request<Outgoing>, Refusal> {
    let Parts { method, uri, version, headers: mut fields, .. } = parts;
    if version == Version::HTTP_2 {
        as_http1(&mut fields, &uri);
    }
    // The order matters. What the hop before named in `Connection` goes first, so that it cannot name what is added
    // below; then what no caller may say of themselves; only then is anything added.
    headers::strip_request(&mut fields, way.underscored, passage.trusted);
    let query = replace_credential(&mut fields, uri.query(), way);
    let target = target(uri, passage.path.as_deref(), query.as_deref())?;
    let origin = Origin { connection: passage.connection, version, secure: passage.secure, trusted: passage.trusted };
    // Room for all that is added below, so that the map grows once.
    fields.reserve(ADDED);
    forwarded::write(&mut fields, origin);
    identity::write(&mut fields, admission);
    fields.insert(REQUEST_ID, passage.id.clone());
    if let Some(length) = body.whole_length() {
        // Whatever its framing was on the way here. Its trailers are gone, and are no longer announced.
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        fields.remove(TRAILER);
    }
    frame(&mut fields, &method, body.is_end_stream());
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = fields;
    Ok(request)
}

/// Says how the body is framed where the fields do not: hyper takes the methods that rarely have one (GET, DELETE, …) to
/// have none, and RFC 9110 §8.6 wants a length of 0 said where a body would be expected.
fn frame(fields: &mut HeaderMap, method: &Method, empty: bool) {
    if fields.contains_key(CONTENT_LENGTH) {
        return;
    }
    if !empty {
        fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    } else if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Names the endpoint in `Host` where the upstream asks for it. May be said again for another endpoint.
pub(super) fn address(request: &mut Request<Outgoing>, upstream: &Upstream, endpoint: &Endpoint) {
    let host = match upstream.host {
        HostPolicy::Preserve if request.headers().contains_key(HOST) => return,
        HostPolicy::Preserve | HostPolicy::Endpoint => endpoint.authority.clone(),
    };
    request.headers_mut().insert(HOST, host);
}

/// What HTTP/2 says otherwise: the host in `:authority`, and cookies in several fields (RFC 9113 §8.2.3).
fn as_http1(fields: &mut HeaderMap, uri: &Uri) {
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        fields.insert(HOST, host);
    }
    if fields.get_all(COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<_> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            fields.insert(COOKIE, cookie);
        }
    }
}

/// Takes the caller's credential out of every place, or leaves it; says the query where that changed it.
fn replace_credential(fields: &mut HeaderMap, query: Option<&str>, way: Way<'_>) -> Option<String> {
    if way.credential == CredentialPolicy::Keep {
        return None;
    }
    let query = without_credential(fields, query, way.places);
    if way.credential == CredentialPolicy::Translate
        && let Some((name, value)) = &way.upstream.credential
    {
        fields.insert(name, value.clone());
    }
    query
}

/// Takes the caller's credential out of every place; says the query where that changed it.
pub fn without_credential(fields: &mut HeaderMap, query: Option<&str>, places: &Places) -> Option<String> {
    for name in &places.headers {
        fields.remove(name);
    }
    headers::strip_query(query?, &places.query)
}

/// The target in origin form: the canonical path, and the query without the credential.
fn target(uri: Uri, path: Option<&str>, query: Option<&str>) -> Result<Uri, Refusal> {
    if path.is_none() && query.is_none() && uri.authority().is_none() {
        return Ok(uri);
    }
    let path = path.unwrap_or_else(|| uri.path());
    // A query that was empty from the start keeps its question mark; one that became empty does not.
    let query = query.map_or_else(|| uri.query(), |rest| Some(rest).filter(|rest| !rest.is_empty()));
    let mut target = String::with_capacity(path.len() + 1 + query.map_or(0, str::len));
    target.push_str(path);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    // The canonical path and a part of a query that was parsed before make a target again; if not, nothing goes out.
    target.try_into().map_err(|_| Refusal::new(Cause::Internal, "the target to be sent is none").closing())
}
