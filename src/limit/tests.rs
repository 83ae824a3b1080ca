//! The room as a whole: several limits of several callers on several threads, and a ledger that does what it likes.

mod books;
mod counters;

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use http::HeaderMap;

use self::books::{Book, Mood};
use super::ledger::Ledger;
use super::taking::{Short, take};
use super::window::Period;
use super::*;
use crate::clock::Clock;
use crate::record::{self, Attributes, Directory as _, Kind, Standing, Terms};
use crate::refusal::Cause;
use crate::scheme::stage::{Register, Request, build, examine, issuers_keys, named, proofs, stranger};

const NOON: UnixTime = UnixTime(1_803_902_400); // 2027-03-01T12:00:00Z

/// License keys `a` and `b` of the accounts of these names, and `a2`, another of `a`.
fn register() -> Register {
    let register = Register::new();
    for (id, account) in [("a", "a"), ("b", "b"), ("a2", "a")] {
        register.account(account, None);
        register.enrol(Kind::LicenseKey, id, account, id, |_| {});
    }
    register
}

fn caller(register: &Register, key: &str) -> Principal {
    let request = Request::get("/").header("authorization", &format!("LKey {key}"));
    examine(&*build("lkey", ""), &request, register, NOON.0).unwrap().unwrap()
}

fn quota(name: &str, cap: u64, per: Per) -> Policy {
    let measure = Measure::Quota(Quota { cap: NonZeroU64::new(cap).unwrap(), period: Period::Hour });
    Policy { name: name.into(), measure, per, log_only: false }
}

fn rate(name: &str, count: u32, per: Per) -> Policy {
    let count = NonZeroU32::new(count).unwrap();
    let measure = Measure::Rate(Rate { count, period: Duration::from_secs(1), burst: count });
    Policy { name: name.into(), measure, per, log_only: false }
}

fn concurrency(name: &str, most: u32, per: Per) -> Policy {
    let measure = Measure::Concurrency(Concurrency { most: NonZeroU32::new(most).unwrap() });
    Policy { name: name.into(), measure, per, log_only: false }
}

/// A gate and a clock; every request asks for all limits.
struct Scene {
    limits: Arc<Limits>,
    gate: Gate,
    clock: Clock,
    ids: Vec<PolicyId>,
}

impl Scene {
    fn new(policies: &[Policy], ledger: Option<Arc<dyn Ledger>>) -> Self {
        Self::at(&Clock::manual(NOON), policies, ledger)
    }

    fn at(clock: &Clock, policies: &[Policy], ledger: Option<Arc<dyn Ledger>>) -> Self {
        let limits = Limits::new(ledger, clock).unwrap();
        let ids = (0..policies.len()).map(PolicyId).collect();
        Self { gate: limits.open(policies), limits, clock: clock.clone(), ids }
    }

    fn ask(&self, principal: &Principal) -> Result<(Fields, Occupancy), Short> {
        self.ask_again(principal, false)
    }

    fn ask_again(&self, principal: &Principal, waited: bool) -> Result<(Fields, Occupancy), Short> {
        let address = IpAddr::from([203, 0, 113, 9]);
        let now = (self.clock.now(), self.clock.unix());
        let asked = Asked { limits: &self.ids, route: "r", address, now, waited };
        take(&self.gate, &asked, &Caller { principal, address, route: "r" }, &mut ())
    }

    /// How many of `tries` pass.
    fn passed(&self, principal: &Principal, tries: usize) -> usize {
        (0..tries).filter(|_| self.ask(principal).is_ok()).count()
    }

    fn fields(&self, principal: &Principal) -> (u16, Vec<String>) {
        let (status, headers) = match self.ask(principal) {
            Ok((fields, _)) => {
                let mut headers = HeaderMap::new();
                fields.add_to(&mut headers);
                (200, headers)
            }
            Err(Short::Refused(refusal)) => (429, refusal.fields.into_iter().collect()),
            Err(Short::Unwritten(_)) => panic!("there is no ledger"),
        };
        (status, ["ratelimit-policy", "ratelimit"].map(|name| headers[name].to_str().unwrap().to_owned()).to_vec())
    }
}

fn refused(outcome: Result<(Fields, Occupancy), Short>) -> Refusal {
    match outcome {
        Err(Short::Refused(refusal)) => refusal,
        Err(Short::Unwritten(_)) => panic!("it waits"),
        Ok(_) => panic!("it passes"),
    }
}

fn waiting(outcome: Result<(Fields, Occupancy), Short>) -> Waiting {
    match outcome {
        Err(Short::Unwritten(waiting)) => waiting,
        Err(Short::Refused(refusal)) => panic!("{refusal:?}"),
        Ok(_) => panic!("it passes"),
    }
}

#[test]
fn exactly_so_many_pass_on_many_threads_and_a_refusal_takes_none_of_the_others() {
    let register = register();
    let policies = [quota("hourly", 500, Per::Account), rate("live", 700, Per::Route)];
    let scene = Scene::new(&policies, None);
    let (gates, callers) =
        ([(); 8].map(|()| scene.limits.open(&policies)), ["a", "a2"].map(|key| caller(&register, key)));
    let passed = AtomicU64::new(0);
    thread::scope(|scope| {
        for (number, gate) in gates.into_iter().enumerate() {
            let (ids, clock, passed, principal) = (&scene.ids, &scene.clock, &passed, &callers[number % 2]);
            scope.spawn(move || {
                let address = IpAddr::from([203, 0, 113, 9]);
                let now = (clock.now(), NOON);
                let asked = Asked { limits: ids, route: "r", address, now, waited: false };
                for _ in 0..2000 {
                    if take(&gate, &asked, &Caller { principal, address, route: "r" }, &mut ()).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 500);
    // 500 of 700 are gone: what the quota refused cost the rate nothing.
    assert_eq!(scene.passed(&caller(&register, "b"), 1000), 200);
}

#[test]
fn callers_are_counted_apart_and_windows_begin_anew() {
    let register = register();
    let (a, a2, b) = (caller(&register, "a"), caller(&register, "a2"), caller(&register, "b"));
    let scene = Scene::new(&[quota("hourly", 3, Per::Account)], None);
    assert_eq!((scene.passed(&a, 2), scene.passed(&a2, 2), scene.passed(&b, 9)), (2, 1, 3));
    assert_eq!(refused(scene.ask(&a)).retry_after, Some(Duration::from_hours(1)));
    scene.clock.advance(Duration::from_hours(1));
    assert_eq!((scene.passed(&a, 9), scene.passed(&b, 9)), (3, 3));
    let scene = Scene::new(&[quota("hourly", 3, Per::Credential)], None);
    assert_eq!((scene.passed(&a, 9), scene.passed(&a2, 9)), (3, 3));
    let scene = Scene::new(&[quota("hourly", 3, Per::Route)], None);
    assert_eq!((scene.passed(&a, 2), scene.passed(&b, 9)), (2, 1));
}

#[test]
fn an_own_quota_holds_and_is_cut_to_the_cap() {
    let register = register();
    let account = register.look_up(Kind::LicenseKey, b"a").unwrap().account.clone();
    for (own, expected) in [(Some(3), 3), (Some(0), 10), (None, 10), (Some(25), 10)] {
        let terms = Terms { quota: record::Quota { hour: own, ..Default::default() }, ..Terms::default() };
        account.stand(Standing { terms: Some(Arc::new(terms)), ..Standing::default() });
        let scene = Scene::new(&[quota("hourly", 10, Per::Account)], None);
        assert_eq!(scene.passed(&caller(&register, "a"), 30), expected);
        let usage = scene.limits.usage(&account, NOON);
        assert_eq!((usage[0].spent, usage[0].quota), (expected as u64, expected as u64));
        assert_eq!(scene.limits.usage(&account, UnixTime(NOON.0 + 3600))[0].spent, 0);
    }
}

#[test]
fn a_place_is_free_again_when_what_holds_it_is_dropped() {
    let register = register();
    let (a, b) = (caller(&register, "a"), caller(&register, "b"));
    let scene = Scene::new(&[concurrency("uploads", 2, Per::Account), quota("whole", 9, Per::Route)], None);
    let [Ok(first), Ok(_second)] = [scene.ask(&a), scene.ask(&a)] else { panic!("two have room") };
    let refusal = refused(scene.ask(&a));
    assert_eq!((refusal.cause, refusal.retry_after), (Cause::ConcurrencyExceeded, Some(Duration::from_secs(1))));
    assert!(scene.ask(&b).is_ok());
    drop(first);
    assert!(scene.ask(&a).is_ok());
    // Four were let through, and each refusal cost nothing.
    assert_eq!(scene.passed(&b, 9), 5);
    assert_eq!(refused(scene.ask(&b)).cause, Cause::QuotaExceeded);
}

#[test]
fn the_fields_say_where_every_limit_stands() {
    let a = caller(&register(), "a");
    let policies = [concurrency("c", 4, Per::Account), quota("h", 2, Per::Account), rate("r", 50, Per::Account)];
    let scene = Scene::new(&policies, None);
    scene.clock.advance(Duration::from_mins(40));
    let policy = r#""c";q=4;qu="concurrent-requests", "h";q=2;w=3600, "r";q=50;w=1"#;
    for (status, standing) in [
        (200, r#""c";r=3, "h";r=1;t=1200, "r";r=49;t=1"#),
        (200, r#""c";r=3, "h";r=0;t=1200, "r";r=48;t=1"#),
        (429, r#""c";r=4, "h";r=0;t=1200, "r";r=48;t=1"#),
    ] {
        assert_eq!(scene.fields(&a), (status, vec![policy.to_owned(), standing.to_owned()]));
    }
}

#[test]
fn the_policies_told_are_those_of_this_caller_this_route_and_this_window() {
    let register = register();
    let terms = Terms { quota: record::Quota { month: Some(3), ..Default::default() }, ..Terms::default() };
    let account = register.look_up(Kind::LicenseKey, b"a").unwrap().account.clone();
    account.stand(Standing { terms: Some(Arc::new(terms)), ..Standing::default() });
    let measure = Measure::Quota(Quota { cap: NonZeroU64::new(70).unwrap(), period: Period::Month });
    let monthly = Policy { measure, ..quota("m", 1, Per::Account) };
    let mut scene = Scene::new(&[monthly, rate("r", 50, Per::Account)], None);
    for (month, seconds) in [("March", 31 * 86_400), ("April", 30 * 86_400)] {
        // The same again is shared, and each of the others between them is not.
        for (key, quota) in [("a", 3), ("a2", 3), ("b", 70), ("b", 70), ("a", 3)] {
            let policies = format!(r#""m";q={quota};w={seconds}, "r";q=50;w=1"#);
            assert_eq!(scene.fields(&caller(&register, key)).1[0], policies, "{key} in {month}");
        }
        scene.clock.advance(Duration::from_hours(31 * 24));
    }
    scene.ids.truncate(1);
    assert_eq!(scene.fields(&caller(&register, "b")).1[0], format!(r#""m";q=70;w={}"#, 31 * 86_400));
}

#[test]
fn whoever_comes_back_when_told_finds_room_in_every_limit() {
    let a = caller(&register(), "a");
    let scene = Scene::new(&[quota("h", 1, Per::Account), rate("r", 1, Per::Account)], None);
    assert!(scene.ask(&a).is_ok());
    let refusal = refused(scene.ask(&a));
    assert_eq!((refusal.cause, refusal.retry_after), (Cause::QuotaExceeded, Some(Duration::from_hours(1))));
    scene.clock.advance(Duration::from_hours(1));
    assert!(scene.ask(&a).is_ok());
}

#[test]
fn a_limit_that_only_watches_refuses_nobody_and_tells_nobody() {
    let a = caller(&register(), "a");
    let watching = Policy { log_only: true, ..quota("h", 1, Per::Account) };
    let scene = Scene::new(&[watching.clone(), rate("r", 3, Per::Account)], None);
    assert_eq!(scene.fields(&a).1, [r#""r";q=3;w=1"#, r#""r";r=2;t=1"#]);
    assert_eq!(scene.passed(&a, 9), 2);
    // Only what was let through counts.
    let held = Scene::new(&[watching, concurrency("none", 1, Per::Account)], Some(Arc::new(Book::new(Mood::Silent))));
    let _occupancy = held.ask(&a).map_err(|_| ()).unwrap();
    assert!(held.ask(&a).is_err());
}

#[test]
fn each_caller_is_counted_by_what_is_proven_of_them() {
    let register = register();
    register.enrol(Kind::CameraToken, "7#2", "a", "share.eyJzaSI6MX0.65920080t15180.AAAA", |token| {
        token.attributes = Attributes::Camera("7".into());
    });
    register.enrol(Kind::ApiClient, "client", "b", "client", |client| {
        client.attributes = Attributes::Proofs(proofs([("secret", None)]));
    });
    let key = caller(&register, "a");
    let request = Request::get("/").header("authorization", "Basic Y2xpZW50OnNlY3JldA==");
    let client = examine(&*build("basic", "tls_only = false"), &request, &register, NOON.0).unwrap().unwrap();
    let alice = stranger("alice", Some(register.account("a", None)), &issuers_keys());
    let office = named("ip", "office", "networks = [\"203.0.113.9\"]");
    let office = examine(&*office, &Request::get("/"), &register, NOON.0).unwrap().unwrap();
    for (principal, per, address, expected) in [
        (&key, Per::Account, "192.0.2.1", "account:a"),
        (&key, Per::Credential, "192.0.2.1", "credential:license_key:a"),
        (&key, Per::Camera, "192.0.2.1", "credential:license_key:a"),
        (&key, Per::User, "192.0.2.1", "credential:license_key:a"),
        (&client, Per::Credential, "192.0.2.1", "credential:api_client:client"),
        (&key, Per::Address, "192.0.2.1", "address:192.0.2.1"),
        (&key, Per::Address, "::ffff:192.0.2.1", "address:192.0.2.1"),
        (&key, Per::Address, "2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::"),
        (&key, Per::Route, "192.0.2.1", "route:r"),
        (&alice, Per::Account, "192.0.2.1", "account:a"),
        (&alice, Per::Credential, "192.0.2.1", "named:jwt:staff:alice"),
        (&alice, Per::User, "192.0.2.1", "named:jwt:staff:alice"),
        (&office, Per::Account, "2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::"),
        (&office, Per::Camera, "192.0.2.1", "address:192.0.2.1"),
    ] {
        let caller = Caller { principal, address: address.parse().unwrap(), route: "r" };
        let party = caller.party(per);
        assert_eq!(party.to_string(), expected, "{per:?}");
        let keys = super::key::Keys::default();
        assert_eq!(keys.named(expected).unwrap().0, keys.key(&party), "{expected}");
    }
}

#[test]
fn a_reopened_limit_forgives_nobody() {
    let a = caller(&register(), "a");
    let mut scene = Scene::new(&[quota("hourly", 5, Per::Account)], None);
    assert_eq!(scene.passed(&a, 3), 3);
    scene.gate = scene.limits.open(&[quota("hourly", 4, Per::Account)]);
    assert_eq!(scene.passed(&a, 3), 1);
}

#[test]
fn a_limit_that_is_taken_out_and_put_back_forgives_nobody() {
    let a = caller(&register(), "a");
    let mut scene = Scene::new(&[quota("hourly", 5, Per::Account)], None);
    assert_eq!(scene.passed(&a, 1), 1);
    for others in [[quota("daily", 100, Per::Account)], [quota("hourly", 5, Per::Route)]] {
        scene.gate = scene.limits.open(&others);
        // As for each worker.
        scene.gate = scene.limits.open(&others);
        assert_eq!(scene.passed(&a, 3), 3);
    }
    scene.gate = scene.limits.open(&[quota("hourly", 3, Per::Account)]);
    assert_eq!(scene.passed(&a, 3), 2);
    // Not for ever: so many others have come and gone.
    for number in 0..=8 {
        scene.gate = scene.limits.open(&[quota(&format!("other-{number}"), 1, Per::Route)]);
    }
    scene.gate = scene.limits.open(&[quota("hourly", 3, Per::Account)]);
    assert_eq!(scene.passed(&a, 3), 3);
}

#[test]
fn a_sweep_forgets_what_is_over_and_nothing_else() {
    let a = caller(&register(), "a");
    let scene =
        Scene::new(&[concurrency("c", 1, Per::Account), quota("h", 1, Per::Account), rate("r", 1, Per::Account)], None);
    let sweep = || (0..64).for_each(|_| scene.gate.sweep(scene.clock.now(), scene.clock.unix()));
    let held = scene.ask(&a).map_err(|_| ()).unwrap();
    sweep();
    assert!(scene.ask(&a).is_err());
    scene.clock.advance(Duration::from_hours(1));
    sweep();
    assert_eq!(refused(scene.ask(&a)).cause, Cause::ConcurrencyExceeded);
    drop(held);
    sweep();
    assert!(scene.ask(&a).is_ok());
}

#[test]
fn what_came_of_requests_is_told_by_limit() {
    let register = register();
    let watched = Policy { log_only: true, ..rate("c", 1, Per::Account) };
    let policies = [rate("a", 2, Per::Account), rate("b", 3, Per::Credential), watched];
    let scene = Scene::new(&policies, None);
    for key in ["a", "a", "a", "b"] {
        let _ = scene.ask(&caller(&register, key));
    }
    let told = scene
        .limits
        .standings()
        .into_iter()
        .map(|own| (own.limit.to_string(), own.callers, [own.admitted, own.refused, own.would_refuse, own.shared]));
    let expected = [("a", 2, [3, 1, 0, 0]), ("b", 2, [3, 0, 0, 0]), ("c", 2, [2, 0, 2, 0])];
    assert_eq!(told.collect::<Vec<_>>(), expected.map(|(name, callers, told)| (name.to_owned(), callers, told)));
    // Another configuration forgets nothing that goes on.
    drop(scene.limits.open(&policies[..1]));
    let after = scene.limits.standings();
    assert_eq!((after.len(), after[0].admitted), (1, 3));
}
