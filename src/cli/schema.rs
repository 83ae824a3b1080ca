//! `vidgate schema`.

use std::process::ExitCode;

/// Prints the JSON schema of the configuration.
pub(super) fn run() -> ExitCode {
    super::print(&format!("{:#}\n", crate::config::schema()))
}
