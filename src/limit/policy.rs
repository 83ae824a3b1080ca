//! A limit as configured: what is counted, for whom, and whether it bites.

use super::concurrency::Concurrency;
use super::key::Per;
use super::quota::Quota;
use super::rate::Rate;
use crate::refusal::Cause;

/// Limits that one route can have. All of them are held at once while a request is looked at.
pub const MOST_OF_A_ROUTE: usize = 8;

/// One `[limit.<name>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, in logs and towards the caller.
    pub name: Box<str>,
    /// What it measures.
    pub measure: Measure,
    /// For whom it counts.
    pub per: Per,
    /// Whether it only says in the log what it would have refused.
    pub log_only: bool,
}

/// What a limit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests in a short time.
    Rate(Rate),
    /// Requests in a window of the clock.
    Quota(Quota),
    /// Requests under way.
    Concurrency(Concurrency),
}

impl Measure {
    /// Its word in the configuration, in `status` and in the admin API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rate(_) => "rate",
            Self::Quota(_) => "quota",
            Self::Concurrency(_) => "concurrency",
        }
    }

    /// Why a request is refused for which it has no room.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Rate(_) => Cause::RateExceeded,
            Self::Quota(_) => Cause::QuotaExceeded,
            Self::Concurrency(_) => Cause::ConcurrencyExceeded,
        }
    }
}

/// A position in `World::limits`. They stand there by name, so that whoever holds several at once takes them in the same
/// order, whatever the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(pub usize);
