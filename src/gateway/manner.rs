//! What every answer to a request carries, be it a refusal or not.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::Gateway;
use crate::edge::connection::Connection;
use crate::edge::decide::Convention;
use crate::edge::head::Head;
use crate::edge::listener::Listener;
use crate::envelope::{self, Dialect, passed_on};
use crate::forward::Body;
use crate::record::App;
use crate::refusal::Refusal;
use crate::reply::cors;
use crate::scheme::Scene;
use crate::telemetry::Entry;
use crate::world::Route;

/// What every answer to a request carries, be it a refusal or not.
#[derive(Default)]
pub(super) struct Manner {
    /// What browsers are told.
    pub(super) grant: Option<Box<cors::Grant>>,
    /// Refusals have status 200.
    legacy_200: bool,
    /// A proxy asks, in this way, and passes on what it is told.
    asked: Option<Convention>,
}

impl Manner {
    /// That of a listener, before anything is known of a request.
    pub(super) fn of(listener: &Listener) -> Self {
        Self { asked: listener.decide.as_ref().map(|decide| decide.reads), ..Self::default() }
    }

    /// Learns it of a route, and of the app that the route says.
    pub(super) fn learn(&mut self, route: &Route, head: &Head<'_>, scene: &Scene<'_>, tunnel: bool) {
        let record = scene.named_app();
        let app: Option<&App> = record.as_ref().and_then(|record| record.attributes.app());
        // To an extended CONNECT, 200 would be a tunnel.
        self.legacy_200 = app.is_some_and(|app| app.legacy_200) && !tunnel;
        self.grant = route.cors.as_ref().and_then(|cors| cors.grant(head, app)).map(Box::new);
    }

    /// Gives a refusal the status that its callers know.
    pub(super) fn bend(&self, refusal: &mut Refusal) {
        if self.legacy_200 {
            refusal.status = Some(StatusCode::OK);
        }
    }

    /// Words a refusal's answer for whoever hears it.
    pub(super) fn told(&self, answer: Response<Bytes>, refusal: &Refusal) -> Response<Body> {
        self.worded(answer, refusal).map(Body::whole)
    }

    /// The same for whoever explains it.
    pub(super) fn worded(&self, answer: Response<Bytes>, refusal: &Refusal) -> Response<Bytes> {
        match self.asked {
            None => answer,
            Some(Convention::Original) => passed_on::by_nginx(answer),
            Some(Convention::Forwarded | Convention::Envoy) => passed_on::as_it_is(answer, refusal),
        }
    }

    /// Says it in an answer.
    pub(super) fn finish(self, mut answer: Response<Body>) -> Response<Body> {
        if let Some(grant) = self.grant {
            grant.stamp(answer.headers_mut());
        }
        answer
    }
}

impl Gateway {
    /// What every answer on a connection carries, before anything is known of its request.
    pub(super) fn manner(&self, connection: &Connection) -> Manner {
        Manner::of(self.world.listener(connection.listener))
    }

    /// Refuses a request that the worker cannot bear, before anything else is done with it.
    pub(super) fn shed(
        &self,
        refusal: Refusal,
        parts: &Parts,
        connection: &Connection,
        id: &HeaderValue,
    ) -> Response<Body> {
        let mut entry = Entry::begin(&self.told, (id, self.clock.now()), connection, parts);
        entry.unread(parts);
        let dialect = envelope::unrouted(self.world.dialect(connection.listener), &parts.headers);
        refuse(refusal, dialect, id, (entry, self.manner(connection)))
    }
}

/// Words a refusal, and notes it.
pub(super) fn refuse(
    mut refusal: Refusal,
    dialect: &Dialect,
    id: &HeaderValue,
    (mut entry, manner): (Entry, Manner),
) -> Response<Body> {
    manner.bend(&mut refusal);
    let answer = envelope::render(dialect, &refusal, id);
    let status = answer.status();
    let answer = manner.told(answer, &refusal);
    // As it is meant: a proxy that asks may hear another one.
    entry.refused(&refusal, status, &answer);
    manner.finish(answer)
}
