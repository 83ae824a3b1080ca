//! SecureVideo's two halves of a credential, where each may go: the secret over TLS and never into a query, the
//! identifier into the query of routes that are for browser pages.

use crate::house::{TestGateway, open};
use crate::log::Log;
use crate::upstream::Upstream;
use crate::wire::Answer;

const ID: &str = "8ded5a89051a9a01a389bcdf1e174";
const SECRET: &str = "99176b1d244c484ed65dd792abc1";
/// Both, in base64.
const BASIC: &str = "OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==";

/// A house that takes API clients in several ways.
struct House {
    gateway: TestGateway,
    upstream: Upstream,
}

impl House {
    /// Behind a proxy on this machine that is trusted, or is not.
    fn start(trusted: bool) -> Self {
        let upstream = Upstream::start();
        let route = |path: &str, authenticate: &str, more: &str| {
            format!(
                "[[route]]\nname = \"{path}\"\npath = \"/{path}/{{*rest}}\"\nauthenticate = \"{authenticate}\"\n\
                 forward = \"api\"\ndialect = \"message\"\n{more}\n"
            )
        };
        let more = route("server", "api", "")
            + &route("page", "page", "scope = { read = [\"client\"] }")
            + &route("closed", "page", "")
            + &route("either", "api or license", "")
            + &route("other", "license", "")
            + &route("blind", "blind", "");
        let rest = format!(
            r#"
[scheme.api.basic]
[scheme.blind.basic]
leaks = false
[scheme.page.key]
[scheme.license.lkey]

[[account]]
id = "leaky-clinic"
api_client = [{{ id = "{ID}", secret = "{SECRET}" }}]
license_key = [{{ id = "main", key = "v3.X9tKpuXq0btatj" }}]
"#
        );
        let proxies = if trusted { "trusted_proxies = [\"127.0.0.1\"]\n" } else { "" };
        let toml = format!("{proxies}{}{more}{rest}", open(&upstream, ""));
        Self { gateway: TestGateway::alone(&toml), upstream }
    }

    fn ask(&self, line: &str, fields: &[&str]) -> Answer {
        let head = [&["Host: a"], fields].concat().join("\r\n");
        self.gateway.connect().ask(format!("{line} HTTP/1.1\r\n{head}\r\n\r\n"))
    }
}

const SECURE: &str = "X-Forwarded-Proto: https";

fn good() -> String {
    format!("Authorization: Basic {BASIC}")
}

#[test]
fn a_secret_in_the_query_is_refused_whatever_else_is_presented() {
    let (log, house) = (Log::shared(), House::start(true));
    let license = "Authorization: LKey v3.X9tKpuXq0btatj";
    for value in [
        SECRET.to_owned(),
        SECRET.replacen('9', "%39", 1),
        format!("{ID}:{SECRET}"),
        format!("{ID}%3a{SECRET}"),
        BASIC.to_owned(),
        BASIC.replace('=', "%3D"),
        BASIC.trim_end_matches('=').to_owned(),
    ] {
        for (path, field) in [
            ("server", good().as_str()),
            ("server", "X-A: nothing presented"),
            ("either", license),
            ("page", "X-A: the secret in the place of the identifier"),
        ] {
            for query in [format!("apiKey={value}"), format!("apiKey={ID}&x=1&y={value}")] {
                let answer = house.ask(&format!("GET /{path}/user?{query}"), &[SECURE, field]);
                assert_eq!(answer.status, 401, "{path} {query} {field}");
                assert!(answer.text().starts_with('{') && !answer.text().contains(SECRET), "{}", answer.text());
            }
        }
    }
    assert_eq!(house.upstream.connections(), 0);
    log.await_line(&["WARN", "leaky-clinic", ID, "rotated"]);
    log.await_line(&["credential_leaked"]);
    assert!(!log.text().contains(SECRET) && !log.text().contains(BASIC));
    // Where no scheme watches, or the operator says so, a query is the upstream's business.
    for (path, field) in [("other", license), ("blind", good().as_str())] {
        assert_eq!(house.ask(&format!("GET /{path}/user?x={SECRET}"), &[SECURE, field]).status, 200, "{path}");
    }
    for query in ["", "x=", &format!("x={ID}"), &format!("x={SECRET}0"), "x=12345678&y=+++++++++&z=%zz%zz%zz"] {
        assert_eq!(house.ask(&format!("GET /server/user?{query}"), &[SECURE, &good()]).status, 200, "{query}");
    }
}

#[test]
fn a_query_that_could_hide_a_secret_is_refused_where_secrets_are_looked_for() {
    let house = House::start(true);
    let license = "Authorization: LKey v3.X9tKpuXq0btatj";
    let values = |many: usize| "a=12345678&".repeat(many);
    for (what, path, query, status) in [
        ("as many as are searched", "either", values(64), 200),
        ("one more", "either", values(65), 400),
        ("one more, and it is a secret", "either", values(64) + "x=" + SECRET, 400),
        ("short ones", "either", "a=1234567&".repeat(700), 200),
        ("where nobody looks", "other", values(700), 200),
    ] {
        let answer = house.ask(&format!("GET /{path}/user?{query}"), &[SECURE, license]);
        assert_eq!(answer.status, status, "{what}");
        assert!(status != 400 || answer.text().contains("The request could not be understood."), "{}", answer.text());
    }
    assert_eq!(house.upstream.seen().len(), 3);
}

#[test]
fn a_secret_that_is_over_is_no_secret_any_more() {
    let house = House::start(true);
    let ask = || house.ask(&format!("GET /either/user?x={SECRET}"), &[SECURE, "Authorization: LKey v3.X9tKpuXq0btatj"]);
    assert_eq!(ask().status, 401);
    let index = &house.gateway.directory;
    let client = index.holder(vidgate::record::Kind::ApiClient, ID.as_bytes()).expect("it is on file");
    index.remove(client.kind(), &client.key().digest);
    assert_eq!(ask().status, 200);
}

#[test]
fn a_secret_is_taken_over_tls_only() {
    let wrong = "Authorization: Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6eA==".to_owned();
    for (what, trusted, fields, status) in [
        ("in clear", true, vec![good()], 403),
        ("in clear to the proxy", true, vec![good(), "X-Forwarded-Proto: http".into()], 403),
        ("wrong, in clear", true, vec![wrong.clone()], 403),
        ("unreadable, in clear", true, vec!["Authorization: Basic !!!!".into()], 403),
        ("over TLS to the proxy", true, vec![good(), SECURE.into()], 200),
        ("wrong, over TLS", true, vec![wrong, SECURE.into()], 401),
        ("nothing", true, vec![], 401),
        ("a proxy that nobody trusts", false, vec![good(), SECURE.into()], 403),
    ] {
        let house = House::start(trusted);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let answer = house.ask("GET /server/user", &fields);
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(house.upstream.seen().len(), usize::from(status == 200), "{what}");
        assert_eq!(answer.text().contains("HTTPS"), status == 403, "{what}: {}", answer.text());
    }
}

#[test]
fn an_identifier_alone_opens_what_is_for_pages_and_nothing_else() {
    let house = House::start(false);
    for (what, line, status) in [
        ("a page's route", format!("GET /page/session?apiKey={ID}&month=2014-01-01"), 200),
        ("in other letters", format!("GET /page/session?APIKEY={ID}&month=2014-01-01"), 200),
        ("to write there", format!("POST /page/session?apiKey={ID}"), 403),
        ("a route that lists no scope of pages", format!("GET /closed/session?apiKey={ID}"), 403),
        ("a server's route", format!("GET /server/session?apiKey={ID}"), 401),
        ("nobody's identifier", "GET /page/session?apiKey=nobody".into(), 401),
        ("two", format!("GET /page/session?apiKey={ID}&api_key=x"), 401),
    ] {
        assert_eq!(house.ask(&line, &["Content-Length: 0"]).status, status, "{what}");
    }
    let seen = house.upstream.seen();
    assert_eq!(seen.len(), 2);
    for received in seen {
        assert_eq!(received.target, "/page/session?month=2014-01-01");
        assert_eq!(received.header("x-vidgate-subject"), Some(format!("api_client:{ID}").as_str()));
    }
}

#[test]
fn a_leak_is_counted_by_the_failure_guard() {
    let upstream = Upstream::start();
    let route = "[[route]]\nname = \"guarded\"\npath = \"/guarded\"\nauthenticate = \"api\"\nforward = \"api\"\n\
                 limits = [\"guard\"]\n[limit.guard]\nfailures = 2\n[scheme.api.basic]\ntls_only = false\n";
    let account = format!("[[account]]\nid = \"clinic\"\napi_client = [{{ id = \"{ID}\", secret = \"{SECRET}\" }}]\n");
    let gateway = TestGateway::alone(&format!("{}{route}{account}", open(&upstream, "")));
    let ask = |query: &str| {
        gateway.connect().ask(format!("GET /guarded?{query} HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", good())).status
    };
    assert_eq!([ask("x=1"), ask(&format!("x={SECRET}")), ask(&format!("y={SECRET}"))], [200, 401, 401]);
    assert_eq!(ask("x=1"), 429);
}
