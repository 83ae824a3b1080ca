//! The admin listener of the gateway that runs: one connection, opened again if it was closed between two requests.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write as Written};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::access::{Admin, Entrance};
use super::{Call, Operator, SILENCE, Trouble, Where, runtime, take, trust};
use crate::secret::Secret;

/// How long the gateway may take to accept a connection, and to finish a handshake.
const PATIENCE: Duration = Duration::from_secs(5);

type Sender = SendRequest<Full<Bytes>>;

/// A conversation with the admin listener.
pub(super) struct Remote {
    runtime: Runtime,
    address: SocketAddr,
    tls: Option<TlsConnector>,
    authorization: Option<HeaderValue>,
    sender: Option<Sender>,
}

impl Remote {
    /// Opens the conversation; `None` where nobody listens.
    pub(super) fn reach(admin: &Admin, place: &Where) -> Result<Option<Self>, Trouble> {
        let address = dialled(admin.address);
        let runtime = runtime()?;
        let Ok(Ok(socket)) = runtime.block_on(async { timeout(PATIENCE, TcpStream::connect(address)).await }) else {
            return Ok(None);
        };
        let (tls, authorization) = match &admin.entrance {
            Entrance::Token(tokens) => (None, Some(bearer(chosen(tokens, place.admin_token.as_deref())?)?)),
            Entrance::Certificate(server) => {
                let (Some(certificate), Some(key)) = (&place.admin_cert, &place.admin_key) else {
                    return Err(Trouble::plain(
                        "the admin listener asks for a client certificate: name it with --admin-cert and --admin-key",
                    ));
                };
                (Some(TlsConnector::from(Arc::new(trust::client_config(server, certificate, key)?))), None)
            }
        };
        let mut remote = Self { runtime, address, tls, authorization, sender: None };
        remote.sender = Some(remote.runtime.block_on(remote.greet(socket))?);
        Ok(Some(remote))
    }

    async fn open(&self) -> Result<Sender, Trouble> {
        match timeout(PATIENCE, TcpStream::connect(self.address)).await {
            Ok(Ok(socket)) => self.greet(socket).await,
            Ok(Err(_)) | Err(_) => Err(Trouble::plain(format!("the admin listener at {} is gone", self.address))),
        }
    }

    async fn greet(&self, socket: TcpStream) -> Result<Sender, Trouble> {
        // Requests go out in one piece each; waiting for more only delays them.
        socket.set_nodelay(true).ok();
        let Some(tls) = &self.tls else { return converse(TokioIo::new(socket)).await };
        let name = ServerName::IpAddress(self.address.ip().into());
        match timeout(PATIENCE, tls.connect(name, socket)).await {
            Ok(Ok(secure)) => converse(TokioIo::new(secure)).await,
            Ok(Err(error)) => {
                Err(Trouble::plain(format!("no TLS with the admin listener at {}: {error}", self.address)))
            }
            Err(_) => Err(Trouble::plain(format!("the admin listener at {} does not answer", self.address))),
        }
    }

    /// Sends a request on the connection that is open, or on a new one if that was closed before the request was read.
    async fn send(
        &self,
        kept: Option<Sender>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Sender, Response<Incoming>), Trouble> {
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match patiently(sender.try_send_request(request)).await? {
                Ok(answer) => return Ok((sender, answer)),
                Err(mut failed) => match failed.take_message() {
                    None => return Err(unanswered(failed.error())),
                    Some(unread) => request = unread,
                },
            }
        }
        let mut sender = self.open().await?;
        let answer = patiently(sender.send_request(request)).await?;
        Ok((sender, answer.map_err(|error| unanswered(&error))?))
    }
}

impl Operator for Remote {
    fn stream(&mut self, call: Call, sink: &mut dyn Write) -> Result<(), Trouble> {
        let mut request = call.into_request();
        let host = HeaderValue::try_from(self.address.to_string()).expect("an address is visible ASCII");
        request.headers_mut().insert(HOST, host);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let kept = self.sender.take();
        let (sender, answer) = self.runtime.block_on(self.send(kept, request))?;
        let taken = self.runtime.block_on(take(answer, sink));
        // Whatever else went wrong left the connection in the middle of an answer.
        if matches!(taken, Ok(()) | Err(Trouble::Refused(_))) {
            self.sender = Some(sender);
        }
        taken
    }
}

async fn converse<T: Read + Written + Unpin + Send + 'static>(socket: T) -> Result<Sender, Trouble> {
    let (sender, conversation) =
        http1::handshake(socket).await.map_err(|error| Trouble::plain(format!("cannot speak HTTP: {error}")))?;
    tokio::spawn(async move {
        // What goes wrong on it is told to the request that it happens to.
        conversation.await.ok();
    });
    Ok(sender)
}

async fn patiently<F: Future>(answer: F) -> Result<F::Output, Trouble> {
    timeout(SILENCE, answer).await.map_err(|_| Trouble::plain(format!("no answer within {} s", SILENCE.as_secs())))
}

/// The request may have been heard.
fn unanswered(error: &hyper::Error) -> Trouble {
    Trouble::plain(format!("the gateway went away before it answered, and may have done what was asked: {error}"))
}

/// A listener on every address is found on this machine's own.
fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn chosen<'a>(tokens: &'a [(String, Secret)], name: Option<&str>) -> Result<&'a Secret, Trouble> {
    let mut all = tokens.iter();
    let found = match name {
        None => all.next(),
        Some(name) => all.find(|(own, _)| own == name),
    };
    found.map(|(_, token)| token).ok_or_else(|| {
        Trouble::plain(match name {
            None => "the admin listener has no token: nobody can be let in".to_owned(),
            Some(name) => format!("the configuration has no admin token called `{name}`"),
        })
    })
}

fn bearer(token: &Secret) -> Result<HeaderValue, Trouble> {
    let field = Zeroizing::new([b"Bearer ", token.expose()].concat());
    let mut value = HeaderValue::from_bytes(&field)
        .map_err(|_| Trouble::plain("the admin token cannot be sent: it has control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read as _};
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::*;

    fn admin(address: SocketAddr) -> Admin {
        let token = |name: &str| (name.to_owned(), Secret::new(format!("a-token-of-{name}").into_bytes()));
        Admin { address, entrance: Entrance::Token(vec![token("alice"), token("bob")]) }
    }

    fn head(reader: &mut impl BufRead) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        head
    }

    #[test]
    fn a_connection_that_was_closed_meanwhile_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let mut heads = Vec::new();
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                heads.push(head(&mut reader));
                let mut body = [0; 7];
                reader.read_exact(&mut body).unwrap();
                assert_eq!(&body, br#"{"a":1}"#);
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"b\": 2}").unwrap();
            }
            heads
        });
        let place = Where { admin_token: Some("bob".into()), ..Where::nowhere() };
        let mut remote = Remote::reach(&admin(address), &place).unwrap().expect("it listens");
        for _ in 0..2 {
            let answer = remote.call(Call::post(&["accounts"]).json(json!({ "a": 1 }))).unwrap();
            assert_eq!(answer, json!({ "b": 2 }));
        }
        for head in server.join().unwrap() {
            assert!(head.starts_with("POST /v1/accounts HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("authorization: Bearer a-token-of-bob\r\n"), "{head}");
            assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
        }
    }

    #[test]
    fn where_nobody_listens_there_is_no_gateway() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(Remote::reach(&admin(address), &Where::nowhere()).unwrap().is_none());
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_this_machine() {
        for (listens, dials) in
            [("0.0.0.0:9000", "127.0.0.1:9000"), ("[::]:9000", "[::1]:9000"), ("10.0.0.1:9000", "10.0.0.1:9000")]
        {
            assert_eq!(dialled(listens.parse().unwrap()), dials.parse().unwrap());
        }
    }
}
