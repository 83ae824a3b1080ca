//! The gateway in force. A configuration is swapped whole: a request keeps the one that it entered with, and the
//! connections of a listener that is no more are served under the last one that had it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::STRICT_TRANSPORT_SECURITY;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::{Arrival, Gateway};
use crate::deadline::SWEEP;
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::handshake::Handshake;
use crate::edge::listener::Listener;
use crate::edge::overload::Gauge;
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::edge::worker::{Answer, Stay};
use crate::endpoint;
use crate::forward::{Body, Groups};
use crate::limit::Gate;
use crate::limit::failures::{Failures, Opened};
use crate::world::World;

/// A worker's gateway, whatever configuration is in force.
#[derive(Debug)]
pub struct Current {
    gateway: RefCell<Rc<Gateway>>,
    gauge: Gauge,
    /// Those of before that have listeners which are no more, the latest last, and until when their connections may stay.
    former: RefCell<Vec<(Rc<Gateway>, Instant, Duration)>>,
}

/// Another configuration for a worker.
pub struct Change {
    /// What is meant by it.
    pub world: Arc<World>,
    /// What its endpoints are built from.
    pub kit: endpoint::Kit,
    /// Its limits, its failure guards and its upstreams.
    pub gates: (Gate, Opened, Groups),
    /// How long connections may stay whose listener is no more.
    pub drain: Duration,
    /// Which one it is, counted from the start.
    pub generation: u64,
    /// Closes once every request that comes is served under it.
    pub taken: Sender<()>,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

impl Current {
    /// Begins with this one.
    pub fn new(gateway: Gateway, gauge: Gauge) -> Self {
        Self { gateway: RefCell::new(Rc::new(gateway)), gauge, former: RefCell::default() }
    }

    /// The gateway that serves what comes in by this listener. `None`: there was one, and its time is over.
    fn serving(&self, listener: ListenerId) -> Option<Rc<Gateway>> {
        let current = self.gateway.borrow();
        if current.world.has(listener) {
            return Some(Rc::clone(&current));
        }
        let former = self.former.borrow();
        former.iter().rev().map(|(former, ..)| former).find(|former| former.world.has(listener)).map(Rc::clone)
    }
}

impl Gateway {
    /// What comes of a request, or an apology where that meets a defect.
    fn unharmed<'a>(
        &'a self,
        mut serving: Pin<&'a mut impl Future<Output = Response<Body>>>,
        connection: &'a Connection,
        id: &'a HeaderValue,
    ) -> impl Future<Output = Response<Body>> + 'a {
        poll_fn(move |context| {
            let polled = catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context)));
            polled.unwrap_or_else(|_| Poll::Ready(self.apologize(connection, id)))
        })
    }
}

/// Says that this host is asked over TLS alone, where it does (RFC 6797).
fn secured(mut answer: Response<Body>, connection: &Connection) -> Response<Body> {
    if let Some(hsts) = &connection.hsts {
        answer.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    answer
}

impl Answer for Current {
    type Body = Body;
    type Change = Change;

    async fn answer(
        self: Rc<Self>,
        parts: Box<Parts>,
        body: RequestBody,
        connection: Rc<Connection>,
        mut in_flight: InFlight,
    ) -> Result<Response<Body>, Infallible> {
        // From here to the end of the request.
        let Some(gateway) = self.serving(connection.listener) else {
            // Nothing is known any more of how it would be worded there.
            let mut answer = Response::new(Body::whole(Bytes::new()));
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            answer.body_mut().hold(in_flight, &connection);
            return Ok(answer);
        };
        let id = gateway.request_ids.choose(&parts.headers, &connection, &gateway.world.trusted_proxies);
        let load = match self.gauge.enter(&gateway.world.overload) {
            Ok(load) => load,
            Err(refusal) => {
                let mut answer = gateway.shed(refusal, &parts, &connection, &id);
                answer.body_mut().hold(in_flight, &connection);
                return Ok(secured(answer, &connection));
            }
        };
        in_flight.bears(load);
        let at = gateway.clock.now();
        let arrival = Arrival { connection: &connection, in_flight: &in_flight, id: &id, at };
        let mut answer = match &gateway.world.listener(connection.listener).decide {
            None => {
                let serving = pin!(gateway.serve(parts, body, arrival));
                gateway.unharmed(serving, &connection, &id).await
            }
            // Boxed, so that a request that is served does not carry its size.
            Some(decide) => {
                let mut judging = Box::pin(gateway.judge(decide, parts, body, arrival));
                gateway.unharmed(judging.as_mut(), &connection, &id).await
            }
        };
        answer.body_mut().hold(in_flight, &connection);
        Ok(secured(answer, &connection))
    }

    fn listener(&self, id: ListenerId) -> Option<Arc<Listener>> {
        Some(Arc::clone(self.serving(id)?.world.listener(id)))
    }

    fn stay(&self, id: ListenerId) -> Stay {
        if self.gateway.borrow().world.has(id) {
            return Stay::Open;
        }
        let former = self.former.borrow();
        let last = former.iter().rev().find(|(former, ..)| former.world.has(id));
        Stay::Leave(last.map_or(Duration::ZERO, |(.., drain)| *drain))
    }

    fn change(&self, Change { world, kit, gates, drain, generation, taken }: Change) {
        let mut gateway = self.gateway.borrow_mut();
        let next = Rc::new(gateway.succeeded_by(world, &kit, gates));
        let before = std::mem::replace(&mut *gateway, next);
        let is_gone = |id| before.world.has(ListenerId(id)) && !gateway.world.has(ListenerId(id));
        if (0..before.world.positions.len()).any(is_gone) {
            // Longer than any of their connections.
            let until = before.clock.now() + drain + 10 * SWEEP;
            self.former.borrow_mut().push((before, until, drain));
        }
        self.gauge.adopt(generation);
        drop(taken);
    }

    fn shaken(&self, listener: ListenerId, handshake: Handshake) {
        if let Some(place) = self.gateway.borrow().told.sinks().place() {
            place.shaken(listener, handshake);
        }
    }

    fn sweep(&self, lag: Duration) {
        let gateway = Rc::clone(&self.gateway.borrow());
        self.gauge.swept(lag, &gateway.world.overload);
        let now = gateway.clock.now();
        gateway.forwarder.sweep();
        gateway.gate.sweep(now, gateway.clock.unix());
        gateway.guards.iter().for_each(Failures::sweep);
        gateway.told.sinks().sweep();
        gateway.leases.sweep(&*gateway.world.directory, gateway.clock.unix(), now);
        if let Some(place) = gateway.told.sinks().place() {
            place.tell_streams(gateway.leases.len(), gateway.leases.tunnels());
            place.tell_connections(gateway.forwarder.connections());
        }
        self.former.borrow_mut().retain(|(_, until, _)| now < *until);
    }
}
