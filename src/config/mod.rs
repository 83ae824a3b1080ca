//! The configuration: `file/` as written, then `check/` as meant. Only what was found right in every part becomes a
//! World; else there is a report of all that is wrong with it.

mod check;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod nearest;
mod report;
mod source;
#[cfg(test)]
mod tests;
mod ways;

use std::path::Path;
use std::time::Duration;

pub use self::check::Unmade;
pub use self::report::Report;
use self::source::Source;
pub use self::ways::{Entrance, Ways, ways};
use crate::admin;
use crate::invalid::Invalid;
use crate::store::{Purpose, Sound};
use crate::telemetry::log;
use crate::world::World;

/// A configuration, ready to run.
#[derive(Debug)]
pub struct Loaded {
    /// What requests need.
    pub world: World,
    /// The store, found sound and still untouched; whoever serves starts it.
    pub store: Option<Sound>,
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

/// Reads the file at `path`, and the store that it names, for this purpose. Relative paths in it start at its folder.
pub fn load(path: &Path, purpose: Purpose) -> Result<Loaded, Report> {
    let (name, text) = text(path)?;
    load_text(&name, &text, folder(path), purpose)
}

/// Reads a configuration that is at hand, called `name` in reports. Relative paths in it start at `base`.
pub fn load_text(name: &str, text: &str, base: &Path, purpose: Purpose) -> Result<Loaded, Report> {
    let mut report = Report::new(name, text);
    let Some(file) = file::read(text, &mut report) else { return Err(report) };
    match check::check(file, &Source::new(base), purpose, &mut report) {
        Some(meant) => Ok(Loaded {
            world: meant.world,
            store: meant.store,
            workers: meant.workers,
            log: meant.log,
            drain: meant.drain,
            admin: meant.admin,
            warnings: report,
        }),
        None => Err(report),
    }
}

/// Reads which store the file at `path` wants made. What else is wrong with the file is said only where it stands in
/// the way of reading it.
pub fn unmade_store(path: &Path) -> Result<(Unmade, Report), Report> {
    let (name, text) = text(path)?;
    let mut report = Report::new(&name, &text);
    let Some(file) = file::read(&text, &mut report) else { return Err(report) };
    if file.store.is_none() && report.errors() == 0 {
        let invalid = Invalid::new("this configuration has no store")
            .hint("add [store] with path = \"vidgate.redb\" and master_key = { file = \"master.key\" }");
        report.error(None, invalid);
    }
    let unmade = file.store.filter(|_| report.errors() == 0);
    match unmade.and_then(|written| check::unmade(&written, &Source::new(folder(path)), &mut report)) {
        Some(unmade) => Ok((unmade, report)),
        None => Err(report),
    }
}

/// What the file is called, and what stands in it.
fn text(path: &Path) -> Result<(String, String), Report> {
    let name = path.display().to_string();
    source::configuration(path).map(|text| (name.clone(), text)).map_err(|invalid| {
        let mut report = Report::new(&name, "");
        report.error(None, invalid);
        report
    })
}

/// Where relative paths start.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The JSON schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    file::schema()
}
