//! `vidgate store`: the store as a whole, one file a command.

pub(super) mod init;
mod key;
pub(super) mod upkeep;

use std::process::ExitCode;

use clap::Subcommand;

use super::Configuration;

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the store that a configuration names, and its master key where there is none.
    #[command(
        after_help = "Example: vidgate store init --config /etc/vidgate/vidgate.toml\n\nNothing that exists is touched. The master key is kept apart from the store: whoever has both can read all of it."
    )]
    Init(Configuration),
    /// Print a new master key, to be kept in the environment or anywhere else.
    #[command(
        after_help = "Example: vidgate store key\n\nWhoever has it can read the store: let only the user that vidgate runs as see it."
    )]
    Key,
    #[command(flatten)]
    Upkeep(upkeep::Upkeep),
}

impl Command {
    /// Does it.
    pub(super) fn run(&self) -> ExitCode {
        match self {
            Self::Init(which) => init::run(&which.config),
            Self::Key => key::run(),
            Self::Upkeep(upkeep) => upkeep.run(),
        }
    }
}
