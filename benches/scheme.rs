//! What it takes to believe a credential that is looked up by its digest: time, and instructions where valgrind is
//! there to count them.
//!
//! `cargo bench --bench scheme`. It fails if one takes more instructions than it may, so that a change that makes
//! them dearer is noticed on any machine; the time is for people.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::{Map, Value, json};
use vidgate::clock::{Clock, UnixTime};
use vidgate::config::{self, Loaded};
use vidgate::edge::connection::{Connection, ListenerId};
use vidgate::edge::head::Head;
use vidgate::edge::preface::Preface;
use vidgate::scheme::jwt::Verified;
use vidgate::scheme::{Fetching, Scene};
use vidgate::store::{Actor, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

/// The allocator of the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG: &str = r#"
[listener.http]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://127.0.0.1:9"]

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[scheme.license.lkey]
[scheme.camera.acc]
[scheme.client.basic]
tls_only = false
[scheme.pages.signature]
right = "playback"
[scheme.token.opaque]
[scheme.machine.apikey]
[scheme.legacy.account_key]
tls_only = false

[[account]]
id = "acme"
license_key = [{ id = "main", key = "v3.X9tKpuXq0btatj" }]
api_client = [
    { id = "8ded5a89051a9a01a389bcdf1e174", secret = "99176b1d244c484ed65dd792abc1" },
    { id = "1", secret = "eec36d6c-a0eb-46b5-a006-1c2b65343bac" },
]
app = [{ id = "app", public_key = "123-456-789", secret = "ct-secret-0001", signatures = { playback = true } }]
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

[[route]]
name = "signature"
path = "/signature"
authenticate = "pages"
forward = "api"
scope = { read = ["playback"] }

[[route]]
name = "opaque"
path = "/opaque"
authenticate = "token"
forward = "api"

[[route]]
name = "apikey"
path = "/apikey"
authenticate = "machine"
forward = "api"

[[route]]
name = "account_key"
path = "/account_key"
authenticate = "legacy"
forward = "api"
"#;

/// What users have, who cannot be declared.
const USER_KEY: &str = "QkFqTmtDclVkQTFVaUAz";
const BEARER_TOKEN: &str = "vA0Jm7bO2Qe1hXw5pT9sLr3uYk8cZfNdG6iB4tEaMqs";

/// One belief.
struct Case {
    /// The scheme, and the path of the route that asks for it.
    name: &'static str,
    query: &'static str,
    field: (&'static str, &'static str),
    /// How many instructions it may take. Valgrind knows no SHA instructions, so that digests cost several times there
    /// what they cost on a processor that has them.
    most: u64,
}

/// The field of a request whose credential stands elsewhere.
const NOTHING: (&str, &str) = ("accept", "*/*");

const CASES: [Case; 7] = [
    Case { name: "lkey", query: "", field: ("authorization", "LKey v3.X9tKpuXq0btatj"), most: 9_500 },
    Case {
        name: "acc",
        query: "",
        field: (
            "authorization",
            "Acc eyJjYW1pZCI6IDI0ODUyNywgImNtbmdyaWQiOiAyNDg5NjQsICJhY2Nlc3MiOiAiYWxsIiwgInRva2VuIjogInNoYXJlLmV5SnphU0k2SURJek5UWXpPWDAuNjFhOTY0YzN0YmMxZmFiMDAueEJXWGRrc0FVUnY2d3M1TU9aWC1BUUloLUtNIiwgImFwaSI6ICJ3ZWIuc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIiwgImNhbSI6ICJjYW0uc2t5dnIudmlkZW9leHBlcnRzZ3JvdXAuY29tIn0=",
        ),
        most: 20_000,
    },
    Case {
        name: "basic",
        query: "",
        field: (
            "authorization",
            "Basic OGRlZDVhODkwNTFhOWEwMWEzODliY2RmMWUxNzQ6OTkxNzZiMWQyNDRjNDg0ZWQ2NWRkNzkyYWJjMQ==",
        ),
        most: 20_000,
    },
    // The signature is by `openssl dgst -sha1 -hmac ct-secret-0001`.
    Case {
        name: "signature",
        query: "?signature_json=%7B%22api_key%22%3A%22123-456-789%22%2C%22expiration%22%3A1900000000%7D&signature=8ea5acc7b9ef77f0b4361f9b554c5c752c50b57b",
        field: NOTHING,
        most: 33_000,
    },
    Case {
        name: "opaque",
        query: "",
        field: ("authorization", "Bearer vA0Jm7bO2Qe1hXw5pT9sLr3uYk8cZfNdG6iB4tEaMqs"),
        most: 11_000,
    },
    Case { name: "apikey", query: "", field: ("x-apikey", USER_KEY), most: 9_000 },
    Case {
        name: "account_key",
        query: "?account_id=1&api_key=eec36d6c-a0eb-46b5-a006-1c2b65343bac",
        field: NOTHING,
        most: 24_000,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vidgate.toml");
    fs::write(&path, CONFIG).expect("a file");
    keep_a_user(folder.path());
    let loaded = config::load(&path, Purpose::Serve).unwrap_or_else(|report| panic!("{}", report.render(false)));
    if let (Some(name), Some(times)) = (arguments.next(), arguments.next()) {
        believe(&loaded, &name, times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let (mut code, clock) = (ExitCode::SUCCESS, Clock::system());
    for Case { name, most, .. } in CASES {
        believe(&loaded, name, 10_000);
        let started = clock.now();
        believe(&loaded, name, 1_000_000);
        let nanoseconds = (clock.now() - started).as_nanos() / 1_000_000;
        let counted = instructions(name);
        let told = counted.map_or_else(|| "not counted".to_owned(), |count| format!("{count} instructions"));
        println!("{name:11} {nanoseconds:5} ns  {told} (at most {most})");
        if counted.is_some_and(|count| count > most) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Makes a store with a user in it.
fn keep_a_user(folder: &Path) {
    let key = MasterKey::random();
    fs::write(folder.join("master.key"), key.to_text().expose()).expect("a file");
    let settings = Settings { path: folder.join("vidgate.redb"), cache: 1 << 20 };
    Store::create(&settings, &key).expect("a store");
    let master = Master { key, file: None };
    let store = Store::open(&settings, master, Clock::system(), Purpose::Serve).expect("it opens");
    let user = json!({ "id": "john", "account": "studio", "login": "john", "key": USER_KEY });
    let operations = vec![
        create(Resource::Account, json!({ "id": "studio" })),
        create(Resource::User, user),
        create(Resource::BearerToken, json!({ "id": "token", "user": "john", "token": BEARER_TOKEN })),
    ];
    let request = Request { actor: Actor("local:0".to_owned()), operations, idempotency: None };
    store.apply(request).expect("it is done");
}

fn create(resource: Resource, document: Value) -> Operation {
    let document: Map<String, Value> = serde_json::from_value(document).expect("an object");
    Operation::Create { resource, document, versions: Vec::new() }
}

/// Has the credential of a case believed so many times.
fn believe(loaded: &Loaded, name: &str, times: u64) {
    let Case { query, field: (field, value), .. } = CASES.iter().find(|case| case.name == name).expect("a case");
    let request = http::Request::get(format!("/{name}{query}")).header("host", "api.test").header(*field, *value);
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
        fetching: Fetching::Asked,
        app: None,
        now: UnixTime(1_700_000_000),
    };
    for _ in 0..times {
        let principal = route.authenticate.identify(black_box(&head), &Preface::EMPTY, &scene, &mut ());
        black_box(principal).expect("it is believed");
    }
}

/// How many instructions one belief takes: those of many less those of few. So many that what differs from start to start
/// (a random generator gathers entropy for as long as it takes) is nothing beside them.
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
    Some((count(21_000)? - count(1_000)?) / 20_000)
}
