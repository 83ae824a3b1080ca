//! The gateway from the street: real sockets, a real upstream that reports exactly what reached it, and a clock that
//! tests move instead of sleeping.

#![expect(unreachable_pub, reason = "a binary of tests exports nothing; `pub` is what its modules share")]

mod credentials;
mod dialects;
mod frames;
mod framing;
mod house;
mod http2;
mod identity;
mod origin;
mod plan;
mod secrecy;
mod sizes;
mod spelling;
mod stranger;
mod targets;
mod upstream;
mod vectors;
mod wire;
