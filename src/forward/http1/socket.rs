//! The two kinds of socket towards an upstream, as one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::forward::last_word::LastWord;

/// A connected socket, with TLS or without.
#[derive(Debug)]
pub(in crate::forward) enum Socket {
    /// Plain text.
    Plain(LastWord<TcpStream>),
    /// TLS, boxed because a session is large and rare.
    Tls(Box<TlsStream<LastWord<TcpStream>>>),
}

impl Socket {
    /// A new request begins.
    pub(super) fn begin(&mut self) {
        self.transport().begin();
    }

    /// Whether the other end has taken no byte since the request began, and takes none any more.
    pub(super) fn took_nothing(&mut self) -> bool {
        self.transport().took_nothing()
    }

    /// Whether it has taken any.
    pub(super) fn took(&mut self) -> bool {
        self.transport().took()
    }

    /// The protocol that both ends agreed upon in the TLS handshake (ALPN).
    pub(in crate::forward) fn protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(socket) => socket.get_ref().1.alpn_protocol(),
        }
    }

    fn transport(&mut self) -> &mut LastWord<TcpStream> {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(socket) => socket.get_mut().0,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Self::Tls(socket) => Pin::new(socket).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
