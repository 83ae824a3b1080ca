//! Whoever has a stream open and would be let in no longer loses it: at the next sweep, be it an answer or an upload, and
//! at once for the upstream too. What is changed without an effect on the caller ends nothing.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use serde_json::{Map, Value, json};
use vidgate::scheme::Lapse;
use vidgate::store::{Actor, MasterKey, Operation, Request as Asked, Resource, Settings, Store};

use crate::house::TestGateway;
use crate::peer::{Peer, Played};
use crate::pki::Pki;
use crate::streams::{Pieces, Streams};
use crate::wire::Wire;

/// A gateway with a store in which stand `acme` with the key `first-key`, and `other` with `other-key`.
pub struct Ground {
    pub played: Played,
    pub gateway: TestGateway,
    pub pki: Pki,
}

pub fn lkey(key: &str) -> String {
    format!("Authorization: LKey {key}\r\n")
}

impl Ground {
    /// In clear, with one worker. `route` goes into the route.
    pub fn new(route: &str) -> Self {
        Self::with("", route)
    }

    /// The same over TLS.
    pub fn secure(route: &str) -> Self {
        Self::with("tls = { certificate = \"a.pem\", key = \"a.key\" }", route)
    }

    pub fn with(listener: &str, route: &str) -> Self {
        let (played, pki, key) = (Played::start(), Pki::new(), MasterKey::random());
        if !listener.is_empty() {
            pki.issue("a", &["localhost"]);
        }
        let folder: &Path = pki.path();
        std::fs::write(folder.join("master.key"), key.to_text().expose()).expect("written");
        Store::create(&Settings { path: folder.join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
        let toml = format!(
            r#"
drain = "20s"

[listener.public]
address = "127.0.0.1:0"
{listener}

[listener.probe]
address = "127.0.0.1:0"
timeouts = {{ idle = "1ms" }}

[upstream.api]
endpoints = ["http://{}"]
timeouts = {{ response = "2h", body = "2h" }}

[scheme.license.lkey]
[scheme.api.basic]
tls_only = false

[[route]]
name = "all"
listeners = ["public"]
path = "/{{*rest}}"
authenticate = "license or api"
forward = "api"
{route}

[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
"#,
            played.upstream.address()
        );
        let ground = Self { gateway: TestGateway::start_in(&toml, folder, 1), played, pki };
        for account in ["acme", "other"] {
            ground.create(Resource::Account, json!({ "id": account }));
        }
        ground.create(Resource::LicenseKey, json!({ "id": "main", "account": "acme", "key": "first-key" }));
        ground.create(Resource::LicenseKey, json!({ "id": "other", "account": "other", "key": "other-key" }));
        ground
    }

    fn apply(&self, operation: Operation) {
        let request = Asked { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
        self.gateway.store().apply(request).expect("it is done");
    }

    pub fn create(&self, resource: Resource, document: Value) {
        self.apply(Operation::Create { resource, document: map(document), versions: Vec::new() });
    }

    pub fn change(&self, resource: Resource, id: &str, patch: Value) {
        self.apply(Operation::Change { resource, id: id.to_owned(), patch: map(patch), revision: None });
    }

    pub fn rotate(&self, resource: Resource, id: &str, document: Value) {
        self.apply(Operation::Rotate { resource, id: id.to_owned(), document: map(document), revision: None });
    }

    pub fn delete(&self, resource: Resource, id: &str) {
        self.apply(Operation::Delete { resource, id: id.to_owned(), revision: None });
    }

    /// An answer of chunks that has begun: the caller, and the upstream.
    pub fn download(&self, credential: &str) -> (Wire, Peer) {
        self.download_at("/", credential)
    }

    /// The same from there.
    pub fn download_at(&self, target: &str, credential: &str) -> (Wire, Peer) {
        let mut wire = self.gateway.connect();
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{credential}\r\n"));
        let (mut peer, _) = self.played.next_head();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        assert_eq!(wire.head().status, 200);
        assert_eq!(wire.take(10), b"5\r\nhello\r\n");
        (wire, peer)
    }

    /// Returns once the worker has looked at who stands, after all that was changed before.
    pub fn swept(&self) {
        self.create(Resource::LicenseKey, json!({ "id": "marker", "account": "other", "key": "marker-key" }));
        let (mut wire, mut peer) = self.download(&lkey("marker-key"));
        self.delete(Resource::LicenseKey, "marker");
        assert!(wire.is_closed() && peer.is_closed());
    }
}

fn map(document: Value) -> Map<String, Value> {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    document
}

/// Whether the answer goes on.
pub fn goes_on((wire, peer): &mut (Wire, Peer)) -> bool {
    peer.say("5\r\nworld\r\n");
    wire.take(10) == b"5\r\nworld\r\n"
}

/// Whether it has ended in the middle, for both.
pub fn is_cut((wire, peer): &mut (Wire, Peer)) -> bool {
    wire.is_closed() && peer.is_closed()
}

#[test]
fn an_answer_ends_in_its_middle_when_its_callers_credential_is_taken_away() {
    type Change = fn(&Ground);
    let ground = Ground::new("");
    let mut others = ground.download(&lkey("other-key"));
    for (what, change, lapse) in [
        (
            "disabled",
            (|on| on.change(Resource::LicenseKey, "main", json!({ "disabled": true }))) as Change,
            Lapse::Disabled,
        ),
        (
            "its account disabled",
            |on| on.change(Resource::Account, "acme", json!({ "disabled": true })),
            Lapse::Disabled,
        ),
        ("deleted", |on| on.delete(Resource::LicenseKey, "main"), Lapse::Revoked),
    ] {
        let mut stream = ground.download(&lkey("first-key"));
        assert!(goes_on(&mut stream), "{what}");
        let before = ground.gateway.endings().of(lapse);
        change(&ground);
        assert!(is_cut(&mut stream), "{what}");
        assert_eq!(ground.gateway.endings().of(lapse), before + 1, "{what}");
        assert!(goes_on(&mut others), "{what}");
        if what == "disabled" {
            ground.change(Resource::LicenseKey, "main", json!({ "disabled": false }));
        } else if what != "deleted" {
            ground.change(Resource::Account, "acme", json!({ "disabled": false }));
        }
    }
}

#[test]
fn what_does_not_touch_the_caller_ends_nothing() {
    let ground = Ground::new("");
    let mut stream = ground.download(&lkey("first-key"));
    ground.change(Resource::LicenseKey, "main", json!({ "name": "Another", "metadata": { "a": "b" } }));
    ground.change(Resource::Account, "acme", json!({ "name": "Another" }));
    ground.rotate(Resource::LicenseKey, "main", json!({ "overlap": "1h", "key": "second-key" }));
    let mut second = ground.download(&lkey("second-key"));
    ground.swept();
    assert!(goes_on(&mut stream) && goes_on(&mut second));
    // The overlap ends.
    ground.gateway.advance(Duration::from_hours(1));
    assert!(is_cut(&mut stream));
    assert_eq!(ground.gateway.endings().of(Lapse::Expired), 1);
    assert!(goes_on(&mut second));
}

#[test]
fn a_secret_that_was_replaced_at_once_ends_what_it_has_opened_and_the_new_one_does_not() {
    let ground = Ground::new("");
    let client = json!({ "id": "client", "account": "acme", "secret": "secret-number-one" });
    ground.create(Resource::ApiClient, client);
    // client:secret-number-one, client:secret-number-two
    let one = "Authorization: Basic Y2xpZW50OnNlY3JldC1udW1iZXItb25l\r\n";
    let two = "Authorization: Basic Y2xpZW50OnNlY3JldC1udW1iZXItdHdv\r\n";
    let mut old = ground.download(one);
    ground.rotate(Resource::ApiClient, "client", json!({ "overlap": "1h", "secret": "secret-number-two" }));
    let mut new = ground.download(two);
    ground.swept();
    assert!(goes_on(&mut old) && goes_on(&mut new));
    ground.gateway.advance(Duration::from_hours(1));
    assert!(is_cut(&mut old));
    assert!(goes_on(&mut new));
}

#[test]
fn an_end_that_comes_ends_the_stream() {
    let ground = Ground::new("");
    let end = vidgate::clock::UnixTime(crate::house::START.0 + 60);
    ground.change(Resource::LicenseKey, "main", json!({ "expires": end }));
    let mut stream = ground.download(&lkey("first-key"));
    ground.gateway.pass(Duration::from_secs(59));
    assert!(goes_on(&mut stream));
    ground.gateway.advance(Duration::from_secs(1));
    assert!(is_cut(&mut stream));
}

#[test]
fn an_answer_that_its_caller_does_not_take_is_ended_all_the_same() {
    let ground = Ground::new("");
    let stream = ground.download(&lkey("first-key"));
    // More than all buffers between the two hold.
    let mut socket = stream.1.socket();
    let feeding = std::thread::spawn(move || {
        let chunk = [&b"10000\r\n"[..], &vec![b'x'; 0x10000], b"\r\n"].concat();
        (0..1024).all(|_| std::io::Write::write_all(&mut socket, &chunk).is_ok())
    });
    ground.delete(Resource::LicenseKey, "main");
    assert!(!feeding.join().expect("it ends"), "the upstream's connection ends");
}

#[test]
fn an_upload_on_its_way_is_refused_when_its_caller_would_be() {
    let ground = Ground::new("");
    let mut wire = ground.gateway.connect();
    wire.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{}Content-Length: 1000000\r\n\r\nhello", lkey("first-key")));
    let (mut peer, _) = ground.played.next_head();
    assert_eq!(peer.take_text(5), "hello");
    ground.delete(Resource::LicenseKey, "main");
    assert!(peer.is_closed());
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
}

#[test]
fn an_answer_that_comes_after_its_caller_was_taken_away_ends_too() {
    let ground = Ground::new("");
    let mut wire = ground.gateway.connect();
    wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lkey("first-key")));
    let (mut peer, _) = ground.played.next_head();
    ground.delete(Resource::LicenseKey, "main");
    ground.swept();
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().status, 200);
    assert!(is_cut(&mut (wire, peer)));
}

#[test]
fn a_stream_of_http_2_is_reset_and_its_connection_stays() {
    let ground = Ground::secure("");
    let streams = Streams::connect(&ground.gateway, &ground.pki);
    let asked = |key: &str| {
        let request = Request::get("https://localhost/").header("authorization", format!("LKey {key}"));
        request.body(Pieces::none()).expect("a request")
    };
    let begin = |key: &str| {
        let awaited = streams.send(asked(key));
        let (mut peer, _) = ground.played.next_head();
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        let mut body = streams.head(awaited).expect("a head").into_body();
        let first = streams.wait(body.frame()).expect("a piece").expect("a good one");
        assert_eq!(first.into_data().expect("data"), "hello");
        (body, peer)
    };
    let ((mut one, mut first), (mut two, mut second)) = (begin("first-key"), begin("other-key"));
    ground.delete(Resource::LicenseKey, "main");
    assert!(streams.wait(one.frame()).expect("something").is_err(), "it is reset");
    assert!(first.is_closed());
    second.say("5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(streams.wait(two.frame()).expect("a piece").expect("good").into_data().expect("data"), "world");
    let (feed, body) = Pieces::fed();
    let awaited = streams.send(
        Request::post("https://localhost/").header("authorization", "LKey other-key").body(body).expect("a request"),
    );
    streams.wait(feed.send(Frame::data(Bytes::from_static(b"hello")))).expect("taken");
    // On the connection that has just become free.
    let mut third = second;
    third.head();
    ground.delete(Resource::LicenseKey, "other");
    assert_eq!(streams.whole(awaited).expect("an answer").status, 401);
    assert!(third.is_closed());
}
