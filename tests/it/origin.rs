//! Where a request came from, as the upstream hears it and as `ip` judges it: a stranger's word on it is
//! replaced, a trusted proxy's is kept and continued.

use crate::house::{TestGateway, open};
use crate::upstream::{Received, Upstream};

/// What reaches the upstream, from a peer that is trusted or not.
fn passed(trusted: bool, fields: &str) -> Received {
    let upstream = Upstream::start();
    let proxies = if trusted { "trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]\n" } else { "" };
    let gateway = TestGateway::alone(&format!("{proxies}{}", open(&upstream, "")));
    let answer = gateway.connect().ask(format!("GET /case HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
    assert_eq!(answer.status, 200, "{fields}");
    let received = upstream.only();
    assert_eq!(received.header("x-request-id"), answer.header("x-request-id"), "one id, said to both");
    received
}

const CLAIMS: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.test\r\n\
                      X-Forwarded-Port: 444\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 203.0.113.9\r\n\
                      Forwarded: for=203.0.113.9;proto=https\r\nVia: 1.1 front\r\nX-Request-Id: given-1\r\n";

#[test]
fn a_strangers_word_on_where_it_came_from_is_replaced() {
    let received = passed(false, CLAIMS);
    for (name, expected) in [
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("a.test")),
        ("x-forwarded-port", None),
        ("x-forwarded-prefix", None),
        ("x-real-ip", None),
        ("forwarded", Some("for=127.0.0.1;host=\"a.test\";proto=http")),
    ] {
        assert_eq!(received.header(name), expected, "{name}");
    }
    assert_ne!(received.header("x-request-id"), Some("given-1"));
}

#[test]
fn no_other_name_for_the_caller_passes() {
    for name in [
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-Scheme",
        "X-Forwarded-Uri",
        "X-Forwarded-By",
        "X-Forwarded-User",
        "X-Forwarded-Anything",
        "X-Forwarded",
        "Forwarded-For",
        "Front-End-Https",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "CF-Connecting-IP",
        "X-Original-Forwarded-For",
        "x-forwarded_for",
    ] {
        let received = passed(false, &format!("{name}: 203.0.113.9\r\n{name}: 203.0.113.9\r\n"));
        assert!(!format!("{received:?}").contains("203.0.113.9"), "{name}: {received:?}");
    }
}

#[test]
fn a_trusted_proxys_word_is_kept_and_continued() {
    let received = passed(true, CLAIMS);
    for (name, expected) in [
        ("x-forwarded-for", Some("203.0.113.9, 127.0.0.1")),
        ("x-forwarded-proto", Some("https")),
        ("x-forwarded-host", Some("public.test")),
        ("x-forwarded-port", Some("444")),
        ("x-forwarded-prefix", Some("/x")),
        ("x-real-ip", Some("203.0.113.9")),
        ("forwarded", Some("for=203.0.113.9;proto=https, for=127.0.0.1;host=\"a.test\";proto=http")),
        ("x-request-id", Some("given-1")),
    ] {
        assert_eq!(received.header(name), expected, "{name}");
    }
    let several = passed(true, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n");
    assert_eq!(several.header("x-forwarded-for"), Some("192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1"));
}

#[test]
fn a_trusted_proxy_too_says_nothing_of_who_the_caller_is() {
    let received = passed(true, "X-Vidgate-Subject: evil\r\nX-Vidgate-Account: evil\r\nX_Vidgate_Account: evil\r\n");
    assert!(!format!("{received:?}").contains("evil"), "{received:?}");
}

#[test]
fn each_hop_adds_itself_to_via() {
    let received = passed(false, "Via: 1.0 front\r\n");
    let via: Vec<&str> = received
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("via"))
        .map(|(_, value)| &**value)
        .collect();
    assert_eq!(via, ["1.0 front", "1.1 vidgate"]);
}

#[test]
fn a_request_id_is_taken_over_only_from_a_trusted_proxy_and_only_a_plain_one() {
    let long = "a".repeat(129);
    for (trusted, given, kept) in [
        (true, "req-1:2/3", true),
        (true, "", false),
        (true, "two words", false),
        (true, "caf\u{e9}", false),
        (true, long.as_str(), false),
        (false, "req-1", false),
    ] {
        let received = passed(trusted, &format!("X-Request-Id: {given}\r\n"));
        let id = received.header("x-request-id").expect("every request has one");
        assert_eq!(id == given, kept, "{given}");
        assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

/// The status that a caller gets for whom only 198.51.100.1 is an address of the office.
fn status_for(proxies: &str, fields: &str) -> u16 {
    let upstream = Upstream::start();
    let more = "\n[scheme.office.ip]\nnetworks = [\"198.51.100.1\"]\n";
    let toml = open(&upstream, more).replace("\"open\"", "\"office\"");
    let gateway = TestGateway::alone(&format!("trusted_proxies = [{proxies}]\n{toml}"));
    let status = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).status;
    assert_eq!(upstream.seen().len(), usize::from(status == 200), "{fields}");
    status
}

#[test]
fn an_address_is_believed_only_from_the_socket_or_a_trusted_proxy() {
    let (nobody, us) = ("", "\"127.0.0.1\", \"10.0.0.0/8\"");
    for (what, proxies, fields, status) in [
        ("the socket", nobody, "", 403),
        ("forged", nobody, "X-Forwarded-For: 198.51.100.1\r\n", 403),
        ("forged otherwise", nobody, "Forwarded: for=198.51.100.1\r\nX-Real-IP: 198.51.100.1\r\n", 403),
        ("told", us, "X-Forwarded-For: 198.51.100.1\r\n", 200),
        ("told in Forwarded", us, "Forwarded: for=198.51.100.1\r\n", 200),
        ("told, with a port", us, "X-Forwarded-For: 198.51.100.1:4711\r\n", 200),
        ("told as IPv6", us, "X-Forwarded-For: ::ffff:198.51.100.1\r\n", 200),
        ("told by the proxy before", us, "X-Forwarded-For: 198.51.100.1, 10.0.0.7\r\n", 200),
        ("forged to the left", us, "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n", 403),
        ("forged in an own field", us, "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n", 403),
        ("forged beside", us, "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=198.51.100.1\r\n", 403),
        ("forged in another field", us, "X-Real-IP: 198.51.100.1\r\nX-Client-IP: 198.51.100.1\r\n", 403),
        ("no address", us, "X-Forwarded-For: office\r\n", 403),
    ] {
        assert_eq!(status_for(proxies, fields), status, "{what}");
    }
}
