//! Changes beside requests: sixteen clients make and delete license keys through the admin API while requests are
//! relayed at a fixed rate. How many changes are acknowledged, what that does to the requests, and whether a key that is
//! gone is refused on the very next one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::house::{Connection, House, Run, admin, call, wait_until};

/// Changes a second that are asked for.
const CHANGES: u32 = 2200;
/// Clients that ask for them.
const CLIENTS: u32 = 16;
/// What lies between two changes of one client.
const PACE: Duration = Duration::from_nanos(1_000_000_000 * CLIENTS as u64 / CHANGES as u64);
const KEY: &str = "v3.X9tKpuXq0btatj";
/// Who works changes, and is not a worker.
const ASIDE_THREADS: [&str; 2] = ["vidgate-admin", "vidgate-store"];

/// Rounds of each kind, one after the other; what is told are medians.
const ROUNDS: usize = 5;

/// Measures rounds of so many seconds, with changes beside them and without.
pub fn run(seconds: u64) {
    let round = Duration::from_secs(seconds);
    let key = |_| KEY.to_owned();
    let house = House::start(|_| {});
    house.change("POST", "/v1/accounts", r#"{"id":"acme"}"#);
    house.change("POST", "/v1/license-keys", &format!(r#"{{"id":"main","account":"acme","key":"{KEY}"}}"#));
    house.relay(Duration::from_secs(2), key);
    let (mut quiet, mut busy, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut costs = ASIDE_THREADS.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(house.relay(round, key));
        let (stop, acknowledged) = (AtomicBool::new(false), AtomicU32::new(0));
        thread::scope(|scope| {
            let begun = house.clock.now();
            for client in 0..CLIENTS {
                let (house, stop, acknowledged) = (&house, &stop, &acknowledged);
                let first = begun + PACE * client / CLIENTS;
                scope.spawn(move || keep_changing(house, client, (first, stop), acknowledged));
            }
            thread::sleep(Duration::from_millis(500));
            acknowledged.store(0, Ordering::SeqCst);
            let (started, before) = (house.clock.now(), ASIDE_THREADS.map(|threads| house.cpu(threads)));
            busy.push(house.relay(round, key));
            let took = (house.clock.now() - started).as_secs_f64();
            let changes = f64::from(acknowledged.load(Ordering::SeqCst));
            rates.push(changes / took);
            for ((threads, before), costs) in ASIDE_THREADS.iter().zip(before).zip(&mut costs) {
                costs.push((house.cpu(threads) - before) * 1e6 / changes);
            }
            stop.store(true, Ordering::SeqCst);
        });
    }
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    println!("changes {:.0} a second acknowledged, asked for by {CLIENTS} clients", median(rates));
    for (threads, costs) in ASIDE_THREADS.iter().zip(costs) {
        println!("{threads}  {:.1} us of CPU a change", median(costs));
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    for (name, runs) in [("quiet", &quiet), ("busy", &busy)] {
        println!(
            "{name:6}  p50 {:.0} us  p99 {:.0} us  {:.1} us of a worker's CPU a request",
            of(runs, |run| run.p50.as_secs_f64() * 1e6),
            of(runs, |run| run.p99.as_secs_f64() * 1e6),
            of(runs, |run| run.cpu)
        );
    }
    let each: Vec<String> = busy.iter().chain(&quiet).map(|run| format!("{:.0}", micros(run.p99))).collect();
    println!("p99 of every round, busy then quiet: {} us", each.join(" "));
    println!(
        "ratios  p99 {:.2}  CPU {:.2}",
        of(&busy, |run| run.p99.as_secs_f64()) / of(&quiet, |run| run.p99.as_secs_f64()),
        of(&busy, |run| run.cpu) / of(&quiet, |run| run.cpu)
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How far those who ask for changes give way: on a machine of few cores they would else be measured, and they belong to
/// others. What the gateway itself does for them is not spared.
const ASIDE: i32 = 15;

/// Makes a key, uses it, takes it away, and finds it refused; over and over, at its share of the rate.
fn keep_changing(house: &House, client: u32, (first, stop): (Instant, &AtomicBool), acknowledged: &AtomicU32) {
    // Linux keeps this for each thread.
    rustix::process::nice(ASIDE).ok();
    let mut admin_side = Connection::to(house.admin);
    let mut public_side = Connection::to(house.public);
    let round = house.clock.unix().0;
    for turn in 0_u32.. {
        wait_until(&house.clock, first + PACE * turn);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (id, key) = (format!("{round}-{client}-{}", turn / 2), format!("bench-{round}-{client}-{}", turn / 2));
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
    }
}
