//! Many at once: who changes, who looks, and how changes share a commit.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const WRITERS: usize = 16;
const ROUNDS: usize = 12;

fn key(store: &Store, text: &str) -> Option<Arc<Record>> {
    store.index().look_up(Kind::LicenseKey, text.as_bytes())
}

fn ask(store: &Store, operation: Operation) -> Outcome {
    let request = Request { actor: Actor("test:many".to_owned()), operations: vec![operation], idempotency: None };
    store.apply(request).expect("it is done").outcomes.remove(0)
}

/// Makes, changes, rotates and deletes its own keys. Its steady ones are changed all the time and never gone; what it
/// was told is gone is put among the dead.
fn write(store: &Store, own: usize, dead: &Mutex<BTreeSet<String>>) {
    let id = format!("steady-{own}");
    for round in 0..ROUNDS {
        let (short, text) = (format!("short-{own}-{round}"), format!("text-{own}-{round}"));
        let document = json!({"id": short, "account": "acme", "key": text});
        ask(store, create(Resource::LicenseKey, document));
        assert!(key(store, &text).is_some(), "{text} was acknowledged");
        let patch = object(json!({"name": text, "metadata": {"round": round.to_string()}}));
        ask(store, Operation::Change { resource: Resource::LicenseKey, id: id.clone(), patch, revision: None });
        let (resource, id) = (Resource::LicenseKey, format!("turning-{own}"));
        let document = object(json!({"overlap": "0s", "key": format!("turn-{own}-{}", round + 1)}));
        ask(store, Operation::Rotate { resource, id, document, revision: None });
        ask(store, Operation::Delete { resource, id: short, revision: None });
        assert!(key(store, &text).is_none(), "{text} was acknowledged to be gone");
        dead.lock().expect("nobody panics").insert(text);
    }
}

/// Looks for what must be there, and for what must not, until told to stop; says how often.
fn look(store: &Store, dead: &Mutex<BTreeSet<String>>, done: &AtomicBool) -> usize {
    let mut looks = 0;
    while !done.load(Ordering::SeqCst) {
        for own in 0..WRITERS {
            let text = format!("steady-text-{own}");
            assert!(key(store, &text).is_some(), "{text} was missed");
            looks += 1;
        }
        for id in 0..WRITERS {
            assert!(store.index().look_up(Kind::CameraToken, camera(id).as_bytes()).is_some(), "token {id} was missed");
        }
        let gone: Vec<String> = dead.lock().expect("nobody panics").iter().rev().take(20).cloned().collect();
        for text in gone {
            assert!(key(store, &text).is_none(), "{text} was found after it was gone");
        }
    }
    looks
}

fn camera(number: usize) -> String {
    format!("share.eyJzaSI6IDIzNTYzOX0.61a964c{number:x}tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM")
}

#[test]
fn nobody_misses_what_stays_or_finds_what_is_gone_while_many_change() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    house.create(Resource::Camera, json!({"id": "1", "account": "acme"}));
    for own in 0..WRITERS {
        let steady = json!({"id": format!("steady-{own}"), "account": "acme", "key": format!("steady-text-{own}")});
        house.create(Resource::LicenseKey, steady);
        let turning = json!({"id": format!("turning-{own}"), "account": "acme", "key": format!("turn-{own}-0")});
        house.create(Resource::LicenseKey, turning);
        house.create(Resource::Token, json!({"camera": "1", "token": camera(own)}));
    }
    let deeds = house.store.verify_audit().expect("it can be read").deeds;
    let before = house.store.inner.engine.commits();
    let (dead, done, looks) = (Mutex::default(), AtomicBool::new(false), AtomicUsize::new(0));
    let actor = Actor("test:keys".to_owned());
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| looks.fetch_add(look(&house.store, &dead, &done), Ordering::SeqCst));
        }
        let (store, dead) = (&house.store, &dead);
        let writers: Vec<_> = (0..WRITERS).map(|own| threads.spawn(move || write(store, own, dead))).collect();
        // Meanwhile everything moves to other keys.
        for _ in 0..2 {
            store.add_pepper(&actor).expect("it is added");
            store.rekey(&actor, None).expect("it is rekeyed");
        }
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
    let changes = (WRITERS * ROUNDS * 4) as u64;
    let trail = house.store.verify_audit().expect("it can be read");
    assert_eq!((trail.deeds, trail.broken_at), (deeds + changes + 4, None));
    let commits = house.store.inner.engine.commits() - before;
    assert!(commits * 2 < changes, "{changes} changes took {commits} commits");
    assert!(looks.load(Ordering::SeqCst) > 1000);
    // And all of it is so on file.
    let house = house.reopened();
    for own in 0..WRITERS {
        let last = key(&house.store, &format!("turn-{own}-{ROUNDS}")).expect("it is there");
        assert_eq!((last.id(), last.expires()), (format!("turning-{own}").as_str(), None));
        assert!(key(&house.store, &format!("steady-text-{own}")).is_some());
        assert!(key(&house.store, &format!("turn-{own}-0")).is_none(), "five versions are too many");
    }
    assert!(dead.into_inner().expect("nobody panics").iter().all(|text| key(&house.store, text).is_none()));
}

#[test]
fn what_waits_together_is_one_commit_and_each_gets_an_answer_of_his_own() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    let before = house.store.inner.engine.commits();
    let ((go, held), (take, taken)) = (mpsc::channel::<()>(), mpsc::channel());
    let store = house.store.clone();
    let wait = move |_: &mut writer::Writer| {
        take.send(()).expect("somebody waits");
        held.recv().map_err(|_| closed())
    };
    let holding = std::thread::spawn(move || store.task(wait));
    let (reply, answers) = mpsc::channel();
    taken.recv().expect("the one who writes is held up");
    for number in 0..200 {
        // Every tenth is refused, and each of the others has its own place.
        let id = if number % 10 == 9 { "n0".to_owned() } else { format!("n{number}") };
        let operations = vec![create(Resource::LicenseKey, json!({"id": id, "account": "acme"}))];
        let reply = reply.clone();
        let request = Request { actor: Actor("test:many".to_owned()), operations, idempotency: None };
        house.store.submit(request, move |answer| reply.send((number, answer)).expect("somebody waits"));
    }
    go.send(()).expect("it waits");
    holding.join().expect("it ends").expect("it was done");
    drop(reply);
    let mut done = 0;
    for (number, answer) in answers {
        match answer {
            Ok(answer) => assert_eq!(answer.outcomes[0].id, format!("n{number}")),
            Err(refused) => assert!(number % 10 == 9 && matches!(refused, Refused::Conflict(_)), "{refused}"),
        }
        done += 1;
    }
    assert_eq!(done, 200);
    assert_eq!(house.store.inner.engine.commits() - before, 1);
    assert_eq!(house.deeds().len(), 181);
}

#[test]
fn a_store_that_is_let_go_finishes_what_waits() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    let (reply, answers) = mpsc::channel();
    for number in 0..50 {
        let operations = vec![create(Resource::LicenseKey, json!({"id": format!("n{number}"), "account": "acme"}))];
        let (reply, request) =
            (reply.clone(), Request { actor: Actor("test:many".to_owned()), operations, idempotency: None });
        house.store.submit(request, move |answer| reply.send(answer.is_ok()).expect("somebody waits"));
    }
    drop(reply);
    let house = house.reopened();
    assert_eq!(answers.into_iter().filter(|done| *done).count(), 50);
    assert_eq!(house.store.list(Resource::LicenseKey, &Filter::default(), None, 100).expect("a page").items.len(), 50);
}

#[test]
fn a_panic_on_the_thread_of_the_store_costs_one_answer_and_no_more() {
    let house = furnished();
    let refused = house.store.task(|_| -> Result<(), Refused> { panic!("a bug") }).unwrap_err();
    assert!(matches!(refused, Refused::Unavailable(_)), "{refused}");
    house.delete(Resource::LicenseKey, "main").unwrap();
    assert!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").is_none());
}
