//! One line a request: who asked for what, what was decided and why. Off, it costs nothing but the request id, which
//! every answer carries. A credential never comes here: the query is left out as a whole.

use std::cell::Cell;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::clock::Clock;
use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::Connection;
use crate::edge::head::Head;
use crate::forward::REQUEST_ID;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// The longest request id that is taken over from a trusted proxy.
const LONGEST_ID: usize = 128;
/// The status of a request that nobody waits for any more; it stands in the log only.
const ABANDONED: u16 = 499;

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

/// What is known of a request so far.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Boxed, so that a request without a line does not carry its size.
    known: Option<Box<Known<'a>>>,
}

#[derive(Debug)]
struct Known<'a> {
    clock: &'a Clock,
    begun: Instant,
    id: &'a HeaderValue,
    connection: &'a Connection,
    method: Method,
    client_ip: std::net::IpAddr,
    host: Option<String>,
    path: Option<String>,
    route: &'a str,
    principal: Option<Principal>,
}

impl<'a> Entry<'a> {
    /// Begins a line, if lines are written at all.
    pub fn begin(on: bool, clock: &'a Clock, id: &'a HeaderValue, connection: &'a Connection, method: &Method) -> Self {
        let known = on.then(|| {
            Box::new(Known {
                clock,
                begun: clock.now(),
                id,
                connection,
                method: method.clone(),
                client_ip: connection.peer.ip(),
                host: None,
                path: None,
                route: "",
                principal: None,
            })
        });
        Self { known }
    }

    /// The head could be read.
    pub fn head(&mut self, head: &Head<'_>) {
        if let Some(known) = &mut self.known {
            known.client_ip = head.client_ip();
            known.host = Some(head.host().to_owned());
            known.path = Some(head.path().to_owned());
        }
    }

    /// A route was found.
    pub fn route(&mut self, name: &'a str) {
        if let Some(known) = &mut self.known {
            known.route = name;
        }
    }

    /// The caller was proven.
    pub fn principal(&mut self, principal: &Principal) {
        if let Some(known) = &mut self.known {
            known.principal = Some(principal.clone());
        }
    }

    /// An upstream answered: writes the line.
    pub fn answered(&mut self, status: StatusCode) {
        self.write(status.as_u16(), "", "");
    }

    /// The request was refused: writes the line with the precise cause.
    pub fn refused(&mut self, refusal: &Refusal, status: StatusCode) {
        self.write(status.as_u16(), refusal.cause.name(), refusal.detail);
    }

    fn write(&mut self, status: u16, cause: &str, detail: &str) {
        let Some(known) = self.known.take() else { return };
        let taken = known.clock.now().saturating_duration_since(known.begun);
        let principal = known.principal.as_ref();
        let text = |value: &'_ HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        tracing::info!(
            target: "access",
            request_id = %text(known.id),
            client_ip = %known.client_ip,
            peer = %known.connection.peer,
            method = known.method.as_str(),
            host = known.host.as_deref().unwrap_or_default(),
            path = known.path.as_deref().unwrap_or_default(),
            route = known.route,
            scheme = principal.map_or("", Principal::scheme),
            subject = %principal.map_or("", Principal::subject),
            account = principal.and_then(Principal::account).map_or("", |account| &account.id.0),
            status,
            cause,
            detail,
            duration_us = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
    }
}

/// A request that ends in any other way has its line as well.
impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.write(StatusCode::INTERNAL_SERVER_ERROR.as_u16(), Cause::Internal.name(), "a panic");
        } else {
            self.write(ABANDONED, "abandoned", "the caller left before the answer");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::UnixTime;
    use crate::edge::connection::ListenerId;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no line panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_request_has_one_line_however_it_ends() {
        type End = fn(Entry<'_>);
        let cases: [(End, &str); 4] = [
            (|_entry| (), "status=499 cause=\"abandoned\" detail=\"the caller left before the answer\""),
            (|_entry| panic!("a defect"), "status=500 cause=\"internal\" detail=\"a panic\""),
            (|mut entry| entry.answered(StatusCode::OK), "status=200 cause=\"\""),
            (
                |mut entry| entry.refused(&Refusal::new(Cause::NotFound, "nothing"), StatusCode::NOT_FOUND),
                "status=404 cause=\"not_found\" detail=\"nothing\"",
            ),
        ];
        let (clock, id) = (Clock::manual(UnixTime(0)), HeaderValue::from_static("id"));
        let address = "127.0.0.1:1".parse().expect("an address");
        let connection = Connection::new(address, address, ListenerId(0), None);
        for (end, expected) in cases {
            let lines = Lines::default();
            let writer = lines.clone();
            let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(log, || {
                let entry = Entry::begin(true, &clock, &id, &connection, &Method::GET);
                let _ = catch_unwind(AssertUnwindSafe(|| end(entry)));
            });
            let lines = String::from_utf8(lines.0.lock().expect("no line panics").clone()).expect("a log is text");
            assert!(lines.lines().count() == 1 && lines.contains(expected), "{expected}: {lines}");
        }
    }

    #[test]
    fn ids_are_written_in_hexadecimal() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        assert_eq!(&hex(10), b"000000000000000a");
    }
}
