//! `vidgate check`: every problem of a configuration at once, on standard error; what it amounts to on standard output.

use std::path::Path;
use std::process::ExitCode;

use super::{complain, print};
use crate::config::{self, Loaded};
use crate::store::Purpose;

/// Says everything that is wrong with a configuration.
pub(super) fn run(config: &Path) -> ExitCode {
    match config::load(config, Purpose::Look) {
        Ok(loaded) => {
            // The line that counts them is the one below.
            complain(&loaded.warnings.draw(true));
            print(&format!("{}: {}\n", config.display(), amounts_to(&loaded)))
        }
        Err(report) => {
            complain(&report.render(true));
            ExitCode::FAILURE
        }
    }
}

/// What a configuration that is good amounts to.
fn amounts_to(loaded: &Loaded) -> String {
    let (world, warnings) = (&loaded.world, loaded.warnings.warnings());
    let mut parts = vec![
        counted(world.listeners.len(), "listener"),
        counted(world.upstreams.len(), "upstream"),
        counted(world.routes.len(), "route"),
    ];
    if warnings > 0 {
        parts.push(counted(warnings, "warning"));
    }
    format!("good: {}", parts.join(", "))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_it_amounts_to_and_how_many_warnings_there_are() {
        for (file, expected) in [
            ("config/minimal.toml", "good: 1 listener, 1 upstream, 1 route"),
            ("tests/fixtures/valid/plain.toml", "good: 1 listener, 1 upstream, 1 route, 1 warning"),
            ("tests/fixtures/unwise/limits.toml", "good: 1 listener, 1 upstream, 1 route, 4 warnings"),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let loaded = config::load(&path, Purpose::Look).unwrap();
            assert_eq!(amounts_to(&loaded), expected);
            let drawn = loaded.warnings.draw(false);
            assert!(!drawn.contains(".toml: "), "they are counted once: {drawn}");
        }
    }
}
