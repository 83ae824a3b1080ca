//! The body of a request, as the edge hands it on, and what becomes of one that nobody reads to its end. In HTTP/2 a body
//! that is let go resets its stream right behind the answer, and a caller who meets the reset first loses the answer. So
//! the rest of a small one is taken in and thrown away, while the answer is on its way: frames say where it ends, so that
//! nothing of it is ever taken for a request. In HTTP/1 the connection closes instead, and lingers (`stage.rs`).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc::UnboundedSender;

use crate::deadline::Deadline;

/// The most that is taken in of what nobody reads, in bytes.
const MOST: usize = 64 * 1024;
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request. One in HTTP/2 that is dropped before its end goes to its worker, which takes in the rest.
#[derive(Debug)]
pub struct RequestBody {
    /// Until it is dropped.
    body: Option<Incoming>,
    /// Who takes in the rest.
    unread: Option<UnboundedSender<Incoming>>,
}

impl RequestBody {
    /// A body whose end nobody waits for.
    pub fn new(body: Incoming) -> Self {
        Self { body: Some(body), unread: None }
    }

    /// The body of a stream of HTTP/2. A caller who waits for a sign before sending it learns that there is none.
    pub fn of_stream(body: Incoming, fields: &HeaderMap, unread: &UnboundedSender<Incoming>) -> Self {
        let unread = (!body.is_end_stream() && !fields.contains_key(EXPECT)).then(|| unread.clone());
        Self { body: Some(body), unread }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (Some(body), Some(unread)) = (self.body.take(), self.unread.take()) else { return };
        // Of one that is too large all the same, nothing is taken in.
        if !body.is_end_stream() && body.size_hint().lower() <= MOST as u64 {
            // A worker that has ended waits for nobody.
            unread.send(body).ok();
        }
    }
}

/// Takes in what still comes of a body, and throws it away as it comes; beyond the bounds the stream is reset.
pub async fn take_in(mut body: Incoming, patience: Deadline) {
    patience.arm(PATIENCE);
    let mut taken = 0;
    while taken <= MOST {
        let next = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Pending => patience.poll(context).map(|()| None),
            ready @ Poll::Ready(_) => ready,
        });
        let Some(Ok(frame)) = next.await else { return };
        taken += frame.data_ref().map_or(0, Bytes::len);
    }
}
