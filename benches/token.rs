//! Does the time of a refused login tell why it was refused (an oracle of padding or of names)?
//!
//! `cargo bench --bench token timing [COUNT]`: COUNT logins of each class in random order, first where they are proven,
//! then through a socket. A control tells how far two equal classes fall apart by chance: only what lies well above it
//! would be a difference.
//!
//! | class | what |
//! |---|---|
//! | A, A' | well padded, the key is wrong |
//! | B | what does not open |
//! | C | well padded, nobody has the name |

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vidgate::clock::Clock;
use vidgate::config;
use vidgate::endpoint::token::{Desk, LIFETIME, Outfit, Pair, PublicKey, TOKENS, generate};
use vidgate::run::{Options, Server};
use vidgate::store::{Actor, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};
use vidgate::telemetry::access::Output;

/// The allocator of the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLASSES: [&str; 4] = ["A   wrong key", "A'  the same", "B   bad padding", "C   unknown user"];
/// Logins of each class where nothing is said.
const COUNT: usize = 5000;
/// As many before they count.
const WARM: usize = 200;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if arguments.next().as_deref() != Some("timing") {
        println!("say what: timing [COUNT]");
        return ExitCode::FAILURE;
    }
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(COUNT);
    let ground = Ground::new();
    println!("{count} logins of each class, in random order");
    let (desk, clock) = (&ground.desk, &ground.clock);
    tell(
        "proven in this thread",
        &measured(&ground, count, |user, password| {
            let before = clock.now();
            assert!(desk.prove_here(user.as_bytes(), password.as_bytes()).is_none());
            (clock.now() - before).as_nanos()
        }),
    );
    let address = ground.server.address("public").expect("it is bound");
    let mut connection = Connection::to(address);
    tell(
        "through a socket",
        &measured(&ground, count, |user, password| {
            let request = asked(user, password);
            let before = clock.now();
            assert_eq!(connection.ask(&request), 400);
            (clock.now() - before).as_nanos()
        }),
    );
    ExitCode::SUCCESS
}

/// A gateway with one user, and what it proves them by.
struct Ground {
    server: Server,
    desk: Desk,
    public: PublicKey,
    clock: Clock,
    _folder: tempfile::TempDir,
}

const CONFIG: &str = r#"
[listener.public]
address = "127.0.0.1:0"
[log]
access = false
level = "error"
[store]
path = "vidgate.redb"
master_key = { file = "master.key" }
[endpoint.token]
keys = [{ key = { file = "multicam.key" } }]
[limit.logins]
rate = "4000000/1s"
per = "address"
[[route]]
name = "token"
path = "/Token"
authenticate = "open"
endpoint = "token"
limits = ["logins"]
dialect = "oauth"
"#;

impl Ground {
    fn new() -> Self {
        let (folder, clock, key) = (tempfile::tempdir().expect("a folder"), Clock::system(), MasterKey::random());
        let (pem, public) = generate().expect("a pair");
        std::fs::write(folder.path().join("multicam.key"), pem.expose()).expect("a file");
        std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("a file");
        let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        let loaded = config::load_text("bench.toml", CONFIG, folder.path(), Purpose::Serve);
        let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));

        let server = Server::start(loaded, &Options { workers: 1, clock: clock.clone(), output: Output::standard() })
            .expect("it starts");
        let store = server.store().expect("it has one");
        create(store, Resource::Account, json!({ "id": "acme" }));
        create(
            store,
            Resource::User,
            json!({ "id": "john", "account": "acme", "login": "john", "key": "the-right-key" }),
        );
        let pairs: Arc<[Pair]> = Arc::new([Pair::read(pem.expose(), false).expect("it was made")]);
        let outfit = Outfit { pairs, lifetime: LIFETIME, tokens: TOKENS };
        let desk = Desk::open(outfit, store.index(), clock.clone()).expect("it opens");
        Self { server, desk, public, clock, _folder: folder }
    }

    /// A login of this class. All of them have one length, and are as old.
    fn login(&self, class: usize, chance: &mut Chance) -> (&'static str, String) {
        let sealed = self.public.encrypt(b"the-wrong-key").expect("it is short");
        match class {
            2 => {
                let mut bytes = [0; 256];
                bytes.iter_mut().skip(1).for_each(|byte| *byte = chance.next().to_be_bytes()[3]);
                ("john", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes))
            }
            3 => ("joan", sealed),
            _ => ("john", sealed),
        }
    }
}

fn create(store: &Store, resource: Resource, document: Value) {
    let document: Map<String, Value> = serde_json::from_value(document).expect("an object");
    let operations = vec![Operation::Create { resource, document, versions: Vec::new() }];
    store.apply(Request { actor: Actor("local:0".to_owned()), operations, idempotency: None }).expect("it is done");
}

/// The nanoseconds of every login, by class.
fn measured(ground: &Ground, count: usize, mut time: impl FnMut(&str, &str) -> u128) -> [Vec<u128>; 4] {
    let mut chance = Chance::new();
    let mut order: Vec<usize> = (0..count * 4).map(|turn| turn % 4).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, chance.below(at + 1));
    }
    let mut times = [const { Vec::new() }; 4];
    for (turn, class) in order.iter().take(WARM).chain(&order).enumerate() {
        let (user, password) = ground.login(*class, &mut chance);
        let took = time(user, &password);
        if turn >= WARM {
            times[*class].push(took);
        }
    }
    times
}

fn tell(what: &str, times: &[Vec<u128>; 4]) {
    println!("\n{what}");
    let [control, ..] = times;
    let scores: Vec<f64> = times.iter().map(|class| rank_test(control, class)).collect();
    for ((name, class), score) in CLASSES.iter().zip(times).zip(&scores) {
        let mut sorted = class.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get(sorted.len() * part / 100).copied().unwrap_or(0);
        println!("{name:18} p25 {:>9} p50 {:>9} p75 {:>9} ns   z {score:+.2}", at(25), at(50), at(75));
    }
    println!("z is of the rank test against A; that of A' is the control, and 3 is seldom by chance");
}

/// The z score of the Wilcoxon-Mann-Whitney test.
#[expect(clippy::cast_precision_loss, reason = "a statistic of some thousand ranks")]
fn rank_test(one: &[u128], other: &[u128]) -> f64 {
    let mut all: Vec<(u128, bool)> =
        one.iter().map(|time| (*time, true)).chain(other.iter().map(|time| (*time, false))).collect();
    all.sort_unstable();
    let (mut ranks, mut at) = (0.0, 0);
    for tied in all.chunk_by(|left, right| left.0 == right.0) {
        let rank = at as f64 + f64::midpoint(tied.len() as f64, 1.0);
        ranks += rank * tied.iter().filter(|(_, own)| !*own).count() as f64;
        at += tied.len();
    }
    let (n, m) = (one.len() as f64, other.len() as f64);
    let u = ranks - m * (m + 1.0) / 2.0;
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// Chance enough for an order (xorshift; Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the operating system has randomness");
        Self(u64::from_ne_bytes(seed) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below the end")
    }
}

fn asked(user: &str, password: &str) -> String {
    let password = password.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let form = format!("grant_type=password&username={user}&password={password}");
    format!(
        "POST /Token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: \
         {}\r\n\r\n{form}",
        form.len()
    )
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
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}
