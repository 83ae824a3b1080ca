//! How a request is sent over HTTP/2: to the endpoint whose turn it is, and once more where the first one has not
//! processed it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use http::Response;

use crate::forward::body::{Body, BodyError, Outgoing};
use crate::forward::http1::Failure;
use crate::forward::http2::answer::relay;
use crate::forward::http2::exchange::{Sending, attempt};
use crate::forward::http2::session::{Lent, Session};
use crate::forward::http2::sessions::{Opening, Turn};
use crate::forward::leases::Lease;
use crate::forward::request::Errand;
use crate::forward::upload::Upload;
use crate::forward::upstream::Upstream;
use crate::forward::{Door, Forwarder, REST, connect};
use crate::refusal::{Cause, Refusal};

impl Forwarder {
    /// Sends a request and waits for the head of the answer.
    pub(in crate::forward) async fn send_in_frames(
        &self,
        (errand, body, large): (Errand<'_>, Outgoing, Option<Lease>),
        upload: Rc<Upload>,
        upstream: &Upstream,
        door: &Door,
    ) -> Result<Response<Body>, Refusal> {
        let mut sending = Sending::new((body, large), &upload, &errand);
        let mut turn = door.next(self.deadlines.now());
        let mut again = true;
        loop {
            let (lent, found) = self.session(upstream, door, turn, &upload).await?;
            turn = found;
            let request = errand.request(&upstream.endpoints[turn])?;
            match attempt(&lent, request, &mut sending).await {
                Ok(response) => return Ok(relay(response, lent, sending, upload, upstream.timeouts.idle)),
                // Not processed, and nothing of it is lost.
                Err(Failure::NeverSent) if again && upload.failure().is_none() && sending.is_at_hand() => again = false,
                Err(failure) => return Err(failure.refusal(&upload)),
            }
        }
    }

    /// A place on a connection to the endpoint whose turn it is, or else to the next one. Says which one it was.
    async fn session(
        &self,
        upstream: &Upstream,
        door: &Door,
        turn: usize,
        upload: &Upload,
    ) -> Result<(Lent, usize), Refusal> {
        let count = door.sessions.len();
        let late = || Refusal::new(Cause::UpstreamTimeout, "no connection in time").closing_if(upload);
        for turn in (turn..turn + count).map(|turn| turn % count) {
            upload.deadline.arm(upstream.timeouts.connect);
            let mut found = pin!(door.sessions[turn].turn());
            let found = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => found.as_mut().poll(context).map(Some),
            });
            let opening = match found.await {
                Some(Turn::Use(lent)) => return Ok((lent, turn)),
                Some(Turn::Open(opening)) => opening,
                Some(Turn::Full) => {
                    let refusal = Refusal::new(Cause::Overloaded, "too many requests wait for the upstream");
                    return Err(refusal.closing_if(upload));
                }
                None => return Err(late()),
            };
            let mut opened = pin!(self.open_session(upstream, turn, opening));
            let opened = poll_fn(|context| match upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => opened.as_mut().poll(context).map(Some),
            });
            match opened.await {
                Some(Ok(lent)) => return Ok((lent, turn)),
                Some(Err(error)) => {
                    tracing::warn!(upstream = %upstream.name, endpoint = turn, %error, "no connection to the upstream");
                    door.rest[turn].set(Some(self.deadlines.now() + REST));
                }
                None => {
                    door.rest[turn].set(Some(self.deadlines.now() + REST));
                    return Err(late());
                }
            }
        }
        Err(Refusal::new(Cause::UpstreamUnreachable, "no connection to the upstream").closing_if(upload))
    }

    async fn open_session(&self, upstream: &Upstream, turn: usize, opening: Opening) -> Result<Lent, BodyError> {
        let (endpoint, tls) = (&upstream.endpoints[turn], upstream.tls.as_ref());
        let socket = connect::socket(&self.connector, endpoint, tls).await?;
        if endpoint.tls && socket.protocol() != Some(b"h2") {
            return Err("the upstream does not speak HTTP/2".into());
        }
        let patience = upstream.timeouts.connect;
        let session = Session::begin(socket, (&self.deadlines, opening.queue()), patience).await?;
        Ok(opening.done(&session))
    }
}
