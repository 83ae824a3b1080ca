//! What is decided of a request, told once: it is selected a route, identified, permitted and admitted, at one instant and
//! without I/O. What is done about it is the business of `gateway.rs`.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::deciding;
use super::manner::Manner;
use super::sending::{Errand, is_empty, least};
use super::witnesses::Witnesses;
use super::{Arrival, Decision, Gateway, Lack, Seen, Step};
use crate::authenticate;
use crate::authorize::{self, content};
use crate::clock::Clock;
use crate::edge::guard;
use crate::edge::head::Head;
use crate::edge::preface::{Announced, Preface};
use crate::envelope::{self, Dialect};
use crate::forward::leases::Leases;
use crate::forward::{Passage, Payload, websocket};
use crate::limit::failures::Failures;
use crate::limit::{self, Asked, Gate, Outcome};
use crate::refusal::{Cause, Refusal};
use crate::reply::{cors, wall};
use crate::scheme::jwt::Verified;
use crate::scheme::{self, Fetching, Scene};
use crate::world::{Route, World};

/// What a request is decided by.
#[derive(Clone, Copy)]
pub(super) struct Corridor<'a> {
    pub(super) world: &'a World,
    pub(super) verified: &'a Verified,
    pub(super) gate: &'a Gate,
    pub(super) guards: &'a [Failures],
    pub(super) clock: &'a Clock,
    /// What time it is to limits.
    pub(super) now: Instant,
    pub(super) leases: &'a Rc<Leases>,
}

impl<'a> Corridor<'a> {
    /// Which route, who is it, may they, and is there room? Without I/O; a refusal comes with its wording.
    pub(super) fn decide<T: Witnesses<'a>>(
        self,
        parts: &Parts,
        seen: Seen<'_>,
        Arrival { connection, id, in_flight, .. }: Arrival<'a>,
        manner: &mut Manner,
        witnesses: &mut T,
    ) -> Result<Decision<'a>, (Refusal, &'static Dialect)> {
        let world = self.world;
        let before = || envelope::unrouted(world.dialect(connection.listener), &parts.headers);
        if guard::is_server_ping(parts) {
            guard::inspect(parts, connection).map_err(|refusal| (refusal, before()))?;
            return Ok(Decision::Pong);
        }
        let listener = world.listener(connection.listener);
        let decides = listener.decide.is_some();
        let head = Head::before(parts, connection, &world.trusted_proxies, listener.limits.target_bytes, witnesses);
        let head = head.map_err(|refusal| {
            witnesses.unread(parts);
            (refusal, before())
        })?;
        witnesses.head(&head);
        if let Some(answer) = self.preflight(&head, decides, manner, witnesses) {
            return answer;
        }
        let id_of_route = world.select_id(&head, head.method()).map_err(|refusal| (refusal, before()))?;
        let route = &world.routes[id_of_route.0];
        witnesses.route(id_of_route, route);
        if decides {
            deciding::decidable(route).map_err(|refusal| (refusal, route.dialect))?;
        }
        let app = named_app(route, &head);
        let watch = route.guard.map(|id| T::watch(&self.guards[id.0], head.client_ip()));
        let guard = watch.as_ref().map(|watch| watch as &dyn scheme::Guard);
        let scene = Scene { guard, fetching: seen.fetching(T::REHEARSES), ..self.scene(app.as_deref()) };
        manner.learn(route, &head, &scene, websocket::is_connect(parts));
        let websocket = Gateway::websocket(route, parts).map_err(|refusal| (refusal, route.dialect))?;
        let (admission, operation) = match self.admit(route, &head, seen, &scene, witnesses) {
            Ok(Step::Decided(Outcome::Admitted(admission), operation)) => (admission, operation),
            Ok(Step::Decided(Outcome::Unwritten(waiting), _)) => {
                return Ok(Decision::Lacks(Lack::Ledger(route, waiting)));
            }
            Ok(Step::Read(found)) => return Ok(Decision::Lacks(Lack::Form(route, found))),
            Err(refusal) => return lacking_keys(refusal, route, seen),
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
            rules: &route.rules,
            leases: self.leases,
            journey: witnesses.let_in(),
        };
        Ok(Decision::Send(errand, admission, passage))
    }

    /// The answer to a browser that asks what a page may do. `None`: nobody asks that, or the route that it is about tells
    /// browsers nothing; then it is a request like any other.
    fn preflight(
        self,
        head: &Head<'_>,
        decides: bool,
        manner: &mut Manner,
        witnesses: &mut impl Witnesses<'a>,
    ) -> Option<Result<Decision<'a>, (Refusal, &'static Dialect)>> {
        let asked = cors::asked(head)?;
        // It is about the route that the announced request would take, whether or not that one lists OPTIONS.
        let select = |method| {
            let id = self.world.select_id(head, method).ok()?;
            Some((id, &self.world.routes[id.0])).filter(|(_, route)| route.cors.is_some())
        };
        let (id, route) = select(&asked).or_else(|| select(head.method()))?;
        manner.learn(route, head, &self.scene(named_app(route, head).as_deref()), false);
        let (rule, grant) = (route.cors.as_ref()?, manner.grant.as_ref()?);
        witnesses.route(id, route);
        // To a proxy that asks, every answer but a refusal says that the request may pass.
        let checked = if decides { deciding::decidable(route) } else { Ok(()) };
        let answer = checked.and_then(|()| rule.preflight(head, grant));
        Some(answer.map(|answer| Decision::Preflight(answer, route)).map_err(|refusal| (refusal, route.dialect)))
    }

    /// What is known besides a request for this app, at this instant.
    fn scene<'s>(&self, app: Option<&'s str>) -> Scene<'s>
    where
        'a: 's,
    {
        Scene {
            directory: &*self.world.directory,
            verified: self.verified,
            guard: None,
            app,
            fetching: Fetching::Asked,
            now: self.clock.unix(),
        }
    }

    /// From the caller's word to the receipt that lets a request out.
    fn admit<T: Witnesses<'a>>(
        self,
        route: &Route,
        head: &Head<'_>,
        seen: Seen<'_>,
        scene: &Scene<'_>,
        witnesses: &mut T,
    ) -> Result<Step, Refusal> {
        let Seen { body, form, waited, .. } = seen;
        if let (Some(most), None, false) = (route.form, form, is_empty(body)) {
            return before_the_form(route, head, (body, most), scene, witnesses).map(Step::Read);
        }
        let empty = Preface::EMPTY;
        let form = form.unwrap_or(&empty);
        let principal = route.authenticate.identify(head, form, scene, witnesses)?;
        witnesses.proven(&principal);
        if route.destination.keeps_credentials() {
            route.authenticate.one_caller(&principal, head, form, scene)?;
        }
        let permit = authorize::permit(principal, &route.rules, (head, form), scene, witnesses)?;
        if route.max_body.is_some_and(|most| least(body) > most) {
            return Err(Refusal::new(Cause::BodyTooLarge, "the announced body is too large").closing());
        }
        if route.content.is_some() && !is_empty(body) {
            content::Rule::check_type(head.headers())?;
        }
        let (address, now) = (head.client_ip(), (self.now, scene.now));
        let asked = Asked { limits: &route.limits, route: &route.name, address, now, waited };
        let operation = permit.operation().map(Into::into);
        let outcome = limit::admit(permit, self.gate, &asked, witnesses)?;
        if let (Outcome::Admitted(admission), false) = (&outcome, T::REHEARSES) {
            admission.principal().credentials().iter().for_each(|record| record.seen(scene.now));
        }
        Ok(Step::Decided(outcome, operation))
    }
}

/// A refusal, unless keys of an issuer that are being fetched could turn it into something else.
fn lacking_keys<'a>(
    refusal: Refusal,
    route: &'a Route,
    seen: Seen<'_>,
) -> Result<Decision<'a>, (Refusal, &'static Dialect)> {
    let waits = refusal.is_unsettled() && !seen.fetched;
    let attempts = waits.then(|| route.authenticate.awaited()).flatten();
    attempts.map(|attempts| Decision::Lacks(Lack::Keys(attempts))).ok_or((refusal, route.dialect))
}

impl Seen<'_> {
    /// What is done about a key of an issuer that is not there.
    fn fetching(self, rehearses: bool) -> Fetching {
        match (rehearses, self.fetched) {
            (false, false) => Fetching::Asked,
            (false, true) => Fetching::Waited,
            (true, false) => Fetching::Rehearsed,
            (true, true) => Fetching::InVain,
        }
    }
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
    witnesses: &mut impl authenticate::witness::Witness,
) -> Result<(Announced, bool), Refusal> {
    let is_known = if route.authenticate.reads_forms() {
        scene.guard.map_or(Ok(()), scheme::Guard::enter)?;
        false
    } else {
        let principal = route.authenticate.identify(head, &Preface::EMPTY, scene, witnesses)?;
        route.rules.network.check(&principal, head)?;
        principal.is_identified()
    };
    if least(body) > most.min(route.max_body.unwrap_or(u64::MAX)) {
        return Err(Refusal::new(Cause::BodyTooLarge, "the announced form is too large").closing());
    }
    Announced::of(head.headers()).map(|announced| (announced, is_known))
}
