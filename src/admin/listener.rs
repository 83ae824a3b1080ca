//! The admin listener: a thread of its own, on the same stages and deadlines as the listeners of the corridor. Each
//! request is let in by `auth.rs` or refused, and leaves one line in the log; never its body, nor its query.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Frame;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_local;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::Counters;
use super::auth::{self, Token};
use super::problem::plain;
use super::status;
use crate::background::give_way;
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::edge::connection::{Connection, ListenerId};
use crate::edge::http_versions::{Http2, HttpVersions};
use crate::edge::listener::{self, Limits, Listener, Seat};
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::edge::tls::Keeper;
use crate::edge::worker::{self, Answer, Stay};
use crate::secret::Secret;
use crate::store::key_text::{self, Shape};
use crate::store::{Actor, Store};

/// What the admin listener bears: operators are few.
pub(super) const LIMITS: Limits = Limits {
    handshake: Duration::from_secs(10),
    head: Duration::from_secs(10),
    idle: Duration::from_mins(1),
    body: super::body::PATIENCE,
    write: Duration::from_secs(30),
    age: None,
    http2: Http2::DEFAULT,
    connections: 256,
    head_bytes: 32 * 1024,
    target_bytes: 8 * 1024,
};

/// `[admin]`, as meant.
#[derive(Debug)]
pub struct Settings {
    /// Where it binds.
    pub address: SocketAddr,
    /// TLS ([`crate::edge::tls::Acceptor::kept_demanding`]); `None` is plain text, on this machine alone.
    pub tls: Option<Arc<Keeper>>,
    /// Who may come in from this machine without a certificate.
    pub tokens: Vec<Token>,
}

/// By what the settings of an admin listener are told from others.
#[derive(Debug)]
pub struct Identity {
    address: SocketAddr,
    tls: bool,
    tokens: Vec<(String, Secret)>,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |(own, other): (&(String, Secret), &(String, Secret))| own.0 == other.0 && own.1.equals(other.1.expose());
        (self.address, self.tls, self.tokens.len()) == (other.address, other.tls, other.tokens.len())
            && self.tokens.iter().zip(&other.tokens).all(same)
    }
}

impl Settings {
    /// By what these settings are told from others.
    pub fn identity(&self) -> Identity {
        let tokens = self.tokens.iter().map(|token| (token.name.clone(), token.secret.clone())).collect();
        Identity { address: self.address, tls: self.tls.is_some(), tokens }
    }
}

/// Binds the listener and serves it on a thread of its own until `stop`; then it finishes what is in flight and drops
/// `alive`. Returns where it is bound.
pub fn start(
    settings: Settings,
    (store, counters): (Store, Counters),
    clock: Clock,
    stop: CancellationToken,
    alive: impl Send + 'static,
) -> io::Result<SocketAddr> {
    let Settings { address, tls, tokens } = settings;
    if tls.is_none() && !auth::is_here(address.ip()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the admin listener needs TLS beyond this machine"));
    }
    // Bound here, so that an address that is taken is told at once.
    let socket = listener::bind(address).map_err(|error| unbound(address, &error))?;
    let bound = socket.local_addr()?;
    if let Some(keeper) = &tls {
        keeper.adjust(|acceptor| acceptor.on(clock.clone()));
    }
    let listener = own("admin", bound, tls, LIMITS);
    let router = super::router(store, counters, clock.clone());
    thread::Builder::new().name("vidgate-admin".to_owned()).spawn(move || {
        give_way();
        let desk = Desk { router, listener, tokens, clock: clock.clone() };
        if let Err(error) = run(socket, desk, LIMITS.connections, &clock, &stop) {
            tracing::error!(%error, "the admin listener has ended");
        }
        drop(alive);
    })?;
    Ok(bound)
}

fn unbound(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the admin listener cannot bind {address}: {error}"))
}

/// A listener of the house itself: HTTP/1.1 for a few, and nothing that changes while it is there.
pub(super) fn own(name: &str, address: SocketAddr, tls: Option<Arc<Keeper>>, limits: Limits) -> Arc<Listener> {
    Arc::new(Listener {
        name: name.into(),
        address,
        tls,
        limits,
        proxy_protocol: Vec::new(),
        versions: HttpVersions::ONE,
        hsts: None,
        websocket: false,
        decide: None,
    })
}

/// Who answers all that comes in by such a listener.
pub(super) trait Attendant: 'static {
    /// The answer to one request, which is in flight until it is gone.
    fn attend(
        &self,
        parts: Box<Parts>,
        body: RequestBody,
        connection: &Connection,
    ) -> impl Future<Output = Response<Body>>;

    /// The listener.
    fn listener(&self) -> &Arc<Listener>;
}

/// The same as a worker's thread asks it.
struct Attended<A>(A);

impl<A: Attendant> Answer for Attended<A> {
    type Body = Held;
    type Change = Infallible;

    async fn answer(
        self: Rc<Self>,
        parts: Box<Parts>,
        body: RequestBody,
        connection: Rc<Connection>,
        in_flight: InFlight,
    ) -> Result<Response<Held>, Infallible> {
        let response = self.0.attend(parts, body, &connection).await;
        in_flight.awaits_caller();
        Ok(response.map(|body| Held { body, _in_flight: in_flight }))
    }

    fn listener(&self, _: ListenerId) -> Option<Arc<Listener>> {
        Some(Arc::clone(self.0.listener()))
    }

    fn stay(&self, _: ListenerId) -> Stay {
        Stay::Open
    }

    fn change(&self, never: Infallible) {
        match never {}
    }

    fn sweep(&self, _: Duration) {}
}

/// Serves a bound socket on this thread alone, until `stop` and the end of what is in flight.
pub(super) fn run(
    socket: std::net::TcpListener,
    desk: impl Attendant,
    connections: usize,
    clock: &Clock,
    stop: &CancellationToken,
) -> io::Result<()> {
    // Made here: a runtime of its thread alone cannot be handed to it.
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        let (arrivals, waiting) = unbounded_channel();
        let seats = vec![Seat::new(arrivals)];
        spawn_local(listener::accept(socket, ListenerId(0), listener::cap(connections), seats, stop.clone()));
        let (clock, deadlines) = (clock.clone(), Deadlines::new(clock.clone()));
        // Nobody changes it.
        let (_, changes) = unbounded_channel();
        worker::serve((waiting, changes), Rc::new(Attended(desk)), clock, deadlines, stop.clone()).await;
        Ok(())
    })
}

/// What answers the requests of the listener.
struct Desk {
    router: Router,
    listener: Arc<Listener>,
    tokens: Vec<Token>,
    clock: Clock,
}

impl Desk {
    /// Answers who asks after health alone. It leaves no line in the log: it is asked every few seconds.
    async fn health(&self, mut parts: Parts) -> Response<Body> {
        parts.extensions.insert(Actor("nobody".to_owned()));
        let answered: Result<_, Infallible> = self.router.clone().call(Request::from_parts(parts, Body::empty())).await;
        let Ok(response) = answered;
        response
    }
}

impl Attendant for Desk {
    async fn attend(&self, mut parts: Box<Parts>, body: RequestBody, connection: &Connection) -> Response<Body> {
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        if status::is_open(&method, &path) {
            return self.health(*parts).await;
        }
        let identified = auth::identify(connection, &parts.headers, &self.tokens, self.clock.unix());
        let (actor, response) = match identified {
            Ok(actor) => {
                let name = actor.0.clone();
                // Nothing further in has a use for it.
                parts.headers.remove(http::header::AUTHORIZATION);
                parts.extensions.insert(actor);
                let request = Request::from_parts(*parts, Body::new(body));
                let answered: Result<_, Infallible> = self.router.clone().call(request).await;
                let Ok(response) = answered;
                (name, response)
            }
            Err(problem) => ("nobody".to_owned(), problem.into_response()),
        };
        let status = response.status().as_u16();
        tracing::info!(actor, %method, path = told(&path), status, "admin");
        response
    }

    fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }
}

/// A path as the log has it. Somebody may have asked by a key where its id belongs.
fn told(path: &str) -> String {
    let part = |part: &str| match (key_text::shape(part.as_bytes()), part.split_once('_')) {
        (Shape::Ours | Shape::Mistyped, Some((prefix, _))) => format!("{prefix}_***"),
        (Shape::Ours | Shape::Mistyped, None) | (Shape::Foreign, _) => part.to_owned(),
    };
    plain(&path.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// The body of an answer: until it is gone, its request is in flight.
struct Held {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_what_was_asked_for_and_no_key() {
        let key = "vgl_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq_nskow7q";
        for (path, expected) in [
            ("/v1/license-keys/main", "/v1/license-keys/main"),
            (&format!("/v1/license-keys/{key}/rotate"), "/v1/license-keys/vgl_***/rotate"),
            (&format!("/v1/license-keys/{}", &key[..60]), "/v1/license-keys/vgl_***"),
        ] {
            assert_eq!(told(path), expected);
        }
    }
}
