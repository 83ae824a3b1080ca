//! What it takes to believe a credential that is looked up by its digest: time, and instructions where valgrind is
//! there to count them.
//!
//! `cargo bench --bench scheme`. It fails if one takes more instructions than it may, so that a change that makes
//! them dearer is noticed on any machine; the time is for people.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use http::Request;
use vidgate::clock::{Clock, UnixTime};
use vidgate::config::{self, Loaded};
use vidgate::edge::connection::{Connection, ListenerId};
use vidgate::edge::head::Head;
use vidgate::edge::preface::Preface;
use vidgate::scheme::Scene;
use vidgate::scheme::jwt::Verified;
use vidgate::store::Purpose;

/// The allocator of the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG: &str = r#"
[listener.http]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://127.0.0.1:9"]

[scheme.license.lkey]
[scheme.camera.acc]
[scheme.client.basic]
tls_only = false

[[account]]
id = "acme"
license_key = [{ id = "main", key = "v3.X9tKpuXq0btatj" }]
api_client = [{ id = "8ded5a89051a9a01a389bcdf1e174", secret = "99176b1d244c484ed65dd792abc1" }]
camera = [{ id = "248527", tokens = ["share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM"] }]

[[route]]
name = "lkey"
path = "/lkey"
authenticate = "license"
forward = "api"

[[route]]
name = "acc"
path = "/acc"
authenticate = "camera"
forward = "api"

[[route]]
name = "basic"
path = "/basic"
authenticate = "client"
forward = "api"
"#;

/// A scheme, what it is sent, and how many instructions it may take at most. Valgrind knows no SHA instructions, so that
/// digests cost several times there what they cost on a processor that has them.
const CASES: [(&str, &str, u64); 3] = [
    ("lkey", "LKey v3.X9tKpuXq0btatj", 9_500),
    (
        "acc",
        "Acc eyJjYW1pZCI6IDI0ODUyNywgImNtbmdyaWQiOiAyNDg5NjQsICJhY2Nlc3MiOiAiYWxsIiwgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURJek5UWXpPWDAuNjFhOTY0YzN0YmMxZmFiMDAueEJXWGRrc0FVUnY2d3M1TU9aWC1BUUloLUtNIiwgImFwaSI6ICJ3ZWIuc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIiwgImNhbSI6ICJjYW0uc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIn0=",
        20_000,
    ),
    ("basic", "Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==", 20_000),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vidgate.toml");
    fs::write(&path, CONFIG).expect("a file");
    let loaded = config::load(&path, Purpose::Serve).unwrap_or_else(|report| panic!("{}", report.render(false)));
    if let (Some(name), Some(times)) = (arguments.next(), arguments.next()) {
        believe(&loaded, &name, times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let (mut code, clock) = (ExitCode::SUCCESS, Clock::system());
    for (name, _, most) in CASES {
        believe(&loaded, name, 10_000);
        let started = clock.now();
        believe(&loaded, name, 1_000_000);
        let nanoseconds = (clock.now() - started).as_nanos() / 1_000_000;
        let counted = instructions(name);
        let told = counted.map_or_else(|| "not counted".to_owned(), |count| format!("{count} instructions"));
        println!("{name:8} {nanoseconds:5} ns  {told} (at most {most})");
        if counted.is_some_and(|count| count > most) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Has the credential of a case believed so many times.
fn believe(loaded: &Loaded, name: &str, times: u64) {
    let (_, credential, _) = CASES.iter().find(|(case, ..)| *case == name).expect("a case");
    let request = Request::get(format!("/{name}")).header("host", "api.test").header("authorization", *credential);
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    let peer = "192.0.2.1:5000".parse().expect("an address");
    let connection = Connection::new(peer, peer, ListenerId(0), None);
    let world = &loaded.world;
    let head = Head::new(&parts, &connection, &world.trusted_proxies, 8192).expect("a head");
    let route = world.routes.iter().find(|route| *route.name == *name).expect("a route");
    let verified = Verified::new(1);
    let scene = Scene {
        directory: &*world.directory,
        verified: &verified,
        guard: None,
        app: None,
        now: UnixTime(1_700_000_000),
    };
    for _ in 0..times {
        let principal = route.authenticate.identify(black_box(&head), &Preface::EMPTY, &scene);
        black_box(principal).expect("it is believed");
    }
}

/// How many instructions one belief takes: those of many less those of few.
fn instructions(name: &str) -> Option<u64> {
    let count = |times: u64| -> Option<u64> {
        let done = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args([name, &times.to_string()])
            .output()
            .ok()?;
        let told = String::from_utf8(done.stderr).ok()?;
        let line = told.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some((count(2_000)? - count(1_000)?) / 1_000)
}
