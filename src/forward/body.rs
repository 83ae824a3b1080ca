//! Bodies in both directions: streams that pass through untouched, watched for peers that stop.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::deadline::{Deadline, Deadlines};
use crate::edge::connection::Connection;
use crate::edge::request_body::RequestBody;
use crate::edge::stage::InFlight;
use crate::forward::http1::Decoder;
use crate::forward::http2::Answer;
use crate::forward::pace::Pace;
use crate::forward::pool::Lent;
use crate::forward::tunnel::Opening;
use crate::forward::upload::Upload;
use crate::forward::{headers, leases};
use crate::limit::Lease;
use crate::refusal::Cause;

/// Why a body broke off; the text is for the log.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. It holds its request in flight until it ends, and whatever the request was lent.
#[derive(Debug)]
pub struct Body {
    // Given back first: whoever sees the upstream's connection end may come again.
    lease: Lease,
    content: Content,
    in_flight: Option<InFlight>,
    /// While the answer is on its way, its caller must stand.
    stream: Option<leases::Lease>,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Relayed(Relayed),
    /// Nothing in HTTP: what follows is a tunnel.
    Tunnel(Option<Box<Opening>>),
    /// The same in HTTP/2.
    InFrames(Box<Answer>),
}

impl Body {
    /// Bytes of the house.
    pub fn whole(bytes: Bytes) -> Self {
        Self {
            content: Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            in_flight: None,
            lease: Lease::default(),
            stream: None,
        }
    }

    /// An upstream's answer on its way through.
    pub(super) fn relayed(mut relayed: Relayed) -> Self {
        // Most answers are here already: then nobody has to wait for more, and the connection is free at once.
        let content = match relayed.whole() {
            Some(bytes) => Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            None => Content::Relayed(relayed),
        };
        Self { content, in_flight: None, lease: Lease::default(), stream: None }
    }

    /// The same in HTTP/2.
    pub(super) fn in_frames(answer: Box<Answer>) -> Self {
        Self { content: Content::InFrames(answer), in_flight: None, lease: Lease::default(), stream: None }
    }

    /// Keeps what the request was lent until this body has ended.
    pub fn leased(mut self, lease: Lease) -> Self {
        self.lease = lease;
        self
    }

    /// The beginning of a tunnel.
    pub(super) fn tunnel(opening: Opening) -> Self {
        Self { content: Content::Tunnel(Some(Box::new(opening))), ..Self::whole(Bytes::new()) }
    }

    /// Whether some of it is still to come from an upstream.
    pub fn is_streamed(&self) -> bool {
        matches!(self.content, Content::Relayed(_) | Content::InFrames(_) | Content::Tunnel(_))
    }

    /// Whether what follows is a tunnel.
    pub fn is_tunnel(&self) -> bool {
        matches!(self.content, Content::Tunnel(_))
    }

    /// Ends this body as soon as its caller would be let in no longer.
    pub fn watched(mut self, stream: leases::Lease) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Takes the body in and throws it away, up to `most` bytes and until `patience` fires; then its connection ends if
    /// the body has not. What it begins with is returned, up to `shown` bytes.
    pub async fn discard(mut self, most: usize, shown: usize, patience: &Deadline) -> Vec<u8> {
        let (mut beginning, mut length) = (Vec::new(), 0);
        while length <= most {
            let next = poll_fn(|context| match Pin::new(&mut self).poll_frame(context) {
                Poll::Pending => patience.poll(context).map(|()| None),
                ready @ Poll::Ready(_) => ready,
            });
            // Broken off or late is as good as ended: nothing more is learned from it.
            let Some(Ok(frame)) = next.await else { break };
            let Ok(data) = frame.into_data() else { break };
            length += data.len();
            beginning.extend_from_slice(&data[..data.len().min(shown - beginning.len())]);
        }
        beginning
    }

    /// Keeps the request in flight until this body has ended, or the tunnel that follows on its connection.
    pub fn holding(mut self, in_flight: InFlight, connection: &Rc<Connection>) -> Self {
        if let Content::Tunnel(opening) = &mut self.content {
            if let Some(opening) = opening.take() {
                opening.begin(in_flight, (mem::take(&mut self.lease), self.stream.take()), connection);
            }
            return self;
        }
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
        if let Some(stream) = &self.stream
            && stream.poll(context).is_ready()
        {
            return Poll::Ready(Some(Err("the caller would be let in no longer".into())));
        }
        let (polled, idle) = match &mut self.content {
            Content::Whole(bytes) => (Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))), Duration::ZERO),
            Content::Relayed(relayed) => (relayed.poll_frame(context), relayed.idle),
            Content::Tunnel(_) => return Poll::Ready(None),
            Content::InFrames(answer) => (answer.poll_frame(context), answer.idle),
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
            Content::Relayed(relayed) => relayed.decoder.is_ended(),
            Content::Tunnel(_) => true,
            Content::InFrames(answer) => answer.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Relayed(relayed) => relayed.decoder.left().map_or_else(SizeHint::new, SizeHint::with_exact),
            Content::Tunnel(_) => SizeHint::with_exact(0),
            Content::InFrames(answer) => answer.left().map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

/// An upstream's answer on its way through. When it has ended, its connection goes back to the pool; when it is dropped
/// before, the connection is closed with it.
#[derive(Debug)]
pub(super) struct Relayed {
    decoder: Decoder,
    lent: Option<Lent>,
    upload: Rc<Upload>,
    idle: Duration,
    waiting: bool,
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.upload.answer_ended();
        if let Some(lent) = self.lent.take() {
            lent.connection().borrow_mut().answer_ended(false);
        }
    }
}

impl Relayed {
    /// An answer whose head is here.
    pub(super) fn new(decoder: Decoder, lent: Lent, upload: Rc<Upload>, idle: Duration) -> Self {
        Self { decoder, lent: Some(lent), upload, idle, waiting: false }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Asked once more behind its end.
        let Some(lent) = &self.lent else { return Poll::Ready(None) };
        let Poll::Ready(frame) = lent.connection().borrow_mut().poll_body(context, &mut self.decoder) else {
            if !self.waiting {
                self.waiting = true;
                self.upload.await_piece(Some(self.idle));
            }
            return match self.upload.deadline.poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err("the upstream stopped in the middle of its answer".into()))),
                Poll::Pending => Poll::Pending,
            };
        };
        if self.waiting {
            self.waiting = false;
            self.upload.await_piece(None);
        }
        let last = match &frame {
            None => true,
            // Nobody asks again after trailers.
            Some(Ok(frame)) => frame.is_trailers() || self.decoder.is_ended(),
            Some(Err(_)) => false,
        };
        if last {
            self.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers).map_err(Into::into)))
    }

    /// The whole answer, if all of it is here; its connection is given back then.
    fn whole(&mut self) -> Option<Bytes> {
        let bytes = self.lent.as_ref()?.connection().borrow_mut().whole(&mut self.decoder)?;
        self.give_back();
        Some(bytes)
    }

    /// Gives the connection back, if both directions have ended on it.
    fn give_back(&mut self) {
        if let Some(lent) = self.lent.take() {
            lent.give_back(self.upload.ended.get());
        }
    }
}

/// Trailers are forwarded, but never what frames, routes or authenticates a message (RFC 9110 §6.5.1).
pub(super) fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
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

/// The body of a request, as it is handed over to be sent.
#[derive(Debug)]
pub enum Payload {
    /// As it comes from the caller.
    Streamed(RequestBody),
    /// Read to its end before.
    Whole(Bytes),
}

/// Up to here, a body is over before it matters who sends it, in bytes.
const SMALL: u64 = 64 << 10;

/// The body of a request on its way upstream.
#[derive(Debug)]
pub(super) struct Outgoing {
    source: Source,
    /// How long it is, where it was read to its end before.
    whole: Option<usize>,
    left: u64,
    upload: Rc<Upload>,
}

#[derive(Debug)]
enum Source {
    Streamed(RequestBody, Pace),
    Whole(Option<Bytes>),
}

impl Outgoing {
    /// Passes `body` on, up to `most` bytes; `piece` is how long the caller may take for each piece.
    pub(super) fn new(
        body: Payload,
        most: Option<u64>,
        upload: &Rc<Upload>,
        deadlines: &Rc<Deadlines>,
        piece: Duration,
        in_flight: &InFlight,
    ) -> Self {
        let whole = match &body {
            Payload::Streamed(_) => None,
            Payload::Whole(bytes) => Some(bytes.len()),
        };
        let source = match body {
            Payload::Streamed(body) if !body.is_end_stream() => {
                Source::Streamed(body, Pace::new(deadlines, piece, in_flight))
            }
            Payload::Streamed(_) => Source::Whole(None),
            Payload::Whole(bytes) => Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
        };
        // Nothing more is read of the caller for what is whole; and its only piece goes out along with the head.
        upload.ended.set(matches!(source, Source::Whole(_)));
        Self { source, whole, left: most.unwrap_or(u64::MAX), upload: Rc::clone(upload) }
    }

    /// The same as if it were passed on as it comes, and said to be as long as the caller says.
    pub(super) fn as_it_comes(self) -> Self {
        Self { whole: None, ..self }
    }

    /// The same body once more, if all of it is here and no larger than `most` bytes.
    pub(super) fn again(&self, most: usize) -> Option<Self> {
        let Source::Whole(bytes) = &self.source else { return None };
        let source = Source::Whole(bytes.clone());
        let small = bytes.as_ref().is_none_or(|bytes| bytes.len() <= most);
        small.then(|| Self { source, whole: self.whole, left: self.left, upload: Rc::clone(&self.upload) })
    }

    /// Whether much is still to come of it, or nobody knows how much.
    pub(super) fn is_large(&self) -> bool {
        matches!(self.source, Source::Streamed(..)) && self.size_hint().exact().is_none_or(|length| length > SMALL)
    }

    /// How long a body is that was read to its end before, which may be another than the caller said: something may have
    /// been taken out of it, to the last byte. `None` where there is none, or where it is passed on as it comes.
    pub(super) fn whole_length(&self) -> Option<usize> {
        self.whole
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { source, left, upload, .. } = &mut *self;
        let (body, pace) = match source {
            Source::Streamed(body, pace) => (body, pace),
            Source::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) else {
            upload.await_caller();
            // While the answer comes, both sides talk at once, and the caller may well have nothing to say just now.
            while pace.poll_late(context).is_ready() {
                if !upload.answering.get() {
                    return Poll::Ready(Some(Err(upload.fail(Cause::BodyTimeout))));
                }
                pace.go_on();
            }
            return Poll::Pending;
        };
        let Some(frame) = frame else {
            upload.ended.set(true);
            upload.moved();
            return Poll::Ready(None);
        };
        Poll::Ready(Some(frame.map_err(|_| upload.fail(Cause::MalformedBody)).and_then(|frame| {
            let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
            if !pace.keeps_up(length) && !upload.answering.get() {
                return Err(upload.fail(Cause::BodyTimeout));
            }
            *left = left.checked_sub(length).ok_or_else(|| upload.fail(Cause::BodyTooLarge))?;
            upload.ended.set(body.is_end_stream());
            upload.moved();
            Ok(without_forbidden_trailers(frame))
        })))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Streamed(body, _) => body.is_end_stream(),
            Source::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Streamed(body, _) => body.size_hint(),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
