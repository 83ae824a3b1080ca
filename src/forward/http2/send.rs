//! How a request is sent over HTTP/2: to the endpoint whose turn it is; once more where that one has not processed it (RFC
//! 9113 §8.7); and as often as the operator allows for what means the same twice.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use h2::RecvStream;
use http::Response;

use crate::forward::body::{Body, BodyError};
use crate::forward::dispatch::Course;
use crate::forward::door::Turn as Seat;
use crate::forward::http1::Failure;
use crate::forward::http2::answer::relay;
use crate::forward::http2::exchange::{Sending, attempt};
use crate::forward::http2::session::{Lent, Session};
use crate::forward::http2::sessions::{Opening, Turn};
use crate::forward::leases::Lease;
use crate::forward::outgoing::Outgoing;
use crate::forward::policy::Sign;
use crate::forward::request::Errand;
use crate::forward::retry::Spare;
use crate::forward::upload::Upload;
use crate::forward::upstream::Upstream;
use crate::forward::{Door, Forwarder, connect};
use crate::refusal::{Cause, Refusal};

impl Forwarder {
    /// Sends a request and waits for the head of the answer.
    pub(in crate::forward) async fn send_in_frames(
        &self,
        (mut errand, body, large): (Errand<'_>, Outgoing, Option<Lease>),
        upload: Rc<Upload>,
        upstream: &Upstream,
        (door, mut course): (&Door, Course),
    ) -> Result<Response<Body>, Refusal> {
        let mut spare = Spare::of(door, &mut errand, &body);
        let mut sending = Sending::new((body, large), &upload, &errand);
        let mut again = true;
        loop {
            let lent = self.session(upstream, door, &mut course, &upload).await?;
            course.note();
            let request = errand.request(&upstream.endpoints[course.turn.at()])?;
            let outcome = attempt(&lent, request, &mut sending).await;
            let unseen = matches!(outcome, Err(Failure::NeverSent)) && upload.failure().is_none();
            // Not processed, and nothing of it is lost: whatever it means, it means it once.
            if unseen && again && sending.is_at_hand() {
                again = false;
                continue;
            }
            let sign = self.learn_in_frames(&mut course.turn, &outcome, &upload);
            let goes = sign.is_some_and(|sign| spare.as_mut().is_some_and(|spare| spare.may_go(sign, door)));
            let Some(spare) = spare.as_mut().filter(|_| goes) else {
                let response = outcome.map_err(|failure| failure.refusal(&upload))?;
                return Ok(relay(response, (lent, course.turn), sending, upload, upstream.timeouts.body));
            };
            // An answer that is thrown away resets its stream, and nobody else's.
            drop((outcome, lent));
            sending.give_up();
            course.tried = course.tried.and(course.turn.at());
            // Where there is no other one, the same one may do better.
            course.turn.move_on(course.key, course.tried, self.deadlines.now()).unwrap_or_default();
            sending = Sending::new((spare.restore(&mut errand), None), &upload, &errand);
        }
    }

    /// Tells the endpoint's standing what became of a request; of what failure that is a sign.
    fn learn_in_frames(
        &self,
        turn: &mut Seat,
        outcome: &Result<Response<RecvStream>, Failure>,
        upload: &Upload,
    ) -> Option<Sign> {
        let now = self.deadlines.now();
        let failure = match outcome {
            Ok(response) => {
                let sign = Sign::of_status(response.status());
                turn.answered(sign, now);
                return sign;
            }
            Err(failure) => failure,
        };
        // The caller's own doing.
        if upload.failure().is_some() {
            return None;
        }
        let sign = if matches!(failure, Failure::Late) { Sign::Timeout } else { Sign::Reset };
        turn.failed(sign, now);
        Some(sign)
    }

    /// A place on a connection to the endpoint whose turn it is, or else to another one.
    async fn session(
        &self,
        upstream: &Upstream,
        door: &Door,
        course: &mut Course,
        upload: &Upload,
    ) -> Result<Lent, Refusal> {
        let late = || Refusal::new(Cause::UpstreamTimeout, "no connection in time").closing_if(upload);
        loop {
            course.note();
            let at = course.turn.at();
            upload.deadline.arm(upstream.timeouts.connect);
            let mut found = pin!(door.sessions[at].turn());
            let found = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => found.as_mut().poll(context).map(Some),
            });
            let opening = match found.await {
                Some(Turn::Use(lent)) => return Ok(lent),
                Some(Turn::Open(opening)) => opening,
                Some(Turn::Full) => {
                    let refusal = Refusal::new(Cause::Overloaded, "too many requests wait for the upstream");
                    return Err(refusal.closing_if(upload));
                }
                None => return Err(late()),
            };
            let mut opened = pin!(self.open_session(upstream, (door, at), opening));
            let opened = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => opened.as_mut().poll(context).map(Some),
            });
            let opened = opened.await;
            if let Some(Ok(lent)) = opened {
                return Ok(lent);
            }
            let now = self.deadlines.now();
            course.turn.unreachable(now);
            course.tried = course.tried.and(at);
            if let Some(Err(error)) = opened {
                tracing::warn!(upstream = %upstream.name, endpoint = at, %error, "no connection to the upstream");
            } else if door.policy.retry.is_none_or(|retry| !retry.on.has(Sign::Timeout)) {
                return Err(late());
            }
            if course.turn.move_on(course.key, course.tried, now).is_err() {
                let refusal = Refusal::new(Cause::UpstreamUnreachable, "no connection to the upstream");
                return Err(refusal.closing_if(upload));
            }
        }
    }

    async fn open_session(
        &self,
        upstream: &Upstream,
        (door, at): (&Door, usize),
        opening: Opening,
    ) -> Result<Lent, BodyError> {
        let (endpoint, tls, name) = (&upstream.endpoints[at], upstream.tls.as_ref(), &door.group.members[at].name);
        let (socket, _) = connect::socket(endpoint, name.as_deref(), tls, upstream.timeouts.connect).await?;
        if endpoint.tls && socket.protocol() != Some(b"h2") {
            return Err("the upstream does not speak HTTP/2".into());
        }
        let patience = upstream.timeouts.connect;
        let session = Session::begin(socket, (&self.deadlines, opening.queue()), patience).await?;
        Ok(opening.done(&session))
    }
}
