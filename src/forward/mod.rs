//! Out by the back door: takes an [`Admission`] and a request, and brings back the upstream's answer. A worker's
//! connections are its own, so nothing is locked; a request is sent a second time only if it was never sent, or if the
//! operator allows that for what means the same twice.

mod balance;
mod body;
mod connect;
pub mod credential;
mod dispatch;
mod door;
mod fields;
pub mod figures;
mod fleet;
mod forwarded;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod headers;
mod health;
mod http1;
mod http2;
pub mod identity;
mod journey;
pub mod key_sets;
mod last_word;
pub mod leases;
pub mod lessee;
mod line;
pub mod names;
mod outgoing;
mod pace;
pub mod permitted;
mod piece;
pub mod policy;
mod pool;
pub mod preview;
mod request;
mod retry;
pub mod standing;
pub mod tls;
mod trouble;
mod tunnel;
mod upload;
pub mod upstream;
pub mod websocket;
mod whole;

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_ACCEPT;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use self::body::Relayed;
pub use self::body::{Body, BodyError};
use self::credential::Minted;
use self::dispatch::{Course, Dispatch};
use self::door::{Bond, Door, Nowhere, Turn, all_out};
pub use self::fleet::{Fleet, Groups};
pub use self::headers::strip_answer;
use self::http1::{Connection, Failure, Head, Sending};
use self::http2::Sessions;
pub use self::journey::{End, Journey, Witness};
pub use self::outgoing::Payload;
use self::policy::Sign;
use self::pool::{Lent, Pool};
use self::request::Errand;
pub use self::request::{Passage, REQUEST_ID, Way, without_credential};
use self::tunnel::Opening;
pub use self::tunnel::Terms;
use self::upload::Upload;
use self::upstream::{Protocol, Upstream, UpstreamId};
use self::websocket::Asked;
pub use self::whole::Gatherer;
use crate::deadline::Deadlines;
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};

/// A worker's connections to all upstreams.
#[derive(Debug)]
pub struct Forwarder {
    deadlines: Rc<Deadlines>,
    doors: Vec<Rc<Door>>,
    minted: Minted,
}

impl Forwarder {
    /// No connections yet. `groups` are those of the same upstreams.
    pub fn new(upstreams: &[Upstream], groups: &Groups, deadlines: &Rc<Deadlines>) -> Self {
        Self::beside(None, upstreams, groups, deadlines)
    }

    /// The same for another configuration: connections to endpoints that stay are kept. Those with TLS only where whom they
    /// trust, and what they present, is the same to the byte as when the first of them was made.
    pub fn after(before: &Self, upstreams: &[Upstream], groups: &Groups) -> Self {
        Self::beside(Some(before), upstreams, groups, &before.deadlines)
    }

    fn beside(before: Option<&Self>, upstreams: &[Upstream], groups: &Groups, deadlines: &Rc<Deadlines>) -> Self {
        let door = |(upstream, group): (&Upstream, &Arc<fleet::Group>)| {
            let (keep, most) = (upstream.timeouts.idle, upstream.idle_connections);
            let old = before.and_then(|before| before.doors.iter().find(|door| door.group.upstream == upstream.name));
            let bond = Bond::of(upstream);
            let old = old.filter(|old| old.bond == bond);
            let kept = |member: &Arc<fleet::Member>| {
                // An endpoint that stays is the very same one.
                let at = |old: &&Rc<Door>| old.group.members.iter().position(|own| Arc::ptr_eq(own, member));
                old.and_then(|old| Some((old, at(&old)?)))
            };
            let pool = |member: &Arc<fleet::Member>| {
                let kept = kept(member).map(|(old, at)| Rc::clone(&old.pools[at]));
                let kept = kept.filter(|pool| pool.is_like(keep, most));
                kept.unwrap_or_else(|| Pool::new(Rc::clone(deadlines), keep, most, member.name.clone()))
            };
            let sessions = |member: &Arc<fleet::Member>| {
                let kept = kept(member).map(|(old, at)| Rc::clone(&old.sessions[at]));
                kept.filter(|sessions| sessions.is_like(keep))
                    .unwrap_or_else(|| Sessions::new(Rc::clone(deadlines), keep))
            };
            let members = &group.members;
            let (pools, sessions) = (members.iter().map(pool).collect(), members.iter().map(sessions).collect());
            Door::new(upstream, group, pools, sessions, bond)
        };
        let doors = upstreams.iter().zip(groups.iter()).map(door).collect();
        Self { deadlines: Rc::clone(deadlines), doors, minted: Minted::default() }
    }

    /// Drops idle connections that have aged, or whose address is gone.
    pub fn sweep(&self) {
        self.doors.iter().flat_map(|door| &door.pools).for_each(|pool| pool.sweep());
        self.doors.iter().flat_map(|door| &door.sessions).for_each(|sessions| sessions.sweep());
    }

    /// Sends a request and waits for the head of the answer. `piece` is how long the caller may take for each piece
    /// of the request's body. What it is told stays with its caller, so that it is not copied into what waits.
    pub async fn send(
        &self,
        request: (Box<Parts>, Payload),
        to: &(UpstreamId, Way<'_>),
        receipts: (&Passage<'_>, &Admission),
        piece: Duration,
    ) -> Result<Response<Body>, Refusal> {
        let (id, way) = to;
        let (door, timeouts) = (&self.doors[id.0], &way.upstream.timeouts);
        let upload = Upload::new(self.deadlines.register(), timeouts.response);
        if way.upstream.protocol == Protocol::Http2 {
            // Boxed: a request in HTTP/1.1 does not carry its size.
            return Box::pin(self.send_as_frames(request, to, receipts, piece, upload)).await;
        }
        let mut dispatch = self.dispatch(request, way, receipts, piece, (door, &upload))?;
        let mut course = match Course::begin(door, *id, receipts, self.deadlines.now()) {
            Ok(course) => course,
            Err(Nowhere::Full) => Box::pin(self.wait(door, *id, receipts, &upload)).await?,
            Err(Nowhere::Out | Nowhere::Tried) => return Err(all_out().closing_if(&upload)),
        };
        loop {
            let Dispatch { errand, sending, .. } = &mut dispatch;
            let outcome = self.attempt((door, way.upstream), &mut course, errand, sending, &upload).await?;
            let Dispatch { errand, sending, spare, .. } = &mut dispatch;
            let sign = self.learn(&mut course.turn, &outcome, &upload);
            let again = sign.is_some_and(|sign| spare.as_mut().is_some_and(|spare| spare.may_go(sign, door)));
            let Some(spare) = spare.as_mut().filter(|_| again) else {
                let Dispatch { sending, stream, .. } = dispatch;
                return match outcome {
                    Ok((lent, head)) if way.websocket.is_some() => {
                        self.switched(head, lent.with(course.turn), sending, (upload, stream), way)
                    }
                    Ok((lent, head)) => Ok(relay(head, lent.with(course.turn), sending, upload, timeouts.body)),
                    Err(failure) => Err(failure.refusal(&upload)),
                };
            };
            if let Ok((lent, head)) = outcome
                && sending.is_done()
            {
                // Thrown away; where all of it is here, the connection is used again.
                drop(Body::relayed(Relayed::new(head.decoder, lent, Rc::clone(&upload), timeouts.body)));
            }
            course.tried = course.tried.and(course.turn.at());
            // Where there is no other one, the same one may do better.
            course.turn.move_on(course.key, course.tried, self.deadlines.now()).unwrap_or_default();
            *sending = Sending::new(spare.restore(errand), &upload);
        }
    }

    /// The answer to somebody who asks for WebSocket: a tunnel, if the upstream has switched, and else what it says.
    fn switched(
        &self,
        mut head: Head,
        lent: Lent,
        sending: Sending,
        (upload, stream): (Rc<Upload>, Option<OnUpgrade>),
        way: &Way<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let Some((asked, terms)) = way.websocket.filter(|_| head.status == StatusCode::SWITCHING_PROTOCOLS) else {
            // In HTTP/2 that would be a tunnel.
            if stream.is_some() && head.status.is_success() {
                return Err(Refusal::new(Cause::UpstreamFailed, "an answer in the place of a switch to WebSocket"));
            }
            return Ok(relay(head, lent, sending, upload, way.upstream.timeouts.body));
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
        way: &Way<'a>,
        admission: &Admission,
    ) -> Result<Option<(&'a HeaderName, Cow<'a, HeaderValue>)>, Refusal> {
        credential::own(&self.minted, *way, admission, || self.deadlines.unix())
    }

    /// Sends it to the endpoint whose turn it is: on a connection that is there, or else on a new one.
    async fn attempt(
        &self,
        (door, upstream): (&Door, &Upstream),
        course: &mut Course,
        errand: &mut Errand<'_>,
        sending: &mut Sending,
        upload: &Upload,
    ) -> Result<Result<(Lent, Head), Failure>, Refusal> {
        course.note();
        let at = course.turn.at();
        if let Some(lent) = door.pools[at].take() {
            match http1::attempt(lent.connection(), errand, &upstream.endpoints[at], sending).await {
                Ok(head) => return Ok(Ok((lent, head))),
                // The upstream had closed it before it took anything: nothing was sent, so the request may be sent
                // once more, on a connection of its own.
                Err(Failure::NeverSent) if upload.failure().is_none() => {}
                Err(failure) => return Ok(Err(failure)),
            }
        }
        // Boxed: rare, and large; a request that finds a connection does not carry its size.
        let lent = Box::pin(self.connect((door, upstream), course, upload)).await?;
        let endpoint = &upstream.endpoints[course.turn.at()];
        Ok(http1::attempt(lent.connection(), errand, endpoint, sending).await.map(|head| (lent, head)))
    }

    /// Opens a connection to the endpoint whose turn it is, or else to another one: what could not be sent there may be
    /// sent here.
    async fn connect(
        &self,
        (door, upstream): (&Door, &Upstream),
        course: &mut Course,
        upload: &Upload,
    ) -> Result<Lent, Refusal> {
        let patience = upstream.timeouts.connect;
        loop {
            course.note();
            let at = course.turn.at();
            let member = &door.group.members[at];
            upload.deadline.arm(patience);
            let opening =
                connect::socket(&upstream.endpoints[at], member.name.as_deref(), upstream.tls.as_ref(), patience);
            let mut opening = pin!(opening);
            let opened = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => opening.as_mut().poll(context).map(Some),
            });
            let opened = opened.await;
            if let Some(Ok((socket, address))) = opened {
                let connection = Rc::new(RefCell::new(Connection::new(socket)));
                return Ok(Lent::new(connection, address, &door.pools[at]));
            }
            let now = self.deadlines.now();
            course.turn.unreachable(now);
            course.tried = course.tried.and(at);
            if let Some(Err(error)) = opened {
                tracing::warn!(upstream = %upstream.name, endpoint = &*member.url, %error, "no connection to the upstream");
            } else if door.policy.retry.is_none_or(|retry| !retry.on.has(Sign::Timeout)) {
                return Err(Refusal::new(Cause::UpstreamTimeout, "no connection in time").closing_if(upload));
            }
            if course.turn.move_on(course.key, course.tried, now).is_err() {
                let refusal = Refusal::new(Cause::UpstreamUnreachable, "no connection to the upstream");
                return Err(refusal.closing_if(upload));
            }
        }
    }

    /// Tells the endpoint's standing what became of a request; of what failure that is a sign.
    fn learn(&self, turn: &mut Turn, outcome: &Result<(Lent, Head), Failure>, upload: &Upload) -> Option<Sign> {
        match outcome {
            Ok((_, head)) => {
                let sign = Sign::of_status(head.status);
                turn.answered(sign, self.deadlines.now());
                sign
            }
            // The caller's own doing.
            Err(_) if upload.failure().is_some() => None,
            Err(failure) => {
                let sign = match failure {
                    Failure::Late => Sign::Timeout,
                    Failure::NeverSent | Failure::Sent(_) => Sign::Reset,
                };
                turn.failed(sign, self.deadlines.now());
                Some(sign)
            }
        }
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
    let relayed = Relayed::new(decoder, lent, upload, idle);
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
