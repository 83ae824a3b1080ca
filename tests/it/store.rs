//! The store behind a running gateway: what is changed there holds for the next request, and its file is let go when the
//! last request has ended, not before.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use serde_json::{Map, Value, json};
use vidgate::clock::Clock;
use vidgate::store::{
    Actor, Master, MasterKey, Operation, Outcome, Purpose, Request, Resource, Settings, Store, Unopened,
};

use crate::house::{START, TestGateway, open};
use crate::peer::Played;
use crate::ports::Reserved;
use crate::processes;
use crate::upstream::Upstream;

/// A gateway with a store, in a folder of its own.
struct Ground {
    folder: tempfile::TempDir,
    key: MasterKey,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { folder: tempfile::tempdir().expect("a folder"), key: MasterKey::random() };
        std::fs::write(ground.folder.path().join("master.key"), ground.key.to_text().expose()).expect("written");
        Store::create(&ground.settings(), &ground.key).expect("a store");
        ground
    }

    fn settings(&self) -> Settings {
        Settings { path: self.folder.path().join("vidgate.redb"), cache: 1 << 20 }
    }

    fn start(&self, upstream: &Upstream) -> TestGateway {
        self.start_at(SocketAddr::from(([127, 0, 0, 1], 0)), upstream)
    }

    fn start_at(&self, address: SocketAddr, upstream: &Upstream) -> TestGateway {
        let more = r#"
[scheme.license.lkey]

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[[account]]
id = "declared"
license_key = [{ id = "declared", key = "declared-key" }]
"#;
        let toml = open(upstream, more).replace("\"open\"", "\"license\"");
        let toml = toml.replace("127.0.0.1:0", &address.to_string());
        TestGateway::start_in(&toml, self.folder.path(), 2)
    }

    fn open(&self) -> Result<Store, Unopened> {
        processes::settle();
        let master = Master { key: self.key.clone(), file: None };
        Store::open(&self.settings(), master, Clock::manual(START), Purpose::Serve)
    }
}

fn apply(store: &Store, operation: Operation) -> Outcome {
    let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
    store.apply(request).expect("it is done").outcomes.remove(0)
}

fn create(store: &Store, resource: Resource, document: Value) {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    apply(store, Operation::Create { resource, document, versions: Vec::new() });
}

fn stock(store: &Store) {
    create(store, Resource::Account, json!({ "id": "acme" }));
    create(store, Resource::LicenseKey, json!({ "id": "main", "account": "acme", "key": "first-key" }));
}

fn get(key: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {key}\r\n\r\n")
}

#[test]
fn a_change_in_the_store_holds_for_the_next_request() {
    let (ground, upstream) = (Ground::new(), Upstream::start());
    let gateway = ground.start(&upstream);
    // A new connection each: the clock is moved, and idle ones end by it.
    let status = |key: &str| gateway.connect().ask(get(key)).status;
    assert_eq!((status("first-key"), status("declared-key")), (401, 200));
    stock(gateway.store());
    assert_eq!(status("first-key"), 200);
    let mut document = Map::new();
    document.insert("overlap".to_owned(), json!("1h"));
    document.insert("key".to_owned(), json!("second-key"));
    let (resource, id) = (Resource::LicenseKey, "main".to_owned());
    apply(gateway.store(), Operation::Rotate { resource, id: id.clone(), document, revision: None });
    assert_eq!((status("first-key"), status("second-key")), (200, 200));
    gateway.advance(std::time::Duration::from_hours(1));
    assert_eq!((status("first-key"), status("second-key")), (401, 200), "the overlap is over");
    apply(gateway.store(), Operation::Delete { resource, id, revision: None });
    assert_eq!((status("second-key"), status("declared-key")), (401, 200));
}

#[test]
fn where_an_account_may_be_used_from_is_changed_for_the_next_request() {
    let (ground, upstream) = (Ground::new(), Upstream::start());
    let gateway = ground.start(&upstream);
    stock(gateway.store());
    create(gateway.store(), Resource::Account, json!({ "id": "holding" }));
    let mut wire = gateway.connect();
    let mut status_with = |account: &str, patch: Value| {
        let Value::Object(patch) = patch else { unreachable!("tests write objects") };
        let (resource, id) = (Resource::Account, account.to_owned());
        apply(gateway.store(), Operation::Change { resource, id, patch, revision: None });
        wire.ask(get("first-key")).status
    };
    assert_eq!(status_with("acme", json!({ "addresses": ["198.51.100.1"] })), 403);
    assert_eq!(status_with("acme", json!({ "addresses": ["198.51.100.1", "127.0.0.1"] })), 200);
    assert_eq!(status_with("acme", json!({ "addresses": ["198.51.100.1", "0.0.0.0"] })), 200);
    assert_eq!(status_with("acme", json!({ "parent": "holding" })), 200);
    assert_eq!(status_with("holding", json!({ "addresses": ["198.51.100.1"] })), 403);
    assert_eq!(status_with("holding", json!({ "addresses": null })), 200);
    assert_eq!(upstream.seen().len(), 4);
}

#[test]
fn the_store_is_kept_until_the_drain_has_ended_and_remembers_who_came() {
    let (ground, played, port) = (Ground::new(), Played::start(), Reserved::new());
    let gateway = ground.start_at(port.address(), &played.upstream);
    stock(gateway.store());
    let mut waiting = gateway.connect();
    waiting.send(get("first-key"));
    let (mut upstream, _) = played.next_head();

    let draining = thread::spawn(|| gateway.drain());
    port.await_silence();
    assert!(ground.open().expect_err("a request is in flight").is_busy());
    upstream.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(waiting.answer().status, 200);
    drop(waiting);
    assert!(draining.join().expect("it drains"));

    let store = ground.open().expect("it was let go");
    let shown = store.show(Resource::LicenseKey, "main").expect("it is there");
    assert_eq!(shown.document["last_used"], json!(START));
}

#[test]
fn a_start_that_is_refused_for_want_of_a_port_leaves_the_store_as_it_was() {
    let ground = Ground::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let read = || std::fs::read(ground.folder.path().join("vidgate.redb")).expect("readable");
    let before = read();
    let toml = format!(
        "[listener.public]\naddress = \"{}\"\n[upstream.api]\nendpoints = [\"http://127.0.0.1:1\"]\n[[route]]\n\
         name = \"all\"\npath = \"/\"\nauthenticate = \"open\"\nforward = \"api\"\n[store]\npath = \"vidgate.redb\"\n\
         master_key = {{ file = \"master.key\" }}\n",
        taken.local_addr().expect("bound")
    );
    let base: &Path = ground.folder.path();
    let loaded = vidgate::config::load_text("test.toml", &toml, base, Purpose::Serve).expect("it is good");
    let options = vidgate::run::Options { workers: 1, clock: Clock::manual(START), output: crate::log::access() };
    let refused = vidgate::run::Server::start(loaded, &options).expect_err("the port is taken").to_string();
    assert!(refused.contains("cannot bind"), "{refused}");
    assert!(read() == before);
    assert!(ground.open().is_ok(), "and free for the next one");
}
