//! One connection of HTTP/2, from its preface to its end, and the task that keeps it going.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};

use crate::deadline::{Deadline, Deadlines};
use crate::forward::body::BodyError;
use crate::forward::http1::Socket;
use crate::forward::http2::sessions::Queue;

/// What may wait of one answer for a caller who is slow to take it, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// For all answers together: no bound beside that of each, or callers who take nothing would hold up all others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// What may wait to be written of one request, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// All fields of an answer together, in bytes as HPACK counts them.
const HEAD: u32 = 64 * 1024;
/// The most requests at once on one connection, however many the upstream would take.
const MOST_STREAMS: usize = 1000;
/// A connection that has said nothing for so long is asked whether it is still there, along with the next request. Not
/// oftener: servers of gRPC take pings that nothing goes along with for an attack.
const QUIET: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct Session {
    sender: SendRequest<Bytes>,
    line: Rc<Line>,
    /// Requests that are on it.
    streams: Cell<usize>,
    /// When it was last used, or heard from.
    last: Cell<Instant>,
    deadlines: Rc<Deadlines>,
    /// Who waits for room.
    queue: Rc<Queue>,
}

/// What a connection and its task tell each other.
#[derive(Default)]
struct Line {
    task: RefCell<Option<Waker>>,
    /// Whether the other end shall be asked if it is there.
    ask: Cell<bool>,
    /// Whether it takes no more requests.
    over: Cell<bool>,
}

impl Session {
    /// Begins HTTP/2 on a socket, and waits until the other end has proven to speak it: so no request is lost to one that
    /// does not, and how many it takes at once is known before the first. Later, a ping that is not answered within
    /// `patience` ends the connection.
    pub(super) async fn begin(
        socket: Socket,
        (deadlines, queue): (&Rc<Deadlines>, &Rc<Queue>),
        patience: Duration,
    ) -> Result<Rc<Self>, BodyError> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(HEAD)
            .max_concurrent_reset_streams(100);
        let (sender, mut connection) = builder.handshake::<_, Bytes>(socket).await?;
        let mut pings = connection.ping_pong().expect("taken once");
        pings.send_ping(Ping::opaque())?;
        poll_fn(|context| match Pin::new(&mut connection).poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Err("it closes the connection at once".into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::from(error))),
            // Its settings come before whatever else it says (RFC 9113 §3.4).
            Poll::Pending => pings.poll_pong(context).map(|pong| pong.map(drop).map_err(BodyError::from)),
        })
        .await?;
        let line = Rc::new(Line::default());
        let watch = Watch { pings, deadline: deadlines.register(), patience, waiting: false };
        tokio::task::spawn_local(keep_going(connection, watch, Rc::clone(&line)));
        let (streams, last) = (Cell::new(0), Cell::new(deadlines.now()));
        let (deadlines, queue) = (Rc::clone(deadlines), Rc::clone(queue));
        Ok(Rc::new(Self { sender, line, streams, last, deadlines, queue }))
    }

    /// Whether it takes no more requests.
    pub(super) fn is_over(&self) -> bool {
        // After a GOAWAY, what is there goes on and nothing is added.
        let mut context = Context::from_waker(Waker::noop());
        self.line.over.get() || matches!(self.sender.clone().poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    /// How many requests are on it.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// How many requests the upstream takes at once.
    pub(super) fn room(&self) -> usize {
        self.sender.current_max_send_streams().min(MOST_STREAMS)
    }

    /// Since when nobody uses it; `None`: somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.last.get())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its task sees that nobody can send on it any more, and ends it.
        self.line.wake();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("streams", &self.streams.get()).finish_non_exhaustive()
    }
}

impl Line {
    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

/// A place on a connection, for one request; given back when the last copy is dropped.
#[derive(Clone, Debug)]
pub(super) struct Lent(Rc<Place>);

#[derive(Debug)]
struct Place(Rc<Session>);

impl Lent {
    /// Takes a place.
    pub(super) fn new(session: &Rc<Session>) -> Self {
        session.streams.set(session.streams.get() + 1);
        if session.deadlines.now().saturating_duration_since(session.last.get()) >= QUIET {
            session.line.ask.set(true);
            session.line.wake();
        }
        Self(Rc::new(Place(Rc::clone(session))))
    }

    /// What sends on it.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.0.0.sender.clone()
    }

    /// The other end was heard from.
    pub(super) fn heard(&self) {
        let session = &self.0.0;
        session.last.set(session.deadlines.now());
    }

    /// Lets nobody else on it; what is there goes on.
    pub(super) fn retire(&self) {
        self.0.0.line.over.set(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let session = &self.0;
        session.streams.set(session.streams.get() - 1);
        session.last.set(session.last.get().max(session.deadlines.now()));
        session.queue.wake();
    }
}

/// Asks whether the other end is there.
struct Watch {
    pings: PingPong,
    deadline: Deadline,
    patience: Duration,
    waiting: bool,
}

impl Watch {
    /// Ready once the other end is found to be gone.
    fn poll(&mut self, line: &Line, context: &mut Context<'_>) -> Poll<()> {
        if line.ask.take() && !self.waiting && self.pings.send_ping(Ping::opaque()).is_ok() {
            self.waiting = true;
            self.deadline.arm(self.patience);
        }
        if !self.waiting {
            return Poll::Pending;
        }
        if let Poll::Ready(pong) = self.pings.poll_pong(context) {
            self.waiting = false;
            self.deadline.disarm();
            // What went wrong is the connection's to say.
            return if pong.is_ok() { Poll::Pending } else { Poll::Ready(()) };
        }
        self.deadline.poll(context)
    }
}

/// Reads and writes a connection until it ends; then whatever waits on it learns of it.
async fn keep_going(mut connection: Connection<Socket, Bytes>, mut watch: Watch, line: Rc<Line>) {
    let ended = poll_fn(|context| {
        *line.task.borrow_mut() = Some(context.waker().clone());
        if watch.poll(&line, context).is_ready() {
            return Poll::Ready(Err("it does not answer a ping".into()));
        }
        Pin::new(&mut connection).poll(context).map_err(|error| error.to_string())
    });
    if let Err(error) = ended.await {
        tracing::debug!(error, "a connection to an upstream has ended");
    }
    line.over.set(true);
}
