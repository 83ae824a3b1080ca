//! The file of the store: who may have it, how it comes to be, and how its bytes are read and written by position.
//! What the bytes mean is known to redb, and which of them may be written is decided by the layer above.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::StorageBackend;

use super::Access;
use super::failed::Unopened;

/// How long a lock is waited for: so many times so long.
const MOMENTS: u32 = 20;
const MOMENT: Duration = Duration::from_millis(10);

/// A file under lock. The lock is the kernel's and goes with the last handle, also when the process is killed.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: File,
}

impl LockedFile {
    /// Opens `path`; the answer says whether it may be written. One process may have it for writing, or several for
    /// reading.
    pub(super) fn open(path: &Path, access: Access) -> Result<(Self, bool), Unopened> {
        let writable = match access {
            Access::Look => Err(ErrorKind::PermissionDenied.into()),
            Access::Serve => OpenOptions::new().read(true).write(true).open(path),
        };
        let (file, writable) = match writable {
            Ok(file) => (file, true),
            Err(error) if may_still_be_read(&error) => (File::open(path).map_err(missing)?, false),
            Err(error) => return Err(missing(error)),
        };
        let lock = || if writable { file.try_lock() } else { file.try_lock_shared() };
        // A process that this one has just forked shares its locks until it runs another program: whoever closes a store
        // and opens it again may have to wait for that moment to pass.
        let mut taken = lock();
        for _ in 0..MOMENTS {
            if !matches!(taken, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(MOMENT);
            taken = lock();
        }
        taken.map_err(busy)?;
        Ok((Self { file }, writable))
    }

    fn make(path: &Path) -> Result<Self, Unopened> {
        Self::take_over(Self::begin(path)?, path)
    }

    fn begin(path: &Path) -> Result<File, Unopened> {
        Ok(OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?)
    }

    fn take_over(file: File, path: &Path) -> Result<Self, Unopened> {
        file.try_lock().map_err(busy)?;
        // Whoever had the lock a moment ago may have finished the file and put it in its place: it is theirs.
        let (locked, named) = (file.metadata()?, fs::symlink_metadata(path));
        if !named.is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino())) {
            return Err(Unopened::Busy);
        }
        // Left behind by a process that died while it made a store.
        file.set_len(0)?;
        // Also when the umask is odd, or the file that was left behind had been given away.
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(Self { file })
    }
}

/// Makes a store at `path` by `fill`, wholly or not at all: it is filled under another name, and renamed when it is
/// safe on disk.
pub(super) fn create<T>(path: &Path, fill: impl FnOnce(LockedFile) -> Result<T, Unopened>) -> Result<T, Unopened> {
    refuse_existing(path)?;
    let unfinished = unfinished(path)?;
    let locked = LockedFile::make(&unfinished)?;
    // Whoever renames holds the lock of the unfinished file, so what is not here now will not come from another vidgate.
    let made = refuse_existing(path).and_then(|()| fill(locked)).and_then(|filled| {
        fs::rename(&unfinished, path)?;
        sync_folder(path)?;
        Ok(filled)
    });
    if made.is_err() {
        // The error that matters is the one before; what stays behind is emptied by the next attempt.
        let _ = fs::remove_file(&unfinished);
    }
    made
}

fn unfinished(path: &Path) -> Result<PathBuf, Unopened> {
    let mut name = path.file_name().ok_or_else(|| io::Error::from(ErrorKind::IsADirectory))?.to_owned();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn refuse_existing(path: &Path) -> Result<(), Unopened> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Unopened::Exists),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A new name is safe only when the folder that holds it is.
pub(in crate::store) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn may_still_be_read(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

fn missing(error: io::Error) -> Unopened {
    if error.kind() == ErrorKind::NotFound { Unopened::Missing } else { error.into() }
}

fn busy(error: TryLockError) -> Unopened {
    match error {
        TryLockError::WouldBlock => Unopened::Busy,
        TryLockError::Error(error) => error.into(),
    }
}

impl StorageBackend for LockedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_be_written_is_opened_for_reading() {
        // The super-user may write everything, so the modes of a file prove nothing where tests run as root.
        let answers = [(libc_error(13), true), (libc_error(30), true), (libc_error(2), false), (libc_error(5), false)];
        for (error, may) in answers {
            assert_eq!(may_still_be_read(&error), may, "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fs::write(&path, "content").unwrap();
        let (looking, writable) = LockedFile::open(&path, Access::Look).unwrap();
        assert!(!writable && looking.write(0, b"x").is_err() && looking.set_len(0).is_err());
        assert!(LockedFile::open(&path, Access::Serve).is_err_and(|refused| matches!(refused, Unopened::Busy)));
    }

    #[test]
    fn a_file_that_somebody_else_has_finished_meanwhile_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (path, unfinished) = (folder.path().join("store"), folder.path().join("store.new"));
        let begun = LockedFile::begin(&unfinished).unwrap();
        // Between opening it and having its lock, the other one is done.
        fs::write(&unfinished, "whole").unwrap();
        fs::rename(&unfinished, &path).unwrap();
        assert!(matches!(LockedFile::take_over(begun, &unfinished), Err(Unopened::Busy)));
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    /// EACCES is 13, EROFS 30, ENOENT 2 and EIO 5 on Linux.
    fn libc_error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }
}
