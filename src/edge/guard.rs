//! What hyper lets through and we do not: a request passes here only if every reader behind us will see the same method,
//! framing, target and host in it (RFC 9112 §11.2). Paths have their own file.
//!
//! Three things need no look. Control characters in a field's value: neither hyper's parser nor the type lets them in.
//! `Content-Length` beside `Transfer-Encoding`: hyper drops the length and ends the connection after the answer. A
//! fragment: the `http` crate cuts it off, so it reaches neither us nor an upstream.

use std::net::Ipv6Addr;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Method, Version};
use hyper::ext::Protocol;

use crate::edge::connection::Connection;
use crate::refusal::{Cause, Refusal};
use crate::scan;

/// Fields of one head.
const MOST_FIELDS: usize = 100;

/// Lets a request in and says which host it is for: without its port, an IPv6 address in its brackets, empty where an
/// HTTP/1.0 request names none.
pub fn inspect<'a>(parts: &'a Parts, connection: &Connection) -> Result<&'a str, Refusal> {
    // The method comes first: CONNECT and its like give the rest of the head another meaning.
    if !is_known(&parts.method) {
        return Err(Refusal::new(Cause::MethodNotImplemented, "the method is not one that is ever forwarded").closing());
    }
    // hyper counts in HTTP/1 only; there it refuses more by itself.
    if parts.headers.len() > MOST_FIELDS {
        return Err(Refusal::new(Cause::HeadTooLarge, "more fields than a request may have"));
    }
    // One look at the names says which questions there are at all: most requests raise none.
    let (mut framed, mut expects) = (false, false);
    for name in parts.headers.keys() {
        framed |= [&TRANSFER_ENCODING, &CONTENT_LENGTH, &UPGRADE].contains(&name) || UNDERSCORED.contains(name);
        expects |= *name == EXPECT;
    }
    if parts.version == Version::HTTP_2 {
        no_connection_fields(&parts.headers)?;
    } else if framed {
        one_coding(&parts.headers, parts.version)?;
    }
    if framed {
        one_length(&parts.headers)?;
        no_upgrade_with_body(&parts.headers)?;
    }
    origin_form(parts)?;
    let host = one_host(parts)?;
    if expects
        && parts.headers.get_all(EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refusal::new(Cause::ExpectationFailed, "an expectation other than 100-continue"));
    }
    if !names_the_connection(host, connection) {
        return Err(Refusal::new(Cause::Misdirected, "the host is not the one that TLS was set up for"));
    }
    Ok(host)
}

/// Whether the host is what TLS was set up for. Where client certificates are asked for, every request must say so: by
/// the name that its client asked for, or without one by the address it came to or a name that the listener has.
fn names_the_connection(host: &str, connection: &Connection) -> bool {
    let Some(tls) = &connection.tls else { return true };
    match (&tls.server_name, &tls.names) {
        (Some(name), None) => host.is_empty() || same_name(name, host),
        (Some(name), Some(_)) => same_name(name, host),
        (None, None) => true,
        (None, Some(names)) => names.hold(host, connection.local.ip()),
    }
}

/// Reads an extended CONNECT to `websocket` (RFC 8441) as the GET that it would be in HTTP/1.1, so that routes and rules
/// see one method. Every other CONNECT stays what it is, and is refused.
pub fn read_extended_connect(parts: &mut Parts) {
    let websocket = |parts: &Parts| parts.extensions.get::<Protocol>().is_some_and(|own| own.as_str() == "websocket");
    if parts.method == Method::CONNECT && websocket(parts) {
        parts.method = Method::GET;
    }
}

/// Whether this asks after the server itself (`OPTIONS *`), which no upstream can answer. Such a request has no path:
/// answer it after [`inspect`] and before a head is made of it.
pub fn is_server_ping(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.uri.path_and_query().is_some_and(|target| target.as_str() == "*")
}

/// Refuses a target that is longer than its listener allows.
pub fn target_fits(parts: &Parts, limit: usize) -> Result<(), Refusal> {
    let authority = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if authority + path > limit {
        return Err(Refusal::new(Cause::TargetTooLong, "the target is longer than its listener allows"));
    }
    Ok(())
}

/// The host and port that the request is for, as received: what an upstream gets that wants to see the caller's.
pub fn authority(parts: &Parts) -> Option<&[u8]> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => parts.headers.get(HOST).map(HeaderValue::as_bytes),
    }
}

/// The registered methods that a route may list. TRACE echoes credentials and CONNECT is for proxies: neither is
/// among them. Methods are case-sensitive, so `get` is none.
pub(crate) fn is_known(method: &Method) -> bool {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            true
        }
        Method::TRACE | Method::CONNECT => false,
        _ => REGISTERED.contains(&method.as_str()),
    }
}

/// The IANA registry without what [`is_known`] says by itself, and without `PRI`, which is HTTP/2's preface.
const REGISTERED: [&str; 30] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// RFC 9113 §8.2.2: in HTTP/2 these fields mean nothing, and in the HTTP/1.1 behind us they would mean much.
fn no_connection_fields(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in [&CONNECTION, &TRANSFER_ENCODING, &UPGRADE, &KEEP_ALIVE, &PROXY_CONNECTION] {
        if headers.contains_key(name) {
            return Err(Refusal::malformed("a field of an HTTP/1 connection in an HTTP/2 request"));
        }
    }
    if headers.get_all(TE).iter().any(|value| value != "trailers") {
        return Err(Refusal::malformed("TE other than trailers in an HTTP/2 request"));
    }
    Ok(())
}

/// No transfer coding at all, or exactly one `chunked`. hyper reads `gzip, chunked` as chunked; an upstream may not.
fn one_coding(headers: &HeaderMap, version: Version) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if version != Version::HTTP_11 {
        return Err(Refusal::malformed("a transfer coding in HTTP/1.0"));
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::malformed("a transfer coding other than one chunked"));
    }
    Ok(())
}

static UNDERSCORED: [HeaderName; 2] =
    [HeaderName::from_static("content_length"), HeaderName::from_static("transfer_encoding")];

/// No length at all, or one number that every reader can hold. An upstream behind CGI reads `_` as `-`: a length
/// spelled that way would be its second.
fn one_length(headers: &HeaderMap) -> Result<(), Refusal> {
    if UNDERSCORED.iter().any(|name| headers.contains_key(name)) {
        return Err(Refusal::malformed("a framing field spelled with an underscore"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(Refusal::malformed("more than one content length"));
    }
    let digits = length.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) || str::from_utf8(digits).is_ok_and(|text| text.parse::<i64>().is_err()) {
        return Err(Refusal::malformed("a content length that is not a number, or too large a one"));
    }
    Ok(())
}

/// Bytes behind the head would be body to one reader and the new protocol to another.
fn no_upgrade_with_body(headers: &HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(UPGRADE) {
        return Ok(());
    }
    let empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes().iter().all(|digit| *digit == b'0'));
    if headers.contains_key(TRANSFER_ENCODING) || !empty {
        return Err(Refusal::malformed("an upgrade with a body"));
    }
    Ok(())
}

/// A path, a whole `http` or `https` address, or `OPTIONS *`; and a query that can go upstream as it is.
fn origin_form(parts: &Parts) -> Result<(), Refusal> {
    let uri = &parts.uri;
    match uri.scheme() {
        None if uri.authority().is_some() => return Err(Refusal::malformed("the target is a bare authority")),
        Some(scheme) if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS => {
            return Err(Refusal::malformed("the target's scheme is neither http nor https"));
        }
        Some(_) | None => {}
    }
    if !uri.path().starts_with('/') && !is_server_ping(parts) {
        return Err(Refusal::malformed("the target is not a path"));
    }
    if uri.query().is_some_and(|query| !scan::all(query.as_bytes(), |byte| byte.is_ascii_graphic())) {
        return Err(Refusal::malformed("the query has a character that may not stand there raw"));
    }
    Ok(())
}

/// The one host that the request names. Where the target names it too (absolute form, `:authority`), both agree:
/// RFC 9112 §3.2.2 would let the target win, but an upstream may look at the field.
fn one_host(parts: &Parts) -> Result<&str, Refusal> {
    const MALFORMED: &str = "the host is not a name or an address with a port";
    let mut fields = parts.headers.get_all(HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Refusal::malformed("more than one host"));
    }
    let field = match field {
        Some(field) => {
            let field = field.to_str().ok().and_then(Authority::parse);
            Some(field.ok_or_else(|| Refusal::malformed(MALFORMED))?)
        }
        None => None,
    };
    let target = match parts.uri.authority() {
        Some(target) => Some(Authority::parse(target.as_str()).ok_or_else(|| Refusal::malformed(MALFORMED))?),
        None => None,
    };
    match (target, field) {
        (Some(target), Some(field)) if !target.agrees(field, parts.uri.scheme()) => {
            Err(Refusal::malformed("the target and the host field name different hosts"))
        }
        // RFC 9112 §3.2: without the field a request of HTTP/1.1 is malformed even if its target names the host.
        (_, None) if parts.version == Version::HTTP_11 => Err(Refusal::malformed("no host")),
        (None, None) if parts.version == Version::HTTP_2 => Err(Refusal::malformed("no host")),
        (Some(named), _) | (None, Some(named)) => Ok(named.host),
        (None, None) => Ok(""),
    }
}

#[derive(Clone, Copy)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let end = if text.starts_with('[') {
            text.find(']')? + 1
        } else {
            text.bytes().position(|byte| byte == b':').unwrap_or(text.len())
        };
        let (host, rest) = text.split_at(end);
        if !is_host(host) {
            return None;
        }
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if rest.is_empty() => None,
            Some(_) | None => return None,
        };
        Some(Self { host, port })
    }

    fn agrees(self, other: Self, scheme: Option<&Scheme>) -> bool {
        let usual = if scheme == Some(&Scheme::HTTPS) { 443 } else { 80 };
        same_name(self.host, other.host) && self.port.unwrap_or(usual) == other.port.unwrap_or(usual)
    }
}

/// A name as people have them, the underscore of container names included, an IPv4 address, or an IPv6 address in
/// brackets; without a port.
pub(crate) fn is_host(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return literal.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    // How long the label is so far: none is empty.
    let mut label = 0;
    for byte in name.bytes() {
        match byte {
            b'.' if label > 0 => label = 0,
            b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => label += 1,
            _ => return false,
        }
    }
    label > 0 && host.len() <= 255
}

/// Whether two names are one: without case, one trailing dot off.
fn same_name(one: &str, other: &str) -> bool {
    let one = one.strip_suffix('.').unwrap_or(one);
    one.eq_ignore_ascii_case(other.strip_suffix('.').unwrap_or(other))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use http::{Request, Response};
    use http_body_util::Empty;
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::edge::connection::{ListenerId, Tls};
    use crate::edge::names::Names;

    fn connection(server_name: Option<&str>) -> Connection {
        let tls = server_name.map(|name| Tls { server_name: Some(name.into()), ..Tls::default() });
        Connection::new("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap(), ListenerId(0), tls)
    }

    /// What hyper makes of these bytes; nothing if it refuses them by itself.
    fn as_hyper_reads(raw: &[u8]) -> Option<Parts> {
        let seen = Rc::new(RefCell::new(None));
        let service = service_fn(|request: Request<Incoming>| {
            seen.borrow_mut().get_or_insert(request.into_parts().0);
            async { Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new())) }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            client.write_all(raw).await.unwrap();
            client.shutdown().await.unwrap();
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service).await;
        });
        seen.take()
    }

    /// What becomes of a raw request: the host, the name of the cause, or `hyper` where it never gets here.
    fn outcome(raw: &str) -> String {
        let Some(parts) = as_hyper_reads(raw.as_bytes()) else { return "hyper".into() };
        match inspect(&parts, &connection(None)) {
            Ok(host) => host.to_owned(),
            Err(refusal) => format!("{}{}", refusal.cause.name(), if refusal.close { ", closed" } else { "" }),
        }
    }

    const REFUSED: [&str; 2] = ["hyper", "malformed_request, closed"];

    #[test]
    fn a_request_without_exactly_one_good_host_is_refused() {
        for (what, fields) in [
            ("none", ""),
            ("empty", "Host:\r\n"),
            ("blank", "Host:  \t\r\n"),
            ("two, the same", "Host: a\r\nHost: a\r\n"),
            ("two", "Host: a\r\nHost: b\r\n"),
            ("a list", "Host: a, b\r\n"),
            ("a list without a space", "Host: a,b\r\n"),
            ("user information", "Host: user@a\r\n"),
            ("user and password", "Host: a:80@b\r\n"),
            ("a path", "Host: a/b\r\n"),
            ("a query", "Host: a?b\r\n"),
            ("a fragment", "Host: a#b\r\n"),
            ("a backslash", "Host: a\\b\r\n"),
            ("a space", "Host: a b\r\n"),
            ("a tab", "Host: a\tb\r\n"),
            ("a scheme", "Host: http://a\r\n"),
            ("a port that is none", "Host: a:x\r\n"),
            ("an empty port", "Host: a:\r\n"),
            ("a signed port", "Host: a:+80\r\n"),
            ("a port too large", "Host: a:65536\r\n"),
            ("two ports", "Host: a:80:80\r\n"),
            ("a port alone", "Host: :80\r\n"),
            ("an encoded octet", "Host: a%2eb\r\n"),
            ("an asterisk", "Host: *.a\r\n"),
            ("non-ASCII", "Host: caf\u{e9}\r\n"),
            ("an empty label", "Host: a..b\r\n"),
            ("a leading dot", "Host: .a\r\n"),
            ("two trailing dots", "Host: a..\r\n"),
            ("a dot", "Host: .\r\n"),
            ("an open bracket", "Host: [::1\r\n"),
            ("empty brackets", "Host: []\r\n"),
            ("a name in brackets", "Host: [a]\r\n"),
            ("an IPv4 address in brackets", "Host: [127.0.0.1]\r\n"),
            ("a zone", "Host: [fe80::1%25eth0]\r\n"),
            ("text behind the bracket", "Host: [::1]a\r\n"),
            ("an IPv6 address without brackets", "Host: ::1\r\n"),
            ("NUL", "Host: a\0b\r\n"),
        ] {
            let seen = outcome(&format!("GET / HTTP/1.1\r\n{fields}\r\n"));
            assert!(REFUSED.contains(&seen.as_str()), "{what}: {seen}");
        }
        let long = outcome(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(256)));
        assert_eq!(long, "malformed_request, closed");
    }

    #[test]
    fn the_host_is_named_without_its_port() {
        for (fields, expected) in [
            ("Host: api.example.com\r\n", "api.example.com"),
            ("Host: API.example.com.:8443\r\n", "API.example.com."),
            ("Host: my_service:80\r\n", "my_service"),
            ("Host: 127.0.0.1:9\r\n", "127.0.0.1"),
            ("Host: [::1]:8080\r\n", "[::1]"),
            ("host:\t[2001:DB8::7] \r\n", "[2001:DB8::7]"),
        ] {
            assert_eq!(outcome(&format!("GET /a HTTP/1.1\r\n{fields}\r\n")), expected);
        }
        assert_eq!(outcome("GET / HTTP/1.0\r\n\r\n"), "");
        assert_eq!(outcome("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), "a");
        assert_eq!(outcome("GET / HTTP/1.0\r\nHost:\r\n\r\n"), "malformed_request, closed");
    }

    #[test]
    fn a_target_is_a_path_or_names_the_very_host_of_the_field() {
        for (line, expected) in [
            ("GET /a?b=[{c}|^d`\\] HTTP/1.1", "localhost"),
            ("GET /a?b=\"c\" HTTP/1.1", "hyper"),
            ("GET http://localhost/a HTTP/1.1", "localhost"),
            ("GET HTTP://LOCALHOST:80/a HTTP/1.1", "LOCALHOST"),
            ("GET http://localhost HTTP/1.1", "localhost"),
            ("GET http://localhost?a HTTP/1.1", "localhost"),
            ("OPTIONS * HTTP/1.1", "localhost"),
            ("GET http://other/a HTTP/1.1", "malformed_request, closed"),
            ("GET http://localhost:81/a HTTP/1.1", "malformed_request, closed"),
            ("GET https://localhost:80/a HTTP/1.1", "malformed_request, closed"),
            ("GET http://user@localhost/a HTTP/1.1", "malformed_request, closed"),
            ("GET http://localhost.evil/a HTTP/1.1", "malformed_request, closed"),
            ("GET ftp://localhost/a HTTP/1.1", "malformed_request, closed"),
            ("GET * HTTP/1.1", "malformed_request, closed"),
            ("GET localhost HTTP/1.1", "malformed_request, closed"),
            ("GET localhost:80 HTTP/1.1", "malformed_request, closed"),
            ("OPTIONS localhost HTTP/1.1", "malformed_request, closed"),
            ("GET /a?\u{e9} HTTP/1.1", "malformed_request, closed"),
            ("GET /a?b\u{7f} HTTP/1.1", "hyper"),
            ("GET a/b HTTP/1.1", "hyper"),
            ("GET /a b HTTP/1.1", "hyper"),
            ("GET /a?\0 HTTP/1.1", "hyper"),
        ] {
            assert_eq!(outcome(&format!("{line}\r\nHost: localhost\r\n\r\n")), expected, "{line}");
        }
        assert_eq!(outcome("GET http://localhost/ HTTP/1.1\r\n\r\n"), "malformed_request, closed");
    }

    #[test]
    fn a_method_that_is_never_forwarded_is_not_implemented() {
        for line in [
            "CONNECT localhost:443 HTTP/1.1",
            "CONNECT / HTTP/1.1",
            "TRACE / HTTP/1.1",
            "get / HTTP/1.1",
            "Get / HTTP/1.1",
            "GETT / HTTP/1.1",
            "PRI * HTTP/1.1",
        ] {
            let seen = outcome(&format!("{line}\r\nHost: localhost\r\n\r\n"));
            assert_eq!(seen, "method_not_implemented, closed", "{line}");
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "VERSION-CONTROL"] {
            assert_eq!(outcome(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n")), "localhost", "{method}");
        }
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for (what, fields) in [
            ("gzip before chunked", "Transfer-Encoding: gzip, chunked\r\n"),
            ("identity before chunked", "Transfer-Encoding: identity, chunked\r\n"),
            ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
            ("chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            ("identity, then chunked", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"),
            ("a leading comma", "Transfer-Encoding: , chunked\r\n"),
            ("a trailing comma", "Transfer-Encoding: chunked,\r\n"),
            ("a parameter", "Transfer-Encoding: chunked;a=b\r\n"),
            ("xchunked", "Transfer-Encoding: xchunked\r\n"),
            ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
            ("nothing", "Transfer-Encoding:\r\n"),
            ("vertical tab", "Transfer-Encoding: \u{b}chunked\r\n"),
            ("underscore coding", "Transfer_Encoding: chunked\r\n"),
            ("underscore length", "Content_Length: 5\r\n"),
            ("underscore length, other case", "CONTENT_LENGTH: 5\r\n"),
            ("2^63", "Content-Length: 9223372036854775808\r\n"),
            ("2^64", "Content-Length: 18446744073709551616\r\n"),
            ("a sign", "Content-Length: +5\r\n"),
            ("a minus", "Content-Length: -0\r\n"),
            ("hex", "Content-Length: 0x5\r\n"),
            ("an underscore in the number", "Content-Length: 1_0\r\n"),
            ("a list", "Content-Length: 5, 5\r\n"),
            ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
            ("an empty length", "Content-Length:\r\n"),
            ("an upgrade with a body", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n"),
            ("an upgrade with chunks", "Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n"),
        ] {
            let seen = outcome(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nhello"));
            assert!(REFUSED.contains(&seen.as_str()), "{what}: {seen}");
        }
        let old = outcome("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        assert!(REFUSED.contains(&old.as_str()), "{old}");
    }

    #[test]
    fn framing_that_can_be_read_in_one_way_only_is_let_in() {
        for fields in [
            "Content-Length: 5\r\n",
            "Content-Length: 005\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\tCHUNKED \r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
            "Expect: 100-Continue\r\nContent-Length: 5\r\n",
            "X_Y: z\r\n",
            "X-Y: \u{e9}\r\n",
        ] {
            assert_eq!(outcome(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), "a", "{fields}");
        }
    }

    #[test]
    fn an_unknown_expectation_fails() {
        for fields in ["Expect: 200-ok\r\n", "Expect: 100-continue\r\nExpect: x\r\n", "Expect: 100-continue, x\r\n"] {
            assert_eq!(outcome(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), "expectation_failed");
        }
    }

    #[test]
    fn the_rules_do_not_lean_on_hypers_own() {
        for (what, version, fields) in [
            ("old coding", Version::HTTP_10, vec![("transfer-encoding", "chunked")]),
            ("two equal lengths", Version::HTTP_11, vec![("content-length", "5"), ("content-length", "5")]),
            ("a sign", Version::HTTP_11, vec![("content-length", "+5")]),
            ("an empty length", Version::HTTP_2, vec![("content-length", "")]),
        ] {
            let refusal = inspect(&parts(version, "/", &fields), &connection(None)).expect_err(what);
            assert!(refusal.close && refusal.cause == Cause::MalformedRequest, "{what}");
        }
    }

    fn parts(version: Version, target: &str, fields: &[(&str, &str)]) -> Parts {
        let builder = Request::builder().version(version).uri(target).header("host", "a");
        fields
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(*name, *value))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn http2_is_held_to_its_own_rules() {
        for (what, target, fields, expected) in [
            ("authority alone", "https://a/b", &[][..], Some("a")),
            ("host alone", "/b", &[("host", "a")][..], Some("a")),
            ("both", "https://a/b", &[("host", "A:443")][..], Some("a")),
            ("trailers", "https://a/b", &[("te", "trailers")][..], Some("a")),
            ("neither", "/b", &[][..], None),
            ("another host", "https://a/b", &[("host", "b")][..], None),
            ("another port", "https://a/b", &[("host", "a:80")][..], None),
            ("two hosts", "https://a/b", &[("host", "a"), ("host", "a")][..], None),
            ("user information", "https://user@a/b", &[][..], None),
            ("another scheme", "ftp://a/b", &[][..], None),
            ("connection", "https://a/b", &[("connection", "close")][..], None),
            ("keep-alive", "https://a/b", &[("keep-alive", "1")][..], None),
            ("proxy-connection", "https://a/b", &[("proxy-connection", "close")][..], None),
            ("transfer-encoding", "https://a/b", &[("transfer-encoding", "chunked")][..], None),
            ("upgrade", "https://a/b", &[("upgrade", "h2c")][..], None),
            ("te", "https://a/b", &[("te", "gzip")][..], None),
        ] {
            let builder = Request::builder().version(Version::HTTP_2).uri(target);
            let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
            let parts = builder.body(()).unwrap().into_parts().0;
            assert_eq!(inspect(&parts, &connection(None)).ok(), expected, "{what}");
        }
    }

    #[test]
    fn a_connection_made_for_another_name_is_misdirected() {
        for (server_name, host, expected) in [
            ("a.example", "a.example", true),
            ("a.example", "A.Example.:8443", true),
            ("a.example", "b.example", false),
            ("a.example", "x.a.example", false),
            ("a.example", "192.0.2.1", false),
        ] {
            let parts = Request::builder().uri("/").header("host", host).body(()).unwrap().into_parts().0;
            let seen = inspect(&parts, &connection(Some(server_name)));
            assert_eq!(seen.is_ok(), expected, "{server_name} {host}");
            assert!(expected || seen.is_err_and(|refusal| refusal.cause == Cause::Misdirected && !refusal.close));
        }
        let parts = Request::builder().uri("/").header("host", "192.0.2.1").body(()).unwrap().into_parts().0;
        assert_eq!(inspect(&parts, &connection(None)).unwrap(), "192.0.2.1");
    }

    #[test]
    fn where_certificates_are_asked_for_every_request_names_its_connection() {
        let mut names = Names::default();
        names.add("a.example");
        let names = Arc::new(names);
        for (server_name, host, expected) in [
            (Some("b.example"), "b.example", true),
            (Some("b.example"), "a.example", false),
            (Some("b.example"), "192.0.2.2", false),
            (Some("b.example"), "", false),
            (None, "192.0.2.2", true),
            (None, "192.0.2.2:9000", true),
            (None, "a.example", true),
            (None, "b.example", false),
            (None, "192.0.2.1", false),
            (None, "", false),
        ] {
            let tls =
                Tls { server_name: server_name.map(Into::into), names: Some(Arc::clone(&names)), ..Tls::default() };
            let connection = Connection { tls: Some(tls), ..connection(None) };
            let builder = Request::builder().version(Version::HTTP_10).uri("/");
            let builder = if host.is_empty() { builder } else { builder.header("host", host) };
            let parts = builder.body(()).unwrap().into_parts().0;
            let seen = inspect(&parts, &connection);
            assert_eq!(seen.is_ok(), expected, "{server_name:?} {host}");
            assert!(expected || seen.is_err_and(|refusal| refusal.cause == Cause::Misdirected), "{host}");
        }
    }

    #[test]
    fn a_head_has_room_for_a_hundred_fields() {
        for (version, fields, expected) in
            [(Version::HTTP_2, 99, None), (Version::HTTP_2, 100, Some(Cause::HeadTooLarge))]
        {
            // One more is the host.
            let fields = vec![("x", "y"); fields];
            let parts = parts(version, "/", &fields);
            let seen = inspect(&parts, &connection(None));
            assert_eq!(seen.err().map(|refusal| refusal.cause), expected);
        }
    }

    #[test]
    fn only_the_whole_asterisk_asks_after_the_server() {
        for (method, target, expected) in
            [("OPTIONS", "*", true), ("GET", "*", false), ("OPTIONS", "/", false), ("OPTIONS", "/*", false)]
        {
            let parts = Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0;
            assert_eq!(is_server_ping(&parts), expected, "{method} {target}");
        }
    }

    #[test]
    fn a_long_target_is_named_as_such() {
        let parts = parts(Version::HTTP_11, "/12345?78", &[]);
        assert!(target_fits(&parts, 9).is_ok());
        assert_eq!(target_fits(&parts, 8).unwrap_err().cause, Cause::TargetTooLong);
    }
}
