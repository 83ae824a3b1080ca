//! `vidgate backup` and `vidgate restore`: the whole store in one file, taken while it lives, and put back where
//! there is none.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::new_file::NewFile;
use crate::cli::Configuration;
use crate::cli::operator::{Call, Trouble, Where, operate};
use crate::config::{self, Unmade};
use crate::store::{NotRestored, Store};

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

    /// Only where there is no store: what lies there already is never replaced.
    fn restore(&self) -> Result<PathBuf, Trouble> {
        let config = &self.configuration.config;
        let (unmade, _) = config::unmade_store(config).map_err(|report| Trouble::Configuration(report.render(true)))?;
        let Unmade { settings, key, key_file } = unmade;
        let Some(key) = key else {
            let file = key_file.unwrap_or_default();
            return Err(Trouble::plain(format!("the master key is missing: there is no `{}`", file.display())));
        };
        let mut source = File::open(&self.file)
            .map_err(|error| Trouble::plain(format!("cannot read `{}`: {error}", self.file.display())))?;
        let path = settings.path.clone();
        let restored = Store::restore(&mut source, &settings, &key);
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
