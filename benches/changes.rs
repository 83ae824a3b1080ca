//! Changes beside requests: sixteen clients make and delete licence keys through the admin API while requests are
//! relayed at a fixed rate. How many changes are acknowledged, what that does to the requests, and whether a key that is
//! gone is refused on the very next one.
//!
//! `cargo bench --bench changes [-- SECONDS]`. Everything runs on this machine: the gateway as a process of its own, the
//! upstream and the clients here.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vidgate::clock::Clock;

/// Requests a second that are relayed.
const RELAYED: u32 = 2000;
/// Connections that carry them.
const CALLERS: u32 = 16;
/// Changes a second that are asked for.
const CHANGES: u32 = 2200;
/// Clients that ask for them.
const CLIENTS: u32 = 16;
const TOKEN: &str = "an-admin-token-for-the-bench";
const KEY: &str = "v3.X9tKpuXq0btatj";

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let house = House::start();
    house.change("POST", "/v1/accounts", r#"{"id":"acme"}"#);
    house.change("POST", "/v1/license-keys", &format!(r#"{{"id":"main","account":"acme","key":"{KEY}"}}"#));
    house.relay(Duration::from_secs(2));
    let quiet = house.relay(Duration::from_secs(seconds));
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU32::new(0));
    let (busy, took) = thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (house, stop, acknowledged) = (&house, Arc::clone(&stop), Arc::clone(&acknowledged));
            scope.spawn(move || house.keep_changing(client, &stop, &acknowledged));
        }
        thread::sleep(Duration::from_secs(1));
        acknowledged.store(0, Ordering::SeqCst);
        let started = house.clock.now();
        let busy = house.relay(Duration::from_secs(seconds));
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

/// What a run of requests came to.
struct Run {
    p50: Duration,
    p99: Duration,
    cpu: f64,
}

/// The gateway, and where it is.
struct House {
    gateway: Child,
    public: SocketAddr,
    admin: SocketAddr,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl House {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (public, admin) = (free(), free());
        let upstream = upstream();
        let config = format!(
            "[listener.http]\naddress = \"{public}\"\n[store]\npath = \"vidgate.redb\"\nmaster_key = {{ file = \"master.key\" }}\n\
             [admin]\naddress = \"{admin}\"\n[admin.tokens]\nbench = {{ file = \"token\" }}\n[log]\naccess = false\nlevel = \"error\"\n\
             [upstream.api]\nendpoints = [\"http://{upstream}\"]\n[scheme.license.lkey]\n\
             [[route]]\nname = \"api\"\npath = \"/{{*rest}}\"\nauthenticate = \"license\"\nforward = \"api\"\n"
        );
        let path = folder.path().join("vidgate.toml");
        fs::write(folder.path().join("token"), TOKEN).expect("a file");
        fs::write(&path, config).expect("a file");
        run(&path, &["store", "init"]).wait().expect("it ends");
        let gateway = run(&path, &["serve"]);
        while TcpStream::connect(admin).is_err() || TcpStream::connect(public).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { gateway, public, admin, clock: Clock::system(), _folder: folder }
    }

    fn change(&self, method: &str, path: &str, body: &str) -> u16 {
        let mut connection = Connection::to(self.admin);
        connection.ask(&admin(method, path, body))
    }

    /// Makes a key, uses it, takes it away, and finds it refused; over and over, at its share of the rate.
    fn keep_changing(&self, client: u32, stop: &AtomicBool, acknowledged: &AtomicU32) {
        let mut admin_side = Connection::to(self.admin);
        let mut public_side = Connection::to(self.public);
        let started = self.clock.now();
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
            wait_until(&self.clock, started + pace * turn);
        }
    }

    /// Relays requests at the fixed rate. Each is timed from when it was due, so that one that waits for another counts.
    fn relay(&self, time: Duration) -> Run {
        let each = u32::try_from(time.as_secs()).expect("seconds") * RELAYED / CALLERS;
        let pace = Duration::from_secs(1) * CALLERS / RELAYED;
        let before = self.worker_cpu();
        let mut times: Vec<Duration> = thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    scope.spawn(move || {
                        let mut connection = Connection::to(self.public);
                        let started = self.clock.now() + pace * caller / CALLERS;
                        let request = call(KEY);
                        let timed = |turn| {
                            let due = started + pace * turn;
                            wait_until(&self.clock, due);
                            assert_eq!(connection.ask(&request), 200);
                            self.clock.now() - due
                        };
                        (0..each).map(timed).collect::<Vec<_>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("it ends well")).collect()
        });
        let cpu = (self.worker_cpu() - before) * 1e6 / f64::from(each * CALLERS);
        times.sort_unstable();
        Run { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100], cpu }
    }

    /// What the workers have used so far, in seconds.
    fn worker_cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.gateway.id())).expect("this is Linux");
        let used = tasks.filter_map(|task| {
            let folder = task.ok()?.path();
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            let ran = fs::read_to_string(folder.join("schedstat")).ok()?;
            name.starts_with("vidgate-worker").then(|| ran.split(' ').next()?.parse::<f64>().ok()).flatten()
        });
        used.sum::<f64>() / 1e9
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.gateway.kill().ok();
        self.gateway.wait().ok();
    }
}

fn run(config: &Path, command: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vidgate"))
        .args(command)
        .arg("--config")
        .arg(config)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs")
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

fn wait_until(clock: &Clock, due: Instant) {
    thread::sleep(due.saturating_duration_since(clock.now()));
}

fn admin(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn call(key: &str) -> String {
    format!("GET /api/v3/channels/ HTTP/1.1\r\nhost: localhost\r\nauthorization: LKey {key}\r\n\r\n")
}

/// A connection on which one request follows another.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// The status of the answer.
    fn ask(&mut self, request: &str) -> u16 {
        self.0.get_mut().write_all(request.as_bytes()).expect("it is sent");
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("an answer");
            match line.trim_end().to_ascii_lowercase().split_once([' ', ':']) {
                None => break,
                Some(("http/1.1", rest)) => status = rest[..3].parse().expect("a status"),
                Some(("content-length", value)) => length = value.trim().parse().expect("a length"),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        status
    }
}

/// An upstream that answers everything with a few bytes.
fn upstream() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).ok();
                let mut lines = BufReader::new(stream);
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        if lines.get_mut().write_all(answer).is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    address
}
