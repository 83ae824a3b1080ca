//! What is known of a connection before its first request: who is at the other end, and what TLS proved. Nothing here
//! comes from a header.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use memchr::memrchr;

use super::client_certificate::ClientCertificate;
use super::tls::Names;
use super::upgrade::Tunnels;

/// A listener, by a number that it keeps as long as it listens, whatever else the configuration says.
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
    /// The peer's address and port as they are told, made once: `192.0.2.7:5000`, `[2001:db8::7]:5000`.
    pub peer_text: Bytes,
    /// The address alone, as it goes upstream in `X-Forwarded-For`.
    pub peer_header: HeaderValue,
    /// What its answers tell browsers (`Strict-Transport-Security`), as its listener said when it began.
    pub hsts: Option<HeaderValue>,
    /// The last thing said of a host on this connection.
    pub forwarded: LastHost,
    /// What is beside HTTP on it.
    pub tunnels: Tunnels,
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
#[derive(Debug, Default)]
pub struct Tls {
    /// The name that the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// The client's certificate, whose key the client was seen to hold.
    pub client_certificate: Option<Rc<ClientCertificate>>,
    /// What the listener is called, where it asks for certificates: a request there must name the very connection.
    pub names: Option<Arc<Names>>,
}

impl Connection {
    /// Notes the two ends of a socket.
    pub fn new(peer: SocketAddr, local: SocketAddr, listener: ListenerId, tls: Option<Tls>) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let peer_text = Bytes::from(peer.to_string());
        let peer_header = HeaderValue::from_maybe_shared(peer_text.slice_ref(address_in(&peer_text)))
            .expect("an address is written in visible ASCII characters");
        let (forwarded, tunnels) = (LastHost::default(), Tunnels::default());
        Self { peer, local, listener, tls, peer_text, peer_header, hsts: None, forwarded, tunnels }
    }

    /// The client's certificate, if there is one.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.client_certificate.as_deref()
    }
}

/// The address in a text that ends with its port, without the brackets of IPv6.
pub fn address_in(peer_text: &[u8]) -> &[u8] {
    let address = memrchr(b':', peer_text).map_or(peer_text, |end| &peer_text[..end]);
    address.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_told_with_and_without_its_port() {
        for (peer, text, address) in [
            ("192.0.2.7:5000", "192.0.2.7:5000", "192.0.2.7"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535", "2001:db8::7"),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7:1", "192.0.2.7"),
            ("[::1]:0", "[::1]:0", "::1"),
        ] {
            let peer = peer.parse().unwrap();
            let connection = Connection::new(peer, peer, ListenerId(0), None);
            assert_eq!(
                (&*connection.peer_text, connection.peer_header.as_bytes()),
                (text.as_bytes(), address.as_bytes())
            );
        }
    }
}
