//! `vidgate export`: every entry as a line of JSON. Secrets come along only if asked for, sealed under a passphrase.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::counted::Counted;
use super::new_file::NewFile;
use crate::cli::operator::{Call, Operator, Trouble, Where, operate, visible};
use crate::cli::{complain, manage};

/// What to export, and where to.
#[derive(Args, Debug)]
pub(in crate::cli) struct Export {
    /// With the secrets, sealed under the passphrase
    #[arg(long, requires = "passphrase_file")]
    secrets: bool,
    /// The file that holds the passphrase; - is standard input
    #[arg(long, value_name = "FILE", requires = "secrets")]
    passphrase_file: Option<PathBuf>,
    /// A new file to write to, readable by its owner alone; standard output if left out
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

impl Export {
    /// Asks for it and writes it down.
    pub(in crate::cli) fn run(&self) -> ExitCode {
        operate(&self.place, |operator| match &self.output {
            None => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                self.write(operator, &mut out)?;
                Ok(out.flush()?)
            }
            Some(path) => {
                let mut file = Counted::new(NewFile::begin(path)?);
                self.write(operator, &mut file)?;
                file.to.finish()?;
                let with = if self.secrets { "secrets sealed under the passphrase" } else { "without secrets" };
                let told = format!("`{}`: every entry as of now, {with}, {} bytes", path.display(), file.bytes);
                complain(&(visible(&told) + "\n"));
                Ok(())
            }
        })
    }

    fn write(&self, operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
        let document = match &self.passphrase_file {
            None => json!({}),
            Some(path) => json!({ "passphrase": *manage::secret(path)? }),
        };
        operator.stream(Call::post(&["export"]).json(document), out)
    }
}
