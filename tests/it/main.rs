//! The gateway from the street: real sockets, a real upstream that reports exactly what reached it, and a clock that
//! tests move instead of sleeping.

mod house;
mod plan;
mod upstream;
mod wire;
