//! The command line: one file a command. Only here is anything written to a terminal; colours stay away from pipes and
//! obey `NO_COLOR`.

mod audit;
mod check;
mod completions;
pub mod demo;
mod explain;
mod explain_ip;
mod health;
mod limits;
mod lint;
mod man;
mod manage;
mod multicam;
mod openapi;
mod operator;
mod reload;
mod schema;
mod schemes;
mod serve;
mod shell;
mod sign;
mod status;
mod store;
mod transfer;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A multi-scheme authentication gateway for video APIs.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Example: vidgate check --config vidgate.toml && vidgate serve --config vidgate.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until told to stop.
    #[command(after_help = "Example: vidgate serve --config /etc/vidgate/vidgate.toml")]
    Serve(Configuration),
    /// Say everything that is wrong with a configuration, without starting.
    #[command(
        after_help = "Example: vidgate check --config /etc/vidgate/vidgate.toml\n\nExits with 1 if vidgate would not start with it; warnings alone exit with 0."
    )]
    Check(Configuration),
    /// Say what is allowed in a configuration and unwise, why, and who still uses weak schemes.
    #[command(
        after_help = "Example: vidgate lint --config /etc/vidgate/vidgate.toml --deny medium\n\nExits with 1 where a finding is as severe as --deny says, and where vidgate would not start with the configuration. What is meant to be so is listed there: [lint] allow."
    )]
    Lint(lint::Lint),
    /// Run a gateway in front of made-up video APIs, to look around.
    #[command(after_help = "Example: vidgate demo")]
    Demo(demo::Args),
    /// List the ways in which a caller can prove who they are.
    #[command(after_help = "Example: vidgate schemes")]
    Schemes,
    /// Print a credential as its clients send it, and a line for curl.
    #[command(
        after_help = "Example: vidgate sign basic --id 8ded5a89 --secret-file secret.txt --url https://api.example/user"
    )]
    Sign {
        #[command(subcommand)]
        what: sign::Command,
    },
    /// Show step by step what would become of a request, and why: nothing is sent, and nothing counted.
    #[command(
        after_help = "Example: vidgate explain --peer 192.0.2.7 -- curl -H 'Authorization: LKey v3.…' https://api.example.com/api/v2/cameras/\n\nExits with 0 if it would be let in, with 1 if it would be refused, and with 2 if there is nothing to explain. No credential is shown."
    )]
    Explain(explain::Explain),
    /// Show step by step where a caller is taken to be, whatever proxies say.
    #[command(
        name = "explain-ip",
        after_help = "Example: vidgate explain-ip --peer 10.0.0.1 --header 'X-Forwarded-For: 192.0.2.7'\n\nExits with 1 where no request would come of it."
    )]
    ExplainIp(explain_ip::Arguments),
    /// Print the JSON schema of the configuration, for editors.
    #[command(
        after_help = "Example: vidgate schema > vidgate.schema.json\n\nThen begin vidgate.toml with the line: #:schema ./vidgate.schema.json"
    )]
    Schema,
    /// Print what a shell needs to complete command lines of vidgate.
    #[command(
        after_help = "Example: vidgate completions bash > /etc/bash_completion.d/vidgate\n\nFor zsh, a file _vidgate in a folder of $fpath; for fish, ~/.config/fish/completions/vidgate.fish."
    )]
    Completions(completions::Completions),
    /// Print the manual page, or write those of all commands into a folder.
    #[command(
        after_help = "Example: vidgate man /usr/local/share/man/man1\n\nWithout a folder it is printed: vidgate man | man -l -"
    )]
    Man(man::Pages),
    /// Print the OpenAPI document of the admin API, for those who make clients of it.
    #[command(after_help = "Example: vidgate openapi > vidgate.openapi.json")]
    Openapi,
    #[command(flatten)]
    Managed(manage::Managed),
    /// Take in many entries from a file of JSON Lines.
    #[command(
        after_help = "Example: vidgate import entries.jsonl --skip-existing\n\nA line: {\"resource\": \"license_key\", \"account\": \"alice\", \"key\": \"…\"}. Secrets that are made on the way come out on standard output, a line each."
    )]
    Import(transfer::Import),
    /// Write every entry out as JSON Lines; secrets only if asked for, sealed under a passphrase.
    #[command(after_help = "Example: vidgate export --secrets --passphrase-file passphrase.txt -o entries.jsonl")]
    Export(transfer::Export),
    /// Show who changed what and when, or verify that the record is whole.
    #[command(
        after_help = "Example: vidgate audit --verify\n\nExits with 1 if the record does not hold. The head, written down elsewhere, proves later that nothing was cut off."
    )]
    Audit(audit::Audit),
    /// Show where the quotas of an account stand.
    #[command(
        after_help = "Example: vidgate usage alice --json\n\nWhile no gateway runs, it is what stands in the store: after a crash, what was reserved counts as spent."
    )]
    Usage(limits::Usage),
    /// Show from where wrong credentials come, and let those in again who are refused for them.
    #[command(after_help = "Example: vidgate failures list")]
    Failures {
        #[command(subcommand)]
        what: limits::Failures,
    },
    /// Say why a request was refused.
    #[command(
        after_help = "Example: vidgate why 860c699195513722-00000000000000eb\n\nThe id is the X-Request-Id of the answer. The last refusals are kept in the memory of the gateway that runs, as many as `refusals` of [log] says. Exits with 1 where none has this id."
    )]
    Why(why::Why),
    /// Ask the gateway that runs whether it lives, or whether requests should be sent to it.
    #[command(
        after_help = "Example: vidgate health --config /etc/vidgate/vidgate.toml --ready\n\nExits with 0 if so, and else with 1: for the health check of a container, and for scripts. It asks the listener of [monitoring], or that of [admin]; neither asks for a credential here."
    )]
    Health(health::Health),
    /// Show how the gateway that runs is doing.
    #[command(
        after_help = "Example: vidgate status --config /etc/vidgate/vidgate.toml\n\nExits with 1 where something is wrong, and with 2 where no gateway answers."
    )]
    Status(status::Status),
    /// Have the gateway that runs read its configuration anew; where something is wrong with it, everything stays as it is.
    #[command(after_help = "Example: vidgate reload --config /etc/vidgate/vidgate.toml")]
    Reload(reload::Reload),
    /// Make the keys that clients of Multicam encrypt to, and show them.
    #[command(after_help = "Example: vidgate multicam key new multicam.key")]
    Multicam {
        #[command(subcommand)]
        what: multicam::Command,
    },
    /// Copy the whole store into a file while it lives.
    #[command(
        after_help = "Example: vidgate backup vidgate-backup.redb\n\nIt opens with the master key alone: keep the two apart."
    )]
    Backup(transfer::Backup),
    /// Make the store of a backup, where there is none; the master key is that of the time of the backup.
    #[command(after_help = "Example: vidgate restore vidgate-backup.redb")]
    Restore(transfer::Restore),
    /// Make the store of credentials, and look after it.
    #[command(after_help = "Example: vidgate store init --config /etc/vidgate/vidgate.toml")]
    Store {
        #[command(subcommand)]
        what: store::Command,
    },
}

/// Which configuration.
#[derive(Debug, Args)]
struct Configuration {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "vidgate.toml")]
    config: PathBuf,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(which) => serve::run(&which.config),
        Command::Check(which) => check::run(&which.config),
        Command::Lint(lint) => lint.run(),
        Command::Demo(args) => demo::run(args),
        Command::Schemes => schemes::run(),
        Command::Sign { what } => what.run(),
        Command::Explain(explain) => explain.run(),
        Command::ExplainIp(arguments) => arguments.run(),
        Command::Schema => schema::run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(pages) => pages.run(),
        Command::Openapi => openapi::run(),
        Command::Managed(managed) => manage::run(managed),
        Command::Import(import) => import.run(),
        Command::Export(export) => export.run(),
        Command::Audit(audit) => audit.run(),
        Command::Usage(usage) => usage.run(),
        Command::Failures { what } => what.run(),
        Command::Why(why) => why.run(),
        Command::Health(health) => health.run(),
        Command::Status(status) => status.run(),
        Command::Reload(reload) => reload.run(),
        Command::Multicam { what } => what.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Store { what } => what.run(),
    }
}

/// Asks before something is lost; only a plain yes is one.
fn confirmed(question: &str, answers: &mut dyn std::io::BufRead) -> std::io::Result<bool> {
    complain(&format!("{question} [y/N] "));
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Writes to standard output. A reader who has left (`vidgate schema | head`) has seen enough.
fn print(text: &str) -> ExitCode {
    written(anstream::stdout(), text)
}

/// Writes to standard error.
fn complain(text: &str) -> ExitCode {
    written(anstream::stderr(), text)
}

fn written(mut stream: impl std::io::Write, text: &str) -> ExitCode {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_a_plain_yes_is_one() {
        for (answer, expected) in
            [("y\n", true), ("yes\n", true), ("\n", false), ("", false), ("no\n", false), ("yep\n", false)]
        {
            assert_eq!(confirmed("Sure?", &mut answer.as_bytes()).unwrap(), expected, "{answer:?}");
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        fn look(command: &clap::Command, line: &str) {
            for command in command.get_subcommands() {
                let line = format!("{line} {}", command.get_name());
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&format!("Example: {line}")), "{line}");
                assert!(command.get_about().is_some(), "{line}");
                look(command, &line);
            }
        }
        look(&Cli::command(), "vidgate");
    }
}
