//! A gateway with a store, measured from outside.
//!
//! * `cargo bench --bench gateway changes [SECONDS]`: changes through the admin API beside requests.
//! * `cargo bench --bench gateway logins [SECONDS]`: 500 logins a second (`POST /Token`) beside requests.
//! * `cargo bench --bench gateway kill [SECONDS]`: GETs over three endpoints, one of which is killed.
//! * `cargo bench --bench gateway crowd [COUNT]`: requests with a key out of ten, and out of a million.
//! * `cargo bench --bench gateway hostile [COUNT]`: requests beside connections that mean harm; memory and p99.
//! * `cargo bench --bench gateway slow [COUNT]`: the same with heads that never end, and nothing else.
//!
//! `VIDGATE=target/guided/vidgate` before it measures that binary, and not what cargo has just built.
//!
//! Everything runs on this machine: the gateway as a process of its own, the upstream and the clients in this one.

#![expect(clippy::print_stdout, reason = "figures are for whoever runs it")]
#![expect(unreachable_pub, reason = "a bench exports nothing; `pub` is what its modules share")]

mod changes;
mod crowd;
mod hostile;
mod house;
mod kill;
mod logins;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let what = arguments.next();
    let number = arguments.next().and_then(|number| number.parse().ok());
    match what.as_deref() {
        Some("changes") => changes::run(u64::from(number.unwrap_or(4))),
        Some("logins") => logins::run(u64::from(number.unwrap_or(4))),
        Some("kill") => kill::run(u64::from(number.unwrap_or(9))),
        Some("crowd") => crowd::run(number.unwrap_or(1_000_000)),
        Some("hostile") => hostile::run(number.unwrap_or(10_000), 3),
        Some("slow") => hostile::run(number.unwrap_or(10_000), 1),
        _ => {
            println!(
                "say what: changes [SECONDS], logins [SECONDS], kill [SECONDS], crowd [COUNT], hostile [COUNT], or slow [COUNT]"
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
