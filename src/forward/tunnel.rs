//! A tunnel: once an upstream has switched to WebSocket, bytes pass both ways as they are, as fast as the slower side takes
//! them. It ends with either side, when nothing has passed for a while, after a time that no tunnel outlasts, when its
//! caller would be let in no longer, and with the house; in all but the first case with a Close frame where one may
//! stand.

use std::future::poll_fn;
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, AsyncWrite, ReadBuf};

use crate::deadline::{Deadline, Deadlines};
use crate::edge::connection::Connection;
use crate::edge::stage::InFlight;
use crate::edge::upgrade::Duplex;
use crate::forward::journey::{End, Witnessed};
use crate::forward::leases;
use crate::forward::pool::Lent;
use crate::forward::websocket::{Code, Frames, close};
use crate::limit;

/// The most that is read at once; as much may wait to be written on either side.
const PIECE: usize = 16 * 1024;
/// How long a frame may take to come to its end once the tunnel has to close.
const LAST_FRAME: Duration = Duration::from_millis(200);
/// How long its caller may take to leave then.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// How long a tunnel may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// With nothing said on either side.
    pub idle: Duration,
    /// At all.
    pub lifetime: Duration,
}

/// A tunnel that begins once the caller has heard of it.
pub(super) struct Opening {
    upstream: Lent,
    /// How the caller's stream is had in HTTP/2; in HTTP/1.1 the connection hands its socket over.
    stream: Option<OnUpgrade>,
    terms: Terms,
    idle: Deadline,
    lifetime: Deadline,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl Opening {
    /// To an upstream that has switched.
    pub(super) fn new(upstream: Lent, stream: Option<OnUpgrade>, terms: Terms, deadlines: &Rc<Deadlines>) -> Self {
        Self { upstream, stream, terms, idle: deadlines.register(), lifetime: deadlines.register() }
    }

    /// Begins as soon as the answer was sent; what the request was lent, the tunnel has until its end.
    pub(super) fn begin(
        self,
        in_flight: InFlight,
        lent: (limit::Occupancy, Option<leases::Lease>),
        witnessed: Witnessed,
        connection: &Rc<Connection>,
    ) {
        in_flight.tunnels();
        let Self { upstream, stream, terms, idle, lifetime } = self;
        let home = Rc::clone(connection);
        let tunnel = move |caller, early: Bytes| {
            idle.arm(terms.idle);
            lifetime.arm(terms.lifetime);
            let passed = early.len() as u64;
            let up = Pipe { waiting: BytesMut::from(early), passed, ..Pipe::default() };
            let (down, frames) = (Pipe::default(), Frames::default());
            let (occupancy, standing) = lent;
            let (closing, waker) = (None, None);
            let (terms, upstream) = ((terms, idle, lifetime), Some(upstream));
            Tunnel {
                occupancy,
                standing,
                caller,
                upstream,
                up,
                down,
                frames,
                terms,
                closing,
                home,
                waker,
                in_flight,
                witnessed,
            }
        };
        match stream {
            None => {
                connection.tunnels.promise(Box::new(move |caller, early| Box::pin(tunnel(caller, early).run())));
            }
            Some(stream) => {
                tokio::task::spawn_local(async move {
                    // It fails where the stream was given up.
                    if let Ok(stream) = stream.await {
                        tunnel(Box::new(TokioIo::new(stream)), Bytes::new()).run().await;
                    }
                });
            }
        }
    }
}

/// A tunnel under way.
struct Tunnel {
    // Given back first, as in a body.
    #[expect(dead_code, reason = "held until the tunnel has ended")]
    occupancy: limit::Occupancy,
    standing: Option<leases::Lease>,
    caller: Box<dyn Duplex>,
    /// Until the last was said.
    upstream: Option<Lent>,
    up: Pipe,
    down: Pipe,
    /// Where what the caller was told stands between frames.
    frames: Frames,
    terms: (Terms, Deadline, Deadline),
    closing: Option<Closing>,
    home: Rc<Connection>,
    waker: Option<Waker>,
    #[expect(dead_code, reason = "held until the tunnel has ended")]
    in_flight: InFlight,
    witnessed: Witnessed,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// The frame under way is to be finished, and then this is to be said.
    Frame(Code),
    /// The last was said, and waits to be written.
    Said,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    /// What was read and not yet written.
    waiting: BytesMut,
    unflushed: bool,
    /// How many bytes came this way.
    passed: u64,
    /// Whether nothing more comes, and whether that was passed on.
    ended: bool,
    finished: bool,
}

impl Tunnel {
    async fn run(mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waker.is_none() {
            self.home.tunnels.wait(context.waker());
            self.waker = Some(context.waker().clone());
        }
        if self.closing.is_none()
            && let Some(code) = self.reason(context)
        {
            self.closing = Some(Closing::Frame(code));
            // What the caller still says is of no use to an upstream that is about to lose them.
            self.terms.2.arm(LAST_FRAME);
        }
        if self.closing.is_none() {
            if ready!(self.poll_both(context)).is_err() {
                // Either side has gone, and there is nobody to say anything to.
                return Poll::Ready(());
            }
            self.say_no_more();
        }
        match self.poll_close(context) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.terms.2.poll(context),
        }
    }

    /// The last was said, or waits to be written. The upstream is let go: the caller may take a while to leave.
    fn say_no_more(&mut self) {
        self.closing = Some(Closing::Said);
        self.upstream = None;
        self.terms.2.arm(LAST_BYTES);
    }

    /// Why the house ends it.
    fn reason(&self, context: &mut Context<'_>) -> Option<Code> {
        if self.standing.as_ref().is_some_and(|standing| standing.poll(context).is_ready()) {
            return Some(Code::PolicyViolation);
        }
        let (_, idle, lifetime) = &self.terms;
        let over = idle.poll(context).is_ready() | lifetime.poll(context).is_ready() | self.home.tunnels.is_leaving();
        over.then_some(Code::GoingAway)
    }

    /// Passes on what there is in both directions; ready when the tunnel has ended by itself.
    fn poll_both(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { caller, upstream, up, down, frames, terms, .. } = self;
        let Some(upstream) = upstream else { return Poll::Ready(Ok(())) };
        let upstream = &mut *upstream.connection().borrow_mut();
        let mut moved = false;
        let upward = up.poll(
            context,
            |context, space| Pin::new(&mut *caller).poll_read(context, space),
            (upstream.said_to(), &mut moved),
        );
        if let Poll::Ready(Err(error)) = upward {
            return Poll::Ready(Err(error));
        }
        let downward = loop {
            if down.ended {
                // What the upstream has ended is over: nobody is left to hear the caller.
                break down.poll_write(context, &mut **caller, &mut moved);
            }
            let polled = down.poll_step(
                context,
                |context, space| {
                    ready!(upstream.poll_said(context, space))?;
                    frames.pass(space.filled());
                    Poll::Ready(Ok(()))
                },
                (&mut **caller, &mut moved),
            );
            match polled {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if moved {
            terms.1.arm(terms.0.idle);
        }
        downward
    }

    /// Finishes the frame under way, says why, and ends the connection.
    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.down.poll_write(context, &mut *self.caller, &mut false))?;
            let (Some(Closing::Frame(code)), Some(upstream)) = (self.closing, &self.upstream) else {
                ready!(Pin::new(&mut *self.caller).poll_flush(context))?;
                return Pin::new(&mut *self.caller).poll_shutdown(context);
            };
            if self.frames.between() {
                if !self.frames.is_closed() {
                    self.down.waiting.extend_from_slice(&close(code));
                }
                self.say_no_more();
                continue;
            }
            let mut space = [const { MaybeUninit::uninit() }; PIECE];
            let mut space = ReadBuf::uninit(&mut space);
            ready!(upstream.connection().borrow_mut().poll_said(context, &mut space))?;
            if space.filled().is_empty() {
                // Broken off in the middle of a frame: nothing can be said there.
                self.say_no_more();
            }
            let length = self.frames.pass_to_end(space.filled());
            self.down.waiting.extend_from_slice(&space.filled()[..length]);
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.witnessed.received(self.up.passed);
        self.witnessed.passed(self.down.passed);
        // Whatever ends it, a tunnel is as long as it was.
        self.witnessed.ends(End::Complete);
        if let Some(waker) = self.waker.take() {
            self.home.tunnels.forget(&waker);
        }
    }
}

impl Pipe {
    /// Passes on all there is; ready with an error, or once the end was passed on.
    fn poll<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        mut read: impl FnMut(&mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
        (to, moved): (&mut W, &mut bool),
    ) -> Poll<io::Result<()>> {
        while ready!(self.poll_step(context, &mut read, (&mut *to, &mut *moved)))? {}
        Poll::Ready(Ok(()))
    }

    /// Passes on one piece; `false` once the end was.
    fn poll_step<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        read: impl FnOnce(&mut Context<'_>, &mut ReadBuf<'_>) -> Poll<io::Result<()>>,
        (to, moved): (&mut W, &mut bool),
    ) -> Poll<io::Result<bool>> {
        ready!(self.poll_write(context, &mut *to, moved))?;
        if self.ended {
            if !self.finished {
                ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                self.finished = true;
            }
            return Poll::Ready(Ok(false));
        }
        // On the stack: a tunnel in which nothing is said holds no memory for it.
        let mut space = [const { MaybeUninit::uninit() }; PIECE];
        let mut space = ReadBuf::uninit(&mut space);
        if read(context, &mut space)?.is_pending() {
            if mem::take(&mut self.unflushed) && Pin::new(&mut *to).poll_flush(context)?.is_pending() {
                self.unflushed = true;
            }
            return Poll::Pending;
        }
        *moved = true;
        let bytes = space.filled();
        self.passed += bytes.len() as u64;
        if bytes.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(true));
        }
        let written = match Pin::new(&mut *to).poll_write(context, bytes) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.unflushed |= written > 0;
        self.waiting.extend_from_slice(&bytes[written..]);
        Poll::Ready(Ok(true))
    }

    /// Writes what waits.
    fn poll_write<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut W,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(context, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
            (self.unflushed, *moved) = (true, true);
        }
        if self.waiting.capacity() > 0 {
            self.waiting = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}
