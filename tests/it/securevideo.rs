//! SecureVideo's API from the street: where customers may call from, what their bodies are, what they hear
//! of what went wrong, and paths in any case.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use bytes::Bytes;
use http::Request;
use hyper::body::Frame;

use crate::house::{TestGateway, open};
use crate::http2::secure;
use crate::log::Log;
use crate::peer::Played;
use crate::streams::{Pieces, Streams};
use crate::time::{Added, timed};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const DENIED: &str = "{\r\n  \"Message\": \"Authorization has been denied for this request.\"\r\n}";
const NOT_LISTED: &str = "{\r\n  \"Message\": \"Request Must Be From a Whitelisted IP Address\"\r\n}";

/// A gateway before SecureVideo; `top` stands at the beginning of its configuration.
fn house(upstream: &Upstream, top: &str) -> TestGateway {
    let accounts = [
        ("clinic", "", "\"198.51.100.1\""),
        ("ward", "parent = \"clinic\"", "\"0.0.0.0\""),
        ("developer", "", "\"203.0.113.7\", \"0.0.0.0\""),
        ("six", "", "\"2001:db8::/32\", \"::1\""),
        ("local", "", "\"127.0.0.0/8\""),
    ]
    .iter()
    .fold(String::new(), |accounts, (id, more, addresses)| {
        accounts
            + &format!(
                "[[account]]\nid = \"{id}\"\naddresses = [{addresses}]\n{more}\n\
             api_client = [{{ id = \"{id}-identifier\", secret = \"99176b1d244c484ed65dd792abc1\" }}]\n"
            )
    });
    let route = |name: &str, path: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nauthenticate = \"api\"\ndialect = \"message\"\n\
             case_sensitive = false\n{more}\n"
        )
    };
    let forward = "forward = \"api\"\nmask_errors = true\ncredential = \"keep\"\ncontent = \"json\"";
    let routes = route("user", "/User/{*rest}", forward)
        + &route("anywhere", "/anywhere/{*rest}", &format!("{forward}\naccount_addresses = false"))
        + &route("checked", "/checked", &forward.replace("json", "checked_json"))
        + &route("bounded", "/bounded", &(forward.replace("json", "checked_json") + "\nmax_body = \"16 B\""))
        + &route("limited", "/limited", &format!("{forward}\nmethods = [\"GET\"]"))
        + &route("later", "/Later", "not_implemented = true");
    let more = r#"
[listener.six]
address = "[::1]:0"

[listener.both]
address = "[::]:0"

[scheme.api.basic]
tls_only = false
"#;
    let plain = open(upstream, "").replace("path = \"/{*rest}\"", "path = \"/open\"").replacen(
        "address",
        "dialect = \"message\"\naddress",
        1,
    );
    TestGateway::alone(&format!("{top}\n{plain}\n{more}\n{accounts}\n{routes}"))
}

/// The field of a customer who knows the secret.
fn basic(customer: &str) -> String {
    let text = STANDARD.encode(format!("{customer}-identifier:99176b1d244c484ed65dd792abc1"));
    format!("Authorization: Basic {text}\r\n")
}

fn ask_at(gateway: &TestGateway, listener: &str, line: &str, fields: &str, body: &str) -> Answer {
    let mut address = gateway.address(listener);
    if listener == "both" {
        address.set_ip("127.0.0.1".parse().expect("an address"));
    }
    Wire::connect(address).ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"))
}

fn ask(gateway: &TestGateway, line: &str, fields: &str, body: &str) -> Answer {
    ask_at(gateway, "public", line, fields, body)
}

#[test]
fn a_customer_calls_from_listed_addresses_only() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for (what, listener, customer, status) in [
        ("6: elsewhere", "public", "clinic", 412),
        ("7: the wildcard in a list", "public", "developer", 200),
        ("7: the wildcard, from IPv6", "six", "developer", 200),
        ("IPv6", "six", "six", 200),
        ("IPv4 for a list of IPv6", "public", "six", 412),
        ("IPv6 for a list of IPv4", "six", "local", 412),
        ("a network", "public", "local", 200),
        ("an IPv4-mapped address is its IPv4", "both", "local", 200),
        ("an IPv4-mapped address elsewhere", "both", "clinic", 412),
        ("the list of the account above counts as well", "public", "ward", 412),
    ] {
        let answer = ask_at(&gateway, listener, "GET /user", &basic(customer), "");
        assert_eq!(answer.status, status, "{what}");
        if status == 412 {
            assert_eq!((answer.text(), answer.header("www-authenticate")), (NOT_LISTED, None), "{what}");
        }
        // A route may do without.
        assert_eq!(ask_at(&gateway, listener, "GET /anywhere/user", &basic(customer), "").status, 200, "{what}");
    }
    assert!(upstream.seen().iter().filter(|request| request.target == "/user").count() == 5);
}

#[test]
fn only_a_proven_customer_learns_that_there_is_a_list() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    let wrong = |text: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(text));
    for (what, fields) in [
        ("6: a wrong secret", wrong("clinic-identifier:99176b1d244c484ed65dd792abc2")),
        ("an unknown identifier", wrong("clinic:99176b1d244c484ed65dd792abc1")),
        ("nothing", String::new()),
    ] {
        let answer = ask(&gateway, "GET /user", &fields, "");
        assert_eq!((answer.status, answer.text()), (401, DENIED), "{what}");
        assert!(answer.header("www-authenticate").expect("a challenge").starts_with("Basic realm=\"SecureVideo\""));
    }
    // Not even what the credential may do: the address is asked about before the method's scopes and the body.
    let text = format!("{}Content-Type: text/plain\r\nContent-Length: 2\r\n", basic("clinic"));
    assert_eq!(ask(&gateway, "POST /user", &text, "hi").status, 412);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn forwarded_addresses_count_from_trusted_proxies_only() {
    let upstream = Upstream::start();
    let (direct, behind) =
        (house(&upstream, ""), house(&upstream, "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]"));
    for (what, customer, fields, from_anyone, from_proxy) in [
        ("8: one hop", "clinic", "X-Forwarded-For: 198.51.100.1\r\n", 412, 200),
        ("the standard field", "clinic", "Forwarded: for=198.51.100.1\r\n", 412, 200),
        ("mapped", "clinic", "X-Forwarded-For: ::ffff:198.51.100.1\r\n", 412, 200),
        ("a forged left part", "clinic", "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", 412, 412),
        ("two hops", "clinic", "X-Forwarded-For: 203.0.113.9, 198.51.100.1, 10.1.1.1\r\n", 412, 200),
        ("two fields", "clinic", "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n", 412, 412),
        ("a contradiction", "clinic", "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=203.0.113.9\r\n", 412, 412),
        ("IPv6", "six", "X-Forwarded-For: 2001:db8::7\r\n", 412, 200),
        ("IPv6 elsewhere", "six", "X-Forwarded-For: 2001:db9::7\r\n", 412, 412),
        ("a claim to be local", "local", "X-Forwarded-For: 198.51.100.1\r\n", 200, 412),
        ("the account above", "ward", "X-Forwarded-For: 198.51.100.1\r\n", 412, 200),
        ("no claim", "clinic", "", 412, 412),
        ("the wildcard", "developer", "X-Forwarded-For: 192.0.2.1\r\n", 200, 200),
    ] {
        let fields = basic(customer) + fields;
        for (gateway, expected) in [(&direct, from_anyone), (&behind, from_proxy)] {
            assert_eq!(ask(gateway, "GET /user", &fields, "").status, expected, "{what}");
        }
    }
}

#[test]
fn a_body_says_that_it_is_json() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for (what, line, fields, body, status) in [
        ("13: plain text", "POST /user", "Content-Type: text/plain\r\nContent-Length: 2\r\n", "{}", 415),
        ("13: a GET without a type", "GET /user", "", "", 200),
        ("JSON", "POST /user", "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}", 200),
        (
            "a DELETE with a body",
            "DELETE /user/7",
            "Content-Type: application/json\r\nContent-Length: 2\r\n",
            "{}",
            200,
        ),
        (
            "a parameter",
            "PUT /user",
            "Content-Type: application/JSON; charset=UTF-8\r\nContent-Length: 2\r\n",
            "{}",
            200,
        ),
        (
            "another charset",
            "PUT /user",
            "Content-Type: application/json; charset=utf-16\r\nContent-Length: 2\r\n",
            "{}",
            415,
        ),
        ("a kind of JSON", "PUT /user", "Content-Type: application/a+json\r\nContent-Length: 2\r\n", "{}", 200),
        ("no type", "POST /user", "Content-Length: 2\r\n", "{}", 415),
        ("no type, in chunks", "POST /user", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", 415),
        (
            "two types",
            "POST /user",
            "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n",
            "{}",
            415,
        ),
        ("an empty body", "POST /user", "Content-Length: 0\r\n", "", 200),
        ("nothing of a body", "POST /user", "", "", 200),
        (
            "13: malformed JSON is the upstream's",
            "POST /user",
            "Content-Type: application/json\r\nContent-Length: 2\r\n",
            "{]",
            200,
        ),
    ] {
        let before = upstream.seen().len();
        let answer = ask(&gateway, line, &(basic("local") + fields), body);
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(upstream.seen().len() - before, usize::from(status == 200), "{what}");
        if status == 415 {
            let message = "{\r\n  \"Message\": \"The body of the request is of a type that is not taken here.\"\r\n}";
            assert_eq!(answer.text(), message, "{what}");
        }
    }
}

#[test]
fn a_body_that_is_looked_into_arrives_byte_for_byte_or_not_at_all() {
    const NOT_JSON: &str = "{\r\n  \"Message\": \"The body is not JSON.\"\r\n}";
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    let json = "Content-Type: application/json\r\n";
    for (what, body) in
        [("an object", " {\"a\" :1.0e2}\r\n"), ("text", "\"caf\u{e9}\""), ("a number", "7"), ("none", "")]
    {
        let plain = format!("{}{json}Content-Length: {}\r\n", basic("local"), body.len());
        assert_eq!(ask(&gateway, "POST /checked", &plain, body).status, 200, "{what}");
        let received = upstream.seen().pop().expect("it was sent");
        assert_eq!((&received.body[..], received.header("trailer")), (body.as_bytes(), None), "{what}");
        let chunked = format!("{}{json}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n", basic("local"));
        let (head, tail) = body.split_at(body.len() / 2);
        let chunks = [head, tail].into_iter().filter(|part| !part.is_empty());
        let chunks = chunks.fold(String::new(), |all, part| all + &format!("{:x}\r\n{part}\r\n", part.len()));
        let answer = ask(&gateway, "POST /checked", &chunked, &format!("{chunks}0\r\nX-Sum: 1\r\n\r\n"));
        assert_eq!(answer.status, 200, "{what}");
        let received = upstream.seen().pop().expect("it was sent");
        // One framing, and the length of what came in pieces.
        assert_eq!(received.header("content-length"), Some(body.len().to_string().as_str()), "{what}");
        assert_eq!((&received.body[..], received.trailers.len()), (body.as_bytes(), 0), "{what}");
    }
    let before = upstream.seen().len();
    for (what, body) in
        [("half", "{"), ("two", "{}{}"), ("a form", "a=1"), ("deep", &"[".repeat(50_000)), ("blank", " ")]
    {
        let fields = format!("{}{json}Content-Length: {}\r\n", basic("local"), body.len());
        let answer = ask(&gateway, "POST /checked", &fields, body);
        assert_eq!((answer.status, answer.text()), (400, NOT_JSON), "{what}");
        // The body was read: the connection is good.
        assert_eq!(answer.header("connection"), None, "{what}");
    }
    for (what, framing, body) in [
        ("announced", "Content-Length: 17\r\n".to_owned(), "\"aaaaaaaaaaaaaaa\"".to_owned()),
        ("in chunks", "Transfer-Encoding: chunked\r\n".to_owned(), "11\r\n\"aaaaaaaaaaaaaaa\"\r\n0\r\n\r\n".to_owned()),
        ("1 MiB where nothing is said", format!("Content-Length: {}\r\n", (1 << 20) + 1), String::new()),
    ] {
        let path = if body.is_empty() { "/checked" } else { "/bounded" };
        let answer = ask(&gateway, &format!("POST {path}"), &(basic("local") + json + &framing), &body);
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "{what}");
    }
    let fields = format!("{}Content-Type: text/plain\r\nContent-Length: 2\r\n", basic("local"));
    assert_eq!(ask(&gateway, "POST /checked", &fields, "{}").status, 415);
    assert_eq!(upstream.seen().len(), before);
}

#[test]
fn an_upstreams_own_failure_is_for_the_log_alone() {
    const GENERIC: &str = "{\r\n  \"Message\": \"An error has occurred.\"\r\n}";
    let log = Log::shared();
    let upstream = Upstream::answering(|request| {
        let status = request.target.rsplit('/').next().expect("a last part");
        let sent = request.header("authorization").unwrap_or("nothing");
        let body = format!("<b>System.NullReferenceException</b>\n at C:\\inetpub\\db-{status}.cs for {sent}");
        let length = body.len();
        let body = if request.method == "HEAD" { String::new() } else { body };
        format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Type: text/html\r\nX-AspNet-Version: 4.0\r\nServer: IIS\r\nSet-Cookie: a=b\r\n\
             Retry-After: 7\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    });
    let gateway = house(&upstream, "");
    let mut wire = gateway.connect();
    for (status, said) in [
        (500, GENERIC),
        (501, "{\r\n  \"Message\": \"This is not available yet.\"\r\n}"),
        (502, "{\r\n  \"Message\": \"The service behind this address did not answer properly.\"\r\n}"),
        (503, "{\r\n  \"Message\": \"The service is busy. Please try again in a moment.\"\r\n}"),
        (504, "{\r\n  \"Message\": \"The service behind this address did not answer in time.\"\r\n}"),
        (599, GENERIC),
    ] {
        let answer = wire.ask(format!("GET /user/{status} HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("local")));
        assert_eq!((answer.status, answer.text()), (status, said));
        let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = "content-type cache-control pragma expires x-request-id retry-after content-length date";
        assert_eq!(names.join(" "), expected, "{status}");
        let id = answer.header("x-request-id").expect("an id");
        let line =
            log.await_line(&["the upstream failed, and the caller is not told how", &format!("request_id={id}")]);
        assert!(line.contains(" WARN ") && line.contains("route=\"user\""), "{line}");
        assert!(line.contains(&format!("status={status} content_type=text/html")), "{line}");
        assert!(line.contains(&format!("</b>\\n at C:\\\\inetpub\\\\db-{status}.cs")), "{line}");
        assert!(line.contains(" for Basic ***") && !line.contains(&basic("local")[21..40]), "{line}");
        let line = log.await_line(&["access", &format!("\"request_id\":\"{id}\"")]);
        assert!(line.contains(&format!("\"status\":{status},")), "{line}");
    }
    let head = wire.send(format!("HEAD /user/500 HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("local"))).head();
    assert_eq!((head.status, head.header("x-aspnet-version")), (500, None));
    // What was thrown away was read: all went by the same connection.
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn what_an_upstream_says_to_its_caller_passes_byte_for_byte() {
    const NOT_FOUND: &str = "{\r\n  \"Message\": \"User not found\"\r\n}";
    let upstream = Upstream::answering(|_| {
        let length = NOT_FOUND.len();
        format!(
            "HTTP/1.1 404 Not Found\r\nCache-Control: no-cache\r\nPragma: no-cache\r\nContent-Type: application/json; \
             charset=utf-8\r\nExpires: -1\r\nContent-Length: {length}\r\n\r\n{NOT_FOUND}"
        )
        .into_bytes()
    });
    let answer = ask(&house(&upstream, ""), "DELETE /user/2112", &basic("local"), "");
    assert_eq!((answer.status, answer.text(), answer.header("content-length")), (404, NOT_FOUND, Some("35")));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn a_failure_that_does_not_end_is_cut_off() {
    let played = Played::start();
    let gateway = timed(&played.upstream, Added { route: "mask_errors = true", ..Added::default() });
    for (what, body) in [
        ("stalled", "f\r\nat c:\\inetpub\\x\r\n".to_owned()),
        ("endless", "1000\r\n".to_owned() + &"a".repeat(4096) + "\r\n"),
    ] {
        let mut wire = gateway.connect();
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut peer, _) = played.next_head();
        peer.say("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
        if what == "stalled" {
            peer.say(body);
            gateway.settle("public");
            gateway.pass(Duration::from_millis(1500));
        } else {
            let mut socket = peer.socket();
            // Until nobody takes it any more.
            while std::io::Write::write_all(&mut socket, body.as_bytes()).is_ok() {}
        }
        let answer = wire.answer();
        assert_eq!((answer.status, answer.header("trailer")), (500, None), "{what}");
        assert!(answer.text().contains("Something went wrong on our side."), "{what}: {}", answer.text());
        assert!(peer.is_closed(), "{what}");
        // The caller's connection is as good as before.
        wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        let (mut peer, _) = played.next_head();
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        assert_eq!(wire.answer().text(), "ok", "{what}");
    }
}

#[test]
fn each_status_of_the_house_has_its_message() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for (what, line, fields, status, message) in [
        ("not there yet", "POST /later", basic("local"), 501, "This is not available yet."),
        (
            "not there yet, for nobody",
            "POST /later",
            String::new(),
            401,
            "Authorization has been denied for this request.",
        ),
        (
            "the method",
            "DELETE /LIMITED",
            basic("local"),
            405,
            "The requested resource does not support this HTTP method.",
        ),
        ("no such path", "GET /users", basic("local"), 404, "No HTTP resource was found that matches the request."),
        ("no path at all", "GET /user/%00", basic("local"), 400, "The request could not be understood."),
    ] {
        let answer = ask(&gateway, line, &fields, "");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.text(), format!("{{\r\n  \"Message\": \"{message}\"\r\n}}"), "{what}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{what}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_path_in_any_case_is_one_path_and_goes_on_as_it_came() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for target in ["/user/2112", "/User/2112", "/USER/0?externalId=X", "/uSeR", "/user/%C3%A9/A", "/ANYWHERE/x"] {
        assert_eq!(ask(&gateway, &format!("GET {target}"), &basic("local"), "").status, 200, "{target}");
        assert_eq!(upstream.seen().pop().expect("it was sent").target, target);
        // No spelling gets around the credential.
        assert_eq!(ask(&gateway, &format!("GET {target}"), "", "").status, 401, "{target}");
    }
    for target in ["/OPEN", "/Open"] {
        assert_eq!(ask(&gateway, &format!("GET {target}"), "", "").status, 404, "{target}");
    }
    assert_eq!(ask(&gateway, "GET /open", "", "").status, 200);
}

#[test]
fn in_http_2_a_body_is_what_follows_the_head() {
    let upstream = Upstream::start();
    let (pki, gateway) = secure(&upstream, Added { route: "content = \"json\"", ..Added::default() });
    let streams = Streams::connect(&gateway, &pki);
    let post = || Request::post("https://localhost/user");
    let none = streams.ask(post().body(Pieces::none()).expect("a request"));
    assert_eq!(none.status, 200);
    for (content_type, length, status) in [
        (None, None, 415),
        (Some("text/plain"), None, 415),
        (Some("application/json"), None, 200),
        (None, Some("0"), 200),
    ] {
        let mut request = post();
        for (name, value) in [("content-type", content_type), ("content-length", length)] {
            request = value.into_iter().fold(request, |request, value| request.header(name, value));
        }
        let (feed, pieces) = Pieces::fed();
        if length.is_none() {
            feed.try_send(Frame::data(Bytes::from_static(b"{}"))).expect("there is room");
        }
        drop(feed);
        let answer = streams.ask(request.body(pieces).expect("a request"));
        assert_eq!(answer.status, status, "{content_type:?} {length:?}");
    }
}

#[test]
fn a_caller_who_waits_for_100_is_told_to_go_on_only_for_a_body_that_is_wanted() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    let head = |content_type: &str| {
        format!(
            "POST /checked HTTP/1.1\r\nHost: a\r\n{}Content-Type: {content_type}\r\nExpect: 100-continue\r\n\
             Content-Length: 2\r\n\r\n",
            basic("local")
        )
    };
    assert_eq!(gateway.connect().send(head("text/plain")).head().status, 415);
    for (body, status) in [("{}", 200), ("{]", 400)] {
        let mut wire = gateway.connect();
        assert_eq!(wire.send(head("application/json")).head().status, 100);
        assert_eq!(wire.ask(body).status, status, "{body}");
    }
    assert_eq!(upstream.only().header("expect"), None);
}

#[test]
fn a_body_that_is_looked_into_comes_in_time() {
    let upstream = Upstream::start();
    let gateway = timed(&upstream, Added { route: "content = \"checked_json\"", ..Added::default() });
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{");
    gateway.settle("public");
    gateway.pass(Duration::from_secs(31));
    assert_eq!(wire.answer().status, 408);
    assert_eq!(upstream.connections(), 0);
}
