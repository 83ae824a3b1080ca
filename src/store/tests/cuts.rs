//! Power cuts while the store does everything that it does.

use super::scribe::{Scribe, State, documents, open_on};
use super::*;
use crate::store::engine::disk::{Dice, Platter, PowerCut};

/// As many requests wait for their answers at once.
const IN_FLIGHT: usize = 4;

/// A master key that took the place of another with this deed.
struct Rekeyed {
    deed: u64,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// A request that may be sent again, and the deed that it was.
struct Repeatable {
    deed: usize,
    name: String,
    id: String,
    secret: Vec<u8>,
    at: UnixTime,
}

struct Past {
    scribe: Scribe,
    rekeyed: Vec<Rekeyed>,
    repeatable: Vec<Repeatable>,
}

fn repeatable(name: &str) -> (Vec<Operation>, Option<Idempotency>) {
    let operations = vec![create(Resource::LicenseKey, json!({"account": "acme", "name": name}))];
    (operations, Some(Idempotency { key: name.to_owned(), fingerprint: [7; 32] }))
}

impl Past {
    fn key(&self) -> Vec<u8> {
        std::fs::read(self.scribe.folder.path().join("master.key")).expect("it is there")
    }

    fn rekey(&mut self) {
        let old = self.key();
        let actor = Actor(format!("test:{}", self.scribe.serial()));
        let deed = self.scribe.states.len() as u64;
        self.scribe.store.rekey(&actor, None).expect("it is rekeyed");
        self.scribe.deed(&actor);
        self.rekeyed.push(Rekeyed { deed, old, new: self.key() });
    }

    fn repeatable(&mut self) {
        let name = format!("again {}", self.scribe.serial());
        let answer = self.scribe.send(vec![repeatable(&name)]).remove(0).expect("it is made");
        let (deed, made, at) = (self.scribe.states.len() - 1, &answer.outcomes[0], self.scribe.clock.unix());
        let secret = made.secret.as_ref().expect("it was made").expose().to_vec();
        self.repeatable.push(Repeatable { deed, name, id: made.id.clone(), secret, at });
    }

    /// Everything that a store does, and everything that the disk heard of it.
    fn of(seed: u64) -> Self {
        let mut past = Self { scribe: Scribe::new(seed), rekeyed: Vec::new(), repeatable: Vec::new() };
        past.scribe.furnish();
        for step in 0..36 {
            let scribe = &mut past.scribe;
            match step {
                8 | 25 => past.rekey(),
                14 | 20 => {
                    let actor = Actor(format!("test:{}", scribe.serial()));
                    scribe.store.add_pepper(&actor).expect("it is added");
                    scribe.deed(&actor);
                }
                5 | 12 | 28 => past.repeatable(),
                // Uses to be written down, and sightings of what lies under an older pepper.
                3 | 16 | 22 | 30 => {
                    let now = scribe.clock.unix();
                    for (kind, text) in scribe.now().found().into_keys() {
                        let record = scribe.store.index().look_up(kind, text.as_bytes()).expect("it is found");
                        record.seen(now);
                    }
                    let (clients, index) = (scribe.now().clone(), scribe.store.index());
                    for (id, secret) in clients.clients() {
                        index.proven(
                            &index.holder(Kind::ApiClient, id.as_bytes()).expect("it is there"),
                            secret.as_bytes(),
                        );
                    }
                    scribe.clock.advance(Duration::from_secs(301));
                }
                _ if step % 3 == 0 => {
                    let operations = (0..4).map(|_| scribe.operation()).collect();
                    drop(scribe.ask(operations));
                }
                _ => {
                    let requests = (0..IN_FLIGHT).map(|_| (vec![scribe.operation()], None)).collect();
                    drop(scribe.send(requests));
                }
            }
        }
        // What was kept for repetition is swept.
        past.scribe.clock.advance(Duration::from_hours(25));
        // The sweep may come before the next deed.
        let now = past.scribe.clock.unix();
        past.scribe.states.last_mut().expect("there is always one").at = Some(now);
        let last = past.scribe.operation();
        drop(past.scribe.ask(vec![last]));
        past
    }

    /// The master key as the power cut leaves it: while a new one takes its place, both are there.
    fn folder(&self, acknowledged: u64) -> TempDir {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a file");
        write("master.key", MASTER);
        for Rekeyed { deed, old, new } in &self.rekeyed {
            if acknowledged + 1 == *deed {
                write("master.key", old);
                write("master.key.next", new);
            } else if acknowledged >= *deed {
                write("master.key", new);
            }
        }
        folder
    }

    /// Opens what a cut left, and compares it with what was acknowledged.
    fn survives(&self, disk: &PowerCut, folder: &Path, acknowledged: u64, what: &str) -> (Store, State) {
        let state = |deeds: u64| &self.scribe.states[usize::try_from(deeds).expect("few")];
        let clock = Clock::manual(state(acknowledged).at.unwrap_or(UnixTime(1_700_000_000)));
        let store = open_on(disk, folder, &clock, true);
        let store = store.unwrap_or_else(|refused| panic!("{what}: it does not open: {refused}"));
        let deeds = store.verify_audit().expect("it can be read").deeds;
        let most = acknowledged + IN_FLIGHT as u64;
        assert!((acknowledged..=most).contains(&deeds), "{what}: {deeds} deeds of {acknowledged} acknowledged");
        state(deeds).compare(&store, &self.scribe.ever, what);
        if let Some(cut_short) = self.rekeyed.iter().find(|rekeyed| rekeyed.deed == acknowledged + 1) {
            let key = std::fs::read(folder.join("master.key")).expect("it is there");
            let there = if deeds > acknowledged { &cut_short.new } else { &cut_short.old };
            assert!(key == *there, "{what}: the master key is not the one that the store is sealed under");
        }
        (store, state(deeds).clone())
    }

    /// Sends again what had been sent before the power cut, and says how many were done already: none is done twice.
    fn repeats(&self, store: &Store, state: &State) -> usize {
        let mut done = 0;
        for Repeatable { deed, name, id, secret, at } in &self.repeatable {
            let over = state.at.is_none_or(|now| now.0 >= at.0 + 24 * 3600);
            if over || !state.documents.contains_key(&(Resource::Account, "acme".to_owned())) {
                continue;
            }
            let (operations, idempotency) = repeatable(name);
            let before = store.verify_audit().expect("it can be read").deeds;
            let request = Request { actor: self.actor(*deed), operations, idempotency };
            let answer = store.apply(request).expect("it is done");
            let after = store.verify_audit().expect("it can be read").deeds;
            let made = &answer.outcomes[0];
            if state.deeds.len() >= *deed {
                let shown = made.secret.as_ref().map(Secret::expose);
                assert!(answer.replayed && made.id == *id && shown == Some(secret), "{name}: {made:?}");
                assert_eq!(after, before);
                done += 1;
            } else {
                assert!(!answer.replayed && made.id != *id, "{name}: {made:?}");
                assert_eq!(after, before + 1);
            }
        }
        done
    }

    fn actor(&self, deed: usize) -> Actor {
        let last = self.scribe.now();
        Actor(last.deeds[deed - 1].clone())
    }
}

/// Makes one more change, while the power goes again at any moment.
fn goes_on(past: &Past, cut: (PowerCut, Vec<u8>), folder: &Path, (store, state): (Store, State), dice: &mut Dice) {
    let (disk, image) = cut;
    let operations = vec![create(Resource::Account, json!({"id": "after-the-cut"}))];
    let request = Request { actor: Actor("test:after".to_owned()), operations, idempotency: None };
    store.apply(request).expect("it is made");
    drop(store);
    let journal = std::mem::take(&mut disk.disk().journal);
    let mut platter = Platter::new(image);
    journal[..dice.index(journal.len())].iter().for_each(|event| platter.see(event, dice));
    let disk = PowerCut::of(platter.cut(dice));
    let store = open_on(&disk, folder, &past.scribe.clock, true).expect("it opens");
    let mut shown = documents(&store);
    shown.remove(&(Resource::Account, "after-the-cut".to_owned()));
    assert_eq!(shown, state.documents, "after two cuts");
    let trail = store.verify_audit().expect("it can be read");
    assert!(trail.broken_at.is_none() && trail.deeds - state.deeds.len() as u64 <= 1, "{trail:?}");
}

#[test]
fn no_power_cut_loses_or_tears_what_was_acknowledged() {
    let past = Past::of(3);
    let scribe = &past.scribe;
    scribe.now().compare(&scribe.store, &scribe.ever, "before any cut");
    let journal = std::mem::take(&mut scribe.disk.disk().journal);
    let mut dice = Dice(11);
    let mut platter = Platter::new(scribe.blank.clone());
    let (mut cuts, mut under_way, mut repeated) = (0, 0, 0);
    for (at, event) in journal.iter().enumerate() {
        platter.see(event, &mut dice);
        if at % 2 != 0 {
            continue;
        }
        let (image, acknowledged) = (platter.cut(&mut dice), platter.acknowledged);
        let (disk, folder) = (PowerCut::of(image.clone()), past.folder(acknowledged));
        let (store, state) = past.survives(&disk, folder.path(), acknowledged, &format!("cut at {at}"));
        cuts += 1;
        under_way += usize::from(state.deeds.len() as u64 > acknowledged);
        match cuts % 8 {
            0 => {
                goes_on(&past, (disk, image), folder.path(), (store, state), &mut dice);
                cuts += 1;
            }
            4 => repeated += past.repeats(&store, &state),
            _ => {}
        }
    }
    assert!(cuts >= 500, "only {cuts} cuts of {}", journal.len());
    assert!(under_way > 10 && repeated > 10, "{under_way} changes were under way, {repeated} were repeated");
}
