//! What reaches an upstream, and what comes back: heads, framings and the fields that vidgate answers for.

use crate::house::{TestGateway, open};
use crate::peer::Played;
use crate::time::{Added, timed};
use crate::upstream::{Received, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The fields as sorted lines with names in lower case; the request id is checked for its form and left out.
fn lines(request: &Received) -> Vec<String> {
    let id = request.header("x-request-id").expect("a request id");
    assert!(id.len() == 33 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'), "{id}");
    let fields = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut lines: Vec<_> =
        fields.filter(|(name, _)| name != "x-request-id").map(|(name, value)| format!("{name}: {value}")).collect();
    lines.sort();
    lines
}

/// What is added to every request of an anonymous caller on a plain listener under `Host: a`.
const ADDED: [&str; 8] = [
    "forwarded: for=127.0.0.1;host=\"a\";proto=http",
    "host: a",
    "via: 1.1 vidgate",
    "x-forwarded-for: 127.0.0.1",
    "x-forwarded-host: a",
    "x-forwarded-proto: http",
    "x-vidgate-scheme: open",
    "x-vidgate-subject: anyone",
];

/// Sends a GET with these fields and says what the upstream got besides [`ADDED`], and what it got instead.
fn difference(gateway: &TestGateway, played: &Played, fields: &str) -> (Vec<String>, Vec<String>) {
    let mut wire = gateway.connect();
    wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
    let (mut peer, request) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().status, 200);
    let lines = lines(&request);
    let more = lines.iter().filter(|line| !ADDED.contains(&line.as_str())).cloned().collect();
    let less = ADDED.iter().filter(|line| !lines.iter().any(|own| own == *line)).map(ToString::to_string).collect();
    (more, less)
}

#[test]
fn the_upstream_gets_the_request_with_who_asks_and_where_from() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    let answer = gateway.connect().ask("GET /a/b?c=d HTTP/1.1\r\nHost: a\r\nAccept: x/y\r\nUser-Agent: t/1\r\n\r\n");
    let request = upstream.only();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a/b?c=d"));
    let mut expected: Vec<_> = ADDED.iter().map(ToString::to_string).collect();
    expected.extend(["accept: x/y".to_owned(), "user-agent: t/1".to_owned()]);
    expected.sort();
    assert_eq!(lines(&request), expected);
    assert_eq!(request.header("x-request-id"), answer.header("x-request-id"));
}

#[test]
fn what_a_caller_says_of_itself_is_replaced_or_dropped() {
    let played = Played::start();
    let gateway = TestGateway::open(&played.upstream);
    for forged in [
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n",
        "X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 192.0.2.1\r\nTrue-Client-IP: 192.0.2.1\r\n",
        "Forwarded: for=192.0.2.1;proto=https\r\n",
        "X-Vidgate-Subject: root\r\nx-vidgate-account: acme\r\nX_Vidgate_Subject: root\r\nX.Vidgate.Scopes: all\r\n",
        "X-Request-Id: mine\r\n",
        "X-HTTP-Method-Override: DELETE\r\nX-Method-Override: PUT\r\n",
        "X_Anything: 1\r\n",
        "Connection: X-Forwarded-For, X-Vidgate-Subject, Via, X-Request-Id, Host, Forwarded\r\n",
    ] {
        assert_eq!(difference(&gateway, &played, forged), (vec![], vec![]), "{forged}");
    }
    let passed_on = difference(&gateway, &played, "Via: 1.0 fred\r\n");
    assert_eq!(passed_on, (vec!["via: 1.0 fred".to_owned()], vec![]));
}

#[test]
fn a_trusted_proxys_word_is_kept_and_continued() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { top: "trusted_proxies = [\"127.0.0.0/8\"]", ..Added::default() });
    let (more, less) = difference(
        &gateway,
        &played,
        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: out.example\r\nForwarded: for=192.0.2.1;proto=https\r\n",
    );
    assert_eq!(
        more,
        [
            "forwarded: for=192.0.2.1;proto=https, for=127.0.0.1;host=\"a\";proto=http",
            "x-forwarded-for: 192.0.2.1, 192.0.2.2, 127.0.0.1",
            "x-forwarded-host: out.example",
            "x-forwarded-proto: https",
        ]
    );
    assert_eq!(less.len(), 4);
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: given-1\r\n\r\n");
    let (mut peer, request) = played.next_head();
    assert_eq!(request.header("x-request-id"), Some("given-1"));
    peer.say(OK);
    assert_eq!(wire.answer().header("x-request-id"), Some("given-1"));
}

#[test]
fn fields_of_one_connection_do_not_pass_towards_the_upstream() {
    let played = Played::start();
    // Where credentials are kept, so that it is seen who takes one out.
    let gateway = TestGateway::start(&open(&played.upstream, "credential = \"keep\""));
    for (fields, expected) in [
        ("Keep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: Basic QQ==\r\nProxy: x\r\n", &[][..]),
        ("Upgrade: websocket\r\nHTTP2-Settings: AAMA\r\n", &[]),
        ("Connection: X-A, X-B\r\nX-A: 1\r\nX-A: 2\r\nx-b: 3\r\nX-C: 4\r\n", &["x-c: 4"]),
        ("TE: gzip;q=0.5, trailers\r\n", &["te: trailers"]),
        ("TE: gzip\r\n", &[]),
        (
            "Connection: Authorization, Cookie\r\nAuthorization: A b\r\nCookie: c=d\r\n",
            &["authorization: A b", "cookie: c=d"],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(difference(&gateway, &played, fields), (expected, vec![]), "{fields}");
    }
}

#[test]
fn fields_of_one_connection_do_not_pass_towards_the_caller() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nConnection: X-A, keep-alive\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nok"
            .into()
    });
    let gateway = TestGateway::open(&upstream);
    let answer = gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-b", "x-request-id"]);
    assert_eq!(answer.header("x-request-id"), upstream.only().header("x-request-id"));
}

#[test]
fn the_upstream_gets_the_callers_host_or_its_own() {
    let upstream = Upstream::start();
    let own = upstream.address().to_string();
    for (setting, expected) in [("host = \"preserve\"", "a:81"), ("host = \"endpoint\"", own.as_str())] {
        let gateway = timed(&upstream, Added { upstream: setting, ..Added::default() });
        gateway.connect().ask("GET / HTTP/1.1\r\nHost: a:81\r\n\r\n");
        let request = upstream.seen().pop().expect("it was reached");
        assert_eq!(request.header("host"), Some(expected));
        assert_eq!(request.header("x-forwarded-host"), Some("a:81"));
    }
}

#[test]
fn an_http_1_0_request_without_a_host_gets_the_endpoints() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    let mut wire = gateway.connect();
    assert_eq!(wire.ask("GET / HTTP/1.0\r\n\r\n").text(), "upstream-ok");
    assert!(wire.is_closed(), "HTTP/1.0 ends with the answer");
    let request = upstream.only();
    assert_eq!(request.header("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(request.header("x-forwarded-host"), None);
    assert_eq!(request.header("via"), Some("1.0 vidgate"));
}

#[test]
fn a_target_arrives_with_its_canonical_path_and_its_query_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    for (sent, expected) in [
        ("/", "/"),
        ("/a?", "/a?"),
        ("/a//b?", "/a/b?"),
        ("/a?b=%2F%2e%2E+%zz&&c==&=d&%00", "/a?b=%2F%2e%2E+%zz&&c==&=d&%00"),
        ("/a?b=/../c//d?e=~!$'()*,;:@[]{}|^`\\", "/a?b=/../c//d?e=~!$'()*,;:@[]{}|^`\\"),
        ("/a/./b/../%7Ec?x=%7E", "/a/~c?x=%7E"),
        ("http://a/b?c=%41", "/b?c=%41"),
        ("http://a", "/"),
    ] {
        let answer = gateway.connect().ask(format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.status, 200, "{sent}: {answer:?}");
        assert_eq!(upstream.seen().pop().expect("it was reached").target, expected, "{sent}");
    }
}

#[test]
fn a_method_that_the_route_does_not_list_is_refused_with_those_it_does() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&open(&upstream, "methods = [\"GET\", \"PUT\"]"));
    let mut wire = gateway.connect();
    let answer = wire.ask("DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status, 405);
    let mut allowed: Vec<_> = answer.header("allow").expect("Allow").split(", ").collect();
    allowed.sort_unstable();
    // HEAD follows GET.
    assert_eq!(allowed, ["GET", "HEAD", "PUT"]);
    assert!(upstream.seen().is_empty());
    assert_eq!(wire.ask("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    for (method, head, expected) in [
        ("HEAD", "200 OK\r\nContent-Length: 12345\r\nETag: \"x\"", [Some("12345"), Some("\"x\"")]),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"x\"", [None, Some("\"x\"")]),
        ("HEAD", "404 Not Found\r\nContent-Length: 5", [Some("5"), None]),
        ("GET", "204 No Content\r\nETag: \"x\"", [None, Some("\"x\"")]),
        ("GET", "304 Not Modified\r\nETag: \"x\"", [None, Some("\"x\"")]),
        ("GET", "200 OK\r\nContent-Length: 0", [Some("0"), None]),
        ("DELETE", "204 No Content", [None, None]),
        // RFC 9110 §8.6 forbids the first length and leaves the second to us; upstreams say both.
        ("DELETE", "204 No Content\r\nContent-Length: 0", [None, None]),
        ("GET", "304 Not Modified\r\nContent-Length: 44", [None, None]),
    ] {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let upstream = Upstream::answering(move |_| head.clone().into());
        let gateway = timed(&upstream, Added::default());
        let mut wire = gateway.connect();
        for round in 0..2 {
            let answer = wire.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).head();
            assert_eq!([answer.header("content-length"), answer.header("etag")], expected, "{method} {round}");
        }
        assert!(wire.is_quiet(), "nothing follows the head of {method}");
        let connections: Vec<_> = upstream.seen().iter().map(|request| request.connection).collect();
        assert_eq!(connections, [0, 0], "the upstream's connection is used again");
    }
}

#[test]
fn a_post_without_a_body_says_so() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    for (fields, expected) in [("Content-Length: 0\r\n", Some("0")), ("", Some("0"))] {
        assert_eq!(gateway.connect().ask(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).status, 200);
        let request = upstream.seen().pop().expect("it was reached");
        assert_eq!(
            (request.header("content-length"), request.header("transfer-encoding")),
            (expected, None),
            "{fields}"
        );
    }
    assert_eq!(gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    assert_eq!(upstream.seen().pop().expect("it was reached").header("content-length"), None);
}

#[test]
fn a_body_keeps_its_framing_on_the_way_up() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    for (request, length, coding) in [
        ("Content-Length: 5\r\n\r\nhello", Some("5"), None),
        ("Content-Length: 005\r\n\r\nhello", Some("005"), None),
        ("Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", None, Some("chunked")),
        ("Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None, Some("chunked")),
    ] {
        for method in ["POST", "GET", "DELETE", "PATCH"] {
            assert_eq!(gateway.connect().ask(format!("{method} / HTTP/1.1\r\nHost: a\r\n{request}")).status, 200);
            let received = upstream.seen().pop().expect("it was reached");
            assert_eq!(received.body, b"hello", "{method} {request}");
            assert_eq!((received.header("content-length"), received.header("transfer-encoding")), (length, coding));
        }
    }
}

#[test]
fn an_answers_own_fields_pass_untouched() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 299 Quite Fine\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nServer: theirs/1\r\nSet-Cookie: a=1\r\n\
         Vary: x\r\nSet-Cookie: b=2; Path=/\r\nX-Name: Łódź\r\nX-Empty:\r\nVary: y\r\nContent-Length: 2\r\n\r\nok"
            .into()
    });
    let gateway = TestGateway::open(&upstream);
    let mut answer = gateway.connect().ask("GET / HTTP/1.1\r\nHost: a\r\nX-Name: Łódź\r\nX-Empty:\r\n\r\n");
    assert_eq!(answer.status, 299);
    answer.headers.retain(|(name, _)| name != "x-request-id");
    answer.headers.sort_by_key(|(name, _)| name.clone());
    let lines: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        lines,
        [
            "content-length: 2",
            "date: Mon, 01 Jan 2001 00:00:00 GMT",
            "server: theirs/1",
            "set-cookie: a=1",
            "set-cookie: b=2; Path=/",
            "vary: x",
            "vary: y",
            "x-empty: ",
            "x-name: Łódź",
        ]
    );
    let request = upstream.only();
    assert_eq!((request.header("x-name"), request.header("x-empty")), (Some("Łódź"), Some("")));
}

#[test]
fn vidgate_names_no_server_of_its_own() {
    let gateway = TestGateway::open(&Upstream::start());
    for target in ["/", "/%2f"] {
        assert_eq!(gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).header("server"), None);
    }
}

#[test]
fn an_answer_in_http_1_0_or_without_a_length_is_said_in_http_1_1() {
    for version in ["1.0", "1.1"] {
        let played = Played::start();
        let gateway = TestGateway::open(&played.upstream);
        let mut wire = gateway.connect();
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let (mut peer, _) = played.next_head();
            peer.say(format!("HTTP/{version} 200 OK\r\n\r\nto the end"));
            drop(peer);
            let answer = wire.answer();
            assert_eq!((answer.version.as_str(), answer.header("transfer-encoding")), ("HTTP/1.1", Some("chunked")));
            assert_eq!((answer.text(), answer.header("connection")), ("to the end", None));
        }
    }
}
