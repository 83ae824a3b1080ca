//! What is done with a request that was let in: where it goes, what the upstream or an endpoint answers, and how that is
//! filtered, masked and lent what the request was.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Body as _;

use super::Gateway;
use crate::authorize::content;
use crate::edge::connection::Connection;
use crate::endpoint::{Entry, Visit};
use crate::envelope;
use crate::forward::lessee::Lessee;
use crate::forward::upstream::{CredentialPolicy, UpstreamId};
use crate::forward::websocket::{self, Asked};
use crate::forward::{Body, Gatherer, Passage, Payload, Terms, Way};
use crate::limit::Admission;
use crate::record::Wall;
use crate::refusal::{Cause, Refusal};
use crate::reply::{Hidden, mask, wall};
use crate::world::{Destination, Route, World};

/// How long an upstream may take for the whole of a listing that is looked through.
const LISTING: Duration = Duration::from_secs(30);

/// The largest body that is looked into, in bytes, on a route that says nothing of the size of its bodies.
const CHECKED_BODY: u64 = 1 << 20;

/// Where a request goes that was let in.
pub(super) struct Errand<'a> {
    /// On this route.
    pub(super) route: &'a Route,
    /// The operation that was permitted, where the route asks for one.
    pub(super) operation: Option<Box<str>>,
    /// How the answer is filtered, and what it may show, where it is a public listing.
    pub(super) wall: Option<(&'a wall::Rule, Wall)>,
    /// Who asks.
    pub(super) address: IpAddr,
    /// Whether for WebSocket, and how long that may last.
    pub(super) websocket: Option<(Asked, Terms)>,
}

impl Gateway {
    /// Where bodies of callers are gathered who are known, or not.
    pub(super) fn room(&self, is_known: bool) -> &Gatherer {
        if is_known { &self.gatherer } else { &self.doorstep }
    }

    /// What the caller gets in the place of an answer that is the upstream's own failure: a general sentence.
    pub(super) async fn masked(
        &self,
        answer: Response<Body>,
        (route, admission): (&Route, &Admission),
        id: &HeaderValue,
        hidden: Hidden<'_>,
    ) -> Response<Body> {
        let patience = self.deadlines.register();
        let own = match route.destination {
            Destination::Upstream { id, credential } => {
                self.forwarder.own(&way(&self.world, route, id, credential), admission)
            }
            Destination::Endpoint(_) | Destination::NotImplemented => Ok(None),
        };
        let own = own.ok().flatten().map(|(_, value)| value);
        let instead = mask::mask(answer, (&route.name, id), hidden.and(own.as_deref()), &patience).await;
        envelope::render(route.dialect, &instead, id).map(Body::whole)
    }

    /// Gives the answer what its request was lent, until it has ended; one that is on its way only while its caller stands.
    pub(super) fn lend(&self, answer: &mut Response<Body>, admission: Admission, passage: &Passage<'_>) {
        let (occupancy, principal, undertaking) = admission.answered(answer.headers_mut());
        answer.body_mut().occupy(occupancy);
        if !answer.body().is_streamed() {
            return;
        }
        let lessee = Lessee::new((principal, undertaking), passage.rules, passage.connection);
        let mut stream = self.leases.open(lessee, Some(passage.in_flight.cutter()));
        if answer.body().is_tunnel() {
            stream = stream.patient();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                // They concern one connection only: these are for the caller's.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            }
        }
        answer.body_mut().watch(stream);
    }

    /// How a request asks for WebSocket, where the route lets it through.
    pub(super) fn websocket(route: &Route, parts: &Parts) -> Result<Option<(Asked, Terms)>, Refusal> {
        match route.websocket {
            Some(terms) => Ok(websocket::asked(parts)?.map(|asked| (asked, terms))),
            None if websocket::is_connect(parts) => {
                Err(Refusal::new(Cause::MethodNotImplemented, "WebSocket on a route that does not let it through"))
            }
            None => Ok(None),
        }
    }

    /// The way of a request that goes to an upstream as it is, and whose answer comes back so.
    pub(super) fn straight<'a>(&'a self, errand: &'a Errand<'a>, body: &Payload) -> Option<(UpstreamId, Way<'a>)> {
        let Errand { route, operation, wall, websocket, .. } = errand;
        if wall.is_some() || looks_into(route, body) {
            return None;
        }
        let Ok(Goal::Upstream(id, credential)) = goal(route, operation.as_deref()) else { return None };
        let websocket = websocket.as_ref().map(|(asked, terms)| (asked, *terms));
        Some((id, Way { websocket, ..way(&self.world, route, id, credential) }))
    }

    /// How long a caller on this connection may take for each piece of a body.
    pub(super) fn piece(&self, connection: &Connection) -> Duration {
        self.world.listener(connection.listener).limits.body
    }

    /// Has an endpoint answer, or the upstream where there is more to it.
    pub(super) async fn send(
        &self,
        Errand { route, operation, wall, address, websocket }: Errand<'_>,
        (mut parts, body): (Box<Parts>, Payload),
        passage: &Passage<'_>,
        admission: &Admission,
    ) -> Result<Response<Body>, Refusal> {
        let piece = self.piece(passage.connection);
        let gatherer = self.room(admission.principal().is_identified());
        let (id, credential) = match goal(route, operation.as_deref())? {
            Goal::Upstream(id, credential) => (id, credential),
            Goal::Endpoint(entry) => {
                let visit = Visit {
                    gatherer,
                    places: &route.places,
                    max_body: route.max_body,
                    piece,
                    operation,
                    guard: route.guard.map(|id| self.guards[id.0].at_endpoint(address)),
                    deadline: self.deadlines.register(),
                };
                return self.endpoints.answer(entry, (parts, body), visit, passage, admission).await;
            }
        };
        let way = Way {
            websocket: websocket.as_ref().map(|(asked, terms)| (asked, *terms)),
            ..way(&self.world, route, id, credential)
        };
        let looks_into = looks_into(route, &body);
        let payload = match body {
            Payload::Streamed(body) if looks_into => {
                let whole = gatherer.collect(body, checked_body(route), piece, passage.in_flight).await?;
                // Chunks without a byte in them are no body either.
                if !whole.is_empty() {
                    content::Rule::check_text(&whole)?;
                }
                Payload::Whole(whole)
            }
            body @ (Payload::Streamed(_) | Payload::Whole(_)) => body,
        };
        let Some((wall, shown)) = wall else {
            return self.forwarder.send((parts, payload), &(id, way), (passage, admission), piece).await;
        };
        wall.prepare(&mut parts);
        let method = parts.method.clone();
        let answer = self.forwarder.send((parts, payload), &(id, way), (passage, admission), piece).await?;
        let patience = self.deadlines.register();
        patience.arm(LISTING);
        wall.filter(answer, (&method, shown), (&self.listings, &patience)).await
    }
}

/// Whether a route looks into this body before it goes on.
fn looks_into(route: &Route, body: &Payload) -> bool {
    match body {
        Payload::Streamed(body) => route.content == Some(content::Rule::CheckedJson) && !body.is_end_stream(),
        Payload::Whole(_) => false,
    }
}

/// Where a request goes that was let in.
pub(super) enum Goal {
    /// To this upstream, which so sees the caller's credential.
    Upstream(UpstreamId, CredentialPolicy),
    /// To this endpoint of the house.
    Endpoint(&'static Entry),
}

/// Where a request for this operation goes that was let in on this route.
pub(super) fn goal(route: &Route, operation: Option<&str>) -> Result<Goal, Refusal> {
    let inner = route.inner.filter(|entry| operation.is_some_and(|name| entry.operations.contains(&name)));
    match (inner, &route.destination) {
        (None, &Destination::Upstream { id, credential }) => Ok(Goal::Upstream(id, credential)),
        (Some(entry), &Destination::Upstream { .. }) | (_, &Destination::Endpoint(entry)) => Ok(Goal::Endpoint(entry)),
        (_, Destination::NotImplemented) => {
            Err(Refusal::new(Cause::NotImplemented, "the route is declared as not implemented"))
        }
    }
}

/// How a route sends to this upstream.
pub(super) fn way<'a>(world: &'a World, route: &'a Route, id: UpstreamId, credential: CredentialPolicy) -> Way<'a> {
    let upstream = &world.upstreams[id.0];
    Way {
        upstream,
        credential,
        own: route.upstream_credential.as_ref().or(upstream.credential.as_ref()),
        places: &route.places,
        underscored: &route.underscored,
        max_body: route.max_body,
        websocket: None,
    }
}

/// The largest body that a route looks into, in bytes.
pub(super) fn checked_body(route: &Route) -> u64 {
    route.max_body.unwrap_or(CHECKED_BODY)
}

/// Whether there is no body, or one without a byte in it. HTTP/2 may say either.
pub(super) fn is_empty(body: &Payload) -> bool {
    match body {
        Payload::Streamed(body) => body.is_end_stream() || body.size_hint().exact() == Some(0),
        Payload::Whole(body) => body.is_empty(),
    }
}

/// How many bytes a body has at least.
pub(super) fn least(body: &Payload) -> u64 {
    match body {
        Payload::Streamed(body) => body.size_hint().lower(),
        Payload::Whole(body) => body.len() as u64,
    }
}
