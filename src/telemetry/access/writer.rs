//! The thread that writes the lines of all workers, and what it counts.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::pen::Pen;

/// How many batches may wait to be written.
const WAITING: usize = 256;
/// How often the thread looks around where nothing comes.
const LOOK: Duration = Duration::from_millis(500);
/// How long it lets lines gather once it has written what there was. A thread that is woken for each batch takes the core
/// from the worker that fills the next one: under load that cost as much as the writing.
const PAUSE: Duration = Duration::from_millis(10);
/// After so many batches in succession it looks around as well.
const MANY: u32 = 1000;
/// How long those who end wait for the last lines: whoever reads them may not.
const LAST: Duration = Duration::from_secs(1);

/// Lines of one worker on their way.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: Vec<u8>,
    pub(super) lines: u64,
}

/// What becomes of lines.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Not written: there was no room for them, or they could not be.
    pub(super) dropped: AtomicU64,
    pub(super) written: AtomicU64,
}

/// Takes lines.
type Taker = dyn Fn(&[u8]) -> io::Result<()> + Send + Sync;

/// Where lines go.
#[derive(Clone, Default)]
pub struct Output(Option<Arc<Taker>>);

impl Output {
    /// To standard error.
    pub fn standard() -> Self {
        Self(None)
    }

    /// To whoever takes them.
    pub fn to(take: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    /// To the end of this file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        // Who asked for what is nobody else's business.
        let file: File = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Self::to(move |lines| (&file).write_all(lines)))
    }

    fn write(&self, lines: &[u8]) -> io::Result<()> {
        match &self.0 {
            Some(take) => take(lines),
            // Locked for as long as whole lines take, so that none of the other log stands among them.
            None => io::stderr().lock().write_all(lines),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

/// The access log of a server, for its workers. It ends when all of them have.
#[derive(Clone, Debug)]
pub struct Log {
    queue: SyncSender<Batch>,
    counts: Arc<Counts>,
}

/// The same, for the one who looks after it.
#[derive(Debug)]
pub struct Running {
    counts: Arc<Counts>,
    next: Arc<Mutex<Option<Output>>>,
    /// Gives nothing; it closes when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Log {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn start(output: Output) -> io::Result<(Self, Running)> {
        let (queue, batches) = sync_channel(WAITING);
        let (alive, ended) = sync_channel(0);
        let (counts, next) = (Arc::<Counts>::default(), Arc::<Mutex<Option<Output>>>::default());
        let (counted, following) = (Arc::clone(&counts), Arc::clone(&next));
        thread::Builder::new().name("vidgate-access".to_owned()).spawn(move || {
            write(&batches, output, &counted, &following);
            drop(alive);
        })?;
        let running = Running { counts: Arc::clone(&counts), next, ended: Mutex::new(ended) };
        Ok((Self { queue, counts }, running))
    }

    /// What one worker writes with.
    pub fn pen(&self) -> Pen {
        Pen::new(self.queue.clone(), Arc::clone(&self.counts))
    }
}

impl Running {
    /// Lines that are lost, because nobody took them as fast as they came.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Lines that were written.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// Writes to this from now on: also the same file opened anew, once it was moved away.
    pub fn go_on_with(&self, output: Output) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }

    /// Waits until all was written, once nobody has a pen any more; a moment at most.
    pub fn end(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent.
        let _: Result<(), RecvTimeoutError> = ended.recv_timeout(LAST);
    }
}

fn write(batches: &Receiver<Batch>, mut output: Output, counts: &Counts, next: &Mutex<Option<Output>>) {
    let (mut told, mut failing, mut batches_since) = (0, false, 0);
    loop {
        let batch = match batches.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                thread::sleep(PAUSE);
                match batches.recv_timeout(LOOK) {
                    Ok(batch) => Some(batch),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        if let Some(next) = next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            output = next;
            failing = false;
        }
        batches_since = if batch.is_some() { batches_since + 1 } else { MANY };
        if batches_since >= MANY {
            batches_since = 0;
            // Said once in a while at most.
            let dropped = counts.dropped.load(Ordering::Relaxed);
            if dropped != told {
                tracing::warn!(lines = dropped - told, "lines of the access log were dropped: they came too fast");
                told = dropped;
            }
        }
        let Some(Batch { text, lines }) = batch else { continue };
        match output.write(&text) {
            Ok(()) => {
                counts.written.fetch_add(lines, Ordering::Relaxed);
                failing = false;
            }
            Err(error) => {
                counts.dropped.fetch_add(lines, Ordering::Relaxed);
                told += lines;
                if !failing {
                    failing = true;
                    tracing::error!(%error, "the access log cannot be written");
                }
            }
        }
    }
}
