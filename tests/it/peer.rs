//! An upstream played by hand: the test takes each connection as it arrives and speaks the upstream's side itself.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::patience::PATIENCE;
use crate::processes;
use crate::upstream::{Received, Upstream, read_request};

/// An upstream whose connections are handed to the test.
pub struct Played {
    pub upstream: Upstream,
    arrivals: Receiver<TcpStream>,
}

/// One connection from the gateway.
pub struct Peer {
    reader: BufReader<TcpStream>,
}

impl Played {
    /// Listens.
    pub fn start() -> Self {
        let (sender, arrivals) = channel();
        let hand_over = move |stream, _| sender.send(stream).unwrap_or_default();
        Self { upstream: Upstream::raw(hand_over), arrivals }
    }

    /// The next connection.
    pub fn next(&self) -> Peer {
        Peer::new(self.arrivals.recv_timeout(PATIENCE).expect("the gateway connects"))
    }

    /// The next connection, if it is there already.
    pub fn try_next(&self) -> Option<Peer> {
        self.arrivals.try_recv().ok().map(Peer::new)
    }

    /// The next connection, with the head of the request on it.
    pub fn next_head(&self) -> (Peer, Received) {
        let mut peer = self.next();
        let head = peer.head();
        (peer, head)
    }

    /// Whether no connection waits to be taken.
    pub fn is_left_alone(&self) -> bool {
        self.arrivals.try_recv().is_err()
    }
}

impl Peer {
    /// Speaks on a connection that the gateway has made.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        Self { reader: BufReader::new(stream) }
    }

    /// Reads a request's head.
    pub fn head(&mut self) -> Received {
        read_request(&mut self.reader, false).expect("a request arrives")
    }

    /// Reads a whole request.
    pub fn request(&mut self) -> Received {
        read_request(&mut self.reader, true).expect("a request arrives")
    }

    /// Reads so many bytes of a body.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).expect("bytes arrive");
        bytes
    }

    /// Reads so many bytes as text.
    pub fn take_text(&mut self, length: usize) -> String {
        String::from_utf8(self.take(length)).expect("it is text")
    }

    /// Sends bytes. The gateway may have closed already.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.reader.get_mut().write_all(bytes.as_ref());
        self
    }

    /// Closes our end. The gateway can know of it by the time this returns.
    pub fn leave(self) {
        drop(self);
        processes::settle();
    }

    /// Closes our end for writing: what was said is all there is.
    pub fn finish(&mut self) {
        let _ = self.reader.get_ref().shutdown(std::net::Shutdown::Write);
    }

    /// Whether nothing arrives for a moment and the connection stays open.
    pub fn is_quiet(&mut self) -> bool {
        let socket = self.reader.get_ref();
        socket.set_read_timeout(Some(Duration::from_millis(150))).expect("a timeout can be set");
        let quiet = matches!(socket.peek(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        self.reader.buffer().is_empty() && quiet
    }

    /// Waits for the gateway's end to close; what still arrives is thrown away.
    pub fn is_closed(&mut self) -> bool {
        let mut space = [0; 16384];
        loop {
            match self.reader.read(&mut space) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    /// Reads what is left up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the connection does not end: {error}"),
        }
    }

    /// The same socket once more, to write to from another thread.
    pub fn socket(&self) -> TcpStream {
        self.reader.get_ref().try_clone().expect("a socket can be shared")
    }
}
