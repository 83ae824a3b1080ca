//! The configuration: `file/` as written, then `check/` as meant. Only what was found right in every part becomes a
//! World; else there is a report of all that is wrong with it.

mod check;
mod file;
mod nearest;
mod report;
mod source;
#[cfg(test)]
mod tests;
mod ways;

use std::path::Path;
use std::time::Duration;

pub use self::report::Report;
use self::source::Source;
pub use self::ways::{Entrance, Ways, ways};
use crate::admin;
use crate::telemetry::log;
use crate::world::World;

/// A configuration, ready to run.
#[derive(Debug)]
pub struct Loaded {
    /// What requests need.
    pub world: World,
    /// How many threads serve them; `None` is one a core.
    pub workers: Option<usize>,
    /// What is logged, and how.
    pub log: log::Settings,
    /// How long requests may go on after a stop was asked for.
    pub drain: Duration,
    /// Where the admin API comes in.
    pub admin: Option<admin::Settings>,
    /// What is allowed and unwise.
    pub warnings: Report,
}

/// Reads the file at `path`. Relative paths in it start at its folder.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    match source::configuration(path) {
        Ok(text) => load_text(&name, &text, path.parent().unwrap_or(Path::new(""))),
        Err(invalid) => {
            let mut report = Report::new(&name, "");
            report.error(None, invalid);
            Err(report)
        }
    }
}

/// Reads a configuration that is at hand, called `name` in reports. Relative paths in it start at `base`.
pub fn load_text(name: &str, text: &str, base: &Path) -> Result<Loaded, Report> {
    let mut report = Report::new(name, text);
    let Some(file) = file::read(text, &mut report) else { return Err(report) };
    match check::check(file, &Source::new(base), &mut report) {
        Some(meant) => Ok(Loaded {
            world: meant.world,
            workers: meant.workers,
            log: meant.log,
            drain: meant.drain,
            admin: meant.admin,
            warnings: report,
        }),
        None => Err(report),
    }
}

/// The JSON schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    file::schema()
}
