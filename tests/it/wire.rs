//! A raw HTTP/1.1 connection: says what a polite client cannot, and reads answers byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::patience::PATIENCE;
use crate::processes;

/// A raw connection.
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// As it stands in the status line.
    pub version: String,
    pub status: u16,
    /// Names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field that stands at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} stands more than once in {self:?}");
        first
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes as they are. The peer may have closed already: what it answered is still read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends a whole request and reads the answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).answer()
    }

    /// Reads one final answer; interim ones are skipped.
    pub fn answer(&mut self) -> Answer {
        loop {
            let head = self.head();
            if head.status >= 200 {
                return self.body(head);
            }
        }
    }

    /// Reads the last answer of the connection: behind it the peer closes.
    pub fn last_answer(&mut self) -> Answer {
        let answer = self.answer();
        assert!(self.is_closed(), "the connection is closed behind {answer:?}");
        answer
    }

    /// Reads one head, interim or final.
    pub fn head(&mut self) -> Answer {
        let head = self.raw_head();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("a head has a first line");
        let (version, rest) = status_line.split_once(' ').expect("a status line has a version");
        let status = rest.split(' ').next().expect("a status line has a status").parse().expect("a number");
        let headers = lines
            .map(|line| line.split_once(':').expect("a field has a colon"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Answer { version: version.to_owned(), status, headers, body: Vec::new() }
    }

    /// Reads one head as it stands.
    pub fn raw_head(&mut self) -> String {
        String::from_utf8(self.until(b"\r\n\r\n")).expect("a head is text")
    }

    /// Reads up to the end of these bytes.
    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        let length = loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                break at + end.len();
            }
            assert!(self.fill(), "the connection ended early: {:?}", String::from_utf8_lossy(&self.unread));
        };
        self.unread.drain(..length).collect()
    }

    /// Reads the body that a head announces.
    pub fn body(&mut self, mut head: Answer) -> Answer {
        let chunked = head.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
        if head.status == 204 || head.status == 304 {
            return head;
        }
        if chunked {
            loop {
                let line = self.line();
                let size = usize::from_str_radix(line.split(';').next().expect("a size"), 16).expect("hexadecimal");
                head.body.extend(self.take(size));
                let end = self.line();
                if size == 0 {
                    if !end.is_empty() {
                        let (name, value) = end.split_once(':').expect("a trailer has a colon");
                        head.headers.push((format!("trailer {}", name.to_ascii_lowercase()), value.trim().to_owned()));
                        while !self.line().is_empty() {}
                    }
                    return head;
                }
                assert!(end.is_empty(), "a chunk ends with a line break");
            }
        }
        match head.header("content-length") {
            Some(length) => head.body = self.take(length.parse().expect("a length")),
            None => head.body = self.rest(),
        }
        head
    }

    /// Reads exactly so many bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill(), "the connection ended in the middle of a body");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// Whether the peer has closed without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.fill()
    }

    /// Whether nothing arrives for a moment and the connection stays open.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(150))).expect("a timeout can be set");
        let mut space = [0; 1];
        let quiet = matches!(self.stream.peek(&mut space), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        self.unread.is_empty() && quiet
    }

    /// Closes our end. The gateway can know of it by the time this returns.
    pub fn leave(self) {
        drop(self);
        processes::settle();
    }

    /// Closes our end for writing.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// The same socket once more, to write to from another thread.
    pub fn socket(&self) -> TcpStream {
        self.stream.try_clone().expect("a socket can be shared")
    }

    fn line(&mut self) -> String {
        String::from_utf8(self.until(b"\r\n")).expect("a line is text").trim_end().to_owned()
    }

    /// Reads some more; `false` at the end.
    fn fill(&mut self) -> bool {
        let mut space = [0; 16384];
        match self.stream.read(&mut space) {
            Ok(0) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&space[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing arrived: {error}; so far {:?}", String::from_utf8_lossy(&self.unread)),
        }
    }
}
