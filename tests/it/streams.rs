//! A caller in HTTP/2: one connection with many streams, driven on a thread of its own so that a test can play the
//! upstream meanwhile.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::house::TestGateway;
use crate::patience::PATIENCE;
use crate::pki::Pki;

/// One connection.
pub struct Streams {
    runtime: Runtime,
    sender: SendRequest<Pieces>,
    conversation: JoinHandle<hyper::Result<()>>,
}

/// An answer that is awaited.
pub struct Awaited(JoinHandle<hyper::Result<Response<Incoming>>>);

/// A whole answer.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A body that is sent piece by piece.
pub struct Pieces(Option<Receiver<Frame<Bytes>>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(pieces) = &mut self.0 else { return Poll::Ready(None) };
        pieces.poll_recv(context).map(|piece| piece.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

impl Pieces {
    /// No body.
    pub fn none() -> Self {
        Self(None)
    }

    /// A body, and the end at which it is fed; it ends when that is dropped.
    pub fn fed() -> (Sender<Frame<Bytes>>, Self) {
        let (feed, pieces) = channel(16);
        (feed, Self(Some(pieces)))
    }
}

/// A GET for `https://localhost<target>`.
pub fn get(target: &str) -> Request<Pieces> {
    Request::get(format!("https://localhost{target}")).body(Pieces::none()).expect("a request")
}

impl Streams {
    /// Connects to the TLS listener `public`.
    pub fn connect(gateway: &TestGateway, pki: &Pki) -> Self {
        Self::connect_with(gateway, pki, &http2::Builder::new(TokioExecutor::new()))
    }

    /// The same with settings of its own.
    pub fn connect_with(gateway: &TestGateway, pki: &Pki, builder: &http2::Builder<TokioExecutor>) -> Self {
        Self::over(gateway.address("public"), "localhost", pki.client(&["h2"]), builder)
    }

    /// Connects anywhere, as `config` says.
    pub fn over(
        address: SocketAddr,
        name: &'static str,
        config: ClientConfig,
        builder: &http2::Builder<TokioExecutor>,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let config = Arc::new(config);
        let (sender, conversation) = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("the listener accepts");
            let name = ServerName::try_from(name).expect("a name");
            let stream = TlsConnector::from(config).connect(name, stream).await.expect("the handshake succeeds");
            builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2 begins")
        });
        let conversation = runtime.spawn(conversation);
        Self { runtime, sender, conversation }
    }

    /// Sends a request.
    pub fn send(&self, request: Request<Pieces>) -> Awaited {
        let mut sender = self.sender.clone();
        Awaited(self.runtime.spawn(async move { sender.send_request(request).await }))
    }

    /// Waits for the head of an answer.
    pub fn head(&self, awaited: Awaited) -> hyper::Result<Response<Incoming>> {
        self.wait(async { awaited.0.await.expect("nobody stopped it") })
    }

    /// Waits for a whole answer.
    pub fn whole(&self, awaited: Awaited) -> hyper::Result<Whole> {
        let (parts, body) = self.head(awaited)?.into_parts();
        let body = self.wait(body.collect())?;
        Ok(Whole { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
    }

    /// Asks and waits for the whole answer.
    pub fn ask(&self, request: Request<Pieces>) -> Whole {
        self.whole(self.send(request)).expect("an answer")
    }

    /// Feeds a piece of a body.
    pub fn feed(&self, feed: &Sender<Frame<Bytes>>, frame: Frame<Bytes>) {
        self.wait(feed.send(frame)).unwrap_or_default();
    }

    /// Waits for the next piece of an answer.
    pub fn piece(&self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        self.wait(body.frame())
    }

    /// Gives a stream up.
    pub fn reset(&self, awaited: Awaited) {
        awaited.0.abort();
        let outcome = self.wait(awaited.0);
        assert!(outcome.is_err_and(|error| error.is_cancelled()), "it was still awaited");
    }

    /// Waits until the connection has ended.
    pub fn ended(&mut self) {
        let Self { runtime, conversation, .. } = self;
        let ended = runtime.block_on(async { timeout(PATIENCE, conversation).await });
        let _ = ended.expect("the connection ends").expect("nobody stopped it");
    }

    /// Waits for something on the connection's own thread.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, future).await.expect("it happens") })
    }
}
