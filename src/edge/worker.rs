//! A worker: one thread, one runtime, and the connections that were handed to it. Nothing here is shared with another
//! worker, so nothing is locked.

mod boxes;
mod leave;
mod local;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::boxes::Shelf;
use self::leave::Leave;
use self::local::Local;
use crate::clock::Clock;
use crate::deadline::{BREATH, Deadlines, SWEEP};
use crate::edge::clear_http;
use crate::edge::connection::{Connection, ListenerId, Tls};
use crate::edge::control_frames::Budgeted;
use crate::edge::gather::Gather;
use crate::edge::guard;
use crate::edge::handshake::Handshake;
use crate::edge::http_versions::HttpVersions;
use crate::edge::listener::{Accepted, Listener};
use crate::edge::prior_knowledge;
use crate::edge::proxy_protocol::{self, Ends};
use crate::edge::request_body::{RequestBody, take_in};
use crate::edge::stage::{InFlight, Stage, Watched};
use crate::edge::tls::Keeper;

/// The smallest buffer that hyper takes for HTTP/1.
const LEAST_BUFFER: usize = 8 * 1024;
/// How many connections of a crowd are welcomed at once: those that are there already have their turn in between.
const AT_ONCE: u32 = 8;
/// What may wait to be written to an HTTP/2 stream.
const BUFFER: usize = 64 * 1024;

/// What answers requests, seen from the street.
pub trait Answer: 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static;
    /// What may be changed of it while it answers.
    type Change: 'static;

    /// Answers one request. Its head is boxed once, so that it is not copied from hand to hand.
    fn answer(
        self: Rc<Self>,
        parts: Box<Parts>,
        body: RequestBody,
        connection: Rc<Connection>,
        in_flight: InFlight,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + 'static;

    /// The listener that a connection came in by, as it is now. `None`: it is no more.
    fn listener(&self, id: ListenerId) -> Option<Arc<Listener>>;

    /// How long the connections of a listener may stay.
    fn stay(&self, id: ListenerId) -> Stay;

    /// Changes it, for every request that comes from now on.
    fn change(&self, change: Self::Change);

    /// A TLS handshake on this listener has ended.
    fn shaken(&self, _: ListenerId, _: Handshake) {}

    /// Called a few times a second, for what has to be tidied up; `lag` is how much later than wanted.
    fn sweep(&self, lag: Duration);
}

/// How long the connections of a listener may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// As long as they like.
    Open,
    /// They end with what is in flight on them, and at the latest after this time.
    Leave(Duration),
}

/// A worker's own state.
struct Worker<A> {
    answer: Rc<A>,
    clock: Clock,
    deadlines: Rc<Deadlines>,
    draining: Cell<bool>,
    /// Counts what was changed, so that each connection asks once whether it may stay.
    changes: Cell<u64>,
    /// Takes bodies whose rest nobody reads.
    unread: UnboundedSender<Incoming>,
    /// Where its answers come about.
    shelf: Shelf,
}

/// Serves arriving connections until there are no more and `drain` is called, and then until the last one has ended.
pub async fn serve<A: Answer>(
    (mut arrivals, mut changes): (UnboundedReceiver<Accepted>, UnboundedReceiver<A::Change>),
    answer: Rc<A>,
    clock: Clock,
    deadlines: Rc<Deadlines>,
    drain: CancellationToken,
) {
    let (unread, mut rests) = unbounded_channel();
    let (draining, none_yet, shelf) = (Cell::new(false), Cell::new(0), Shelf::default());
    let worker = Rc::new(Worker { answer, clock, deadlines, draining, changes: none_yet, unread, shelf });
    let connections = TaskTracker::new();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut breath = interval(BREATH);
    breath.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut open, mut welcomed) = (true, 0_u32);
    loop {
        tokio::select! {
            accepted = arrivals.recv(), if open => {
                if let Some(accepted) = accepted {
                    connections.spawn_local(drive(accepted, Rc::clone(&worker)));
                    welcomed = welcomed.wrapping_add(1);
                    if welcomed.is_multiple_of(AT_ONCE) {
                        yield_now().await;
                    }
                } else {
                    open = false;
                    connections.close();
                }
            }
            Some(change) = changes.recv() => {
                worker.answer.change(change);
                worker.changes.set(worker.changes.get() + 1);
                worker.deadlines.wake_all();
            }
            Some(rest) = rests.recv() => {
                connections.spawn_local(take_in(rest, worker.deadlines.register()));
            }
            due = sweep.tick() => {
                // By the runtime's clock: this is about the worker and not about the time. Where time is moved by hand, a
                // sweep has no hour to be late for.
                let lag = if worker.clock.manual_now().is_some() { Duration::ZERO } else { due.elapsed() };
                worker.deadlines.sweep();
                worker.answer.sweep(lag);
            }
            _ = breath.tick(), if worker.deadlines.is_behind() => worker.deadlines.wake_some(),
            () = drain.cancelled(), if !worker.draining.get() => {
                worker.draining.set(true);
                worker.deadlines.wake_all();
            }
            () = connections.wait(), if !open => return,
        }
    }
}

/// One connection, from the socket to its end.
async fn drive<A: Answer>(accepted: Accepted, worker: Rc<Worker<A>>) {
    let Accepted { stream, peer, listener: id, place: _place } = accepted;
    let (Ok(local), Ok(mut stream)) = (stream.local_addr(), TcpStream::from_std(stream)) else { return };
    let Some(listener) = worker.answer.listener(id) else { return };
    let stage = Stage::new(&worker.deadlines, listener.limits, listener.tls.is_some());
    let (peer, local) = if listener.expects_proxy_header(peer.ip()) {
        // Boxed, so that other connections do not carry the size of it.
        let Some(ends) = Box::pin(introduced(&mut stream, &listener, peer, &stage)).await else { return };
        ends.unwrap_or((peer, local))
    } else {
        (peer, local)
    };
    match &listener.tls {
        None => {
            let connection = Rc::new(Connection::new(peer, local, id, None));
            if listener.versions.two {
                Box::pin(serve_either(stream, listener.versions, connection, stage, &worker)).await;
            } else {
                serve_http1(stream, connection, stage, &worker).await;
            }
        }
        // Boxed, so that a plain connection does not carry the size of a TLS session.
        Some(keeper) => {
            // A copy of its own, so that answers of different workers share nothing that is written.
            let hsts = listener.hsts.as_ref().and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
            let settled = |tls| Connection { hsts, ..Connection::new(peer, local, id, Some(tls)) };
            Box::pin(serve_tls(stream, (id, keeper, listener.versions), settled, stage, &worker)).await;
        }
    }
}

/// The ends that a balancer says a connection has, in time for what comes behind it. `None`: it is closed.
async fn introduced(
    stream: &mut TcpStream,
    listener: &Listener,
    peer: SocketAddr,
    stage: &Stage,
) -> Option<Option<Ends>> {
    let mut reading = pin!(proxy_protocol::read(stream));
    let read = poll_fn(|context| match stage.poll_overstayed(context) {
        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        Poll::Pending => reading.as_mut().poll(context),
    });
    // Only the operator's own balancers come as far as this: what they do wrong is worth a warning.
    let warn = |error: &io::Error| tracing::warn!(listener = &*listener.name, %peer, %error, "no PROXY header");
    read.await.inspect_err(warn).ok()
}

async fn serve_tls<A: Answer>(
    stream: TcpStream,
    (id, keeper, versions): (ListenerId, &Arc<Keeper>, HttpVersions),
    settled: impl FnOnce(Tls) -> Connection,
    stage: Rc<Stage>,
    worker: &Rc<Worker<A>>,
) {
    // One and the same to the end of the handshake, whatever is read meanwhile.
    let acceptor = Arc::clone(&keeper.present());
    let mut handshake = pin!(clear_http::shake(stream, Arc::clone(&acceptor.config), Rc::clone(&stage)));
    let finished = poll_fn(|context| match stage.poll_overstayed(context) {
        Poll::Ready(()) => Poll::Ready(Err(Handshake::Late)),
        Poll::Pending => handshake.as_mut().poll(context).map(|result| result.map_err(|_| Handshake::Failed)),
    });
    let stream = match finished.await {
        Ok(stream) => stream,
        Err(ended) => return worker.answer.shaken(id, ended),
    };
    let (_, session) = stream.get_ref();
    worker.answer.shaken(id, Handshake::done(session.protocol_version()));
    let multiplexed = session.alpn_protocol() == Some(b"h2");
    let connection = Rc::new(settled(acceptor.settle(session, keeper, worker.clock.unix())));
    drop(acceptor);
    stage.await_head(multiplexed);
    if multiplexed {
        serve_http2(stream, connection, stage, worker).await;
    } else if versions.one {
        serve_http1(stream, connection, stage, worker).await;
    }
}

/// A plain connection on a listener that speaks HTTP/2 there: it begins with that, or with what else is spoken.
async fn serve_either<A: Answer>(
    stream: TcpStream,
    versions: HttpVersions,
    connection: Rc<Connection>,
    stage: Rc<Stage>,
    worker: &Rc<Worker<A>>,
) {
    if !versions.one {
        stage.share();
        return serve_http2(stream, connection, stage, worker).await;
    }
    let mut looking = pin!(prior_knowledge::look_at(stream));
    let looked = poll_fn(|context| match stage.poll_overstayed(context) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => looking.as_mut().poll(context).map(Result::ok),
    });
    let Some((multiplexed, stream)) = looked.await else { return };
    if multiplexed {
        stage.share();
        serve_http2(stream, connection, stage, worker).await;
    } else {
        serve_http1(stream, connection, stage, worker).await;
    }
}

async fn serve_http1<A: Answer, T: AsyncRead + AsyncWrite + Unpin + 'static>(
    socket: T,
    connection: Rc<Connection>,
    stage: Rc<Stage>,
    worker: &Rc<Worker<A>>,
) {
    let (service, id) = (service(worker, Rc::clone(&connection), &stage), connection.listener);
    let mut http = http1::Builder::new();
    // What is queued to a slow caller is bounded by it as well: no larger than a head may be.
    let head = stage.limits().head_bytes;
    http.max_buf_size(head.max(LEAST_BUFFER)).max_header_size(head);
    let mut conversation =
        http.serve_connection(TokioIo::new(Gather(Watched::new(socket, Rc::clone(&stage)))), service);
    let mut leave = Leave::new(id, &stage, worker);
    let outcome = poll_fn(|context| {
        if leave.is_last(worker, context) {
            Pin::new(&mut conversation).graceful_shutdown();
        }
        if leave.poll_over(context).is_ready() || stage.poll_overstayed(context).is_ready() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut conversation).poll(context) {
            Poll::Pending if leave.is_done() => Poll::Ready(None),
            polled @ (Poll::Ready(_) | Poll::Pending) => polled.map(Some),
        }
    });
    match outcome.await {
        // hyper has worded its refusal of bytes that are no request, and left: the peer shall read it.
        Some(Err(_)) => {
            let mut socket = conversation.into_parts().io.into_inner();
            poll_fn(|context| Pin::new(&mut socket).poll_shutdown(context)).await.ok();
        }
        Some(Ok(())) => {
            if let Some(sequel) = connection.tunnels.take() {
                let parts = conversation.into_parts();
                let tunnel = sequel(Box::new(parts.io.into_inner()), parts.read_buf);
                Box::pin(go_on(tunnel, &connection, (&stage, leave), worker)).await;
            }
        }
        None => {}
    }
}

/// What follows on a connection that has left HTTP behind.
async fn go_on<A: Answer>(
    mut tunnel: Pin<Box<dyn Future<Output = ()>>>,
    connection: &Connection,
    (stage, mut leave): (&Stage, Leave),
    worker: &Worker<A>,
) {
    poll_fn(|context| {
        if !connection.tunnels.is_leaving() && leave.ends_tunnels(worker) {
            connection.tunnels.leave();
        }
        if leave.poll_over(context).is_ready() || stage.poll_overstayed(context).is_ready() {
            return Poll::Ready(());
        }
        tunnel.as_mut().poll(context)
    })
    .await;
}

/// The worker's answers, as hyper asks for them.
fn service<A: Answer>(
    worker: &Worker<A>,
    connection: Rc<Connection>,
    stage: &Rc<Stage>,
) -> impl Service<Request<Incoming>, Response = Response<A::Body>, Error = Infallible, Future: 'static> + 'static {
    let (answer, unread) = (Rc::clone(&worker.answer), worker.unread.clone());
    let (stage, boxes) = (Rc::clone(stage), worker.shelf.boxes());
    service_fn(move |request: Request<Incoming>| {
        let (mut parts, body) = request.into_parts();
        let body = match parts.version {
            Version::HTTP_2 => {
                guard::read_extended_connect(&mut parts);
                RequestBody::of_stream(body, &parts.headers, &unread)
            }
            _ => RequestBody::new(body),
        };
        // hyper keeps room for the future as long as the connection lasts: boxed, it is there while there is a request.
        boxes.put(Rc::clone(&answer).answer(Box::new(parts), body, Rc::clone(&connection), stage.begin()))
    })
}

async fn serve_http2<A: Answer, T: AsyncRead + AsyncWrite + Unpin + 'static>(
    socket: T,
    connection: Rc<Connection>,
    stage: Rc<Stage>,
    worker: &Rc<Worker<A>>,
) {
    let (id, peer) = (connection.listener, connection.peer);
    let service = service(worker, Rc::clone(&connection), &stage);
    let mut http = http2::Builder::new(Local);
    let bounds = stage.limits().http2;
    http.max_concurrent_streams(bounds.streams)
        .max_header_list_size(u32::try_from(stage.limits().head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(bounds.pending_resets)
        .max_local_error_reset_streams(bounds.local_resets)
        .max_send_buf_size(BUFFER);
    if worker.answer.listener(id).is_some_and(|listener| listener.websocket) {
        http.enable_connect_protocol();
    }
    let socket = Budgeted::new(Watched::new(socket, Rc::clone(&stage)), Rc::clone(&stage), peer);
    let mut conversation = pin!(http.serve_connection(TokioIo::new(Gather(socket)), service));
    let mut leave = Leave::new(id, &stage, worker);
    let outcome = poll_fn(|context| {
        if leave.is_asked(worker, context) {
            conversation.as_mut().graceful_shutdown();
        }
        if !connection.tunnels.is_leaving() && leave.ends_tunnels(worker) {
            connection.tunnels.leave();
        }
        if leave.poll_over(context).is_ready() || stage.poll_overstayed(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        conversation.as_mut().poll(context)
    });
    outcome.await.ok();
}
