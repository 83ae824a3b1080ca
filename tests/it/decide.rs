//! A listener that decides for other proxies: what they say of a request is what is decided, said once and by them alone,
//! and nothing that is refused passes for a success.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use vidgate::gateway::explain::{Asked, Verdict as Decision};

use crate::house::TestGateway;
use crate::log::Log;
use crate::peer::Played;
use crate::pki::{self, Pki};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const KEY: &str = "Authorization: LKey a-license-key";
/// A camera's, of VXG.
const TOKEN: &str = "share.eyJzaSI6IDExfQ.61a964c3tbc1fab00.uB6jD0tTpYxVOJsY2vpntxX7yDY";

/// A gateway with a listener that decides, and one that forwards the same.
struct House {
    gateway: TestGateway,
    upstream: Upstream,
}

impl House {
    fn start(convention: &str) -> Self {
        Self::with(&format!("decide = {{ from = [\"127.0.0.1\"], as = \"{convention}\" }}"), "")
    }

    fn with(listener: &str, top: &str) -> Self {
        let upstream = Upstream::start();
        let toml = format!(
            r#"
{top}
[listener.public]
address = "127.0.0.1:0"

[listener.checks]
address = "127.0.0.1:0"
{listener}

[upstream.api]
endpoints = ["http://{}"]
credential = {{ header = "X-Api-Key", value = "of-the-upstream" }}

[scheme.license.lkey]
[scheme.token.acc]
query = true
[scheme.user.basic]
[scheme.office.ip]
networks = ["192.0.2.0/24"]

[limit.few]
rate = "1/10s"
burst = 2

[limit.two]
concurrency = 2

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "a-license-key" }}]
camera = [{{ id = "11", tokens = ["{TOKEN}"] }}]
api_client = [{{ id = "one", secret = "secret" }}]

[[account]]
id = "studio"
[[account.app]]
id = "APP"
public_key = "123-456-789"
secret = "ct-secret-0001"
legacy_200 = true
signatures = {{ playback = true }}
{}
"#,
            upstream.address(),
            routes()
        );
        Self { gateway: TestGateway::start(&toml), upstream }
    }

    fn checks(&self) -> Wire {
        self.gateway.connect_to("checks")
    }

    /// A check in the manner of Traefik.
    fn forwarded(&self, method: &str, target: &str, fields: &[&str]) -> Answer {
        self.checks().ask(check(method, target, fields))
    }
}

/// Routes of all kinds, by the name that their path begins with.
fn routes() -> String {
    let forwarded = |name: &str, authenticate: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/{{*rest}}\"\nauthenticate = \"{authenticate}\"\nforward = \"api\"\n{more}\n"
        )
    };
    [
        forwarded("open", "open", ""),
        forwarded("key", "license", "methods = [\"GET\", \"PUT\"]"),
        forwarded("keep", "license", "credential = \"keep\""),
        forwarded("translate", "license", "credential = \"translate\""),
        forwarded("secure", "user", ""),
        forwarded("token", "token", ""),
        forwarded("office", "office", ""),
        forwarded("few", "license", "limits = [\"few\"]\ndialect = \"vxg\""),
        forwarded("two", "license", "limits = [\"two\"]"),
        forwarded("lenient", "license", "dialect = \"voximplant\""),
        forwarded("pages", "license", "cors = { origins = [\"https://page.example\"] }"),
        forwarded("json", "license", "content = \"json\""),
        forwarded("shown", "license", "content = \"json\"\ncors = { origins = [\"https://page.example\"] }"),
        "[[route]]\nname = \"form\"\npath = \"/form\"\nauthenticate = \"form\"\nforward = \"api\"\n\
         [scheme.form.account_key]\nidentifiers = [\"account_id\"]\nkey = \"api_key\"\n"
            .to_owned(),
        "[[route]]\nname = \"played\"\npath = \"/apps/{app}/play\"\nmethods = [\"GET\"]\nauthenticate = \"license\"\nforward = \"api\"\n\
         dialect = \"cameratag\"\napp = { path = \"app\" }\n"
            .to_owned(),
        "[[route]]\nname = \"wall\"\npath = \"/apps/{app}/assets/wall.json\"\nmethods = [\"GET\"]\nauthenticate = \"open\"\n\
         forward = \"api\"\napp = { path = \"app\" }\nwall = {}\n"
            .to_owned(),
        "[[route]]\nname = \"usage\"\npath = \"/usage\"\nauthenticate = \"license\"\nendpoint = \"usage\"\n".to_owned(),
        "[[route]]\nname = \"later\"\npath = \"/later\"\nauthenticate = \"open\"\nnot_implemented = true\n".to_owned(),
    ]
    .concat()
}

/// What a proxy says of a request: its own words, and those of its caller.
fn check(method: &str, target: &str, fields: &[&str]) -> String {
    let own = [("X-Forwarded-Method", method), ("X-Forwarded-Uri", target), ("X-Forwarded-Host", "api.example")];
    let own = own.iter().map(|(name, value)| format!("{name}: {value}"));
    let said = own.chain(["X-Forwarded-Proto: https".to_owned(), "X-Forwarded-For: 198.51.100.1".to_owned()]);
    let fields = said.chain(fields.iter().map(|field| (*field).to_owned())).collect::<Vec<_>>().join("\r\n");
    format!("GET /check HTTP/1.1\r\nHost: vidgate\r\n{fields}\r\n\r\n")
}

fn status(answer: &Answer) -> u16 {
    assert_ne!(answer.status / 100, 2, "a refusal: {answer:?}");
    answer.status
}

#[test]
fn who_may_pass_is_told_as_whose_request_and_nothing_is_sent() {
    let house = House::start("forwarded");
    let answer = house.forwarded("GET", "/key/a?b", &[KEY]);
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!(answer.header("x-vidgate-subject"), Some("license_key:main"));
    assert_eq!((answer.header("x-vidgate-account"), answer.header("x-vidgate-scheme")), (Some("acme"), Some("lkey")));
    for absent in ["x-vidgate-scopes", "authorization", "x-vidgate-target", "x-envoy-auth-headers-to-remove"] {
        assert_eq!(answer.header(absent), None, "{absent}");
    }
    assert!(answer.header("x-request-id").is_some());
    assert_eq!(house.forwarded("HEAD", "/open/a", &[]).header("x-vidgate-account"), None);
    // Whether the proxy would take these out is not known here.
    for forged in
        ["X-Vidgate-Subject: root", "x_vidgate_account: root", "X-Vidgate-Email: a@b", "X.Vidgate.Scopes: all"]
    {
        assert_eq!(status(&house.forwarded("GET", "/key/a", &[KEY, forged])), 400, "{forged}");
    }
    assert_eq!(house.upstream.connections(), 0);
    // The other listener is as it was.
    let request = format!("GET /key/a HTTP/1.1\r\nHost: a\r\n{KEY}\r\n\r\n");
    assert_eq!(house.gateway.connect().ask(request).text(), "upstream-ok");
}

#[test]
fn a_refusal_is_what_the_caller_would_have_got() {
    let house = House::start("forwarded");
    let answer = house.forwarded("GET", "/key/a", &[]);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("LKey")));
    assert!(answer.text().contains("\"detail\":\"Please present a valid credential.\""), "{answer:?}");
    for (method, target, fields, expected) in [
        ("GET", "/key/a", &["Authorization: LKey another-key"][..], 401),
        ("GET", "/key/a", &[KEY, KEY], 401),
        ("DELETE", "/key/a", &[KEY], 405),
        ("GET", "/nothing", &[KEY], 404),
        ("TRACE", "/key/a", &[KEY], 501),
        ("get", "/key/a", &[KEY], 501),
        ("GET", "/office/a", &[], 403),
        ("GET", "/key/a%2f..", &[KEY], 400),
        ("GET", "/key/a;b", &[KEY], 400),
    ] {
        let mut wire = house.checks();
        let answer = wire.ask(check(method, target, fields));
        assert_eq!(status(&answer), expected, "{method} {target} {fields:?}");
        // Whatever was wrong with the caller's request, the proxy's connection goes on.
        assert_eq!(wire.ask(check("GET", "/open/a", &[])).status, 200, "{method} {target}");
    }
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn nobody_but_the_proxies_may_ask() {
    let log = Log::shared();
    let house = House::with(
        "decide = { from = [\"203.0.113.0/24\"], as = \"forwarded\" }",
        "trusted_proxies = [\"127.0.0.1\"]",
    );
    for fields in [&[KEY][..], &["X-Forwarded-For: 203.0.113.1"], &["Forwarded: for=203.0.113.1"]] {
        for target in ["/open/a", "/key/a", "no target"] {
            assert_eq!(status(&house.forwarded("GET", target, fields)), 403, "{target} {fields:?}");
        }
    }
    assert_eq!(status(&house.checks().ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")), 403);
    log.await_line(&["address_refused", "decides for its own proxies alone"]);
}

#[test]
fn what_is_not_said_exactly_once_is_refused_and_logged() {
    let log = Log::shared();
    for (convention, method, target) in
        [("forwarded", "X-Forwarded-Method", "X-Forwarded-Uri"), ("original", "X-Original-Method", "X-Original-URI")]
    {
        let house = House::start(convention);
        let said = [
            (method, "GET"),
            (target, "/open/a"),
            ("X-Forwarded-Host", "api.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-For", "198.51.100.1"),
        ];
        let ask = |fields: &[(&str, &str)]| {
            let fields: String = fields.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
            house.checks().ask(format!("GET / HTTP/1.1\r\nHost: vidgate\r\n{fields}\r\n"))
        };
        assert_eq!(ask(&said).status, 200);
        for (at, (name, value)) in said.into_iter().enumerate() {
            let without: Vec<_> = said.iter().enumerate().filter(|(own, _)| *own != at).map(|(_, own)| *own).collect();
            let twice = [&said[..], &[(name, value)]].concat();
            for (what, fields) in [("absent", &without), ("twice", &twice)] {
                let answer = ask(fields);
                let told =
                    answer.header("x-vidgate-status").map_or(answer.status, |told| told.parse().expect("a status"));
                assert_eq!((status(&answer) / 100, told), (4, 400), "{convention}: {name} {what}");
            }
            log.await_line(&["malformed_request", "the check does not say exactly once", &format!("({name})")]);
        }
    }
    // What another convention says stands in for nothing.
    let house = House::start("original");
    assert_eq!(status(&house.forwarded("GET", "/open/a", &[])), 403);
    let house = House::start("envoy");
    assert_eq!(status(&house.forwarded("GET", "/open/a", &[])), 404);
}

#[test]
fn envoys_check_is_what_it_is_about() {
    let house = House::start("envoy");
    let ask = |line: &str, fields: &str| {
        house.checks().ask(format!("{line} HTTP/1.1\r\nHost: api.example\r\n{fields}Content-Length: 0\r\n\r\n"))
    };
    let said = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
    let answer =
        ask("PUT /key/a?b", &format!("{said}{KEY}\r\nX-Forwarded-Uri: /open/a\r\nX-Forwarded-Method: GET\r\n"));
    assert_eq!((answer.status, answer.header("x-vidgate-account")), (200, Some("acme")));
    let gone = answer.header("x-envoy-auth-headers-to-remove").expect("what is removed");
    assert_eq!(gone, "x-vidgate-scopes, authorization");
    assert_eq!(status(&ask("PUT /key/a", &format!("{said}X-Forwarded-Uri: /open/a\r\n"))), 401);
    assert_eq!(status(&ask("PATCH /key/a", &format!("{said}{KEY}\r\n"))), 405);
    assert_eq!(status(&ask("GET /key/../open/a", said)), 400);
    assert_eq!(status(&ask("OPTIONS *", said)), 400);
    assert_eq!(status(&ask("GET /open/a", "X-Forwarded-For: 198.51.100.1\r\n")), 400);
    assert_eq!(status(&ask("GET /open/a", "X-Forwarded-Proto: http\r\n")), 400);
    assert_eq!(ask("GET /open/a", said).status, 200);
}

#[test]
fn the_caller_is_where_the_proxy_saw_them() {
    let ask = |house: &House, said: &str| {
        let text = check("GET", "/office/a", &[])
            .replace("X-Forwarded-For: 198.51.100.1", &format!("X-Forwarded-For: {said}"));
        house.checks().ask(text).status
    };
    let house = House::start("forwarded");
    assert_eq!(ask(&house, "192.0.2.7"), 200);
    assert_eq!(ask(&house, "192.0.2.7, 198.51.100.1"), 403, "the left part is the caller's own word");
    assert_eq!(ask(&house, "192.0.2.7, 127.0.0.1"), 403, "nobody has said that there is another proxy before it");
    assert_eq!(ask(&house, "192.0.2.7, unknown"), 400);
    let decide = "decide = { from = [\"127.0.0.1\"], as = \"forwarded\" }";
    let house = House::with(decide, "trusted_proxies = [\"198.51.100.0/24\"]");
    assert_eq!(ask(&house, "192.0.2.7, 198.51.100.1"), 200);
    assert_eq!(ask(&house, "192.0.2.7, 203.0.113.1, 198.51.100.1"), 403);
    // Whether TLS was spoken, the proxy says as well.
    let basic = "Authorization: Basic b25lOnNlY3JldA==";
    assert_eq!(house.forwarded("GET", "/secure/a", &[basic]).status, 200);
    let clear = check("GET", "/secure/a", &[basic]).replace("Proto: https", "Proto: http");
    assert_eq!(status(&house.checks().ask(clear)), 403);
}

#[test]
fn a_path_that_would_become_another_is_refused_unless_the_proxy_sends_it_where_it_is_told() {
    let tricks = ["/key/../open/a", "/key/%2e%2e/open/a", "//open/a", "/open//a", "/open/./a", "/%6Fpen/a"];
    let house = House::start("forwarded");
    for target in tricks {
        assert_eq!(status(&house.forwarded("GET", target, &[])), 400, "{target}");
    }
    let house = House::with("decide = { from = [\"127.0.0.1\"], as = \"forwarded\", rewrites = true }", "");
    for target in tricks {
        let answer = house.forwarded("GET", target, &[]);
        assert_eq!((answer.status, answer.header("x-vidgate-target")), (200, Some("/open/a")), "{target}");
    }
    for (target, expected) in [
        ("/open/a?", "/open/a?"),
        ("/open/a?b=%2e%2e/../c&&d", "/open/a?b=%2e%2e/../c&&d"),
        (&format!("/token/a?token={TOKEN}"), "/token/a"),
        (&format!("/token/a?b&token={TOKEN}&c"), "/token/a?b&c"),
        ("/open/caf%c3%a9", "/open/caf%C3%A9"),
    ] {
        let answer = house.forwarded("GET", target, &[]);
        assert_eq!((answer.status, answer.header("x-vidgate-target")), (200, Some(expected)), "{target}");
    }
    for target in ["/open/a%2fb", "/open/%252e%252e", "/open/a#/../b", "/open/a;b"] {
        assert_eq!(status(&house.forwarded("GET", target, &[])), 400, "{target}");
    }
}

#[test]
fn the_upstream_gets_the_credential_that_the_route_says() {
    let house = House::start("forwarded");
    let answer = house.forwarded("GET", "/keep/a", &[KEY]);
    assert_eq!((answer.status, answer.header("authorization")), (200, Some("LKey a-license-key")));
    let answer = house.forwarded("GET", "/translate/a", &[KEY]);
    assert_eq!((answer.header("authorization"), answer.header("x-api-key")), (None, Some("of-the-upstream")));
}

#[test]
fn limits_count_checks_and_say_when_to_come_back() {
    for (convention, expected) in [("forwarded", 429), ("original", 403)] {
        let house = House::start(convention);
        let ask = |target| {
            let text = check("GET", target, &[KEY]);
            let text = if convention == "original" { original(&text) } else { text };
            house.checks().ask(text)
        };
        assert_eq!([ask("/few/a").status, ask("/few/a").status], [200, 200]);
        let answer = ask("/few/a");
        assert_eq!((answer.status, answer.header("retry-after")), (expected, Some("10")), "{convention}");
        assert!(answer.text().contains("\"errorType\":"), "in the route's dialect: {answer:?}");
        if convention == "original" {
            assert_eq!(answer.header("x-vidgate-status"), Some("429"));
            assert_eq!(answer.header("x-vidgate-body"), Some(answer.text()));
        }
        house.gateway.advance(Duration::from_secs(10));
        assert_eq!(ask("/few/a").status, 200);
        // A place is given back with the answer: a check holds none.
        assert!((0..5).all(|_| ask("/two/a").status == 200));
    }
}

/// The same in the manner of nginx.
fn original(check: &str) -> String {
    check.replace("X-Forwarded-Method", "X-Original-Method").replace("X-Forwarded-Uri", "X-Original-URI")
}

#[test]
fn nginx_hears_of_401_and_403_alone() {
    let house = House::start("original");
    for (method, target, said, told) in [
        ("GET", "/key/a", 401, "401"),
        ("GET", "/office/a", 403, "403"),
        ("GET", "/nothing", 403, "404"),
        ("DELETE", "/key/a", 403, "405"),
        ("GET", "/lenient/a", 403, "200"),
        ("GET", "/later", 403, "501"),
    ] {
        let answer = house.checks().ask(original(&check(method, target, &[])));
        assert_eq!((answer.status, answer.header("x-vidgate-status")), (said, Some(told)), "{method} {target}");
        let body = answer.header("x-vidgate-body").expect("the body");
        assert_eq!(body, answer.text().replace("\r\n", ""), "{target}");
    }
    assert_eq!(house.checks().ask(original(&check("GET", "/open/a", &[]))).status, 200);
}

#[test]
fn a_refusal_that_is_200_elsewhere_lets_nobody_through() {
    let house = House::start("forwarded");
    for (target, word) in [("/lenient/a", "\"code\":100"), ("/apps/APP/play", "\"success\":false")] {
        let answer = house.forwarded("GET", target, &[]);
        assert_eq!((status(&answer), answer.header("x-vidgate-status")), (401, Some("200")), "{target}: {answer:?}");
        assert!(answer.text().contains(word), "{target}: {answer:?}");
    }
    // On the other listener they are what their callers know.
    assert_eq!(house.gateway.connect().ask("GET /lenient/a HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

#[test]
fn a_worker_that_has_enough_to_do_lets_nobody_through() {
    let played = Played::start();
    let toml = format!(
        "[overload]\nmax_in_flight = 1\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [listener.checks]\naddress = \"127.0.0.1:0\"\ndialect = \"voximplant\"\n\
         decide = {{ from = [\"127.0.0.1\"], as = \"forwarded\" }}\n\
         [upstream.api]\nendpoints = [\"http://{}\"]\n\
         [[route]]\nname = \"open\"\npath = \"/open/{{*rest}}\"\nauthenticate = \"open\"\nforward = \"api\"\n",
        played.upstream.address()
    );
    let gateway = TestGateway::alone(&toml);
    let mut busy = gateway.connect();
    busy.send("GET /open/a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    assert_eq!(status(&gateway.connect_to("checks").ask(check("GET", "/open/a", &[]))), 503);
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(busy.answer().text(), "ok");
    assert_eq!(gateway.connect_to("checks").ask(check("GET", "/open/a", &[])).status, 200);
}

#[test]
fn what_is_not_decided_by_the_head_is_refused() {
    let house = House::start("forwarded");
    for target in ["/form", "/json/a", "/apps/APP/assets/wall.json", "/usage", "/later"] {
        for method in ["GET", "POST"] {
            let answer = house.forwarded(method, target, &[KEY, "Content-Type: application/json"]);
            let expected = if method == "POST" && target.starts_with("/apps") { 405 } else { 501 };
            assert_eq!(status(&answer), expected, "{method} {target}");
        }
    }
    Log::shared().await_line(&["not_implemented", "those do not come here"]);
    // Nor does a check have a body.
    let mut with_body = check("POST", "/open/a", &["Content-Length: 2"]);
    with_body.push_str("{}");
    assert_eq!(status(&house.checks().ask(with_body)), 400);
}

#[test]
fn a_preflight_may_pass_as_nobodys_request_where_the_page_may_ask() {
    let house = House::start("forwarded");
    let fields = ["Origin: https://page.example", "Access-Control-Request-Method: PUT"];
    let answer = house.forwarded("OPTIONS", "/pages/a", &fields);
    assert_eq!((answer.status, answer.text()), (200, ""));
    for (name, value) in [
        ("access-control-allow-origin", Some("https://page.example")),
        ("x-vidgate-subject", None),
        ("x-vidgate-scheme", None),
        ("authorization", None),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    // Not for a page of others, a route that tells pages nothing, one that cannot be decided, or what is no preflight.
    let other = ["Origin: https://other.example", fields[1]];
    assert_eq!(status(&house.forwarded("OPTIONS", "/pages/a", &other)), 403);
    assert_eq!(status(&house.forwarded("OPTIONS", "/key/a", &fields)), 405);
    assert_eq!(status(&house.forwarded("OPTIONS", "/shown/a", &fields)), 501);
    assert_eq!(status(&house.forwarded("OPTIONS", "/pages/a", &fields[..1])), 401);
    assert_eq!(status(&house.forwarded("GET", "/pages/a", &fields)), 401);
    // A proxy that sends where it is told is told so of a preflight as well, and Envoy what to take out.
    let house = House::with("decide = { from = [\"127.0.0.1\"], as = \"forwarded\", rewrites = true }", "");
    let answer = house.forwarded("OPTIONS", "/a/../pages/a?b", &fields);
    assert_eq!((answer.status, answer.header("x-vidgate-target")), (200, Some("/pages/a?b")));
    let house = House::start("envoy");
    let check = format!(
        "OPTIONS /pages/a HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n{}\r\n\r\n",
        fields.join("\r\n")
    );
    let answer = house.checks().ask(check);
    let removed = answer.header("x-envoy-auth-headers-to-remove").unwrap_or_default();
    assert!(
        answer.status == 200 && removed.contains("x-vidgate-subject") && removed.contains("authorization"),
        "{answer:?}"
    );
    let request = format!("OPTIONS /pages/a HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", fields.join("\r\n"));
    assert_eq!(house.gateway.connect().ask(request).status, 204);
}

#[test]
fn a_caller_asks_for_no_other_request_than_the_one_that_is_decided_on() {
    let house = House::start("forwarded");
    for field in
        ["X-HTTP-Method-Override: DELETE", "x_http_method: DELETE", "X-Original-URL: /usage", "X-Original-URI: /usage"]
    {
        assert_eq!(status(&house.forwarded("GET", "/key/a", &[KEY, field])), 400, "{field}");
    }
    let house = House::start("original");
    let own = original(&check("GET", "/key/a", &[KEY]));
    assert_eq!(house.checks().ask(own.clone()).status, 200);
    let forged = own.replace("X-Original-URI", "X-Rewrite-URL: /usage\r\nX-Original-URI");
    assert_eq!(house.checks().ask(forged).status, 403, "nginx knows no 400");
}

#[test]
fn a_host_is_decided_on_like_any_other() {
    let house = House::start("forwarded");
    for host in ["", "a, b", "user@a", "a/b", "a?b", "a#b", "a b", "*"] {
        let text = check("GET", "/open/a", &[]).replace("Host: api.example", &format!("Host: {host}"));
        assert_eq!(status(&house.checks().ask(text)), 400, "{host:?}");
    }
}

#[test]
fn checks_may_come_over_tls() {
    let pki = Pki::new();
    pki.issue("a", &["vidgate"]);
    let toml = "[listener.public]\naddress = \"127.0.0.1:0\"\ntls = { certificate = 'a.pem', key = 'a.key' }\n\
         decide = { from = [\"127.0.0.1\"], as = \"forwarded\" }\n\
         [upstream.api]\nendpoints = [\"http://127.0.0.1:9\"]\n\
         [[route]]\nname = \"open\"\npath = \"/open/{*rest}\"\nauthenticate = \"open\"\nforward = \"api\"\n\
         [scheme.user.basic]\n[[route]]\nname = \"user\"\npath = \"/user\"\nauthenticate = \"user\"\nforward = \"api\"\n";
    let gateway = TestGateway::start_in(toml, pki.path(), 1);
    let client = Arc::new(pki.client(&["http/1.1"]));
    let ask = |text: String| {
        let mut session = pki::dial(gateway.address("public"), "vidgate", &client).expect("a session");
        session.write_all(text.as_bytes()).expect("it can be sent");
        let mut line = [0; 13];
        session.read_exact(&mut line).expect("an answer");
        String::from_utf8(line.to_vec()).expect("a status line")
    };
    assert!(ask(check("GET", "/open/a", &[])).starts_with("HTTP/1.1 200 "));
    // The proxy's TLS is not the caller's.
    let clear =
        check("GET", "/user", &["Authorization: Basic b25lOnNlY3JldA=="]).replace("Proto: https", "Proto: http");
    assert!(ask(clear).starts_with("HTTP/1.1 403 "));
}

/// A check in the manner of each proxy, of a caller over TLS or not.
fn check_of(convention: &str, secure: bool, (method, target, fields): (&str, &str, &[&str])) -> String {
    let forwarded = check(method, target, fields);
    let check = match convention {
        "forwarded" => forwarded,
        "original" => original(&forwarded),
        _ => {
            let own = [
                "GET /check HTTP/1.1",
                "Host: vidgate",
                "X-Forwarded-Method:",
                "X-Forwarded-Uri:",
                "X-Forwarded-Host:",
            ];
            let others = forwarded.lines().filter(|line| !own.iter().any(|own| line.starts_with(own)));
            let others = others.collect::<Vec<_>>().join("\r\n");
            format!("{method} {target} HTTP/1.1\r\nHost: api.example\r\n{others}\r\n")
        }
    };
    if secure { check } else { check.replace("X-Forwarded-Proto: https", "X-Forwarded-Proto: http") }
}

/// A request as its caller sends it to the proxy, to be explained.
fn asked(secure: bool, (method, target, fields): (&str, &str, &[&str])) -> Asked {
    let scheme = if secure { "https" } else { "http" };
    let headers = fields.iter().filter_map(|field| field.split_once(": "));
    Asked {
        method: method.to_owned(),
        url: format!("{scheme}://api.example{target}"),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: None,
        peer: Some([198, 51, 100, 1].into()),
        listener: Some("checks".to_owned()),
        client_certificate: None,
        at: None,
    }
}

/// What of an answer is the gateway's word to the proxy.
fn words<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<String> {
    let words = fields.map(str::to_ascii_lowercase);
    let mut words: Vec<_> =
        words.filter(|name| ["x-", "access-control-", "ratelimit"].iter().any(|kind| name.starts_with(kind))).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn an_explanation_says_what_the_proxy_is_answered() {
    let basic = "Authorization: Basic b25lOnNlY3JldA==";
    let (origin, preflight) = ("Origin: https://page.example", "Access-Control-Request-Method: GET");
    let requests: [(&str, &str, &[&str]); 18] = [
        ("GET", "/key/x?a=1", &[KEY]),
        ("PUT", "/key/x", &[KEY]),
        ("POST", "/key/x", &[KEY]),
        ("GET", "/key/x", &[]),
        ("GET", "/key/../key/x", &[KEY]),
        ("GET", "/key/x", &[KEY, "X-Vidgate-Subject: me"]),
        ("GET", "/key/x", &[KEY, "X-Original-Url: /a"]),
        ("GET", "/keep/x", &[KEY]),
        ("GET", "/translate/x", &[KEY]),
        ("GET", "/secure/x", &[basic]),
        ("GET", "/office/x", &["X-Forwarded-For: 192.0.2.7"]),
        ("GET", "/few/x", &[KEY]),
        ("GET", "/few/x", &[]),
        ("GET", "/json/x", &[KEY]),
        ("GET", "/usage", &[KEY]),
        ("GET", "/nowhere", &[]),
        ("GET", "/pages/x", &[KEY, origin]),
        ("OPTIONS", "/pages/x", &[origin, preflight]),
    ];
    for convention in ["forwarded", "original", "envoy"] {
        for more in ["", ", rewrites = true"].iter().take(if convention == "envoy" { 1 } else { 2 }) {
            let house = House::with(
                &format!("decide = {{ from = [\"127.0.0.1\"], as = \"{convention}\"{more} }}"),
                "trusted_proxies = [\"198.51.100.0/24\"]",
            );
            let agree = |asked: &Asked, check: &str| {
                let told = house.gateway.explain(asked);
                let what = format!("{convention}{more} {check}\n{}", serde_json::to_string(&told).expect("plain"));
                let answer = house.checks().ask(check);
                let said = told.answer.expect("the gateway answers");
                assert_eq!(said.status, answer.status, "{what}");
                assert_eq!(told.decision != Decision::Refused, answer.status == 200, "{what}");
                let own = words(said.headers.iter().map(|(name, _)| name.as_str()));
                assert_eq!(own, words(answer.headers.iter().map(|(name, _)| name.as_str())), "{what}");
                assert!(!what[check.len()..].contains("of-the-upstream"), "{what}");
                said.status
            };
            let mut seen = std::collections::BTreeSet::new();
            for request in requests {
                for secure in [true, false] {
                    let check = check_of(convention, secure, request);
                    // Who comes through a proxy before has that said.
                    let check = match request.2.iter().find(|field| field.starts_with("X-Forwarded-For")) {
                        None => check,
                        Some(field) => check
                            .replace(&format!("{field}\r\n"), "")
                            .replace("X-Forwarded-For: 198.51.100.1", &format!("{field}, 198.51.100.1")),
                    };
                    seen.insert(agree(&asked(secure, request), &check));
                    // The check itself, as it comes from the proxy.
                    let (line, fields) = check.split_once("\r\n").expect("a line");
                    let mut words = line.split(' ');
                    let request = (words.next().expect("a method"), words.next().expect("a target"));
                    let fields: Vec<_> = fields.lines().filter(|line| !line.is_empty()).collect();
                    let itself =
                        Asked { peer: Some([127, 0, 0, 1].into()), ..asked(false, (request.0, request.1, &fields)) };
                    agree(&itself, &check);
                    let cut: Vec<_> =
                        fields.iter().copied().filter(|field| !field.starts_with("X-Forwarded-P")).collect();
                    let cut_check =
                        check.replace("X-Forwarded-Proto: https\r\n", "").replace("X-Forwarded-Proto: http\r\n", "");
                    let cut = Asked { peer: itself.peer, ..asked(false, (request.0, request.1, &cut)) };
                    let cut = Asked { url: cut.url.replace("api.example", "127.0.0.1:0"), ..cut };
                    agree(&cut, &cut_check);
                    let stranger = house.gateway.explain(&Asked { peer: Some([192, 0, 2, 1].into()), ..itself });
                    assert_eq!(stranger.cause, Some("address_refused"));
                }
            }
            assert!(seen.contains(&200) && seen.contains(&401) && seen.contains(&403), "{seen:?}");
            assert_eq!(house.upstream.seen().len(), 0);
        }
    }
}
