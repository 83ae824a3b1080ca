//! Which header fields of a caller go on to an upstream. Everything here keeps back: what vidgate adds is added after, so
//! that a caller cannot name it in `Connection` and have it removed again (RFC 9110 §7.6.1).

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE,
    EXPECT, FORWARDED, HOST, HeaderName, HeaderValue, ORIGIN, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// What concerns one connection only, named in `Connection` or not (RFC 9110 §7.6.1), beside `Proxy-*`. `Expect` is
/// settled on either side by itself; `Trailer` announces what may still come and stays.
static HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    EXPECT,
];

/// What `Connection` may not take away: without these the upstream would see another request than the one that was
/// decided on. RFC 9110 §7.6.1 forbids a sender to name what is meant for all recipients.
static END_TO_END: [HeaderName; 11] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    AUTHORIZATION,
    COOKIE,
    ORIGIN,
    CACHE_CONTROL,
    FORWARDED,
    HeaderName::from_static("x-request-id"),
];

/// Which fields of a caller go on. Asked of each by itself, so that no map is changed.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    /// Names with an underscore that may pass.
    declared: &'a [HeaderName],
    /// Whether the caller is a trusted proxy.
    trusted: bool,
    /// Where a credential may stand that stays here.
    places: &'a [HeaderName],
    /// What the hop before has named in `Connection`.
    named: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    /// For the fields of one request.
    pub(super) fn new(
        headers: &'a HeaderMap,
        declared: &'a [HeaderName],
        trusted: bool,
        places: &'a [HeaderName],
    ) -> Self {
        let usual = ["keep-alive", "close"];
        let named = words(headers, &CONNECTION).filter(|word| !usual.contains(word)).collect();
        Self { declared, trusted, places, named }
    }

    /// Whether a field goes on: not what was meant for the caller's connection, what could pass for a word of vidgate,
    /// what would change the method or the target, a credential, or a name with an underscore.
    pub(super) fn passes(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        let underscored = text.contains('_');
        !(is_hop_by_hop(text)
            || !self.trusted && is_about_origin(text)
            || text.starts_with('x') && (is_identity(name) || is_override(name))
            || underscored && !self.declared.contains(name)
            || is_one_of(name, self.places)
            || self.is_named(name))
    }

    fn is_named(&self, name: &HeaderName) -> bool {
        self.named.iter().any(|word| word.eq_ignore_ascii_case(name.as_str())) && may_be_named(name)
    }
}

/// The most ranges that are asked of an upstream at once.
const MOST_RANGES: usize = 100;

/// Whether so many ranges are asked for that answering costs more than the whole: then none is asked for, which a
/// recipient may always take it for (RFC 9110 §14.2).
pub(super) fn is_flood_of_ranges(headers: &HeaderMap) -> bool {
    let ranges = |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b',').count();
    headers.get_all(RANGE).iter().map(ranges).sum::<usize>() > MOST_RANGES
}

/// Whether `TE` has the word `trailers`, which stays where it was: it is a wish of the caller that a proxy which passes
/// trailers on can grant.
pub(super) fn wants_trailers(te: &HeaderValue) -> bool {
    te.to_str().is_ok_and(|text| text.split(',').any(|word| word.trim_ascii().eq_ignore_ascii_case("trailers")))
}

/// The names that a request announces as trailers.
pub(super) fn announced_trailers(headers: &HeaderMap) -> Vec<HeaderName> {
    words(headers, &TRAILER).filter_map(|word| HeaderName::try_from(word).ok()).collect()
}

/// Takes out what an upstream meant for its own connection.
pub fn strip_answer(headers: &mut HeaderMap) {
    if headers.keys().any(|name| is_hop_by_hop(name.as_str())) {
        strip_hop_by_hop(headers);
    }
}

/// Whether a field concerns one connection only. `Proxy` by itself becomes the `HTTP_PROXY` of a CGI program.
fn is_hop_by_hop(name: &str) -> bool {
    // Asked of every field in both directions: as a pattern, it costs little more than looking at the length.
    match name {
        "connection" | "keep-alive" | "te" | "transfer-encoding" | "upgrade" | "http2-settings" | "expect" => true,
        _ => name.strip_prefix("proxy").is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
    }
}

fn may_be_named(name: &HeaderName) -> bool {
    !END_TO_END.contains(name) && !is_forwarding(name)
}

/// Takes out what was meant for this connection alone.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let usual = |value: &HeaderValue| value == "keep-alive" || value == "close";
    let mut concerned = headers.iter().filter(|(name, _)| is_hop_by_hop(name.as_str()));
    if concerned.all(|(name, value)| *name == CONNECTION && usual(value)) {
        headers.remove(CONNECTION);
        return;
    }
    let trailers = headers.get_all(TE).iter().any(wants_trailers);
    // Looked up as text first, so that `keep-alive` and `close`, the usual words, cost no allocation.
    let named: Vec<HeaderName> = words(headers, &CONNECTION)
        .filter(|word| headers.contains_key(*word))
        .filter_map(|word| HeaderName::try_from(word).ok())
        .filter(|name| !HOP_BY_HOP.contains(name) && may_be_named(name))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    strip(headers, |name| is_hop_by_hop(name.as_str()));
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Fields that rule over a message or over what becomes of it: they come before the body or not at all.
const RULING: [&str; 30] = [
    "age",
    "authentication-info",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
];

/// Whether a field may come after the body: not one that frames, routes, authenticates, modifies or describes the
/// message (RFC 9110 §6.5.1), and not one that vidgate alone may set. Trailers are passed on, never merged.
pub(super) fn allowed_trailer(name: &HeaderName) -> bool {
    let text = name.as_str();
    let families = ["content-", "proxy-", "if-", "access-control-", "sec-"];
    !(RULING.contains(&text)
        || families.iter().any(|family| text.starts_with(family))
        || text.contains('_')
        || is_forwarding(name)
        || is_identity(name)
        || is_override(name))
}

/// The words of a list, over all its fields; a field that is not visible ASCII has none.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(',').map(str::trim_ascii))
}

/// Removes every field whose name is meant. The list is empty for most requests, and an empty list is not allocated.
fn strip(headers: &mut HeaderMap, is_meant: impl Fn(&HeaderName) -> bool) {
    let meant: Vec<HeaderName> = headers.keys().filter(|name| is_meant(name)).cloned().collect();
    for name in meant {
        headers.remove(name);
    }
}

fn is_forwarding(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-forwarded-")
}

/// Whether upstreams believe this field on where a request came from: a trusted proxy's word, and never the caller's own.
/// What vidgate says of it is written afterwards.
fn is_about_origin(name: &str) -> bool {
    match name {
        "x-real-ip"
        | "x-client-ip"
        | "client-ip"
        | "true-client-ip"
        | "x-cluster-client-ip"
        | "cf-connecting-ip"
        | "fastly-client-ip"
        | "x-envoy-external-address"
        | "x-original-forwarded-for"
        | "x-original-host"
        | "x-forwarded"
        | "forwarded-for"
        | "front-end-https" => true,
        other => other.starts_with("x-forwarded-"),
    }
}

pub(super) fn is_identity(name: &HeaderName) -> bool {
    reads_as(name, "x-vidgate", true)
}

/// IIS, and the frameworks that follow it, take the address of a request from the last four.
const OVERRIDES: [&str; 7] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
];

/// Whether an upstream could take method or target of a request from this field.
pub(super) fn is_override(name: &HeaderName) -> bool {
    OVERRIDES.iter().any(|own| reads_as(name, own, false))
}

/// Whether an upstream could read this name as one of these.
pub(super) fn is_one_of(name: &HeaderName, all: &[HeaderName]) -> bool {
    all.iter().any(|own| reads_as(name, own.as_str(), false))
}

/// Whether an upstream could read this name as `own`, or as a name that starts with it. Names are in lower case already;
/// some upstreams turn every other character than letters and digits into one.
fn reads_as(name: &HeaderName, own: &str, as_prefix: bool) -> bool {
    let (name, own) = (name.as_str().as_bytes(), own.as_bytes());
    (name.len() == own.len() || as_prefix && name.len() > own.len())
        && name.iter().zip(own).all(|(byte, own)| byte == own || *own == b'-' && !byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &str) -> HeaderMap {
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        lines.split(" | ").filter(|line| !line.is_empty()).map(field).collect()
    }

    /// The fields that are left, in the order of their names.
    fn left(headers: &HeaderMap) -> String {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        let mut lines: Vec<String> = headers.iter().map(text).collect();
        lines.sort();
        lines.join(" | ")
    }

    /// What passes of a request, with `TE` as it is written.
    fn after(lines: &str, declared: &[HeaderName], trusted: bool, places: &[HeaderName]) -> String {
        let headers = headers(lines);
        let filter = Filter::new(&headers, declared, trusted, places);
        let passed = headers.iter().filter(|(name, _)| filter.passes(name));
        let mut passed: HeaderMap = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        if headers.get_all(TE).iter().any(wants_trailers) {
            passed.insert(TE, HeaderValue::from_static("trailers"));
        }
        left(&passed)
    }

    /// What passes of a request and of an answer alike; a trusted proxy's, so that only hops matter.
    fn behind_a_hop(lines: &str) -> String {
        let mut answer = headers(lines);
        strip_answer(&mut answer);
        let request = after(lines, &[], true, &[]);
        assert_eq!(left(&answer), request, "{lines}");
        request
    }

    #[test]
    fn what_was_meant_for_one_connection_stays_behind() {
        for (received, expected) in [
            ("Accept: a | Connection: keep-alive", "accept: a"),
            ("Connection: X-A, close | X-A: 1 | X-A: 2 | X-B: 3", "x-b: 3"),
            ("Connection: x-a | Connection: ,, X-B ,;= | X-A: 1 | X-B: 2", ""),
            (
                "Keep-Alive: 5 | Transfer-Encoding: chunked | Upgrade: h2c | HTTP2-Settings: AAMA | Expect: 100-continue",
                "",
            ),
            ("Proxy-Connection: close | Proxy-Authorization: a | Proxy-Authenticate: b | Proxy-X: c | Proxy: d", ""),
            ("Proxied: a | X-Proxy-Y: b", "proxied: a | x-proxy-y: b"),
            ("Trailer: X-Sum | Connection: close", "trailer: X-Sum"),
            ("TE: gzip;q=0.5, Trailers | Connection: TE", "te: trailers"),
            ("TE: gzip | Connection: TE", ""),
            ("Connection: \u{e9}, X-A | X-A: 1", "x-a: 1"),
        ] {
            assert_eq!(behind_a_hop(received), expected, "{received}");
        }
    }

    #[test]
    fn every_field_of_a_hop_is_known_by_its_name() {
        assert!(HOP_BY_HOP.iter().all(|name| is_hop_by_hop(name.as_str())));
        assert!(END_TO_END.iter().all(|name| !is_hop_by_hop(name.as_str())));
    }

    #[test]
    fn connection_cannot_change_the_request_that_was_decided_on() {
        for kept in [
            "host: a",
            "content-length: 5",
            "content-type: a/b",
            "content-encoding: gzip",
            "authorization: Basic QQ==",
            "cookie: a=b",
            "origin: https://a",
            "forwarded: for=192.0.2.1",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-proto: https",
            "x-request-id: r",
        ] {
            let name = kept.split(':').next().unwrap().to_ascii_uppercase();
            assert_eq!(behind_a_hop(&format!("{kept} | Connection: close, {name}")), kept);
        }
    }

    #[test]
    fn a_name_with_an_underscore_goes_on_only_if_it_is_declared() {
        let declared = [HeaderName::from_static("api_key")];
        let received = "Api_Key: 1 | API_KEY: 2 | X_Forwarded_For: 3 | api-key: 4 | _: 5";
        assert_eq!(after(received, &declared, false, &[]), "api-key: 4 | api_key: 1 | api_key: 2");
        assert_eq!(after(received, &[], false, &[]), "api-key: 4");
    }

    #[test]
    fn nobody_but_vidgate_says_who_the_caller_is() {
        for forged in [
            "X-Vidgate-Subject: root",
            "x-vidgate-subject: a | X-VIDGATE-SUBJECT: b",
            "X_Vidgate_Subject: root",
            "X-Vidgate_Account: root",
            "x_vidgate-scopes: all",
            "X.Vidgate.Subject: root",
            "X-Vidgate-Anything: 1",
            "X-Vidgate: 1",
        ] {
            // Not even where it is declared, or a trusted proxy says it.
            let declared: Vec<_> = headers(forged).keys().cloned().collect();
            assert_eq!(after(forged, &declared, true, &[]), "", "{forged}");
        }
        assert_eq!(after("X-Vid: 1 | Y-X-Vidgate-Subject: 2", &[], false, &[]), "x-vid: 1 | y-x-vidgate-subject: 2");
    }

    #[test]
    fn neither_method_nor_target_can_be_overridden() {
        let forged = "X-HTTP-Method-Override: DELETE | X-HTTP-Method: PUT | X-Method-Override: PUT | X_HTTP_Method: PUT \
                      | X-Original-URL: /b | X-Original-URI: /b | X-Original-Method: PUT | X_Rewrite_URL: /b";
        let declared: Vec<_> = headers(forged).keys().cloned().collect();
        assert_eq!(after(forged, &declared, true, &[]), "");
        assert_eq!(after("X-HTTP-Methods: a", &[], false, &[]), "x-http-methods: a");
    }

    #[test]
    fn where_a_request_comes_from_is_a_trusted_proxys_word_alone() {
        let said = "x-forwarded-for: 1 | x-forwarded-port: 2 | x-real-ip: 3 | cf-connecting-ip: 4";
        let mut lines: Vec<_> = said.split(" | ").collect();
        lines.sort_unstable();
        assert_eq!(after(said, &[], true, &[]), lines.join(" | "));
        assert_eq!(after(said, &[], false, &[]), "");
    }

    #[test]
    fn a_credential_stays_where_its_place_is_named() {
        let places = [AUTHORIZATION, HeaderName::from_static("x-key")];
        let said = "authorization: A b | x-key: 1 | X-Key: 2 | x-keys: 3";
        assert_eq!(after(said, &[], false, &places), "x-keys: 3");
        // Nor where an upstream that turns every other sign into one would find it.
        assert_eq!(after("X.Key: 1 | x~key: 2 | x_key: 3 | xxkey: 4", &[], false, &places), "xxkey: 4");
        let declared = [HeaderName::from_static("x_key")];
        assert_eq!(after("x_key: 3", &declared, false, &places), "");
        assert_eq!(after(said, &[], false, &[]), "authorization: A b | x-key: 1 | x-key: 2 | x-keys: 3");
    }

    #[test]
    fn a_trailer_neither_frames_routes_nor_authenticates() {
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Trailer",
            "Connection",
            "TE",
            "Upgrade",
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "Set-Cookie",
            "Content-Type",
            "Content-Encoding",
            "Content-Range",
            "Range",
            "Expect",
            "Cache-Control",
            "If-Match",
            "Forwarded",
            "X-Forwarded-For",
            "X-Real-IP",
            "X-Vidgate-Subject",
            "X_Vidgate_Subject",
            "Content_Length",
            "X-HTTP-Method-Override",
            "Location",
            "Max-Forwards",
            "X-Request-Id",
        ] {
            assert!(!allowed_trailer(&name.parse().unwrap()), "{name}");
        }
        for name in ["X-Checksum", "Digest", "ETag", "Server-Timing", "grpc-status"] {
            assert!(allowed_trailer(&name.parse().unwrap()), "{name}");
        }
    }
}
