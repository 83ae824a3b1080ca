//! Out by the back door: takes an [`Admission`] and a request, and brings back the upstream's answer. A worker's
//! connections are its own, so nothing is locked; a request is sent a second time only if it was never sent.

mod body;
mod connect;
mod forwarded;
mod headers;
pub mod identity;
mod last_word;
mod pace;
mod pool;
mod request;
pub mod tls;
pub mod upstream;
mod whole;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;

pub use self::body::{Body, BodyError, Payload};
use self::body::{Outgoing, Relayed, Upload};
pub use self::headers::strip_answer;
use self::pool::{Lent, Pool};
pub use self::request::{Passage, REQUEST_ID, Way, without_credential};
use self::upstream::{Upstream, UpstreamId};
pub use self::whole::Gatherer;
use crate::deadline::{Deadline, Deadlines};
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
}

/// A worker's connections to one upstream.
#[derive(Debug)]
struct Door {
    pools: Vec<Rc<Pool>>,
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
            Door { rest: vec![Cell::new(None); pools.len()], pools, turn: Cell::new(0) }
        };
        Self { deadlines: Rc::clone(deadlines), connector, doors: upstreams.iter().map(door).collect() }
    }

    /// Drops idle connections that have aged.
    pub fn sweep(&self) {
        self.doors.iter().flat_map(|door| &door.pools).for_each(|pool| pool.sweep());
    }

    /// A deadline on this worker.
    pub fn deadline(&self) -> Deadline {
        self.deadlines.register()
    }

    /// Sends a request and waits for the head of the answer. `piece` is how long the caller may take for each piece
    /// of the request's body.
    pub async fn send(
        &self,
        (parts, body): (Box<Parts>, Payload),
        (id, way): (UpstreamId, Way<'_>),
        passage: &Passage<'_>,
        admission: &Admission,
        piece: Duration,
    ) -> Result<Response<Body>, Refusal> {
        let timeouts = &way.upstream.timeouts;
        let upload = Upload::new(self.deadlines.register(), timeouts.response);
        let body = Outgoing::new(body, way.max_body, &upload, &self.deadlines, piece, passage.in_flight);
        let door = &self.doors[id.0];
        let turn = door.next(self.deadlines.now());
        let mut request = request::prepare(*parts, body, way, passage, admission)?;
        request::address(&mut request, way.upstream, &way.upstream.endpoints[turn]);
        let mut request = Some(request);
        if let Some(kept) = door.pools[turn].take() {
            let lent = Lent::new(kept, &door.pools[turn]);
            match attempt(lent, &mut request, &upload).await {
                Ok((answer, lent)) => return relay(answer, lent, upload, timeouts.idle),
                // The upstream had closed it before it took anything: nothing was sent, so the request may be sent
                // once more, on a connection of its own.
                Err(Failure::NeverSent) if upload.failure().is_none() => {}
                Err(failure) => return Err(failure.refusal(&upload)),
            }
        }
        // Boxed: rare, and large; a request that finds a connection does not carry its size.
        let (lent, turn) = Box::pin(self.connect(way.upstream, door, turn, &upload)).await?;
        if let Some(request) = &mut request {
            request::address(request, way.upstream, &way.upstream.endpoints[turn]);
        }
        match attempt(lent, &mut request, &upload).await {
            Ok((answer, lent)) => relay(answer, lent, upload, timeouts.idle),
            Err(failure) => Err(failure.refusal(&upload)),
        }
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
                Some(Ok(sender)) => return Ok((Lent::new(sender, &door.pools[turn]), turn)),
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

/// Why an attempt brought no answer.
enum Failure {
    /// The upstream has not seen a byte of it, and the request is back where it was.
    NeverSent,
    /// It may have seen some.
    Sent(&'static str),
    /// Somebody took too long.
    Late,
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

/// Sends the request on one connection. It is taken only when it is sent, and put back if it never was.
async fn attempt(
    mut lent: Lent,
    request: &mut Option<Request<Outgoing>>,
    upload: &Upload,
) -> Result<(Response<Incoming>, Lent), Failure> {
    upload.await_response();
    let ready = poll_fn(|context| match lent.sender().poll_ready(context) {
        Poll::Ready(ready) => Poll::Ready(Some(ready.is_ok())),
        Poll::Pending => upload.deadline.poll(context).map(|()| None),
    });
    match ready.await {
        None => return Err(Failure::Late),
        Some(false) => return Err(Failure::NeverSent),
        Some(true) => {}
    }
    let taken = request.take().expect("a request is sent once, or put back");
    let mut sending = pin!(lent.sender().try_send_request(taken));
    let answered = poll_fn(|context| match sending.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => upload.deadline.poll(context).map(|()| None),
    });
    match answered.await {
        None => Err(Failure::Late),
        Some(Ok(answer)) => Ok((answer, lent)),
        Some(Err(mut error)) => {
            *request = error.take_message();
            Err(match error.error() {
                _ if request.is_some() => Failure::NeverSent,
                error if error.is_parse() => Failure::Sent("the upstream's answer is not HTTP"),
                error if error.is_incomplete_message() => Failure::Sent("the upstream broke off before its answer"),
                _ => Failure::Sent("the connection to the upstream broke"),
            })
        }
    }
}

impl Refusal {
    /// Ends the connection if the request's body was not read to its end.
    fn closing_if(self, upload: &Upload) -> Self {
        if upload.ended.get() { self } else { self.closing() }
    }
}

fn relay(
    answer: Response<Incoming>,
    lent: Lent,
    upload: Rc<Upload>,
    idle: Duration,
) -> Result<Response<Body>, Refusal> {
    upload.answered();
    let (mut parts, incoming) = answer.into_parts();
    // The version is each hop's own: an upstream's HTTP/1.0 would cost the caller chunks and its connection.
    parts.version = Version::HTTP_11;
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::new(Cause::UpstreamFailed, "the upstream switched protocols unasked").closing_if(&upload));
    }
    if !is_framed_once(&parts.headers) {
        return Err(
            Refusal::new(Cause::UpstreamFailed, "the upstream's answer has a doubtful framing").closing_if(&upload)
        );
    }
    let relayed = Relayed { incoming, lent: Some(lent), upload, idle, waiting: false };
    Ok(Response::from_parts(parts, Body::relayed(relayed)))
}

/// Whether there is at most one framing, and one that everybody reads alike: a number, or `chunked` by itself. Whichever
/// of two we believe, somebody behind us may believe the other; and a coding below `chunked` would be taken for content,
/// since `Transfer-Encoding` ends here.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut framings = headers.get_all(CONTENT_LENGTH).iter().chain(headers.get_all(TRANSFER_ENCODING));
    let Some(framing) = framings.next() else { return true };
    let framing = framing.as_bytes();
    let good = if headers.contains_key(CONTENT_LENGTH) {
        !framing.is_empty() && framing.iter().all(u8::is_ascii_digit)
    } else {
        framing.eq_ignore_ascii_case(b"chunked")
    };
    good && framings.next().is_none()
}
