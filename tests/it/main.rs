//! The gateway from the street: real sockets, a real upstream that reports exactly what reached it, and a clock that
//! tests move instead of sleeping.

#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod bodies;
mod credentials;
mod deadlines;
mod drain;
mod faults;
mod forwarding;
mod house;
mod http2;
mod peer;
mod pki;
mod placement;
mod plan;
mod pool;
mod streaming;
mod streams;
mod time;
mod tls;
mod upstream;
mod wire;
