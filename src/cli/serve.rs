//! `vidgate serve`.

use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::complain;
use crate::run::{self, Failure};

/// Serves requests until told to stop.
pub(super) fn run(config: &Path) -> ExitCode {
    leave_no_memory_behind();
    take_memory_in_small_pages();
    match run::serve(config) {
        Ok(code) => code,
        Err(failure) => {
            complain(&match failure {
                Failure::Configuration(report) => report.render(true),
                Failure::Start(error) => format!("vidgate: cannot start: {error}\n"),
            });
            ExitCode::FAILURE
        }
    }
}

/// Keys and secrets lie in memory: where the process crashes, none of it is written to a disk, and no other process of
/// the same user looks into it. Said first, before a secret is read.
fn leave_no_memory_behind() {
    let set = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Where Linux hands cores to a program, it does not ask for their limit.
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable));
    if let Err(error) = set {
        complain(&format!("vidgate: a crash could leave secrets on a disk: {error}\n"));
    }
}

/// The first touch of a huge page has the kernel clear 2 MiB, and a worker that happens to be there keeps all of its requests
/// waiting meanwhile. The allocator asks for such pages, and so do systems where they are `always` on.
fn take_memory_in_small_pages() {
    // A kernel that knows of no huge pages gives none.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
}
