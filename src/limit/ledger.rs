//! What quotas survive a restart with: a book outside this room in which counters are written down before they are spent.
//! Here stands what is asked of it; the store keeps it.

use std::fmt;
use std::time::Duration;

use super::window::Window;
use crate::clock::UnixTime;

/// Up to how many requests of one window are spent, as written down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerEntry {
    /// The name of the limit, as configured.
    pub limit: Box<str>,
    /// Whom it counts, as `kind:name`: `account:acme`, `address:192.0.2.7`, `route:live`. At most 1 KiB.
    pub key: Box<str>,
    /// The window that it counts in.
    pub window: Window,
    /// Requests that may have been spent of it. No more than that have been.
    pub spent: u64,
}

/// Keeps counters over a restart and a kill. Of two entries of the same limit, key and window, the one that was handed
/// in last counts; this room has at most one of them under way at a time.
pub trait Ledger: Send + Sync + fmt::Debug {
    /// Has it written down that up to `spent` requests of this window are spent. Never blocks. `done(true)` is called
    /// once it is on disk, from any thread; `done(false)` where it is not, and then it may or may not be there.
    fn reserve(&self, entry: LedgerEntry, done: Box<dyn FnOnce(bool) + Send>);

    /// What was written down, for windows that are not over at `now`. Called once, before the first reservation. A ledger
    /// that cannot be read whole says so: what it forgot would be forgiven.
    fn load(&self, now: UnixTime) -> Result<Vec<LedgerEntry>, Unreadable>;

    /// Writes down the true figures, which are lower than what was reserved, once nothing is spent any more. Waits for
    /// the disk, for `patience` at most, and says whether all of it is there. What is not stays as it was reserved.
    fn settle(&self, entries: Vec<LedgerEntry>, patience: Duration) -> bool;
}

/// Why nobody knows what quotas have spent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what quotas have spent cannot be read: {0}")]
pub struct Unreadable(pub String);
