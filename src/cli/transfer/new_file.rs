//! A file that is there whole or not at all: written beside its place under another name, readable by its owner alone,
//! and put there when everything is on the disk. What lies there already is never replaced.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::operator::Trouble;

/// A file on its way to its place.
#[derive(Debug)]
pub(in crate::cli) struct NewFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl NewFile {
    /// Begins a file that will lie at `path`.
    pub(in crate::cli) fn begin(path: &Path) -> Result<Self, Trouble> {
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        let file = NamedTempFile::new_in(folder(path)).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Puts it in its place, once it is on the disk.
    pub(in crate::cli) fn finish(self) -> Result<(), Trouble> {
        let Self { path, file } = self;
        file.as_file().sync_all().map_err(|error| unwritable(&path, &error))?;
        file.persist_noclobber(&path).map_err(|failed| {
            if failed.error.kind() == io::ErrorKind::AlreadyExists {
                taken(&path)
            } else {
                unwritable(&path, &failed.error)
            }
        })?;
        // The name is on the disk when its folder is.
        File::open(folder(&path)).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(&path, &error))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn taken(path: &Path) -> Trouble {
    Trouble::plain(format!("`{}` is there already, and is not replaced", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> Trouble {
    Trouble::plain(format!("cannot write `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_appears_whole_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let mut file = NewFile::begin(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_breaks_off_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = NewFile::begin(&folder.path().join("backup")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let begun = NewFile::begin(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(begun.finish().is_err());
        assert!(NewFile::begin(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(NewFile::begin(Path::new("/no/such/folder/backup")).is_err());
    }
}
