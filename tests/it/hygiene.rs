//! What the house says of itself in its own answers, whoever words them: nothing that helps an attacker, and no way on to
//! anywhere.

use crate::credentials::House;
use crate::house::{TestGateway, open};
use crate::pki::Pki;
use crate::streams::{Streams, Whole, get};
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

/// Requests that the house answers itself: those that it refuses, those that hyper refuses for it, and those that ask after
/// the house.
const ANSWERED_HERE: [&str; 20] = [
    "GET /nowhere HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET //evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /nowhere/../.. HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://evil.example/nowhere HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET /nowhere?return=https://evil.example/ HTTP/1.1\r\nHost: a\r\nReferer: https://evil.example/\r\n\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: evil.example\r\nX-Original-URL: https://evil.example/\r\n\r\n",
    "GET /nowhere%0d%0aLocation:%20https://evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /api/v3/x HTTP/1.1\r\nHost: evil.example\r\nOrigin: https://evil.example\r\n\r\n",
    "GET /api/v3/x HTTP/1.1\r\nHost: a\r\nAuthorization: LKey evil.example\r\n\r\n",
    "GET /sv/x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic !\r\n\r\n",
    "GET /jwt/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\n\r\n",
    "POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: evil.example\r\nContent-Length: 1\r\n\r\nx",
    "TRACE / HTTP/1.1\r\nHost: a\r\nX: evil.example\r\n\r\n",
    "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: evil.example\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: evil.example\r\n\r\n",
    "evil.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: evil.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nbad field evil.example\r\n\r\n",
];

fn everything(answer: &Answer) -> String {
    format!("{} {:?} {}", answer.status, answer.headers, answer.text()).to_lowercase()
}

#[test]
fn no_answer_of_the_house_leads_elsewhere_or_tells_what_it_is_made_of() {
    let house = House::start();
    for request in ANSWERED_HERE {
        let answer = house.gateway.connect().ask(request);
        let said = everything(&answer);
        for field in ["location", "content-location", "refresh", "link", "server", "x-powered-by", "via"] {
            assert_eq!(answer.header(field), None, "{request:?}: {said}");
        }
        assert!(!(300..400).contains(&answer.status), "{request:?}: {said}");
        let version = env!("CARGO_PKG_VERSION");
        for word in ["evil.example", "vidgate/", version, "hyper", "rustls", "tokio", ".rs", "panic", "backtrace"] {
            assert!(!said.contains(word), "{word} after {request:?}: {said}");
        }
    }
}

#[test]
fn an_upstreams_own_redirect_passes_as_it_came() {
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere?x=1\r\nContent-Length: 0\r\n\r\n";
    let upstream = Upstream::answering(|_| redirect.to_vec());
    let gateway = TestGateway::open(&upstream);
    let answer = gateway.connect().ask("GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!((answer.status, answer.header("location")), (302, Some("/elsewhere?x=1")));
}

#[test]
fn browsers_are_told_to_come_over_tls_alone_where_the_listener_says_so() {
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    let weaker = b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=0\r\nContent-Length: 0\r\n\r\n";
    let upstream = Upstream::answering(|_| weaker.to_vec());
    let tls = "address = \"127.0.0.1:0\"\ntls = { certificate = \"a.pem\", key = \"a.key\" }";
    let plain = "\n[listener.plain]\naddress = \"127.0.0.1:0\"\n";
    let toml = open(&upstream, plain).replacen("address = \"127.0.0.1:0\"", &format!("{tls}\nhsts = \"8760h\""), 1);
    let gateway = TestGateway::start_in(&toml, pki.path(), 1);
    let told = |answer: &Whole| {
        let values: Vec<&str> =
            answer.headers.get_all("strict-transport-security").iter().flat_map(|v| v.to_str()).collect();
        values.join(", ")
    };
    let streams = Streams::connect(&gateway, &pki);
    assert_eq!(told(&streams.ask(get("/"))), "max-age=31536000", "in the place of what the upstream says");
    let refused = streams.ask(get("/%00"));
    assert_eq!((refused.status, told(&refused)), (400, "max-age=31536000".to_owned()));
    let answer = Wire::connect(gateway.address("plain")).ask("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.header("strict-transport-security"), None);
}
