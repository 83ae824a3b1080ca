//! Changes beside requests: sixteen clients make and delete licence keys through the admin API while requests are
//! relayed at a fixed rate. How many changes are acknowledged, what that does to the requests, and whether a key that is
//! gone is refused on the very next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::house::{Connection, House, admin, call, wait_until};

/// Changes a second that are asked for.
const CHANGES: u32 = 2200;
/// Clients that ask for them.
const CLIENTS: u32 = 16;
const KEY: &str = "v3.X9tKpuXq0btatj";

/// Measures for so many seconds, twice.
pub fn run(seconds: u64) {
    let key = |_| KEY.to_owned();
    let house = House::start(|_| {});
    house.change("POST", "/v1/accounts", r#"{"id":"acme"}"#);
    house.change("POST", "/v1/license-keys", &format!(r#"{{"id":"main","account":"acme","key":"{KEY}"}}"#));
    house.relay(Duration::from_secs(2), key);
    let quiet = house.relay(Duration::from_secs(seconds), key);
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU32::new(0));
    let (busy, took) = thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (house, stop, acknowledged) = (&house, Arc::clone(&stop), Arc::clone(&acknowledged));
            scope.spawn(move || keep_changing(house, client, &stop, &acknowledged));
        }
        thread::sleep(Duration::from_secs(1));
        acknowledged.store(0, Ordering::SeqCst);
        let started = house.clock.now();
        let busy = house.relay(Duration::from_secs(seconds), key);
        let done = (acknowledged.load(Ordering::SeqCst), house.clock.now() - started);
        stop.store(true, Ordering::SeqCst);
        (busy, done)
    });
    let (changes, time) = took;
    println!("changes {:.0} a second acknowledged", f64::from(changes) / time.as_secs_f64());
    for (name, run) in [("quiet", &quiet), ("busy", &busy)] {
        println!("{name:6}  p50 {:.0?}  p99 {:.0?}  {:.1} us of a worker's CPU a request", run.p50, run.p99, run.cpu);
    }
    println!("ratios  p99 {:.2}  CPU {:.2}", busy.p99.as_secs_f64() / quiet.p99.as_secs_f64(), busy.cpu / quiet.cpu);
}

/// Makes a key, uses it, takes it away, and finds it refused; over and over, at its share of the rate.
fn keep_changing(house: &House, client: u32, stop: &AtomicBool, acknowledged: &AtomicU32) {
    let mut admin_side = Connection::to(house.admin);
    let mut public_side = Connection::to(house.public);
    let started = house.clock.now();
    let pace = Duration::from_secs(1) * CLIENTS / CHANGES;
    for turn in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (id, key) = (format!("{client}-{}", turn / 2), format!("bench-{client}-{}", turn / 2));
        if turn % 2 == 0 {
            let document = format!(r#"{{"id":"{id}","account":"acme","key":"{key}"}}"#);
            assert_eq!(admin_side.ask(&admin("POST", "/v1/license-keys", &document)), 201);
        } else {
            assert_eq!(admin_side.ask(&admin("DELETE", &format!("/v1/license-keys/{id}"), "")), 204);
            if turn % 64 == 1 {
                assert_eq!(public_side.ask(&call(&key)), 401, "a key that is gone is refused");
            }
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
        wait_until(&house.clock, started + pace * turn);
    }
}
