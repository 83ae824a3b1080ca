//! The body of an answer on its way through, watched for an upstream that stops. The upstream may send on as the caller
//! takes.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::Response;
use http::header::CONTENT_LENGTH;
use hyper::body::Frame;

use crate::forward::body::{Body, BodyError, without_forbidden_trailers};
use crate::forward::door::Turn;
use crate::forward::http1::digits;
use crate::forward::http2::exchange::{Beside, Sending, go_on};
use crate::forward::http2::session::Lent;
use crate::forward::upload::{Patience, Upload};

/// An answer on its way through. Dropped before its end, its stream is reset.
pub(in crate::forward) struct Answer {
    stream: RecvStream,
    /// Until the end, with the request's place at the endpoint.
    lent: Option<(Lent, Turn)>,
    upload: Rc<Upload>,
    beside: Option<Rc<Beside>>,
    patience: Patience,
    /// Whether no more data comes.
    at_trailers: bool,
    /// How many bytes are left, where the upstream has said it.
    left: Option<u64>,
}

/// Hands the answer on; an upload that has not ended goes on beside it.
pub(super) fn relay(
    response: Response<RecvStream>,
    (lent, turn): (Lent, Turn),
    sending: Sending,
    upload: Rc<Upload>,
    idle: Duration,
) -> Response<Body> {
    upload.answered();
    let beside = (!sending.is_done()).then(|| {
        let beside = Rc::<Beside>::default();
        go_on(sending, Rc::clone(&beside), lent.clone());
        beside
    });
    let (parts, stream) = response.into_parts();
    // h2 has found all of them to be alike.
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| digits(length.as_bytes()));
    let (lent, patience) = (Some((lent, turn)), Patience::new(idle));
    let mut answer = Answer { stream, lent, upload, beside, patience, at_trailers: false, left: length };
    let mut relayed = Response::new(if answer.stream.is_end_stream() {
        answer.end();
        Body::whole(Bytes::new())
    } else {
        Body::in_frames(Box::new(answer))
    });
    *relayed.status_mut() = parts.status;
    *relayed.headers_mut() = parts.headers;
    relayed
}

impl Answer {
    /// The next piece.
    pub(in crate::forward) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Asked once more behind its end.
        let Some(lent) = self.lent.as_ref().map(|(lent, _)| lent.clone()) else { return Poll::Ready(None) };
        let Poll::Ready(piece) = self.poll_stream(context) else {
            return self.patience.wait(&self.upload, context).map(|error| Some(Err(error)));
        };
        lent.heard();
        self.patience.ended(&self.upload);
        // Nobody asks again after trailers, nor where nothing is left.
        let last = match &piece {
            None => true,
            Some(Ok(frame)) => frame.is_trailers() || self.stream.is_end_stream(),
            Some(Err(_)) => false,
        };
        if last {
            self.end();
        }
        Poll::Ready(piece.map(|piece| piece.map(without_forbidden_trailers).map_err(Into::into)))
    }

    fn poll_stream(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        while !self.at_trailers {
            match ready!(self.stream.poll_data(context)) {
                None => self.at_trailers = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // An empty piece is none, unless it is the last one.
                Some(Ok(data)) if data.is_empty() && !self.stream.is_end_stream() => {}
                Some(Ok(data)) => {
                    // The caller has room for it: so the upstream may send as much again.
                    if let Err(error) = self.stream.flow_control().release_capacity(data.len()) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
        Poll::Ready(
            ready!(self.stream.poll_trailers(context)).transpose().map(|trailers| trailers.map(Frame::trailers)),
        )
    }

    /// How long the upstream may take for each piece.
    pub(in crate::forward) fn idle(&self) -> Duration {
        self.patience.idle()
    }

    /// Whether it has ended.
    pub(in crate::forward) fn is_ended(&self) -> bool {
        self.lent.is_none()
    }

    /// How many bytes are left, where that is known.
    pub(in crate::forward) fn left(&self) -> Option<u64> {
        self.left
    }

    /// It has ended, and its upload may not have.
    fn end(&mut self) {
        self.upload.answer_ended();
        self.beside = None;
        self.lent = None;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.upload.answer_ended();
        if let Some(beside) = &self.beside {
            beside.give_up();
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("left", &self.left).finish_non_exhaustive()
    }
}
