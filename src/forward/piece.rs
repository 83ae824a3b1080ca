//! A request's body piece by piece, as both clients send it upstream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Body as _;

use crate::forward::http1::Failure;
use crate::forward::outgoing::Outgoing;

/// The body did not come as a whole.
pub(super) const UPLOAD_FAILED: Failure = Failure::Sent("the request's body failed");

/// A piece of a body.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Data { data: Bytes, last: bool },
    End(HeaderMap),
}

impl Piece {
    /// The next one of a body, which is gone with its last; `None` where it was gone before.
    #[inline]
    pub(super) fn poll(body: &mut Option<Outgoing>, context: &mut Context<'_>) -> Poll<Result<Option<Self>, Failure>> {
        let Some(left) = body else { return Poll::Ready(Ok(None)) };
        let piece = match ready!(Pin::new(&mut *left).poll_frame(context)) {
            None => Self::End(HeaderMap::new()),
            Some(Err(_)) => return Poll::Ready(Err(UPLOAD_FAILED)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Self::Data { data, last: left.is_end_stream() },
                Err(frame) => Self::End(frame.into_trailers().unwrap_or_default()),
            },
        };
        if !matches!(piece, Self::Data { last: false, .. }) {
            *body = None;
        }
        Poll::Ready(Ok(Some(piece)))
    }
}
