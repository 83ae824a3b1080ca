//! The thread that writes the lines of all workers, and what it counts.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
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
/// How many batches it writes at once.
const AT_ONCE: usize = 32;
/// After so many batches in succession it looks around as well.
const MANY: usize = 1000;
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
pub struct Output(Place);

#[derive(Clone, Default)]
enum Place {
    #[default]
    StandardError,
    File(Arc<File>),
    Taker(Arc<Taker>),
}

impl Output {
    /// To standard error.
    pub fn standard() -> Self {
        Self(Place::StandardError)
    }

    /// To whoever takes them.
    pub fn to(take: impl Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Place::Taker(Arc::new(take)))
    }

    /// To the end of this file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        // Who asked for what is nobody else's business.
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Self(Place::File(Arc::new(file))))
    }

    fn write(&self, batches: &[Batch]) -> io::Result<()> {
        match &self.0 {
            // All at once: where two of them meet within a page, the system works on that page twice.
            Place::File(file) => {
                write_all(file, &mut batches.iter().map(|batch| IoSlice::new(&batch.text)).collect::<Vec<_>>())
            }
            Place::Taker(take) => batches.iter().try_for_each(|batch| take(&batch.text)),
            Place::StandardError => {
                // Locked for as long as whole lines take, so that none of the other log stands among them.
                let mut stderr = io::stderr().lock();
                batches.iter().try_for_each(|batch| stderr.write_all(&batch.text))
            }
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

/// Writes all of it, however often that takes.
fn write_all(mut file: &File, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match file.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut pieces, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes what waits; where nothing does, lets lines gather and then waits for them. `false`: nobody has a pen any more.
fn take(queue: &Receiver<Batch>, batches: &mut Vec<Batch>) -> bool {
    batches.clear();
    batches.extend(queue.try_iter().take(AT_ONCE));
    if batches.is_empty() {
        thread::sleep(PAUSE);
        match queue.recv_timeout(LOOK) {
            Ok(first) => batches.extend(iter::once(first).chain(queue.try_iter()).take(AT_ONCE)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

fn write(queue: &Receiver<Batch>, mut output: Output, counts: &Counts, next: &Mutex<Option<Output>>) {
    let (mut told, mut failing, mut since) = (0, false, 0);
    let mut batches = Vec::with_capacity(AT_ONCE);
    while take(queue, &mut batches) {
        if let Some(next) = next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            output = next;
            failing = false;
        }
        since += batches.len();
        if batches.is_empty() || since >= MANY {
            since = 0;
            // Said once in a while at most.
            let dropped = counts.dropped.load(Ordering::Relaxed);
            if dropped != told {
                tracing::warn!(lines = dropped - told, "lines of the access log were dropped: they came too fast");
                told = dropped;
            }
        }
        if batches.is_empty() {
            continue;
        }
        let lines = batches.iter().map(|batch| batch.lines).sum();
        match output.write(&batches) {
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
