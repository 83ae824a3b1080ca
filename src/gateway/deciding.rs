//! A request that another proxy asks about: decided as any other, and then not sent but answered, with what its upstream
//! is to get, or with the refusal that the proxy passes on.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::manner::{Manner, refuse};
use super::sending::{Errand, is_empty, way};
use super::supply::Supplies;
use super::{Arrival, Decision, Gateway, Lack};
use crate::edge::connection::Connection;
use crate::edge::decide::{Decide, Subject};
use crate::edge::path;
use crate::edge::request_body::RequestBody;
use crate::forward::{Body, Passage, Payload, permitted};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};
use crate::reply;
use crate::telemetry::Entry;
use crate::world::{Destination, Route, World};

/// Refuses what is not decided by the head alone, or is nothing that a proxy could send: bodies never come here, and
/// answers do not come by on their way back.
pub(super) fn decidable(route: &Route) -> Result<(), Refusal> {
    let hindrance = match (undecidable(route), &route.destination) {
        (Some(hindrance), _) => hindrance,
        (None, Destination::Upstream { .. }) => return Ok(()),
        (None, Destination::Endpoint(_)) => "a proxy asks about an endpoint of the house, which it has to send there",
        (None, Destination::NotImplemented) => "the route is declared as not implemented",
    };
    Err(Refusal::new(Cause::NotImplemented, hindrance))
}

/// Why a route cannot be decided for another proxy.
fn undecidable(route: &Route) -> Option<&'static str> {
    if route.form.is_some() {
        Some("a proxy asks about a route that looks into forms, and those do not come here")
    } else if route.content.is_some() {
        Some("a proxy asks about a route that looks at bodies, and those do not come here")
    } else if route.wall.is_some() {
        Some("a proxy asks about a listing that is filtered, and its answer does not come here")
    } else if route.inner.is_some() {
        Some("a proxy asks about a route that answers operations itself")
    } else {
        None
    }
}

/// What a check is about, if it comes from one of the operator's proxies and leaves nothing open.
pub(super) fn subject(decide: &Decide, check: &Parts, with: (&Payload, &Connection)) -> Result<Subject, Refusal> {
    decide.admit(with.1.peer.ip())?;
    subject_for_proxy(decide, check, with)
}

/// The same where it is certain that one of the proxies asks.
pub(super) fn subject_for_proxy(
    decide: &Decide,
    check: &Parts,
    (body, connection): (&Payload, &Connection),
) -> Result<Subject, Refusal> {
    if !is_empty(body) {
        return Err(Refusal::malformed("the check has a body"));
    }
    permitted::is_modest(&check.headers, decide.reads)?;
    decide.subject(check, connection)
}

/// What is told of a preflight that may pass.
pub(super) fn preflight_fields(
    decide: &Decide,
    fields: &mut HeaderMap,
    (world, parts, route): (&World, &Parts, &Route),
) -> Result<(), Refusal> {
    let path = path::canonical(parts.uri.path());
    let (Destination::Upstream { id, credential }, Ok(path)) = (&route.destination, path) else {
        return Err(Refusal::new(Cause::Internal, "a preflight came to a route without an upstream"));
    };
    permitted::direct(fields, decide, (parts, way(world, route, *id, *credential)), &path);
    Ok(())
}

impl Gateway {
    /// Answers a check: whether its subject may pass, and as whose request.
    pub(super) async fn judge(
        &self,
        decide: &Decide,
        check: Box<Parts>,
        body: RequestBody,
        arrival: Arrival<'_>,
    ) -> Response<Body> {
        let Arrival { connection, id, at, .. } = arrival;
        let body = Payload::Streamed(body);
        let Subject { parts, connection: caller } = match subject(decide, &check, (&body, connection)) {
            Ok(subject) => subject,
            Err(refusal) => {
                let mut entry = Entry::begin(&self.told, (id, at), connection, &check);
                entry.unread(&check);
                let dialect = self.world.dialect(connection.listener);
                return refuse(refusal, dialect, id, (entry, self.manner(connection)));
            }
        };
        self.settle(decide, parts, Arrival { connection: &caller, ..arrival }).await
    }

    /// Decides, as often as that has to wait for something.
    async fn settle(&self, decide: &Decide, parts: Box<Parts>, arrival: Arrival<'_>) -> Response<Body> {
        let Arrival { connection, id, at, .. } = arrival;
        let mut entry = Entry::begin(&self.told, (id, at), connection, &parts);
        let mut manner = self.manner(connection);
        let mut supplies = Supplies::new(Payload::Whole(Bytes::new()));
        let mut now = at;
        let (refusal, dialect) = loop {
            let lack = match self.corridor(now).decide(&parts, supplies.seen(), arrival, &mut manner, &mut entry) {
                Ok(Decision::Send(errand, admission, passage)) => {
                    return self.permitted(decide, (&parts, errand), &passage, admission, (entry, manner));
                }
                Ok(Decision::Preflight(answer, route)) => {
                    return self.preflight_permitted(decide, (&parts, route), answer, id, (entry, manner));
                }
                // Of a check without a body, for a route that looks into none, with a path.
                Ok(Decision::Lacks(Lack::Form(..)) | Decision::Pong) => {
                    let refusal = Refusal::new(Cause::Internal, "a check came to what only a request can come to");
                    break (refusal, self.world.dialect(connection.listener));
                }
                Ok(Decision::Lacks(lack)) => lack,
                Err(refused) => break refused,
            };
            if let Err(refused) = self.supply(lack, &mut supplies, arrival).await {
                break refused;
            }
            now = self.clock.now();
        };
        refuse(refusal, dialect, id, (entry, manner))
    }

    /// Says that a request may pass, and what its upstream is to get.
    fn permitted(
        &self,
        decide: &Decide,
        (parts, Errand { route, .. }): (&Parts, Errand<'_>),
        passage: &Passage<'_>,
        admission: Admission,
        (mut entry, manner): (Entry, Manner),
    ) -> Response<Body> {
        let Destination::Upstream { id, credential } = route.destination else {
            let refusal = Refusal::new(Cause::Internal, "a check came to a route without an upstream");
            return refuse(refusal, route.dialect, passage.id, (entry, manner));
        };
        let way = way(&self.world, route, id, credential);
        let own = match self.forwarder.own(&way, &admission) {
            Ok(own) => own,
            Err(refusal) => return refuse(admission.refused(refusal), route.dialect, passage.id, (entry, manner)),
        };
        let mut answer = Response::new(Body::whole(Bytes::new()));
        permitted::write(answer.headers_mut(), (parts, way), (&admission, own));
        let path = passage.path.as_deref().unwrap_or_else(|| parts.uri.path());
        permitted::direct(answer.headers_mut(), decide, (parts, way), path);
        reply::tidy(&mut answer, HeaderValue::clone(passage.id));
        self.lend(&mut answer, admission, passage);
        manner.finish(entry.answered(answer))
    }

    /// Says that a preflight may pass, as nobody's request: a browser sends it without a credential, and the upstream
    /// answers it, unless the proxy does so with the fields that are told here.
    fn preflight_permitted(
        &self,
        decide: &Decide,
        (parts, route): (&Parts, &Route),
        mut answer: Response<Body>,
        id: &HeaderValue,
        (mut entry, manner): (Entry, Manner),
    ) -> Response<Body> {
        let told = preflight_fields(decide, answer.headers_mut(), (&self.world, parts, route));
        if let Err(refusal) = told {
            return refuse(refusal, route.dialect, id, (entry, manner));
        }
        *answer.status_mut() = StatusCode::OK;
        entry.answered_by_house(&answer);
        reply::tidy(&mut answer, id.clone());
        manner.finish(answer)
    }
}
