//! What the house says of itself: its log, and of each request what came of it. A request has one [`Entry`], which gathers
//! on the way what is known of it; at its end all who tell of requests see it at one place (`Sinks::finished`).

pub mod access;
mod entry;
mod exchange;
mod ids;
pub mod log;
pub mod metrics;
mod names;
mod redact;
mod refusals;
mod sinks;
mod texts;
pub mod trace;
mod words;
#[cfg(test)]
mod tests;

pub use self::entry::Entry;
pub use self::exchange::{Decision, Exchange};
pub use self::ids::RequestIds;
pub use self::names::{Names, RouteNames, UpstreamNames};
pub use self::redact::{ALWAYS as ALWAYS_HIDDEN, shown_path};
pub use self::refusals::{Recorded, Refusals};
pub use self::sinks::{Scope, Settings, Sinks, Told};
pub use self::words::{hint, meaning};
