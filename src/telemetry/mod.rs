//! What the house says of itself: its log, and one line a request.

pub mod access;
pub mod log;
pub mod metrics;
