//! A raw HTTP/2 connection, over TLS or in plain text: says in frames what no library would let a client say. Fields are written as
//! literals (RFC 7541 §6.2.2), and of an answer's fields only the status is read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::house::{TestGateway, open};
use crate::patience::PATIENCE;
use crate::upstream::Upstream;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
/// The largest frame that every peer takes.
const LARGEST: usize = 16_384;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answer(u16, String),
    /// Its stream was reset, or the connection given up.
    Reset,
}

/// A house with a TLS listener for `localhost`, `a.test` and `b.test`.
pub struct House {
    pub gateway: TestGateway,
    pub upstream: Upstream,
    folder: TempDir,
}

impl House {
    /// One open route; `more` goes to the end of the configuration.
    pub fn with(more: &str) -> Self {
        Self::around(Upstream::start(), more)
    }

    /// The same in front of this upstream.
    pub fn around(upstream: Upstream, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let names = ["localhost", "a.test", "b.test"].map(str::to_owned);
        let pair = generate_simple_self_signed(names).expect("a certificate can be made");
        std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).expect("it can be written");
        std::fs::write(folder.path().join("key.pem"), pair.signing_key.serialize_pem()).expect("it can be written");
        let tls = "address = \"127.0.0.1:0\"\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }";
        let toml = open(&upstream, more).replace("address = \"127.0.0.1:0\"", tls);
        Self { gateway: TestGateway::start_in(&toml, folder.path(), 1), upstream, folder }
    }

    /// An HTTP/2 connection under this name.
    pub fn connect(&self, name: &'static str) -> Frames {
        self.connect_with(name, &[])
    }

    /// The same with these settings besides.
    pub fn connect_with(&self, name: &'static str, settings: &[(u8, u32)]) -> Frames {
        let tls = tls(self.gateway.address("public"), name, &self.folder.path().join("cert.pem"), b"h2");
        Frames::over(tls, settings)
    }

    /// Sends one HTTP/1.1 request over TLS and reads all that comes back.
    pub fn ask_http1(&self, name: &'static str, request: &str) -> String {
        let mut tls = tls(self.gateway.address("public"), name, &self.folder.path().join("cert.pem"), b"http/1.1");
        tls.write_all(request.as_bytes()).expect("it can be sent");
        let mut answer = Vec::new();
        // A peer that closes without a word of TLS is as good here.
        let _ = tls.read_to_end(&mut answer);
        String::from_utf8(answer).expect("an answer is text")
    }

    /// Sends one request by a connection of its own.
    pub fn ask(&self, fields: &[(&str, &str)], body: &str) -> Outcome {
        self.connect("localhost").ask(fields, body.as_bytes(), &[])
    }
}

fn tls(
    address: SocketAddr,
    name: &'static str,
    root: &Path,
    protocol: &[u8],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).expect("a certificate")).expect("a root");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from(name).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let socket = TcpStream::connect(address).expect("the listener accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    StreamOwned::new(session, socket)
}

/// A raw HTTP/2 connection.
pub struct Frames {
    socket: Box<dyn Socket>,
    next: u32,
}

/// What frames go over.
trait Socket: Read + Write {}

impl<T: Read + Write> Socket for T {}

impl Frames {
    /// Begins HTTP/2 on a connection, with these settings.
    fn over(socket: impl Socket + 'static, settings: &[(u8, u32)]) -> Self {
        let mut frames = Self { socket: Box::new(socket), next: 1 };
        frames.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // No dynamic table, so that each status stands in full.
        let mut payload = vec![0, 1, 0, 0, 0, 0];
        for (setting, value) in settings {
            payload.extend([0, *setting]);
            payload.extend(value.to_be_bytes());
        }
        frames.frame(SETTINGS, 0, 0, &payload);
        frames
    }

    /// Connects in plain text, says this first, and then speaks HTTP/2.
    pub fn plain(address: SocketAddr, first: &[u8]) -> Self {
        let mut socket = TcpStream::connect(address).expect("the listener accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        socket.write_all(first).expect("it can be sent");
        Self::over(socket, &[])
    }

    /// Reads to the end of the connection, which must come, and returns what was read.
    pub fn rest(&mut self) -> Vec<u8> {
        let (mut all, mut space) = (Vec::new(), [0; 16384]);
        loop {
            match self.socket.read(&mut space) {
                Ok(0) => return all,
                Ok(length) => all.extend(&space[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the connection goes on"),
                // Cut off, with or without a word.
                Err(_) => return all,
            }
        }
    }

    /// Sends a whole request, with trailers if there are any, and reads what becomes of it.
    pub fn ask(&mut self, fields: &[(&str, &str)], body: &[u8], trailers: &[(&str, &str)]) -> Outcome {
        let stream = self.begin(fields, body.is_empty() && trailers.is_empty());
        if !body.is_empty() {
            self.data(stream, body, trailers.is_empty());
        }
        if !trailers.is_empty() {
            self.headers(stream, trailers, true);
        }
        self.outcome(stream)
    }

    /// Begins a request, and perhaps ends it.
    pub fn begin(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.headers(stream, fields, end);
        stream
    }

    /// Sends a piece of a body.
    pub fn data(&mut self, stream: u32, piece: &[u8], end: bool) {
        self.frame(DATA, if end { END_STREAM } else { 0 }, stream, piece);
    }

    /// Takes a request back.
    pub fn cancel(&mut self, stream: u32) {
        self.frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    }

    /// Reads the status of an answer, and leaves its body.
    pub fn status(&mut self, stream: u32) -> Option<u16> {
        loop {
            match self.read()? {
                (HEADERS, _, own, payload) if own == stream => return Some(status_of(&payload)),
                (SETTINGS, 0, ..) => self.frame(SETTINGS, 1, 0, &[]),
                _ => {}
            }
        }
    }

    /// Reads so many bytes of an answer's body.
    pub fn data_of(&mut self, stream: u32, mut length: usize) {
        while length > 0 {
            match self.read().expect("the connection goes on") {
                (DATA, _, own, payload) if own == stream => length -= payload.len(),
                _ => {}
            }
        }
    }

    /// Gives a stream room for so many bytes more.
    pub fn widen(&mut self, stream: u32, by: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    }

    /// Asks for a sign of life, and waits for it; `false`: the connection has ended.
    pub fn ping(&mut self) -> bool {
        self.frame(PING, 0, 0, &[7; 8]);
        while let Some((kind, flags, ..)) = self.read() {
            if (kind, flags) == (PING, 1) {
                return true;
            }
        }
        false
    }

    /// Whether a stream has been reset, or is while the peer works off two signs of life: one follows what was sent before,
    /// the other what that has led to.
    pub fn is_reset(&mut self, stream: u32) -> bool {
        let mut reset = false;
        for _ in 0..2 {
            self.frame(PING, 0, 0, &[7; 8]);
            loop {
                let (kind, flags, own, _) = self.read().expect("the connection goes on");
                reset |= kind == RST_STREAM && own == stream;
                if (kind, flags) == (PING, 1) {
                    break;
                }
            }
        }
        reset
    }

    /// Reads what becomes of a request.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (None, Vec::new());
        loop {
            let Some((kind, flags, own, payload)) = self.read() else { return Outcome::Reset };
            match kind {
                SETTINGS if flags == 0 => self.frame(SETTINGS, 1, 0, &[]),
                GOAWAY if payload[7] != 0 => return Outcome::Reset,
                RST_STREAM if own == stream => return Outcome::Reset,
                HEADERS if own == stream => status = Some(status_of(&payload)).filter(|status| *status >= 200),
                DATA if own == stream => body.extend(payload),
                _ => continue,
            }
            if let Some(status) = status.filter(|_| own == stream && flags & END_STREAM != 0) {
                return Outcome::Answer(status, String::from_utf8(body).expect("a body is text"));
            }
        }
    }

    fn headers(&mut self, stream: u32, fields: &[(&str, &str)], end: bool) {
        let block = block_of(fields);
        let end = if end { END_STREAM } else { 0 };
        let pieces: Vec<&[u8]> = block.chunks(LARGEST).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let last = if place + 1 == pieces.len() { END_HEADERS } else { 0 };
            let (kind, end) = if place == 0 { (HEADERS, end) } else { (CONTINUATION, 0) };
            self.frame(kind, last | end, stream, piece);
        }
    }

    /// Sends a frame.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.say(&bytes_of(kind, flags, stream, payload));
    }

    /// Sends bytes as they are. The peer may have closed already: what it answered is still read.
    pub fn say(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes).and_then(|()| self.socket.flush());
    }

    /// One frame; `None` at the end of the connection.
    pub fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        self.fill(&mut payload)?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// Reads so many bytes; `None` at the end of the connection.
    fn fill(&mut self, space: &mut [u8]) -> Option<()> {
        let read = self.socket.read_exact(space);
        let in_vain = read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(!in_vain, "nothing arrives, and the connection goes on");
        read.ok()
    }
}

/// A frame as it goes over the wire.
pub fn bytes_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals that no table remembers.
pub fn block_of(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(name, &mut block);
        text(value, &mut block);
    }
    block
}

/// A text as HPACK has it, without Huffman's code (RFC 7541 §5.2).
fn text(text: &str, block: &mut Vec<u8>) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(u8::try_from(rest).expect("below 127"));
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push(u8::try_from(rest % 128).expect("below 128") | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest).expect("below 128"));
    }
    block.extend(text.bytes());
}

/// The status, which stands first in an answer (RFC 7541 Appendix A and B).
fn status_of(block: &[u8]) -> u16 {
    // A new size of the dynamic table may stand before it.
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    let known = [200, 204, 206, 304, 400, 404, 500];
    if block[0] & 0x80 != 0 {
        return known[usize::from(block[0] & 0x7f) - 8];
    }
    assert_eq!(block[0] & 0x0f, 8, "a literal under the name `:status`");
    if block[1] & 0x80 == 0 {
        return std::str::from_utf8(&block[2..5]).expect("digits").parse().expect("a number");
    }
    let mut bits = block[2..].iter().flat_map(|byte| (0..8).rev().map(move |place| u16::from(byte >> place & 1)));
    let mut take = |count| bits.by_ref().take(count).fold(0, |sum, bit| sum << 1 | bit);
    (0..3).fold(0, |status, _| {
        // Huffman's code has 0 to 2 in five bits, and the other digits in six, beginning with 011001.
        let digit = match take(5) {
            small @ 0..=2 => small,
            large => (large << 1 | take(1)) - 0b01_1001 + 3,
        };
        status * 10 + digit
    })
}
