//! vidgate: a multi-scheme authentication gateway for video APIs. The modules stand in the order in which a request
//! walks through them.

pub mod cli;
pub mod run;
pub mod world;

pub mod gateway;
// The corridor.
pub mod edge;
pub mod route;
pub mod scheme;
pub mod authenticate;
pub mod authorize;
pub mod limit;
pub mod forward;
pub mod reply;
pub mod envelope;
pub mod endpoint;
// The rooms beside the corridor.
pub mod admin;
pub mod config;
pub mod store;
pub mod telemetry;
// The ground.
pub mod background;
pub mod clock;
pub mod counted;
pub mod deadline;
pub mod heartbeat;
pub mod invalid;
pub mod kept;
pub mod key_set;
pub mod once;
pub mod public_key;
pub mod record;
pub mod refusal;
pub mod scan;
pub mod secret;
pub mod units;
// What a fuzzer calls.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
