//! `vidgate backup` and `vidgate restore`: the whole store in one file, taken while it lives, and put back while no
//! gateway runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::new_file::NewFile;
use crate::cli::Configuration;
use crate::cli::operator::{Call, Where, operate};

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
        crate::cli::operator::Trouble::plain("cannot restore yet").tell()
    }
}
