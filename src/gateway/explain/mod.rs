//! `vidgate explain`: what would become of a request, told step by step by the very rooms that decide it. Nothing is sent,
//! counted, noted or remembered, and no credential is shown.

mod account;
mod ahead;
mod asked;
mod decided;
mod others;
#[cfg(test)]
pub(crate) mod service;
mod story;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

pub use self::account::{Answer, Decision as Verdict, Explanation, Outcome, Telling};
use self::ahead::Received;
use self::asked::Arriving;
pub use self::asked::{Asked, NOBODY};
use self::story::Story;
use super::corridor::Corridor;
use super::manner::Manner;
use super::sending::Errand;
use super::{Arrival, Decision, Lack, Seen};
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::edge::connection::Connection;
use crate::edge::decide::{Decide, Subject};
use crate::edge::preface::{Announced, Preface};
use crate::edge::stage::{InFlight, Stage};
use crate::envelope::{self, Dialect};
use crate::forward::Fleet;
use crate::forward::leases::Leases;
use crate::forward::{Passage, Payload};
use crate::limit::failures::{Failures, Guards, Opened};
use crate::limit::{Admission, Limits};
use crate::refusal::{Cause, Refusal};
use crate::scheme::jwt::Verified;
use crate::world::{Route, World};

/// What a request is explained by: what is in force, as it stands at this moment.
#[derive(Debug)]
pub struct Scenery {
    /// The configuration.
    pub world: Arc<World>,
    /// The counters of its limits.
    pub limits: Arc<Limits>,
    /// Who counts wrong credentials.
    pub guards: Opened,
    /// How the endpoints of upstreams stand; `None`: no gateway runs that could know.
    pub fleet: Option<Arc<Fleet>>,
    /// What time it is.
    pub clock: Clock,
}

impl Scenery {
    /// That of a gateway.
    pub fn of(world: Arc<World>, limits: &Arc<Limits>, guards: &Guards, fleet: &Arc<Fleet>, clock: &Clock) -> Self {
        let fleet = Some(Arc::clone(fleet));
        Self { fleet, ..Self::with(world, limits, guards, clock) }
    }

    fn with(world: Arc<World>, limits: &Arc<Limits>, guards: &Guards, clock: &Clock) -> Self {
        let guards = guards.look(&world.guards);
        Self { world, limits: Arc::clone(limits), guards, fleet: None, clock: clock.clone() }
    }

    /// That of a gateway that does not run and has counted nothing.
    pub fn at_rest(world: Arc<World>, clock: &Clock) -> Self {
        let limits = Limits::new(None, clock).expect("without a ledger there is nothing to be read");
        let guards = Guards::new(clock.clone());
        Self::with(world, &limits, &guards, clock)
    }

    /// What would become of this request.
    ///
    /// # Errors
    ///
    /// It is none that a client could send, or it is not clear where it comes in: what is wrong, in words.
    pub fn explain(&self, asked: &Asked) -> Result<Explanation, String> {
        // Another time than now is another wall clock; limits go on by theirs.
        let clock = asked.at.map_or_else(|| self.clock.clone(), |at| self.clock.set_to(at));
        let arriving = asked.arriving(&self.world, clock.unix())?;
        let rehearsal = Rehearsal::new(self, &clock);
        Ok(rehearsal.begin(arriving))
    }
}

/// What one explanation needs besides: all of it is gone afterwards.
struct Rehearsal<'s> {
    scenery: &'s Scenery,
    clock: &'s Clock,
    gate: crate::limit::Gate,
    verified: Verified,
    leases: Rc<Leases>,
    in_flight: InFlight,
    id: HeaderValue,
}

impl<'s> Rehearsal<'s> {
    fn new(scenery: &'s Scenery, clock: &'s Clock) -> Self {
        let limits = scenery.world.listeners.first().map(|listener| listener.limits);
        let limits = limits.expect("a World has a listener");
        Self {
            scenery,
            clock,
            gate: scenery.limits.look(&scenery.world.limits),
            verified: Verified::new(1),
            leases: Leases::new(Arc::default()),
            in_flight: Stage::new(&Deadlines::new(clock.clone()), limits, false).begin(),
            id: HeaderValue::from_static("explained"),
        }
    }

    fn corridor(&self, now: Instant) -> Corridor<'_> {
        let Self { scenery: Scenery { world, guards, .. }, verified, gate, clock, leases, .. } = self;
        Corridor { world, verified, gate, guards, clock, now, leases }
    }

    /// Takes the request as its listener does: as it is, or as what a proxy asks about.
    fn begin(&self, arriving: Arriving) -> Explanation {
        let world = &self.scenery.world;
        let counters = self.scenery.fleet.is_none().then(counted_nothing);
        let notes: Vec<_> = counters.into_iter().chain(arriving.from_nobody.then(from_nobody)).collect();
        let id = arriving.connection.listener;
        let Some(decide) = &world.listener(id).decide else {
            return self.walk(arriving.parts, arriving.body, &arriving.connection, notes);
        };
        let (told, subject) = decided::subject((&world.listener(id).name, decide), arriving);
        let notes = notes.into_iter().chain([told]).collect();
        match subject {
            Ok(Subject { parts, connection }) => self.walk(*parts, Bytes::new(), &connection, notes),
            Err(refusal) => {
                let manner = Manner::of(world.listener(id));
                self.refused(Story::default(), notes, refusal, (world.dialect(id), &manner))
            }
        }
    }

    /// Has the request decided, as often as a gateway would, and then tells what would be done.
    fn walk(&self, parts: Parts, body: Bytes, connection: &Connection, mut notes: Vec<Telling>) -> Explanation {
        let listener = self.scenery.world.listener(connection.listener);
        let at = self.clock.now();
        let arrival = Arrival { connection, in_flight: &self.in_flight, id: &self.id, at };
        let payload = Payload::Whole(body.clone());
        let (mut form, mut fetched) = (None, false);
        loop {
            let (mut story, mut manner) = (Story::default(), Manner::of(listener));
            let seen = Seen { body: &payload, form: form.as_ref(), waited: true, fetched };
            let decided = self.corridor(at).decide(&parts, seen, arrival, &mut manner, &mut story);
            match decided {
                Ok(Decision::Lacks(Lack::Form(route, (announced, _)))) => match read(route, announced, &body) {
                    Ok(read) => {
                        let says = "its body is read as a form, and it is decided anew";
                        notes.push(Telling::new("form", Outcome::Note, says));
                        form = Some(read);
                    }
                    Err(refusal) => return self.refused(story, notes, refusal, (route.dialect, &manner)),
                },
                Ok(Decision::Lacks(Lack::Keys(..))) => {
                    let says = "the issuer would be asked for its keys now, and is not: this is as if it had no others";
                    notes.push(Telling::new("keys", Outcome::Note, says));
                    fetched = true;
                }
                Ok(Decision::Send(errand, admission, passage)) => {
                    let received = Received { parts, body, form };
                    return self.let_in((story, notes, manner), received, (&errand, admission, &passage));
                }
                Ok(Decision::Preflight(answer, route)) => {
                    let answer = answer.map(|_| Bytes::new());
                    return self.may_ask((story, notes, manner), answer, (&parts, route), listener.decide.as_deref());
                }
                Ok(Decision::Pong) => {
                    story.rooms.push(Telling::new("reply", Outcome::Passed, "it asks after the gateway itself"));
                    let mut answer = Response::new(Bytes::new());
                    *answer.status_mut() = StatusCode::NO_CONTENT;
                    return self.ended(story, notes, (Verdict::Answered, None, Some(shown(&answer, None))));
                }
                // Not where everything that is to be written counts as written.
                Ok(Decision::Lacks(Lack::Ledger(route, _))) => {
                    let refusal = crate::limit::unwritten();
                    return self.refused(story, notes, refusal, (route.dialect, &manner));
                }
                Err((refusal, dialect)) => return self.refused(story, notes, refusal, (dialect, &manner)),
            }
        }
    }

    /// Tells what is done with a request that is let in.
    fn let_in(
        &self,
        (mut story, notes, manner): (Story<'_>, Vec<Telling>, Manner),
        received: Received,
        (errand, admission, passage): (&Errand<'_>, Admission, &Passage<'_>),
    ) -> Explanation {
        let told = match &self.scenery.world.listener(passage.connection.listener).decide {
            None => {
                let told = ahead::ahead(self.scenery, received, errand, (&admission, passage), self.clock);
                told.map(|told| (told, None))
            }
            Some(decide) => self.permitted(decide, &received.parts, errand, (&admission, passage)),
        };
        match told {
            Ok((told, fields)) => {
                story.rooms.push(told);
                let answer = fields.map(|fields| decided::answer(fields, admission, manner));
                self.ended(story, notes, (Verdict::Admitted, None, answer))
            }
            Err(refusal) => {
                let refusal = admission.refused(refusal);
                story.room("forward");
                self.refused(story, notes, refusal, (errand.route.dialect, &manner))
            }
        }
    }

    /// Tells a browser what a page may do, or a proxy that asks.
    fn may_ask(
        &self,
        (mut story, notes, manner): (Story<'_>, Vec<Telling>, Manner),
        answer: Response<Bytes>,
        (parts, route): (&Parts, &Route),
        decide: Option<&Decide>,
    ) -> Explanation {
        let told = match decide {
            None => Ok((decided::PREFLIGHT, answer)),
            Some(decide) => decided::preflight(decide, answer, (&self.scenery.world, parts, route)),
        };
        match told {
            Ok((says, answer)) => {
                story.rooms.push(Telling::new("reply", Outcome::Passed, says));
                let answer = decided::finished(answer, manner);
                self.ended(story, notes, (Verdict::Answered, None, Some(answer)))
            }
            Err(refusal) => self.refused(story, notes, refusal, (route.dialect, &manner)),
        }
    }

    fn refused(
        &self,
        mut story: Story<'_>,
        notes: Vec<Telling>,
        mut refusal: Refusal,
        (dialect, manner): (&'static Dialect, &Manner),
    ) -> Explanation {
        manner.bend(&mut refusal);
        story.refused(&refusal);
        let answer = envelope::render(dialect, &refusal, &self.id);
        let meant = answer.status();
        let answer = manner.worded(answer, &refusal);
        let mut told = format!("it is refused with {} in the dialect `{}`", meant.as_u16(), dialect.name);
        if answer.status() != meant {
            told = format!("{told}; the proxy that asks is answered {}", answer.status().as_u16());
        }
        story.rooms.push(Telling::new("envelope", Outcome::Note, told));
        let answer = shown(&answer, Some(dialect));
        self.ended(story, notes, (Verdict::Refused, Some((refusal.cause, refusal.detail)), Some(answer)))
    }

    /// Puts it together.
    fn ended(
        &self,
        mut story: Story<'_>,
        mut notes: Vec<Telling>,
        (decision, why, answer): (Verdict, Option<(Cause, &'static str)>, Option<Answer>),
    ) -> Explanation {
        if let Some(seen) = story.seen.take() {
            let others = others::others(&self.scenery.world, &seen, story.route);
            story.room("route").steps.extend(others);
            let guard = story.route.and_then(|route| route.guard).map(|id| &self.scenery.guards[id.0]);
            if let Some(guard) = guard {
                story.room("authenticate").steps.insert(0, watched(guard, seen.address));
            }
        }
        story.entitle();
        notes.extend(story.rooms);
        let route = story.route.map(|route| (*route.name).to_owned());
        let (cause, detail) = why.map(|(cause, detail)| (cause.name(), detail)).unzip();
        Explanation { decision, route, cause, detail, answer, steps: notes }
    }
}

/// Said of an explanation by the configuration alone.
fn counted_nothing() -> Telling {
    let says =
        "no gateway is asked: limits and guards have counted nothing here, and the health of endpoints is not known";
    Telling::new("counters", Outcome::Note, says).with("live", false)
}

/// Said where it is left open who asks.
fn from_nobody() -> Telling {
    let says = format!(
        "it is not said at which address the caller is (`peer`): {NOBODY} stands for it, which is nobody's, so that what \
         lists of addresses say of it means nothing"
    );
    Telling::new("peer", Outcome::Note, says).with("peer", NOBODY.to_string())
}

fn watched(guard: &Failures, address: std::net::IpAddr) -> Telling {
    let counted = guard.of_address(address);
    let says = format!("`{}` has counted {counted} wrong credentials from {address}", guard.name());
    Telling::new("guard", Outcome::Note, says).with("name", guard.name()).with("failures", counted)
}

/// The form of a request, as the gateway reads it once it has all of it.
fn read(route: &Route, announced: Announced, body: &Bytes) -> Result<Preface, Refusal> {
    if body.len() as u64 > route.form.unwrap_or(0) {
        return Err(Refusal::new(Cause::BodyTooLarge, "the form is larger than the route allows").closing());
    }
    Preface::read(announced, body.clone())
}

fn shown(answer: &Response<Bytes>, dialect: Option<&Dialect>) -> Answer {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Answer {
        status: answer.status().as_u16(),
        dialect: dialect.map(|dialect| dialect.name),
        headers: answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(answer.body()).into_owned(),
    }
}
