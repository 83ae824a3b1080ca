//! One request and the head of its answer, and a body on its way up.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Body as _;

use crate::forward::headers;
use crate::forward::http1::Failure;
use crate::forward::http2::session::Lent;
use crate::forward::leases::Lease;
use crate::forward::outgoing::Outgoing;
use crate::forward::piece::{Piece, UPLOAD_FAILED};
use crate::forward::request::Errand;
use crate::forward::upload::Upload;
use crate::refusal::Cause;

/// The most interim answers (1xx) to one request.
const INTERIM: usize = 100;

/// A request's body on its way.
pub(super) struct Sending {
    /// Until its end.
    body: Option<Outgoing>,
    upload: Rc<Upload>,
    /// Names that no trailer may have.
    withheld: Vec<HeaderName>,
    /// How much of it is still to come, where its length was said.
    length: Option<u64>,
    left: Option<u64>,
    /// Its first piece, for as long as that is all that was sent of it.
    first: Option<Piece>,
    /// Whether more than that was.
    beyond: bool,
    /// A piece that goes out once more.
    again: Option<Piece>,
    stream: Option<SendStream<Bytes>>,
    /// While a large body is on its way, its caller must stand.
    large: Option<Lease>,
}

impl Sending {
    /// Nothing sent yet.
    pub(super) fn new((body, large): (Outgoing, Option<Lease>), upload: &Rc<Upload>, errand: &Errand<'_>) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        let withheld = body.as_ref().map_or_else(Vec::new, |_| errand.withheld());
        let (length, upload) = (errand.length(), Rc::clone(upload));
        let (first, again, stream) = (None, None, None);
        Self { body, upload, withheld, length, left: length, first, beyond: false, again, stream, large }
    }

    /// Whether nothing of it would be lost if it were begun anew.
    pub(super) fn is_at_hand(&self) -> bool {
        !self.beyond
    }

    /// Whether nothing is left to be sent.
    pub(super) fn is_done(&self) -> bool {
        self.stream.is_none()
    }

    /// Whether there is nothing to be sent from the start.
    fn is_empty(&self) -> bool {
        self.body.is_none() && self.first.is_none()
    }

    fn begin(&mut self, stream: SendStream<Bytes>) {
        self.again = self.first.clone();
        self.left = self.length;
        self.stream = Some(stream).filter(|_| !self.is_empty());
    }

    /// The next piece of the body.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        if let Some(piece) = self.again.take() {
            return Poll::Ready(Ok(piece));
        }
        let Some(piece) = ready!(Piece::poll(&mut self.body, context))? else {
            return Poll::Ready(Ok(Piece::End(HeaderMap::new())));
        };
        self.beyond |= self.first.is_some();
        self.first = (!self.beyond).then(|| piece.clone());
        Poll::Ready(Ok(piece))
    }

    /// Hands a piece over; says whether it was the last one.
    fn put(&mut self, piece: Piece) -> Result<bool, Failure> {
        let Self { left, upload, withheld, stream, .. } = self;
        let Some(stream) = stream else { return Ok(true) };
        // Cut off, it cannot look whole to the upstream: its stream is reset.
        let mut other_length = || {
            upload.fail(Cause::MalformedBody);
            UPLOAD_FAILED
        };
        let (sent, last) = match piece {
            Piece::Data { data, last } => {
                if let Some(left) = left {
                    *left = left.checked_sub(data.len() as u64).ok_or_else(&mut other_length)?;
                }
                if last && left.is_some_and(|left| left > 0) {
                    return Err(other_length());
                }
                (stream.send_data(data, last), last)
            }
            Piece::End(_) if left.is_some_and(|left| left > 0) => return Err(other_length()),
            Piece::End(mut trailers) => {
                for own in withheld.iter() {
                    strip(&mut trailers, own);
                }
                let sent = if trailers.is_empty() {
                    stream.send_data(Bytes::new(), true)
                } else {
                    stream.send_trailers(trailers)
                };
                (sent, true)
            }
        };
        // A stream that takes no more was reset: its answer says why.
        Ok(last || sent.is_err())
    }

    /// Sends on; ready once nothing is left, or nothing more is wanted.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let sent = ready!(self.poll_sent(context));
        if let (Err(_), Some(stream)) = (&sent, &mut self.stream) {
            stream.send_reset(Reason::CANCEL);
        }
        (self.stream, self.large) = (None, None);
        Poll::Ready(sent)
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if let (Some(_), Some(large)) = (&self.stream, &self.large)
            && let Poll::Ready(lapse) = large.poll(context)
        {
            self.upload.fail(lapse.into());
            return Poll::Ready(Err(UPLOAD_FAILED));
        }
        loop {
            let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
            if stream.poll_reset(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            // Asked for only when there is room: so no more than one piece ever waits.
            stream.reserve_capacity(1);
            while stream.capacity() == 0 {
                if !matches!(ready!(stream.poll_capacity(context)), Some(Ok(_))) {
                    return Poll::Ready(Ok(()));
                }
            }
            let piece = ready!(self.poll_piece(context))?;
            if self.put(piece)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Gives the request up.
    pub(super) fn give_up(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.send_reset(Reason::CANCEL);
        }
    }
}

fn strip(trailers: &mut HeaderMap, own: &HeaderName) {
    let meant = |name: &&HeaderName| headers::is_one_of(name, std::slice::from_ref(own));
    while let Some(name) = trailers.keys().find(meant).cloned() {
        trailers.remove(name);
    }
}

/// Sends a request, and waits for the head of its answer.
pub(super) async fn attempt(
    lent: &Lent,
    request: Request<()>,
    sending: &mut Sending,
) -> Result<Response<RecvStream>, Failure> {
    let mut sender = lent.sender();
    let retire = |failure| {
        lent.retire();
        failure
    };
    let upload = Rc::clone(&sending.upload);
    upload.await_response();
    // A connection that takes no more requests says so before one is sent.
    poll_fn(|context| sender.poll_ready(context)).await.map_err(|_| retire(Failure::NeverSent))?;
    let sent = sender.send_request(request, sending.is_empty());
    let (mut response, stream) = sent.map_err(|_| retire(Failure::NeverSent))?;
    // It may have to wait until another one ends; till then it has not left.
    poll_fn(|context| match sender.poll_ready(context) {
        Poll::Ready(ready) => Poll::Ready(ready.map_err(|_| retire(Failure::NeverSent))),
        Poll::Pending => upload.deadline.poll(context).map(|()| Err(Failure::Late)),
    })
    .await?;
    sending.begin(stream);
    let mut interim = 0;
    poll_fn(|context| {
        if let Poll::Ready(Err(failure)) = sending.poll(context) {
            return Poll::Ready(Err(failure));
        }
        match poll_head(&mut response, &mut interim, context) {
            Poll::Ready(Ok(head)) => Poll::Ready(Ok(head)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(failure(error, lent))),
            Poll::Pending => upload.deadline.poll(context).map(|()| Err(Failure::Late)),
        }
    })
    .await
    .inspect(|_| lent.heard())
}

/// The head of the answer. `Err(None)`: so many interim answers that it is not waited for any longer.
fn poll_head(
    response: &mut ResponseFuture,
    interim: &mut usize,
    context: &mut Context<'_>,
) -> Poll<Result<Response<RecvStream>, Option<h2::Error>>> {
    while let Poll::Ready(Some(Ok(_))) = response.poll_informational(context) {
        *interim += 1;
        if *interim > INTERIM {
            return Poll::Ready(Err(None));
        }
    }
    Pin::new(response).poll(context).map_err(Some)
}

/// What an error says of the request. RFC 9113 §8.7: what lies beyond the last stream of a GOAWAY, and what was refused,
/// was not processed.
fn failure(error: Option<h2::Error>, lent: &Lent) -> Failure {
    let Some(error) = error else { return Failure::Sent("the upstream gives interim answers without end") };
    if error.is_go_away() && error.is_remote() {
        lent.retire();
        return Failure::NeverSent;
    }
    if error.is_reset() && error.is_remote() {
        return match error.reason() {
            Some(Reason::REFUSED_STREAM) => Failure::NeverSent,
            Some(_) | None => Failure::Sent("the upstream reset the stream"),
        };
    }
    if error.is_reset() {
        return Failure::Sent("the upstream's answer is malformed");
    }
    lent.retire();
    Failure::Sent("the connection to the upstream broke")
}

/// Who an upload and the answer that came before its end are to each other.
#[derive(Default)]
pub(super) struct Beside {
    given_up: Cell<bool>,
    uploader: RefCell<Option<Waker>>,
}

impl Beside {
    /// Nobody waits for the answer any more.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
        if let Some(waker) = self.uploader.take() {
            waker.wake();
        }
    }
}

/// Lets an upload go on that has outlasted the head of its answer, until it has ended, or the answer is given up, or the
/// upstream wants no more of it.
pub(super) fn go_on(mut sending: Sending, beside: Rc<Beside>, lent: Lent) {
    tokio::task::spawn_local(async move {
        poll_fn(|context| {
            *beside.uploader.borrow_mut() = Some(context.waker().clone());
            if beside.given_up.get() {
                sending.give_up();
                return Poll::Ready(());
            }
            // An upload that fails resets its stream, and so the answer learns of it.
            sending.poll(context).map(|_| ())
        })
        .await;
        drop(lent);
    });
}
