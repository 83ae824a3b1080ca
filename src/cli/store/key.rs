//! `vidgate store key`.

use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::store::MasterKey;

/// Prints a new master key.
pub(super) fn run() -> ExitCode {
    let text = MasterKey::random().to_text();
    let line = Zeroizing::new(format!("{}\n", String::from_utf8_lossy(text.expose())));
    crate::cli::print(&line)
}
