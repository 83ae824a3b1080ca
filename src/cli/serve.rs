//! `vidgate serve`.

use std::path::Path;
use std::process::ExitCode;

use super::complain;
use crate::run::{self, Failure};

/// Serves requests until told to stop.
pub(super) fn run(config: &Path) -> ExitCode {
    match run::serve(config) {
        Ok(code) => code,
        Err(failure) => {
            complain(&match failure {
                Failure::Configuration(report) => report.render(true),
                Failure::Start(error) => format!("vidgate: cannot start: {error}\n"),
            });
            ExitCode::FAILURE
        }
    }
}
