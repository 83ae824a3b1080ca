//! The configuration: `file/` as written, then `check/` as meant. Only what was found right in every part becomes a
//! World; else there is a report of all that is wrong with it.

mod check;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod nearest;
mod report;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod ways;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::check::{Fixed, Installed, PUT_BACK, Stop, Unmade};
use self::check::{Use, Who};
pub use self::report::{Finding, Report};
pub use self::rules::{RULES, Rule, Severity, document as document_of_rules};
use self::source::Source;
pub use self::ways::{Entrance, Ways, ways};
use crate::admin;
use crate::invalid::Invalid;
use crate::store::{Index, Purpose, Resource, Sound, Unopened};
use crate::telemetry::{log, trace};
use crate::world::World;

/// A configuration, ready to run.
#[derive(Debug)]
pub struct Loaded {
    /// What requests need.
    pub world: World,
    /// The store, found sound and still untouched; whoever serves starts it.
    pub store: Option<Sound>,
    /// The file that it was read from, if it was one.
    pub path: Option<PathBuf>,
    /// How many threads serve them; `None` is one a core.
    pub workers: Option<usize>,
    /// What is logged, and how.
    pub log: log::Settings,
    /// How it ends.
    pub stop: Stop,
    /// Where the admin API comes in.
    pub admin: Option<admin::Settings>,
    /// Where anybody may ask whether it lives and is ready.
    pub monitoring: Option<admin::monitoring::Settings>,
    /// Where spans of requests are sent.
    pub traces: Option<trace::Settings>,
    /// Who is declared.
    pub declared: Installed,
    /// What stays as it is for as long as it runs.
    pub fixed: Fixed,
    /// Whether the file is read anew when it changes.
    pub watch: bool,
    /// What is allowed and unwise.
    pub warnings: Report,
}

/// Another configuration for a gateway that runs. Nothing has come of it yet.
#[derive(Debug)]
pub struct Next {
    /// What requests need.
    pub world: World,
    /// What is logged, and how.
    pub log: log::Settings,
    /// How it ends.
    pub stop: Stop,
    /// Whether the file is read anew when it changes.
    pub watch: bool,
    /// Where spans of requests go, if they go anywhere.
    pub traces: Option<trace::Settings>,
    /// Who is declared.
    pub declared: Pending,
}

/// Who is declared in a configuration that has not come into force.
#[derive(Debug)]
pub struct Pending {
    declared: check::Declared,
    /// What is to be said of them.
    report: Report,
}

impl Pending {
    /// What of the store they would be, were they there.
    pub fn entries(&self) -> HashSet<(Resource, String)> {
        self.declared.entries()
    }

    /// What is allowed and unwise.
    pub fn warnings(&self) -> &Report {
        &self.report
    }

    /// Puts them into the index in the place of who was declared `before`, or, where one of them is in the store, does
    /// nothing: the report says who. `holds` asks the store.
    pub fn install(
        self,
        index: &Index,
        before: &Installed,
        holds: impl Fn(Resource, &str) -> Result<bool, Unopened>,
    ) -> Result<Installed, Report> {
        let Self { declared, mut report } = self;
        declared.clashes_on_file(holds, &mut report);
        let installed = if report.errors() == 0 { declared.install(index, before, &mut report) } else { None };
        installed.ok_or(report)
    }
}

/// Reads the file at `path`, and the store that it names, for this purpose. Relative paths in it start at its folder.
pub fn load(path: &Path, purpose: Purpose) -> Result<Loaded, Report> {
    let (name, text) = text(path)?;
    let loaded = load_text(&name, &text, folder(path), purpose)?;
    Ok(Loaded { path: Some(path.to_owned()), ..loaded })
}

/// Reads a configuration that is at hand, called `name` in reports. Relative paths in it start at `base`.
pub fn load_text(name: &str, text: &str, base: &Path, purpose: Purpose) -> Result<Loaded, Report> {
    let mut report = Report::new(name, text);
    let Some(file) = file::read(text, &mut report) else { return Err(report) };
    let meant =
        check::check(&file, &Source::new(base), Use::Start(purpose), &mut report).ok_or_else(|| report.clone())?;
    let Who::Installed(declared) = meant.declared else { return Err(report) };
    Ok(Loaded {
        world: meant.world,
        store: meant.store,
        path: None,
        workers: meant.workers,
        log: meant.log,
        stop: meant.stop,
        admin: meant.admin,
        monitoring: meant.monitoring,
        traces: meant.traces,
        declared,
        fixed: meant.fixed,
        watch: meant.watch,
        warnings: report,
    })
}

/// Reads the file at `path` for a gateway that runs with these fixed settings, over the index that it has. Nothing is
/// opened, and nobody comes into the index.
pub fn load_next(path: &Path, fixed: &Fixed, index: &Arc<Index>) -> Result<Next, Report> {
    let (name, text) = text(path)?;
    load_next_text(&name, &text, folder(path), (fixed, index))
}

/// The same for a configuration that is at hand.
pub fn load_next_text(
    name: &str,
    text: &str,
    base: &Path,
    (fixed, index): (&Fixed, &Arc<Index>),
) -> Result<Next, Report> {
    let mut report = Report::new(name, text);
    let Some(file) = file::read(text, &mut report) else { return Err(report) };
    let meant = check::check(&file, &Source::new(base), Use::GoOn(fixed, index), &mut report);
    let meant = meant.ok_or_else(|| report.clone())?;
    let Who::Pending(declared) = meant.declared else { return Err(report) };
    let declared = Pending { declared, report };
    let check::Meant { world, log, stop, watch, traces, .. } = meant;
    Ok(Next { world, log, stop, watch, traces, declared })
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
