//! How a request is sent over HTTP/2: to the endpoint whose turn it is, and once more where the first one has not
//! processed it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::Response;

use crate::forward::body::{Body, BodyError};
use crate::forward::dispatch::Course;
use crate::forward::http1::Failure;
use crate::forward::http2::answer::relay;
use crate::forward::http2::exchange::{Sending, attempt};
use crate::forward::http2::session::{Lent, Session};
use crate::forward::http2::sessions::{Opening, Turn};
use crate::forward::leases::Lease;
use crate::forward::outgoing::Outgoing;
use crate::forward::policy::Sign;
use crate::forward::request::Errand;
use crate::forward::upload::Upload;
use crate::forward::upstream::Upstream;
use crate::forward::{Door, Forwarder, connect};
use crate::refusal::{Cause, Refusal};

impl Forwarder {
    /// Sends a request and waits for the head of the answer.
    pub(in crate::forward) async fn send_in_frames(
        &self,
        (errand, body, large): (Errand<'_>, Outgoing, Option<Lease>),
        upload: Rc<Upload>,
        upstream: &Upstream,
        (door, mut course): (&Door, Course),
    ) -> Result<Response<Body>, Refusal> {
        let mut sending = Sending::new((body, large), &upload, &errand);
        let mut again = true;
        loop {
            let lent = self.session(upstream, door, &mut course, &upload).await?;
            course.note();
            let request = errand.request(&upstream.endpoints[course.turn.at()])?;
            match attempt(&lent, request, &mut sending).await {
                Ok(response) => {
                    course.turn.answered(Sign::of_status(response.status()), self.deadlines.now());
                    return Ok(relay(response, (lent, course.turn), sending, upload, upstream.timeouts.idle));
                }
                // Not processed, and nothing of it is lost.
                Err(Failure::NeverSent) if again && upload.failure().is_none() && sending.is_at_hand() => again = false,
                Err(failure) => {
                    if upload.failure().is_none() {
                        let sign = if matches!(failure, Failure::Late) { Sign::Timeout } else { Sign::Reset };
                        course.turn.failed(sign, self.deadlines.now());
                    }
                    return Err(failure.refusal(&upload));
                }
            }
        }
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
            let Some(Err(error)) = opened else { return Err(late()) };
            tracing::warn!(upstream = %upstream.name, endpoint = at, %error, "no connection to the upstream");
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
