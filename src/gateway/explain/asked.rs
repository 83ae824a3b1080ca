//! A request that is only talked about, as an operator describes it; and the same as the gateway would receive it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::edge::connection::{Connection, ListenerId, Tls};
use crate::edge::listener::Listener;
use crate::world::World;

/// Who asks where nobody says: the one address that no socket has at its other end.
pub const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A request that is only talked about.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The method; GET if it is left out.
    #[serde(default = "get")]
    pub method: String,
    /// The whole address: `https://api.example.com/path?query`. Its path is taken as it stands there.
    pub url: String,
    /// The fields, in their order: name and value. `Host` and `Content-Length` follow from the rest where they are not
    /// among them.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The address at the other end of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The listener that it comes in by, where there are several that fit the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The certificate that the client presents, and those behind it (PEM). That it has the key is taken for granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// When it comes; now if that is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixTime>,
}

fn get() -> String {
    "GET".to_owned()
}

/// The request as it would arrive.
pub(super) struct Arriving {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) connection: Connection,
    /// Whether the address says `https`.
    pub(super) secure: bool,
    /// Whether it names the port of the listener itself.
    pub(super) direct: bool,
    /// Whether nobody has said where the caller is.
    pub(super) from_nobody: bool,
}

/// The parts of an address.
struct Address<'a> {
    secure: bool,
    /// Host and port, without a user.
    authority: &'a str,
    host: &'a str,
    port: u16,
    /// Path and query.
    target: &'a str,
}

impl Asked {
    /// The request under this World.
    ///
    /// # Errors
    ///
    /// It is none that a client could send, or it is not clear where it comes in: what is wrong, in words.
    pub(super) fn arriving(&self, world: &World, now: UnixTime) -> Result<Arriving, String> {
        let address = Address::read(&self.url)?;
        let (id, listener) = self.listener(world, &address)?;
        let peer = self.peer.unwrap_or(NOBODY);
        let tls = self.tls(listener, &address, now)?;
        let local = match address.host.trim_matches(['[', ']']).parse() {
            Ok(named) => named,
            Err(_) => listener.address.ip(),
        };
        let local = SocketAddr::new(local, listener.address.port());
        let connection = Connection::new(SocketAddr::new(peer, 1), local, id, tls);
        let body = self.body.as_ref().map(|text| STANDARD.decode(text)).transpose();
        let body = body.map_err(|_| "`body` is not base64")?.unwrap_or_default();
        let parts = self.parts(&address, body.len())?;
        let direct = address.port == listener.address.port();
        let from_nobody = self.peer.is_none();
        Ok(Arriving { parts, body: body.into(), connection, secure: address.secure, direct, from_nobody })
    }

    fn parts(&self, address: &Address<'_>, length: usize) -> Result<Parts, String> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| "no client can send this method")?;
        let target = Uri::try_from(address.target).map_err(|_| "no client can send this path: encode what is in it")?;
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.uri) = (method, target);
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a name of a field is none")?;
            let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes());
            let value = value.map_err(|_| format!("the value of `{name}` has control characters"))?;
            parts.headers.append(name, value);
        }
        if !parts.headers.contains_key(HOST) {
            let host = HeaderValue::try_from(address.host_field()).map_err(|_| "the host is none")?;
            parts.headers.insert(HOST, host);
        }
        let framed = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| parts.headers.contains_key(name));
        if length > 0 && !framed {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(parts)
    }

    /// The listener by which it comes in: the one that is named, else the one with this port, else the only one that
    /// speaks TLS or does not, as the address says.
    fn listener<'w>(&self, world: &'w World, address: &Address<'_>) -> Result<(ListenerId, &'w Listener), String> {
        let all = || {
            let positions = world.positions.iter().enumerate();
            positions.filter_map(|(id, position)| Some((ListenerId(id), &*world.listeners[(*position)?])))
        };
        if let Some(name) = &self.listener {
            let found = all().find(|(_, listener)| *listener.name == **name);
            return found.ok_or_else(|| format!("there is no listener `{name}`"));
        }
        let (by_port, by_scheme): (Vec<_>, Vec<_>) = (
            all().filter(|(_, listener)| listener.address.port() == address.port).collect(),
            all().filter(|(_, listener)| listener.tls.is_some() == address.secure).collect(),
        );
        for some in [by_port, by_scheme, all().collect()] {
            if let [only] = some[..] {
                return Ok(only);
            }
        }
        let names = all().map(|(_, listener)| format!("`{}`", listener.name)).collect::<Vec<_>>().join(", ");
        Err(format!("it is not clear by which listener it comes in: say which, of {names}"))
    }

    fn tls(&self, listener: &Listener, address: &Address<'_>, now: UnixTime) -> Result<Option<Tls>, String> {
        let Some(keeper) = &listener.tls else {
            return match self.client_certificate {
                Some(_) => {
                    Err(format!("the listener `{}` has no TLS, so that nobody presents a certificate", listener.name))
                }
                None => Ok(None),
            };
        };
        let named = address.host.parse::<IpAddr>().is_err() && !address.host.starts_with('[');
        let name = named.then(|| address.host.to_ascii_lowercase().into_boxed_str());
        let pem = self.client_certificate.as_deref().unwrap_or_default();
        keeper.present().presume(name, pem.as_bytes(), (keeper, now)).map(Some).map_err(|invalid| invalid.to_string())
    }
}

impl<'a> Address<'a> {
    fn read(url: &'a str) -> Result<Self, String> {
        const WRITE: &str = "write the whole address: https://host/path";
        let (scheme, rest) = url.split_once("://").ok_or(WRITE)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(WRITE.to_owned()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("leave user and password out of the address: send them in `Authorization`".to_owned());
        }
        let end = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[end..].rfind(':') {
            Some(at) => (&authority[..end + at], authority[end + at + 1..].parse().map_err(|_| WRITE)?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(WRITE.to_owned());
        }
        Ok(Self { secure, authority, host, port, target: if target.is_empty() { "/" } else { target } })
    }

    /// As clients write it: without the port that is the scheme's own.
    fn host_field(&self) -> &'a str {
        if self.port == if self.secure { 443 } else { 80 } { self.host } else { self.authority }
    }
}
