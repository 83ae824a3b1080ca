//! Gathers the spans of all workers and sends them to the collector, on a thread of its own. Nobody waits for it: where the
//! collector does not keep up, does not answer or does not take them, spans are lost and counted.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver as Ended, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;

use super::Settings;
use super::batch::Batch;
use super::collector::Line;
use super::counts::Counts;
use crate::background::give_way;
use crate::clock::Clock;

/// How many batches of workers may wait to be sent; each has some 64 KiB at most.
const WAITING: usize = 64;
/// How long others are waited for before spans are sent.
const GATHER: Duration = Duration::from_secs(1);
/// How often it is said that spans are lost.
const AGAIN: Duration = Duration::from_mins(1);
/// How long those who end wait for the last spans.
const LAST: Duration = Duration::from_secs(2);

/// Where workers put their spans. The thread behind it ends when all of them have.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    /// `None`: there is no collector.
    batches: Option<Sender<Batch>>,
    counts: Arc<Counts>,
}

/// The thread, for the one who looks after it.
pub struct Running {
    counts: Arc<Counts>,
    /// Where it sends spans; `None`: there is no thread.
    line: Option<Arc<ArcSwap<Line>>>,
    /// Gives nothing; it closes when the thread has ended.
    ended: Mutex<Ended<()>>,
}

/// The way to a collector, for [`Running::go_on_with`].
pub struct Prepared(Option<Line>);

impl Queue {
    /// Starts the thread, where there is a collector.
    ///
    /// # Errors
    ///
    /// The system refuses a thread, or the authorities of the collector can be read no more.
    pub fn start(settings: Option<&Settings>) -> io::Result<(Self, Running)> {
        let counts = Arc::<Counts>::default();
        let (alive, ended) = sync_channel::<()>(0);
        let mut running = Running { counts: Arc::clone(&counts), line: None, ended: Mutex::new(ended) };
        let Prepared(Some(line)) = Prepared::new(settings)? else {
            return Ok((Self { batches: None, counts }, running));
        };
        let (batches, mut waiting) = channel(WAITING);
        let line = Arc::new(ArcSwap::from_pointee(line));
        running.line = Some(Arc::clone(&line));
        let mut exporter = Exporter { line, counts: Arc::clone(&counts), clock: Clock::system(), told: None };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("vidgate-traces".to_owned()).spawn(move || {
            give_way();
            runtime.block_on(exporter.run(&mut waiting, async |line, spans| line.send(spans).await));
            // A name that is still looked up is waited for by nobody.
            runtime.shutdown_background();
            drop(alive);
        })?;
        Ok((Self { batches: Some(batches), counts }, running))
    }

    /// Hands spans over, or drops them where there is no room.
    pub(super) fn put(&self, batch: Batch) {
        let count = batch.len() as u64;
        let taken = self.batches.as_ref().is_some_and(|batches| batches.try_send(batch).is_ok());
        if !taken {
            self.counts.give_up(count);
        }
    }
}

impl Prepared {
    fn new(settings: Option<&Settings>) -> io::Result<Self> {
        let line = settings.map(|settings| Line::new(&settings.collector)).transpose();
        line.map(Self).map_err(|invalid| io::Error::other(invalid.message))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Running {
    /// Reads what another collector needs, or the same with other secrets. Nothing has come of it yet.
    ///
    /// # Errors
    ///
    /// Its authorities can be read no more.
    pub fn prepare(&self, settings: Option<&Settings>) -> io::Result<Prepared> {
        Prepared::new(settings)
    }

    /// Sends what comes from now on there. Whether there is a thread does not change.
    pub fn go_on_with(&self, prepared: Prepared) {
        if let (Some(line), Prepared(Some(next))) = (&self.line, prepared) {
            line.store(Arc::new(next));
        }
    }

    /// What became of spans, over all workers.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
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
    /// Where spans are sent from now on.
    line: Arc<ArcSwap<Line>>,
    counts: Arc<Counts>,
    clock: Clock,
    /// When it was said last that spans are lost, and how many were until then.
    told: Option<(Instant, u64)>,
}

impl Exporter {
    /// Sends what comes, until nobody is left who could put anything in. `send` says how many were not taken.
    async fn run(
        &mut self,
        waiting: &mut Receiver<Batch>,
        mut send: impl AsyncFnMut(Arc<Line>, Vec<Span>) -> Result<u64, String>,
    ) {
        let mut spans = Vec::new();
        while self.gather(waiting, &mut spans).await {
            let line = self.line.load_full();
            let rest = spans.split_off(line.most.min(spans.len()));
            let count = spans.len() as u64;
            let outcome = send(Arc::clone(&line), std::mem::replace(&mut spans, rest)).await;
            self.settle(&line.name, count, outcome);
        }
    }

    /// Waits for spans, and then a moment for as many as are sent at a time. `false`: there are none, and will be none.
    async fn gather(&self, waiting: &mut Receiver<Batch>, spans: &mut Vec<Span>) -> bool {
        if spans.is_empty() {
            let Some(batch) = waiting.recv().await else { return false };
            spans.extend(batch.into_messages());
        }
        let (mut moment, most) = (std::pin::pin!(sleep(GATHER)), self.line.load().most);
        while spans.len() < most {
            tokio::select! {
                batch = waiting.recv() => match batch {
                    Some(batch) => spans.extend(batch.into_messages()),
                    None => break,
                },
                () = &mut moment => break,
            }
        }
        true
    }

    /// Counts what became of so many spans, and says so once a while where some are lost. Says whether it did.
    fn settle(&mut self, collector: &str, count: u64, outcome: Result<u64, String>) -> bool {
        let (failed, error) = match outcome {
            Ok(0) => (0, None),
            Ok(some) => (some.min(count), Some("the collector has taken a part alone".to_owned())),
            Err(error) => (count, Some(error)),
        };
        self.counts.send(count, failed);
        let ((dropped, failed), now) = (self.counts.lost(), self.clock.now());
        let lost = dropped + failed;
        let before = self.told.map_or(0, |(_, before)| before);
        let lately = self.told.is_some_and(|(told, _)| now.saturating_duration_since(told) < AGAIN);
        if lost == before || lately {
            return false;
        }
        self.told = Some((now, lost));
        let error = error.unwrap_or_else(|| "they come faster than the collector takes them".to_owned());
        tracing::warn!(collector, error, dropped, failed, "spans are lost");
        true
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::clock::UnixTime;
    use crate::telemetry::trace::batch::{Kind, Told};
    use crate::telemetry::trace::{Collector, Protocol};

    fn exporter(most: usize) -> Exporter {
        let line = Line::new(&Collector {
            endpoint: "http://127.0.0.1:1/".parse().unwrap(),
            protocol: Protocol::Http,
            ca: None,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(1),
            batch: most,
            attributes: Vec::new(),
        });
        let line = Arc::new(ArcSwap::from_pointee(line.unwrap_or_else(|invalid| panic!("{}", invalid.message))));
        Exporter { line, counts: Arc::default(), clock: Clock::manual(UnixTime(0)), told: None }
    }

    fn batch(spans: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..spans {
            let (kind, attributes) = (Kind::Client, &[][..]);
            let (trace, span, parent) = ([1; 16], [2; 8], None);
            let (state, name, begun, ended, failed) = ("", "GET", 1, 2, false);
            batch.tell(&Told { trace, span, parent, state, name, kind, begun, ended, attributes, failed });
        }
        batch
    }

    fn outcomes(counts: &Counts) -> [u64; 3] {
        counts.outcomes().map(|(_, count)| count)
    }

    #[test]
    fn spans_are_sent_in_batches_and_the_last_ones_are_sent() {
        let mut exporter = exporter(10);
        let (put, mut waiting) = channel(9);
        for spans in [4, 4, 25, 1] {
            put.try_send(batch(spans)).unwrap();
        }
        drop(put);
        let mut lengths = Vec::new();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(exporter.run(&mut waiting, async |_, spans: Vec<Span>| {
            lengths.push(spans.len());
            match lengths.len() {
                1 => Ok(0),
                2 => Ok(3),
                3 => Err("gone".into()),
                // More than there were.
                _ => Ok(99),
            }
        }));
        assert_eq!(lengths, [10, 10, 10, 4]);
        assert_eq!(outcomes(&exporter.counts), [17, 0, 17]);
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted_and_nobody_waits() {
        let (batches, _waiting) = channel(1);
        let queue = Queue { batches: Some(batches), counts: Arc::default() };
        (0..3).for_each(|_| queue.put(batch(2)));
        assert_eq!(outcomes(&queue.counts), [0, 4, 0]);
    }

    #[test]
    fn that_spans_are_lost_is_said_once_a_while() {
        let mut exporter = exporter(10);
        assert!(!exporter.settle("it", 5, Ok(0)), "none is lost");
        assert!(exporter.settle("it", 5, Err("gone".into())));
        assert!(!exporter.settle("it", 5, Err("gone".into())), "it was said");
        exporter.clock.advance(AGAIN);
        assert!(exporter.settle("it", 5, Ok(0)), "some were lost since");
        exporter.clock.advance(AGAIN);
        assert!(!exporter.settle("it", 5, Ok(0)), "none is lost any more");
        exporter.counts.give_up(1);
        assert!(exporter.settle("it", 5, Ok(0)), "one had no room");
    }
}
