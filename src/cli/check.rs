//! `vidgate check`: every problem of a configuration at once, on standard error; what it amounts to on standard output.

use std::path::Path;
use std::process::ExitCode;

use super::{complain, print};
use crate::config;
use crate::store::Purpose;

/// Says everything that is wrong with a configuration.
pub(super) fn run(config: &Path) -> ExitCode {
    match config::load(config, Purpose::Look) {
        Ok(loaded) => {
            let world = &loaded.world;
            if !loaded.warnings.is_empty() {
                complain(&(loaded.warnings.render(true) + "\n"));
            }
            print(&format!(
                "{}: good: {}, {}, {}\n",
                config.display(),
                counted(world.listeners.len(), "listener"),
                counted(world.upstreams.len(), "upstream"),
                counted(world.routes.len(), "route"),
            ))
        }
        Err(report) => {
            complain(&report.render(true));
            ExitCode::FAILURE
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
