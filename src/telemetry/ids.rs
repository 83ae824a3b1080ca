//! Names for requests, by which callers, the log and the upstream speak of the same one.

use std::cell::{Cell, RefCell};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::Connection;
use crate::forward::REQUEST_ID;

/// The longest request id that is taken over from a trusted proxy.
pub(super) const LONGEST_ID: usize = 128;

/// The length of an id of our own.
const LENGTH: usize = 33;
/// How many are made at once, in memory that they share.
const AT_ONCE: usize = 64;

/// Names requests: a random part for the worker, and a counter.
#[derive(Debug)]
pub struct RequestIds {
    worker: [u8; 16],
    counter: Cell<u64>,
    /// Made already, one behind the other.
    made: RefCell<Bytes>,
}

impl RequestIds {
    /// Ids that no other worker makes.
    pub fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids may repeat across restarts; nothing but a search in the log depends on it.
        let _ = getrandom::fill(&mut seed);
        Self { worker: hex(u64::from_ne_bytes(seed)), counter: Cell::new(0), made: RefCell::default() }
    }

    /// The id that a trusted proxy has given, or a new one.
    pub fn choose(&self, headers: &HeaderMap, connection: &Connection, proxies: &TrustedProxies) -> HeaderValue {
        if proxies.contains(connection.peer.ip())
            && let Some(given) = headers.get(REQUEST_ID)
            && (1..=LONGEST_ID).contains(&given.len())
            && given.as_bytes().iter().all(u8::is_ascii_graphic)
        {
            return given.clone();
        }
        let mut made = self.made.borrow_mut();
        if made.is_empty() {
            *made = self.make().into();
        }
        HeaderValue::from_maybe_shared(made.split_to(LENGTH)).expect("hexadecimal digits make a header value")
    }

    fn make(&self) -> Vec<u8> {
        let mut ids = Vec::with_capacity(AT_ONCE * LENGTH);
        for _ in 0..AT_ONCE {
            let count = self.counter.get();
            self.counter.set(count.wrapping_add(1));
            ids.extend_from_slice(&self.worker);
            ids.push(b'-');
            ids.extend_from_slice(&hex(count));
        }
        ids
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
    use std::collections::HashSet;

    use super::*;
    use crate::edge::connection::ListenerId;

    fn here() -> Connection {
        let [peer, local] = ["192.0.2.7:50000", "192.0.2.1:443"].map(|text| text.parse().unwrap());
        Connection::new(peer, local, ListenerId(0), None)
    }

    #[test]
    fn no_two_requests_of_two_workers_have_one_name() {
        let (workers, connection, headers) = ([(); 2].map(|()| RequestIds::new()), here(), HeaderMap::new());
        let ids: Vec<_> = workers
            .iter()
            .flat_map(|worker| {
                (0..3 * AT_ONCE).map(|_| worker.choose(&headers, &connection, &TrustedProxies::default()))
            })
            .collect();
        for (number, id) in ids.iter().take(3 * AT_ONCE).enumerate() {
            assert!(id.to_str().unwrap().ends_with(&format!("-{number:016x}")), "{id:?}");
        }
        assert!(ids.iter().all(|id| id.len() == LENGTH));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }

    #[test]
    fn a_name_is_taken_over_from_a_trusted_proxy_alone() {
        let (ids, connection) = (RequestIds::new(), here());
        let nobody = TrustedProxies::default();
        let proxy = TrustedProxies::new(vec!["192.0.2.0/24".parse().unwrap()]);
        let long = "x".repeat(LONGEST_ID + 1);
        for (proxies, given, taken) in [
            (&proxy, "abc-1", true),
            (&proxy, &long[1..], true),
            (&nobody, "abc-1", false),
            (&proxy, "", false),
            (&proxy, &long, false),
            (&proxy, "two words", false),
        ] {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
            assert_eq!(ids.choose(&headers, &connection, proxies) == given, taken, "{given}");
        }
    }

    #[test]
    fn ids_are_written_in_hexadecimal() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        assert_eq!(&hex(10), b"000000000000000a");
    }
}
