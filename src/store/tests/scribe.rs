//! A scribe who writes down what a store acknowledged, and so knows at each deed what must be on file and what must be
//! found; and a workload of everything that can be asked of a store, for it to write down.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::record::Verdict;
use crate::store::engine::disk::{Dice, PowerCut};
use crate::store::load;

/// An entry.
pub(super) type Place = (Resource, String);

/// What must be there after a deed.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// The documents, without what goes by the time of day.
    pub(super) documents: BTreeMap<Place, Value>,
    /// The secrets, newest first.
    texts: BTreeMap<Place, Vec<String>>,
    /// Who did each deed so far.
    pub(super) deeds: Vec<String>,
    /// When.
    pub(super) at: Option<UnixTime>,
}

/// What is to be remembered of an operation that was sent.
struct Told {
    act: Act,
    place: Place,
    given: Option<String>,
}

impl Told {
    fn of(operation: &Operation) -> Self {
        let text = |resource: Resource, document: &Map<String, Value>| {
            resource.secret().and_then(|rule| document.get(rule.field)?.as_str().map(str::to_owned))
        };
        let (act, resource, id, given) = match operation {
            Operation::Create { resource, document, .. } => {
                (Act::Create, *resource, String::new(), text(*resource, document))
            }
            Operation::Change { resource, id, .. } => (Act::Change, *resource, id.clone(), None),
            Operation::Rotate { resource, id, document, .. } => {
                (Act::Rotate, *resource, id.clone(), text(*resource, document))
            }
            Operation::Issue { .. } | Operation::Add { .. } => unreachable!("this one creates what it makes"),
            Operation::Delete { resource, id, .. } => (Act::Delete, *resource, id.clone(), None),
        };
        Self { act, place: (resource, id), given }
    }
}

/// A document without what goes by the time of day.
pub(super) fn lasting(mut document: Map<String, Value>) -> Value {
    document.remove("status");
    document.remove("last_used");
    Value::Object(document)
}

impl State {
    fn learn(&mut self, told: &Told, outcome: &Outcome, now: UnixTime) {
        let place = (outcome.resource, outcome.id.clone());
        if told.act == Act::Delete {
            self.documents.remove(&place);
            self.texts.remove(&place);
            // A bearer token goes when its user goes.
            self.documents.retain(|(resource, _), document| {
                place.0 != Resource::User || *resource != Resource::BearerToken || document["user"] != place.1.as_str()
            });
            self.texts.retain(|place, _| self.documents.contains_key(place));
            return;
        }
        if told.act == Act::Rotate && told.place != place {
            let before = self.documents.get_mut(&told.place).expect("it was rotated");
            before["expires"] = json!(UnixTime(now.0 + 3600));
            before["successor"] = json!(place.1);
            before["changed"] = json!(now);
            before["revision"] = json!(before["revision"].as_u64().expect("a number") + 1);
        }
        let made = outcome.secret.as_ref().map(|secret| String::from_utf8(secret.expose().to_vec()).expect("text"));
        if let Some(text) = made.or_else(|| told.given.clone()) {
            let texts = self.texts.entry(place.clone()).or_default();
            texts.insert(0, text);
            texts.truncate(4);
        }
        self.documents.insert(place, lasting(outcome.document.clone()));
    }

    /// What must be found, and as whom.
    pub(super) fn found(&self) -> BTreeMap<(Kind, String), String> {
        let mut found = BTreeMap::new();
        for ((resource, id), document) in &self.documents {
            let text = |field: &str| document[field].as_str().expect("a text").to_owned();
            let public = match resource {
                Resource::ApiClient => Some((Kind::ApiClient, id.clone())),
                Resource::User => Some((Kind::User, text("login"))),
                Resource::App => Some((Kind::App, text("public_key"))),
                Resource::ServiceAccount => Some((Kind::ServiceAccountKey, id.clone())),
                Resource::AdminCertificate => Some((Kind::AdminCertificate, text("subject"))),
                Resource::Account
                | Resource::LicenseKey
                | Resource::Camera
                | Resource::CameraGroup
                | Resource::Token
                | Resource::BearerToken => None,
            };
            found.extend(public.map(|key| (key, id.clone())));
            if *resource == Resource::App {
                found.insert((Kind::App, id.clone()), id.clone());
            }
            let Some(rule) = resource.secret() else { continue };
            let group = (*resource == Resource::Token && !document["group"].is_null()).then_some(Kind::GroupToken);
            let Some(kind) = group.or(rule.found_as) else { continue };
            for text in self.texts.get(&(*resource, id.clone())).into_iter().flatten() {
                let inner = (rule.check)(&Secret::new(text.clone().into_bytes())).expect("it was taken");
                let inner = inner.map(|inner| String::from_utf8(inner.expose().to_vec()).expect("text"));
                found.insert((kind, inner.unwrap_or_else(|| text.clone())), id.clone());
            }
        }
        found
    }

    /// The newest secret of each API client.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&str, &str)> {
        let clients = self.texts.iter().filter(|((resource, _), _)| *resource == Resource::ApiClient);
        clients.map(|((_, id), texts)| (id.as_str(), texts[0].as_str()))
    }

    /// What of `ever` is there.
    pub(super) fn compare(&self, store: &Store, ever: &BTreeSet<(Kind, String)>, what: &str) {
        let (index, found) = (store.index(), self.found());
        for (kind, text) in ever {
            let id = index.holder(*kind, text.as_bytes()).map(|record| record.id().to_owned());
            assert_eq!(id.as_ref(), found.get(&(*kind, text.clone())), "{what}: {kind:?} {text}");
        }
        // A record that moves to another digest stands at both for a moment; once nothing is renewed, at one.
        while index.len() != found.len() && store.state().expect("it can be read").renewing {
            std::thread::yield_now();
        }
        assert_eq!(index.len(), found.len(), "{what}: the index has what is not on file");
        for (id, secret) in self.clients() {
            let client = index.holder(Kind::ApiClient, id.as_bytes()).expect("it was found above");
            assert!(
                index.proves(secret.as_bytes(), client.proofs(), UnixTime(0)) == Verdict::Proven,
                "{what}: the secret of {id}"
            );
        }
        assert_eq!(documents(store), self.documents, "{what}");
        let trail = store.verify_audit().expect("it can be read");
        assert_eq!((trail.deeds, trail.broken_at), (self.deeds.len() as u64, None), "{what}");
        let deeds = store.audit(0, 10_000).expect("it can be read");
        assert!(deeds.iter().map(|deed| &deed.actor).eq(&self.deeds), "{what}: {deeds:?}");
    }
}

/// Everything that a store shows.
pub(super) fn documents(store: &Store) -> BTreeMap<Place, Value> {
    let mut all = BTreeMap::new();
    for resource in Resource::ALL {
        let page = store.list(*resource, &Filter::default(), None, 10_000).expect("it can be read");
        assert!(page.next.is_none());
        all.extend(page.items.into_iter().map(|item| ((*resource, item.id), lasting(item.document))));
    }
    all
}

/// A store on a disk in memory, and the scribe.
pub(super) struct Scribe {
    pub(super) disk: PowerCut,
    /// What was on it before anything was asked.
    pub(super) blank: Vec<u8>,
    pub(super) folder: TempDir,
    pub(super) clock: Clock,
    pub(super) store: Store,
    /// One for each number of deeds.
    pub(super) states: Vec<State>,
    /// Every text by which something was ever found.
    pub(super) ever: BTreeSet<(Kind, String)>,
    pub(super) dice: Dice,
    serial: usize,
}

/// So small that much goes to the disk.
pub(super) const ENGINE: engine::Settings = engine::Settings { cache: 512 * 1024, verify: true };

/// Opens the store on a disk, with the master key in a folder.
pub(super) fn open_on(disk: &PowerCut, folder: &Path, clock: &Clock, writable: bool) -> Result<Store, Unopened> {
    open_with(disk, master(folder), folder, clock, writable)
}

pub(super) fn open_with(
    disk: &PowerCut,
    key: Master,
    folder: &Path,
    clock: &Clock,
    writable: bool,
) -> Result<Store, Unopened> {
    let opened = load::opened(disk.engine(ENGINE, writable)?, key, Purpose::Serve)?;
    Sound::of(opened, folder.join("in memory")).start(clock.clone())
}

impl Scribe {
    pub(super) fn new(seed: u64) -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("master.key"), MASTER).expect("a file");
        let disk = PowerCut::default();
        let keyring = keyring::Keyring::new().seal(&master(folder.path()).key);
        drop(disk.create(ENGINE, |transaction| load::lay_out(transaction, &keyring)).expect("a store"));
        disk.disk().journal.clear();
        let blank = disk.content();
        let clock = Clock::manual(UnixTime(1_700_000_000));
        let store = open_on(&disk, folder.path(), &clock, true).expect("it opens");
        let (states, ever) = (vec![State::default()], BTreeSet::new());
        Self { disk, blank, folder, clock, store, states, ever, dice: Dice(seed), serial: 0 }
    }

    pub(super) fn now(&self) -> &State {
        self.states.last().expect("there is always one")
    }

    pub(super) fn serial(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    /// Sends requests without waiting in between, and writes down what is acknowledged.
    pub(super) fn send(
        &mut self,
        requests: Vec<(Vec<Operation>, Option<Idempotency>)>,
    ) -> Vec<Result<Answer, Refused>> {
        let mut waiting = Vec::new();
        for (operations, idempotency) in requests {
            let actor = Actor(format!("test:{}", self.serial()));
            let told: Vec<Told> = operations.iter().map(Told::of).collect();
            let (reply, answer) = mpsc::channel();
            let disk = self.disk.clone();
            self.store.submit(Request { actor: actor.clone(), operations, idempotency }, move |outcome| {
                if outcome.as_ref().is_ok_and(|answer| !answer.replayed) {
                    disk.acknowledge();
                }
                reply.send(outcome).expect("somebody waits");
            });
            waiting.push((actor, told, answer));
        }
        let mut answers = Vec::new();
        for (actor, told, answer) in waiting {
            let answer = answer.recv().expect("there is an answer");
            if let Ok(answer) = &answer
                && !answer.replayed
            {
                let mut next = self.now().clone();
                let now = self.clock.unix();
                told.iter().zip(&answer.outcomes).for_each(|(told, outcome)| next.learn(told, outcome, now));
                next.deeds.push(actor.0);
                self.push(next);
            }
            answers.push(answer);
        }
        answers
    }

    /// Writes down a deed that no request did.
    pub(super) fn deed(&mut self, actor: &Actor) {
        self.disk.acknowledge();
        let mut next = self.now().clone();
        next.deeds.push(actor.0.clone());
        self.push(next);
    }

    fn push(&mut self, mut state: State) {
        state.at = Some(self.clock.unix());
        self.ever.extend(state.found().into_keys());
        self.states.push(state);
    }

    pub(super) fn ask(&mut self, operations: Vec<Operation>) -> Result<Answer, Refused> {
        self.send(vec![(operations, None)]).remove(0)
    }

    /// An account with one of everything.
    pub(super) fn furnish(&mut self) {
        let key = include_str!("../../../tests/fixtures/keys/rsa2048.pem");
        for (resource, document) in [
            (Resource::Account, json!({"id": "acme"})),
            (Resource::Account, json!({"id": "child", "parent": "acme"})),
            (Resource::LicenseKey, json!({"id": "main", "account": "acme", "key": "v3.X9tKpuXq0btatj"})),
            (Resource::ApiClient, json!({"id": "8ded5a89", "account": "acme", "secret": "99176b1d244c"})),
            (Resource::Camera, json!({"id": "248527", "account": "acme"})),
            (Resource::CameraGroup, json!({"id": "lobby", "account": "acme", "cameras": ["248527"]})),
            (Resource::Token, json!({"id": "door", "camera": "248527", "token": INNER})),
            (Resource::Token, json!({"id": "all-doors", "group": "lobby", "token": GROUP})),
            (Resource::User, json!({"id": "eva", "login": "Eva", "account": "acme", "key": "eva's key"})),
            (Resource::BearerToken, json!({"id": "b1", "user": "eva", "token": "opaque-opaque-opaque"})),
            (Resource::ServiceAccount, json!({"id": "kid-1", "account": "acme", "public_key": key})),
            (Resource::App, json!({"id": "app", "account": "acme", "public_key": "pk", "secret": "app's secret"})),
            (Resource::AdminCertificate, json!({"id": "ops", "account": "acme", "subject": "ops"})),
        ] {
            self.ask(vec![create(resource, document)]).expect("it is made");
        }
    }

    /// An entry of one of these resources.
    fn some(&mut self, of: &[Resource]) -> Option<Place> {
        let places: Vec<Place> =
            self.now().documents.keys().filter(|(resource, _)| of.contains(resource)).cloned().collect();
        (!places.is_empty()).then(|| places[self.dice.index(places.len())].clone())
    }

    /// Something new.
    fn new_one(&mut self) -> Operation {
        let n = self.serial();
        let account = self.some(&[Resource::Account]).expect("one is never taken away").1;
        let (camera, user) = (self.some(&[Resource::Camera]), self.some(&[Resource::User]));
        let (resource, mut document) = match (self.dice.roll(9), camera, user) {
            (0, ..) => (Resource::Account, json!({"parent": account})),
            (1, ..) => (Resource::Camera, json!({"account": account})),
            (2, Some((_, camera)), _) => (Resource::Token, json!({"camera": camera, "scopes": ["watch"]})),
            (3, ..) => (Resource::User, json!({"account": account, "login": format!("user {n}")})),
            (4, _, Some((_, user))) => (Resource::BearerToken, json!({"user": user})),
            (5, ..) => (Resource::ApiClient, json!({"account": account})),
            (6, ..) => (Resource::App, json!({"account": account, "public_key": format!("pk{n}")})),
            (7, ..) => (Resource::LicenseKey, json!({"account": account, "key": format!("vendors-key-{n}")})),
            _ => (Resource::LicenseKey, json!({"account": account, "metadata": {"note": "x".repeat(200)}})),
        };
        document["id"] = json!(format!("n{n}"));
        create(resource, document)
    }

    /// Anything.
    pub(super) fn operation(&mut self) -> Operation {
        let n = self.serial();
        let secret = [
            Resource::LicenseKey,
            Resource::Token,
            Resource::User,
            Resource::BearerToken,
            Resource::ApiClient,
            Resource::App,
        ];
        let place = match self.dice.roll(10) {
            0..=3 => return self.new_one(),
            4 | 5 => self.some(Resource::ALL),
            6 | 7 => {
                let (overlap, place) = (["0s", "2d"][self.dice.index(2)], self.some(&secret));
                let Some((resource, id)) = place else { return self.new_one() };
                let document = object(json!({"overlap": overlap}));
                return Operation::Rotate { resource, id, document, revision: None };
            }
            8 => self.some(&secret),
            _ => {
                // Most of these are still needed: refused in the middle of whatever else is asked.
                let place = self.some(Resource::ALL).filter(|(_, id)| id != "acme");
                let Some((resource, id)) = place else { return self.new_one() };
                return Operation::Delete { resource, id, revision: None };
            }
        };
        let Some((resource, id)) = place else { return self.new_one() };
        if self.dice.roll(3) == 0 && secret.contains(&resource) {
            return Operation::Delete { resource, id, revision: None };
        }
        let disabled = resource != Resource::Account && n.is_multiple_of(5);
        let patch =
            object(json!({"name": format!("name {n}"), "disabled": disabled, "metadata": {"n": n.to_string()}}));
        Operation::Change { resource, id, patch, revision: None }
    }
}
