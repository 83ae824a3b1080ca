//! Pages of other origins on routes without apps: what their browsers are told, before anybody is asked who they are.

use crate::house::TestGateway;
use crate::upstream::Upstream;
use crate::wire::Answer;

/// An upstream that says of itself that every page may read it.
fn open_handed() -> Upstream {
    Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
          Access-Control-Expose-Headers: X-Inside\r\nVary: Origin\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    })
}

struct House {
    upstream: Upstream,
    gateway: TestGateway,
}

impl House {
    fn start() -> Self {
        let upstream = open_handed();
        let toml = format!(
            r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.license.lkey]

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "the-license-key" }}]

[[route]]
name = "listed"
path = "/listed"
methods = ["GET", "PUT"]
authenticate = "license"
forward = "api"
cors = {{ origins = ["https://app.example", "https://*.w.example"], methods = ["GET"], headers = ["Authorization"], expose = ["X-Total"], credentials = true, max_age = "2m" }}

[[route]]
name = "everyone"
path = "/everyone"
methods = ["GET"]
authenticate = "license"
forward = "api"
cors = {{ origins = ["*"] }}

[[route]]
name = "silent"
path = "/silent"
authenticate = "license"
forward = "api"
"#,
            upstream.address()
        );
        Self { gateway: TestGateway::start(&toml), upstream }
    }

    fn ask(&self, line: &str, fields: &[&str]) -> Answer {
        let fields: String = fields.iter().flat_map(|field| [field, "\r\n"]).collect();
        self.gateway.connect().ask(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }
}

const KEY: &str = "Authorization: LKey the-license-key";

/// What an answer says of who may read it.
fn told(answer: &Answer) -> Vec<String> {
    let is_told = |name: &str| name.starts_with("access-control-") || name.eq_ignore_ascii_case("vary");
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| is_told(name))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

const EXPOSED: &str = "x-request-id, ratelimit, ratelimit-policy, retry-after, accept-ranges, content-range";

#[test]
fn a_preflight_is_answered_before_anybody_is_asked_who_they_are() {
    let house = House::start();
    for origin in ["https://app.example", "https://a.b.w.example"] {
        let fields = [&format!("Origin: {origin}"), "Access-Control-Request-Method: GET"];
        let answer = house.ask("OPTIONS /listed", &[fields[0], fields[1], "Access-Control-Request-Headers: x-other"]);
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(
            told(&answer),
            [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: authorization",
                "access-control-allow-methods: GET",
                &format!("access-control-allow-origin: {origin}"),
                &format!("access-control-expose-headers: {EXPOSED}, x-total"),
                "access-control-max-age: 120",
                "vary: Access-Control-Request-Method, Access-Control-Request-Headers",
                "vary: Origin",
            ]
        );
    }
    for origin in ["https://evil.example", "https://w.example", "null", "http://app.example"] {
        let fields = [&format!("Origin: {origin}"), "Access-Control-Request-Method: GET"];
        let answer = house.ask("OPTIONS /listed", &fields);
        assert_eq!((answer.status, told(&answer)), (403, vec!["vary: Origin".to_owned()]), "{origin}");
    }
    let answer = house.ask("OPTIONS /everyone", &["Origin: null", "Access-Control-Request-Method: GET"]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let answer = house.ask("OPTIONS /silent", &["Origin: https://app.example", "Access-Control-Request-Method: GET"]);
    assert_eq!((answer.status, told(&answer)), (401, vec![]), "where nothing is said, it is a request like any other");
    assert!(house.upstream.seen().is_empty());
}

#[test]
fn answers_and_refusals_say_who_may_read_them_in_the_place_of_what_the_upstream_says() {
    let house = House::start();
    let exposed = format!("access-control-expose-headers: {EXPOSED}, x-total");
    let granted =
        ["access-control-allow-credentials: true", "access-control-allow-origin: https://app.example", &exposed];
    for (credential, status) in [(KEY, 200), ("X-A: b", 401)] {
        let answer = house.ask("GET /listed", &["Origin: https://app.example", credential]);
        let expected: Vec<&str> = granted.into_iter().chain(["vary: Origin"]).collect();
        assert_eq!((answer.status, told(&answer)), (status, expected.iter().map(ToString::to_string).collect()));
        for other in ["Origin: https://evil.example", "X-B: c"] {
            let answer = house.ask("GET /listed", &[other, credential]);
            assert_eq!((answer.status, told(&answer)), (status, vec!["vary: Origin".to_owned()]), "{other}");
        }
    }
    // A method that pages may not use: a browser would not have sent it, others may.
    assert_eq!(house.ask("PUT /listed", &[KEY]).status, 200);
    let answer = house.ask("GET /everyone", &[KEY]);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let answer = house.ask("GET /silent", &["Origin: https://evil.example", KEY]);
    assert_eq!(answer.header("access-control-expose-headers"), Some("X-Inside"), "nothing is touched there");
}
