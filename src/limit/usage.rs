//! What is said of a quota to those who manage it: who has spent how much of what, and when it begins anew.

use super::window::Window;

/// Where one quota of one account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The name of the limit, as configured.
    pub limit: Box<str>,
    /// The window that it counts in; it begins anew at `window.end`.
    pub window: Window,
    /// Requests that were let through in it.
    pub spent: u64,
    /// Requests that may be let through in it: the account's own value, and the cap of the limit at most.
    pub quota: u64,
}
