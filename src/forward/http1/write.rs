//! What is on its way to an upstream: text that was put together here, and pieces of the caller's body behind it. Small
//! pieces join the text, so that a request leaves in one write; large ones are written as they are.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::AsyncWrite;

/// Up to here a piece is copied behind the text.
const SMALL: usize = 4096;
const LINE_END: &[u8] = b"\r\n";

/// What waits to be written on one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    text: Vec<u8>,
    written: usize,
    /// A piece of a body behind the text.
    large: Bytes,
    /// What ends it.
    end: &'static [u8],
    /// Whether the socket holds back what it took.
    unflushed: bool,
}

impl Outbox {
    /// Where a head is put together. What an earlier request has left behind is gone.
    pub(super) fn begin(&mut self) -> &mut Vec<u8> {
        *self = Self { text: std::mem::take(&mut self.text), ..Self::default() };
        self.text.clear();
        &mut self.text
    }

    /// Nothing is written for a while.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() > 2 * SMALL {
            self.text = Vec::new();
        }
    }

    /// Puts a piece of a body behind what waits; `end` follows it. There is no large piece waiting.
    fn put(&mut self, piece: Bytes, end: &'static [u8]) {
        if piece.len() <= SMALL {
            self.text.extend_from_slice(&piece);
            self.text.extend_from_slice(end);
        } else {
            (self.large, self.end) = (piece, end);
        }
    }

    /// Writes what waits; ready once the socket has passed all of it on.
    pub(super) fn poll_flush<T: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut T,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let text = &self.text[self.written..];
            let mut socket = Pin::new(&mut *socket);
            let taken = if self.large.is_empty() && self.end.is_empty() {
                if text.is_empty() {
                    break;
                }
                ready!(socket.as_mut().poll_write(context, text))?
            } else {
                let slices = [text, &self.large, self.end].map(IoSlice::new);
                ready!(socket.as_mut().poll_write_vectored(context, &slices))?
            };
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.take(taken);
        }
        if self.unflushed {
            ready!(Pin::new(socket).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// So many bytes were written.
    fn take(&mut self, taken: usize) {
        let text = taken.min(self.text.len() - self.written);
        self.written += text;
        let large = (taken - text).min(self.large.len());
        self.large.advance(large);
        self.end = &self.end[taken - text - large..];
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
    }
}

/// Appends a field line. Neither name nor value can hold a line end: their types do not let one in.
pub(in crate::forward) fn field(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    line(text, name.as_str(), value.as_bytes());
}

/// The same for a value that is known to be one.
pub(in crate::forward) fn line(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(LINE_END);
}

/// How the body of a request is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::forward) enum Encoding {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks, and behind them fields of these names.
    Chunked(Vec<HeaderName>),
}

/// The body is not as long as its head has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherLength;

impl Encoding {
    /// Puts a piece into `outbox`.
    pub(super) fn data(&mut self, piece: Bytes, outbox: &mut Outbox) -> Result<(), OtherLength> {
        if piece.is_empty() {
            return Ok(());
        }
        match self {
            Self::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(OtherLength)?;
                outbox.put(piece, b"");
            }
            Self::Chunked(_) => {
                write!(outbox.text, "{:x}\r\n", piece.len()).expect("memory takes every write");
                outbox.put(piece, LINE_END);
            }
        }
        Ok(())
    }

    /// Puts the end of the body into `outbox`, with trailers if the head has announced them.
    pub(super) fn end(&mut self, trailers: &HeaderMap, outbox: &mut Outbox) -> Result<(), OtherLength> {
        match self {
            Self::Length(0) => {}
            Self::Length(_) => return Err(OtherLength),
            Self::Chunked(announced) => {
                // A large piece is written after the text: the end must not overtake it.
                if outbox.large.is_empty() {
                    outbox.text.extend_from_slice(b"0\r\n");
                    for (name, value) in trailers.iter().filter(|(name, _)| announced.contains(name)) {
                        field(&mut outbox.text, name, value);
                    }
                    outbox.text.extend_from_slice(LINE_END);
                } else {
                    outbox.end = b"\r\n0\r\n\r\n";
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A socket that takes a few bytes at a time.
    struct Narrow {
        taken: Vec<u8>,
        most: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let length = bytes.len().min(self.most);
            self.taken.extend_from_slice(&bytes[..length]);
            Poll::Ready(Ok(length))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.poll_write(context, &whole)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn sent(encoding: &Encoding, pieces: &[&[u8]], most: usize) -> Result<Vec<u8>, OtherLength> {
        let (mut outbox, mut encoding) = (Outbox::default(), encoding.clone());
        let mut socket = Narrow { taken: Vec::new(), most };
        let mut context = Context::from_waker(Waker::noop());
        outbox.begin().extend_from_slice(b"head ");
        for (place, piece) in pieces.iter().enumerate() {
            encoding.data(Bytes::copy_from_slice(piece), &mut outbox)?;
            if place + 1 == pieces.len() {
                encoding.end(&HeaderMap::new(), &mut outbox)?;
            }
            assert!(matches!(outbox.poll_flush(&mut socket, &mut context), Poll::Ready(Ok(()))));
        }
        Ok(socket.taken)
    }

    #[test]
    fn a_body_arrives_in_its_framing_however_little_is_taken_at_once() {
        let large = vec![b'x'; SMALL + 1];
        let chunk = [b"1001\r\n", &large[..], b"\r\n"].concat();
        for most in [1, 2, 3, 7, SMALL, 1 << 20] {
            let chunked = |pieces: &[&[u8]]| sent(&Encoding::Chunked(Vec::new()), pieces, most).unwrap();
            assert_eq!(chunked(&[b"hello", b"", b"abc"]), b"head 5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n");
            assert_eq!(chunked(&[b"a", &large]), [b"head 1\r\na\r\n", &chunk[..], b"0\r\n\r\n"].concat());
            assert_eq!(chunked(&[&large, b"a"]), [b"head ", &chunk[..], b"1\r\na\r\n0\r\n\r\n"].concat());
            let length = Encoding::Length(SMALL as u64 + 6);
            assert_eq!(sent(&length, &[b"hello", &large], most).unwrap(), [b"head hello", &large[..]].concat());
        }
    }

    #[test]
    fn a_body_of_another_length_than_was_said_is_none() {
        for pieces in [&[&b"four"[..]][..], &[b"sixsix"], &[b"five5", b"6"], &[b""]] {
            assert_eq!(sent(&Encoding::Length(5), pieces, 9), Err(OtherLength));
        }
    }

    #[test]
    fn only_announced_trailers_follow_and_no_value_can_break_a_line() {
        let mut outbox = Outbox::default();
        let [sum, other] = ["x-sum", "x-other"].map(HeaderName::from_static);
        let mut trailers = HeaderMap::new();
        trailers.append(&sum, HeaderValue::from_static("a"));
        trailers.append(other, HeaderValue::from_static("b"));
        trailers.append(&sum, HeaderValue::from_static("c"));
        outbox.begin();
        Encoding::Chunked(vec![sum]).end(&trailers, &mut outbox).unwrap();
        assert_eq!(outbox.text, b"0\r\nx-sum: a\r\nx-sum: c\r\n\r\n");
        // What `field` relies on.
        for evil in ["a\rb", "a\nb", "a\r\nb: c", "a\0b"] {
            assert!(
                HeaderValue::from_bytes(evil.as_bytes()).is_err() && HeaderName::from_bytes(evil.as_bytes()).is_err()
            );
            assert!(HeaderValue::from_maybe_shared(Bytes::from(evil)).is_err());
        }
        assert!(HeaderName::from_bytes(b"a: b").is_err());
    }
}
