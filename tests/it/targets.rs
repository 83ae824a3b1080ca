//! Which host, which method, which form of target (RFC 9112 §3.2): the gateway and its upstream never differ.

use crate::house::{TestGateway, open};
use crate::stranger::Face::{Bare, Problem};
use crate::stranger::House;
use crate::upstream::Upstream;

#[test]
fn a_request_names_exactly_one_host_that_is_one() {
    let house = House::open();
    for (what, fields, face) in [
        ("none", "", Problem),
        ("an empty one", "Host:\r\n", Problem),
        ("two of the same", "Host: a\r\nHost: a\r\n", Problem),
        ("two", "Host: a\r\nHost: b\r\n", Problem),
        ("two in another case", "host: a\r\nHOST: b\r\n", Problem),
        ("a list", "Host: a, b\r\n", Problem),
        ("user information", "Host: user@a\r\n", Problem),
        ("a path", "Host: a/api\r\n", Problem),
        ("a port that is none", "Host: a:http\r\n", Problem),
        ("a port too large", "Host: a:65536\r\n", Problem),
        ("a broken IPv6 literal", "Host: [::1\r\n", Problem),
        ("an IPv6 literal with a zone", "Host: [fe80::1%25lo]\r\n", Problem),
        ("a blank inside", "Host: a b\r\n", Problem),
        ("octets over 127", "Host: caf\u{e9}\r\n", Problem),
        ("a NUL", "Host: a\0b\r\n", Bare),
        ("a space before the colon", "Host : a\r\n", Bare),
        ("an underscore spelling alone", "H_ost: a\r\n", Problem),
    ] {
        house.refuses(what, format!("GET / HTTP/1.1\r\n{fields}\r\n"), 400, face);
    }
    house.refuses("an empty one in HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", 400, Problem);
}

#[test]
fn a_request_of_http_1_0_may_leave_the_host_out_and_the_upstream_gets_one_all_the_same() {
    let house = House::open();
    let answer = house.send("GET /old HTTP/1.0\r\n\r\n").last_answer();
    assert_eq!(answer.status, 200);
    assert_eq!(house.upstream.only().header("host"), Some(house.upstream.address().to_string().as_str()));
}

#[test]
fn an_absolute_target_goes_upstream_as_a_path_if_it_names_the_very_host() {
    for (target, host, path) in [
        ("http://a/x?y=z", "a", "/x?y=z"),
        ("HTTP://A:80/x", "a", "/x"),
        ("http://a", "a", "/"),
        ("http://a?y", "a", "/?y"),
        ("http://a/%78/../y", "a:80", "/y"),
        ("https://a:443/x", "a", "/x"),
    ] {
        let house = House::open();
        let answer = house.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer();
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        let received = house.upstream.only();
        assert_eq!((received.target.as_str(), received.header("host")), (path, Some(host)), "{target}");
    }
    let house = House::open();
    for (what, target, fields, face) in [
        ("another host", "http://b/", "Host: a\r\n", Problem),
        ("another port", "http://a:81/", "Host: a\r\n", Problem),
        ("the port of another scheme", "https://a:80/", "Host: a\r\n", Problem),
        ("a subdomain", "http://a.b/", "Host: a\r\n", Problem),
        ("no field", "http://a/", "", Problem),
        ("an empty field", "http://a/", "Host:\r\n", Problem),
        ("user information", "http://b@a/", "Host: a\r\n", Problem),
        ("another scheme", "ftp://a/", "Host: a\r\n", Problem),
        ("no host", "http:///x", "Host: a\r\n", Bare),
        ("no slashes", "http:a/x", "Host: a\r\n", Bare),
        ("a bare name", "a", "Host: a\r\n", Problem),
        ("a name and a port", "a:80", "Host: a\r\n", Problem),
        ("a path without a slash", "x/y", "Host: a\r\n", Bare),
        ("an asterisk", "*", "Host: a\r\n", Problem),
        ("a backslash", "\\x", "Host: a\r\n", Bare),
        ("nothing", "", "Host: a\r\n", Bare),
    ] {
        house.refuses(what, format!("GET {target} HTTP/1.1\r\n{fields}\r\n"), 400, face);
    }
}

#[test]
fn a_question_after_the_server_itself_is_answered_by_the_house() {
    let house = House::open();
    let mut wire = house.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = wire.answer();
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    assert!(answer.header("x-request-id").is_some());
    // The connection goes on, and a body behind the question is not a request.
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = smuggled.len();
    wire.send(format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{smuggled}"));
    assert_eq!(wire.answer().status, 204);
    house.has_let_nothing_through("a question after the server");
    for (what, raw) in [
        ("no host", "OPTIONS * HTTP/1.1\r\n\r\n"),
        ("two hosts", "OPTIONS * HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        ("two codings", "OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        ("more than an asterisk", "OPTIONS *? HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let mut wire = house.send(raw);
        assert_eq!(wire.last_answer().status, 400, "{what}");
    }
    assert_eq!(house.send("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n").answer().status, 200);
    assert_eq!(house.upstream.seen().last().expect("it was sent").method, "OPTIONS");
}

#[test]
fn a_method_that_is_never_forwarded_is_not_implemented() {
    let house = House::open();
    for line in [
        "CONNECT a:443",
        "CONNECT /",
        "CONNECT http://a/",
        "TRACE /",
        "TRACE *",
        "TRACK /",
        "BREW /",
        "get /",
        "Get /",
        "GETT /",
        "G /",
        "PRI *",
        "M-SEARCH *",
        "GET! /",
    ] {
        house.refuses(line, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"), 501, Problem);
    }
    // The preface of HTTP/2, which a plain listener does not speak: no answer of HTTP/1.1 would be understood.
    assert!(house.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_closed());
    house.has_let_nothing_through("the preface of HTTP/2");
}

#[test]
fn a_method_that_the_route_does_not_list_is_named_as_such() {
    let house = House::with("methods = [\"GET\", \"PUT\"]");
    for method in ["POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let answer = house.send(format!("{method} /case HTTP/1.1\r\nHost: a\r\n\r\n")).answer();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, PUT")), "{method}");
    }
    house.has_let_nothing_through("methods that are not listed");
}

#[test]
fn head_follows_get_and_its_answers_have_no_body() {
    let house = House::with("methods = [\"GET\"]");
    let mut wire = house.gateway.connect();
    wire.send("HEAD /case HTTP/1.1\r\nHost: a\r\n\r\nHEAD /%00 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (taken, refused) = (wire.head(), wire.head());
    assert_eq!((taken.status, taken.header("content-length")), (200, Some("11")));
    assert_eq!(refused.status, 400);
    assert!(refused.header("content-length").is_some_and(|length| length != "0"));
    assert!(wire.is_closed(), "no byte of a body follows");
    assert_eq!(house.upstream.only().method, "HEAD");
}

#[test]
fn a_host_matches_without_case_or_its_last_dot_and_never_a_part_of_a_label() {
    let upstream = Upstream::start();
    let toml = open(&upstream, "host = \"*.example.com\"");
    let house = House { gateway: TestGateway::alone(&toml), upstream };
    for (host, status) in [
        ("a.example.com", 200),
        ("A.EXAMPLE.COM", 200),
        ("a.example.com.", 200),
        ("a.example.com:8080", 200),
        ("a.example.com.evil.test", 404),
        ("aexample.com", 404),
        ("a.example.com-evil.test", 404),
        ("example.com", 404),
        ("192.0.2.1", 404),
        ("[::1]", 404),
    ] {
        let answer = house.send(format!("GET /after HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer();
        assert_eq!(answer.status, status, "{host}");
    }
}
