//! HTTP/2 towards an upstream of HTTP/1.1 (RFC 9113 §10.3): nothing that is said in frames becomes something else
//! in lines.

use crate::frames::{House, Outcome};
use crate::upstream::Upstream;

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// A plain request, and more fields.
fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Fields<'a> {
    let mut fields = vec![(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    fields.extend(more);
    fields
}

/// The same with other values under some of its pseudo-header names; an empty one leaves the name out.
fn other<'a>(pseudo: &[(&str, &'a str)], more: &[(&'a str, &'a str)]) -> Fields<'a> {
    let change = |(name, value)| match pseudo.iter().find(|(own, _)| *own == name) {
        Some((_, other)) => (name, *other),
        None => (name, value),
    };
    get("/case", more).into_iter().map(change).filter(|(_, value)| !value.is_empty()).collect()
}

fn ok() -> Outcome {
    Outcome::Answer(200, "upstream-ok".into())
}

/// The status of an answer that vidgate has worded, or 0 for a reset.
fn status(outcome: &Outcome) -> u16 {
    match outcome {
        Outcome::Reset => 0,
        Outcome::Answer(status, body) => {
            let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{outcome:?}"));
            assert_eq!(problem["status"], *status);
            *status
        }
    }
}

#[test]
fn a_request_in_frames_goes_upstream_in_lines() {
    let house = House::with("");
    let more = [("cookie", "a=b"), ("cookie", "c=d"), ("te", "trailers"), ("x-a", "1"), ("x-a", "2")];
    assert_eq!(house.ask(&get("//x/../%63ase?y", &more), ""), ok());
    let received = house.upstream.only();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("GET", "/case?y"));
    for (name, expected) in [
        ("host", Some("localhost")),
        ("cookie", Some("a=b; c=d")),
        ("te", Some("trailers")),
        ("via", Some("2.0 vidgate")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("localhost")),
        ("transfer-encoding", None),
        ("content-length", None),
        ("connection", None),
    ] {
        assert_eq!(received.header(name), expected, "{name}");
    }
}

#[test]
fn authority_and_host_name_one_host() {
    for (what, fields) in [
        ("the authority alone", get("/", &[])),
        ("the host alone", other(&[(":authority", "")], &[("host", "localhost")])),
        ("both", get("/", &[("host", "LOCALHOST:443")])),
    ] {
        assert_eq!(House::with("").ask(&fields, ""), ok(), "{what}");
    }
    let house = House::with("");
    for (what, fields) in [
        ("neither", other(&[(":authority", "")], &[])),
        ("another host", get("/", &[("host", "a.test")])),
        ("another port", get("/", &[("host", "localhost:80")])),
        ("two hosts", get("/", &[("host", "localhost"), ("host", "localhost")])),
        ("two other hosts", other(&[(":authority", "")], &[("host", "localhost"), ("host", "a.test")])),
        ("user information", other(&[(":authority", "user@localhost")], &[])),
        ("user and password", other(&[(":authority", "user:word@localhost")], &[])),
        ("a path", other(&[(":authority", "localhost/x")], &[])),
        ("a list", other(&[(":authority", "localhost,a.test")], &[])),
        ("a port that is none", other(&[(":authority", "localhost:x")], &[])),
        ("two authorities", get("/", &[(":authority", "a.test")])),
        ("an empty host beside", get("/", &[("host", "")])),
    ] {
        let outcome = house.ask(&fields, "");
        assert!([0, 400].contains(&status(&outcome)), "{what}: {outcome:?}");
    }
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_name_that_the_connection_was_not_made_for_is_misdirected() {
    let house = House::with("");
    for (name, host, expected) in
        [("a.test", "a.test", 200), ("a.test", "A.TEST.", 200), ("a.test", "b.test", 421), ("b.test", "localhost", 421)]
    {
        let outcome = house.connect(name).ask(&other(&[(":authority", host)], &[]), b"", &[]);
        let told = if outcome == ok() { 200 } else { status(&outcome) };
        assert_eq!(told, expected, "{name} {host}");
        let line = format!("GET /case HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(house.ask_http1(name, &line).starts_with(&format!("HTTP/1.1 {expected} ")), "{name} {host}");
    }
    // Other requests of the same connection are not harmed.
    let mut frames = house.connect("a.test");
    assert_eq!(status(&frames.ask(&other(&[(":authority", "b.test")], &[]), b"", &[])), 421);
    assert_eq!(frames.ask(&other(&[(":authority", "a.test")], &[]), b"", &[]), ok());
    assert_eq!(house.upstream.seen().len(), 5);
}

#[test]
fn nothing_in_frames_breaks_out_of_its_line() {
    let house = House::with("");
    for (what, fields) in [
        ("connection", get("/", &[("connection", "close")])),
        ("keep-alive", get("/", &[("keep-alive", "timeout=5")])),
        ("proxy-connection", get("/", &[("proxy-connection", "close")])),
        ("transfer-encoding", get("/", &[("transfer-encoding", "chunked")])),
        ("upgrade", get("/", &[("upgrade", "h2c")])),
        ("te", get("/", &[("te", "gzip")])),
        ("an upper-case name", get("/", &[("X-Evil", "1")])),
        ("a line break in a value", get("/", &[("x", "1\r\nx-vidgate-account: evil")])),
        ("a line feed in a value", get("/", &[("x", "1\nx: 2")])),
        ("a NUL in a value", get("/", &[("x", "1\0")])),
        ("a line break in a name", get("/", &[("x\r\ny", "1")])),
        ("a colon in a name", get("/", &[("x: 1\r\ny", "1")])),
        ("a space in a name", get("/", &[("x y", "1")])),
        ("an empty name", get("/", &[("", "1")])),
        ("a line break in the path", get("/ HTTP/1.1\r\nx: y", &[])),
        ("a space in the path", get("/a b", &[])),
        ("a NUL in the path", get("/a\0", &[])),
        ("no path", other(&[(":path", "")], &[])),
        ("a path without a slash", get("case", &[])),
        ("a whole address for a path", get("http://localhost/", &[])),
        ("an asterisk", get("*", &[])),
        ("two paths", get("/", &[(":path", "/x")])),
        ("a pseudo-header behind a field", get("/", &[("x", "y"), (":method", "PUT")])),
        ("an unknown pseudo-header", get("/", &[(":evil", "1")])),
        ("a status", get("/", &[(":status", "200")])),
        ("no method", other(&[(":method", "")], &[])),
        ("no scheme", other(&[(":scheme", "")], &[])),
        ("another scheme", other(&[(":scheme", "ftp")], &[])),
        ("a scheme that is none", other(&[(":scheme", "https://x")], &[])),
        ("a line break in the method", other(&[(":method", "GET / HTTP/1.1\r\nx: y")], &[])),
        ("a line break in the authority", other(&[(":authority", "localhost\r\nx: y")], &[])),
        ("a length that is none", get("/", &[("content-length", "x")])),
        ("two lengths", get("/", &[("content-length", "0"), ("content-length", "0")])),
        ("a signed length", get("/", &[("content-length", "+0")])),
        ("a length without a body", get("/", &[("content-length", "5")])),
        ("a framing field with an underscore", get("/", &[("transfer_encoding", "chunked")])),
        ("an encoded slash", get("/a%2fb", &[])),
        ("a semicolon", get("/a;b", &[])),
        ("a backslash", get("/a\\b", &[])),
        ("octets over 127", get("/caf\u{e9}", &[])),
        ("above the root", get("/../a", &[])),
    ] {
        let outcome = house.ask(&fields, "");
        assert!([0, 400].contains(&status(&outcome)), "{what}: {outcome:?}");
        assert_eq!(house.upstream.connections(), 0, "{what}");
    }
}

#[test]
fn methods_are_as_few_as_in_http_1() {
    let house = House::with("");
    for (what, fields, expected) in [
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "localhost:443")], vec![0, 501]),
        ("CONNECT with a path", other(&[(":method", "CONNECT")], &[]), vec![0, 501]),
        ("a tunnel for WebSocket", other(&[(":method", "CONNECT")], &[(":protocol", "websocket")]), vec![0, 501]),
        ("TRACE", other(&[(":method", "TRACE")], &[]), vec![501]),
        ("lower case", other(&[(":method", "get")], &[]), vec![501]),
        ("unknown", other(&[(":method", "BREW")], &[]), vec![501]),
    ] {
        let outcome = house.ask(&fields, "");
        assert!(expected.contains(&status(&outcome)), "{what}: {outcome:?}");
    }
    let ping = house.ask(&other(&[(":method", "OPTIONS"), (":path", "*")], &[]), "");
    assert_eq!(ping, Outcome::Answer(204, String::new()));
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn sizes_are_as_bounded_as_in_http_1() {
    let house = House::with("max_body = \"1 KiB\"");
    let (long, target) = ("a".repeat(40 * 1024), format!("/{}", "a".repeat(8 * 1024)));
    let names: Vec<String> = (0..101).map(|number| format!("x-{number}")).collect();
    let many: Fields<'_> = names.iter().map(|name| (name.as_str(), "y")).collect();
    let put = |length| other(&[(":method", "PUT")], &[("content-length", length)]);
    let large = "a".repeat(1025);
    for (what, fields, body, expected) in [
        ("a head of 40 KiB", get("/", &[("x", &long)]), "", vec![0, 431]),
        ("101 fields", get("/", &many), "", vec![431]),
        ("a target of 8 KiB and one", get(&target, &[]), "", vec![414]),
        ("a body that is announced", put("1025"), large.as_str(), vec![413]),
    ] {
        let outcome = house.ask(&fields, body);
        let told = match &outcome {
            // Where the library answers, it has no words.
            Outcome::Answer(431, body) if body.is_empty() => 431,
            Outcome::Answer(..) | Outcome::Reset => status(&outcome),
        };
        assert!(expected.contains(&told), "{what}: {outcome:?}");
        assert_eq!(house.upstream.connections(), 0, "{what}");
    }
    let mut frames = house.connect("localhost");
    let stream = frames.begin(&other(&[(":method", "PUT")], &[]), false);
    frames.data(stream, &large.as_bytes()[..1024], false);
    house.upstream.await_head("/case");
    frames.data(stream, b"a", true);
    assert_eq!(status(&frames.outcome(stream)), 413, "a body that is not announced");
    assert_eq!(house.upstream.broken_off().target, "/case");
}

const LICENSED: &str = r#"
[scheme.license.lkey]

[[account]]
id = "acme"
license_key = [{ id = "main", key = "v3.X9tKpuXq0btatj" }]

[[route]]
name = "licensed"
path = "/licensed"
authenticate = "license"
forward = "api"
"#;

#[test]
fn two_authorization_fields_are_two_here_too() {
    let house = House::with(LICENSED);
    let good = ("authorization", "LKey v3.X9tKpuXq0btatj");
    assert_eq!(house.ask(&get("/licensed", &[good]), ""), ok());
    for (what, more) in [
        ("the same", [good, good]),
        ("another", [good, ("authorization", "LKey v3.wrong")]),
        ("another kind", [("authorization", "Basic x"), good]),
        ("an empty one", [good, ("authorization", "")]),
    ] {
        for path in ["/licensed", "/open"] {
            assert_eq!(status(&house.ask(&get(path, &more), "")), 401, "{what} {path}");
        }
    }
    assert_eq!(house.upstream.seen().len(), 1);
}

#[test]
fn nobody_names_themselves_in_frames_or_behind_them() {
    let house = House::with(LICENSED);
    let more = [
        ("authorization", "LKey v3.X9tKpuXq0btatj"),
        ("x-vidgate-account", "evil"),
        ("x_vidgate_account", "evil"),
        ("x.vidgate.subject", "evil"),
        ("x-forwarded-for", "evil"),
        ("http2-settings", "evil"),
        ("trailer", "x-checksum, x-vidgate-account, authorization"),
    ];
    let mut fields = get("/licensed", &more);
    fields[0] = (":method", "PUT");
    let trailers =
        [("x-checksum", "abc"), ("x-vidgate-account", "evil"), ("authorization", "evil"), ("content-length", "9")];
    assert_eq!(house.connect("localhost").ask(&fields, b"hello", &trailers), ok());
    let received = house.upstream.only();
    assert_eq!(received.header("x-vidgate-account"), Some("acme"));
    assert_eq!(
        (received.body.as_slice(), received.trailers.as_slice()),
        (&b"hello"[..], &[("x-checksum".to_owned(), "abc".to_owned())][..])
    );
    assert!(!format!("{received:?}").contains("evil"), "{received:?}");
}

#[test]
fn a_body_arrives_whole_whatever_the_method_and_whether_or_not_it_was_announced() {
    for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS"] {
        for (announced, framing) in [(&[("content-length", "5")][..], "content-length"), (&[], "transfer-encoding")] {
            let house = House::with("");
            let outcome = house.ask(&other(&[(":method", method)], announced), "hello");
            assert!(matches!(outcome, Outcome::Answer(200, _)), "{method} {outcome:?}");
            let received = house.upstream.only();
            assert_eq!(received.body, b"hello", "{method} {announced:?} {received:?}");
            assert!(received.header(framing).is_some(), "{method} {received:?}");
        }
    }
}

#[test]
fn a_request_that_is_taken_back_is_taken_back_upstream_too() {
    let house = House::around(Upstream::start(), "");
    let mut frames = house.connect("localhost");
    let stream = frames.begin(&other(&[(":method", "PUT"), (":path", "/long")], &[("content-length", "10")]), false);
    frames.data(stream, b"hello", false);
    house.upstream.await_head("/long");
    frames.cancel(stream);
    assert_eq!(house.upstream.broken_off().target, "/long");
    assert_eq!(frames.ask(&get("/after", &[]), b"", &[]), ok());
    assert!(house.upstream.seen().iter().all(|received| received.target == "/after"));
}

#[test]
fn a_body_that_is_not_as_long_as_announced_never_arrives_as_a_whole() {
    let house = House::with("");
    for (what, length, body) in [("shorter", "10", "hello"), ("longer", "3", "hello")] {
        let outcome = house.ask(&other(&[(":method", "PUT")], &[("content-length", length)]), body);
        assert!([0, 400].contains(&status(&outcome)), "{what}: {outcome:?}");
    }
    assert!(house.upstream.seen().is_empty(), "{:?}", house.upstream.seen());
    assert_eq!(house.ask(&get("/after", &[]), ""), ok());
}
