//! A store with a million credentials: how long their import takes, how long a start, how much memory each costs, and
//! how long one look-up takes.
//!
//! `cargo bench --bench store [-- COUNT]`. It works in a temporary folder and opens the store in a process of its own, so
//! that what the import leaves in memory is not counted.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc;

use serde_json::{Value, json};
use vidgate::clock::Clock;
use vidgate::record::{Directory, Kind};
use vidgate::store::{Actor, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

// As the program itself, so that memory is counted as it will be.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MASTER: &[u8] = b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BATCH: usize = 1000;
const CAMERAS: usize = 1000;
/// Batches that are under way at once.
const WINDOW: usize = 8;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("--open"), Some(folder), Some(count)) => open(Path::new(&folder), count.parse().expect("a number")),
        (Some("--import"), Some(folder), Some(count)) => import(Path::new(&folder), count.parse().expect("a number")),
        (count, ..) => {
            let count = count.map_or(1_000_000, |count| count.parse().expect("a number of credentials"));
            let folder = tempfile::tempdir().expect("a folder");
            let this = std::env::current_exe().expect("this program");
            for step in ["--import", "--open"] {
                let arguments = [step.into(), folder.path().as_os_str().to_owned(), count.to_string().into()];
                let done = Command::new(&this).args(arguments).status().expect("this program runs");
                if !done.success() {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn settings(folder: &Path) -> Settings {
    Settings { path: PathBuf::from(folder).join("vidgate.redb"), cache: 32 << 20 }
}

fn master() -> Master {
    Master { key: MasterKey::parse(MASTER).expect("a key"), file: None }
}

fn opened(folder: &Path) -> Store {
    Store::open(&settings(folder), master(), Clock::system(), Purpose::Serve).expect("the store opens")
}

fn import(folder: &Path, count: usize) {
    Store::create(&settings(folder), &master().key).expect("a new store");
    let (store, clock) = (opened(folder), Clock::system());
    let started = clock.now();
    let mut first = vec![create(Resource::Account, json!({"id": "acme"}))];
    first.extend((0..CAMERAS).map(|id| create(Resource::Camera, json!({"id": id.to_string(), "account": "acme"}))));
    apply(&store, first);
    let (reply, answers) = mpsc::channel();
    let mut under_way = 0;
    for start in (0..count).step_by(BATCH) {
        let reply = reply.clone();
        let operations = (start..count.min(start + BATCH)).map(credential).collect();
        store.submit(request(operations), move |answer| reply.send(answer.is_ok()).expect("somebody listens"));
        under_way += 1;
        if under_way == WINDOW {
            assert!(answers.recv().expect("an answer"), "everything is made");
            under_way -= 1;
        }
    }
    assert!(answers.iter().take(under_way).all(|made| made), "everything is made");
    let took = clock.now() - started;
    drop(store);
    let file = std::fs::metadata(settings(folder).path).expect("the file").len();
    println!("import  {count} credentials in {took:.1?}, {} bytes of file each", file / count as u64);
}

fn open(folder: &Path, count: usize) {
    let (before, clock) = (resident(), Clock::system());
    let started = clock.now();
    let store = opened(folder);
    let took = clock.now() - started;
    let grown = resident().saturating_sub(before);
    println!("start   in {took:.2?}, {} bytes of memory a credential", grown / count);
    let index = store.index();
    let keys: Vec<String> = (0..count).step_by((count / 10_000).max(1) | 1).map(key).collect();
    let started = clock.now();
    for key in &keys {
        assert!(black_box(index.look_up(Kind::LicenseKey, key.as_bytes())).is_some() == key.starts_with('v'));
    }
    println!("look-up in {:.0?}", (clock.now() - started) / u32::try_from(keys.len()).expect("few"));
}

fn apply(store: &Store, operations: Vec<Operation>) {
    store.apply(request(operations)).expect("everything is made");
}

fn request(operations: Vec<Operation>) -> Request {
    Request { actor: Actor("bench".to_owned()), operations, idempotency: None }
}

/// Every other one is a license key, the rest are tokens of cameras.
fn credential(number: usize) -> Operation {
    if number.is_multiple_of(2) {
        return create(
            Resource::LicenseKey,
            json!({"id": format!("key-{number}"), "account": "acme", "key": key(number)}),
        );
    }
    let document =
        json!({"id": format!("token-{number}"), "camera": (number % CAMERAS).to_string(), "token": key(number)});
    create(Resource::Token, document)
}

/// The text of a credential: any that is not guessed by counting does here.
fn key(number: usize) -> String {
    if number.is_multiple_of(2) {
        return format!("v3.{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    format!("share.eyJzaSI6IDIzNTYzOX0.{number:08x}tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM")
}

fn create(resource: Resource, document: Value) -> Operation {
    let Value::Object(document) = document else { unreachable!("documents here are objects") };
    Operation::Create { resource, document, versions: Vec::new() }
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
