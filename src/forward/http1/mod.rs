//! HTTP/1.1 towards an upstream, driven by the task of the request that it serves: no task of its own, no channel, and no
//! copy of a body. hyper's client would do the same for a third of what a relayed request costs.
//!
//! A connection serves one request at a time. Its last answer must have ended where its framing says, with nothing behind
//! it: else it is not used again, since what follows would be taken for the next answer (threat B23).

mod decode;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod read;
#[cfg(any(test, fuzzing))]
mod script;
mod socket;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

pub(super) use self::decode::Decoder;
use self::decode::Step;
pub(super) use self::exchange::{Failure, Sending, attempt, go_on};
use self::read::Malformed;
pub(super) use self::read::{Expected, Head, digits};
pub(super) use self::socket::Socket;
use self::write::Outbox;
pub(super) use self::write::{Encoding, field, line};

/// How much is read at first; doubled whenever it was filled twice.
const FIRST: usize = 8 * 1024;
/// Large enough for a body to flow with few system calls, small enough for many streams at once.
const MOST: usize = 32 * 1024;

/// A connection to an upstream.
pub(super) struct Connection<T = Socket> {
    socket: T,
    /// What was read and not yet taken.
    input: BytesMut,
    /// How much room the next read has, and whether the last one filled as much.
    space: usize,
    filled: bool,
    /// How far `input` was searched for the end of a head.
    searched: usize,
    outbox: Outbox,
    /// Whether the answer leaves the connection open.
    keeps: bool,
    beside: Beside,
}

/// An upload that goes on in a task of its own, because its answer came early: who waits for whom.
#[derive(Default)]
struct Beside {
    going: bool,
    failed: bool,
    answer: Answering,
    uploader: Option<Waker>,
    reader: Option<Waker>,
}

/// Where the answer stands beside its upload.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Answering {
    #[default]
    Coming,
    /// It has ended, and the connection has not.
    Whole,
    /// Nobody waits for it, or it has ended with its connection.
    Over,
}

/// Why no head of an answer came.
#[derive(Debug, PartialEq, Eq)]
enum NoHead {
    Malformed(Malformed),
    Ended,
    Broken,
}

impl<T: AsyncRead + Unpin> Connection<T> {
    /// A connection that was just made.
    pub(super) fn new(socket: T) -> Self {
        let (input, outbox, beside) = (BytesMut::new(), Outbox::default(), Beside::default());
        Self { socket, input, space: FIRST, filled: false, searched: 0, outbox, keeps: false, beside }
    }

    /// Whether a connection that nobody uses is still good: an upstream that says anything there, be it only that it
    /// leaves, is not listened to again.
    pub(super) fn is_open(&mut self) -> bool {
        let mut space = [0];
        let mut context = Context::from_waker(Waker::noop());
        self.input.is_empty()
            && Pin::new(&mut self.socket).poll_read(&mut context, &mut ReadBuf::new(&mut space)).is_pending()
    }

    /// Whether the next request may go out on it, now that the answer has ended.
    pub(super) fn is_reusable(&self) -> bool {
        self.keeps && self.input.is_empty() && !self.beside.going && !self.beside.failed
    }

    /// Gives back memory that a large request or answer took.
    pub(super) fn rest(&mut self) {
        self.outbox.rest();
        if self.space > FIRST {
            (self.input, self.space, self.filled) = (BytesMut::new(), FIRST, false);
        }
    }

    /// Reads what there is; 0 is the end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.space);
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.socket.read_buf(&mut self.input)).poll(context))?;
        let full = read == room;
        if full && self.filled {
            self.space = (2 * self.space).min(MOST);
        }
        // Not at once: of an answer that nobody takes, the pieces that are read ahead would be larger each time.
        self.filled = full && !self.filled;
        Poll::Ready(Ok(read))
    }

    /// The head of the answer. `fields` is emptied for it.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        expected: Expected,
        fields: &mut HeaderMap,
    ) -> Poll<Result<Head, NoHead>> {
        let mut ended = false;
        loop {
            let more = self.searched < self.input.len();
            if more && (self.searched == 0 || read::may_be_complete(&self.input, self.searched)) || ended {
                fields.clear();
                if let Some(head) = read::head(&mut self.input, expected, fields).map_err(NoHead::Malformed)? {
                    self.searched = 0;
                    self.keeps = head.keeps;
                    return Poll::Ready(Ok(head));
                }
            }
            if ended {
                return Poll::Ready(Err(NoHead::Ended));
            }
            self.searched = self.input.len();
            ended = ready!(self.poll_fill(context)).map_err(|_| NoHead::Broken)? == 0;
        }
    }

    /// What an upstream says that has switched to another protocol; nothing is its end.
    pub(super) fn poll_said(&mut self, context: &mut Context<'_>, space: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, space);
        }
        let length = space.remaining().min(self.input.len());
        space.put_slice(&self.input.split_to(length));
        Poll::Ready(Ok(()))
    }

    /// What it is told.
    pub(super) fn said_to(&mut self) -> &mut T {
        &mut self.socket
    }

    /// The whole body of the answer, if it came with the head.
    pub(super) fn whole(&mut self, decoder: &mut Decoder) -> Option<Bytes> {
        decoder.whole(&mut self.input)
    }

    /// The next piece of the answer's body.
    pub(super) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        decoder: &mut Decoder,
    ) -> Poll<Option<Result<Frame<Bytes>, Malformed>>> {
        if self.beside.failed {
            return Poll::Ready(Some(Err("the request's body failed")));
        }
        loop {
            match decoder.decode(&mut self.input) {
                Ok(Step::Data(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Ok(Step::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Step::Ended) => return Poll::Ready(None),
                Ok(Step::More) => {}
                Err(malformed) => return Poll::Ready(Some(Err(malformed))),
            }
            match self.poll_fill(context) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(decoder.end_of_input().err().map(Err)),
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(decode::BROKE_OFF))),
                Poll::Pending => {
                    self.beside.reader = self.beside.going.then(|| context.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    /// The answer has ended, or nobody waits for it: what goes on beside it learns of it.
    pub(super) fn answer_ended(&mut self, whole: bool) {
        self.beside.answer = if whole && self.keeps { Answering::Whole } else { Answering::Over };
        if let Some(waker) = self.beside.uploader.take() {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("keeps", &self.keeps).finish_non_exhaustive()
    }
}
