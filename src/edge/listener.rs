//! A listener: what the configuration says of it, and the acceptor that hands its sockets to the least loaded worker.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::edge::connection::ListenerId;
use crate::edge::decide::Decide;
use crate::edge::http_versions::{Http2, HttpVersions};
use crate::units::Network;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// One `[listener.<name>]`, as meant.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: Box<str>,
    /// Where it binds.
    pub address: SocketAddr,
    /// TLS; `None` is plain text.
    pub tls: Option<Arc<crate::edge::tls::Keeper>>,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// From where every connection begins with a PROXY header.
    pub proxy_protocol: Vec<Network>,
    /// What is spoken there.
    pub versions: HttpVersions,
    /// What answers over TLS say of it to browsers (`Strict-Transport-Security`, RFC 6797).
    pub hsts: Option<HeaderValue>,
    /// Whether a route of it lets WebSocket through, so that callers in HTTP/2 may ask for it.
    pub websocket: bool,
    /// How it decides for other proxies, where it does that and nothing else.
    pub decide: Option<Box<Decide>>,
}

impl Listener {
    /// Whether it binds where the other one does, whatever the two are called. Of port 0, nobody knows where that is.
    pub fn is_at(&self, other: &Self) -> bool {
        self.address == other.address && self.address.port() != 0
    }

    /// Whether a connection from this address must begin with a PROXY header.
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_protocol.iter().any(|network| network.contains(peer))
    }
}

/// What a listener bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a request's head, from the first byte or from the start of the connection.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// For a peer that takes nothing of what is written to it.
    pub write: Duration,
    /// For a connection, until it is asked to leave with what is in flight on it.
    pub age: Option<Duration>,
    /// What it bears of HTTP/2.
    pub http2: Http2,
    /// Connections at once.
    pub connections: usize,
    /// The largest head, in bytes.
    pub head_bytes: usize,
    /// The longest target, in bytes.
    pub target_bytes: usize,
}

/// How many connections a listener has at once.
pub fn cap(connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)))
}

/// Binds a listening socket; port 0 takes any free one.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// An accepted socket on its way to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not registered with any runtime.
    pub stream: std::net::TcpStream,
    /// The other end.
    pub peer: SocketAddr,
    /// Where it came in.
    pub listener: ListenerId,
    /// Its place under the listener's cap, and in its worker's count; given back when dropped.
    pub place: Place,
}

/// A connection's place under its listener's cap and, once it is seated, in its worker's count.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    live: Option<Arc<AtomicUsize>>,
}

impl Place {
    fn take(&mut self, seat: &Seat) {
        self.leave();
        seat.live.fetch_add(1, Ordering::Relaxed);
        self.live = Some(Arc::clone(&seat.live));
    }

    fn leave(&mut self) {
        if let Some(live) = self.live.take() {
            live.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A worker, seen from an acceptor.
#[derive(Clone, Debug)]
pub struct Seat {
    arrivals: UnboundedSender<Accepted>,
    live: Arc<AtomicUsize>,
}

impl Seat {
    /// A worker that takes sockets from the other end of `arrivals`.
    pub fn new(arrivals: UnboundedSender<Accepted>) -> Self {
        Self { arrivals, live: Arc::default() }
    }

    /// How many connections the worker has, as it changes. It does not keep the worker from ending, as a seat does.
    pub fn live(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.live)
    }
}

/// Accepts until `stop`, and hands each socket to the worker with the fewest. Video connections are few and long, so
/// chance alone would place them badly.
pub async fn accept(
    sockets: TcpListener,
    id: ListenerId,
    cap: Arc<Semaphore>,
    mut seats: Vec<Seat>,
    stop: CancellationToken,
) {
    let mut next = 0;
    loop {
        // When the house is full, new connections wait in the kernel's queue.
        let permit = tokio::select! {
            permit = Arc::clone(&cap).acquire_owned() => permit.expect("the semaphore is never closed"),
            () = stop.cancelled() => return,
        };
        let (stream, peer) = tokio::select! {
            accepted = sockets.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_if_exhausted(&error).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        // Answers are written whole; waiting to fill a segment would only delay them.
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { continue };
        next = (next + 1) % seats.len();
        let place = Place { _permit: permit, live: None };
        hand_over(Accepted { stream, peer, listener: id, place }, &mut seats, next);
        if seats.is_empty() {
            // Whoever looks after the house shall see its door shut.
            tracing::error!("no worker is left: nothing is accepted any more");
            return;
        }
    }
}

/// Hands a socket to the worker with the fewest. One that is gone would always be that: it loses its seat, and the
/// socket goes to the next; with nobody left, it closes.
fn hand_over(mut accepted: Accepted, seats: &mut Vec<Seat>, start: usize) {
    while !seats.is_empty() {
        let chosen = least_loaded(seats, start % seats.len());
        accepted.place.take(&seats[chosen]);
        let Err(returned) = seats[chosen].arrivals.send(accepted) else { return };
        tracing::error!(left = seats.len() - 1, "a worker is gone");
        seats.remove(chosen);
        accepted = returned.0;
    }
}

/// The seat with the fewest connections; among equals, the first from `start` on.
fn least_loaded(seats: &[Seat], start: usize) -> usize {
    (start..seats.len())
        .chain(0..start)
        .min_by_key(|seat| seats[*seat].live.load(Ordering::Relaxed))
        .expect("there is at least one worker")
}

/// Out of file descriptors or memory, accepting again at once would only spin.
async fn pause_if_exhausted(error: &io::Error) {
    if is_exhausted(error) {
        tracing::warn!(%error, "no connection can be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE | ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_to_the_least_loaded_worker_and_equals_take_turns() {
        let seats: Vec<_> = (0..3).map(|_| Seat::new(tokio::sync::mpsc::unbounded_channel().0)).collect();
        for (seat, live) in seats.iter().zip([2, 1, 1]) {
            seat.live.store(live, Ordering::Relaxed);
        }
        assert_eq!([0, 1, 2].map(|start| least_loaded(&seats, start)), [1, 1, 2]);
    }

    #[test]
    fn a_worker_that_is_gone_loses_its_seat_and_its_sockets_go_to_the_others() {
        let (senders, mut receivers): (Vec<_>, Vec<_>) =
            (0..3).map(|_| tokio::sync::mpsc::unbounded_channel::<Accepted>()).unzip();
        let mut seats: Vec<_> = senders.into_iter().map(Seat::new).collect();
        let cap = Arc::new(Semaphore::new(4));
        let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = door.local_addr().expect("it is bound");
        let arrive = |seats: &mut Vec<Seat>| {
            let stream = std::net::TcpStream::connect(address).expect("it listens");
            let permit = Arc::clone(&cap).try_acquire_owned().expect("there is room");
            let place = Place { _permit: permit, live: None };
            hand_over(Accepted { stream, peer: address, listener: ListenerId(0), place }, seats, 0);
            seats.iter().map(|seat| seat.live.load(Ordering::Relaxed)).collect::<Vec<_>>()
        };
        receivers.remove(0).close();
        assert_eq!(arrive(&mut seats), [1, 0]);
        let kept = receivers[0].try_recv().expect("it went to the next");
        assert_eq!(arrive(&mut seats), [1, 1]);
        drop(kept);
        receivers.truncate(1);
        assert_eq!(arrive(&mut seats), [1, 0], "what waited at a worker that is gone is closed");
        assert_eq!(arrive(&mut seats), [2]);
        receivers.clear();
        assert!(arrive(&mut seats).is_empty());
        assert_eq!(cap.available_permits(), 4, "every place was given back");
    }

    #[test]
    fn accepting_pauses_when_the_system_has_no_more_to_give() {
        let cases = [(12, true), (23, true), (24, true), (105, true), (103, false)];
        assert!(cases.iter().all(|(code, paused)| is_exhausted(&io::Error::from_raw_os_error(*code)) == *paused));
    }
}
