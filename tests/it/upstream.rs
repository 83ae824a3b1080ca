//! An upstream that reports exactly what reached it, read by a strict parser of its own, and that misbehaves on demand.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::patience::PATIENCE;

/// A request as it reached the upstream.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names as received, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
}

impl Received {
    /// The value of a field that stands at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} stands more than once in {self:?}");
        first
    }
}

/// A listening upstream.
pub struct Upstream {
    address: SocketAddr,
    notes: Arc<Notes>,
}

/// What the upstream has noted so far.
#[derive(Default)]
struct Notes {
    book: Mutex<Book>,
    written: Condvar,
}

#[derive(Default)]
struct Book {
    seen: Vec<Received>,
    /// Requests that ended in the middle of their body.
    broken_off: Vec<Received>,
    connections: usize,
    /// Targets of the requests whose heads are complete.
    begun: Vec<String>,
    /// What a strict reader could not read.
    faults: Vec<String>,
}

impl Notes {
    fn write(&self, note: impl FnOnce(&mut Book)) {
        note(&mut self.book.lock().expect("no note panics"));
        self.written.notify_all();
    }

    /// Waits until `look` finds something.
    fn wait<T>(&self, what: &str, look: impl Fn(&Book) -> Option<T>) -> T {
        let book = self.book.lock().expect("no note panics");
        let none = |book: &mut Book| look(book).is_none();
        let (book, _) = self.written.wait_timeout_while(book, PATIENCE, none).expect("no note panics");
        look(&book).unwrap_or_else(|| panic!("the upstream waits in vain for {what}"))
    }

    /// Looks into the book. A fault fails the test, whatever else it looks for.
    fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        let book = self.book.lock().expect("no note panics");
        assert!(book.faults.is_empty(), "what reached the upstream is no strict HTTP/1.1: {:?}", book.faults);
        look(&book)
    }
}

impl Upstream {
    /// Answers every request with 200 and `upstream-ok`.
    pub fn start() -> Self {
        Self::answering(|_| {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nupstream-ok".to_vec()
        })
    }

    /// Answers each request with the bytes that `answer` gives for it.
    pub fn answering(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, connection, notes| {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
            let mut stream = stream;
            while let Some(mut request) = read_request(&mut reader, false) {
                request.connection = connection;
                notes.write(|book| book.begun.push(request.target.clone()));
                if read_body(&mut reader, &mut request).is_none() {
                    return notes.write(|book| book.broken_off.push(request));
                }
                let bytes = answer(&request);
                notes.write(|book| book.seen.push(request));
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
        })
    }

    /// Hands each connection to `serve`, which may do with it what it likes.
    pub fn raw(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, connection, _| serve(stream, connection))
    }

    fn serving(serve: impl Fn(TcpStream, usize, &Notes) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let notes = Arc::new(Notes::default());
        let (serve, shared) = (Arc::new(serve), Arc::clone(&notes));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (serve, notes) = (Arc::clone(&serve), Arc::clone(&shared));
                let Ok(stream) = stream else { return };
                stream.set_read_timeout(Some(2 * PATIENCE)).expect("a timeout can be set");
                notes.write(|book| book.connections += 1);
                thread::spawn(move || {
                    if let Err(fault) = catch_unwind(AssertUnwindSafe(|| serve(stream, connection, &notes))) {
                        let text = fault.downcast_ref::<String>().cloned();
                        notes.write(|book| book.faults.push(text.unwrap_or_default()));
                    }
                });
            }
        });
        Self { address, notes }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request that reached it so far.
    pub fn seen(&self) -> Vec<Received> {
        self.notes.read(|book| book.seen.clone())
    }

    /// The only request that reached it.
    pub fn only(&self) -> Received {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "exactly one request reached the upstream: {seen:?}");
        seen[0].clone()
    }

    /// How many connections it was offered so far.
    pub fn connections(&self) -> usize {
        self.notes.read(|book| book.connections)
    }

    /// Waits for the head of a request to this target.
    pub fn await_head(&self, target: &str) {
        self.notes.wait("its head", |book| book.begun.iter().find(|own| *own == target).cloned());
    }

    /// Waits for the first request that ends in the middle of its body.
    pub fn broken_off(&self) -> Received {
        self.notes.wait("a request that is broken off", |book| book.broken_off.first().cloned())
    }
}

/// Reads one request strictly: CRLF line ends, one Host, one framing. `None` at the end of the connection. With
/// `whole` the body is read too.
pub fn read_request(reader: &mut impl BufRead, whole: bool) -> Option<Received> {
    let line = read_line(reader)?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("request line {line:?}") };
    assert_eq!(version, "HTTP/1.1");
    assert!(target.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "target {target:?}");
    let mut request = Received { method: method.into(), target: target.into(), ..Received::default() };
    request.headers = read_fields(reader);
    assert_eq!(request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).count(), 1, "{request:?}");
    let (length, coding) = (request.header("content-length"), request.header("transfer-encoding"));
    assert!(length.is_none() || coding.is_none(), "one framing: {request:?}");
    assert!(coding.is_none_or(|coding| coding == "chunked"), "{request:?}");
    if whole {
        read_body(reader, &mut request)?;
    }
    Some(request)
}

/// Reads the body that the head announces. `None`: the connection ended before it.
fn read_body(reader: &mut impl BufRead, request: &mut Received) -> Option<()> {
    if request.header("transfer-encoding").is_some() {
        loop {
            let size = usize::from_str_radix(&read_line(reader)?, 16).expect("a chunk size is hexadecimal");
            if size == 0 {
                request.trailers = read_fields(reader);
                return Some(());
            }
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            assert!(chunk.ends_with(b"\r\n"), "a chunk ends with a line break");
            request.body.extend_from_slice(&chunk[..size]);
        }
    }
    if let Some(length) = request.header("content-length") {
        let mut body = vec![0; length.parse().expect("a length is a number")];
        reader.read_exact(&mut body).ok()?;
        request.body = body;
    }
    Some(())
}

fn read_fields(reader: &mut impl BufRead) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some(line) = read_line(reader).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("a field has a colon");
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "field name {name:?}");
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    fields
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    if !line.ends_with(b"\n") {
        return None;
    }
    assert!(line.ends_with(b"\r\n"), "a line ends with CRLF: {:?}", String::from_utf8_lossy(&line));
    line.truncate(line.len() - 2);
    assert!(!line.contains(&b'\r'), "no bare CR");
    Some(String::from_utf8_lossy(&line).into_owned())
}
