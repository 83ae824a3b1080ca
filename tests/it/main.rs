//! The gateway from the street: real sockets, a real upstream that reports exactly what reached it, and a clock that
//! tests move instead of sleeping.

#![expect(unreachable_pub, reason = "a binary of tests exports nothing; `pub` is what its modules share")]

mod abandoned;
mod binding;
mod bodies;
mod cli_store;
mod counters;
mod credentials;
mod deadlines;
mod dialects;
mod drain;
mod endpoints;
mod failures;
mod faults;
mod forwarding;
mod frames;
mod framing;
mod groups;
mod house;
mod http2;
mod identity;
mod leaks;
mod leases;
mod limits;
mod lines;
mod log;
mod mtls;
mod multiplexed;
mod origin;
mod peer;
mod pki;
mod placement;
mod plan;
mod pool;
mod quotas;
mod recipes;
mod second_credential;
mod secrecy;
mod securevideo;
mod sign;
mod sizes;
mod spelling;
mod store;
mod store_kill;
mod stranger;
mod streaming;
mod super_admin;
mod streams;
mod targets;
mod time;
mod tls;
mod translation;
mod upstream;
mod vectors;
mod wire;
