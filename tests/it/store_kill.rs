//! The real process killed while it changes its store, and started on a store that it must not touch.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use vidgate::store::{MasterKey, Settings, Store};

use crate::patience::{PATIENCE, until};
use crate::ports::Reserved;
use crate::processes;
use crate::upstream::Upstream;

const KILLS: u64 = 50;
const CLIENTS: usize = 4;
const TOKEN: &str = "a-token-for-the-tests";

/// A configuration, a store and its master key in a folder.
pub struct House {
    folder: TempDir,
    /// Held, so that a gateway gets its own again after it was killed.
    _ports: [Reserved; 2],
    admin: SocketAddr,
    pub public: SocketAddr,
    /// Lines at the end of the configuration: the route's, and tables after it.
    more: &'static str,
}

impl House {
    fn new(upstream: &Upstream) -> Self {
        Self::with(upstream, "")
    }

    pub fn with(upstream: &Upstream, more: &'static str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = MasterKey::random();
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
        fs::write(folder.path().join("token"), TOKEN).expect("written");
        let ports = [Reserved::new(), Reserved::new()];
        let [admin, public] = ports.each_ref().map(Reserved::address);
        let house = Self { folder, _ports: ports, admin, public, more };
        house.write("vidgate.toml", house.admin, house.public, upstream);
        house
    }

    fn write(&self, name: &str, admin: SocketAddr, public: SocketAddr, upstream: &Upstream) {
        let text = format!(
            r#"
# However busy the machine is with other tests.
[overload]
max_lag = "24h"
[store]
path = "store.redb"
master_key = {{ file = "master.key" }}
[admin]
address = "{admin}"
[admin.tokens]
tests = {{ file = "token" }}
[listener.public]
address = "{public}"
[upstream.api]
endpoints = ["http://{}"]
[scheme.license.lkey]
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "license"
forward = "api"
{}
"#,
            upstream.address(),
            self.more
        );
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
        command.args(line.split(' ')).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A gateway that takes requests and changes.
    pub fn start(&self) -> Gateway {
        Gateway::of(processes::start(&mut self.command("serve --config vidgate.toml")), self)
    }

    /// What a start that is refused says.
    fn refusal(&self, line: &str) -> String {
        let mut child = processes::start(self.command(line).stderr(Stdio::piped()));
        let refused = panic::catch_unwind(AssertUnwindSafe(|| {
            until("a refusal", || child.try_wait().expect("it can be asked").is_some());
        }));
        if refused.is_err() {
            child.kill().expect("it can be killed");
        }
        let Output { status, stderr, .. } = child.wait_with_output().expect("it has ended");
        assert!(refused.is_ok(), "it was not refused");
        let said = String::from_utf8(stderr).expect("text");
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked") && !said.contains(".rs:"), "{said}");
        said
    }

    pub fn admin(&self) -> Caller {
        Caller::new(self.admin, &format!("Bearer {TOKEN}"))
    }

    /// What a caller with this license key gets.
    fn status(&self, key: &str) -> u16 {
        Caller::new(self.public, &format!("LKey {key}")).ask("GET", "/", None).expect("it answers").0
    }

    /// The number of deeds of a trail that holds.
    fn deeds(&self) -> u64 {
        let (status, trail) = self.admin().ask("GET", "/v1/audit/verify", None).expect("it answers");
        assert_eq!((status, &trail["broken_at"]), (200, &Value::Null), "{trail}");
        trail["deeds"].as_u64().expect("a number")
    }
}

/// A running gateway; killed when it goes.
pub struct Gateway(Child);

impl Gateway {
    fn of(child: Child, house: &House) -> Self {
        // Killed where it does not come up.
        let mut gateway = Self(child);
        until("a gateway that is up", || {
            assert!(gateway.0.try_wait().expect("it can be asked").is_none(), "it has ended");
            [house.admin, house.public].iter().all(|address| TcpStream::connect(address).is_ok())
        });
        gateway
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // A test that fails must not leave it behind; one that was killed already is ended twice.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A caller over one connection, who is left without an answer when the gateway is killed.
pub struct Caller {
    address: SocketAddr,
    authorization: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Caller {
    pub fn new(address: SocketAddr, authorization: &str) -> Self {
        Self { address, authorization: authorization.to_owned(), stream: None }
    }

    /// The status and the JSON of the answer; `None` if there was none.
    pub fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.authorization,
            body.len()
        );
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).ok()?;
            stream.set_nodelay(true).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut()?;
        stream.get_mut().write_all(head.as_bytes()).ok()?;
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let mut field = String::new();
            if stream.read_line(&mut field).ok()? == 0 {
                return None;
            }
            let Some((name, value)) = field.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            }
        }
        let mut content = vec![0; length];
        stream.read_exact(&mut content).ok()?;
        Some((status, serde_json::from_slice(&content).unwrap_or_default()))
    }
}

/// What one client was told.
#[derive(Default)]
struct Told {
    /// Keys that work, by id.
    alive: BTreeMap<String, String>,
    dead: Vec<String>,
    /// The one that was under way: its id and its key, and whether it was to go.
    open: Option<(String, String, bool)>,
    deeds: u64,
}

impl Told {
    /// Creates and deletes keys until the gateway is gone.
    fn work(&mut self, house: &House, client: usize, round: u64, changes: &AtomicUsize) {
        let mut admin = house.admin();
        for number in 0.. {
            let gone = if number % 3 == 2 { self.alive.pop_last() } else { None };
            let deleting = gone.is_some();
            let (id, key) = gone.unwrap_or_else(|| {
                let id = format!("r{round:03}-c{client}-{number:05}");
                (id.clone(), format!("key-of-{id}"))
            });
            self.open = Some((id.clone(), key.clone(), deleting));
            let answer = if deleting {
                admin.ask("DELETE", &format!("/v1/license-keys/{id}"), None)
            } else {
                let document = json!({"account": "acme", "id": id, "key": key});
                admin.ask("POST", "/v1/license-keys", Some(&document))
            };
            let Some((status, answer)) = answer else { return };
            assert_eq!(status, if deleting { 204 } else { 201 }, "{id}: {answer}");
            self.settle(true);
            changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Writes down how the one under way came out.
    fn settle(&mut self, done: bool) {
        let Some((id, key, deleting)) = self.open.take() else { return };
        self.deeds += u64::from(done);
        if deleting == done {
            self.dead.push(key);
        } else {
            self.alive.insert(id, key);
        }
    }
}

/// Kills the gateway while everybody works.
fn under_fire(house: &House, told: &mut [Told], round: u64) {
    let gateway = house.start();
    let (admitted, changes) = (AtomicUsize::new(0), &AtomicUsize::new(0));
    thread::scope(|threads| {
        for (client, told) in told.iter_mut().enumerate() {
            threads.spawn(move || told.work(house, client, round, changes));
        }
        threads.spawn(|| {
            let mut caller = Caller::new(house.public, "LKey main-key");
            while let Some((status, _)) = caller.ask("GET", "/", None) {
                assert_eq!(status, 200, "the key that nobody touches");
                admitted.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Some are killed at once, others in the middle of much; in between two answers or right at one.
        let enough = usize::try_from(round * 37 % 53).expect("few");
        until("so many changes, and now and then a request", || {
            let asked = round % 10 != 9 || admitted.load(Ordering::SeqCst) > 0;
            asked && changes.load(Ordering::SeqCst) >= enough
        });
        thread::sleep(Duration::from_micros(round * 977 % 7919));
        gateway.kill();
    });
    assert!(round % 10 != 9 || admitted.into_inner() > 0, "nobody was admitted");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let upstream = Upstream::start();
    let house = House::new(&upstream);
    let gateway = house.start();
    let mut admin = house.admin();
    for (path, document) in [
        ("/v1/accounts", json!({"id": "acme"})),
        ("/v1/license-keys", json!({"id": "main", "account": "acme", "key": "main-key"})),
    ] {
        assert_eq!(admin.ask("POST", path, Some(&document)).expect("it answers").0, 201);
    }
    gateway.kill();
    let mut told: Vec<Told> = (0..CLIENTS).map(|_| Told::default()).collect();
    let mut cut_short = [0_u64, 0];
    for round in 0..KILLS {
        under_fire(&house, &mut told, round);
        let _gateway = house.start();
        let mut admin = house.admin();
        for told in &mut told {
            if let Some((id, key, deleting)) = told.open.clone() {
                let (status, _) = admin.ask("GET", &format!("/v1/license-keys/{id}"), None).expect("it answers");
                let there = status == 200;
                assert!(there || status == 404, "{id}: {status}");
                assert_eq!(house.status(&key), if there { 200 } else { 401 }, "{id}: the index and the file differ");
                cut_short[usize::from(there != deleting)] += 1;
                told.settle(there != deleting);
            }
        }
        assert_eq!(house.deeds(), 2 + told.iter().map(|told| told.deeds).sum::<u64>(), "round {round}");
        // All of this round, and at last all there ever was.
        let last = round + 1 == KILLS;
        let of_round = format!("r{round:03}");
        for told in &told {
            let recent = |key: &&String| last || key.contains(&of_round);
            let mut caller = Caller::new(house.public, "");
            let mut check = |key: &String, status: u16| {
                caller.authorization = format!("LKey {key}");
                assert_eq!(caller.ask("GET", "/", None).expect("it answers").0, status, "{key} in round {round}");
            };
            told.alive.values().filter(recent).for_each(|key| check(key, 200));
            told.dead.iter().filter(recent).for_each(|key| check(key, 401));
        }
    }
    let deeds = told.iter().map(|told| told.deeds).sum::<u64>();
    assert!(deeds > 5 * KILLS, "only {deeds} changes");
    assert!(cut_short.iter().sum::<u64>() > KILLS, "{cut_short:?} were under way");
}

/// The file and when it was last written.
fn state(path: &Path) -> (Vec<u8>, std::time::SystemTime) {
    let modified = fs::metadata(path).expect("it is there").modified().expect("it has a time");
    (fs::read(path).expect("it can be read"), modified)
}

#[test]
fn a_second_process_a_wrong_key_and_a_damaged_file_are_refused_with_one_sentence() {
    let upstream = Upstream::start();
    let house = House::new(&upstream);
    let others = [Reserved::new(), Reserved::new()];
    house.write("second.toml", others[0].address(), others[1].address(), &upstream);
    let gateway = house.start();
    let said = house.refusal("serve --config second.toml");
    assert_eq!(said.matches("another vidgate has this store open").count(), 1, "{said}");
    let created = house.admin().ask("POST", "/v1/accounts", Some(&json!({"id": "acme"})));
    assert_eq!(created.expect("the first one goes on").0, 201);
    gateway.kill();

    let before = state(&house.store());
    let key = fs::read(house.folder.path().join("master.key")).expect("it is there");
    fs::write(house.folder.path().join("master.key"), MasterKey::random().to_text().expose()).expect("written");
    let said = house.refusal("serve --config vidgate.toml");
    assert_eq!(said.matches("the master key does not open this store").count(), 1, "{said}");
    assert!(state(&house.store()) == before, "it was written");
    fs::write(house.folder.path().join("master.key"), key).expect("written");

    let whole = before.0.len();
    for (from, to) in [(0, 9), (64, 320), (4096, whole), (whole / 2, whole)] {
        let mut image = before.0.clone();
        if from == whole / 2 {
            image.truncate(from);
        } else {
            image[from..to].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        fs::write(house.store(), &image).expect("written");
        let damaged = state(&house.store());
        let said = house.refusal("serve --config vidgate.toml");
        assert_eq!(said.matches("the store is damaged").count(), 1, "{said}");
        assert!(state(&house.store()) == damaged, "it was written");
    }
    fs::write(house.store(), &before.0).expect("written");
    let _gateway = house.start();
    assert_eq!(house.deeds(), 1);
}

#[test]
fn a_gateway_whose_file_may_not_grow_refuses_changes_and_serves() {
    let upstream = Upstream::start();
    let house = House::new(&upstream);
    // Blocks of 512 bytes. Without the signal, a write beyond the limit is an error like any other.
    let blocks = fs::metadata(house.store()).expect("it is there").len() / 512 + 1;
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" serve --config vidgate.toml");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line, env!("CARGO_BIN_EXE_vidgate")]).current_dir(house.folder.path());
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let gateway = Gateway::of(processes::start(&mut shell), &house);
    let mut admin = house.admin();
    let mut create = |path: &str, document: &Value| admin.ask("POST", path, Some(document)).expect("it answers");
    assert_eq!(create("/v1/accounts", &json!({"id": "acme"})).0, 201);
    let mut taken = Vec::new();
    let refused = loop {
        let key = format!("key-{}", taken.len());
        let metadata: BTreeMap<String, String> = (0..16).map(|n| (format!("m{n}"), "x".repeat(1000))).collect();
        let (status, answer) =
            create("/v1/license-keys", &json!({"account": "acme", "key": key, "metadata": metadata}));
        if status != 201 {
            assert_eq!(house.status(&key), 401, "what was refused does not work");
            break (status, answer);
        }
        taken.push(key);
        assert!(taken.len() < 1000, "the file grows beyond its limit");
    };
    assert_eq!(refused.0, 503, "{}", refused.1);
    assert!(refused.1["detail"].as_str().expect("a sentence").starts_with("the store's disk "), "{}", refused.1);
    assert!(taken.len() > 3, "{} were taken", taken.len());
    assert!(taken.iter().all(|key| house.status(key) == 200), "serving goes on");
    assert_eq!(house.deeds(), 1 + taken.len() as u64);
    gateway.kill();
    let _gateway = house.start();
    assert!(taken.iter().all(|key| house.status(key) == 200));
    let (status, _) = house.admin().ask("POST", "/v1/accounts", Some(&json!({"id": "more"}))).expect("it answers");
    assert_eq!((status, house.deeds()), (201, 2 + taken.len() as u64));
}
