//! HTTP/2 towards an upstream: few connections, many requests on each. A connection has one task that reads and writes
//! it; a request is driven by its own, as in `http1/`, and only an upload that outlasts the head of its answer gets
//! another. Which connection a request takes stands in `sessions.rs`.
//!
//! A request is sent once more if the upstream says that it has not processed it (RFC 9113 §8.7), or if it never left; and
//! only while nothing of its body is lost. Beyond that, what means the same twice is sent under the budget of `retry`.

mod answer;
mod exchange;
mod send;
mod session;
mod sessions;

pub(super) use self::answer::Answer;
pub(super) use self::sessions::Sessions;
