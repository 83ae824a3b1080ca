//! Who hears where the limits of a request stand. In service that is nobody, and it costs nothing.

use std::fmt;

use super::policy::Policy;

/// Hears it; by default nobody does.
pub trait Witness {
    /// Whether nothing is to be counted: all that would be taken is taken from copies, and the log hears nothing.
    const REHEARSES: bool = false;

    /// A limit was looked at.
    #[inline]
    fn limit(&mut self, _: Look<'_>) {}
}

impl Witness for () {}

/// A limit as one request finds it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Which.
    pub policy: &'a Policy,
    /// Whom it counts: `account:acme`.
    pub party: &'a dyn Party,
    /// Whether there is no room.
    pub full: bool,
    /// Of how many.
    pub quota: u64,
    /// How many are left, with this request counted if it passed all limits.
    pub remaining: u64,
    /// Seconds until all of them are there again; `None` where no clock decides that.
    pub reset: Option<u64>,
}

/// Whom a limit counts, to be written.
pub trait Party: fmt::Display + fmt::Debug {}

impl<T: fmt::Display + fmt::Debug> Party for T {}
