//! How the one who writes fares, for whoever looks: whether it comes round, how much waits for it, and when it last
//! had something on disk. Nothing here waits for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use redb::ReadableTableMetadata;

use super::Store;
use super::shelf::Shelf;
use crate::clock::UnixTime;
use crate::counted::{Histogram, Times};
use crate::heartbeat::Heartbeat;

/// Longer than anything that the writer does in one go, a slow disk included.
const STUCK: Duration = Duration::from_secs(30);

/// What the writer tells of itself.
#[derive(Debug, Default)]
pub(super) struct Workings {
    pub(super) heart: Heartbeat,
    waiting: AtomicUsize,
    /// In seconds since the epoch; 0: nothing yet.
    committed: AtomicU64,
    /// How long transactions took, until they were on disk.
    commits: Times,
}

/// How a store stands, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many entries there are on file.
    pub entries: u64,
    /// The size of the file, in bytes.
    pub file_bytes: u64,
    /// How many changes wait for their turn.
    pub queue: usize,
    /// When a change was last written since the start.
    pub last_commit: Option<UnixTime>,
    /// Changes are refused.
    pub read_only: bool,
    /// Entries are being laid down under newer keys.
    pub renewing: bool,
}

impl Workings {
    /// A job waits from now on.
    pub(super) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// So many wait no more.
    pub(super) fn taken(&self, jobs: usize) {
        self.waiting.fetch_sub(jobs, Ordering::Relaxed);
    }

    /// Something is on disk, after so long.
    pub(super) fn committed(&self, now: UnixTime, took: Duration) {
        self.commits.add(took);
        self.committed.store(now.0, Ordering::Relaxed);
    }
}

impl Store {
    /// Why it takes no changes, in a sentence without a full stop. `None`: it does, or was opened to be read alone.
    pub fn trouble(&self) -> Option<&'static str> {
        let ended = self.inner.writer.as_ref().is_none_or(std::thread::JoinHandle::is_finished);
        if ended {
            Some("its thread has ended")
        } else if self.inner.workings.heart.silence() > STUCK {
            Some("its thread does not come round: it may wait for the disk")
        } else {
            None
        }
    }

    /// How long transactions took so far, until they were on disk.
    pub fn commits(&self) -> Histogram {
        let mut commits = Histogram::default();
        commits.add(&self.inner.workings.commits);
        commits
    }

    /// For how long its thread has not come round.
    pub fn silence(&self) -> Duration {
        self.inner.workings.heart.silence()
    }

    /// How it stands. Looks at the file, but for a moment only.
    pub fn standing(&self) -> Standing {
        let entries = self.look(|look| Ok(look.open_table(Shelf::Entries.definition())?.len()?));
        let committed = self.inner.workings.committed.load(Ordering::Relaxed);
        Standing {
            entries: entries.unwrap_or(0),
            file_bytes: std::fs::metadata(&self.inner.path).map_or(0, |file| file.len()),
            queue: self.inner.workings.waiting.load(Ordering::Relaxed),
            last_commit: (committed > 0).then_some(UnixTime(committed)),
            read_only: self.inner.engine.is_read_only(),
            renewing: self.inner.renewing.load(Ordering::Acquire),
        }
    }
}
