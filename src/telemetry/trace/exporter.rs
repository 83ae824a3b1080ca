//! Sends spans to the collector (OTLP over HTTP, §"OTLP/HTTP Request"), on a thread of its own. Nobody waits for it: where
//! the collector does not keep up or does not answer, spans are dropped and counted.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::protobuf::{self, Value};
use super::{Collector, Settings};
use crate::background::give_way;
use crate::clock::Clock;

/// How many batches may wait to be sent; each has some 64 KiB at most.
const WAITING: usize = 64;
/// How long others are waited for before a request is sent.
const GATHER: Duration = Duration::from_secs(1);
/// How many bytes of spans one request has, about.
const LARGE: usize = 512 << 10;
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is said that it does not answer.
const AGAIN: Duration = Duration::from_mins(1);
/// How long those who end wait for the last spans.
const LAST: Duration = Duration::from_secs(2);

/// Spans of one worker on their way.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) spans: Vec<u8>,
    pub(super) count: u64,
}

/// What becomes of spans.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// Where workers put their spans. The thread behind it ends when all of them have.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// `None`: there is no collector.
    batches: Option<SyncSender<Batch>>,
    counts: Arc<Counts>,
}

/// The thread, for the one who looks after it.
pub struct Running {
    counts: Arc<Counts>,
    /// Gives nothing; it closes when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Queue {
    /// Starts the thread, where there is a collector.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn start(settings: Option<&Settings>) -> io::Result<(Self, Running)> {
        let counts = Arc::<Counts>::default();
        let (alive, ended) = sync_channel(0);
        let running = Running { counts: Arc::clone(&counts), ended: Mutex::new(ended) };
        let Some(settings) = settings else { return Ok((Self { batches: None, counts }, running)) };
        let (batches, waiting) = sync_channel(WAITING);
        let exporter =
            Exporter { collector: settings.collector.clone(), counts: Arc::clone(&counts), clock: Clock::system() };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("vidgate-traces".to_owned()).spawn(move || {
            give_way();
            exporter.run(&waiting, |request| runtime.block_on(send(&exporter.collector, request)));
            drop(alive);
        })?;
        Ok((Self { batches: Some(batches), counts }, running))
    }

    /// Hands spans over, or drops them where there is no room.
    pub(super) fn put(&self, batch: Batch) {
        let count = batch.count;
        let taken = self.batches.as_ref().is_some_and(|batches| batches.try_send(batch).is_ok());
        if !taken {
            self.counts.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Running {
    /// Spans that the collector has taken.
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Spans that are lost: it did not take them, or not as fast as they came.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all was sent, once no worker is left; a moment at most.
    pub fn end(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent.
        let _: Result<(), RecvTimeoutError> = ended.recv_timeout(LAST);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// The thread's own.
struct Exporter {
    collector: Collector,
    counts: Arc<Counts>,
    clock: Clock,
}

impl Exporter {
    /// Sends what comes, until nobody is left who could put anything in.
    fn run(&self, waiting: &Receiver<Batch>, send: impl Fn(Vec<u8>) -> Result<(), String>) {
        let mut told = None;
        while let Ok(mut batch) = waiting.recv() {
            let until = self.clock.now() + GATHER;
            while batch.spans.len() < LARGE {
                let left = until.saturating_duration_since(self.clock.now());
                let Ok(next) = waiting.recv_timeout(left) else { break };
                batch.spans.extend(next.spans);
                batch.count += next.count;
            }
            let Err(error) = send(self.request(&batch)) else {
                self.counts.sent.fetch_add(batch.count, Ordering::Relaxed);
                continue;
            };
            let dropped = self.counts.dropped.fetch_add(batch.count, Ordering::Relaxed) + batch.count;
            let now = self.clock.now();
            if told.is_none_or(|told| now.saturating_duration_since(told) >= AGAIN) {
                told = Some(now);
                tracing::warn!(collector = self.collector.authority, error, dropped, "spans are lost");
            }
        }
    }

    fn request(&self, batch: &Batch) -> Vec<u8> {
        let version = env!("CARGO_PKG_VERSION");
        let resource = [
            ("service.name", Value::Text(&self.collector.service)),
            ("service.version", Value::Text(version)),
            ("process.pid", Value::Number(u64::from(std::process::id()))),
        ];
        protobuf::request(&batch.spans, &resource, version)
    }
}

/// Sends one request on a connection of its own: there are few, and one that is kept may be closed at the other end.
async fn send(collector: &Collector, request: Vec<u8>) -> Result<(), String> {
    let sent = timeout(PATIENCE, async {
        let socket = TcpStream::connect(&collector.authority).await.map_err(|error| error.to_string())?;
        let spoken = http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, conversation) = spoken.map_err(|error| error.to_string())?;
        let request = Request::post(&collector.path)
            .header(HOST, &collector.authority)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))
            .header(USER_AGENT, HeaderValue::from_static(concat!("vidgate/", env!("CARGO_PKG_VERSION"))))
            .header(CONNECTION, HeaderValue::from_static("close"))
            .body(Full::new(Bytes::from(request)))
            .map_err(|error| error.to_string())?;
        let mut answered = std::pin::pin!(sender.send_request(request));
        // Both on this task. A connection that has ended may have left an answer behind.
        let answer = tokio::select! {
            answer = &mut answered => answer,
            _ = conversation => answered.await,
        };
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("the collector answers {status}")) }
    });
    sent.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::clock::UnixTime;

    fn exporter() -> Exporter {
        let collector = Collector { authority: "127.0.0.1:1".into(), path: "/".into(), service: "vidgate".into() };
        Exporter { collector, counts: Arc::default(), clock: Clock::manual(UnixTime(0)) }
    }

    fn batch(length: usize) -> Batch {
        Batch { spans: vec![0; length], count: 1 }
    }

    #[test]
    fn batches_are_gathered_into_requests_and_the_last_ones_are_sent() {
        let (exporter, (put, waiting)) = (exporter(), sync_channel(9));
        for length in [LARGE / 2, LARGE / 2, 10, 20] {
            put.send(batch(length)).unwrap();
        }
        drop(put);
        let lengths = RefCell::new(Vec::new());
        exporter.run(&waiting, |request| {
            lengths.borrow_mut().push(request.len());
            if lengths.borrow().len() == 1 { Ok(()) } else { Err("gone".into()) }
        });
        let lengths = lengths.into_inner();
        assert!(matches!(lengths[..], [large, small] if large > LARGE && small > 30 && small < 500), "{lengths:?}");
        let counts = &exporter.counts;
        assert_eq!((counts.sent.load(Ordering::Relaxed), counts.dropped.load(Ordering::Relaxed)), (2, 2));
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted_and_nobody_waits() {
        let (batches, _waiting) = sync_channel(1);
        let queue = Queue { batches: Some(batches), counts: Arc::default() };
        (0..3).for_each(|_| queue.put(batch(1)));
        assert_eq!(queue.counts.dropped.load(Ordering::Relaxed), 2);
    }
}
