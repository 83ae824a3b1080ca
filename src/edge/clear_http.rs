//! HTTP in clear on a listener of TLS: whoever sends it hears what is wrong, instead of a connection that ends. It is told
//! by what comes first: a record of TLS begins with a byte that no method has, and only looked at, so that the handshake
//! finds everything as it came.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::edge::stage::{Stage, Watched};

/// How a request in clear begins.
const BEGINNINGS: [&[u8]; 7] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS "];
/// The longest of them.
const LONGEST: usize = 8;
/// The status is nginx's; it tells nothing that the port does not tell by itself.
const ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 53\r\nconnection: close\r\n\r\n\
                        This port speaks HTTPS, and the request was in clear.";

/// Shakes hands with a peer who speaks TLS, and answers one who sends HTTP in clear.
pub(super) async fn shake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    stage: Rc<Stage>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0; LONGEST];
    let seen = stream.peek(&mut first).await?;
    if !is_http(&first[..seen]) {
        return TlsAcceptor::from(config).accept(stream).await;
    }
    let mut socket = Watched::new(stream, stage);
    socket.write_all(ANSWER).await?;
    // What the peer has sent is read before the socket closes, so that the answer arrives instead of a reset.
    poll_fn(|context| Pin::new(&mut socket).poll_shutdown(context)).await?;
    Err(io::Error::new(io::ErrorKind::InvalidData, "HTTP in clear"))
}

fn is_http(first: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| first.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_clearly_begins_a_request_is_one() {
        for beginning in BEGINNINGS {
            assert!(is_http(beginning) && beginning.len() <= LONGEST);
            assert!(!is_http(&beginning[..beginning.len() - 1]));
        }
        for other in
            [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01", b"get / ht", b"GETS / H", b"PRI * HT", b"EHLO a\r\n"]
        {
            assert!(!is_http(other), "{other:?}");
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
    }
}
