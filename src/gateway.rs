//! The story of the house, told once: a request is selected a route, identified, permitted, admitted and sent, and what
//! comes back is tidied. Each step takes the receipt of the one before.

pub mod current;
mod manner;
mod sending;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response};
use percent_encoding::percent_decode_str;

use self::manner::{Manner, refuse};
use self::sending::{Errand, is_empty, least};
use crate::authorize::{self, content};
use crate::clock::Clock;
use crate::deadline::{Deadline, Deadlines};
use crate::edge::connection::Connection;
use crate::edge::guard;
use crate::edge::head::Head;
use crate::edge::preface::{Announced, Preface};
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::endpoint::{self, Endpoints};
use crate::envelope::{self, Dialect};
use crate::forward::leases::Leases;
use crate::forward::websocket;
use crate::forward::{self, Body, Forwarder, Gatherer, Groups, Passage, Payload};
use crate::key_set::KeySet;
use crate::limit::failures::Opened;
use crate::limit::{self, Admission, Asked, Gate, Outcome, Waiting};
use crate::refusal::{Cause, Reason, Refusal};
use crate::reply::{self, Hidden, cors, wall};
use crate::scheme::jwt::Verified;
use crate::scheme::{self, Scene};
use crate::telemetry::{Entry, RequestIds, Scope, Sinks};
use crate::world::{Route, RouteId, World};

/// Verified tokens that a worker remembers.
const VERIFIED_TOKENS: usize = 10_000;
/// How long a request waits for its quota to be written down.
const LEDGER: Duration = Duration::from_secs(5);
/// A worker's gateway under one configuration. What comes after it is [`current`](current::Current)'s.
#[derive(Debug)]
pub struct Gateway {
    world: Arc<World>,
    forwarder: Forwarder,
    endpoints: Endpoints,
    gatherer: Gatherer,
    /// Bodies of callers who are not proven, or not yet, have room of their own.
    doorstep: Gatherer,
    /// And so have listings that are looked through.
    listings: Gatherer,
    verified: Verified,
    gate: Gate,
    guards: Opened,
    deadlines: Rc<Deadlines>,
    leases: Rc<Leases>,
    request_ids: RequestIds,
    told: Rc<Scope>,
    clock: Clock,
}

impl Gateway {
    /// A gateway for one worker; `kit` is what its endpoints are built from.
    pub fn new(
        world: Arc<World>,
        kit: &endpoint::Kit,
        (gate, guards, groups): (Gate, Opened, Groups),
        clock: Clock,
        (deadlines, leases, sinks): (&Rc<Deadlines>, &Rc<Leases>, &Rc<Sinks>),
    ) -> Self {
        let forwarder = Forwarder::new(&world.upstreams, &groups, deadlines);
        let endpoints = Endpoints::new(kit);
        let [gatherer, doorstep, listings] = [(); 3].map(|()| Gatherer::new(deadlines));
        // What was proven under other schemes is no proof here, so that no token is remembered from before.
        let (verified, request_ids) = (Verified::new(VERIFIED_TOKENS), RequestIds::new());
        let (deadlines, leases) = (Rc::clone(deadlines), Rc::clone(leases));
        let told = Scope::new(sinks, world.names(), world.telemetry.clone());
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
            leases,
            request_ids,
            told,
            clock,
        }
    }

    /// The gateway of the same worker under another configuration. Bodies that are held still take their room, open
    /// streams are still watched, and connections to endpoints that stay are kept.
    fn succeeded_by(&self, world: Arc<World>, kit: &endpoint::Kit, gates: (Gate, Opened, Groups)) -> Self {
        let forwarder = Forwarder::after(&self.forwarder, &world.upstreams, &gates.2);
        let own = (&self.deadlines, &self.leases, self.told.sinks());
        let next = Self::new(world, kit, gates, self.clock.clone(), own);
        let [gatherer, doorstep, listings] = [&self.gatherer, &self.doorstep, &self.listings].map(Gatherer::clone);
        Self { forwarder, gatherer, doorstep, listings, ..next }
    }

    /// Answers one request: the story of the house. Decided first, at one instant; then sent, if it may be.
    async fn serve(&self, parts: Box<Parts>, body: RequestBody, arrival: Arrival<'_>) -> Response<Body> {
        let Arrival { connection, id, .. } = arrival;
        let mut entry = Entry::begin(&self.told, id, connection, &parts);
        let mut manner = Manner::default();
        let (mut body, mut form, mut patience, mut fetched) = (Payload::Streamed(body), None, None, false);
        let (errand, admission, passage) = loop {
            let seen = Seen { body: &body, form: form.as_ref(), waited: patience.is_some(), fetched };
            match self.decide(&parts, seen, arrival, &mut manner, &mut entry) {
                Ok(Decision::Send(errand, admission, passage)) => break (errand, admission, passage),
                Ok(Decision::Preflight(answer)) => {
                    entry.answered_by_house(&answer);
                    return manner.finish(reply::tidy(answer, id.clone()));
                }
                // Read whole, and decided anew: only now is it known what stands in it.
                Ok(Decision::Read(route, found)) => match self.read_form(route, body, found, arrival).await {
                    Ok(read) => {
                        body = Payload::Whole(read.body().clone());
                        form = Some(read);
                    }
                    Err(refusal) => return refuse(refusal, route.dialect, id, (entry, manner)),
                },
                Ok(Decision::Pong) => {
                    let answer = reply::pong(id);
                    entry.answered_by_house(&answer);
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
        let places = &route.places;
        let hidden = route.mask_errors.then(|| Hidden::of(&parts, places).and_form(form.as_ref(), places));
        let sent = match form {
            // Only after it was looked into: what stays here is taken out of it.
            Some(form) if !route.destination.keeps_credentials() => form.without(&places.form).map(Payload::Whole),
            Some(_) | None => Ok(body),
        };
        let answer = match sent {
            Ok(body) => self.send(errand, (forward::emptied(parts, &body), body), &passage, &admission).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) => {
                let answer = self.masked(answer, (route, &admission), id, hidden).await;
                let answer = self.lend(reply::tidy(answer, id.clone()), admission, arrival.in_flight);
                manner.finish(entry.answered(answer))
            }
            Err(refusal) => refuse(admission.refused(refusal), route.dialect, id, (entry, manner)),
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
        seen: Seen<'_>,
        Arrival { connection, id, in_flight }: Arrival<'a>,
        manner: &mut Manner,
        entry: &mut Entry,
    ) -> Result<Decision<'a>, (Refusal, &'static Dialect)> {
        let world = &*self.world;
        let before = world.dialect(connection.listener);
        if guard::is_server_ping(parts) {
            guard::inspect(parts, connection).map_err(|refusal| (refusal, before))?;
            return Ok(Decision::Pong);
        }
        let target_bytes = world.listener(connection.listener).limits.target_bytes;
        let head = Head::new(parts, connection, &world.trusted_proxies, target_bytes);
        let head = head.map_err(|refusal| {
            entry.unread(parts);
            (refusal, before)
        })?;
        entry.head(&head);
        if let Some(answer) = self.preflight(&head, manner, entry) {
            return answer;
        }
        let id_of_route = world.select_id(&head, head.method()).map_err(|refusal| (refusal, before))?;
        let route = &world.routes[id_of_route.0];
        entry.route(id_of_route.0);
        let app = named_app(route, &head);
        let watch = route.guard.map(|id| self.guards[id.0].watch(head.client_ip()));
        let guard = watch.as_ref().map(|watch| watch as &dyn scheme::Guard);
        let scene = Scene { guard, ..self.scene(app.as_deref()) };
        manner.learn(route, &head, &scene, websocket::is_connect(parts));
        let websocket = Self::websocket(route, parts).map_err(|refusal| (refusal, route.dialect))?;
        let outcome = match self.admit(route, &head, seen, &scene, entry) {
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
            Step::Read(found) => return Ok(Decision::Read(route, found)),
            Step::Decided(Outcome::Unwritten(waiting), _) => return Ok(Decision::Wait(route, waiting)),
            Step::Decided(Outcome::Admitted(admission), operation) => (admission, operation),
        };
        let wall = route.wall.as_ref().map(|rule| (rule, wall::shown(admission.principal(), &scene)));
        let errand = Errand { route, operation, wall, address: head.client_ip(), websocket };
        let passage = Passage {
            secure: head.secure(),
            trusted: world.trusted_proxies.contains(connection.peer.ip()),
            address: head.client_ip(),
            path: head.into_rewritten_path(),
            connection,
            in_flight,
            id,
            leases: &self.leases,
            journey: entry.let_in(),
        };
        Ok(Decision::Send(errand, admission, passage))
    }

    /// The answer to a browser that asks what a page may do. `None`: nobody asks that, or the route that it is about tells
    /// browsers nothing; then it is a request like any other.
    fn preflight<'a>(
        &'a self,
        head: &Head<'_>,
        manner: &mut Manner,
        entry: &mut Entry,
    ) -> Option<Result<Decision<'a>, (Refusal, &'static Dialect)>> {
        let asked = cors::asked(head)?;
        // It is about the route that the announced request would take, whether or not that one lists OPTIONS.
        let select = |method| {
            let id = self.world.select_id(head, method).ok()?;
            Some((id, &self.world.routes[id.0])).filter(|(_, route)| route.cors.is_some())
        };
        let (RouteId(place), route) = select(&asked).or_else(|| select(head.method()))?;
        manner.learn(route, head, &self.scene(named_app(route, head).as_deref()), false);
        let (rule, grant) = (route.cors.as_ref()?, manner.grant.as_ref()?);
        entry.route(place);
        Some(rule.preflight(head, grant).map(Decision::Preflight).map_err(|refusal| (refusal, route.dialect)))
    }

    /// What is known besides a request for this app, at this instant.
    fn scene<'s>(&'s self, app: Option<&'s str>) -> Scene<'s> {
        Scene { directory: &*self.world.directory, verified: &self.verified, guard: None, app, now: self.clock.unix() }
    }

    /// From the caller's word to the receipt that lets a request out.
    fn admit(
        &self,
        route: &Route,
        head: &Head<'_>,
        seen: Seen<'_>,
        scene: &Scene<'_>,
        entry: &mut Entry,
    ) -> Result<Step, Refusal> {
        let Seen { body, form, waited, .. } = seen;
        if let (Some(most), None, false) = (route.form, form, is_empty(body)) {
            return before_the_form(route, head, (body, most), scene).map(Step::Read);
        }
        let empty = Preface::EMPTY;
        let form = form.unwrap_or(&empty);
        let principal = route.authenticate.identify(head, form, scene)?;
        entry.principal(&principal);
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

    /// A defect costs its own request an answer, and nobody else anything.
    fn apologize(&self, connection: &Connection, id: &HeaderValue) -> Response<Body> {
        tracing::error!(request_id = ?id, "a request met a defect of the gateway");
        let refusal = Refusal::new(Cause::Internal, "a panic").closing();
        envelope::render(self.world.dialect(connection.listener), &refusal, id).map(Body::whole)
    }
}

/// Whether the keys of an issuer could turn a refusal into something else.
fn awaited(refusal: &Refusal) -> bool {
    refusal.cause == Cause::Credential(Reason::Unsettled)
}

/// The app that a route says a request is for, as it is written.
fn named_app<'h>(route: &'h Route, head: &'h Head<'_>) -> Option<Cow<'h, str>> {
    let place = route.app.as_ref()?;
    place.find(head.path()).map(|text| percent_decode_str(text).decode_utf8_lossy())
}

/// What can be settled of a request before its form is read: nobody's body is held who could not be let in anyhow. Says
/// what form it is, and whether somebody was proven.
fn before_the_form(
    route: &Route,
    head: &Head<'_>,
    (body, most): (&Payload, u64),
    scene: &Scene<'_>,
) -> Result<(Announced, bool), Refusal> {
    let is_known = if route.authenticate.reads_forms() {
        scene.guard.map_or(Ok(()), scheme::Guard::enter)?;
        false
    } else {
        let principal = route.authenticate.identify(head, &Preface::EMPTY, scene)?;
        route.rules.network.check(&principal, head)?;
        principal.is_identified()
    };
    if least(body) > most.min(route.max_body.unwrap_or(u64::MAX)) {
        return Err(Refusal::new(Cause::BodyTooLarge, "the announced form is too large").closing());
    }
    Announced::of(head.headers()).map(|announced| (announced, is_known))
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

/// How far a decision came.
enum Step {
    /// The form must be read.
    Read((Announced, bool)),
    /// All the way, for this operation.
    Decided(Outcome, Option<Box<str>>),
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
    Read(&'a Route, (Announced, bool)),
    /// It goes there once its quota is written down.
    Wait(&'a Route, Waiting),
    /// It asks after the house itself.
    Pong,
}
