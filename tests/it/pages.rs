//! Pages that ask: whose they may be, what their browsers are told, and what a public listing shows them (CameraTag).

use std::time::Duration;

use vidgate::record::{Account, App, Attributes, Details, Hosts, Key, Kind, Record, Standing, Wall};

use crate::house::TestGateway;
use crate::peer::Played;
use crate::time::{Added, SLACK, timed};
use crate::upstream::{Received, Upstream};
use crate::wire::Answer;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// A gateway whose pages are those of `mysite.com` and of a hundred other hosts, and whose apps are put in the index.
struct House {
    upstream: Upstream,
    gateway: TestGateway,
}

impl House {
    fn start() -> Self {
        Self::before(Upstream::start())
    }

    fn before(upstream: Upstream) -> Self {
        let hosts: Vec<String> =
            (0..120).map(|number| format!("\"h{number}.example\"")).chain(["\"mysite.com\"".into()]).collect();
        let hosts = hosts.join(", ");
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
name = "many"
path = "/many"
methods = ["GET", "POST"]
authenticate = "open"
forward = "api"
origin = {{ hosts = [{hosts}] }}

[[route]]
name = "keyed"
path = "/keyed/{{*rest}}"
methods = ["GET"]
authenticate = "license"
forward = "api"
dialect = "vxg"
origin = {{ hosts = ["mysite.com", "other.example"], cross_origin = true }}

[[route]]
name = "written"
path = "/keyed/{{*rest}}"
methods = ["PUT"]
authenticate = "license"
forward = "api"

[[route]]
name = "app"
path = "/apps/{{app}}"
methods = ["GET"]
authenticate = "open"
forward = "api"
app = {{ path = "app" }}
origin = {{ required = false }}

[[route]]
name = "wall"
path = "/apps/{{app}}/assets/wall.json"
methods = ["GET"]
authenticate = "open"
forward = "api"
app = {{ path = "app" }}
wall = {{ max_answer = "2 KiB" }}
"#,
            upstream.address()
        );
        let house = Self { gateway: TestGateway::start(&toml), upstream };
        enrol(&house.gateway, "none", Wall::None, &[], true);
        enrol(&house.gateway, "all", Wall::All, &["mysite.com"], true);
        enrol(&house.gateway, "white", Wall::WhiteList, &["mysite.com"], false);
        enrol(&house.gateway, "black", Wall::BlackList, &["subdomain.mysite.com"], false);
        house
    }

    /// Asks with these fields; `body` is a form where it is not empty.
    fn ask(&self, line: &str, fields: &[&str], body: &str) -> Answer {
        let mut request = format!("{line} HTTP/1.1\r\nHost: a\r\n");
        for field in fields {
            request += field;
            request += "\r\n";
        }
        if !body.is_empty() {
            request = format!("{request}{FORM}\r\nContent-Length: {}\r\n", body.len());
        }
        let mut wire = self.gateway.connect();
        wire.send(request + "\r\n" + body);
        let head = wire.head();
        if line.starts_with("HEAD") { head } else { wire.body(head) }
    }
}

/// Puts an app on file.
fn enrol(gateway: &TestGateway, id: &str, wall: Wall, hosts: &[&str], cross_origin: bool) {
    let index = &gateway.directory;
    let owner = Account::new(&format!("owner-of-{id}"), Standing::default()).expect("an account");
    let key = Key { kind: Kind::App, digest: index.digest(id.as_bytes()) };
    let mut details = Details::new(key, id, index.insert_account(owner).expect("a new account"));
    details.attributes = Attributes::App(Box::new(App {
        public_key: id.into(),
        signers: Box::default(),
        hosts: Hosts::new(hosts).expect("hosts"),
        publish: false,
        playback: false,
        expiration_only: false,
        wall,
        legacy_200: false,
        cross_origin,
    }));
    index.insert(Record::new(details).expect("a record")).expect("a new app");
}

/// All values of a field.
fn values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn pages_of_authorised_hosts_may_ask_and_others_may_not() {
    let house = House::start();
    for (what, line, fields, body, passes) in [
        ("the host", "GET /many", &["Referer: https://mysite.com"][..], "", true),
        ("below it, on a port", "GET /many", &["Referer: https://a.b.mysite.com:8443"], "", true),
        ("in capitals, with a dot", "GET /many", &["Referer: HTTPS://MYSITE.COM."], "", true),
        ("an origin", "GET /many", &["Origin: http://mysite.com:8080"], "", true),
        ("the hundredth", "GET /many", &["Origin: https://h99.example"], "", true),
        ("the last", "GET /many", &["Origin: https://a.h119.example"], "", true),
        ("in the query", "GET /many?referer=https%3A%2F%2Fmysite.com%2Fp", &[], "", true),
        ("in a form", "POST /many", &[], "a=1&referer=https%3A%2F%2Fmysite.com%2F&b=%32", true),
        ("everywhere", "POST /many", &["Origin: https://mysite.com"], "referer=http://mysite.com/", true),
        ("nowhere", "GET /many", &[], "", false),
        ("one that ends so", "GET /many", &["Referer: https://evilmysite.com/"], "", false),
        ("one that begins so", "GET /many", &["Referer: https://mysite.com.evil.com/"], "", false),
        ("userinfo", "GET /many", &["Referer: http://mysite.com@evil.com/"], "", false),
        ("data", "GET /many", &["Referer: data:text/html,https://mysite.com/"], "", false),
        ("beyond the last", "GET /many", &["Origin: https://h120.example"], "", false),
        ("null", "GET /many", &["Origin: null"], "", false),
        ("two", "GET /many", &["Origin: https://mysite.com", "Origin: https://mysite.com"], "", false),
        ("two parameters", "GET /many?referer=mysite.com", &["Referer: https://evil.com/"], "", false),
        ("a field and a query", "GET /many?referer=https://mysite.com", &["Referer: https://evil.com/"], "", false),
        ("a field and a form", "POST /many", &["Referer: https://evil.com/"], "referer=https://mysite.com/", false),
        ("a form and a field", "POST /many", &["Referer: https://mysite.com/"], "referer=https://evil.com/", false),
        ("behind a semicolon", "GET /many?a=b;referer=https://evil.com", &["Origin: https://mysite.com"], "", false),
        ("a list", "GET /many?referer[]=https://evil.com", &["Origin: https://mysite.com"], "", false),
        ("for a websocket", "GET /many", &["Connection: upgrade", "Upgrade: websocket", "Origin: null"], "", false),
        ("the app's", "GET /apps/black", &["Referer: https://subdomain.mysite.com/"], "", true),
        ("above the app's", "GET /apps/black", &["Referer: https://mysite.com/"], "", false),
        ("an app's without a list", "GET /apps/none", &["Referer: https://evil.com/"], "", true),
        ("nobody's app", "GET /apps/nobody", &["Referer: https://mysite.com/"], "", false),
        ("not required", "GET /apps/black", &[], "", true),
    ] {
        let before = house.upstream.seen().len();
        let answer = house.ask(line, fields, body);
        let seen = house.upstream.seen();
        assert_eq!((answer.status, seen.len() - before), if passes { (200, 1) } else { (403, 0) }, "{what}");
        if passes {
            assert_eq!(seen[before].body, body.as_bytes(), "{what}");
        }
        assert!(values(&answer, "access-control-allow-origin").is_empty() || line.contains("apps"), "{what}");
    }
}

const PREFLIGHT: [&str; 3] = [
    "Origin: https://a.mysite.com:8443",
    "Access-Control-Request-Method: GET",
    "Access-Control-Request-Headers: authorization, x-a",
];

#[test]
fn a_preflight_is_answered_before_identity() {
    let house = House::start();
    let answer = house.ask("OPTIONS /keyed/x", &PREFLIGHT, "");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for (name, expected) in [
        ("access-control-allow-origin", &["https://a.mysite.com:8443"][..]),
        ("access-control-allow-methods", &["GET"]),
        ("access-control-allow-headers", &["authorization, x-a"]),
        ("access-control-allow-credentials", &[]),
        ("access-control-max-age", &["600"]),
        ("vary", &["Access-Control-Request-Method, Access-Control-Request-Headers", "Origin"]),
    ] {
        assert_eq!(values(&answer, name), expected, "{name}");
    }
    for (what, line, fields, status) in [
        ("another page", "OPTIONS /keyed/x", &["Origin: https://evil.com", PREFLIGHT[1]][..], 403),
        ("no page", "OPTIONS /keyed/x", &["Origin: null", PREFLIGHT[1]], 403),
        ("two origins", "OPTIONS /keyed/x", &[PREFLIGHT[0], PREFLIGHT[0], PREFLIGHT[1]], 403),
        ("no preflight", "OPTIONS /keyed/x", &[PREFLIGHT[0]], 405),
        ("nobody's", "OPTIONS /keyed/x", &[PREFLIGHT[1]], 405),
        ("for a route without it", "OPTIONS /keyed/x", &[PREFLIGHT[0], "Access-Control-Request-Method: PUT"], 405),
        ("for no route", "OPTIONS /keyed/x", &[PREFLIGHT[0], "Access-Control-Request-Method: DELETE"], 405),
        ("for hosts without it", "OPTIONS /many", &PREFLIGHT, 405),
        ("for an app", "OPTIONS /apps/all", &PREFLIGHT, 204),
        ("for an app without it", "OPTIONS /apps/white", &PREFLIGHT, 405),
        ("for an app without hosts", "OPTIONS /apps/none", &PREFLIGHT, 405),
        ("for nobody's app", "OPTIONS /apps/nobody", &PREFLIGHT, 405),
        ("for a wall without pages", "OPTIONS /apps/all/assets/wall.json", &PREFLIGHT, 405),
        ("for nothing", "OPTIONS /nowhere", &PREFLIGHT, 404),
    ] {
        let answer = house.ask(line, fields, "");
        let told = values(&answer, "access-control-allow-origin");
        assert_eq!((answer.status, told.len()), (status, usize::from(status == 204)), "{what}");
        assert!(values(&answer, "access-control-allow-methods").len() == told.len(), "{what}");
    }
    let refused = house.ask("OPTIONS /keyed/x", &["Origin: https://evil.com", PREFLIGHT[1]], "");
    assert!(refused.text().contains("errorType"), "in the words of the route: {}", refused.text());
    assert_eq!(values(&refused, "vary"), ["Origin"]);
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn browsers_are_told_whose_pages_may_read_and_show_every_answer() {
    let house = House::before(Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
          X-Frame-Options: DENY\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n\
          Vary: Accept\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    }));
    let key = "Authorization: LKey the-license-key";
    let own = "frame-ancestors mysite.com:* *.mysite.com:* other.example:* *.other.example:*";
    let (good, evil) = ("Origin: https://mysite.com", "Origin: https://evil.com");
    for (what, fields, status, origin) in [
        ("an answer", &[key, good][..], 200, Some("https://mysite.com")),
        ("a refusal", &[good], 401, Some("https://mysite.com")),
        ("a wrong key", &[good, "Authorization: LKey wrong"], 401, Some("https://mysite.com")),
        ("a second page", &[key, good, "Referer: https://evil.com/"], 403, Some("https://mysite.com")),
        ("another page", &[key, evil], 403, None),
        ("no origin", &[key, "Referer: https://mysite.com/"], 200, None),
    ] {
        let answer = house.ask("GET /keyed/x", fields, "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, origin), "{what}");
        assert_eq!(values(&answer, "access-control-allow-credentials"), [""; 0], "{what}");
        let vary = values(&answer, "vary");
        assert_eq!(vary, if status == 200 { vec!["Accept", "Origin"] } else { vec!["Origin"] }, "{what}");
        let policies = values(&answer, "content-security-policy");
        assert_eq!(policies, if status == 200 { vec!["default-src 'self'", own] } else { vec![own] }, "{what}");
        assert_eq!(answer.header("x-frame-options"), None, "{what}");
        let exposed = answer.header("access-control-expose-headers");
        assert_eq!(exposed.is_some_and(|list| list.contains("x-request-id")), origin.is_some(), "{what}");
    }
    // Where nobody wants it, what the upstream says is the upstream's.
    for line in ["GET /many", "GET /apps/white", "GET /apps/none"] {
        let answer = house.ask(line, &[good], "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")), "{line}");
    }
    let answer = house.ask("GET /apps/all", &[good], "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://mysite.com"));
    assert_eq!(values(&answer, "content-security-policy")[1], "frame-ancestors mysite.com:* *.mysite.com:*");
}

/// A listing of CameraTag's, with an asset in each state.
const LISTING: &str = r#"{"page":1, "assets": [{"uuid":"1","state":"published"}, {"state":"processed","n":1.50},
 {"uuid":"3","state":"approved"},{"state":"rejected"} , {"uuid":"5","state":"featured"}], "total_pages":3}"#;

fn listing(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// What an upstream answers that lists, and misbehaves where the query says so.
fn lister(request: &Received) -> Vec<u8> {
    let validators = "ETag: \"all\"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\nAccept-Ranges: bytes\r\n\
                      Content-MD5: x\r\nDigest: x\r\nX-Kept: yes\r\n";
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    match query {
        "" if request.method == "HEAD" => {
            format!("HTTP/1.1 200 OK\r\n{validators}Content-Length: {}\r\n\r\n", LISTING.len()).into_bytes()
        }
        "" => listing(validators, LISTING),
        "identity" => listing("Content-Encoding: identity\r\n", LISTING),
        "chunked" => {
            let (one, two) = LISTING.split_at(100);
            let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
            [head, &chunk(one), &chunk(two), "0\r\nX-Sum: 1\r\n\r\n"].concat().into_bytes()
        }
        "bare" => listing("", r#"[{"state":"rejected"},{"state":"approved"}]"#),
        "missing" => b"HTTP/1.1 404 Not Found\r\nETag: \"x\"\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "coded" => listing("Content-Encoding: gzip\r\n", LISTING),
        "partial" => {
            let whole = String::from_utf8(listing("", LISTING)).expect("text");
            whole.replace("200 OK", "206 Partial Content").into_bytes()
        }
        "unchanged" => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
        "created" => {
            String::from_utf8(listing("", LISTING)).expect("text").replace("200 OK", "201 Created").into_bytes()
        }
        "large" => listing("", &LISTING.replace("\"page\"", &format!("\"{}\"", "x".repeat(2048)))),
        "largechunks" => {
            let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(3)).into_bytes()
        }
        "html" => listing("", "<p>rejected</p>"),
        "twice" => listing("", r#"{"assets":[],"assets":[{"state":"rejected"}]}"#),
        "broken" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{\"s\r\nrejected".to_vec(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_wall_shows_what_its_app_says() {
    let house = House::before(Upstream::answering(lister));
    let start = r#"{"page":1, "assets": ["#;
    let end = r#"], "total_pages":3}"#;
    let [published, processed, approved, featured] = [
        r#"{"uuid":"1","state":"published"}"#,
        r#"{"state":"processed","n":1.50}"#,
        r#"{"uuid":"3","state":"approved"}"#,
        r#"{"uuid":"5","state":"featured"}"#,
    ];
    let partial = ["Range: bytes=0-9", "If-None-Match: \"all\"", "Accept-Encoding: gzip, br", "If-Range: \"all\""];
    for (app, assets) in [
        ("none", vec![]),
        ("white", vec![approved, featured]),
        ("black", vec![published, processed, approved, featured]),
        ("nobody", vec![]),
        ("no%62ody", vec![]),
        ("whit%65", vec![approved, featured]),
    ] {
        let expected = [start, &assets.join(","), end].concat();
        for query in ["", "?identity", "?chunked"] {
            let answer = house.ask(&format!("GET /apps/{app}/assets/wall.json{query}"), &partial, "");
            assert_eq!((answer.status, answer.text()), (200, &*expected), "{app}{query}");
            assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()), "{app}{query}");
            let of_its_bytes = ["etag", "last-modified", "accept-ranges", "content-md5", "digest", "content-encoding"];
            assert!(of_its_bytes.iter().all(|name| answer.header(name).is_none()), "{app}{query}: {answer:?}");
            assert_eq!(answer.header("x-kept"), query.is_empty().then_some("yes"), "{app}{query}");
        }
        let received = house.upstream.seen().pop().expect("it was asked");
        assert_eq!(received.header("accept-encoding"), Some("identity"));
        assert!(["range", "if-none-match", "if-range"].iter().all(|name| received.header(name).is_none()));
        let head = house.ask(&format!("HEAD /apps/{app}/assets/wall.json"), &partial, "");
        assert_eq!((head.status, head.header("etag"), head.header("x-kept")), (200, None, Some("yes")), "{app}");
        assert!(head.header("content-length").is_none(), "{app}: {head:?}");
    }
    let all = house.ask("GET /apps/all/assets/wall.json", &[], "");
    assert_eq!((all.text(), all.header("etag")), (LISTING, Some("\"all\"")));
    assert_eq!(house.ask("GET /apps/white/assets/wall.json?bare", &[], "").text(), r#"[{"state":"approved"}]"#);
}

#[test]
fn what_cannot_be_looked_through_is_withheld() {
    let house = House::before(Upstream::answering(lister));
    for query in ["coded", "partial", "unchanged", "created", "large", "largechunks", "html", "twice", "broken"] {
        let answer = house.ask(&format!("GET /apps/black/assets/wall.json?{query}"), &[], "");
        assert_eq!(answer.status, 502, "{query}");
        assert!(!answer.text().contains("rejected"), "{query}: {}", answer.text());
    }
    // What is no listing at all passes.
    let missing = house.ask("GET /apps/black/assets/wall.json?missing", &[], "");
    assert_eq!((missing.status, missing.text(), missing.header("etag")), (404, "gone", Some("\"x\"")));
}

#[test]
fn a_listing_that_is_late_is_withheld() {
    let played = Played::start();
    let route = "app = { id = \"white\" }\nwall = {}";
    let gateway = timed(&played.upstream, Added { route, ..Added::default() });
    enrol(&gateway, "white", Wall::WhiteList, &[], false);
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut peer, _) = played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n");
    gateway.settle("public");
    gateway.pass(Duration::from_secs(15));
    peer.say("1\r\n \r\n");
    gateway.settle("public");
    gateway.pass(Duration::from_secs(14));
    assert!(wire.is_quiet(), "not before its time");
    gateway.pass(Duration::from_secs(1) + SLACK);
    assert_eq!(wire.answer().status, 504);
    assert!(peer.is_closed(), "nobody waits for the rest");
}
