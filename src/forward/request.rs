//! The request as the upstream gets it: one path, one framing, one Host, nothing that belongs to the hop before, and
//! the caller's identity in the place of their credential.

use http::header::{COOKIE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use hyper::body::Body as _;

use crate::forward::body::Outgoing;
use crate::forward::forwarded::{self, Origin};
use crate::forward::upstream::{CredentialPolicy, Endpoint, HostPolicy, Upstream};
use crate::forward::{headers, identity};
use crate::limit::Admission;
use crate::scheme::Places;

/// The request id, towards the upstream and the caller.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
) -> Request<Outgoing> {
    let Parts { method, uri, version, headers: mut fields, .. } = parts;
    if version == Version::HTTP_2 {
        as_http1(&mut fields, &uri);
    }
    // The order matters. What the hop before named in `Connection` goes first, so that it cannot name what is added
    // below; then what no caller may say of themselves; only then is anything added.
    headers::strip_request(&mut fields, way.underscored, passage.trusted);
    let query = replace_credential(&mut fields, uri.query(), way);
    let target = target(uri, passage.path.as_deref(), query.as_deref());
    let origin = Origin { connection: passage.connection, version, secure: passage.secure, trusted: passage.trusted };
    forwarded::write(&mut fields, origin);
    identity::write(&mut fields, admission);
    fields.insert(REQUEST_ID, passage.id.clone());
    if body.size_hint().exact().is_none() {
        // Unsaid, hyper would send a GET or HEAD without its body.
        fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = fields;
    request
}

/// Names the endpoint in `Host` where the upstream asks for it.
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
    for name in &way.places.headers {
        fields.remove(name);
    }
    if way.credential == CredentialPolicy::Translate
        && let Some((name, value)) = &way.upstream.credential
    {
        fields.insert(name, value.clone());
    }
    headers::strip_query(query?, &way.places.query)
}

/// The target in origin form: the canonical path, and the query without the credential.
fn target(uri: Uri, path: Option<&str>, query: Option<&str>) -> Uri {
    if path.is_none() && query.is_none() && uri.authority().is_none() {
        return uri;
    }
    let path = path.unwrap_or_else(|| uri.path());
    let query = query.or_else(|| uri.query()).unwrap_or_default();
    let mut target = String::with_capacity(path.len() + 1 + query.len());
    target.push_str(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(query);
    }
    // The canonical path and a part of a query that was parsed before make a target again; if not, nothing goes out.
    target.try_into().unwrap_or_else(|_| Uri::from_static("/"))
}
