//! `vidgate backup` and `vidgate restore`: the whole store in one file, taken while it lives, and put back while no
//! gateway runs.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::new_file::NewFile;
use crate::cli::operator::{Call, Trouble, Where, is_taken, operate};
use crate::cli::{Configuration, confirmed};
use crate::config;
use crate::store::Store;

/// Where to.
#[derive(Args, Debug)]
pub(in crate::cli) struct Backup {
    /// A new file, readable by its owner alone
    file: PathBuf,
    #[command(flatten)]
    place: Where,
}

impl Backup {
    /// Takes it.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        operate(&self.place, |operator| {
            let mut file = NewFile::begin(&self.file)?;
            operator.stream(Call::get(&["store", "backup"]), &mut file)?;
            file.finish()
        })
    }
}

/// Where from.
#[derive(Args, Debug)]
pub(in crate::cli) struct Restore {
    /// A backup
    file: PathBuf,
    /// Do not ask on a terminal
    #[arg(short, long)]
    yes: bool,
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

    /// Only on the file: a gateway that runs would go on with what it has in memory.
    fn restore(&self) -> Result<PathBuf, Trouble> {
        let config = &self.configuration.config;
        let (unmade, _) = config::unmade_store(config).map_err(|report| Trouble::Configuration(report.render(true)))?;
        let path = unmade.settings.path;
        let Some(key) = unmade.key else {
            let file = unmade.key_file.unwrap_or_default();
            return Err(Trouble::plain(format!("the master key is missing: there is no `{}`", file.display())));
        };
        let mut source = File::open(&self.file)
            .map_err(|error| Trouble::plain(format!("cannot read `{}`: {error}", self.file.display())))?;
        if is_taken(&path) {
            return Err(Trouble::plain(format!("a gateway has the store `{}` open: stop it first", path.display())));
        }
        if !self.yes && path.exists() && io::stdin().is_terminal() {
            let question =
                format!("Put the backup in the place of `{}`? What only that holds is lost.", path.display());
            if !confirmed(&question, &mut io::stdin().lock())? {
                return Err(Trouble::plain("nothing was restored"));
            }
        }
        Store::restore(&mut source, &unmade.settings, &key)
            .map_err(|error| Trouble::plain(format!("`{}`: {error}", self.file.display())))?;
        Ok(path)
    }
}
