//! The story of the house, told once: a request is selected a route, identified, permitted, admitted and sent, and what
//! comes back is tidied. Each step takes the receipt of the one before.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response};
use hyper::body::Body as _;

use crate::authorize::{self, content};
use crate::clock::Clock;
use crate::deadline::{Deadline, Deadlines};
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::guard;
use crate::edge::head::Head;
use crate::edge::listener::Listener;
use crate::edge::preface::Preface;
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::edge::worker::Answer;
use crate::endpoint::{self, Endpoints, Visit};
use crate::envelope::{self, Dialect};
use crate::forward::{Body, Forwarder, Gatherer, Passage, Payload, Way};
use crate::limit::failures::{Failures, Opened};
use crate::limit::{self, Admission, Asked, Gate, Outcome, Waiting};
use crate::refusal::{Cause, Refusal};
use crate::reply::{self, Hidden, mask};
use crate::scheme::jwt::Verified;
use crate::scheme::{self, Scene};
use crate::telemetry::access::{Entry, RequestIds};
use crate::world::{Destination, Route, World};

/// Verified tokens that a worker remembers.
const VERIFIED_TOKENS: usize = 10_000;
/// How long a request waits for its quota to be written down.
const LEDGER: Duration = Duration::from_secs(5);

/// The largest body that is looked into, in bytes, on a route that says nothing of the size of its bodies.
const CHECKED_BODY: u64 = 1 << 20;

/// A worker's gateway.
#[derive(Debug)]
pub struct Gateway {
    world: Arc<World>,
    forwarder: Forwarder,
    endpoints: Endpoints,
    gatherer: Gatherer,
    verified: Verified,
    gate: Gate,
    guards: Opened,
    deadlines: Rc<Deadlines>,
    request_ids: RequestIds,
    clock: Clock,
}

impl Gateway {
    /// A gateway for one worker; `kit` is what its endpoints are built from.
    pub fn new(
        world: Arc<World>,
        kit: &endpoint::Kit,
        (gate, guards): (Gate, Opened),
        clock: Clock,
        deadlines: &Rc<Deadlines>,
    ) -> Self {
        let forwarder = Forwarder::new(&world.upstreams, deadlines);
        let (endpoints, gatherer) = (Endpoints::new(kit), Gatherer::new(deadlines));
        let (verified, request_ids) = (Verified::new(VERIFIED_TOKENS), RequestIds::new());
        let deadlines = Rc::clone(deadlines);
        Self { world, forwarder, endpoints, gatherer, verified, gate, guards, deadlines, request_ids, clock }
    }

    /// Answers one request: the story of the house. Decided first, at one instant; then sent, if it may be.
    async fn serve(&self, parts: Box<Parts>, body: RequestBody, arrival: Arrival<'_>) -> Response<Body> {
        let Arrival { connection, id, .. } = arrival;
        let mut entry = Entry::begin(self.world.access_log, &self.clock, id, connection, &parts.method);
        let mut patience = None;
        let (route, admission, passage) = loop {
            match self.decide(&parts, &body, arrival, patience.is_some(), &mut entry) {
                Ok(Decision::Send(route, admission, passage)) => break (route, admission, passage),
                Ok(Decision::Pong) => {
                    let answer = reply::pong(id);
                    entry.answered(answer.status());
                    return answer;
                }
                // Decided anew afterwards: much may have changed while the disk was waited for.
                Ok(Decision::Wait(route, waiting)) => {
                    if !waiting.before(patience.get_or_insert_with(|| self.ledger_deadline())).await {
                        return refuse(&limit::unwritten(), route.dialect, id, entry);
                    }
                }
                Err((refusal, dialect)) => return refuse(&refusal, dialect, id, entry),
            }
        };
        let hidden = route.mask_errors.then(|| Hidden::of(&parts, &route.places));
        match self.send(route, (parts, body), &passage, &admission).await {
            Ok(answer) => {
                let answer = self.masked(answer, route, id, hidden).await;
                entry.answered(answer.status());
                let mut answer = reply::tidy(answer, id.clone());
                let lease = admission.answered(answer.headers_mut());
                answer.map(|body| body.leased(lease))
            }
            Err(refusal) => refuse(&admission.refused(refusal), route.dialect, id, entry),
        }
    }

    fn ledger_deadline(&self) -> Deadline {
        let deadline = self.deadlines.register();
        deadline.arm(LEDGER);
        deadline
    }

    /// Which route, who is it, may they, and is there room? Without I/O; a refusal comes with its wording.
    fn decide<'a>(
        &'a self,
        parts: &Parts,
        body: &RequestBody,
        Arrival { connection, id, in_flight }: Arrival<'a>,
        waited: bool,
        entry: &mut Entry<'a>,
    ) -> Result<Decision<'a>, (Refusal, &'static Dialect)> {
        let world = &*self.world;
        let before = world.dialect(connection.listener);
        if guard::is_server_ping(parts) {
            guard::inspect(parts, connection).map_err(|refusal| (refusal, before))?;
            return Ok(Decision::Pong);
        }
        let target_bytes = self.listener(connection.listener).limits.target_bytes;
        let head = Head::new(parts, connection, &world.trusted_proxies, target_bytes);
        let head = head.map_err(|refusal| (refusal, before))?;
        entry.head(&head);
        let route = world.select(&head).map_err(|refusal| (refusal, before))?;
        entry.route(&route.name);
        let outcome = self.admit(route, &head, body, waited).map_err(|refusal| (refusal, route.dialect))?;
        let admission = match outcome {
            Outcome::Admitted(admission) => admission,
            Outcome::Unwritten(waiting) => return Ok(Decision::Wait(route, waiting)),
        };
        entry.principal(admission.principal());
        let passage = Passage {
            secure: head.secure(),
            trusted: world.trusted_proxies.contains(connection.peer.ip()),
            path: head.into_rewritten_path(),
            connection,
            in_flight,
            id,
        };
        Ok(Decision::Send(route, admission, passage))
    }

    /// From the caller's word to the receipt that lets a request out.
    fn admit(&self, route: &Route, head: &Head<'_>, body: &RequestBody, waited: bool) -> Result<Outcome, Refusal> {
        let watch = route.guard.map(|id| self.guards[id.0].watch(head.client_ip()));
        let guard = watch.as_ref().map(|watch| watch as &dyn scheme::Guard);
        let (directory, now) = (&*self.world.directory, self.clock.unix());
        let scene = Scene { directory, verified: &self.verified, guard, now };
        let principal = route.authenticate.identify(head, &Preface::EMPTY, &scene)?;
        if route.destination.keeps_credentials() {
            route.authenticate.one_caller(&principal, head, &Preface::EMPTY, &scene)?;
        }
        let permit = authorize::permit(principal, &route.rules, head, &scene)?;
        if route.max_body.is_some_and(|most| body.size_hint().lower() > most) {
            return Err(Refusal::new(Cause::BodyTooLarge, "the announced body is too large").closing());
        }
        if route.content.is_some() && !is_empty(body) {
            content::Rule::check_type(head.headers())?;
        }
        let (address, now) = (head.client_ip(), (self.clock.now(), scene.now));
        let asked = Asked { limits: &route.limits, route: &route.name, address, now, waited };
        let outcome = limit::admit(permit, &self.gate, &asked)?;
        if let Outcome::Admitted(admission) = &outcome {
            admission.principal().credentials().iter().for_each(|record| record.seen(scene.now));
        }
        Ok(outcome)
    }

    /// A defect costs its own request an answer, and nobody else anything.
    fn apologize(&self, connection: &Connection, id: &HeaderValue) -> Response<Body> {
        tracing::error!(request_id = ?id, "a request met a defect of the gateway");
        let refusal = Refusal::new(Cause::Internal, "a panic").closing();
        envelope::render(self.world.dialect(connection.listener), &refusal, id).map(Body::whole)
    }

    /// What the caller gets of an answer: all of it, or, of an upstream's own failure, a general sentence.
    async fn masked(
        &self,
        answer: Response<Body>,
        route: &Route,
        id: &HeaderValue,
        hidden: Option<Hidden<'_>>,
    ) -> Response<Body> {
        let Some(hidden) = hidden.filter(|_| mask::is_failure(&answer)) else { return answer };
        let patience = self.deadlines.register();
        let own = match route.destination {
            Destination::Upstream { id, .. } => self.world.upstreams[id.0].credential.as_ref().map(|(_, value)| value),
            Destination::Endpoint(_) | Destination::NotImplemented => None,
        };
        // Boxed: rare, and large; an answer that passes does not carry its size.
        let instead = Box::pin(mask::mask(answer, (&route.name, id), hidden.and(own), &patience)).await;
        envelope::render(route.dialect, &instead, id).map(Body::whole)
    }

    async fn send(
        &self,
        route: &Route,
        (parts, body): (Box<Parts>, RequestBody),
        passage: &Passage<'_>,
        admission: &Admission,
    ) -> Result<Response<Body>, Refusal> {
        let piece = self.world.listeners[passage.connection.listener.0].limits.body;
        let (id, credential) = match route.destination {
            Destination::Upstream { id, credential } => (id, credential),
            Destination::Endpoint(entry) => {
                let visit = Visit {
                    gatherer: &self.gatherer,
                    places: &route.places,
                    max_body: route.max_body,
                    piece,
                    deadline: self.deadlines.register(),
                };
                // Boxed: rare, and large; a request that goes upstream does not carry its size.
                return Box::pin(self.endpoints.answer(entry, (parts, body), visit, passage, admission)).await;
            }
            Destination::NotImplemented => {
                return Err(Refusal::new(Cause::NotImplemented, "the route is declared as not implemented"));
            }
        };
        let way = Way {
            upstream: &self.world.upstreams[id.0],
            credential,
            places: &route.places,
            underscored: &route.underscored,
            max_body: route.max_body,
        };
        let payload = if route.content == Some(content::Rule::CheckedJson) && !is_empty(&body) {
            let most = route.max_body.unwrap_or(CHECKED_BODY);
            // Boxed: a request that is not looked into does not carry its size.
            let whole = Box::pin(self.gatherer.collect(body, most, piece, passage.in_flight)).await?;
            // Chunks without a byte in them are no body either.
            if !whole.is_empty() {
                content::Rule::check_text(&whole)?;
            }
            Payload::Whole(whole)
        } else {
            Payload::Streamed(body)
        };
        self.forwarder.send((parts, payload), (id, way), passage, admission, piece).await
    }
}

/// How a request arrived.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    connection: &'a Connection,
    in_flight: &'a InFlight,
    id: &'a HeaderValue,
}

/// What is to be done with a request that is not refused.
enum Decision<'a> {
    /// It goes to the route's upstream.
    Send(&'a Route, Admission, Passage<'a>),
    /// It goes there once its quota is written down.
    Wait(&'a Route, Waiting),
    /// It asks after the house itself.
    Pong,
}

/// Whether there is no body, or one without a byte in it. HTTP/2 may say either.
fn is_empty(body: &RequestBody) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

fn refuse(refusal: &Refusal, dialect: &Dialect, id: &HeaderValue, mut entry: Entry<'_>) -> Response<Body> {
    let answer = envelope::render(dialect, refusal, id).map(Body::whole);
    entry.refused(refusal, answer.status());
    answer
}

impl Answer for Gateway {
    type Body = Body;

    async fn answer(
        self: Rc<Self>,
        parts: Box<Parts>,
        body: RequestBody,
        connection: Rc<Connection>,
        in_flight: InFlight,
    ) -> Result<Response<Body>, Infallible> {
        let id = self.request_ids.choose(&parts.headers, &connection, &self.world.trusted_proxies);
        let answer = {
            let arrival = Arrival { connection: &connection, in_flight: &in_flight, id: &id };
            let mut serving = pin!(self.serve(parts, body, arrival));
            poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
                polled.unwrap_or_else(|_| Poll::Ready(self.apologize(&connection, &id)))
            })
            .await
        };
        Ok(answer.map(|body| body.holding(in_flight)))
    }

    fn listener(&self, id: ListenerId) -> &Listener {
        &self.world.listeners[id.0]
    }

    fn sweep(&self) {
        self.forwarder.sweep();
        self.gate.sweep(self.clock.now(), self.clock.unix());
        self.guards.iter().for_each(Failures::sweep);
    }
}
