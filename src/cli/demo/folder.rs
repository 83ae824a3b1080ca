//! The temporary folder of the demo: for its owner's eyes alone, and gone when it is dropped.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder(TempDir);

impl Folder {
    /// Makes it, in the place that the system keeps for such folders.
    pub(super) fn create() -> io::Result<Self> {
        let mode = Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix("vidgate-demo-").permissions(mode).tempdir().map(Self)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that only its owner may read; says where it is.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        // The mode is given on creation: set afterwards, there would be a moment in which others could open it.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_owner_may_look_and_nothing_stays_behind() {
        let folder = Folder::create().unwrap();
        let file = folder.write("a.key", "secret").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&file)), (0o700, 0o600));
        assert!(folder.write("a.key", "another").is_err());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
