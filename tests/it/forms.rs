//! Forms that the gateway must look into: read whole before anything is decided by them, bounded, and replayed to the
//! upstream as they came, but for the credential in them.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use hyper::body::Frame;
use serde_json::{Value, json};
use vidgate::store::{Actor, MasterKey, Operation, Request as Change, Resource, Settings, Store};

use crate::house::{TestGateway, open};
use crate::http2::secure;
use crate::streams::{Pieces, Streams};
use crate::time::{Added, SLACK, timed};
use crate::upstream::Upstream;
use crate::wire::Answer;

const KEY: &str = "eec36d6c-a0eb-46b5-a006-1c2b65343bac";
const URL_ENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=------------------------5721070c2f75c8b9";

/// Two accounts with keys of the old kind.
const ACCOUNTS: &str = r#"
[scheme.legacy.account_key]
tls_only = false
[scheme.license.lkey]

[[account]]
id = "acme"
license_key = [{ id = "main", key = "v3.X9tKpuXq0btatj" }]
api_client = [{ id = "1", secret = "eec36d6c-a0eb-46b5-a006-1c2b65343bac", aliases = ["acme", "acme@example.com"] }]
"#;

/// A route `legacy` that looks into forms.
fn house(upstream: &Upstream, route: &str) -> TestGateway {
    timed(upstream, Added { top: ACCOUNTS, route, authenticate: "legacy", ..Added::default() })
}

/// As curl 7.88.1 sends it.
fn multipart(name: &str, value: &str) -> String {
    format!(
        "--------------------------5721070c2f75c8b9\r\nContent-Disposition: form-data; name=\"cmd\"\r\n\r\nGetUsers\r\n\
         --------------------------5721070c2f75c8b9\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n\
         --------------------------5721070c2f75c8b9--\r\n"
    )
}

fn post(target: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn chunked(target: &str, kind: &str, body: &str) -> String {
    let (one, two) = body.split_at(body.len() / 3);
    format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         {:x}\r\n{one}\r\n{:x};x=y\r\n{two}\r\n0\r\nX-Sum: 1\r\n\r\n",
        one.len(),
        two.len()
    )
}

fn proven() -> String {
    format!("/?account_id=1&api_key={KEY}")
}

#[test]
fn a_form_goes_on_as_it_came() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    let multipart = multipart("file_content", "1;2\r\n\u{0}--x\n");
    for (kind, body) in [(URL_ENCODED, "cmd=GetUsers&&a=%2f+%7E&role_id=1;2&=&"), (MULTIPART, &multipart)] {
        for request in [post(&proven(), kind, body), chunked(&proven(), kind, body)] {
            let before = upstream.seen().len();
            assert_eq!(gateway.connect().ask(&request).status, 200, "{request}");
            let received = &upstream.seen()[before];
            assert_eq!((received.target.as_str(), &*received.body), ("/?account_id=1", body.as_bytes()));
            assert_eq!(received.header("content-length"), Some(&*body.len().to_string()));
            assert_eq!(received.header("content-type"), Some(kind));
            assert_eq!((received.header("transfer-encoding"), received.header("trailer")), (None, None));
            assert_eq!(received.header("x-vidgate-subject"), Some("api_client:1"));
        }
    }
}

#[test]
fn a_form_over_http_2_goes_on_as_it_came() {
    let upstream = Upstream::start();
    let added = Added { top: ACCOUNTS, authenticate: "legacy", ..Added::default() };
    let (pki, gateway) = secure(&upstream, added);
    let streams = Streams::connect(&gateway, &pki);
    let body = multipart("account_id", "1");
    let (feed, pieces) = Pieces::fed();
    for piece in body.as_bytes().chunks(97) {
        feed.try_send(Frame::data(Bytes::copy_from_slice(piece))).expect("there is room");
    }
    drop(feed);
    let request = Request::post(format!("https://localhost/?api_key={KEY}")).header("content-type", MULTIPART);
    assert_eq!(streams.ask(request.body(pieces).expect("a request")).status, 200);
    let received = upstream.only();
    assert_eq!((received.target.as_str(), &*received.body), ("/", body.as_bytes()));
    assert_eq!(received.header("content-length"), Some(&*body.len().to_string()));
}

#[test]
fn a_credential_is_taken_out_of_a_form_or_the_form_stays_here() {
    let upstream = Upstream::start();
    for (credential, body, expected) in [
        ("remove", format!("cmd=A&account_id=1&api_key={KEY}&x=%2f"), Some("cmd=A&account_id=1&x=%2f".to_owned())),
        ("remove", format!("api_key={KEY}&API_KEY={KEY}&account_id=1"), Some("account_id=1".to_owned())),
        (
            "remove",
            format!("account_email=acme%40example.com&api_key={KEY}"),
            Some("account_email=acme%40example.com".to_owned()),
        ),
        (
            "keep",
            format!("cmd=A&account_id=1&api_key={KEY}&x=%2f"),
            Some(format!("cmd=A&account_id=1&api_key={KEY}&x=%2f")),
        ),
        ("remove", format!("account_id=1&x=1;api_key={KEY}"), None),
    ] {
        let gateway = house(&upstream, &format!("credential = \"{credential}\""));
        let before = upstream.seen().len();
        let answer = gateway.connect().ask(post("/", URL_ENCODED, &body));
        assert_eq!(answer.status == 200, expected.is_some(), "{credential}: {body}: {answer:?}");
        let received = upstream.seen().split_off(before);
        let bodies: Vec<_> = received.iter().map(|received| String::from_utf8_lossy(&received.body)).collect();
        assert_eq!(bodies, expected.iter().map(String::as_str).collect::<Vec<_>>(), "{credential}: {body}");
        for received in received {
            assert_eq!(received.header("content-length"), Some(&*received.body.len().to_string()));
        }
    }
    for (credential, status, reached) in [("remove", 400, 0), ("keep", 200, 1)] {
        let gateway = house(&upstream, &format!("credential = \"{credential}\""));
        let (before, body) = (upstream.seen().len(), multipart("api_key", KEY));
        let answer = gateway.connect().ask(post("/?account_id=1", MULTIPART, &body));
        assert_eq!((answer.status, upstream.seen().len() - before), (status, reached), "{credential}: {answer:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_reaches_nobody() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    let proven = format!("account_id=1&api_key={KEY}");
    let part = multipart("account_id", "1");
    for (what, request, status) in [
        ("a second key", post("/", URL_ENCODED, &format!("{proven}&api_key=x")), 401),
        ("a second account", post("/", URL_ENCODED, &format!("{proven}&Account_Id=2")), 401),
        ("another in the query", post("/?account_id=2", URL_ENCODED, &proven), 401),
        ("a list", post("/", URL_ENCODED, &format!("account_id[]=1&api_key={KEY}")), 401),
        ("behind a semicolon", post("/", URL_ENCODED, &format!("{proven}&x=1;account_id=2")), 401),
        ("a password", post("/", URL_ENCODED, &format!("{proven}&account_password=x")), 401),
        ("a session", post("/", URL_ENCODED, "account_id=1&session_id=x"), 401),
        ("a parent", post("/", URL_ENCODED, &format!("parent_account_id=1&parent_account_api_key={KEY}")), 401),
        ("half an escape", post("/", URL_ENCODED, &format!("{proven}&x=%4")), 400),
        ("UTF-16", post("/", URL_ENCODED, &format!("{proven}&_charset_=utf-16")), 400),
        ("a preamble", post(&self::proven(), MULTIPART, &format!("x\r\n{part}")), 400),
        ("an epilogue", post(&self::proven(), MULTIPART, &format!("{part}x")), 400),
        ("another boundary", post(&self::proven(), "multipart/form-data; boundary=b", &part), 400),
    ] {
        let answer = gateway.connect().ask(request);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(KEY));
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn what_is_no_form_is_refused_where_forms_are_looked_into() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for fields in [
        "",
        "Content-Type: application/json\r\n",
        "Content-Type: multipart/mixed; boundary=a\r\n",
        "Content-Type: multipart/form-data\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Type: multipart/form-data; boundary=a\r\n",
        "Content-Type: application/x-www-form-urlencoded; charset=utf-16\r\n",
    ] {
        let head = format!("POST {} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 3\r\n\r\na=b", proven());
        assert_eq!(gateway.connect().ask(head).status, 415, "{fields}");
    }
    assert!(upstream.seen().is_empty());
    // Without a body, there is nothing to announce.
    for request in [
        format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", proven()),
        format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", proven()),
        format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n", proven()),
    ] {
        assert_eq!(gateway.connect().ask(&request).status, 200, "{request}");
    }
}

#[test]
fn a_form_is_not_read_beyond_its_greatest_size() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "max_form = \"64 B\"");
    let of = |length: usize| format!("a={}", "b".repeat(length - 2));
    assert_eq!(gateway.connect().ask(post(&proven(), URL_ENCODED, &of(64))).status, 200);
    assert_eq!(gateway.connect().ask(chunked(&proven(), URL_ENCODED, &of(64))).status, 200);
    assert_eq!(gateway.connect().ask(chunked(&proven(), URL_ENCODED, &of(65))).last_answer_of(413), 413);
    // By its own account, before a byte of it came.
    let mut wire = gateway.connect();
    wire.send(post(&proven(), URL_ENCODED, "").replace("Content-Length: 0", "Content-Length: 65"));
    assert_eq!(wire.last_answer().status, 413);
    assert_eq!(upstream.seen().len(), 2);
}

/// So that a table of refusals reads alike.
trait Refused {
    fn last_answer_of(self, status: u16) -> u16;
}

impl Refused for Answer {
    fn last_answer_of(self, status: u16) -> u16 {
        assert_eq!(self.header("connection"), Some("close"), "the rest of the body is not read: {self:?} ({status})");
        self.status
    }
}

fn waiting(target: &str, fields: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn only_whoever_may_send_a_form_is_told_to_go_on() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "max_form = \"64 B\"");
    let form = format!("Content-Type: {URL_ENCODED}");
    for (fields, length, status) in [(&*form, 65, 413), ("Content-Type: application/json", 3, 415), ("X-A: b", 3, 415)]
    {
        let mut wire = gateway.connect();
        assert_eq!(wire.send(waiting(&proven(), fields, length)).head().status, status, "{fields} {length}");
    }
    let mut wire = gateway.connect();
    assert_eq!(wire.send(waiting(&proven(), &form, 3)).head().status, 100);
    assert_eq!(wire.ask("a=b").status, 200);
    assert_eq!(upstream.only().body, b"a=b");
}

#[test]
fn where_the_head_says_who_is_calling_a_stranger_is_refused_before_the_form_is_read() {
    let upstream = Upstream::start();
    let route = "origin = { hosts = [\"example.com\"] }";
    let added = Added { top: ACCOUNTS, route, authenticate: "license", ..Added::default() };
    let gateway = timed(&upstream, added);
    for (key, status) in [("wrong", 401), ("v3.X9tKpuXq0btatj", 100)] {
        let fields = format!("Authorization: LKey {key}\r\nContent-Type: {URL_ENCODED}");
        assert_eq!(gateway.connect().send(waiting("/", &fields, 30)).head().status, status, "{key}");
    }
}

#[test]
fn a_form_that_stops_coming_is_408() {
    let upstream = Upstream::start();
    let gateway = house(&upstream, "");
    for request in [
        post(&proven(), URL_ENCODED, "a=b").replace("Content-Length: 3", "Content-Length: 9"),
        chunked(&proven(), URL_ENCODED, "a=b").replace("0\r\nX-Sum: 1\r\n\r\n", "9\r\nc"),
    ] {
        let mut wire = gateway.connect();
        wire.send(request);
        gateway.settle("public");
        gateway.pass(Duration::from_secs(29));
        assert!(wire.is_quiet(), "not before its time");
        gateway.pass(Duration::from_secs(1) + SLACK);
        assert_eq!(wire.last_answer().status, 408);
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn forms_of_strangers_take_no_room_from_those_who_are_known() {
    const LARGE: usize = 40 << 20;
    let upstream = Upstream::start();
    let known = "max_form = \"64 MiB\"\n\n[[route]]\nname = \"known\"\nlisteners = [\"public\"]\npath = \"/known\"\n\
         authenticate = \"license\"\nforward = \"api\"\norigin = { hosts = [\"example.com\"] }";
    let gateway = house(&upstream, known);
    let large = |target: &str| {
        let head = post(target, URL_ENCODED, "").replace("Content-Length: 0", &format!("Content-Length: {LARGE}"));
        let mut wire = gateway.connect();
        wire.send(head).send("a".repeat(LARGE - 1));
        wire
    };
    // Nobody knows yet whose they are, and there is no room for two.
    let first = large("/");
    gateway.settle("public");
    assert_eq!(large("/").last_answer().status, 503);
    let form = "referer=https%3A%2F%2Fexample.com%2F";
    let request =
        post("/known", URL_ENCODED, form).replace("Host: a", "Host: a\r\nAuthorization: LKey v3.X9tKpuXq0btatj");
    assert_ne!(gateway.connect().ask(request).status, 503);
    drop(first);
    assert_eq!(gateway.connect().ask(post(&proven(), URL_ENCODED, "a=b")).status, 200);
}

/// Where nobody need prove anything, everybody could fill the room of those who did.
#[test]
fn forms_on_open_routes_take_the_room_of_strangers() {
    const LARGE: usize = 40 << 20;
    let upstream = Upstream::start();
    let route = |name: &str, authenticate: &str| {
        format!(
            "\n\n[[route]]\nname = \"{name}\"\nlisteners = [\"public\"]\npath = \"/{name}\"\nmax_form = \"64 MiB\"\n\
             authenticate = \"{authenticate}\"\nforward = \"api\"\norigin = {{ hosts = [\"example.com\"] }}"
        )
    };
    let gateway = house(&upstream, &[route("known", "license"), route("anybody", "open")].concat());
    let large = |target: &str, field: &str| {
        let head =
            post(target, URL_ENCODED, "").replace("Content-Length: 0", &format!("Content-Length: {LARGE}{field}"));
        let mut wire = gateway.connect();
        wire.send(head).send("a".repeat(LARGE - 1));
        wire
    };
    let known = "\r\nAuthorization: LKey v3.X9tKpuXq0btatj";
    let open = large("/anybody", "");
    gateway.settle("public");
    let first = large("/known", known);
    gateway.settle("public");
    // Each of the two rooms has one, and no room for another.
    assert_eq!(large("/anybody", "").last_answer().status, 503);
    assert_eq!(large("/known", known).last_answer().status, 503);
    drop((open, first));
}

/// A gateway over a store in which a user has a key.
fn with_a_user(upstream: &Upstream, table: &str) -> (tempfile::TempDir, TestGateway) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = MasterKey::random();
    std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
    let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
    Store::create(&settings, &key).expect("a store");
    let more = format!(
        "[store]\npath = \"vidgate.redb\"\nmaster_key = {{ file = \"master.key\" }}\n[scheme.machine.apikey]\n{table}"
    );
    let toml = open(upstream, &more).replace("\"open\"", "\"machine\"");
    let gateway = TestGateway::start_in(&toml, folder.path(), 1);
    for (resource, document) in [
        (Resource::Account, json!({ "id": "studio" })),
        (Resource::User, json!({ "id": "john", "account": "studio", "login": "john", "key": "QkFqTmtDclVkQTFVaUAz" })),
    ] {
        let Value::Object(document) = document else { unreachable!("it is an object") };
        let operations = vec![Operation::Create { resource, document, versions: Vec::new() }];
        let actor = Actor("local:0".to_owned());
        gateway.store().apply(Change { actor, operations, idempotency: None }).expect("it is done");
    }
    (folder, gateway)
}

/// Vendors 4.3 (11) and 3.3 (13).
#[test]
fn a_users_key_opens_in_every_place_that_is_named_and_goes_no_further() {
    let upstream = Upstream::start();
    let key = "QkFqTmtDclVkQTFVaUAz";
    let everywhere = "headers = [\"x-apikey\", \"api_key\"]\nquery = [\"api_key\"]\nform = [\"api_key\"]";
    for (table, target, field, form, status) in [
        ("", "/api/application/system", format!("x-apikey: {key}"), String::new(), 200),
        ("", "/api/application/system", format!("X-ApiKey: {key}"), String::new(), 200),
        ("", "/api/application/system", "x-apikey: QkFqTmtDclVkQTFVaUAy".to_owned(), String::new(), 401),
        ("", "/api/application/system", "Accept: a/b".to_owned(), String::new(), 401),
        ("", "/api/application/system?x-apikey=QkFqTmtDclVkQTFVaUAz", "Accept: a/b".to_owned(), String::new(), 401),
        (everywhere, "/api/v14/apps.json", "Accept: a/b".to_owned(), String::new(), 401),
        (
            everywhere,
            "/api/v14/apps.json?api_key=QkFqTmtDclVkQTFVaUAz&a=b",
            "Accept: a/b".to_owned(),
            String::new(),
            200,
        ),
        (everywhere, "/api/v14/apps.json", format!("api_key: {key}"), String::new(), 200),
        (everywhere, "/api/v14/apps.json", "Accept: a/b".to_owned(), format!("name=x&api_key={key}"), 200),
        (everywhere, "/api/v14/apps.json", format!("api_key: {key}"), format!("api_key={key}x"), 401),
        (everywhere, "/api/v14/apps.json", format!("api_key: {key}\r\nApi-Key: x"), String::new(), 401),
    ] {
        let (_folder, gateway) = with_a_user(&upstream, table);
        let before = upstream.seen().len();
        let request = post(target, URL_ENCODED, &form).replace("Host: a", &format!("Host: a\r\n{field}"));
        let answer = gateway.connect().ask(request);
        assert_eq!(answer.status, status, "{target} {field} {form}: {answer:?}");
        let received = upstream.seen().split_off(before);
        assert_eq!(received.len(), usize::from(status == 200));
        assert!(!format!("{received:?} {answer:?}").contains(key), "{received:?}");
        for received in received {
            assert!(!String::from_utf8_lossy(&received.body).contains(key));
            assert_eq!(received.header("x-vidgate-subject"), Some("user:john"));
        }
    }
}

/// What stays where it is must be the caller's, in whichever places it stands.
#[test]
fn where_credentials_are_kept_a_form_holds_no_other_callers() {
    let upstream = Upstream::start();
    let added =
        Added { top: ACCOUNTS, route: "credential = \"keep\"", authenticate: "license or legacy", ..Added::default() };
    let gateway = timed(&upstream, added);
    let license = "Host: a\r\nAuthorization: LKey v3.X9tKpuXq0btatj";
    let proven = format!("account_id=1&api_key={KEY}");
    for (host, form, status) in [
        ("Host: a", proven.as_str(), 200),
        (license, "a=b", 200),
        (license, "account_id=1", 200),
        (license, &proven, 401),
        (license, "a=b&api_key=x", 401),
        (license, "a=b;api_key=x", 401),
        (license, "account_password=x", 401),
    ] {
        let request = post("/", URL_ENCODED, form).replace("Host: a", host);
        assert_eq!(gateway.connect().ask(request).status, status, "{host} {form}");
    }
    assert_eq!(upstream.seen().len(), 3);
}

/// Some upstreams merge trailers into the head, where they would believe it.
#[test]
fn a_key_goes_no_further_as_a_trailer_either() {
    let upstream = Upstream::start();
    let (_folder, gateway) = with_a_user(&upstream, "");
    let request = "POST / HTTP/1.1\r\nHost: a\r\nX-Apikey: QkFqTmtDclVkQTFVaUAz\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: X-Sum, X-Apikey, X.Apikey\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Apikey: 2\r\nX.Apikey: 3\r\n\r\n";
    assert_eq!(gateway.connect().ask(request).status, 200);
    let received = upstream.only();
    let trailers: Vec<_> = received.trailers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!((&*received.body, trailers), (&b"x"[..], vec!["x-sum".to_owned()]));
}
