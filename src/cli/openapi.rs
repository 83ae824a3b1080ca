//! `vidgate openapi`.

use std::process::ExitCode;

/// Prints the OpenAPI document of the admin API.
pub(super) fn run() -> ExitCode {
    super::print(&format!("{:#}\n", crate::admin::openapi()))
}
