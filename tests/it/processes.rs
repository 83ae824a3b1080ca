//! Programs that tests run. A process that was just forked has open what this one has open, until its program runs: a
//! store that is closed here is not free before that, and the other end of a socket does not hear that it is closed. So
//! one begins at a time, and whoever counts on an end waits for it.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

static BEGINNING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    BEGINNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it, and returns once its program runs.
pub fn start(command: &mut Command) -> Child {
    let _alone = alone();
    command.spawn().expect("the program runs")
}

/// Runs it to its end, with nothing to read.
pub fn run(command: &mut Command) -> Output {
    fed(command, "")
}

/// Runs it to its end, with this to read.
pub fn fed(command: &mut Command, input: &str) -> Output {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    // Whoever refuses at once does not read it.
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).unwrap_or_default();
    child.wait_with_output().expect("the program ends")
}

/// Returns once nobody is left who was forked before this and has not come to their program.
pub fn settle() {
    drop(alone());
}
