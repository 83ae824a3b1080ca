//! `vidgate store init`: the only place where a store and its master key come to be. Nothing that exists is touched, and
//! what was begun is taken back when it cannot be finished.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::{complain, print};
use crate::config::{self, PUT_BACK, Report, Unmade};
use crate::store::{MasterKey, Store, Unopened};

/// Makes what the configuration names, and says what was made.
pub(super) fn run(config: &Path) -> ExitCode {
    match config::unmade_store(config) {
        Err(report) => refuse(&report.render(true)),
        Ok((unmade, warnings)) => {
            if !warnings.is_empty() {
                complain(&(warnings.render(true) + "\n"));
            }
            match make(&unmade) {
                Ok(()) => print(&told(&unmade)),
                Err(unmade) => refuse(&format!("vidgate: {unmade}\n")),
            }
        }
    }
}

fn refuse(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NotMade {
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(Report),
    /// The file of the master key.
    #[error("the master key `{}` cannot be written: {}", .0.display(), plain(.1))]
    Key(PathBuf, io::Error),
    /// The master key of a store that is there.
    #[error("the store `{}` is there, and its master key `{}` is not; nothing was made: {PUT_BACK}", .0.display(), .1.display())]
    Keyless(PathBuf, PathBuf),
    /// The store.
    #[error("the store `{}` cannot be made: {}{}", .0.display(), .1, remedy(.1))]
    Store(PathBuf, Unopened),
}

fn plain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound { "there is no such folder".to_owned() } else { error.to_string() }
}

fn remedy(unopened: &Unopened) -> String {
    unopened.remedy().map_or_else(String::new, |remedy| format!("; {remedy}"))
}

/// Makes what the file at `config` names, for callers inside the house.
pub(in crate::cli) fn make_for(config: &Path) -> Result<(), NotMade> {
    let (unmade, _) = config::unmade_store(config).map_err(NotMade::Configuration)?;
    make(&unmade)
}

fn make(unmade: &Unmade) -> Result<(), NotMade> {
    let path = &unmade.settings.path;
    match (&unmade.key, &unmade.key_file) {
        (None, Some(file)) => {
            // Before a key is made: one that nothing is sealed with would be kept for nothing.
            if path.exists() || path.is_symlink() {
                return Err(NotMade::Keyless(path.clone(), file.clone()));
            }
            let key = MasterKey::random();
            write_key(file, &key).map_err(|error| NotMade::Key(file.clone(), error))?;
            create(unmade, &key).inspect_err(|_| {
                // It was made a moment ago, and nothing is sealed with it.
                let _ = fs::remove_file(file);
            })
        }
        (Some(key), _) => create(unmade, key),
        (None, None) => unreachable!("a key that is not in a file was read from the environment"),
    }
}

fn create(unmade: &Unmade, key: &MasterKey) -> Result<(), NotMade> {
    Store::create(&unmade.settings, key).map_err(|error| NotMade::Store(unmade.settings.path.clone(), error))
}

/// Lays the key down where there is nothing, for its owner's eyes alone, and safe on disk before anything is sealed
/// with it.
fn write_key(path: &Path, key: &MasterKey) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(key.to_text().expose()).and_then(|()| file.write_all(b"\n"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    written.and_then(|()| file.sync_all()).and_then(|()| File::open(folder)?.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn told(unmade: &Unmade) -> String {
    let store = unmade.settings.path.display();
    let key = match (&unmade.key_file, &unmade.key) {
        (Some(file), None) => format!("made the master key  {}  (only its owner may read it)\n", file.display()),
        (Some(file), Some(_)) => format!("used the master key  {}\n", file.display()),
        (None, _) => "used the master key from the environment\n".to_owned(),
    };
    format!(
        "{key}made the store       {store}\n\n\
         Keep a copy of the master key, apart from the store: without it nobody can read the store or a backup of it,\n\
         and whoever has both can read all of it. Back the store up while it lives with: vidgate backup FILE\n"
    )
}

#[cfg(test)]
mod tests;
