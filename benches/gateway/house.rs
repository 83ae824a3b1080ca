//! A gateway in a process of its own with a store, an upstream, and callers at a fixed rate: what the benches of the store
//! have in common.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use vidgate::clock::Clock;

/// Requests a second that are relayed.
pub const RELAYED: u32 = 2000;
/// Connections that carry them.
const CALLERS: u32 = 16;
/// How the names of the threads begin that relay requests.
const WORKERS: &str = "vidgate-worker";
const TOKEN: &str = "an-admin-token-for-the-bench";

/// What a run of requests came to.
pub struct Run {
    pub p50: Duration,
    pub p99: Duration,
    /// Microseconds of the workers' CPU a request.
    pub cpu: f64,
}

/// The gateway, and where it is.
pub struct House {
    gateway: Child,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub clock: Clock,
    _folder: tempfile::TempDir,
}

impl House {
    /// Makes a store, has it filled, and serves.
    pub fn start(fill: impl FnOnce(&Path)) -> Self {
        Self::start_with(|_| String::new(), fill)
    }

    /// The same with more in its configuration, which may name files of its folder.
    pub fn start_with(more: impl FnOnce(&Path) -> String, fill: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let more = more(folder.path());
        let (public, admin) = (free(), free());
        let upstream = upstream();
        let config = format!(
            "[listener.http]\naddress = \"{public}\"\n[store]\npath = \"vidgate.redb\"\nmaster_key = {{ file = \"master.key\" }}\n\
             [admin]\naddress = \"{admin}\"\n[admin.tokens]\nbench = {{ file = \"token\" }}\n[log]\naccess = false\nlevel = \"error\"\n\
             [upstream.api]\nendpoints = [\"http://{upstream}\"]\n[scheme.license.lkey]\n\
             [[route]]\nname = \"api\"\npath = \"/{{*rest}}\"\nauthenticate = \"license\"\nforward = \"api\"\n{more}"
        );
        let path = folder.path().join("vidgate.toml");
        fs::write(folder.path().join("token"), TOKEN).expect("a file");
        fs::write(&path, config).expect("a file");
        run(&path, &["store", "init"]).wait().expect("it ends");
        fill(folder.path());
        let gateway = run(&path, &["serve"]);
        while TcpStream::connect(admin).is_err() || TcpStream::connect(public).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { gateway, public, admin, clock: Clock::system(), _folder: folder }
    }

    /// Asks the admin API once.
    pub fn change(&self, method: &str, path: &str, body: &str) -> u16 {
        let mut connection = Connection::to(self.admin);
        connection.ask(&admin(method, path, body))
    }

    /// Relays requests at the fixed rate. Each is timed from when it was due, so that one that waits for another counts.
    pub fn relay(&self, time: Duration, key: impl Fn(u32) -> String + Sync) -> Run {
        let key = &key;
        let each = u32::try_from(time.as_secs()).expect("seconds") * RELAYED / CALLERS;
        let pace = Duration::from_secs(1) * CALLERS / RELAYED;
        let before = self.cpu(WORKERS);
        let mut times: Vec<Duration> = thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    scope.spawn(move || {
                        elsewhere();
                        let mut connection = Connection::to(self.public);
                        let started = self.clock.now() + pace * caller / CALLERS;
                        let timed = |turn| {
                            let due = started + pace * turn;
                            wait_until(&self.clock, due);
                            assert_eq!(connection.ask(&call(&key(caller * each + turn))), 200);
                            self.clock.now() - due
                        };
                        (0..each).map(timed).collect::<Vec<_>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("it ends well")).collect()
        });
        let cpu = (self.cpu(WORKERS) - before) * 1e6 / f64::from(each * CALLERS);
        times.sort_unstable();
        Run { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100], cpu }
    }

    /// How much memory the gateway takes, in MiB.
    pub fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.id())).expect("this is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5)");
        line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
    }

    /// What the threads whose names begin so have used so far, in seconds.
    pub fn cpu(&self, threads: &str) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.gateway.id())).expect("this is Linux");
        let used = tasks.filter_map(|task| {
            let folder = task.ok()?.path();
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            let ran = fs::read_to_string(folder.join("schedstat")).ok()?;
            name.starts_with(threads).then(|| ran.split(' ').next()?.parse::<f64>().ok()).flatten()
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
    // Another build may be looked at, that of packaging/release as a rule.
    let program = std::env::var_os("VIDGATE").unwrap_or_else(|| env!("CARGO_BIN_EXE_vidgate").into());
    Command::new(program)
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

/// Sleeps until it is due.
pub fn wait_until(clock: &Clock, due: Instant) {
    thread::sleep(due.saturating_duration_since(clock.now()));
}

/// Lets the thread that calls this run as soon as it can: callers and upstreams are on machines of their own, and what
/// they wait for this one's cores is no time of the gateway's.
fn elsewhere() {
    let policy = RealtimeThreadSchedulePolicy::RoundRobin;
    let priority = ThreadPriorityValue::try_from(1_u8).expect("it is the least");
    // Whoever may not measures with more noise.
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Realtime(policy),
    )
    .unwrap_or_else(|error| println!("callers and upstreams wait for cores like all others: {error:?}"));
}

/// A request to the admin API.
pub fn admin(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request that is to be relayed.
pub fn call(key: &str) -> String {
    format!("GET /api/v3/channels/ HTTP/1.1\r\nhost: localhost\r\nauthorization: LKey {key}\r\n\r\n")
}

/// A connection on which one request follows another.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// The status of the answer.
    pub fn ask(&mut self, request: &str) -> u16 {
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
                elsewhere();
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
