//! A small store for tests: one of each resource, two versions of some secrets, and what was handed out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Actor, Filter, Given, Master, MasterKey, Operation, Outcome, Purpose, Refused, Request, Resource, Settings, Store,
};
use crate::clock::{Clock, UnixTime};
use crate::record::{Attributes, Directory, Kind, Signer, Verdict};
use crate::secret::Secret;

/// When the clock of a sample stands still.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);

/// A store in a folder that goes with it.
pub(crate) struct Sample {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) master: MasterKey,
    pub(crate) clock: Clock,
    /// Every secret that was given or made, the older versions of an entry first.
    pub(crate) secrets: Vec<Held>,
    pub(crate) folder: tempfile::TempDir,
}

/// A secret that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) resource: Resource,
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Sample {
    /// A store without entries.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join("store"), cache: 1 << 20 };
        let (master, clock) = (MasterKey::random(), Clock::manual(NOW));
        Store::create(&settings, &master).unwrap();
        let store = open(&settings, &master, &clock).unwrap();
        Self { store, settings, master, clock, secrets: Vec::new(), folder }
    }

    /// One of each resource.
    pub(crate) fn full() -> Self {
        let mut sample = Self::empty();
        let mut create = |resource, document| sample.create(resource, document);
        // The one above comes later in the order of ids.
        create(Resource::Account, json!({ "id": "zenith", "name": "Zenith", "metadata": { "plan": "gold" } }));
        create(Resource::Account, json!({ "id": "acme", "parent": "zenith", "quota": { "hour": 1000 } }));
        create(Resource::Account, json!({ "id": "middle", "parent": "acme" }));
        create(Resource::Account, json!({ "id": "below", "parent": "middle" }));
        create(Resource::LicenseKey, json!({ "id": "lk-1", "account": "acme", "name": "main" }));
        create(Resource::LicenseKey, json!({ "id": "lk-2", "account": "zenith", "key": "vendor's\"own\"key" }));
        create(Resource::ApiClient, json!({ "id": "client-1", "account": "acme" }));
        create(Resource::Camera, json!({ "id": "248527", "account": "acme", "name": "Hall" }));
        create(Resource::CameraGroup, json!({ "id": "group-1", "account": "acme", "cameras": ["248527"] }));
        create(Resource::Token, json!({ "id": "tk-1", "camera": "248527", "scopes": ["live"] }));
        create(Resource::Token, json!({ "id": "tk-2", "group": "group-1", "expires": "2029-01-01T00:00:00Z" }));
        create(Resource::User, json!({ "id": "user-1", "account": "acme", "login": "alice", "roles": ["viewer"] }));
        create(Resource::BearerToken, json!({ "id": "bt-1", "user": "user-1" }));
        let public_key = include_str!("../../tests/fixtures/keys/rsa2048.pem");
        create(Resource::ServiceAccount, json!({ "id": "sa-1", "account": "acme", "public_key": public_key }));
        create(Resource::App, json!({ "id": "app-1", "account": "acme", "public_key": "pk-1", "wall": "all" }));
        create(Resource::AdminCertificate, json!({ "id": "ac-1", "account": "acme", "subject": "root" }));
        for (resource, id) in [
            (Resource::LicenseKey, "lk-1"),
            (Resource::ApiClient, "client-1"),
            (Resource::User, "user-1"),
            (Resource::App, "app-1"),
        ] {
            sample.rotate(resource, id);
        }
        sample
    }

    /// Makes an entry, and keeps its secret.
    pub(crate) fn create(&mut self, resource: Resource, document: Value) -> Outcome {
        let document = object(document);
        let given = resource.secret().and_then(|rule| Some(document.get(rule.field)?.as_str()?.to_owned()));
        let outcome = create(&self.store, resource, document, Vec::new()).unwrap();
        self.hold(&outcome, given);
        outcome
    }

    /// Gives an entry another secret, with an overlap of an hour.
    pub(crate) fn rotate(&mut self, resource: Resource, id: &str) -> Outcome {
        let document = object(json!({ "overlap": "1h" }));
        let outcome = apply(&self.store, Operation::Rotate { resource, id: id.to_owned(), document, revision: None });
        let outcome = outcome.unwrap();
        self.hold(&outcome, None);
        outcome
    }

    fn hold(&mut self, outcome: &Outcome, given: Option<String>) {
        let made = outcome.secret.as_ref().map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap());
        if let Some(text) = made.or(given) {
            self.secrets.push(Held { resource: outcome.resource, id: outcome.id.clone(), text });
        }
    }

    /// Opens another file with the same master key and clock.
    pub(crate) fn open(&self, settings: &Settings) -> Store {
        open(settings, &self.master, &self.clock).unwrap()
    }

    /// Another file beside the store.
    pub(crate) fn beside(&self, name: &str) -> Settings {
        Settings { path: self.folder.path().join(name), ..self.settings.clone() }
    }
}

impl Held {
    /// Whether the corridor of a store takes it for what it is.
    pub(crate) fn opens(&self, store: &Store) -> bool {
        let (index, text) = (store.index(), self.text.as_bytes());
        let found = |kind, text: &[u8]| index.look_up(kind, text).is_some_and(|record| record.id() == self.id);
        match self.resource {
            Resource::LicenseKey => found(Kind::LicenseKey, text),
            Resource::BearerToken => found(Kind::BearerToken, text),
            Resource::Token => found(Kind::CameraToken, text) || found(Kind::GroupToken, text),
            Resource::User => found(Kind::UserKey, text) && proves(store, Kind::User, "alice", text),
            Resource::ApiClient => proves(store, Kind::ApiClient, &self.id, text),
            Resource::App => ["pk-1", "app-1"].iter().all(|name| signs(store, name, text)),
            Resource::Account
            | Resource::Camera
            | Resource::CameraGroup
            | Resource::ServiceAccount
            | Resource::AdminCertificate => false,
        }
    }
}

/// Whether an app signs with this secret.
fn signs(store: &Store, name: &str, text: &[u8]) -> bool {
    let Some(record) = store.index().look_up(Kind::App, name.as_bytes()) else { return false };
    let Attributes::App(app) = &record.attributes else { return false };
    let tag = Signer::new(&Secret::new(text.to_vec()), None).sign(b"a message");
    app.signers.iter().any(|signer| signer.is_good(NOW) && bool::from(signer.signed(b"a message", &tag)))
}

fn proves(store: &Store, kind: Kind, name: &str, text: &[u8]) -> bool {
    let index = store.index();
    let Some(record) = index.look_up(kind, name.as_bytes()) else { return false };
    let Attributes::Proofs(proofs) = &record.attributes else { return false };
    let proven = index.proves(text, proofs, NOW) == Verdict::Proven;
    if proven {
        index.proven(&record, text);
    }
    proven
}

pub(crate) fn open(settings: &Settings, master: &MasterKey, clock: &Clock) -> Result<Store, super::Unopened> {
    let master = Master { key: master.clone(), file: None };
    Store::open(settings, master, clock.clone(), Purpose::Serve)
}

/// Asks for one change.
pub(crate) fn apply(store: &Store, operation: Operation) -> Result<Outcome, Refused> {
    let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
    store.apply(request).map(|answer| answer.outcomes.into_iter().next().unwrap())
}

/// Makes an entry.
pub(crate) fn create(
    store: &Store,
    resource: Resource,
    document: Map<String, Value>,
    versions: Vec<Given>,
) -> Result<Outcome, Refused> {
    apply(store, Operation::Create { resource, document, versions })
}

/// Every entry as it is shown.
pub(crate) fn documents(store: &Store) -> BTreeMap<(Resource, String), Map<String, Value>> {
    let page = |resource: &Resource| store.list(*resource, &Filter::default(), None, 1000).unwrap().items;
    Resource::ALL.iter().flat_map(page).map(|outcome| ((outcome.resource, outcome.id), outcome.document)).collect()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

/// Whether bytes hold a text anywhere.
pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
