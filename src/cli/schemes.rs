//! `vidgate schemes`: the registry as a table; without lines where a program reads it.

use std::io::IsTerminal;
use std::process::ExitCode;

use comfy_table::{Table, presets};

use crate::scheme::KINDS;

/// Lists the ways in which a caller can prove who they are.
pub(super) fn run() -> ExitCode {
    let table = listing(std::io::stdout().is_terminal());
    super::print(&(table.trim_fmt() + "\n"))
}

fn listing(drawn: bool) -> Table {
    let mut table = Table::new();
    table.load_style(if drawn { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    table.set_header(["kind", "credential", "about"]);
    for entry in KINDS {
        table.add_row([entry.kind, entry.wire, entry.about]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row_of_its_own() {
        let text = listing(false).trim_fmt();
        for entry in KINDS {
            let rows = text.lines().filter(|line| line.trim_start().starts_with(&format!("{} ", entry.kind)));
            assert_eq!(rows.count(), 1, "{}", entry.kind);
        }
        assert!(!text.contains('│'));
    }
}
