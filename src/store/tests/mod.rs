//! The store as a whole, from requests to what the corridor finds.

mod accounts;
mod aliases;
mod apps;
mod cameras;
mod cuts;
mod damage;
mod edges;
mod faults;
mod keys;
mod ledger;
mod life;
mod many;
mod model;
mod rotation;
mod scribe;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::clock::UnixTime;
use crate::record::{Directory, Kind, Record};

/// A store in a folder of its own, at an instant that stands still.
pub(super) struct House {
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    pub(super) store: Store,
}

pub(super) const MASTER: &[u8] = b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("vidgate.redb"), cache: 4 << 20 }
}

pub(super) fn master(folder: &Path) -> Master {
    let file = folder.join("master.key");
    let key = MasterKey::parse(&std::fs::read(&file).expect("the key was written")).expect("it is a key");
    Master { key, file: Some(file) }
}

impl House {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("master.key"), MASTER).expect("a file");
        Store::create(&settings(folder.path()), &master(folder.path()).key).expect("a store");
        let clock = Clock::manual(UnixTime(1_700_000_000));
        let store = Self::open(folder.path(), &clock);
        Self { folder, clock, store }
    }

    fn open(folder: &Path, clock: &Clock) -> Store {
        Store::open(&settings(folder), master(folder), clock.clone(), Purpose::Serve).expect("it opens")
    }

    /// The same house after its store was closed and opened again.
    pub(super) fn reopened(self) -> Self {
        let Self { folder, clock, store } = self;
        drop(store);
        let store = Self::open(folder.path(), &clock);
        Self { folder, clock, store }
    }

    pub(super) fn try_all(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>, Refused> {
        let request = Request { actor: Actor("test:lea".to_owned()), operations, idempotency: None };
        self.store.apply(request).map(|answer| answer.outcomes)
    }

    pub(super) fn attempt(&self, operation: Operation) -> Result<Outcome, Refused> {
        self.try_all(vec![operation]).map(|mut outcomes| outcomes.remove(0))
    }

    pub(super) fn create(&self, resource: Resource, document: Value) -> Outcome {
        self.attempt(create(resource, document)).expect("it is made")
    }

    pub(super) fn change(&self, resource: Resource, id: &str, patch: Value) -> Result<Outcome, Refused> {
        self.attempt(Operation::Change { resource, id: id.to_owned(), patch: object(patch), revision: None })
    }

    pub(super) fn rotate(&self, resource: Resource, id: &str, document: Value) -> Result<Outcome, Refused> {
        self.attempt(Operation::Rotate { resource, id: id.to_owned(), document: object(document), revision: None })
    }

    pub(super) fn delete(&self, resource: Resource, id: &str) -> Result<Outcome, Refused> {
        self.attempt(Operation::Delete { resource, id: id.to_owned(), revision: None })
    }

    pub(super) fn found(&self, kind: Kind, text: &str) -> Option<Arc<Record>> {
        self.store.index().look_up(kind, text.as_bytes())
    }

    pub(super) fn deeds(&self) -> Vec<Deed> {
        self.store.audit(0, 1000).expect("the trail is there")
    }

    pub(super) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Returns once the thread of the store has come round: all that was due is looked after, and of what takes longer one more
/// step was taken.
pub(super) fn come_round(store: &Store) {
    // The first may meet it on its way; the second begins when that has ended.
    (0..2).for_each(|_| store.task(|_| Ok(())).expect("it answers"));
}

/// Has it come round until this is so.
pub(super) fn until(store: &Store, what: &str, mut is_so: impl FnMut() -> bool) {
    let comes = (0..100_000).any(|_| {
        is_so() || {
            come_round(store);
            false
        }
    });
    assert!(comes, "in vain for {what}");
}

pub(super) fn create(resource: Resource, document: Value) -> Operation {
    Operation::Create { resource, document: object(document), versions: Vec::new() }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("an object") };
    map
}

/// An account with one of everything.
pub(super) fn furnished() -> House {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    house.create(Resource::LicenseKey, json!({"id": "main", "account": "acme", "key": "v3.X9tKpuXq0btatj"}));
    house.create(Resource::ApiClient, json!({"id": "8ded5a89", "account": "acme", "secret": "99176b1d244c"}));
    house.create(Resource::Camera, json!({"id": "248527", "account": "acme"}));
    house.create(Resource::CameraGroup, json!({"id": "lobby", "account": "acme", "cameras": ["248527"]}));
    house.create(Resource::Token, json!({"id": "door", "camera": "248527", "token": INNER}));
    house.create(Resource::Token, json!({"id": "all-doors", "group": "lobby", "token": GROUP}));
    house.create(Resource::User, json!({"id": "eva", "login": "Eva", "account": "acme", "key": "eva's key"}));
    house.create(Resource::BearerToken, json!({"id": "b1", "user": "eva", "token": "opaque-opaque-opaque"}));
    let key = include_str!("../../../tests/fixtures/keys/rsa2048.pem");
    house.create(Resource::ServiceAccount, json!({"id": "kid-1", "account": "acme", "public_key": key}));
    house.create(Resource::App, json!({"id": "app", "account": "acme", "public_key": "pk", "secret": "app's secret"}));
    house.create(Resource::AdminCertificate, json!({"id": "ops", "account": "acme", "subject": "ops"}));
    house
}

/// VXG's own sample, and one of a group with a MAC made by `openssl dgst -sha1 -hmac vxg-lab-secret`.
pub(super) const INNER: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM";
pub(super) const GROUP: &str = "share.eyJzaSI6IDE4fQ.6515eccatbc1fab00.XV-TtS28u-EeCPV5tFYpJQGBt_Q";
