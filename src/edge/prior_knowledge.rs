//! HTTP/2 in plain text with prior knowledge (RFC 9113 §3.3): on a listener that speaks both versions, the first bytes of
//! a connection say which it is. What was read to find out is read once more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a connection in HTTP/2 begins with (RFC 9113 §3.4). No request of HTTP/1 does.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket whose first bytes were looked at.
#[derive(Debug)]
pub(super) struct LookedAt<T> {
    first: [u8; PREFACE.len()],
    /// Where what was not read once more begins and ends.
    unread: (usize, usize),
    socket: T,
}

/// Reads until it is plain whether the connection speaks HTTP/2: `true`. That may take as long as the peer likes: the
/// caller bounds it.
pub(super) async fn look_at<T: AsyncRead + Unpin>(mut socket: T) -> io::Result<(bool, LookedAt<T>)> {
    let (mut first, mut filled) = ([0; PREFACE.len()], 0);
    loop {
        let read = socket.read(&mut first[filled..]).await?;
        filled += read;
        let agrees = first[..filled] == PREFACE[..filled];
        if read == 0 || !agrees || filled == first.len() {
            let speaks = agrees && filled == first.len();
            return Ok((speaks, LookedAt { first, unread: (0, filled), socket }));
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LookedAt<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (start, end) = self.unread;
        if start == end {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let length = buffer.remaining().min(end - start);
        buffer.put_slice(&self.first[start..start + length]);
        self.unread.0 += length;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LookedAt<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
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
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_bytes_decide_and_none_is_lost() {
        for (bytes, expected) in [
            (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04"[..], true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", false),
            (b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", false),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n", false),
            (b"", false),
        ] {
            // In one piece, and byte by byte.
            let (speaks, mut socket) = look_at(bytes).await.expect("it can be read");
            let mut read = Vec::new();
            socket.read_to_end(&mut read).await.expect("it can be read");
            assert_eq!((speaks, &read[..]), (expected, bytes));
            let (mut ours, theirs) = tokio::io::duplex(1);
            // What is not looked at is not taken.
            let send = async move { tokio::io::AsyncWriteExt::write_all(&mut ours, bytes).await.unwrap_or_default() };
            let look = async { look_at(theirs).await.expect("it can be read").0 };
            assert_eq!(tokio::join!(send, look).1, expected);
        }
    }
}
