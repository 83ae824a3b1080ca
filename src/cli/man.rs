//! `vidgate man`: manual pages, one a command. Made from the table of commands, so that they say what `--help` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{complain, print};

/// Which pages.
#[derive(Args, Debug)]
pub(super) struct Pages {
    /// The folder for the pages of all commands, made where there is none. Default: the first page, on standard output.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Pages {
    /// Prints the first one, or writes all.
    pub(super) fn run(&self) -> ExitCode {
        let Some(folder) = &self.folder else {
            let first = pages().pop().expect("the program itself has a page");
            return print(&first.text);
        };
        match write(folder) {
            Ok(count) => print(&format!("{count} pages in {}\n", folder.display())),
            Err(error) => {
                complain(&format!("vidgate: the pages cannot be written to `{}`: {error}\n", folder.display()));
                ExitCode::FAILURE
            }
        }
    }
}

fn write(folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let pages = pages();
    for Page { name, text } in &pages {
        fs::write(folder.join(format!("{name}.1")), text)?;
    }
    Ok(pages.len())
}

/// A manual page.
struct Page {
    /// `vidgate-store-init`.
    name: String,
    text: String,
}

/// All of them, that of the program last.
fn pages() -> Vec<Page> {
    // There is `--help` everywhere, and a page for each command in the place of `help`.
    let mut program = super::Cli::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(&program, None, &mut pages);
    pages
}

fn add(command: &Command, above: Option<&str>, pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        add(below, Some(name), pages);
    }
    let text = page(command, above).expect("memory takes what is written to it");
    pages.push(Page { name: name.to_owned(), text: String::from_utf8(text).expect("what is made of text is text") });
}

/// Its sections, in the order of man-pages(7).
fn page(command: &Command, above: Option<&str>) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    // Without a date, which would be another for each build; its place is kept, which `Man` does not do.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let title = format!(".TH {name} 1 \"\" \"vidgate {}\" \"vidgate manual\"\n", env!("CARGO_PKG_VERSION"));
    let mut page = title.into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(more) = command.get_after_help() {
        example(&more.to_string(), &mut rest);
    }
    match above {
        None => of_the_program(&mut rest),
        Some(above) => {
            rest.control("SH", ["SEE ALSO"]).text([bold(above), roman("(1)")]);
        }
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// What stands below the options: one command line, and perhaps more to say.
fn example(more: &str, roff: &mut Roff) {
    let (line, notes) = more.split_once("\n\n").unwrap_or((more, ""));
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
        roff.text([roman(notes)]);
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("EX", []).text([roman(line.trim_start_matches("Example: "))]).control("EE", []);
}

/// What is to be known of the program as a whole.
const OF_THE_PROGRAM: [(&str, &[(&str, &str)]); 4] = [
    (
        "EXIT STATUS",
        &[
            ("0", "What was asked for was done."),
            ("1", "It was not, and standard error says why."),
            ("2", "The command line was not understood."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("NO_COLOR", "Where it is set, nothing is coloured."),
            (
                "LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC",
                "What systemd hands over: sockets that outlive a restart, found by the names of listeners; where it wants to hear how the service stands; and how often.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            (
                "/etc/vidgate/vidgate.toml",
                "The configuration of the service. Commands read ./vidgate.toml unless --config says otherwise.",
            ),
            ("/var/lib/vidgate", "Where the service may keep its store."),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGHUP", "vidgate serve reads its configuration anew. With a mistake in it, everything stays as it was."),
            (
                "SIGTERM, SIGINT",
                "It goes on for as long as lame_duck says, then takes in nobody any more, finishes what is in flight, and ends. A second one ends it at once.",
            ),
        ],
    ),
];

fn of_the_program(roff: &mut Roff) {
    for (section, entries) in OF_THE_PROGRAM {
        roff.control("SH", [section]);
        for (term, meaning) in entries {
            roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(command: &Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }

    #[test]
    fn every_command_has_a_page_with_its_example() {
        let pages = pages();
        assert_eq!(pages.len(), count(&super::super::Cli::command()));
        for Page { name, text } in &pages {
            assert!(text.contains(&format!(".TH {name} 1 \"\" \"vidgate ")), "{name}: {text}");
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
                assert!(text.contains(&format!(".SH {section}\n")), "{name}: {section}");
            }
        }
        assert_eq!(pages.last().unwrap().name, "vidgate");
    }

    #[test]
    fn they_are_written_into_a_folder_that_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("share/man1");
        assert_eq!(write(&folder).unwrap(), fs::read_dir(&folder).unwrap().count());
        let text = fs::read_to_string(folder.join("vidgate-store-init.1")).unwrap();
        assert!(text.contains(".SH \"SEE ALSO\"\n") && text.contains("vidgate store init"), "{text}");
    }
}
