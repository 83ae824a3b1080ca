//! The street and the front door: from a socket to a request that can be read in one way only.

pub mod client_certificate;
pub mod client_ip;
pub mod connection;
mod distinguished_name;
pub mod gather;
pub mod guard;
pub mod head;
pub mod listener;
pub mod names;
pub mod pairs;
pub mod path;
pub mod preface;
pub mod request_body;
pub mod stage;
pub mod tls;
pub mod upgrade;
pub mod worker;
