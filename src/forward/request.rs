//! The request as the upstream gets it: one path, one framing, one Host, nothing that belongs to the hop before, and
//! the caller's identity in the place of their credential.

use std::net::IpAddr;
use std::rc::Rc;
use std::slice::from_ref;
use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, RANGE, SEC_WEBSOCKET_KEY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Body as _;

use crate::authorize::Rules;
use crate::edge::pairs;
use crate::edge::stage::InFlight;
use crate::forward::credential::{Field, Own};
use crate::forward::fields::Fields;
use crate::forward::forwarded::{self, Origin};
use crate::forward::headers::Filter;
use crate::forward::http1::{Encoding, Expected, digits, field};
use crate::forward::journey::Journey;
use crate::forward::leases::Leases;
use crate::forward::lessee::Lessee;
use crate::forward::outgoing::Outgoing;
use crate::forward::tunnel::Terms;
use crate::forward::upstream::{CredentialPolicy, Endpoint, HostPolicy, Upstream};
use crate::forward::websocket::Asked;
use crate::forward::{headers, identity};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};
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
    /// What is put in its place where it is translated.
    pub own: Option<&'a Own>,
    /// Every place where a credential may stand.
    pub places: &'a Places,
    /// Header names with an underscore that may pass.
    pub underscored: &'a [HeaderName],
    /// The largest body, in bytes.
    pub max_body: Option<u64>,
    /// How WebSocket is asked for, if it is, and for how long a tunnel may last.
    pub websocket: Option<(&'a Asked, Terms)>,
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
    /// The caller's address.
    pub address: IpAddr,
    /// The connection.
    pub connection: &'a crate::edge::connection::Connection,
    /// The request on its connection.
    pub in_flight: &'a InFlight,
    /// The request id.
    pub id: &'a HeaderValue,
    /// What the route asks of callers.
    pub rules: &'a Arc<Rules>,
    /// Where streams are watched.
    pub leases: &'a Rc<Leases>,
    /// Where it is noted how it fares, if anybody wants to know.
    pub journey: Option<Rc<Journey>>,
}

impl Passage<'_> {
    /// Whose request it is, and what for, as long as it is on its way.
    pub(super) fn lessee(&self, admission: &Admission) -> Lessee {
        let (principal, undertaking) = (admission.principal().clone(), admission.undertaking().clone());
        Lessee::new((principal, undertaking), self.rules, self.connection)
    }
}

/// Takes the caller's credential out of every place; says the query where that changed it.
pub fn without_credential(fields: &mut HeaderMap, query: Option<&str>, places: &Places) -> Option<String> {
    for name in &places.headers {
        fields.remove(name);
    }
    pairs::without(query?, &places.query)
}

/// A received request, to be said to an upstream as often as it takes.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    parts: Box<Parts>,
    way: &'a Way<'a>,
    passage: &'a Passage<'a>,
    admission: &'a Admission,
    /// The upstream's own credential, where it stands in the place of the caller's.
    own: Option<Field<'a>>,
    /// The query, where it is another without the credential.
    query: Option<String>,
    /// How long the body is; `None` is not known before its end.
    length: Option<u64>,
    /// Who says that length.
    said: Said,
}

/// Who says how long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Caller,
    /// The body was read to its end before, whatever its framing was on the way here. Its trailers are gone, and are no
    /// longer announced.
    House,
    Nobody,
}

impl<'a> Errand<'a> {
    /// Settles what is the same for every endpoint.
    pub(super) fn new(
        parts: Box<Parts>,
        way: &'a Way<'a>,
        passage: &'a Passage<'a>,
        (admission, own): (&'a Admission, Option<Field<'a>>),
        body: &Outgoing,
    ) -> Result<Self, Refusal> {
        let keeps = way.credential == CredentialPolicy::Keep;
        let query = parts.uri.query().filter(|_| !keeps).and_then(|query| pairs::without(query, &way.places.query));
        let empty = body.is_end_stream();
        let (length, said) = match (body.whole_length(), parts.headers.get(CONTENT_LENGTH)) {
            (Some(length), _) => (Some(length as u64), Said::House),
            (None, Some(said)) => {
                let length = digits(said.as_bytes()).filter(|length| !empty || *length == 0);
                let length = length.ok_or_else(|| Refusal::malformed("a length that is none, or of no body"))?;
                (Some(length), Said::Caller)
            }
            (None, None) => (empty.then_some(0), Said::Nobody),
        };
        let errand = Self { parts, way, passage, admission, own, query, length, said };
        // The canonical path and a part of a query that was parsed before make a target again; if not, nothing goes out.
        let (path, query) = errand.target();
        if !path.starts_with('/')
            || !path.bytes().chain(query.unwrap_or("").bytes()).all(|byte| byte.is_ascii_graphic())
        {
            return Err(Refusal::new(Cause::Internal, "the target to be sent is none").closing());
        }
        Ok(errand)
    }

    /// Writes the whole head, its empty line included.
    pub(super) fn write(&self, endpoint: &Endpoint, text: &mut Vec<u8>) {
        let (path, query) = self.target();
        for part in
            [self.parts.method.as_str(), " ", path, query.map_or("", |_| "?"), query.unwrap_or(""), " HTTP/1.1\r\n"]
        {
            text.extend_from_slice(part.as_bytes());
        }
        let received = self.received_host();
        field(text, &HOST, self.host(received.as_ref(), endpoint));
        self.put_fields(received.as_ref(), text);
        if let Some((asked, _)) = self.way.websocket {
            text.line(&CONNECTION, b"Upgrade");
            text.line(&UPGRADE, b"websocket");
            if let Asked::Connect(key) = asked {
                text.line(&SEC_WEBSOCKET_KEY, key.as_bytes());
            }
        }
        text.extend_from_slice(b"\r\n");
    }

    /// The head as HTTP/2 says it: the host as `:authority` (RFC 9113 §8.3.1).
    pub(super) fn request(&self, endpoint: &Endpoint) -> Result<Request<()>, Refusal> {
        let (path, query) = self.target();
        let received = self.received_host();
        let target = match query {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
            None => PathAndQuery::try_from(path),
        };
        let authority = Authority::try_from(self.host(received.as_ref(), endpoint).as_bytes());
        let none = || Refusal::new(Cause::Internal, "the target to be sent is none").closing();
        let mut uri = Uri::default().into_parts();
        uri.scheme = Some(if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(authority.map_err(|_| none())?);
        uri.path_and_query = Some(target.map_err(|_| none())?);
        let mut request = Request::new(());
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| none())?;
        *request.version_mut() = Version::HTTP_2;
        self.put_fields(received.as_ref(), request.headers_mut());
        Ok(request)
    }

    /// Its path, and whether its query is another than the one that came.
    pub(super) fn shown(&self) -> (String, bool) {
        (self.target().0.to_owned(), self.query.is_some())
    }

    /// Every field that it has for this endpoint, the host included.
    pub(super) fn all_fields(&self, endpoint: &Endpoint) -> HeaderMap {
        let (received, mut fields) = (self.received_host(), HeaderMap::new());
        fields.field(&HOST, self.host(received.as_ref(), endpoint));
        self.put_fields(received.as_ref(), &mut fields);
        fields
    }

    /// The host that the caller names.
    fn received_host(&self) -> Option<HeaderValue> {
        let Parts { uri, version, headers, .. } = &*self.parts;
        match uri.authority().filter(|_| *version == Version::HTTP_2) {
            Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
            None => headers.get(HOST).cloned(),
        }
    }

    /// Puts every field but the host: what the caller says, and behind it what vidgate says, so that nothing of it can be
    /// named in `Connection` and taken away again.
    fn put_fields(&self, host: Option<&HeaderValue>, fields: &mut impl Fields) {
        let Self { passage, .. } = self;
        self.pass_on(fields);
        let (version, trusted) = (self.parts.version, passage.trusted);
        let origin = Origin { connection: passage.connection, version, secure: passage.secure, trusted };
        forwarded::write(fields, &self.parts.headers, host, origin);
        identity::write(fields, self.admission);
        if let Some((name, value)) = self.translated() {
            fields.field(name, value);
        }
        fields.field(&REQUEST_ID, passage.id);
        self.frame(fields);
    }

    /// Puts the caller's own fields, without those that are said anew.
    fn pass_on(&self, fields: &mut impl Fields) {
        let (headers, way) = (&self.parts.headers, &self.way);
        let places = if way.credential == CredentialPolicy::Keep { &[][..] } else { &way.places.headers };
        let translated = self.translated();
        let filter = Filter::new(headers, way.underscored, self.passage.trusted, places);
        let (mut crumbs, mut trailers) = (false, false);
        for (name, value) in headers {
            if *name == CONTENT_LENGTH {
                // Whatever else is said of it: the body follows it.
                if self.said == Said::Caller {
                    fields.field(name, value);
                }
            } else if *name == TE {
                trailers |= headers::wants_trailers(value);
            } else if *name == HOST || *name == REQUEST_ID || forwarded::continues(name) {
                // Said anew.
            } else if *name == RANGE && headers::is_flood_of_ranges(headers) {
                // The whole is asked for.
            } else if *name == TRAILER && self.said == Said::House {
                // There are none.
            } else if *name == SEC_WEBSOCKET_KEY && matches!(way.websocket, Some((Asked::Connect(_), _))) {
                // The key is ours.
            } else if !filter.passes(name) || translated.is_some_and(|(own, _)| headers::is_one_of(name, from_ref(own)))
            {
                // Kept back.
            } else if *name == COOKIE && self.parts.version == Version::HTTP_2 {
                // HTTP/2 may say them in several fields (RFC 9113 §8.2.3).
                if !std::mem::replace(&mut crumbs, true) {
                    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
                    fields.line(&COOKIE, &crumbs.join(&b"; "[..]));
                }
            } else {
                fields.field(name, value);
            }
        }
        if trailers {
            fields.line(&TE, b"trailers");
        }
    }

    /// Says how the body is framed where the caller's own field does not. RFC 9110 §8.6 wants a length of 0 said where a
    /// body would be expected.
    fn frame<F: Fields>(&self, fields: &mut F) {
        let expected = [Method::POST, Method::PUT, Method::PATCH].contains(&self.parts.method);
        match (self.length, self.said) {
            (None, _) if F::FRAMED => {}
            (None, _) => fields.line(&TRANSFER_ENCODING, b"chunked"),
            (Some(length), Said::House) => fields.field(&CONTENT_LENGTH, &HeaderValue::from(length)),
            (Some(_), Said::Nobody) if expected => fields.line(&CONTENT_LENGTH, b"0"),
            (Some(_), Said::Nobody | Said::Caller) => {}
        }
    }

    /// The `Host` that the upstream asks for.
    fn host<'h>(&'h self, received: Option<&'h HeaderValue>, endpoint: &'h Endpoint) -> &'h HeaderValue {
        match (&self.way.upstream.host, received) {
            (HostPolicy::Preserve, Some(host)) => host,
            (HostPolicy::Preserve | HostPolicy::Endpoint, _) => &endpoint.authority,
            (HostPolicy::Named(name), _) => name,
        }
    }

    /// Path and query in origin form: the canonical path, and the query without the credential.
    fn target(&self) -> (&str, Option<&str>) {
        let path = self.passage.path.as_deref().unwrap_or_else(|| self.parts.uri.path());
        // A query that was empty from the start keeps its question mark; one that became empty does not.
        let query = match &self.query {
            Some(rest) => Some(rest.as_str()).filter(|rest| !rest.is_empty()),
            None => self.parts.uri.query(),
        };
        (path, query)
    }

    /// What the body is put into.
    pub(super) fn encoding(&self) -> Encoding {
        match self.length {
            Some(length) => Encoding::Length(length),
            None => Encoding::Chunked(self.trailers()),
        }
    }

    /// The trailers that may follow where they have to be announced.
    fn trailers(&self) -> Vec<HeaderName> {
        let (withheld, mut announced) = (self.withheld(), headers::announced_trailers(&self.parts.headers));
        announced.retain(|name| !headers::is_one_of(name, &withheld));
        announced
    }

    /// The trailers that may not follow: not a credential, neither the caller's nor one that would stand beside the
    /// upstream's own: some upstreams merge them into the head.
    pub(super) fn withheld(&self) -> Vec<HeaderName> {
        let keeps = self.way.credential == CredentialPolicy::Keep;
        let places = if keeps { &[][..] } else { &self.way.places.headers };
        places.iter().chain(self.translated().map(|(own, _)| own)).cloned().collect()
    }

    /// How long the body is; `None` is not known before its end.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The upstream's own credential, where it stands in the place of the caller's.
    fn translated(&self) -> Option<(&HeaderName, &HeaderValue)> {
        self.own.as_ref().map(|(name, value)| (*name, &**value))
    }

    /// What comes of it.
    pub(super) fn expected(&self) -> Expected {
        match (&self.parts.method, self.way.websocket) {
            (_, Some(_)) => Expected::Switch,
            (&Method::HEAD, None) => Expected::Head,
            (_, None) => Expected::Whole,
        }
    }

    /// What is asked to be done.
    pub(super) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The map of the fields: not needed again once the request is on its way, unless it may be sent once more.
    pub(super) fn fields(&mut self) -> &mut HeaderMap {
        &mut self.parts.headers
    }
}
