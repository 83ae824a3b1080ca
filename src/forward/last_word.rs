//! A socket whose other end may leave while we are still writing. An upstream that refuses a body early answers and
//! closes; the write that then fails must not drown the answer, which waits to be read. So the rest is written to
//! nobody, and what ended the connection is left for the reader to find out.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that is read to its end, even if it takes no more.
#[derive(Debug)]
pub(super) struct LastWord<T> {
    socket: T,
    left: bool,
    /// Whether it took a byte of what is being sent.
    took: bool,
}

impl<T> LastWord<T> {
    /// Nobody has left yet.
    pub(super) fn new(socket: T) -> Self {
        Self { socket, left: false, took: false }
    }

    /// Something new is sent from here on.
    pub(super) fn begin(&mut self) {
        self.took = false;
    }

    /// Whether the other end took a byte since the beginning.
    pub(super) fn took(&self) -> bool {
        self.took
    }

    /// Whether the other end took no byte since the beginning, and takes none any more.
    pub(super) fn took_nothing(&self) -> bool {
        self.left && !self.took
    }

    /// Passes on what became of a write of `length` bytes, unless the other end has left.
    fn written(&mut self, written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.left = true;
                Poll::Ready(Ok(length))
            }
            Poll::Ready(Ok(1..)) => {
                self.took = true;
                written
            }
            Poll::Ready(Err(_)) => {
                self.left = true;
                written
            }
            Poll::Ready(_) | Poll::Pending => written,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LastWord<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LastWord<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.left {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left { Poll::Ready(Ok(())) } else { Pin::new(&mut self.socket).poll_flush(context) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left { Poll::Ready(Ok(())) } else { Pin::new(&mut self.socket).poll_shutdown(context) }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.left {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.written(written, length)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_said_before_leaving_is_still_heard() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut other, _) = listener.accept().await.unwrap();
            let mut socket = LastWord::new(socket);
            socket.write_all(b"never read").await.unwrap();
            assert!(!socket.took_nothing());
            other.readable().await.unwrap();
            other.write_all(b"no").await.unwrap();
            // With bytes unread this is a reset, and every write fails from now on.
            drop(other);
            while !socket.left {
                socket.write_all(b"more").await.unwrap();
            }
            assert!(!socket.took_nothing(), "some of it was taken before");
            socket.begin();
            socket.write_all(b"again").await.unwrap();
            assert!(socket.took_nothing());
            socket.flush().await.unwrap();
            let mut heard = [0; 2];
            socket.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"no");
            assert!(!matches!(socket.read(&mut heard).await, Ok(1..)));
            socket.shutdown().await.unwrap();
        });
    }
}
