//! The admin listener of the gateway that runs: one connection, opened again if it was closed between two requests.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write as Written};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{Call, Operator, SILENCE, Trouble, Where, runtime, take, trust};
use crate::config::Entrance;
use crate::invalid::Invalid;
use crate::secret::Secret;

/// How long the gateway may take to accept a connection, and to finish a handshake.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Said where the gateway did not take the token for one of its own.
const UNKNOWN_TOKEN: &str = "the gateway does not know the admin token that it was shown: it reads them when it starts, so that \
                             a new one takes a restart";
/// Turns that a connection gets before it is used again: one to ask the system for news, and one to act on it.
const TURNS: usize = 3;

pub(super) type Sender = SendRequest<Full<Bytes>>;

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
    pub(super) fn reach(entrance: &Entrance, place: &Where) -> Result<Option<Self>, Trouble> {
        let address = dialled(entrance.address);
        let runtime = runtime()?;
        let Ok(Ok(socket)) = runtime.block_on(async { timeout(PATIENCE, TcpStream::connect(address)).await }) else {
            return Ok(None);
        };
        let certificate = place.admin_certificate.as_deref().zip(place.admin_key.as_deref());
        let tls = match &entrance.certificate {
            Some(server) => Some(TlsConnector::from(Arc::new(trust::client_config(server, certificate)?))),
            None => None,
        };
        // A certificate says it all; without one there must be a token.
        let authorization = match certificate.filter(|_| tls.is_some()) {
            Some(_) => None,
            None => Some(bearer(chosen(entrance, place.admin_token.as_deref())?)?),
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
        // The connection's own task has not run since the last answer: it shall see first that the other end has left.
        for _ in 0..TURNS {
            yield_now().await;
        }
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
        let unknown =
            |problem: &super::Problem| problem.status == StatusCode::UNAUTHORIZED && self.authorization.is_some();
        match taken {
            Err(Trouble::Refused(problem)) if unknown(&problem) => Err(Trouble::plain(UNKNOWN_TOKEN)),
            taken => taken,
        }
    }
}

pub(super) async fn converse<T: Read + Written + Unpin + Send + 'static>(socket: T) -> Result<Sender, Trouble> {
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
pub(super) fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The token to show: the one of that name, or the first that can be read.
fn chosen<'a>(entrance: &'a Entrance, name: Option<&str>) -> Result<&'a Secret, Trouble> {
    let mut tokens =
        entrance.tokens.iter().filter(|(own, _)| name.is_none_or(|name| own == name)).map(|(_, token)| token);
    let unreadable = |invalid: &Invalid| Trouble::plain(format!("no admin token can be read: {invalid}"));
    if let Some(token) = tokens.clone().find_map(|token| token.as_ref().ok()) {
        return Ok(token);
    }
    Err(match (tokens.next(), name) {
        (Some(Err(invalid)), _) => unreadable(invalid),
        (_, Some(name)) => Trouble::plain(format!("the configuration has no admin token called `{name}`")),
        (_, None) => Trouble::plain(
            "the admin listener asks for a client certificate: name it with --admin-certificate and --admin-key",
        ),
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
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::admin::auth::Token;
    use crate::admin::{Counters, Settings, listener};
    use crate::clock::Clock;

    fn admin(address: SocketAddr) -> Entrance {
        let token = |name: &str| (name.to_owned(), Ok(Secret::new(format!("a-token-of-{name}").into_bytes())));
        let unreadable = ("eve".to_owned(), Err(Invalid::new("there is no such file")));
        Entrance { address, certificate: None, tokens: vec![unreadable, token("alice"), token("bob")] }
    }

    #[test]
    fn a_token_is_chosen_by_name_or_is_the_first_that_can_be_read() {
        let mut entrance = admin("127.0.0.1:1".parse().unwrap());
        for (name, expected) in [
            (None, Ok(&b"a-token-of-alice"[..])),
            (Some("bob"), Ok(b"a-token-of-bob")),
            (Some("eve"), Err("no admin token can be read: there is no such file")),
            (Some("mallory"), Err("the configuration has no admin token called `mallory`")),
        ] {
            let found = chosen(&entrance, name).map(Secret::expose).map_err(|trouble| trouble.sentences().concat());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
        entrance.tokens.clear();
        assert!(chosen(&entrance, None).unwrap_err().sentences()[0].contains("--admin-certificate"));
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
        let (close, closed) = std::sync::mpsc::channel();
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
                drop((reader, socket));
                close.send(()).unwrap();
            }
            heads
        });
        let place = Where { admin_token: Some("bob".into()), ..Where::nowhere() };
        let mut remote = Remote::reach(&admin(address), &place).unwrap().expect("it listens");
        for _ in 0..2 {
            let answer = remote.call(Call::post(&["accounts"]).json(json!({ "a": 1 }))).unwrap();
            assert_eq!(answer, json!({ "b": 2 }));
            // "Meanwhile": before the next one is asked.
            closed.recv().unwrap();
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

    #[test]
    fn the_listener_of_a_gateway_lets_a_token_in_and_names_its_holder() {
        let (_folder, store) = crate::cli::operator::local_tests::store();
        let token = |name: &str, text: &str| Token { name: name.into(), secret: Secret::new(text.as_bytes().to_vec()) };
        let tokens = vec![token("alice", "a-token-of-alice"), token("bob", "a-token-of-bobby")];
        let settings = Settings { address: "127.0.0.1:0".parse().unwrap(), tls: None, tokens };
        let stop = CancellationToken::new();
        let counters = Counters::at_rest(&store, &Clock::system(), &[]).unwrap();
        let address = listener::start(settings, (store, counters), Clock::system(), stop.clone(), ()).unwrap();
        let mut remote = Remote::reach(&admin(address), &Where::nowhere()).unwrap().expect("it listens");
        remote.call(Call::post(&["accounts"]).json(json!({ "id": "a/b" }))).unwrap();
        assert_eq!(remote.call(Call::get(&["accounts", "a/b"])).unwrap()["revision"], 1);
        let Err(Trouble::Refused(problem)) = remote.call(Call::get(&["accounts", "c"])) else {
            panic!("there is no c")
        };
        assert_eq!((problem.status.as_u16(), problem.sentences().len()), (404, 1));
        let trail = remote.call(Call::get(&["audit"])).unwrap();
        assert_eq!(trail["items"][0]["actor"], "token:alice");
        let place = Where { admin_token: Some("bob".into()), ..Where::nowhere() };
        let mut stranger = Remote::reach(&admin(address), &place).unwrap().expect("it listens");
        let Err(trouble) = stranger.call(Call::get(&["audit"])) else { panic!("let in") };
        assert_eq!(trouble.sentences(), [UNKNOWN_TOKEN]);
        stop.cancel();
    }
}
