//! Whether a crowd of credentials makes a request dearer: the same requests, each with a key drawn from ten or from a
//! million, in turns.

use std::path::Path;
use std::time::Duration;

use crate::house::{House, RELAYED};
use serde_json::json;
use vidgate::clock::Clock;
use vidgate::store::{Actor, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

const FEW: u32 = 10;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(5);
const BATCH: usize = 8000;

/// Measures with so many credentials, and with ten.
pub fn run(many: u32) {
    let houses = [FEW, many].map(|count| (count, House::start(|folder| fill(folder, count))));
    let mut used: [Vec<f64>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for ((count, house), used) in houses.iter().zip(&mut used) {
            let run = house.relay(ROUND, |turn| key(turn.wrapping_mul(2_654_435_761) % count));
            // The first round warms up.
            if round > 0 {
                used.push(run.cpu);
            }
        }
    }
    let [few, crowd] = used.map(|mut used| {
        used.sort_unstable_by(f64::total_cmp);
        used[used.len() / 2]
    });
    println!("{FEW} credentials   {few:.2} us of a worker's CPU a request, at {RELAYED} requests a second");
    println!("{many} credentials   {crowd:.2} us, {:.3} times as much", crowd / few);
}

fn fill(folder: &Path, count: u32) {
    let text = std::fs::read(folder.join("master.key")).expect("the key was made");
    let master = Master { key: MasterKey::parse(&text).expect("a key"), file: None };
    let settings = Settings { path: folder.join("vidgate.redb"), cache: 32 << 20 };
    let store = Store::open(&settings, master, Clock::system(), Purpose::Serve).expect("the store opens");
    let create = |resource, document| {
        let serde_json::Value::Object(document) = document else { unreachable!("documents here are objects") };
        Operation::Create { resource, document, versions: Vec::new() }
    };
    let mut operations = vec![create(Resource::Account, json!({"id": "acme"}))];
    for number in 0..count {
        let document = json!({"id": number.to_string(), "account": "acme", "key": key(number)});
        operations.push(create(Resource::LicenseKey, document));
        if operations.len() == BATCH || number + 1 == count {
            let operations = std::mem::take(&mut operations);
            let request = Request { actor: Actor("bench".to_owned()), operations, idempotency: None };
            store.apply(request).expect("everything is made");
        }
    }
}

fn key(number: u32) -> String {
    format!("v3.{:016x}", u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
