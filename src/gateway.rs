//! The story of the house, told once: a request is selected a route, identified, permitted, admitted and sent, and what
//! comes back is tidied. Each step takes the receipt of the one before.

mod corridor;
pub mod current;
mod deciding;
pub mod explain;
mod manner;
mod sending;
mod supply;
mod witnesses;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{HeaderValue, Response};

use self::corridor::Corridor;
use self::manner::{Manner, refuse};
use self::sending::Errand;
use self::supply::Supplies;
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::edge::connection::Connection;
use crate::edge::preface::{Announced, Preface};
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::endpoint::{self, Endpoints};
use crate::envelope;
use crate::forward::leases::Leases;
use crate::forward::{self, Body, Forwarder, Gatherer, Groups, Passage, Payload};
use crate::key_set::KeySet;
use crate::limit::failures::Opened;
use crate::limit::{Admission, Gate, Outcome, Waiting};
use crate::refusal::{Cause, Refusal};
use crate::reply::{self, mask};
use crate::scheme::jwt::Verified;
use crate::telemetry::{Entry, RequestIds, Scope, Sinks};
use crate::world::{Route, World};

/// Verified tokens that a worker remembers.
const VERIFIED_TOKENS: usize = 10_000;

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

    /// Answers one request: the story of the house. Decided first, at one instant; then sent, if it may be. What is rare in
    /// it and waits is boxed: a request on its way does not carry the size of it.
    async fn serve(&self, mut parts: Box<Parts>, body: RequestBody, arrival: Arrival<'_>) -> Response<Body> {
        let Arrival { connection, id, at, .. } = arrival;
        let mut entry = Entry::begin(&self.told, (id, at), connection, &parts);
        let (mut manner, mut supplies) = (Manner::default(), Supplies::new(Payload::Streamed(body)));
        let mut now = at;
        let (errand, admission, passage) = loop {
            let lack = match self.corridor(now).decide(&parts, supplies.seen(), arrival, &mut manner, &mut entry) {
                Ok(Decision::Send(errand, admission, passage)) => break (errand, admission, passage),
                Ok(Decision::Preflight(mut answer, _)) => {
                    entry.answered_by_house(&answer);
                    reply::tidy(&mut answer, id.clone());
                    return manner.finish(answer);
                }
                Ok(Decision::Pong) => {
                    let answer = reply::pong(id);
                    entry.answered_by_house(&answer);
                    return answer;
                }
                // Decided anew with it.
                Ok(Decision::Lacks(lack)) => lack,
                Err((refusal, dialect)) => return refuse(refusal, dialect, id, (entry, manner)),
            };
            if let Err((refusal, dialect)) = Box::pin(self.supply(lack, &mut supplies, arrival)).await {
                return refuse(refusal, dialect, id, (entry, manner));
            }
            now = self.clock.now();
        };
        let (route, dialect) = (errand.route, errand.route.dialect);
        let hidden = supplies.hidden(route, &parts);
        let body = match supplies.into_body(route) {
            Ok(body) => body,
            Err(refusal) => return refuse(admission.refused(refusal), dialect, id, (entry, manner)),
        };
        entry.propagate(&mut parts.headers);
        let request = (forward::emptied(parts, &body), body);
        let answer = match self.straight(&errand, &request.1) {
            Some(to) => self.forwarder.send(request, &to, (&passage, &admission), self.piece(connection)).await,
            None => Box::pin(self.send(errand, request, &passage, &admission)).await,
        };
        match answer {
            Ok(mut answer) => {
                if let Some(hidden) = hidden.filter(|_| mask::is_failure(&answer)) {
                    answer = Box::pin(self.masked(answer, (route, &admission), id, *hidden)).await;
                }
                reply::tidy(&mut answer, id.clone());
                self.lend(&mut answer, admission, &passage);
                manner.finish(entry.answered(answer))
            }
            Err(refusal) => refuse(admission.refused(refusal), dialect, id, (entry, manner)),
        }
    }

    /// What its requests are decided by at this instant.
    fn corridor(&self, now: Instant) -> Corridor<'_> {
        let Self { verified, gate, guards, clock, leases, .. } = self;
        Corridor { world: &self.world, verified, gate, guards, clock, now, leases }
    }

    /// A defect costs its own request an answer, and nobody else anything.
    fn apologize(&self, connection: &Connection, id: &HeaderValue) -> Response<Body> {
        tracing::error!(request_id = ?id, "a request met a defect of the gateway");
        let refusal = Refusal::new(Cause::Internal, "a panic").closing();
        let answer = envelope::render(self.world.dialect(connection.listener), &refusal, id);
        self.manner(connection).told(answer, &refusal)
    }
}

/// How a request arrived.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    connection: &'a Connection,
    in_flight: &'a InFlight,
    id: &'a HeaderValue,
    /// When its head was here.
    at: Instant,
}

/// What a decision may know of the body.
#[derive(Clone, Copy)]
struct Seen<'a> {
    body: &'a Payload,
    /// The form in it, where that was read.
    form: Option<&'a Preface>,
    /// Whether the request has waited for its quota to be written down.
    waited: bool,
    /// And whether it has waited for the keys of issuers as often as it may.
    fetched: bool,
}

/// How far a decision came.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one: in a box, each request would pay for it"
)]
enum Step {
    /// The form must be read.
    Read((Announced, bool)),
    /// All the way, for this operation.
    Decided(Outcome, Option<Box<str>>),
}

/// What is to be done with a request that is not refused.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one: in a box, each request would pay for it"
)]
enum Decision<'a> {
    /// It goes to the route's upstream, or to an endpoint.
    Send(Errand<'a>, Admission, Passage<'a>),
    /// It goes nowhere: a browser asks what a page may do on this route.
    Preflight(Response<Body>, &'a Route),
    /// It is decided anew once this was got.
    Lacks(Lack<'a>),
    /// It asks after the house itself.
    Pong,
}

/// What a request lacks to be decided.
enum Lack<'a> {
    /// Its form must be read.
    Form(&'a Route, (Announced, bool)),
    /// One of these sets of keys must be fetched: the attempt at it is under way.
    Keys(Vec<(&'a KeySet, u64)>),
    /// Its quota must be written down.
    Ledger(&'a Route, Waiting),
}
