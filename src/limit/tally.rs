//! What every counter can say of itself.

use std::time::Duration;

use crate::clock::UnixTime;

/// An instant, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Nanoseconds since the limits were made; it never runs backwards.
    pub(super) nanos: u64,
    /// On the wall.
    pub(super) unix: UnixTime,
}

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is.
    Room,
    /// There is none; it is worth trying again after this time.
    Full(Duration),
    /// There is, once it is written down.
    Unwritten {
        /// Writing has just failed.
        failed: bool,
    },
}

/// Where a counter stands, as callers are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Of how many.
    pub(super) quota: u64,
    /// How many are left.
    pub(super) remaining: u64,
    /// Seconds in which so many are there again, where it is not the same for all callers.
    pub(super) window: Option<u64>,
    /// Seconds until all of them are there again; `None` where no clock decides that.
    pub(super) reset: Option<u64>,
}

/// Whole seconds, rounded up: whoever comes back on the second is not too early.
pub(super) fn seconds_up(nanos: u128) -> u64 {
    u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}
