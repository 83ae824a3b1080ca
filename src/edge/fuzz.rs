//! What a fuzzer holds the street's own readers to: paths, forwarded addresses, queries and forms. Each function takes any
//! bytes and panics where a promise is broken. The other reader of each is written as plainly as it goes, or is somebody
//! else's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, FORWARDED};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use url::form_urlencoded;

use crate::edge::client_ip::{TrustedProxies, resolve};
use crate::edge::path::canonical;
use crate::edge::preface::{Announced, Preface};
use crate::edge::proxy_protocol::{Ends, Parsed, parse};
use crate::edge::{pairs, preface};

/// The canonical path leads where a plain reader ends up with the path as sent, and can be read in one way only.
pub(crate) fn path(data: &[u8]) {
    let Ok(sent) = str::from_utf8(data) else { return };
    let Ok(own) = canonical(sent) else {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/".contains(&byte);
        assert!(!sent.starts_with('/') || !sent.bytes().all(plain), "refused a plain path: {sent}");
        return;
    };
    let twice = canonical(&own).expect("a canonical path is accepted");
    assert_eq!(twice, own, "from {sent}");
    for no in ["//", "/./", "/../", ";", "\\", "?", "#"] {
        assert!(!own.contains(no), "{no} in {own}");
    }
    assert!(own.is_ascii() && !own.bytes().any(|byte| byte.is_ascii_control() || byte == b' '), "{own}");
    for no in ["%2F", "%5C", "%00", "%0A", "%0D", "%2E", "%3B"] {
        assert!(!own.to_ascii_uppercase().contains(no), "{no} in {own}");
    }
    let meant = walked(sent);
    assert_eq!(walked(&own), meant, "{sent} became {own}");
    let decoded = String::from_utf8(percent_decoded(own.as_bytes())).expect("it decodes to text");
    assert!(!decoded.contains('%') || percent_decoded(decoded.as_bytes()) == decoded.as_bytes(), "twice: {own}");
}

/// The segments that are left at the end of a walk, decoded before it, and whether the last of them is a folder.
fn walked(path: &str) -> (Vec<Vec<u8>>, bool) {
    let (mut walk, mut folder) = (Vec::new(), true);
    for segment in path.split('/').map(|segment| percent_decoded(segment.as_bytes())) {
        folder = matches!(&*segment, b"" | b"." | b"..");
        match &*segment {
            b"" | b"." => {}
            b".." => drop(walk.pop()),
            _ => walk.push(segment),
        }
    }
    let folder = folder || walk.is_empty();
    (walk, folder)
}

/// As a plain reader decodes: what is no escape stays.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let escape = text_of(rest.get(1..3)).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let octet = escape.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(octet.unwrap_or(*byte));
        rest = if octet.is_some() { &rest[3..] } else { tail };
    }
    out
}

fn text_of(bytes: Option<&[u8]>) -> Option<&str> {
    str::from_utf8(bytes?).ok()
}

/// The first line is what a caller puts in front of the list; each further line is a field that a proxy has sent on,
/// `Forwarded` where it begins with `f`. Nobody who is not in the list is ever the caller, and whatever a caller puts in
/// front changes nothing where a proxy has named them.
pub(crate) fn forwarded(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let front = lines.next().unwrap_or_default();
    let fields: Vec<(HeaderName, &[u8])> = lines
        .map(|line| match line {
            [b'f', rest @ ..] => (FORWARDED, rest),
            _ => (HeaderName::from_static("x-forwarded-for"), line),
        })
        .collect();
    let Some(headers) = table(&fields) else { return };
    let proxies = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network"));
    let proxies = TrustedProxies::new(proxies.to_vec());
    let (stranger, proxy): (IpAddr, IpAddr) = ([203, 0, 113, 9].into(), [10, 0, 0, 1].into());
    assert_eq!(resolve(stranger, &headers, &proxies), stranger, "a stranger is believed");
    let caller = resolve(proxy, &headers, &proxies);
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    assert!(caller == proxy || caller == nobody || addresses(data).contains(&caller), "{caller} from nowhere");
    if proxies.contains(caller) || caller == nobody {
        return;
    }
    let (mut joined, mut apart) = (fields.clone(), Vec::new());
    let texts: Vec<Vec<u8>> = fields.iter().map(|(_, text)| [front, b",", text].concat()).collect();
    for name in [FORWARDED, HeaderName::from_static("x-forwarded-for")] {
        if let Some(first) = fields.iter().position(|field| field.0 == name) {
            joined[first].1 = &texts[first];
            apart.push((name, front));
        }
    }
    apart.extend(fields);
    for more in [joined, apart] {
        if let Some(headers) = table(&more) {
            assert_eq!(resolve(proxy, &headers, &proxies), caller, "moved by what stands in front: {headers:?}");
        }
    }
}

fn table(fields: &[(HeaderName, &[u8])]) -> Option<HeaderMap> {
    fields.iter().map(|(name, text)| Some((name.clone(), HeaderValue::from_bytes(text).ok()?))).collect()
}

/// Every address in a text, whatever stands around it.
fn addresses(text: &[u8]) -> Vec<IpAddr> {
    let foreign = |letter: char| !(letter.is_ascii_hexdigit() || ".:%[]".contains(letter));
    let text = String::from_utf8_lossy(text);
    let read = |word: &str| {
        let inside = word.trim_matches(['[', ']']);
        let socket = word.parse::<SocketAddr>().ok().map(|socket| socket.ip());
        Some(socket.or_else(|| inside.parse().ok())?.to_canonical())
    };
    // The `f` before a field of `Forwarded` looks like a digit.
    text.split(foreign).flat_map(|word| [word, word.strip_prefix('f').unwrap_or(word)]).filter_map(read).collect()
}

/// Names that are looked for.
const NAMES: [&str; 3] = ["cmd", "token", "api_key"];

/// Whoever looks for a name in a query finds it where any of the lenient readers does; once it was taken out nobody does,
/// and the rest is what it was.
pub(crate) fn query(data: &[u8]) {
    let Ok(query) = str::from_utf8(data) else { return };
    for name in NAMES {
        let names = [name.into()];
        let found = pairs::holds(Some(query), &names);
        assert!(found || !anybody_finds(query, name), "{name} is overlooked in {query}");
        let Some(rest) = pairs::without(query, &names) else {
            assert!(!found, "{name} is left in {query}");
            continue;
        };
        assert!(found && !pairs::holds(Some(&rest), &names), "{name} is left in {rest}");
        assert!(!anybody_finds(&rest, name), "{name} is overlooked in {rest}");
        let mut left = rest.split('&');
        for pair in query.split('&').filter(|pair| !pair.contains(';') && !pairs::is_called(pairs::name(pair), name)) {
            assert!(left.any(|own| own == pair), "{pair} of {query} is lost in {rest}");
        }
    }
}

/// Whether PHP, Rack or a reader that knows no capitals finds a field of this name, ending pairs at `&` or at `;` too.
fn anybody_finds(text: &str, name: &str) -> bool {
    let by = |own: &str, ends: &[char]| own.split(ends).any(|pair| takes_for(pairs::name(pair), name));
    by(text, &['&']) || by(text, &['&', ';'])
}

fn takes_for(raw: &str, name: &str) -> bool {
    let own = percent_decoded(raw.replace('+', " ").as_bytes());
    is_taken_for(&String::from_utf8_lossy(own.split(|byte| *byte == 0).next().unwrap_or_default()), name)
}

fn is_taken_for(own: &str, name: &str) -> bool {
    let own = own.to_lowercase();
    let php = own.trim_start_matches(' ');
    let php = match php.split_once('[') {
        // A bracket that nobody closes is an underscore.
        Some((before, behind)) if !behind.contains(']') => format!("{before}_{behind}"),
        Some((before, _)) => before.to_owned(),
        None => php.to_owned(),
    };
    let rack = own.trim_start_matches(['[', ']']).split(['[', ']']).next().unwrap_or_default();
    own == name || php.replace([' ', '.'], "_") == name || rack == name
}

/// A form that is accepted has the fields that the standard's reader finds in it, whatever a lenient reader finds counts,
/// and what is taken out is gone.
pub(crate) fn form_url_encoded(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let Ok(form) = Preface::read(Announced::UrlEncoded, body.clone()) else { return };
    let text = str::from_utf8(data).expect("an accepted form is text");
    let own: Vec<_> = form.fields().map(|field| (field.name.to_string(), lossy(&field.value))).collect();
    let theirs: Vec<_> = form_urlencoded::parse(data).into_owned().collect();
    assert_eq!(own, theirs, "{text}");
    assert_eq!(form.body(), &body);
    for name in NAMES {
        let found = form.values(name).count();
        assert!(found > 0 || !anybody_finds(text, name), "{name} is overlooked in {text}");
        if let Ok(Some(value)) = form.value(name) {
            let first = theirs.iter().find(|(own, _)| own == name);
            assert_eq!(first.map(|(_, own)| own), Some(&lossy(value)), "{name} in {text}");
        }
        let Ok(rest) = form.without(&[name.into()]) else { continue };
        let rest = Preface::read(Announced::UrlEncoded, rest).expect("what is left is a form");
        assert_eq!(rest.values(name).count(), 0, "{name} is left of {text}");
        let stays = |(own, _): &&(String, String)| !preface::reads_as(own, name);
        let left: Vec<_> = rest.fields().map(|field| (field.name.to_string(), lossy(&field.value))).collect();
        assert!(left.iter().eq(theirs.iter().filter(stays)), "{text}");
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first line is the type, the rest the body. A multipart form that is accepted falls apart in the same way for a
/// reader that only cuts at the delimiter.
pub(crate) fn form_multipart(data: &[u8]) {
    let at = memchr::memchr(b'\n', data).unwrap_or(data.len());
    let (kind, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let Ok(value) = HeaderValue::from_bytes(kind) else { return };
    let headers: HeaderMap = [(CONTENT_TYPE, value)].into_iter().collect();
    let Ok(Announced::Multipart(boundary)) = Announced::of(&headers) else { return };
    let kind = str::from_utf8(kind).expect("an accepted type is text");
    assert!(kind.contains(&*boundary) && !boundary.is_empty() && !boundary.contains(['"', ' ']), "{kind}");
    let Ok(form) = Preface::read(Announced::Multipart(boundary.clone()), Bytes::copy_from_slice(body)) else { return };
    let delimiter = ["--", &boundary].concat();
    let mut cuts: Vec<usize> = memmem::find_iter(body, &delimiter).collect();
    let last = cuts.pop().expect("an accepted form has an end");
    assert!(body[last + delimiter.len()..].starts_with(b"--"));
    let mut parts = Vec::new();
    for (place, from) in cuts.iter().enumerate() {
        let part = &body[from + delimiter.len()..*cuts.get(place + 1).unwrap_or(&last)];
        let part =
            part.strip_prefix(b"\r\n").and_then(|part| part.strip_suffix(b"\r\n")).expect("a part has its lines");
        let head = memmem::find(part, b"\r\n\r\n").expect("a part has a head");
        let name = first_name(str::from_utf8(&part[..head]).expect("a head is text"));
        parts.push((name, part[head + 4..].to_vec()));
    }
    let own: Vec<_> = form.fields().map(|field| (field.name.to_string(), field.value.to_vec())).collect();
    assert_eq!(own, parts);
    for name in NAMES {
        let found = form.values(name).count();
        assert!(found > 0 || !parts.iter().any(|(own, _)| is_taken_for(own, name)), "{name} is overlooked");
        assert!(form.without(&[name.into()]).is_ok() == (found == 0), "nothing is taken out of a multipart form");
    }
}

/// What stands behind the first `name=` of a part's disposition.
fn first_name(head: &str) -> String {
    let lines = head.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"));
    let line = lines.expect("a part has a disposition");
    let at = line.to_ascii_lowercase().find("name=").expect("a disposition has a name");
    let value = &line[at + 5..];
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => value.split([';', ' ', '\t']).next().unwrap_or_default().to_owned(),
    }
}

/// The first bytes of a connection from a balancer. A header ends where it ends: each part of it is the beginning of one and
/// asks for no byte behind it, with one byte more it is none, and whose the connection is a plain reader finds as well.
pub(crate) fn proxy_header(data: &[u8]) {
    let Ok(parsed) = parse(data) else { return };
    for length in 0..data.len() {
        let Ok(Parsed::Partial(more)) = parse(&data[..length]) else { panic!("{length} bytes are no beginning") };
        assert!(more > 0, "nothing is missing after {length} bytes");
    }
    let ends = match parsed {
        Parsed::Partial(more) => return assert!(more > 0),
        Parsed::Whole(ends) => ends,
    };
    let goes_too_far =
        |length: usize| matches!(parse(&data[..length]), Ok(Parsed::Partial(more)) if length + more > data.len());
    assert!(!(0..data.len()).any(goes_too_far), "it reads beyond the header");
    assert!(parse(&[data, b"G"].concat()).is_err(), "it takes more than the header");
    assert_eq!(ends, plain_ends(data));
    if let Some((caller, local)) = ends {
        let family = if caller.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {} {} {} {}\r\n", caller.ip(), local.ip(), caller.port(), local.port());
        assert_eq!(parse(line.as_bytes()), Ok(Parsed::Whole(ends)));
    }
}

/// What an accepted header says, word by word or byte by byte.
fn plain_ends(header: &[u8]) -> Option<Ends> {
    if header.starts_with(b"PROXY ") {
        let line = String::from_utf8_lossy(header);
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "TCP4" | "TCP6", caller, local, caller_port, local_port] = words[..] else { return None };
        let end = |address: &str, port: &str| Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?));
        return end(caller, caller_port).zip(end(local, local_port));
    }
    let (octets, ports): (usize, &[u8]) = match header.get(12..14)? {
        [0x21, 0x11] => (4, header.get(24..28)?),
        [0x21, 0x21] => (16, header.get(48..52)?),
        _ => return None,
    };
    let address = |at: usize| -> Option<IpAddr> {
        let own = header.get(at..at + octets)?;
        <[u8; 4]>::try_from(own).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(own).map(IpAddr::from)).ok()
    };
    let port = |at: usize| u16::from(ports[at]) << 8 | u16::from(ports[at + 1]);
    Some((SocketAddr::new(address(16)?, port(0)), SocketAddr::new(address(16 + octets)?, port(2))))
}
