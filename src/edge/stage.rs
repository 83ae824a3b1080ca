//! Where a connection stands (in a head, in a request, between two) and how long it may stay there. The socket is
//! wrapped so that bytes themselves move the stage: a peer that sends nothing is as bounded as one that sends slowly.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::deadline::{Deadline, Deadlines};
use crate::edge::listener::Limits;
use crate::edge::overload::Load;

/// What a connection that is closed with unread bytes still takes in, so that the peer reads our answer and not a reset.
const LINGER_BYTES: usize = 64 * 1024;
/// How long it does so.
const LINGER: Duration = Duration::from_secs(1);

/// What a head has left that is awaited when its connection is asked to leave: whoever was let in as the house closed has
/// sent it, or is about to.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// What is taken at once of a body that has only begun. hyper reserves for the next read what the last ones filled, and
/// keeps it for as long as nothing comes.
const PIECE: usize = 8 * 1024 - 1;
/// So much of a body, in bytes, and it is worth larger reads.
const BEGUN: usize = 128 * 1024;

thread_local! {
    /// Where a worker reads such pieces.
    static SPACE: RefCell<[u8; PIECE]> = const { RefCell::new([0; PIECE]) };
}

/// Requests that a connection may give up before they are answered, besides a tenth of those that it takes answers to.
const ABANDONED: u32 = 100;

/// The stage of one connection.
#[derive(Debug)]
pub struct Stage {
    deadline: Deadline,
    limits: Limits,
    /// Whether several requests share the connection (HTTP/2): then bytes between requests are not a head's.
    multiplexed: Cell<bool>,
    requests: Cell<u32>,
    /// What came while a request was in flight: its body.
    uploaded: Cell<usize>,
    answered: Cell<u32>,
    abandoned: Cell<u32>,
    between: Cell<bool>,
    stalled: Cell<bool>,
    ended: Cell<bool>,
}

impl Stage {
    /// A connection that was just accepted; a TLS handshake has its own deadline.
    pub fn new(deadlines: &Rc<Deadlines>, limits: Limits, tls: bool) -> Rc<Self> {
        let stage = Self {
            deadline: deadlines.register(),
            limits,
            multiplexed: Cell::new(false),
            requests: Cell::new(0),
            uploaded: Cell::new(0),
            answered: Cell::new(0),
            abandoned: Cell::new(0),
            between: Cell::new(false),
            stalled: Cell::new(false),
            ended: Cell::new(false),
        };
        stage.deadline.arm(if tls { limits.handshake } else { limits.head });
        Rc::new(stage)
    }

    /// The handshake is done; the head is awaited.
    pub fn await_head(&self, multiplexed: bool) {
        self.multiplexed.set(multiplexed);
        self.deadline.arm(self.limits.head);
    }

    /// A request's head is complete. It counts as in flight until the returned guard is dropped.
    pub fn begin(self: &Rc<Self>) -> InFlight {
        self.requests.set(self.requests.get() + 1);
        self.between.set(false);
        self.uploaded.set(0);
        if !self.stalled.get() {
            self.deadline.disarm();
        }
        // In HTTP/1 the socket itself stalls with the answer; a stream of HTTP/2 can stall while the socket takes bytes.
        let write = self.multiplexed.get().then(|| self.deadline.child());
        InFlight { write, stage: Rc::clone(self), answered: Cell::new(false), load: None }
    }

    /// A request, or its body, has ended.
    fn leave(&self) {
        self.requests.set(self.requests.get() - 1);
        if self.is_idle() {
            self.between.set(true);
            if !self.stalled.get() {
                self.deadline.arm(self.limits.idle);
            }
        }
    }

    /// Several requests share the connection.
    pub fn share(&self) {
        self.multiplexed.set(true);
    }

    /// The worker's coarse time.
    pub fn now(&self) -> Instant {
        self.deadline.now()
    }

    /// Whether no request is in flight.
    pub fn is_idle(&self) -> bool {
        self.requests.get() == 0
    }

    /// Whether all that was asked is answered and taken, and nothing of another request has come.
    pub fn is_between(&self) -> bool {
        self.between.get() && !self.stalled.get()
    }

    /// The connection has to leave. A head that is awaited, the first one or one that has begun, comes soon or not at all.
    pub fn hurry(&self) {
        if self.is_idle() && !self.between.get() {
            self.deadline.hasten(LAST_HEAD);
        }
    }

    /// What the listener bears.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Ready once the connection has overstayed.
    pub fn poll_overstayed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.deadline.poll(context)
    }

    /// Whether what comes is the beginning of a body.
    fn begins_a_body(&self) -> bool {
        !self.is_idle() && !self.multiplexed.get() && self.uploaded.get() < BEGUN
    }

    fn received(&self, bytes: usize) {
        self.uploaded.set(self.uploaded.get().saturating_add(bytes));
        if bytes == 0 {
            self.ended.set(true);
        } else if self.between.get() && !self.multiplexed.get() {
            self.between.set(false);
            self.deadline.arm(self.limits.head);
        }
    }

    /// A request has ended. Whoever gives up most of what they ask for costs the upstreams more than themselves.
    fn count(&self, answered: bool) {
        let counter = if answered { &self.answered } else { &self.abandoned };
        counter.set(counter.get().saturating_add(1));
        if self.abandoned.get() > (self.answered.get() / 10).saturating_add(ABANDONED) {
            self.deadline.fire();
        }
    }

    fn wrote(&self, taken: bool) {
        if taken == self.stalled.get() {
            self.stalled.set(!taken);
            if !taken {
                self.deadline.arm(self.limits.write);
            } else if self.is_idle() {
                self.deadline.arm(self.limits.idle);
            } else {
                self.deadline.disarm();
            }
        }
    }
}

/// A request in flight on a connection.
#[derive(Debug)]
pub struct InFlight {
    /// For a caller that takes nothing of the answer on its stream; it ends the connection.
    write: Option<Deadline>,
    stage: Rc<Stage>,
    answered: Cell<bool>,
    /// Its place among all requests of the worker.
    load: Option<Load>,
}

impl InFlight {
    /// It counts among the requests of its worker as well.
    pub fn bears(&mut self, load: Load) {
        self.load = Some(load);
    }

    /// The request has a body: it counts as in flight until that has ended as well.
    pub fn upload(&self) -> Uploading {
        self.stage.requests.set(self.stage.requests.get() + 1);
        Uploading(Rc::clone(&self.stage))
    }

    /// It is answered, and becomes a tunnel, which minds its own time.
    pub fn tunnels(&self) {
        self.answered.set(true);
    }

    /// What ends the connection at once, whatever is on its way.
    pub fn cutter(&self) -> Cutter {
        Cutter(Rc::clone(&self.stage))
    }

    /// A piece of the answer is on its way: the caller shall make room for the next one in time.
    pub fn awaits_caller(&self) {
        self.answered.set(true);
        if let Some(write) = &self.write {
            write.arm(self.stage.limits.write);
        }
    }

    /// The caller has made room, and the upstream has `idle` to put something there. The room may be gone again by then,
    /// and nobody would ask for the body any more: so the caller's time follows the upstream's.
    pub fn awaits_upstream(&self, idle: Duration) {
        if let Some(write) = &self.write {
            write.arm(idle.saturating_add(self.stage.limits.write));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.stage.count(self.answered.get());
        self.stage.leave();
    }
}

/// What ends a connection.
#[derive(Debug)]
pub struct Cutter(Rc<Stage>);

impl Cutter {
    /// Whether other requests are ended with it (HTTP/2).
    pub fn is_shared(&self) -> bool {
        self.0.multiplexed.get()
    }

    /// Ends the connection.
    pub fn cut(&self) {
        self.0.deadline.fire();
    }
}

/// A request's body on its way, which may last longer than the answer: what comes meanwhile is no new head.
#[derive(Debug)]
pub struct Uploading(Rc<Stage>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A socket whose bytes move the stage.
#[derive(Debug)]
pub struct Watched<T> {
    socket: T,
    stage: Rc<Stage>,
    lingering: Option<usize>,
}

impl<T> Watched<T> {
    /// Watches `socket`.
    pub fn new(socket: T, stage: Rc<Stage>) -> Self {
        Self { socket, stage, lingering: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = if self.stage.begins_a_body() {
            ready!(self.poll_read_piece(context, buffer))
        } else {
            ready!(Pin::new(&mut self.socket).poll_read(context, buffer))
        };
        self.stage.received(buffer.filled().len() - before);
        Poll::Ready(result)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.stage.wrote(result.is_ready());
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(context))?;
            self.lingering = Some(0);
            self.stage.deadline.arm(LINGER);
        }
        self.poll_linger(context).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.stage.wrote(result.is_ready());
        result
    }
}

impl<T: AsyncRead + Unpin> Watched<T> {
    fn poll_read_piece(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        SPACE.with_borrow_mut(|space| {
            let most = space.len().min(buffer.remaining());
            let mut piece = ReadBuf::new(&mut space[..most]);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut piece))?;
            buffer.put_slice(piece.filled());
            Poll::Ready(Ok(()))
        })
    }

    /// Takes in what the peer still sends after our end is closed: bounded in bytes and time. A socket closed with
    /// unread bytes would send a reset, and a reset can destroy the answer before the peer has read it.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        while !self.stage.ended.get() && self.lingering.is_some_and(|taken| taken < LINGER_BYTES) {
            if self.stage.poll_overstayed(context).is_ready() {
                break;
            }
            let mut buffer = ReadBuf::new(&mut space);
            if ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer)).is_err() {
                break;
            }
            let taken = buffer.filled().len();
            self.lingering = self.lingering.map(|before| before + taken);
            self.stage.ended.set(taken == 0);
        }
        Poll::Ready(())
    }
}
