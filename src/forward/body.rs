//! The body of an answer: a stream that passes through untouched, watched for peers that stop.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::deadline::Deadline;
use crate::edge::connection::Connection;
use crate::edge::stage::InFlight;
use crate::forward::http1::Decoder;
use crate::forward::http2::Answer;
use crate::forward::journey::{End, Witness, Witnessed};
use crate::forward::pool::Lent;
use crate::forward::tunnel::Opening;
use crate::forward::upload::{Patience, Upload};
use crate::forward::{headers, leases};
use crate::limit::Occupancy;

/// Why a body broke off; the text is for the log.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. It holds its request in flight until it ends, and whatever the request was lent.
#[derive(Debug)]
pub struct Body {
    // Given back first: whoever sees the upstream's connection end may come again.
    occupancy: Occupancy,
    content: Content,
    in_flight: Option<InFlight>,
    /// While the answer is on its way, its caller must stand.
    stream: Option<leases::Lease>,
    /// Who is told how it goes on and ends.
    witnessed: Witnessed,
}

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    /// Boxed: most answers are here whole, and do not carry its size from hand to hand.
    Relayed(Box<Relayed>),
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
            occupancy: Occupancy::default(),
            stream: None,
            witnessed: Witnessed::default(),
        }
    }

    /// An upstream's answer on its way through.
    pub(super) fn relayed(mut relayed: Relayed) -> Self {
        // Most answers are here already: then nobody has to wait for more, and the connection is free at once.
        let content = match relayed.whole() {
            Some(bytes) => Content::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
            None => Content::Relayed(Box::new(relayed)),
        };
        Self { content, ..Self::whole(Bytes::new()) }
    }

    /// The same in HTTP/2.
    pub(super) fn in_frames(answer: Box<Answer>) -> Self {
        Self { content: Content::InFrames(answer), ..Self::whole(Bytes::new()) }
    }

    /// Keeps what the request was lent until this body has ended.
    pub fn occupy(&mut self, occupancy: Occupancy) {
        self.occupancy = occupancy;
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
    pub fn watch(&mut self, stream: leases::Lease) {
        self.stream = Some(stream);
    }

    /// Tells this one how it goes on and ends; for one that is on its way.
    pub fn tell(&mut self, witness: Box<dyn Witness>) {
        self.witnessed = Witnessed::by(witness);
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

    fn witness(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, BodyError>>>) {
        match polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.witnessed.ends(End::Complete),
            Poll::Ready(Some(Err(_))) => self.witnessed.ends(End::Broken),
            Poll::Ready(Some(Ok(frame))) => {
                self.witnessed.passed(frame.data_ref().map_or(0, Bytes::len) as u64);
                // Nobody asks again behind the last piece.
                if frame.is_trailers() || self.is_end_stream() {
                    self.witnessed.ends(End::Complete);
                }
            }
        }
    }

    /// Keeps the request in flight until this body has ended, or the tunnel that follows on its connection.
    pub fn hold(&mut self, in_flight: InFlight, connection: &Rc<Connection>) {
        if let Content::Tunnel(opening) = &mut self.content {
            if let Some(opening) = opening.take() {
                let lent = (mem::take(&mut self.occupancy), self.stream.take());
                opening.begin(in_flight, lent, mem::take(&mut self.witnessed), connection);
            }
            return;
        }
        in_flight.awaits_caller();
        self.in_flight = Some(in_flight);
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
            self.witnessed.ends(End::Broken);
            return Poll::Ready(Some(Err("the caller would be let in no longer".into())));
        }
        let (polled, idle) = match &mut self.content {
            Content::Whole(bytes) => (Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))), Duration::ZERO),
            Content::Relayed(relayed) => (relayed.poll_frame(context), relayed.patience.idle()),
            Content::Tunnel(_) => return Poll::Ready(None),
            Content::InFrames(answer) => (answer.poll_frame(context), answer.idle()),
        };
        if let Some(in_flight) = &self.in_flight {
            match &polled {
                Poll::Ready(_) => in_flight.awaits_caller(),
                Poll::Pending => in_flight.awaits_upstream(idle),
            }
        }
        if self.witnessed.is_seen() {
            self.witness(&polled);
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
    patience: Patience,
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
        Self { decoder, lent: Some(lent), upload, patience: Patience::new(idle) }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Asked once more behind its end.
        let Some(lent) = &self.lent else { return Poll::Ready(None) };
        let Poll::Ready(frame) = lent.connection().borrow_mut().poll_body(context, &mut self.decoder) else {
            return self.patience.wait(&self.upload, context).map(|error| Some(Err(error)));
        };
        self.patience.ended(&self.upload);
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
