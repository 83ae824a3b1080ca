//! Names for requests, by which callers, the log and the upstream speak of the same one.

use std::cell::Cell;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::Connection;
use crate::forward::REQUEST_ID;

/// The longest request id that is taken over from a trusted proxy.
pub(super) const LONGEST_ID: usize = 128;

/// Names requests: a random part for the worker, and a counter.
#[derive(Debug)]
pub struct RequestIds {
    worker: [u8; 16],
    counter: Cell<u64>,
}

impl RequestIds {
    /// Ids that no other worker makes.
    pub fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids may repeat across restarts; nothing but a search in the log depends on it.
        let _ = getrandom::fill(&mut seed);
        Self { worker: hex(u64::from_ne_bytes(seed)), counter: Cell::new(0) }
    }

    /// The id that a trusted proxy has given, or a new one.
    pub fn choose(&self, headers: &HeaderMap, connection: &Connection, proxies: &TrustedProxies) -> HeaderValue {
        if let Some(given) = headers.get(REQUEST_ID)
            && proxies.contains(connection.peer.ip())
            && (1..=LONGEST_ID).contains(&given.len())
            && given.as_bytes().iter().all(u8::is_ascii_graphic)
        {
            return given.clone();
        }
        let count = self.counter.get();
        self.counter.set(count.wrapping_add(1));
        let mut id = [b'-'; 33];
        id[..16].copy_from_slice(&self.worker);
        id[17..].copy_from_slice(&hex(count));
        HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&id)).expect("hexadecimal digits make a header value")
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * place)) & 0xf;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).expect("a nibble is below sixteen")];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_hexadecimal() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        assert_eq!(&hex(10), b"000000000000000a");
    }
}
