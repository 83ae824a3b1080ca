//! `vidgate completions`: what a shell needs to complete command lines of vidgate. Made from the table of commands, so that it
//! knows each of them.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// For which shell.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(super) fn run(&self) -> ExitCode {
        super::print(&script(self.shell))
    }
}

/// What this shell is to read.
fn script(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "vidgate", &mut bytes);
    String::from_utf8(bytes).expect("what is made of text is text")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in super::super::Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
