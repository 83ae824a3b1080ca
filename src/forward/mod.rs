//! Out by the back door: takes an [`Admission`] and a request, and brings back the upstream's answer. A worker's
//! connections are its own, so nothing is locked; a request is sent a second time only if it was never sent.

mod body;
mod connect;
pub mod credential;
mod fields;
mod forwarded;
mod headers;
mod http1;
mod http2;
pub mod identity;
pub mod key_sets;
mod last_word;
pub mod leases;
mod pace;
mod pool;
mod request;
pub mod tls;
mod tunnel;
mod upload;
pub mod upstream;
pub mod websocket;
mod whole;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::SEC_WEBSOCKET_ACCEPT;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::HttpConnector;

pub use self::body::{Body, BodyError, Payload};
use self::body::{Outgoing, Relayed};
use self::credential::Minted;
pub use self::headers::strip_answer;
use self::http1::{Failure, Head, Sending};
use self::http2::Sessions;
use self::pool::{Lent, Pool};
use self::request::Errand;
pub use self::request::{Passage, REQUEST_ID, Way, without_credential};
use self::tunnel::Opening;
pub use self::tunnel::Terms;
use self::upload::Upload;
use self::upstream::{CredentialPolicy, Protocol, Upstream, UpstreamId};
use self::websocket::Asked;
pub use self::whole::Gatherer;
use crate::deadline::Deadlines;
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};

/// How long an endpoint that could not be reached is left alone.
const REST: Duration = Duration::from_secs(1);

/// A worker's connections to all upstreams.
#[derive(Debug)]
pub struct Forwarder {
    deadlines: Rc<Deadlines>,
    connector: HttpConnector,
    doors: Vec<Door>,
    minted: Minted,
}

/// A worker's connections to one upstream.
#[derive(Debug)]
struct Door {
    pools: Vec<Rc<Pool>>,
    /// The same for HTTP/2.
    sessions: Vec<Rc<Sessions>>,
    turn: Cell<usize>,
    /// Until when each endpoint is left alone.
    rest: Vec<Cell<Option<Instant>>>,
}

impl Forwarder {
    /// No connections yet.
    pub fn new(upstreams: &[Upstream], deadlines: &Rc<Deadlines>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let door = |upstream: &Upstream| {
            let pool = |_| Pool::new(Rc::clone(deadlines), upstream.timeouts.keep, upstream.idle_connections);
            let pools: Vec<_> = upstream.endpoints.iter().map(pool).collect();
            let session = |_| Sessions::new(Rc::clone(deadlines), upstream.timeouts.keep);
            let sessions = upstream.endpoints.iter().map(session).collect();
            Door { rest: vec![Cell::new(None); pools.len()], pools, sessions, turn: Cell::new(0) }
        };
        let doors = upstreams.iter().map(door).collect();
        Self { deadlines: Rc::clone(deadlines), connector, doors, minted: Minted::default() }
    }

    /// Drops idle connections that have aged.
    pub fn sweep(&self) {
        self.doors.iter().flat_map(|door| &door.pools).for_each(|pool| pool.sweep());
        self.doors.iter().flat_map(|door| &door.sessions).for_each(|sessions| sessions.sweep());
    }

    /// Sends a request and waits for the head of the answer. `piece` is how long the caller may take for each piece
    /// of the request's body.
    pub async fn send(
        &self,
        (mut parts, body): (Box<Parts>, Payload),
        (id, way): (UpstreamId, Way<'_>),
        passage: &Passage<'_>,
        admission: &Admission,
        piece: Duration,
    ) -> Result<Response<Body>, Refusal> {
        let timeouts = &way.upstream.timeouts;
        let upload = Upload::new(self.deadlines.register(), timeouts.response);
        let body = Outgoing::new(body, way.max_body, &upload, &self.deadlines, piece, passage.in_flight);
        // hyper leaves one with an Upgrade as well, where nothing will ever come of it: that socket is handed over.
        let is_stream = matches!(way.websocket, Some((Asked::Connect(_), _)));
        let stream = if is_stream { parts.extensions.remove::<OnUpgrade>() } else { None };
        let door = &self.doors[id.0];
        let own = self.own(way, admission).map_err(|refusal| refusal.closing_if(&upload))?;
        let mut errand = Errand::new(parts, way, passage, (admission, own), &body)?;
        // The refusal says why, so that nothing is cut.
        let large = body.is_large().then(|| passage.leases.open(admission.principal().clone(), None));
        if way.upstream.protocol == Protocol::Http2 {
            if way.websocket.is_some() {
                // The configuration was found to have no such route: an answer would be taken for a tunnel.
                return Err(Refusal::new(Cause::Internal, "WebSocket to an upstream in HTTP/2").closing_if(&upload));
            }
            // Boxed: a request in HTTP/1.1 does not carry its size.
            return Box::pin(self.send_in_frames((errand, body, large), upload, way.upstream, door)).await;
        }
        let turn = door.next(self.deadlines.now());
        let mut sending = Sending::new(body, &upload).watched(large);
        if let Some(kept) = door.pools[turn].take() {
            let lent = Lent::new(kept, &door.pools[turn]);
            let endpoint = &way.upstream.endpoints[turn];
            match http1::attempt(lent.connection(), &mut errand, endpoint, &mut sending).await {
                Ok(head) if way.websocket.is_some() => {
                    return self.switched(head, lent, sending, (upload, stream), way);
                }
                Ok(head) => return Ok(relay(head, lent, sending, upload, timeouts.idle)),
                // The upstream had closed it before it took anything: nothing was sent, so the request may be sent
                // once more, on a connection of its own.
                Err(Failure::NeverSent) if upload.failure().is_none() => {}
                Err(failure) => return Err(failure.refusal(&upload)),
            }
        }
        // Boxed: rare, and large; a request that finds a connection does not carry its size.
        let (lent, turn) = Box::pin(self.connect(way.upstream, door, turn, &upload)).await?;
        let endpoint = &way.upstream.endpoints[turn];
        match http1::attempt(lent.connection(), &mut errand, endpoint, &mut sending).await {
            Ok(head) if way.websocket.is_some() => self.switched(head, lent, sending, (upload, stream), way),
            Ok(head) => Ok(relay(head, lent, sending, upload, timeouts.idle)),
            Err(failure) => Err(failure.refusal(&upload)),
        }
    }

    /// The answer to somebody who asks for WebSocket: a tunnel, if the upstream has switched, and else what it says.
    fn switched(
        &self,
        mut head: Head,
        lent: Lent,
        sending: Sending,
        (upload, stream): (Rc<Upload>, Option<OnUpgrade>),
        way: Way<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let Some((asked, terms)) = way.websocket.filter(|_| head.status == StatusCode::SWITCHING_PROTOCOLS) else {
            // In HTTP/2 that would be a tunnel.
            if stream.is_some() && head.status.is_success() {
                return Err(Refusal::new(Cause::UpstreamFailed, "an answer in the place of a switch to WebSocket"));
            }
            return Ok(relay(head, lent, sending, upload, way.upstream.timeouts.idle));
        };
        let mut status = head.status;
        if let Asked::Connect(key) = asked {
            let said = head.fields.remove(SEC_WEBSOCKET_ACCEPT);
            if said.is_none_or(|said| said != websocket::accept(key)) {
                return Err(Refusal::new(Cause::UpstreamFailed, "the upstream accepted another WebSocket than ours"));
            }
            status = StatusCode::OK;
        }
        upload.answered();
        let mut answer = Response::new(Body::tunnel(Opening::new(lent, stream, terms, &self.deadlines)));
        *answer.status_mut() = status;
        *answer.headers_mut() = head.fields;
        Ok(answer)
    }

    /// What the upstream sees in the place of the caller's credential, where that is translated.
    pub fn own<'a>(
        &self,
        way: Way<'a>,
        admission: &Admission,
    ) -> Result<Option<(&'a HeaderName, Cow<'a, HeaderValue>)>, Refusal> {
        if way.credential != CredentialPolicy::Translate {
            return Ok(None);
        }
        // The configuration has been found to have one.
        let none = || Refusal::new(Cause::Internal, "no credential to put in the place of the caller's").closing();
        let own = way.own.ok_or_else(none)?;
        self.minted.field(own, admission.principal(), || self.deadlines.unix()).map(Some)
    }

    /// Opens a connection to the endpoint whose turn it is, or else to the next one: what could not be sent there may
    /// be sent here. Says which one it was.
    async fn connect(
        &self,
        upstream: &Upstream,
        door: &Door,
        turn: usize,
        upload: &Upload,
    ) -> Result<(Lent, usize), Refusal> {
        let count = door.pools.len();
        for turn in (turn..turn + count).map(|turn| turn % count) {
            upload.deadline.arm(upstream.timeouts.connect);
            let mut opening = pin!(connect::open(&self.connector, &upstream.endpoints[turn], upstream.tls.as_ref()));
            let opened = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => opening.as_mut().poll(context).map(Some),
            });
            match opened.await {
                Some(Ok(connection)) => {
                    return Ok((Lent::new(Rc::new(RefCell::new(connection)), &door.pools[turn]), turn));
                }
                Some(Err(error)) => {
                    tracing::warn!(upstream = %upstream.name, endpoint = turn, %error, "no connection to the upstream");
                    door.rest[turn].set(Some(self.deadlines.now() + REST));
                }
                None => {
                    door.rest[turn].set(Some(self.deadlines.now() + REST));
                    return Err(Refusal::new(Cause::UpstreamTimeout, "no connection in time").closing_if(upload));
                }
            }
        }
        Err(Refusal::new(Cause::UpstreamUnreachable, "no connection to the upstream").closing_if(upload))
    }
}

impl Door {
    /// Endpoints take turns; one that could not be reached rests for a moment, unless all do.
    fn next(&self, now: Instant) -> usize {
        let count = self.pools.len();
        let first = self.turn.get();
        let mut turns = (first..first + count).map(|turn| turn % count);
        let turn = turns.find(|turn| self.rest[*turn].get().is_none_or(|until| until <= now)).unwrap_or(first);
        self.turn.set((turn + 1) % count);
        turn
    }
}

impl Failure {
    fn refusal(self, upload: &Upload) -> Refusal {
        let (cause, detail) = match (self, upload.failure()) {
            (Self::Late, _) => (Cause::UpstreamTimeout, "no answer in time"),
            (Self::NeverSent | Self::Sent(_), Some(cause)) => (cause, "the request's body failed"),
            (Self::NeverSent, None) => (Cause::UpstreamFailed, "the upstream closed the connection"),
            (Self::Sent(detail), None) => (Cause::UpstreamFailed, detail),
        };
        Refusal::new(cause, detail).closing_if(upload)
    }
}

impl Refusal {
    /// Ends the connection if the request's body was not read to its end.
    fn closing_if(self, upload: &Upload) -> Self {
        if upload.ended.get() { self } else { self.closing() }
    }
}

/// Hands the answer on. Its version is each hop's own: an upstream's HTTP/1.0 would cost the caller chunks and its
/// connection.
fn relay(head: Head, lent: Lent, sending: Sending, upload: Rc<Upload>, idle: Duration) -> Response<Body> {
    upload.answered();
    http1::go_on(lent.connection(), sending);
    let Head { status, reason, fields, decoder, .. } = head;
    let relayed = Relayed { decoder, lent: Some(lent), upload, idle, waiting: false };
    let mut answer = Response::new(Body::relayed(relayed));
    *answer.status_mut() = status;
    *answer.headers_mut() = fields;
    if let Some(reason) = reason {
        answer.extensions_mut().insert(reason);
    }
    answer
}

/// The head of a request whose form held nothing but credentials: what is left of that has a length of its own.
pub fn emptied(mut parts: Box<http::request::Parts>, body: &Payload) -> Box<http::request::Parts> {
    if let (Payload::Whole(whole), Some(length)) = (body, parts.headers.get_mut(http::header::CONTENT_LENGTH))
        && whole.is_empty()
    {
        *length = http::HeaderValue::from_static("0");
    }
    parts
}
