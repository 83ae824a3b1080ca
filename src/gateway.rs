//! The story of the house, told once: a request is selected a route, identified, permitted, admitted and sent, and what
//! comes back is tidied. Each step takes the receipt of the one before.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Body as _;
use percent_encoding::percent_decode_str;

use crate::authorize::{self, content};
use crate::clock::Clock;
use crate::deadline::{Deadline, Deadlines};
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::guard;
use crate::edge::head::Head;
use crate::edge::listener::Listener;
use crate::edge::preface::{Announced, Preface};
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::edge::worker::Answer;
use crate::endpoint::{self, Endpoints, Visit};
use crate::envelope::{self, Dialect};
use crate::forward::key_sets;
use crate::forward::{Body, Forwarder, Gatherer, Passage, Payload, Way};
use crate::key_set::KeySet;
use crate::limit::failures::{Failures, Opened};
use crate::limit::{self, Admission, Asked, Gate, Outcome, Waiting};
use crate::record::{App, Wall};
use crate::refusal::{Cause, Reason, Refusal};
use crate::reply::{self, Hidden, cors, mask, wall};
use crate::scheme::jwt::Verified;
use crate::scheme::{self, Scene};
use crate::telemetry::access::{Entry, RequestIds};
use crate::world::{Destination, Route, World};

/// Verified tokens that a worker remembers.
const VERIFIED_TOKENS: usize = 10_000;
/// How long a request waits for its quota to be written down.
const LEDGER: Duration = Duration::from_secs(5);
/// How long an upstream may take for the whole of a listing that is looked through.
const LISTING: Duration = Duration::from_secs(30);

/// The largest body that is looked into, in bytes, on a route that says nothing of the size of its bodies.
const CHECKED_BODY: u64 = 1 << 20;

/// A worker's gateway.
#[derive(Debug)]
pub struct Gateway {
    world: Arc<World>,
    forwarder: Forwarder,
    endpoints: Endpoints,
    gatherer: Gatherer,
    /// Forms of callers who are not proven yet have room of their own.
    doorstep: Gatherer,
    /// And so have listings that are looked through.
    listings: Gatherer,
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
        let endpoints = Endpoints::new(kit);
        let [gatherer, doorstep, listings] = [(); 3].map(|()| Gatherer::new(deadlines));
        let (verified, request_ids) = (Verified::new(VERIFIED_TOKENS), RequestIds::new());
        let deadlines = Rc::clone(deadlines);
        Self {
            world,
            forwarder,
            endpoints,
            gatherer,
            doorstep,
            listings,
            verified,
            gate,
            guards,
            deadlines,
            request_ids,
            clock,
        }
    }

    /// Answers one request: the story of the house. Decided first, at one instant; then sent, if it may be.
    async fn serve(&self, parts: Box<Parts>, body: RequestBody, arrival: Arrival<'_>) -> Response<Body> {
        let Arrival { connection, id, .. } = arrival;
        let mut entry = Entry::begin(self.world.access_log, &self.clock, id, connection, &parts.method);
        let mut manner = Manner::default();
        let (mut body, mut form, mut patience, mut fetched) = (Payload::Streamed(body), None, None, false);
        let (errand, admission, passage) = loop {
            let seen = Seen { body: &body, form: form.as_ref(), waited: patience.is_some(), fetched };
            match self.decide(&parts, seen, arrival, &mut manner, &mut entry) {
                Ok(Decision::Send(errand, admission, passage)) => break (errand, admission, passage),
                Ok(Decision::Preflight(answer)) => {
                    entry.answered(answer.status());
                    return manner.finish(reply::tidy(answer, id.clone()));
                }
                // Read whole, and decided anew: only now is it known what stands in it.
                Ok(Decision::Read(route, announced)) => match self.read_form(route, body, announced, arrival).await {
                    Ok(read) => {
                        body = Payload::Whole(read.body().clone());
                        form = Some(read);
                    }
                    Err(refusal) => return refuse(refusal, route.dialect, id, (entry, manner)),
                },
                Ok(Decision::Pong) => {
                    let answer = reply::pong(id);
                    entry.answered(answer.status());
                    return answer;
                }
                // Decided anew, once: the key may be among those that come.
                Ok(Decision::Fetch(keys, attempt)) => {
                    fetched = true;
                    self.fetched(keys, attempt).await;
                }
                // Decided anew afterwards: much may have changed while the disk was waited for.
                Ok(Decision::Wait(route, waiting)) => {
                    if !waiting.before(patience.get_or_insert_with(|| self.ledger_deadline())).await {
                        return refuse(limit::unwritten(), route.dialect, id, (entry, manner));
                    }
                }
                Err((refusal, dialect)) => return refuse(refusal, dialect, id, (entry, manner)),
            }
        };
        let route = errand.route;
        let hidden = route.mask_errors.then(|| Hidden::of(&parts, &route.places));
        let sent = match form {
            // Only after it was looked into: what stays here is taken out of it.
            Some(form) if !route.destination.keeps_credentials() => {
                form.without(&route.places.form).map(Payload::Whole)
            }
            Some(_) | None => Ok(body),
        };
        let answer = match sent {
            Ok(body) => self.send(errand, (emptied(parts, &body), body), &passage, &admission).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) => {
                let answer = self.masked(answer, route, id, hidden).await;
                entry.answered(answer.status());
                let mut answer = reply::tidy(answer, id.clone());
                let lease = admission.answered(answer.headers_mut());
                manner.finish(answer.map(|body| body.leased(lease)))
            }
            Err(refusal) => refuse(admission.refused(refusal), route.dialect, id, (entry, manner)),
        }
    }

    /// Waits for the keys of an issuer, as long as fetching them may take.
    async fn fetched(&self, keys: &KeySet, attempt: u64) {
        let deadline = self.deadlines.register();
        deadline.arm(key_sets::PATIENCE);
        poll_fn(|context| match keys.poll_ended(attempt, context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => deadline.poll(context),
        })
        .await;
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
        seen: Seen<'_>,
        Arrival { connection, id, in_flight }: Arrival<'a>,
        manner: &mut Manner,
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
        if let Some(answer) = self.preflight(&head, manner, entry) {
            return answer;
        }
        let route = world.select(&head, head.method()).map_err(|refusal| (refusal, before))?;
        entry.route(&route.name);
        let app = named_app(route, &head);
        let watch = route.guard.map(|id| self.guards[id.0].watch(head.client_ip()));
        let guard = watch.as_ref().map(|watch| watch as &dyn scheme::Guard);
        let scene = Scene { guard, ..self.scene(app.as_deref()) };
        manner.learn(route, &head, &scene);
        let outcome = match self.admit(route, &head, seen, &scene) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                let awaited = awaited(&refusal).then(|| route.authenticate.awaited()).flatten();
                let Some((keys, attempt)) = awaited.filter(|_| !seen.fetched) else {
                    return Err((refusal, route.dialect));
                };
                return Ok(Decision::Fetch(keys, attempt));
            }
        };
        let (admission, operation) = match outcome {
            Step::Read(announced) => return Ok(Decision::Read(route, announced)),
            Step::Decided(Outcome::Unwritten(waiting), _) => return Ok(Decision::Wait(route, waiting)),
            Step::Decided(Outcome::Admitted(admission), operation) => (admission, operation),
        };
        let wall = route.wall.as_ref().map(|rule| (rule, wall::shown(admission.principal(), &scene)));
        let errand = Errand { route, operation, wall, address: head.client_ip() };
        entry.principal(admission.principal());
        let passage = Passage {
            secure: head.secure(),
            trusted: world.trusted_proxies.contains(connection.peer.ip()),
            path: head.into_rewritten_path(),
            connection,
            in_flight,
            id,
        };
        Ok(Decision::Send(errand, admission, passage))
    }

    /// The answer to a browser that asks what a page may do. `None`: nobody asks that, or the route that it is about tells
    /// browsers nothing; then it is a request like any other.
    fn preflight<'a>(
        &'a self,
        head: &Head<'_>,
        manner: &mut Manner,
        entry: &mut Entry<'a>,
    ) -> Option<Result<Decision<'a>, (Refusal, &'static Dialect)>> {
        let asked = cors::asked(head)?;
        // It is about the route that the announced request would take, whether or not that one lists OPTIONS.
        let select = |method| self.world.select(head, method).ok().filter(|route| route.cors.is_some());
        let route = select(&asked).or_else(|| select(head.method()))?;
        manner.learn(route, head, &self.scene(named_app(route, head).as_deref()));
        let (rule, grant) = (route.cors.as_ref()?, manner.grant.as_ref()?);
        entry.route(&route.name);
        Some(rule.preflight(head, grant).map(Decision::Preflight).map_err(|refusal| (refusal, route.dialect)))
    }

    /// What is known besides a request for this app, at this instant.
    fn scene<'s>(&'s self, app: Option<&'s str>) -> Scene<'s> {
        Scene { directory: &*self.world.directory, verified: &self.verified, guard: None, app, now: self.clock.unix() }
    }

    /// From the caller's word to the receipt that lets a request out.
    fn admit(&self, route: &Route, head: &Head<'_>, seen: Seen<'_>, scene: &Scene<'_>) -> Result<Step, Refusal> {
        let Seen { body, form, waited, .. } = seen;
        if let (Some(most), None, false) = (route.form, form, is_empty(body)) {
            return before_the_form(route, head, (body, most), scene).map(Step::Read);
        }
        let empty = Preface::EMPTY;
        let form = form.unwrap_or(&empty);
        let principal = route.authenticate.identify(head, form, scene)?;
        if route.destination.keeps_credentials() {
            route.authenticate.one_caller(&principal, head, form, scene)?;
        }
        let permit = authorize::permit(principal, &route.rules, (head, form), scene)?;
        if route.max_body.is_some_and(|most| least(body) > most) {
            return Err(Refusal::new(Cause::BodyTooLarge, "the announced body is too large").closing());
        }
        if route.content.is_some() && !is_empty(body) {
            content::Rule::check_type(head.headers())?;
        }
        let (address, now) = (head.client_ip(), (self.clock.now(), scene.now));
        let asked = Asked { limits: &route.limits, route: &route.name, address, now, waited };
        let operation = permit.operation().map(Into::into);
        let outcome = limit::admit(permit, &self.gate, &asked)?;
        if let Outcome::Admitted(admission) = &outcome {
            admission.principal().credentials().iter().for_each(|record| record.seen(scene.now));
        }
        Ok(Step::Decided(outcome, operation))
    }

    /// The whole of a form that is looked into. Callers who were proven by the head have room of their own.
    async fn read_form(
        &self,
        route: &Route,
        body: Payload,
        announced: Announced,
        Arrival { connection, in_flight, .. }: Arrival<'_>,
    ) -> Result<Preface, Refusal> {
        let piece = self.world.listeners[connection.listener.0].limits.body;
        let gatherer = if route.authenticate.reads_forms() { &self.doorstep } else { &self.gatherer };
        let whole = match body {
            Payload::Streamed(body) => {
                Box::pin(gatherer.collect(body, route.form.unwrap_or(0), piece, in_flight)).await?
            }
            Payload::Whole(whole) => whole,
        };
        Preface::read(announced, whole)
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
        Errand { route, operation, wall, address }: Errand<'_>,
        (mut parts, body): (Box<Parts>, Payload),
        passage: &Passage<'_>,
        admission: &Admission,
    ) -> Result<Response<Body>, Refusal> {
        let piece = self.world.listeners[passage.connection.listener.0].limits.body;
        let inner =
            route.inner.filter(|entry| operation.as_deref().is_some_and(|name| entry.operations.contains(&name)));
        let (id, credential) = match (inner, &route.destination) {
            (None, &Destination::Upstream { id, credential }) => (id, credential),
            (Some(entry), &Destination::Upstream { .. }) | (_, &Destination::Endpoint(entry)) => {
                let visit = Visit {
                    gatherer: &self.gatherer,
                    places: &route.places,
                    max_body: route.max_body,
                    piece,
                    operation,
                    door: route.guard.map(|id| self.guards[id.0].door(address)),
                    deadline: self.deadlines.register(),
                };
                // Boxed: rare, and large; a request that goes upstream does not carry its size.
                return Box::pin(self.endpoints.answer(entry, (parts, body), visit, passage, admission)).await;
            }
            (_, Destination::NotImplemented) => {
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
        let payload = match body {
            Payload::Streamed(body) if route.content == Some(content::Rule::CheckedJson) && !body.is_end_stream() => {
                let most = route.max_body.unwrap_or(CHECKED_BODY);
                // Boxed: a request that is not looked into does not carry its size.
                let whole = Box::pin(self.gatherer.collect(body, most, piece, passage.in_flight)).await?;
                // Chunks without a byte in them are no body either.
                if !whole.is_empty() {
                    content::Rule::check_text(&whole)?;
                }
                Payload::Whole(whole)
            }
            body => body,
        };
        let Some((wall, shown)) = wall else {
            return self.forwarder.send((parts, payload), (id, way), passage, admission, piece).await;
        };
        wall.prepare(&mut parts);
        let method = parts.method.clone();
        let answer = self.forwarder.send((parts, payload), (id, way), passage, admission, piece).await?;
        let patience = self.deadlines.register();
        patience.arm(LISTING);
        // Boxed: rare, and large.
        Box::pin(wall.filter(answer, (&method, shown), (&self.listings, &patience))).await
    }
}

/// Whether the keys of an issuer could turn a refusal into something else.
fn awaited(refusal: &Refusal) -> bool {
    [Reason::Unknown, Reason::Unsettled].map(Cause::Credential).contains(&refusal.cause)
}

/// The app that a route says a request is for, as it is written.
fn named_app<'h>(route: &'h Route, head: &'h Head<'_>) -> Option<Cow<'h, str>> {
    let place = route.app.as_ref()?;
    place.find(head.path()).map(|text| percent_decode_str(text).decode_utf8_lossy())
}

/// What can be settled of a request before its form is read: nobody's body is held who could not be let in anyhow.
fn before_the_form(
    route: &Route,
    head: &Head<'_>,
    (body, most): (&Payload, u64),
    scene: &Scene<'_>,
) -> Result<Announced, Refusal> {
    if route.authenticate.reads_forms() {
        scene.guard.map_or(Ok(()), scheme::Guard::enter)?;
    } else {
        let principal = route.authenticate.identify(head, &Preface::EMPTY, scene)?;
        route.rules.network.check(&principal, head)?;
    }
    if least(body) > most.min(route.max_body.unwrap_or(u64::MAX)) {
        return Err(Refusal::new(Cause::BodyTooLarge, "the announced form is too large").closing());
    }
    Announced::of(head.headers())
}

/// The head of a request whose form held nothing but credentials: what is left of that has a length of its own.
fn emptied(mut parts: Box<Parts>, body: &Payload) -> Box<Parts> {
    if let (Payload::Whole(whole), Some(length)) = (body, parts.headers.get_mut(CONTENT_LENGTH))
        && whole.is_empty()
    {
        *length = HeaderValue::from_static("0");
    }
    parts
}

/// How a request arrived.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    connection: &'a Connection,
    in_flight: &'a InFlight,
    id: &'a HeaderValue,
}

/// What a decision may know of the body.
#[derive(Clone, Copy)]
struct Seen<'a> {
    body: &'a Payload,
    /// The form in it, where that was read.
    form: Option<&'a Preface>,
    /// Whether the request has waited for its quota to be written down.
    waited: bool,
    /// And whether for the keys of an issuer.
    fetched: bool,
}

/// Where a request goes that was let in.
struct Errand<'a> {
    route: &'a Route,
    /// The operation that was permitted, where the route asks for one.
    operation: Option<Box<str>>,
    /// How the answer is filtered, and what it may show, where it is a public listing.
    wall: Option<(&'a wall::Rule, Wall)>,
    /// Who asks.
    address: IpAddr,
}

/// How far a decision came.
enum Step {
    /// The form must be read.
    Read(Announced),
    /// All the way, for this operation.
    Decided(Outcome, Option<Box<str>>),
}

/// What every answer to a request carries, be it a refusal or not.
#[derive(Default)]
struct Manner {
    grant: Option<cors::Grant>,
    /// Refusals have status 200.
    legacy_200: bool,
}

impl Manner {
    /// Learns it of a route, and of the app that the route says.
    fn learn(&mut self, route: &Route, head: &Head<'_>, scene: &Scene<'_>) {
        let record = scene.named_app();
        let app: Option<&App> = record.as_ref().and_then(|record| record.attributes.app());
        self.legacy_200 = app.is_some_and(|app| app.legacy_200);
        self.grant = route.cors.as_ref().and_then(|cors| cors.grant(head, app));
    }

    fn finish(self, mut answer: Response<Body>) -> Response<Body> {
        if let Some(grant) = self.grant {
            grant.stamp(answer.headers_mut());
        }
        answer
    }
}

/// What is to be done with a request that is not refused.
enum Decision<'a> {
    /// It goes to the route's upstream, or to an endpoint.
    Send(Errand<'a>, Admission, Passage<'a>),
    /// It goes nowhere: a browser asks what it may.
    Preflight(Response<Body>),
    /// It is decided anew once these keys were fetched.
    Fetch(&'a KeySet, u64),
    /// It is decided anew once its form was read.
    Read(&'a Route, Announced),
    /// It goes there once its quota is written down.
    Wait(&'a Route, Waiting),
    /// It asks after the house itself.
    Pong,
}

/// Whether there is no body, or one without a byte in it. HTTP/2 may say either.
fn is_empty(body: &Payload) -> bool {
    match body {
        Payload::Streamed(body) => body.is_end_stream() || body.size_hint().exact() == Some(0),
        Payload::Whole(body) => body.is_empty(),
    }
}

/// How many bytes a body has at least.
fn least(body: &Payload) -> u64 {
    match body {
        Payload::Streamed(body) => body.size_hint().lower(),
        Payload::Whole(body) => body.len() as u64,
    }
}

fn refuse(
    mut refusal: Refusal,
    dialect: &Dialect,
    id: &HeaderValue,
    (mut entry, manner): (Entry<'_>, Manner),
) -> Response<Body> {
    if manner.legacy_200 {
        refusal.status = Some(StatusCode::OK);
    }
    let answer = envelope::render(dialect, &refusal, id).map(Body::whole);
    entry.refused(&refusal, answer.status());
    manner.finish(answer)
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
