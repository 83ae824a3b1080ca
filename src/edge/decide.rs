//! What another proxy asks before it lets a request through (`auth_request` of nginx, `forwardAuth` of Traefik, `forward_auth`
//! of Caddy, `ext_authz` of Envoy): the request that is asked about is put together here, from what the check says of it,
//! and walks from then on as if its caller had come to us. Nothing of it is guessed: every part is said exactly once, by
//! the fields of one convention and never by those of another (GHSA-7x63-xv5r-3p2x).

use std::net::{IpAddr, SocketAddr};

use http::header::{
    CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::edge::client_ip;
use crate::edge::connection::{Connection, Tls};
use crate::edge::path;
use crate::refusal::{Cause, Refusal};
use crate::units::Network;

/// How a listener decides for other proxies.
#[derive(Debug)]
pub struct Decide {
    /// Whose checks are taken.
    pub from: Vec<Network>,
    /// How they say what they are about.
    pub reads: Convention,
    /// Whether the proxy sends the request to the target that the answer names. Else it sends what it has received, and
    /// what would be another path after it was read is refused.
    pub rewrites: bool,
}

/// How a check says what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// `X-Forwarded-Method` and `X-Forwarded-Uri`, as Traefik and Caddy do.
    Forwarded,
    /// `X-Original-Method` and `X-Original-URI`, as nginx is told to. It passes on no other refusals than 401 and 403.
    Original,
    /// Its own method, target and host, as Envoy does.
    Envoy,
}

impl Convention {
    /// As the configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Original => "original",
            Self::Envoy => "envoy",
        }
    }

    /// Whether a proxy says what it asks about in this field, which could say another method or target elsewhere.
    pub fn says_in(self, name: &HeaderName) -> bool {
        match self {
            Self::Original => [ORIGINAL_METHOD.0, ORIGINAL_URI.0].contains(name),
            Self::Forwarded | Self::Envoy => false,
        }
    }
}

/// A field that a check has exactly once, and what is wrong where it has not.
type Field = (HeaderName, &'static str);

const FOR: Field =
    (HeaderName::from_static("x-forwarded-for"), "the check does not say exactly once who asks (X-Forwarded-For)");
const PROTO: Field = (
    HeaderName::from_static("x-forwarded-proto"),
    "the check does not say exactly once what the caller speaks (X-Forwarded-Proto)",
);
const FORWARDED_HOST: Field = (
    HeaderName::from_static("x-forwarded-host"),
    "the check does not say exactly once for which host (X-Forwarded-Host)",
);
const FORWARDED_METHOD: Field = (
    HeaderName::from_static("x-forwarded-method"),
    "the check does not say exactly once which method (X-Forwarded-Method)",
);
const FORWARDED_URI: Field =
    (HeaderName::from_static("x-forwarded-uri"), "the check does not say exactly once which target (X-Forwarded-Uri)");
const ORIGINAL_METHOD: Field = (
    HeaderName::from_static("x-original-method"),
    "the check does not say exactly once which method (X-Original-Method)",
);
const ORIGINAL_URI: Field =
    (HeaderName::from_static("x-original-uri"), "the check does not say exactly once which target (X-Original-URI)");

/// The request that a check is about, and the connection that its caller has to the proxy.
#[derive(Debug)]
pub struct Subject {
    /// Its head; a body is not known.
    pub parts: Box<Parts>,
    /// As if it were one to us: the caller is its peer.
    pub connection: Connection,
}

impl Decide {
    /// Refuses whoever is none of the operator's proxies, before anything that they say is looked at.
    pub fn admit(&self, peer: IpAddr) -> Result<(), Refusal> {
        if self.from.iter().any(|network| network.contains(peer)) {
            return Ok(());
        }
        Err(Refusal::new(Cause::AddressRefused, "the listener decides for its own proxies alone (`decide.from`)"))
    }

    /// Whether these are the fields of a check: no caller of a proxy says which method, target or protocol was theirs.
    pub fn is_check(&self, fields: &HeaderMap) -> bool {
        let own: &[Field] = match self.reads {
            Convention::Forwarded => &[PROTO, FORWARDED_METHOD, FORWARDED_URI],
            Convention::Original => &[PROTO, ORIGINAL_METHOD, ORIGINAL_URI],
            Convention::Envoy => &[PROTO],
        };
        own.iter().any(|(name, _)| fields.contains_key(name))
    }

    /// The check that a proxy would send about this request of somebody at `peer`: the other way round than
    /// [`subject`](Self::subject), for whoever explains what becomes of it.
    ///
    /// # Errors
    ///
    /// Its target cannot be said in a field.
    pub fn check(&self, mut request: Parts, (peer, secure): (IpAddr, bool)) -> Result<Parts, Refusal> {
        let unspeakable = |_| Refusal::malformed("the target cannot be said in a field");
        let target = HeaderValue::try_from(request.uri.to_string()).map_err(unspeakable)?;
        let method = HeaderValue::try_from(request.method.as_str()).map_err(unspeakable)?;
        let fields = &mut request.headers;
        let host = fields.get(HOST).cloned();
        let said = match self.reads {
            Convention::Forwarded => Some((FORWARDED_METHOD.0, FORWARDED_URI.0)),
            Convention::Original => Some((ORIGINAL_METHOD.0, ORIGINAL_URI.0)),
            Convention::Envoy => None,
        };
        if let Some((method_field, target_field)) = said {
            fields.insert(method_field, method);
            fields.insert(target_field, target);
            host.map(|host| fields.insert(FORWARDED_HOST.0, host));
        }
        fields.insert(PROTO.0, HeaderValue::from_static(if secure { "https" } else { "http" }));
        let before = fields.get_all(FOR.0).iter().map(|value| [value.as_bytes(), b", "].concat());
        let hops = [&before.collect::<Vec<_>>().concat()[..], peer.to_string().as_bytes()].concat();
        fields.insert(FOR.0, HeaderValue::from_bytes(&hops).map_err(unspeakable)?);
        Ok(request)
    }

    /// Puts together what a check is about; refuses one that leaves anything open.
    pub fn subject(&self, check: &Parts, connection: &Connection) -> Result<Subject, Refusal> {
        let fields = &check.headers;
        let (method, target, host) = match self.reads {
            Convention::Forwarded => said(fields, &FORWARDED_METHOD, &FORWARDED_URI)?,
            Convention::Original => said(fields, &ORIGINAL_METHOD, &ORIGINAL_URI)?,
            Convention::Envoy => (check.method.clone(), own_target(check)?, own_host(check)?),
        };
        if !self.rewrites && path::canonical(target.path())? != target.path() {
            return Err(Refusal::malformed(
                "the path is not in its canonical form, and the proxy would send it as it is",
            ));
        }
        let secure = match one(fields, &PROTO)?.as_bytes() {
            b"https" => true,
            b"http" => false,
            _ => return Err(Refusal::malformed("X-Forwarded-Proto is neither http nor https")),
        };
        let (peer, before) = client_ip::last_hop(one(fields, &FOR)?)
            .ok_or_else(|| Refusal::malformed("X-Forwarded-For does not end with an address"))?;
        let mut request = Request::new(());
        (*request.method_mut(), *request.uri_mut()) = (method, Uri::from(target));
        *request.version_mut() = Version::HTTP_11;
        let own = request.headers_mut();
        own.insert(HOST, host);
        own.extend(fields.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())));
        // The proxy's peer may be a trusted proxy in turn: then what came before is for `client_ip` to read.
        own.extend(before.map(|before| (FOR.0, before)));
        own.insert(PROTO.0, HeaderValue::from_static(if secure { "https" } else { "http" }));
        let ends = (SocketAddr::new(peer, 0), connection.local, connection.listener);
        let connection = Connection::new(ends.0, ends.1, ends.2, secure.then(Tls::default));
        Ok(Subject { parts: Box::new(request.into_parts().0), connection })
    }
}

/// Method, target and host as the fields of a convention say them.
fn said(fields: &HeaderMap, method: &Field, target: &Field) -> Result<(Method, PathAndQuery, HeaderValue), Refusal> {
    let method = Method::from_bytes(one(fields, method)?.as_bytes());
    let method = method.map_err(|_| Refusal::malformed("the check names a method that is none"))?;
    let target = one(fields, target)?;
    // A fragment would be cut off without a word, and the proxy may send it.
    let whole = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    let target = Some(target.as_bytes()).filter(|target| target.starts_with(b"/") && target.iter().copied().all(whole));
    let target = target.and_then(|target| PathAndQuery::try_from(target).ok());
    let target = target.ok_or_else(|| Refusal::malformed("the check names a target that is no path"))?;
    Ok((method, target, one(fields, &FORWARDED_HOST)?.clone()))
}

/// The target that a check has itself.
fn own_target(check: &Parts) -> Result<PathAndQuery, Refusal> {
    let target = check.uri.path_and_query().filter(|target| target.as_str().starts_with('/'));
    target.cloned().ok_or_else(|| Refusal::malformed("the check's own target is no path"))
}

/// The host that a check has itself, in whatever way, always the same.
fn own_host(check: &Parts) -> Result<HeaderValue, Refusal> {
    let named = check.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut said = named.into_iter().chain(check.headers.get_all(HOST).iter().map(HeaderValue::as_bytes));
    let first = said.next().filter(|first| said.all(|other| other == *first));
    let host = first.and_then(|first| HeaderValue::from_bytes(first).ok());
    host.ok_or_else(|| Refusal::malformed("the check does not say exactly one host"))
}

/// The one value of a field.
fn one<'f>(fields: &'f HeaderMap, (name, missing): &Field) -> Result<&'f HeaderValue, Refusal> {
    let mut values = fields.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) if !only.is_empty() => Ok(only),
        _ => Err(Refusal::malformed(missing)),
    }
}

/// Whether a field of a check is the caller's own: not what belongs to the check, and not what says where a request came
/// from, which is said anew.
fn passes(name: &HeaderName) -> bool {
    let text = name.as_str();
    let frames = [HOST, CONTENT_LENGTH, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, FORWARDED].contains(name);
    let apart = matches!(text, "connection" | "keep-alive" | "http2-settings" | "x-real-ip");
    !frames && !apart && !["proxy-", "x-forwarded-", "x-original-"].iter().any(|family| text.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::connection::ListenerId;

    const FORWARDED_CHECK: [(&str, &str); 6] = [
        ("host", "vidgate"),
        ("x-forwarded-method", "PUT"),
        ("x-forwarded-uri", "/a?b"),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "192.0.2.1"),
    ];

    fn subject(reads: Convention, rewrites: bool, target: &str, fields: &[(&str, &str)]) -> Result<Subject, Refusal> {
        let request = Request::builder().uri(target);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let peer = "10.0.0.1:80".parse().unwrap();
        let connection = Connection::new(peer, peer, ListenerId(0), None);
        let decide = Decide { from: Vec::new(), reads, rewrites };
        decide.subject(&request.body(()).unwrap().into_parts().0, &connection)
    }

    /// A check with one field said otherwise, or (`None`) not at all.
    fn but(own: &str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
        let others = FORWARDED_CHECK.into_iter().filter(|(name, _)| *name != own);
        let own = FORWARDED_CHECK.into_iter().find(|(name, _)| *name == own).expect("a check has it").0;
        others.chain(value.map(|value| (own, value))).collect()
    }

    #[test]
    fn a_subject_is_what_the_check_says() {
        let subject = subject(Convention::Forwarded, false, "/anything", &FORWARDED_CHECK).unwrap();
        let Subject { parts, connection } = subject;
        assert_eq!((parts.method.as_str(), parts.uri.to_string()), ("PUT", "/a?b".to_owned()));
        assert_eq!(
            (&parts.headers["host"], connection.peer.ip().to_string()),
            (&"api.example".parse().unwrap(), "192.0.2.1".to_owned())
        );
        assert!(connection.tls.is_some());
    }

    #[test]
    fn whatever_is_said_twice_or_not_at_all_is_refused() {
        for (name, value) in FORWARDED_CHECK.into_iter().skip(1) {
            let twice: Vec<_> = FORWARDED_CHECK.into_iter().chain([(name, value)]).collect();
            for (what, fields) in [("twice", twice), ("not", but(name, None)), ("blank", but(name, Some("")))] {
                let refusal = subject(Convention::Forwarded, true, "/", &fields).expect_err(what);
                assert_eq!(refusal.cause, Cause::MalformedRequest, "{name} {what}");
            }
        }
    }

    #[test]
    fn nothing_stands_in_for_what_a_convention_says() {
        let also = |more: &[(&'static str, &'static str)], without: &str| {
            let fields = but(without, None);
            fields.into_iter().chain(more.iter().copied()).collect::<Vec<_>>()
        };
        let original = also(&[("x-original-method", "PUT"), ("x-original-uri", "/a")], "x-forwarded-uri");
        assert!(subject(Convention::Forwarded, true, "/", &original).is_err());
        assert!(subject(Convention::Original, true, "/", &original).is_ok());
        assert!(subject(Convention::Original, true, "/", &FORWARDED_CHECK).is_err());
        let own = subject(Convention::Envoy, true, "/own?c", &FORWARDED_CHECK).unwrap();
        assert_eq!((own.parts.method.as_str(), own.parts.uri.to_string()), ("GET", "/own?c".to_owned()));
        assert_eq!(own.parts.headers["host"], "vidgate");
    }

    #[test]
    fn only_the_operators_proxies_are_answered() {
        let from = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let decide = Decide { from, reads: Convention::Forwarded, rewrites: false };
        for (peer, expected) in [("10.0.0.1", true), ("2001:db8::1", true), ("192.0.2.1", false), ("::1", false)] {
            assert_eq!(decide.admit(peer.parse().unwrap()).is_ok(), expected, "{peer}");
        }
        let nobody = Decide { from: Vec::new(), ..decide };
        assert_eq!(nobody.admit("10.0.0.1".parse().unwrap()).unwrap_err().cause, Cause::AddressRefused);
    }

    #[test]
    fn a_caller_in_clear_is_one_and_a_host_is_said_in_one_way_alone() {
        let in_clear = subject(Convention::Forwarded, true, "/", &but("x-forwarded-proto", Some("http"))).unwrap();
        assert!(in_clear.connection.tls.is_none());
        assert_eq!(in_clear.parts.headers["x-forwarded-proto"], "http");
        for (target, expected) in [("/a", true), ("http://vidgate/a", true), ("http://other/a", false)] {
            assert_eq!(subject(Convention::Envoy, true, target, &FORWARDED_CHECK).is_ok(), expected, "{target}");
        }
        let hosts = |own| [FORWARDED_CHECK.to_vec(), vec![("host", own)]].concat();
        assert!(subject(Convention::Envoy, true, "/a", &hosts("vidgate")).is_ok());
        assert!(subject(Convention::Envoy, true, "/a", &hosts("other")).is_err());
        assert!(subject(Convention::Envoy, true, "/a", &but("host", None)).is_err());
    }

    #[test]
    fn what_nginx_is_told_to_say_is_said_in_fields_of_its_own() {
        for (name, expected) in [("x-original-uri", true), ("x-original-method", true), ("x-forwarded-uri", false)] {
            let says = |reads: Convention| reads.says_in(&name.parse().unwrap());
            assert_eq!(says(Convention::Original), expected, "{name}");
            assert!(!says(Convention::Forwarded) && !says(Convention::Envoy), "{name}");
        }
    }

    #[test]
    fn a_word_that_could_be_read_in_two_ways_is_refused() {
        for (name, value) in [
            ("x-forwarded-uri", "a"),
            ("x-forwarded-uri", "*"),
            ("x-forwarded-uri", "http://api.example/a"),
            ("x-forwarded-uri", "/a#b"),
            ("x-forwarded-uri", "/a#/../b"),
            ("x-forwarded-uri", "/a b"),
            ("x-forwarded-uri", "/caf\u{e9}"),
            ("x-forwarded-method", "GET, PUT"),
            ("x-forwarded-method", "GET PUT"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-proto", "wss"),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "192.0.2.1,"),
            ("x-forwarded-for", "192.0.2.1, _hidden"),
        ] {
            let seen = subject(Convention::Forwarded, true, "/", &but(name, Some(value)));
            assert_eq!(seen.expect_err(value).cause, Cause::MalformedRequest, "{name}: {value}");
        }
    }

    #[test]
    fn a_proxy_that_sends_what_it_received_is_told_of_canonical_paths_alone() {
        for (target, canonical) in [
            ("/a/b?c=%2e%2e/../d", true),
            ("/", true),
            ("/caf%C3%A9", true),
            ("/a/../b", false),
            ("/a/%2e%2e/b", false),
            ("//a", false),
            ("/a/./b", false),
            ("/%61", false),
            ("/caf%c3%a9", false),
        ] {
            let fields = but("x-forwarded-uri", Some(target));
            assert_eq!(subject(Convention::Forwarded, false, "/", &fields).is_ok(), canonical, "{target}");
            assert!(subject(Convention::Forwarded, true, "/", &fields).is_ok(), "{target}");
        }
        // These are refused wherever they go.
        for target in ["/a%2fb", "/a%252e", "/a;b", "/a%00"] {
            let fields = but("x-forwarded-uri", Some(target));
            assert!(subject(Convention::Forwarded, false, "/", &fields).is_err(), "{target}");
        }
    }

    #[test]
    fn the_caller_is_where_the_proxy_saw_them() {
        for (said, peer, before) in [
            ("192.0.2.1", "192.0.2.1", None),
            ("203.0.113.9, 192.0.2.1", "192.0.2.1", Some("203.0.113.9")),
            ("unknown, 203.0.113.9 ,[2001:db8::1]:80", "2001:db8::1", Some("unknown, 203.0.113.9")),
        ] {
            let subject = subject(Convention::Forwarded, true, "/", &but("x-forwarded-for", Some(said))).unwrap();
            assert_eq!(subject.connection.peer.ip().to_string(), peer, "{said}");
            assert_eq!(subject.parts.headers.get(FOR.0).map(|value| value.to_str().unwrap()), before, "{said}");
        }
    }

    #[test]
    fn the_check_about_a_request_leads_back_to_it() {
        for reads in [Convention::Forwarded, Convention::Original, Convention::Envoy] {
            let decide = Decide { from: Vec::new(), reads, rewrites: false };
            let request = Request::builder().method("PUT").uri("/a?b").header(HOST, "api.example").header("a", "b");
            let request = request.header(FOR.0, "203.0.113.9").body(()).unwrap().into_parts().0;
            assert!(!decide.is_check(&request.headers), "a caller may come through a proxy before");
            let check = decide.check(request, ("192.0.2.1".parse().unwrap(), true)).unwrap();
            assert!(decide.is_check(&check.headers));
            let peer = "10.0.0.1:80".parse().unwrap();
            let subject = decide.subject(&check, &Connection::new(peer, peer, ListenerId(0), None)).unwrap();
            assert_eq!((subject.parts.method.as_str(), subject.parts.uri.to_string()), ("PUT", "/a?b".to_owned()));
            assert_eq!(
                (&subject.parts.headers[HOST], &subject.parts.headers["a"]),
                (&"api.example".parse().unwrap(), &"b".parse().unwrap())
            );
            assert_eq!(subject.parts.headers[FOR.0], "203.0.113.9");
            assert_eq!(
                (subject.connection.peer.ip().to_string(), subject.connection.tls.is_some()),
                ("192.0.2.1".to_owned(), true)
            );
        }
    }

    #[test]
    fn a_subject_has_the_callers_fields_and_nothing_of_the_check() {
        let own = [("authorization", "LKey a"), ("origin", "https://a"), ("api_key", "b"), ("cookie", "c")];
        let others = [
            ("content-length", "0"),
            ("connection", "close"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic QQ=="),
            ("forwarded", "for=198.51.100.1"),
            ("x-real-ip", "198.51.100.1"),
            ("x-forwarded-port", "1"),
            ("x-original-url", "/b"),
        ];
        let fields: Vec<_> = FORWARDED_CHECK.into_iter().chain(own).chain(others).collect();
        let parts = subject(Convention::Forwarded, true, "/", &fields).unwrap().parts;
        let mut names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["api_key", "authorization", "cookie", "host", "origin", "x-forwarded-proto"]);
    }
}
