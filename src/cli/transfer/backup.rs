//! `vidgate backup` and `vidgate restore`: the whole store in one file, taken while it lives, and put back where
//! there is none.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::counted::Counted;
use super::new_file::NewFile;
use crate::cli::operator::{Call, Operator, Trouble, Where, operate, visible};
use crate::cli::{Configuration, complain};
use crate::config::{self, Unmade};
use crate::store::{NotRestored, Store};

/// Where to.
#[derive(Args, Debug)]
pub(in crate::cli) struct Backup {
    /// A new file, readable by its owner alone; - is standard output
    file: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Standard input or output, in the place of a file.
const DASH: &str = "-";

impl Backup {
    /// Takes it.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        operate(&self.place, |operator| {
            let call = Call::get(&["store", "backup"]);
            let (name, bytes) = if self.file == Path::new(DASH) {
                ("standard output".to_owned(), piped(operator, call)?)
            } else {
                let mut file = Counted::new(NewFile::begin(&self.file)?);
                operator.stream(call, &mut file)?;
                file.to.finish()?;
                (format!("`{}`", self.file.display()), file.bytes)
            };
            let told = format!("{name}: the store as of now, {bytes} bytes; it opens with its master key alone");
            complain(&(visible(&told) + "\n"));
            Ok(())
        })
    }
}

/// Sends it to standard output. It is of use to nobody unless all of it arrives.
fn piped(operator: &mut dyn Operator, call: Call) -> Result<u64, Trouble> {
    if io::stdout().is_terminal() {
        return Err(Trouble::plain("a backup is no text for a terminal: send it into a pipe or a file"));
    }
    let mut out = Counted::new(io::BufWriter::new(io::stdout().lock()));
    let sent = operator.stream(call, &mut out).and_then(|()| Ok(out.flush()?));
    match sent {
        Ok(()) => Ok(out.bytes),
        Err(Trouble::LeftAlone) => Err(Trouble::plain("nobody has read the backup to its end: what arrived is none")),
        Err(trouble) => Err(trouble),
    }
}

/// Where from.
#[derive(Args, Debug)]
pub(in crate::cli) struct Restore {
    /// A backup; - is standard input
    file: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

impl Restore {
    /// Puts it back.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        match self.restore() {
            Ok(path) => crate::cli::print(&format!("The store `{}` is what the backup holds.\n", path.display())),
            Err(trouble) => trouble.tell(),
        }
    }

    fn source(&self) -> Result<Box<dyn Read>, Trouble> {
        if self.file == Path::new(DASH) {
            return Ok(Box::new(io::stdin().lock()));
        }
        let unreadable = |error| Trouble::plain(format!("cannot read `{}`: {error}", self.file.display()));
        Ok(Box::new(File::open(&self.file).map_err(unreadable)?))
    }

    /// Only where there is no store: what lies there already is never replaced.
    fn restore(&self) -> Result<PathBuf, Trouble> {
        let config = &self.configuration.config;
        let (unmade, _) = config::unmade_store(config).map_err(|report| Trouble::Configuration(report.render(true)))?;
        let Unmade { settings, key, key_file } = unmade;
        let Some(key) = key else {
            let file = key_file.unwrap_or_default();
            return Err(Trouble::plain(format!("the master key is missing: there is no `{}`", file.display())));
        };
        let path = settings.path.clone();
        let restored = Store::restore(&mut *self.source()?, &settings, &key);
        if let Err(NotRestored::Exists) = restored {
            return Err(Trouble::plain(format!(
                "there is a store at `{}` already: move it away first",
                path.display()
            )));
        }
        restored.map_err(|not_restored| Trouble::plain(not_restored.to_string()))?;
        Ok(path)
    }
}
