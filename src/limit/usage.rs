//! What is said of a quota to those who manage it: who has spent how much of what, and when it begins anew.

use serde::ser::{Serialize, SerializeStruct, Serializer};

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

/// As the admin API and a customer see it, with what is left.
impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { limit, window, spent, quota } = self;
        let mut shown = serializer.serialize_struct("Usage", 7)?;
        shown.serialize_field("limit", limit)?;
        shown.serialize_field("period", &window.period)?;
        shown.serialize_field("start", &window.start)?;
        shown.serialize_field("end", &window.end)?;
        shown.serialize_field("quota", quota)?;
        shown.serialize_field("spent", spent)?;
        shown.serialize_field("remaining", &quota.saturating_sub(*spent))?;
        shown.end()
    }
}
