//! The address of the caller. The socket is asked first; a header is believed only where a configured proxy wrote it,
//! read from the right, hop by hop, up to the first address that nobody vouches for (RFC 7239 §8.1). No name is looked
//! up, and nothing here is a proof: an address becomes one only in the `ip` scheme.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::header::{FORWARDED, HeaderName, HeaderValue};
use http::{HeaderMap, header::GetAll};

use crate::edge::connection::Connection;
use crate::units::Network;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whose word on the caller's address is taken. By default nobody's.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Trusts the proxies in these networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether a proxy at this address is believed.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.network_of(address).is_some()
    }

    /// The first network by which it is.
    pub fn network_of(&self, address: IpAddr) -> Option<&Network> {
        self.0.iter().find(|network| network.contains(address))
    }
}

/// One step on the way to the caller's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// This address is at the other end, a trusted proxy's by this network.
    Peer(IpAddr, Option<&'a Network>),
    /// A list of hops is read, from the right.
    List(&'a HeaderName),
    /// A hop says that it was asked by this address, a trusted proxy's by this network, or by the caller.
    Hop(IpAddr, Option<&'a Network>),
    /// What a hop says is no address: `None` is what is not visible ASCII. That hop is taken for the caller.
    Nothing(Option<&'a str>, IpAddr),
    /// The two lists lead to different addresses.
    Contradiction(IpAddr, IpAddr),
}

/// Hears how an address is derived; by default nobody does.
pub trait Witness {
    /// The next step.
    fn step(&mut self, _: Step<'_>) {}
}

impl Witness for () {}

/// The address of the caller: the socket's, or what the nearest chain of trusted proxies says of it.
///
/// `X-Forwarded-For` and `Forwarded` are equals. Where both are there and lead to different addresses, one of them was
/// written by the caller and passed on untouched; which one nobody here can know, so the caller is then at 0.0.0.0,
/// which lies in no network of anybody's office. An entry that is no address (`unknown`, an empty one) ends the walk at
/// the hop that wrote it.
pub fn resolve(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    derive(peer, headers, proxies, &mut ())
}

/// The same before a witness.
pub fn derive(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies, witness: &mut impl Witness) -> IpAddr {
    let peer = peer.to_canonical();
    let trusted = proxies.network_of(peer);
    witness.step(Step::Peer(peer, trusted));
    if trusted.is_none() {
        return peer;
    }
    let mut follow = |name, read: fn(&str) -> Option<IpAddr>| walk(peer, proxies, (headers, name), read, witness);
    let ours = follow(&X_FORWARDED_FOR, node);
    let standard = follow(&FORWARDED, |element| node(parameter(element, "for")?));
    match (ours, standard) {
        (Some(one), Some(other)) if one != other => {
            witness.step(Step::Contradiction(one, other));
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        }
        (Some(address), _) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// Whether the caller spoke TLS: to the nearest trusted proxy if that says anything of it, else to us. Proxies that
/// contradict one another, or themselves, are taken to have said no.
pub fn secure(connection: &Connection, headers: &HeaderMap, proxies: &TrustedProxies) -> bool {
    let own = connection.tls.is_some();
    if !proxies.contains(connection.peer.ip()) {
        return own;
    }
    let ours = nearest(headers.get_all(&X_FORWARDED_PROTO), Some);
    let standard = nearest(headers.get_all(FORWARDED), |element| parameter(element, "proto"));
    match (ours, standard) {
        (None, None) => own,
        (Some(word), None) | (None, Some(word)) => word.eq_ignore_ascii_case("https"),
        (Some(one), Some(other)) => one.eq_ignore_ascii_case("https") && other.eq_ignore_ascii_case("https"),
    }
}

/// The address that a list of hops leads to; nothing if there is no such list.
fn walk(
    peer: IpAddr,
    proxies: &TrustedProxies,
    (headers, name): (&HeaderMap, &HeaderName),
    read: fn(&str) -> Option<IpAddr>,
    witness: &mut impl Witness,
) -> Option<IpAddr> {
    let mut entries = from_the_right(headers.get_all(name)).peekable();
    entries.peek()?;
    witness.step(Step::List(name));
    let mut hop = peer;
    for entry in entries {
        let Some(address) = entry.and_then(read) else {
            witness.step(Step::Nothing(entry, hop));
            return Some(hop);
        };
        let trusted = proxies.network_of(address);
        witness.step(Step::Hop(address, trusted));
        if trusted.is_none() {
            return Some(address);
        }
        hop = address;
    }
    Some(hop)
}

/// What the nearest hop says.
fn nearest<'a>(fields: GetAll<'a, HeaderValue>, read: impl Fn(&'a str) -> Option<&'a str>) -> Option<&'a str> {
    from_the_right(fields).next().flatten().and_then(read)
}

/// The address that ends a list of hops, which whoever wrote it vouches for, and the list before it.
pub fn last_hop(hops: &HeaderValue) -> Option<(IpAddr, Option<HeaderValue>)> {
    let text = hops.to_str().ok()?;
    let (before, last) = text.rsplit_once(',').map_or((None, text), |(before, last)| (Some(before), last));
    let before = before.map(str::trim_ascii).filter(|before| !before.is_empty());
    Some((node(last.trim_ascii())?, before.and_then(|before| HeaderValue::from_str(before).ok())))
}

/// The entries of all fields as one list, the last one first; `None` for one that is not visible ASCII. Quotes do not
/// shield a comma: an entry cut in two is no entry, whereas a quote opened further left, by the caller, must not
/// swallow what a proxy wrote behind it.
fn from_the_right(fields: GetAll<'_, HeaderValue>) -> impl Iterator<Item = Option<&str>> {
    // Each entry on its own: what a caller wrote further left must not spoil what a proxy wrote behind it.
    let entries = fields.into_iter().rev().flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    entries.map(|entry| str::from_utf8(entry).ok().filter(|entry| entry.is_ascii()).map(str::trim_ascii))
}

/// An address with or without a port, an IPv6 address with or without brackets. An IPv4-mapped one is its IPv4.
fn node(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = text.parse::<IpAddr>().ok().or_else(bare).or_else(with_port)?;
    Some(address.to_canonical())
}

/// The value of a parameter of a `Forwarded` element that has it exactly once. An element with a stray quote or with an
/// escape is none: it may be the tail of a longer one that a comma in quotes cut in two.
fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    for pair in element.split(';') {
        let (own, value) = pair.trim_ascii().split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?,
            None => value,
        };
        if value.contains(['"', '\\']) {
            return None;
        }
        if own.eq_ignore_ascii_case(name) && found.replace(value).is_some() {
            return None;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::connection::{ListenerId, Tls};

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).to_vec())
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let bytes = |value: &str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), bytes(value))).collect()
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn the_caller_is_the_rightmost_address_that_nobody_vouches_for() {
        for (what, peer, fields, expected) in [
            ("no header", "10.0.0.1", &[][..], "10.0.0.1"),
            ("an untrusted peer says nothing that counts", "192.0.2.1", &[(XFF, "198.51.100.1")][..], "192.0.2.1"),
            ("an untrusted peer, Forwarded", "192.0.2.1", &[("forwarded", "for=198.51.100.1")], "192.0.2.1"),
            ("one hop", "10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1"),
            ("a mapped peer", "::ffff:10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1"),
            ("a forged left part", "10.0.0.1", &[(XFF, "203.0.113.9, 198.51.100.1")], "198.51.100.1"),
            ("two trusted hops", "10.0.0.1", &[(XFF, "203.0.113.9,198.51.100.1 , 10.9.9.9")], "198.51.100.1"),
            ("two fields", "10.0.0.1", &[(XFF, "203.0.113.9"), (XFF, "198.51.100.1")], "198.51.100.1"),
            ("two fields, the last a hop", "10.0.0.1", &[(XFF, "198.51.100.1"), (XFF, "10.2.2.2")], "198.51.100.1"),
            ("trusted hops all the way", "10.0.0.1", &[(XFF, "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
            ("a mapped entry", "10.0.0.1", &[(XFF, "::ffff:198.51.100.1")], "198.51.100.1"),
            ("a mapped hop", "10.0.0.1", &[(XFF, "198.51.100.1, ::ffff:10.2.2.2")], "198.51.100.1"),
            ("a port", "10.0.0.1", &[(XFF, "198.51.100.1:4711")], "198.51.100.1"),
            ("brackets and a port", "10.0.0.1", &[(XFF, "[2001:db9::7]:4711")], "2001:db9::7"),
            ("brackets", "10.0.0.1", &[(XFF, "[2001:db9::7]")], "2001:db9::7"),
            ("IPv6", "2001:db8::1", &[(XFF, "2001:db9::7, 2001:db8::2")], "2001:db9::7"),
            ("unknown", "10.0.0.1", &[(XFF, "198.51.100.1, unknown")], "10.0.0.1"),
            ("unknown behind a hop", "10.0.0.1", &[(XFF, "198.51.100.1, unknown, 10.2.2.2")], "10.2.2.2"),
            ("an empty entry", "10.0.0.1", &[(XFF, "198.51.100.1,")], "10.0.0.1"),
            ("an empty field", "10.0.0.1", &[(XFF, "")], "10.0.0.1"),
            ("not ASCII", "10.0.0.1", &[(XFF, "198.51.100.1"), (XFF, "\u{e9}")], "10.0.0.1"),
            ("not ASCII further left", "10.0.0.1", &[(XFF, "\u{e9}, 198.51.100.1")], "198.51.100.1"),
            ("not ASCII in front of a hop", "10.0.0.1", &[(XFF, "\u{e9},198.51.100.1, 10.2.2.2")], "198.51.100.1"),
            ("not ASCII, Forwarded", "10.0.0.1", &[("forwarded", "for=\u{e9}, for=198.51.100.1")], "198.51.100.1"),
            ("leading zeros", "10.0.0.1", &[(XFF, "198.51.100.001")], "10.0.0.1"),
        ] {
            let seen = resolve(peer.parse().unwrap(), &headers(fields), &proxies());
            assert_eq!(seen, expected.parse::<IpAddr>().unwrap(), "{what}");
        }
    }

    #[test]
    fn the_standard_field_is_read_as_well() {
        for (field, expected) in [
            ("for=198.51.100.1", "198.51.100.1"),
            ("For=\"198.51.100.1:4711\";proto=https", "198.51.100.1"),
            ("for=203.0.113.9, for=198.51.100.1;by=10.0.0.1", "198.51.100.1"),
            ("for=\"[2001:db9::7]:80\", for=10.2.2.2", "2001:db9::7"),
            ("for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("for=198.51.100.1;for=203.0.113.9", "10.0.0.1"),
            ("for=198.51.100.1;by=\"\\a\"", "10.0.0.1"),
            ("for=\"203.0.113.9, for=198.51.100.1", "198.51.100.1"),
            ("for=198.51.100.1;host=\"x,for=203.0.113.9\"", "10.0.0.1"),
            ("for=198.51.100.1;host=\"x,for=203.0.113.9;y=\"", "10.0.0.1"),
            ("for=198.51.100.1;host=\"x,for=203.0.113.9;y=\\\"\"", "10.0.0.1"),
        ] {
            let seen = resolve("10.0.0.1".parse().unwrap(), &headers(&[("forwarded", field)]), &proxies());
            assert_eq!(seen, expected.parse::<IpAddr>().unwrap(), "{field}");
        }
    }

    #[test]
    fn two_fields_that_disagree_place_the_caller_nowhere() {
        for (standard, expected) in
            [("for=198.51.100.1", "198.51.100.1"), ("for=203.0.113.9", "0.0.0.0"), ("x", "0.0.0.0")]
        {
            let both = headers(&[(XFF, "198.51.100.1"), ("forwarded", standard)]);
            assert_eq!(resolve("10.0.0.1".parse().unwrap(), &both, &proxies()), expected.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn only_a_trusted_proxy_can_say_that_the_caller_spoke_tls() {
        const PROTO: &str = "x-forwarded-proto";
        for (what, peer, tls, fields, expected) in [
            ("plain", "192.0.2.1", false, &[][..], false),
            ("TLS", "192.0.2.1", true, &[][..], true),
            ("the caller's own word", "192.0.2.1", false, &[(PROTO, "https")][..], false),
            ("the caller's own word against itself", "192.0.2.1", true, &[(PROTO, "http")], true),
            ("a proxy's silence", "10.0.0.1", true, &[], true),
            ("a proxy's word", "10.0.0.1", false, &[(PROTO, "HTTPS")], true),
            ("a proxy's no, over TLS", "10.0.0.1", true, &[(PROTO, "http")], false),
            ("the nearest hop counts", "10.0.0.1", false, &[(PROTO, "https, http")], false),
            ("the nearest field counts", "10.0.0.1", false, &[(PROTO, "http"), (PROTO, "https")], true),
            ("the standard field", "10.0.0.1", false, &[("forwarded", "for=198.51.100.1;proto=https")], true),
            ("a contradiction", "10.0.0.1", true, &[(PROTO, "https"), ("forwarded", "proto=http")], false),
            ("a tail in quotes", "10.0.0.1", false, &[("forwarded", "host=\"x,proto=https\"")], false),
        ] {
            let tls = tls.then_some(Tls::default());
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let connection = Connection::new(peer, peer, ListenerId(0), tls);
            assert_eq!(secure(&connection, &headers(fields), &proxies()), expected, "{what}");
        }
    }

    #[test]
    fn by_default_nobody_is_trusted() {
        let seen =
            resolve("127.0.0.1".parse().unwrap(), &headers(&[(XFF, "198.51.100.1")]), &TrustedProxies::default());
        assert_eq!(seen, "127.0.0.1".parse::<IpAddr>().unwrap());
    }
}
