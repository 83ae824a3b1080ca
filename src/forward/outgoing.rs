//! The body of a request on its way upstream: watched for a caller who stops, bounded, and counted.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::deadline::Deadlines;
use crate::edge::request_body::RequestBody;
use crate::forward::body::{BodyError, without_forbidden_trailers};
use crate::forward::journey::Journey;
use crate::forward::pace::Pace;
use crate::forward::request::Passage;
use crate::forward::upload::Upload;
use crate::refusal::Cause;

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
    journey: Option<Rc<Journey>>,
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
        passage: &Passage<'_>,
    ) -> Self {
        let whole = match &body {
            Payload::Streamed(_) => None,
            Payload::Whole(bytes) => Some(bytes.len()),
        };
        let journey = passage.journey.clone();
        let source = match body {
            Payload::Streamed(body) if !body.is_end_stream() => {
                Source::Streamed(body, Pace::new(deadlines, piece, passage.in_flight))
            }
            Payload::Streamed(_) => Source::Whole(None),
            Payload::Whole(bytes) => Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
        };
        // Nothing more is read of the caller for what is whole; and its only piece goes out along with the head.
        upload.ended.set(matches!(source, Source::Whole(_)));
        if let (Some(journey), Some(length)) = (&journey, whole) {
            journey.take(length as u64);
        }
        Self { source, whole, left: most.unwrap_or(u64::MAX), upload: Rc::clone(upload), journey }
    }

    /// The same as if it were passed on as it comes, and said to be as long as the caller says.
    pub(super) fn unchanged(self) -> Self {
        Self { whole: None, ..self }
    }

    /// The same body once more, if all of it is here and no larger than `most` bytes.
    pub(super) fn again(&self, most: usize) -> Option<Self> {
        let Source::Whole(bytes) = &self.source else { return None };
        let source = Source::Whole(bytes.clone());
        let small = bytes.as_ref().is_none_or(|bytes| bytes.len() <= most);
        let (whole, left, upload, journey) = (self.whole, self.left, Rc::clone(&self.upload), self.journey.clone());
        small.then(|| Self { source, whole, left, upload, journey })
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
        let Self { source, left, upload, journey, .. } = &mut *self;
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
            if let Some(journey) = journey {
                journey.take(length);
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
