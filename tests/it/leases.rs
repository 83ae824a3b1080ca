//! A place among the requests under way comes back with every kind of answer, and only once.

use crate::house::TestGateway;
use crate::peer::Played;

/// `one:secret`, and a route of each kind.
const ONE: &str = "Authorization: Basic b25lOnNlY3JldA==";

fn configuration(played: &Played) -> String {
    let route = |name: &str, path: &str, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nauthenticate = \"api\"\nlimits = [\"one\"]\n\
             dialect = \"message\"\n{more}\n"
        )
    };
    let routes = route("usage", "/usage", "endpoint = \"usage\"")
        + &route("none", "/none", "not_implemented = true")
        + &route("json", "/json", "forward = \"api\"\ncontent = \"checked_json\"")
        + &route("all", "/{*rest}", "forward = \"api\"\nmask_errors = true\nmax_body = \"1 KiB\"");
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://{}"]
[scheme.api.basic]
tls_only = false
[[account]]
id = "one"
api_client = [{{ id = "one", secret = "secret" }}]
[limit.one]
concurrency = 1
{routes}"#,
        played.upstream.address()
    )
}

#[test]
fn every_kind_of_answer_gives_the_place_back_and_one_that_has_none_takes_none() {
    let played = Played::start();
    let gateway = TestGateway::start(&configuration(&played));
    let mut wire = gateway.connect();
    let mut ask = |line: &str, more: &str, said: Option<&str>| {
        let more = if more.is_empty() { "\r\n" } else { more };
        wire.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{ONE}\r\n{more}"));
        if let Some(said) = said {
            let (mut peer, _) = played.next_head();
            // Nobody else comes in meanwhile, also after what came before.
            let beside = gateway.connect().ask(format!("GET /usage HTTP/1.1\r\nHost: a\r\n{ONE}\r\n\r\n"));
            assert_eq!(beside.status, 429, "{line}");
            peer.say(format!("HTTP/1.1 {said}\r\nConnection: close\r\n\r\n"));
            peer.finish();
        }
        let head = wire.head();
        let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let has_body = !line.starts_with("HEAD") && ![204, 304].contains(&head.status);
        wire.take(if has_body { length } else { 0 });
        head.status
    };
    for _ in 0..2 {
        for (line, more, said, status) in [
            ("HEAD /", "", Some("200 OK\r\nContent-Length: 5"), 200),
            ("GET /", "", Some("304 Not Modified\r\nContent-Length: 5"), 304),
            ("GET /", "", Some("204 No Content"), 204),
            ("GET /", "", Some("200 OK\r\nContent-Length: 0"), 200),
            ("GET /", "", Some("500 Internal Server Error\r\nContent-Length: 0"), 500),
            ("GET /usage", "", None, 200),
            ("HEAD /usage", "", None, 200),
            ("DELETE /usage", "", None, 405),
            ("GET /none", "", None, 501),
            (
                "POST /json",
                "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                Some("200 OK\r\nContent-Length: 0"),
                200,
            ),
        ] {
            assert_eq!(ask(line, more, said), status, "{line}");
        }
    }
}
