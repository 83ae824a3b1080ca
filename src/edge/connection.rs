//! What is known of a connection before its first request: who is at the other end, and what TLS proved. Nothing here
//! comes from a header.

use std::cell::RefCell;
use std::net::SocketAddr;

use http::HeaderValue;

/// A position in the list of listeners of the World.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub usize);

/// One accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// The address at the other end of the socket, an IPv4-mapped one as its IPv4.
    pub peer: SocketAddr,
    /// The address of our end.
    pub local: SocketAddr,
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// What TLS settled; `None` on a plain-text listener.
    pub tls: Option<Tls>,
    /// The peer's address as it goes upstream in `X-Forwarded-For`, made once.
    pub peer_header: HeaderValue,
    /// The last thing said of a host on this connection.
    pub forwarded: LastHost,
}

/// Remembers what was made for the last host that a connection named: most name one for all their requests.
#[derive(Debug, Default)]
pub struct LastHost(RefCell<Option<(Option<HeaderValue>, HeaderValue)>>);

impl LastHost {
    /// What was made for `host`; makes it if the last one was another.
    pub fn recall(
        &self,
        host: Option<&HeaderValue>,
        make: impl FnOnce() -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((own, value)) if own.as_ref() == host => Some(value.clone()),
            Some(_) | None => {
                let value = make()?;
                // A copy of its own: a clone would keep the whole head alive for as long as the connection lasts.
                let host = host.and_then(|host| HeaderValue::from_bytes(host.as_bytes()).ok());
                *last = Some((host, value.clone()));
                Some(value)
            }
        }
    }
}

/// What a TLS handshake settled.
#[derive(Debug)]
pub struct Tls {
    /// The name that the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// The client's certificate, whose key the client was seen to hold.
    pub client_certificate: Option<ClientCertificate>,
}

/// A client certificate. Possession of its key is proven by the handshake; everything else stands in the verdict.
#[derive(Debug)]
pub struct ClientCertificate {
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// Seconds since the epoch after which it is no longer good, judged again on each request.
    pub not_after: i64,
    /// Whether its chain, validity and revocation stood up to the listener's `client_ca`; the text is for the log.
    pub verdict: Result<(), String>,
}

impl Connection {
    /// Notes the two ends of a socket.
    pub fn new(peer: SocketAddr, local: SocketAddr, listener: ListenerId, tls: Option<Tls>) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let peer_header =
            HeaderValue::try_from(peer.ip().to_string()).expect("an address is written in visible ASCII characters");
        Self { peer, local, listener, tls, peer_header, forwarded: LastHost::default() }
    }

    /// The name that the client asked for, if TLS carried one.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }
}
