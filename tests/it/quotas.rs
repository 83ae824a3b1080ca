//! Quotas over the real store: what was spent is spent after a restart, and after the process was killed it is at least
//! that, and at most one block more.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use vidgate::store::{Actor, MasterKey, Operation, Request, Resource, Settings, Store};

use crate::house::TestGateway;
use crate::patience::until;
use crate::store_kill::{Caller, House};
use crate::upstream::Upstream;

/// Of so many requests, a hundredth is reserved at a time.
const QUOTA: u64 = 2000;
const BLOCK: u64 = QUOTA / 100;
const CLIENTS: u64 = 2;
const KILLS: u64 = 8;
/// A month: nobody runs this over the end of one, but for once in a long while.
const MONTHLY: &str = "limits = [\"monthly\"]\n[limit.monthly]\nquota = \"2000/month\"\n";

/// What the gateway says that `acme` has spent.
fn spent(admin: &mut Caller) -> u64 {
    let (status, usage) = admin.ask("GET", "/v1/usage?account=acme", None).expect("it answers");
    assert_eq!((status, &usage["quotas"][0]["quota"]), (200, &json!(QUOTA)), "{usage}");
    usage["quotas"][0]["spent"].as_u64().expect("a number")
}

/// Spends until the gateway is gone or refuses.
fn spend(house: &House, passed: &AtomicUsize) {
    let mut caller = Caller::new(house.public, "LKey main-key");
    while let Some((status, _)) = caller.ask("GET", "/", None) {
        match status {
            429 => return,
            // A disk that is busy with other tests was waited for as long as a caller may wait: nothing is spent.
            503 => continue,
            status => assert_eq!(status, 200),
        }
        passed.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_killed_process_forgets_nothing_that_was_spent_and_a_block_at_most_is_lost() {
    let upstream = Upstream::start();
    let house = House::with(&upstream, MONTHLY);
    let passed = AtomicUsize::new(0);
    let told = || passed.load(Ordering::SeqCst) as u64;
    let mut lost = 0;
    for round in 0..=KILLS {
        let gateway = house.start();
        let mut admin = house.admin();
        if round == 0 {
            for (path, document) in [
                ("/v1/accounts", json!({"id": "acme"})),
                ("/v1/license-keys", json!({"id": "main", "account": "acme", "key": "main-key"})),
            ] {
                assert_eq!(admin.ask("POST", path, Some(&document)).expect("it answers").0, 201);
            }
        }
        let (before, so_far) = (told(), spent(&mut admin));
        assert!(so_far >= before, "round {round}: {so_far} are known of {before} that passed");
        // Those that were under way when it was killed nobody heard of.
        lost = so_far - before;
        assert!(lost <= round * (BLOCK + CLIENTS), "round {round}: {lost} are lost");
        let enough = before + 100 + round * 7;
        thread::scope(|threads| {
            let spending: Vec<_> = (0..CLIENTS).map(|_| threads.spawn(|| spend(&house, &passed))).collect();
            if round < KILLS {
                until("so much that is spent", || told() >= enough);
                gateway.kill();
            } else {
                // The last one is left to go on until nothing is left.
                for client in spending {
                    client.join().expect("no client fails");
                }
                assert_eq!(spent(&mut admin), QUOTA);
            }
        });
    }
    let reached = upstream.seen().len() as u64;
    assert!(told() <= reached && reached <= QUOTA, "{reached} passed");
    assert!(told() + lost == QUOTA && lost <= KILLS * (BLOCK + CLIENTS), "{} and {lost}", told());
}

/// A store in a folder, with an account that has agreed upon five requests an hour.
fn stock(folder: &Path, upstream: &Upstream) -> String {
    let key = MasterKey::random();
    std::fs::write(folder.join("master.key"), key.to_text().expose()).expect("written");
    Store::create(&Settings { path: folder.join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"
[upstream.api]
endpoints = ["http://{}"]
[scheme.license.lkey]
[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
[limit.hourly]
quota = "100000/hour"
[limit.four]
quota = "4/day"
per = "credential"
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "license"
forward = "api"
limits = ["hourly", "four"]
"#,
        upstream.address()
    )
}

fn create(store: &Store, resource: Resource, document: Value) {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    let operations = vec![Operation::Create { resource, document, versions: Vec::new() }];
    let request = Request { actor: Actor("local:0".to_owned()), operations, idempotency: None };
    store.apply(request).expect("it is done");
}

#[test]
fn a_restart_neither_forgives_nor_takes_anything() {
    let (folder, upstream) = (tempfile::tempdir().expect("a folder"), Upstream::start());
    let toml = stock(folder.path(), &upstream);
    let start = || TestGateway::start_in(&toml, folder.path(), 2);
    let ask = |gateway: &TestGateway, key: &str| {
        let answer = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {key}\r\n\r\n"));
        let left = answer.header("ratelimit").map(str::to_owned).unwrap_or_default();
        (answer.status, left)
    };
    let gateway = start();
    create(gateway.store(), Resource::Account, json!({ "id": "acme", "quota": { "hour": 5 } }));
    for key in ["one", "two"] {
        create(gateway.store(), Resource::LicenseKey, json!({ "id": key, "account": "acme", "key": key }));
    }
    for left in [3, 2, 1] {
        let (status, standing) = ask(&gateway, "one");
        assert!(status == 200 && standing.starts_with(&format!("\"four\";r={left};")), "{standing}");
    }
    assert!(gateway.drain());
    let gateway = start();
    assert_eq!(ask(&gateway, "one").0, 200);
    let (status, standing) = ask(&gateway, "one");
    assert!(status == 429 && standing.contains("\"four\";r=0;") && standing.contains("\"hourly\";r=1;"), "{standing}");
    assert!(gateway.drain());
    // What was refused by one limit was not taken from the other, over the restart as well.
    let gateway = start();
    assert_eq!((ask(&gateway, "two").0, ask(&gateway, "two").0, ask(&gateway, "one").0), (200, 429, 429));
    gateway.advance(Duration::from_hours(1));
    assert_eq!((ask(&gateway, "two").0, ask(&gateway, "one").0), (200, 429));
    assert_eq!(upstream.seen().len(), 6);
    assert!(gateway.drain());
}
