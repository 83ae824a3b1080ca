//! Bodies in both directions: streams that pass through untouched, watched for peers that stop.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::deadline::Deadline;
use crate::edge::stage::InFlight;
use crate::forward::headers;
use crate::forward::pool::Lent;
use crate::refusal::Cause;

/// Why a body broke off; the text is for the log.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. It holds its request in flight until it ends.
#[derive(Debug)]
pub struct Body {
    content: Content,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Relayed(Relayed),
}

impl Body {
    /// Bytes of the house.
    pub fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())), in_flight: None }
    }

    /// An upstream's answer on its way through.
    pub(super) fn relayed(mut relayed: Relayed) -> Self {
        let content = if relayed.incoming.is_end_stream() {
            relayed.give_back();
            Content::Whole(None)
        } else {
            Content::Relayed(relayed)
        };
        Self { content, in_flight: None }
    }

    /// Keeps the request in flight until this body has ended.
    pub fn holding(mut self, in_flight: InFlight) -> Self {
        in_flight.awaits_caller();
        self.in_flight = Some(in_flight);
        self
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (polled, idle) = match &mut self.content {
            Content::Whole(bytes) => (Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))), Duration::ZERO),
            Content::Relayed(relayed) => (relayed.poll_frame(context), relayed.idle),
        };
        if let Some(in_flight) = &self.in_flight {
            match &polled {
                Poll::Ready(_) => in_flight.awaits_caller(),
                Poll::Pending => in_flight.awaits_upstream(idle),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Relayed(relayed) => relayed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Relayed(relayed) => relayed.incoming.size_hint(),
        }
    }
}

/// An upstream's answer on its way through. When it has ended, its connection goes back to the pool; when it is dropped
/// before, the connection is closed with it.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) incoming: Incoming,
    pub(super) lent: Option<Lent>,
    pub(super) upload: Rc<Upload>,
    pub(super) idle: Duration,
    pub(super) waiting: bool,
}

impl Relayed {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let deadline = &self.upload.deadline;
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
            if !self.waiting {
                self.waiting = true;
                deadline.arm(self.idle);
            }
            return match deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err("the upstream stopped in the middle of its answer".into()))),
                Poll::Pending => Poll::Pending,
            };
        };
        if self.waiting {
            self.waiting = false;
            deadline.disarm();
        }
        let last = match &frame {
            None => true,
            // Nobody asks again after trailers.
            Some(Ok(frame)) => frame.is_trailers() || self.incoming.is_end_stream(),
            Some(Err(_)) => false,
        };
        if last {
            self.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers).map_err(Into::into)))
    }

    /// Gives the connection back, if both directions have ended on it.
    fn give_back(&mut self) {
        if let Some(lent) = self.lent.take()
            && self.upload.ended.get()
        {
            lent.give_back();
        }
    }
}

/// Trailers are forwarded, but never what frames, routes or authenticates a message (RFC 9110 §6.5.1).
fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Err(frame) => frame,
        Ok(mut trailers) => {
            let forbidden: Vec<_> = trailers.keys().filter(|name| !headers::allowed_trailer(name)).cloned().collect();
            for name in forbidden {
                trailers.remove(name);
            }
            Frame::trailers(trailers)
        }
    }
}

/// How a request's body fares, seen by the two who wait: the sender for the head of the answer, the answer for its end.
pub(super) struct Upload {
    pub(super) deadline: Deadline,
    /// For the upstream's answer, counted from the last byte it was sent.
    response: Duration,
    /// For the caller's next piece.
    piece: Duration,
    waiting: Cell<bool>,
    answered: Cell<bool>,
    pub(super) ended: Cell<bool>,
    failed: Cell<Option<Cause>>,
}

impl Upload {
    /// Nothing sent yet.
    pub(super) fn new(deadline: Deadline, response: Duration, piece: Duration) -> Rc<Self> {
        let [waiting, answered, ended] = [(); 3].map(|()| Cell::new(false));
        Rc::new(Self { deadline, response, piece, waiting, answered, ended, failed: Cell::new(None) })
    }

    /// The upstream has the floor: it shall answer in time.
    pub(super) fn await_response(&self) {
        self.deadline.arm(self.response);
    }

    /// The head of the answer is here: from now on the deadline is the answer's.
    pub(super) fn answered(&self) {
        self.answered.set(true);
        self.deadline.disarm();
    }

    /// Why the request's body failed, if it did.
    pub(super) fn failure(&self) -> Option<Cause> {
        self.failed.get()
    }

    /// Whether it is the caller who is late.
    pub(super) fn waits_for_caller(&self) -> bool {
        self.waiting.get()
    }

    fn fail(&self, cause: Cause) -> BodyError {
        self.failed.set(Some(cause));
        cause.name().into()
    }

    fn moved(&self, ready: bool) {
        if !self.answered.get() && ready == self.waiting.get() {
            self.waiting.set(!ready);
            self.deadline.arm(if ready { self.response } else { self.piece });
        } else if ready && !self.answered.get() {
            self.deadline.arm(self.response);
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The body of a request on its way upstream.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Option<Incoming>,
    left: u64,
    upload: Rc<Upload>,
}

impl Outgoing {
    /// Passes `body` on, up to `most` bytes.
    pub(super) fn new(body: Incoming, most: Option<u64>, upload: &Rc<Upload>) -> Self {
        let body = Some(body).filter(|body| !body.is_end_stream());
        upload.ended.set(body.is_none());
        Self { body, left: most.unwrap_or(u64::MAX), upload: Rc::clone(upload) }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        this.upload.moved(polled.is_ready());
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        Poll::Ready(match frame {
            None => {
                this.upload.ended.set(true);
                None
            }
            Some(Err(_)) => Some(Err(this.upload.fail(Cause::MalformedBody))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
                let Some(left) = this.left.checked_sub(length) else {
                    return Poll::Ready(Some(Err(this.upload.fail(Cause::BodyTooLarge))));
                };
                this.left = left;
                this.upload.ended.set(body.is_end_stream());
                Some(Ok(without_forbidden_trailers(frame)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
