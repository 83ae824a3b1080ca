//! An upstream in HTTP/2 that is played by hand: the test takes each request as it arrives, and answers it, or does not.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::patience::PATIENCE;
use crate::pki::Pki;

/// A listening upstream.
pub struct Framed {
    address: SocketAddr,
    runtime: Runtime,
    asked: Receiver<Asked>,
    ended: Receiver<usize>,
}

/// A request that has arrived.
pub struct Asked {
    pub request: Request<RecvStream>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
    respond: SendResponse<Bytes>,
    orders: UnboundedSender<(Order, Sender<()>)>,
}

/// What a connection shall do.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Take no more requests, and end those that are there.
    Leave,
    /// Say GOAWAY for all requests that it has not yet seen, and end.
    Abort(Reason),
    /// End without a word.
    Break,
    /// Read and write nothing more, and stay.
    Freeze,
}

impl Framed {
    /// Listens in clear.
    pub fn start() -> Self {
        Self::with(&Builder::new(), None)
    }

    /// The same with settings of its own, and with TLS where there is a configuration for it.
    pub fn with(builder: &Builder, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (arrivals, asked) = channel();
        let (endings, ended) = channel();
        let builder = builder.clone();
        runtime.spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (arrivals, endings, builder, tls) =
                    (arrivals.clone(), endings.clone(), builder.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, &builder, &arrivals).await,
                        Some(config) => match TlsAcceptor::from(config).accept(stream).await {
                            Ok(stream) => serve(stream, connection, &builder, &arrivals).await,
                            Err(_) => return,
                        },
                    }
                    endings.send(connection).unwrap_or_default();
                });
            }
        });
        Self { address, runtime, asked, ended }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request.
    pub fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("a request arrives")
    }

    /// Whether no request waits to be taken.
    pub fn is_left_alone(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// Waits until a connection has ended; says which one.
    pub fn ended(&self) -> usize {
        self.ended.recv_timeout(PATIENCE).expect("a connection ends")
    }

    /// Waits for something on the upstream's own thread.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(PATIENCE, future).await.expect("it happens") })
    }

    /// The next piece of a request's body; `None` at its end.
    pub fn piece(&self, asked: &mut Asked) -> Option<Result<Bytes, h2::Error>> {
        let body = asked.request.body_mut();
        loop {
            let piece = self.wait(body.data())?;
            // The end may come in an empty one.
            if !piece.as_ref().is_ok_and(Bytes::is_empty) {
                return Some(piece.inspect(|piece| body.flow_control().release_capacity(piece.len()).expect("taken")));
            }
        }
    }

    /// The trailers of a request.
    pub fn trailers(&self, asked: &mut Asked) -> Option<HeaderMap> {
        self.wait(asked.request.body_mut().trailers()).expect("the request is whole")
    }

    /// Waits until the gateway gives a request up that was not answered yet.
    pub fn given_up(&self, asked: &mut Asked) -> Reason {
        self.wait(std::future::poll_fn(|context| asked.respond.poll_reset(context))).expect("the connection goes on")
    }

    /// Waits until the gateway resets the stream.
    pub fn reset(&self, stream: &mut SendStream<Bytes>) -> Reason {
        self.wait(std::future::poll_fn(|context| stream.poll_reset(context))).expect("the connection goes on")
    }
}

impl Asked {
    /// The value of a field that stands at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.request.headers().get_all(name).iter();
        let first = values.next().map(|value| value.to_str().expect("it is text"));
        assert!(values.next().is_none(), "{name} stands more than once in {:?}", self.request);
        first
    }

    /// The path with its query.
    pub fn target(&self) -> &str {
        self.request.uri().path_and_query().expect("a target").as_str()
    }

    /// Answers with a status and fields; more follows.
    pub fn head(&mut self, status: u16, fields: &[(&str, &str)]) -> SendStream<Bytes> {
        self.respond.send_response(response(status, fields), false).expect("it is awaited")
    }

    /// Answers with nothing but a head.
    pub fn bare(&mut self, status: u16, fields: &[(&str, &str)]) {
        self.respond.send_response(response(status, fields), true).expect("it is awaited");
    }

    /// Answers with a body.
    pub fn answer(mut self, body: &str) {
        self.head(200, &[]).send_data(Bytes::copy_from_slice(body.as_bytes()), true).expect("it is awaited");
    }

    /// Says an interim answer; the gateway may have had enough.
    pub fn interim(&mut self) -> bool {
        let interim = Response::builder().status(103).body(()).expect("an answer");
        self.respond.send_informational(interim).is_ok()
    }

    /// Resets the stream.
    pub fn refuse(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Has its connection do something, and returns when that is done.
    pub fn order(&self, order: Order) {
        let (tell, told) = channel();
        self.orders.send((order, tell)).expect("the connection is there");
        told.recv_timeout(PATIENCE).expect("it is done");
    }
}

fn response(status: u16, fields: &[(&str, &str)]) -> Response<()> {
    let response = Response::builder().status(status);
    fields.iter().fold(response, |response, (name, value)| response.header(*name, *value)).body(()).expect("an answer")
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    builder: &Builder,
    arrivals: &Sender<Asked>,
) {
    let Ok(mut conversation) = builder.handshake::<_, Bytes>(stream).await else { return };
    let (orders, mut ordered) = unbounded_channel::<(Order, Sender<()>)>();
    loop {
        tokio::select! {
            order = ordered.recv() => {
                let (order, tell) = order.expect("a sender is kept");
                match order {
                    Order::Leave => conversation.graceful_shutdown(),
                    Order::Abort(reason) => conversation.abrupt_shutdown(reason),
                    Order::Break | Order::Freeze => {}
                }
                if let Order::Break = order {
                    drop(conversation);
                    return tell.send(()).unwrap_or_default();
                }
                tell.send(()).unwrap_or_default();
                if let Order::Freeze = order {
                    std::future::pending::<()>().await;
                }
            }
            asked = conversation.accept() => match asked {
                Some(Ok((request, respond))) => {
                    let asked = Asked { request, connection, respond, orders: orders.clone() };
                    arrivals.send(asked).unwrap_or_default();
                }
                Some(Err(_)) | None => return,
            },
        }
    }
}

/// What a server needs for TLS with the certificate `<file>` and this protocol.
pub fn server_config(pki: &Pki, file: &str, protocol: &[u8]) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let path = |end: &str| -> std::path::PathBuf { Path::new(pki.path()).join(format!("{file}.{end}")) };
    let chain = vec![CertificateDer::from_pem_file(path("pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(path("key")).expect("a key");
    let builder = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).expect("they fit each other");
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}
