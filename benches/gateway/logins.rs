//! Logins beside requests: 32 clients ask for tokens (`POST /Token`) while requests are relayed at a fixed rate. Each
//! login costs an RSA operation and a change of the store; what that does to the requests is told.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vidgate::endpoint::token::generate;

use crate::house::{Connection, House, Run, wait_until};

/// Logins a second that are asked for.
const LOGINS: u32 = 500;
/// Clients that ask for them.
const CLIENTS: u32 = 32;
/// What lies between two logins of one client.
const PACE: Duration = Duration::from_millis(1000 * CLIENTS as u64 / LOGINS as u64);
const KEY: &str = "v3.X9tKpuXq0btatj";
const USER_KEY: &str = "BajNkcrVDAUUhi3";

/// Rounds of each kind, one after the other; what is told are medians.
const ROUNDS: usize = 5;
/// How far those who log in give way: they belong to others.
const ASIDE: i32 = 15;

const MORE: &str = r#"
[endpoint.token]
keys = [{ key = { file = "multicam.key" } }]
[limit.logins]
rate = "100000/1s"
per = "address"
[[route]]
name = "token"
path = "/Token"
authenticate = "open"
endpoint = "token"
limits = ["logins"]
dialect = "oauth"
"#;

/// Measures rounds of so many seconds, with logins beside them and without.
pub fn run(seconds: u64) {
    let round = Duration::from_secs(seconds);
    let key = |_| KEY.to_owned();
    let (pem, public) = generate().expect("a pair");
    let more = |folder: &std::path::Path| {
        fs::write(folder.join("multicam.key"), pem.expose()).expect("a file");
        MORE.to_owned()
    };
    let house = House::start_with(more, |_| {});
    house.change("POST", "/v1/accounts", r#"{"id":"acme"}"#);
    house.change("POST", "/v1/license-keys", &format!(r#"{{"id":"main","account":"acme","key":"{KEY}"}}"#));
    for client in 0..CLIENTS {
        let document =
            format!(r#"{{"id":"u{client}","account":"acme","login":"u{client}","key":"{USER_KEY}-{client}"}}"#);
        assert_eq!(house.change("POST", "/v1/users", &document), 201);
    }
    let logins: Vec<String> = (0..CLIENTS)
        .map(|client| {
            let sealed = public.encrypt(format!("{USER_KEY}-{client}").as_bytes()).expect("it is short");
            let sealed = sealed.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            let form = format!("grant_type=password&username=u{client}&password={sealed}");
            format!(
                "POST /Token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\n\r\n{form}",
                form.len()
            )
        })
        .collect();
    house.relay(Duration::from_secs(2), key);
    let (mut quiet, mut busy, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(house.relay(round, key));
        let (stop, done, refused) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            let begun = house.clock.now();
            for (client, login) in (0..).zip(&logins) {
                let (house, stop, done, refused) = (&house, &stop, &done, &refused);
                let first = begun + PACE * client / CLIENTS;
                scope.spawn(move || keep_logging_in(house, login, (first, stop), (done, refused)));
            }
            thread::sleep(Duration::from_millis(500));
            done.store(0, Ordering::SeqCst);
            let started = house.clock.now();
            busy.push(house.relay(round, key));
            rates.push(f64::from(done.load(Ordering::SeqCst)) / (house.clock.now() - started).as_secs_f64());
            stop.store(true, Ordering::SeqCst);
        });
        println!("a round: {} logins refused for want of room", refused.load(Ordering::SeqCst));
    }
    tell(&quiet, &busy, rates);
}

fn tell(quiet: &[Run], busy: &[Run], rates: Vec<f64>) {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    println!("logins  {:.0} a second, asked for by {CLIENTS} clients", median(rates));
    for (name, runs) in [("quiet", quiet), ("busy", busy)] {
        println!(
            "{name:6}  p50 {:.0} us  p99 {:.0} us  {:.1} us of a worker's CPU a request",
            of(runs, |run| run.p50.as_secs_f64() * 1e6),
            of(runs, |run| run.p99.as_secs_f64() * 1e6),
            of(runs, |run| run.cpu)
        );
    }
    let p99 = |runs: &[Run]| of(runs, |run| run.p99.as_secs_f64());
    println!("ratio   p99 {:.2}", p99(busy) / p99(quiet));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Logs in at its share of the rate, in its own time: strangers do not all come at once.
fn keep_logging_in(
    house: &House,
    login: &str,
    (first, stop): (Instant, &AtomicBool),
    (done, refused): (&AtomicU32, &AtomicU32),
) {
    // Linux keeps this for each thread.
    rustix::process::nice(ASIDE).ok();
    let mut connection = Connection::to(house.public);
    for turn in 0_u32.. {
        wait_until(&house.clock, first + PACE * turn);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match connection.ask(login) {
            200 => done.fetch_add(1, Ordering::Relaxed),
            503 => refused.fetch_add(1, Ordering::Relaxed),
            status => panic!("a login is answered with {status}"),
        };
    }
}
