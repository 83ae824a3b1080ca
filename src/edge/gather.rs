//! Small writes in one piece. A head and a short body come as two slices; copying them together costs less than the
//! vectored system call does, and over TLS it makes one record of them.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Up to here slices are copied together; beyond, they are written as they are.
const SMALL: usize = 4096;

thread_local! {
    /// Where a worker puts slices together: written from its beginning each time, never cleared.
    static PIECE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL));
}

/// A socket that gathers small writes.
#[derive(Debug)]
pub struct Gather<T>(pub T);

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return Pin::new(&mut self.0).poll_write(context, only);
        }
        if slices.iter().map(|slice| slice.len()).sum::<usize>() > SMALL {
            return Pin::new(&mut self.0).poll_write_vectored(context, slices);
        }
        PIECE.with_borrow_mut(|piece| {
            piece.clear();
            for slice in slices {
                piece.extend_from_slice(slice);
            }
            Pin::new(&mut self.0).poll_write(context, piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A socket that notes how it was written to.
    #[derive(Default)]
    struct Notes(Vec<(&'static str, usize)>);

    impl AsyncWrite for Notes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(("whole", bytes.len()));
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let length = slices.iter().map(|slice| slice.len()).sum();
            self.0.push(("vectored", length));
            Poll::Ready(Ok(length))
        }
    }

    #[test]
    fn small_slices_go_out_as_one_and_large_ones_as_they_are() {
        let large = vec![b'x'; SMALL];
        let cases: [(&[&[u8]], _); 4] = [
            (&[b"head", b"body"], ("whole", 8)),
            (&[b"head", &large], ("vectored", SMALL + 4)),
            (&[&large, b""], ("whole", SMALL)),
            (&[b"", b"only"], ("whole", 4)),
        ];
        let mut socket = Gather(Notes::default());
        for (slices, expected) in cases {
            let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut socket).poll_write_vectored(&mut context, &slices).is_ready());
            assert_eq!(socket.0.0.pop(), Some(expected));
        }
    }
}
