//! What every answer to a request carries, be it a refusal or not.

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::Gateway;
use crate::edge::connection::Connection;
use crate::edge::head::Head;
use crate::envelope::{self, Dialect};
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
}

impl Manner {
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

    /// Says it in an answer.
    pub(super) fn finish(self, mut answer: Response<Body>) -> Response<Body> {
        if let Some(grant) = self.grant {
            grant.stamp(answer.headers_mut());
        }
        answer
    }
}

impl Gateway {
    /// Refuses a request that the worker cannot bear, before anything else is done with it.
    pub(super) fn shed(
        &self,
        refusal: Refusal,
        parts: &Parts,
        connection: &Connection,
        id: &HeaderValue,
    ) -> Response<Body> {
        let mut entry = Entry::begin(&self.told, id, connection, parts);
        entry.unread(parts);
        refuse(refusal, self.world.dialect(connection.listener), id, (entry, Manner::default()))
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
    let answer = envelope::render(dialect, &refusal, id).map(Body::whole);
    entry.refused(&refusal, &answer);
    manner.finish(answer)
}
