//! A budget for frames of HTTP/2 that carry nothing of a request (RFC 9113 §10.5): PING, SETTINGS, PRIORITY, `RST_STREAM`,
//! `WINDOW_UPDATE`, CONTINUATION, empty DATA, and whatever nobody knows. The library answers or ignores each of them, and
//! counts only some. So frames are counted in the bytes of the connection, by their headers alone; what is sent of answers
//! earns more of them, since honest callers move their windows with what they get.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::edge::stage::Stage;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
/// What a caller says before the first frame (RFC 9113 §3.4).
const PREFACE: u32 = 24;
/// A whole frame: streams up to the last one are still answered for, and the caller shall be calm (`ENHANCE_YOUR_CALM`).
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];
/// A window of the stream and one of the connection.
const EARNED: u32 = 2;
/// The most that is earned ahead.
const MOST_EARNED: u32 = 1 << 16;
/// Seconds for which the budget is saved up.
const SAVED: u32 = 5;

/// One frame, as its header has it (RFC 9113 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    /// Bytes that are not padding.
    length: u32,
}

impl Frame {
    /// Whether it carries something of a request or an answer.
    fn is_work(self) -> bool {
        match self.kind {
            DATA => self.length > 0 || self.flags & END_STREAM != 0,
            HEADERS => true,
            _ => false,
        }
    }
}

/// Walks over the frames of one direction, however the bytes are cut.
#[derive(Debug, Default)]
struct Walk {
    head: [u8; 9],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes to the next header.
    skip: u32,
    /// A frame of which one more byte must be seen: how much of it is padding.
    padded: Option<Frame>,
}

impl Walk {
    fn see(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        while let [first, rest @ ..] = bytes {
            if let Some(frame) = self.padded.take() {
                each(Frame { length: frame.length.saturating_sub(1 + u32::from(*first)), ..frame });
                (bytes, self.skip) = (rest, self.skip - 1);
            } else if self.skip > 0 {
                let skipped = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                bytes = &bytes[skipped..];
                self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
            } else {
                self.head[self.have] = *first;
                self.have += 1;
                bytes = rest;
                if self.have == self.head.len() {
                    self.begin(&mut each);
                }
            }
        }
    }

    fn begin(&mut self, each: &mut impl FnMut(Frame)) {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let frame = Frame { kind, flags, length };
        (self.have, self.skip) = (0, length);
        if kind == DATA && flags & PADDED != 0 && length > 0 {
            self.padded = Some(frame);
        } else {
            each(frame);
        }
    }

    fn is_between_frames(&self) -> bool {
        self.have == 0 && self.skip == 0
    }
}

/// What is left of a budget.
#[derive(Debug)]
struct Budget {
    rate: u32,
    saved: u32,
    earned: u32,
    since: Instant,
}

impl Budget {
    fn new(rate: u32, now: Instant) -> Self {
        Self { rate, saved: rate.saturating_mul(SAVED), earned: 0, since: now }
    }

    fn earn(&mut self) {
        self.earned = self.earned.saturating_add(EARNED).min(MOST_EARNED);
    }

    /// Spends one; `false`: there is none.
    fn spend(&mut self, now: Instant) -> bool {
        let purse = if self.earned > 0 { &mut self.earned } else { self.save(now) };
        let left = purse.checked_sub(1);
        *purse = left.unwrap_or(0);
        left.is_some()
    }

    fn save(&mut self, now: Instant) -> &mut u32 {
        let one = Duration::from_secs(1) / self.rate;
        let gained = now.saturating_duration_since(self.since).as_nanos() / one.as_nanos().max(1);
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        self.saved = self.saved.saturating_add(gained).min(self.rate.saturating_mul(SAVED));
        self.since = one.checked_mul(gained).and_then(|time| self.since.checked_add(time)).unwrap_or(now);
        &mut self.saved
    }
}

/// A socket in HTTP/2 that ends when its caller sends too many frames for nothing.
#[derive(Debug)]
pub(super) struct Budgeted<T> {
    socket: T,
    stage: Rc<Stage>,
    peer: SocketAddr,
    received: Walk,
    sent: Walk,
    budget: Budget,
    is_over: bool,
}

impl<T> Budgeted<T> {
    /// Counts on `socket`, before its first byte, what `peer` sends.
    pub(super) fn new(socket: T, stage: Rc<Stage>, peer: SocketAddr) -> Self {
        let budget = Budget::new(stage.limits().http2.control_frames, stage.now());
        let received = Walk { skip: PREFACE, ..Walk::default() };
        Self { socket, stage, peer, received, sent: Walk::default(), budget, is_over: false }
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let budget = &mut self.budget;
        self.sent.see(bytes, |frame| {
            if frame.is_work() {
                budget.earn();
            }
        });
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Budgeted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut own.socket).poll_read(context, buffer))?;
        let (budget, now, over) = (&mut own.budget, own.stage.now(), &mut own.is_over);
        own.received.see(&buffer.filled()[before..], |frame| {
            *over |= !frame.is_work() && !budget.spend(now);
        });
        if !own.is_over {
            return Poll::Ready(Ok(()));
        }
        tracing::info!(peer = %own.peer, "a connection was ended: too many frames that carry nothing of a request");
        if own.sent.is_between_frames() {
            // A courtesy: whether it arrives is of no matter.
            let _ = Pin::new(&mut own.socket).poll_write(context, &GOAWAY);
            let _ = Pin::new(&mut own.socket).poll_flush(context);
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Budgeted<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(context, bytes))?;
        self.wrote(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let part = slice.len().min(left);
            self.wrote(&slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[length[1], length[2], length[3], kind, flags, 0, 0, 0, 1][..], payload].concat()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes = [
            frame(6, 0, &[7; 8]),
            frame(DATA, 0, &[]),
            frame(DATA, END_STREAM, &[]),
            frame(DATA, 0, &vec![0; 70_000]),
            frame(DATA, PADDED, &[3, 0, 0, 0]),
            frame(DATA, PADDED, &[2, 1, 0, 0]),
            frame(DATA, PADDED, &[255, 0]),
            frame(DATA, PADDED, &[]),
            frame(HEADERS, PADDED, &[1, 2]),
            frame(9, 4, &[1]),
            frame(0xfa, 0, &[]),
        ];
        let expected = [false, false, true, true, false, true, false, false, true, false, false];
        for size in [1, 2, 7, 9, 10, 1000, 1_000_000] {
            let (mut walk, mut seen) = (Walk::default(), Vec::new());
            for piece in bytes.concat().chunks(size) {
                walk.see(piece, |frame| seen.push(frame.is_work()));
            }
            assert_eq!(seen, expected, "{size}");
            assert!(walk.is_between_frames());
        }
    }

    #[test]
    fn a_budget_is_saved_for_five_seconds_and_grows_with_what_is_sent() {
        let start = crate::clock::Clock::manual(crate::clock::UnixTime(0)).now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(3, start);
        let spent = |budget: &mut Budget, now| (0..1000).take_while(|_| budget.spend(now)).count();
        assert_eq!(spent(&mut budget, start), 15);
        assert_eq!(spent(&mut budget, after(1)), 3);
        assert_eq!(spent(&mut budget, after(60)), 15);
        (0..10).for_each(|_| budget.earn());
        assert_eq!(spent(&mut budget, after(60)), 20);
        assert_eq!(spent(&mut budget, after(50)), 0, "time does not run backward");
    }
}
