//! The street and the front door: from a socket to a request that can be read in one way only.

mod clear_http;
pub mod client_certificate;
pub mod client_ip;
pub mod connection;
mod control_frames;
pub mod decide;
mod distinguished_name;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod gather;
pub mod guard;
pub mod handshake;
pub mod head;
pub mod http_versions;
pub mod listener;
pub mod names;
pub mod overload;
pub mod own_certificate;
pub mod pairs;
pub mod path;
mod pem_file;
mod possession;
pub mod preface;
mod prior_knowledge;
pub mod protocol;
pub mod proxy_protocol;
pub mod request_body;
pub mod stage;
pub mod tls;
pub mod upgrade;
pub mod vitals;
pub mod worker;
