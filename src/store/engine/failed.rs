//! What can go wrong with the store's file, in plain sentences: while it is opened, and while it is in use.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};

/// Why a store was not opened or made. The file is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// There is no such file.
    #[error("there is no store here")]
    Missing,
    /// Another process has the file open.
    #[error("another vidgate has this store open")]
    Busy,
    /// A later version of vidgate wrote the file.
    #[error("the store has format {found}, and this vidgate knows formats up to {known}")]
    Newer {
        /// The format on file.
        found: u32,
        /// The latest format known here.
        known: u32,
    },
    /// The content is not what was once written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A store was to be made where there is a file already.
    #[error("there is a file here already")]
    Exists,
    /// The operating system refused.
    #[error("the store cannot be read: {0}")]
    Io(io::Error),
}

/// Why the open store did not answer, or did not take a change. A change that failed is not in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// The file may only be read, or was opened only to be looked at.
    #[error("the store can only be read")]
    ReadOnly,
    /// No room is left, or the quota of the file system is used up.
    #[error("the store's disk is full")]
    NoSpace,
    /// The disk or the operating system refused.
    #[error("the store's disk failed: {0}")]
    Io(String),
    /// The content is not what was once written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

impl From<&io::Error> for Failed {
    fn from(error: &io::Error) -> Self {
        if is_content(error) {
            return Self::Corrupt(error.to_string());
        }
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::NoSpace;
        }
        if error.kind() == ErrorKind::ReadOnlyFilesystem {
            return Self::ReadOnly;
        }
        Self::Io(error.to_string())
    }
}

impl From<redb::Error> for Failed {
    fn from(error: redb::Error) -> Self {
        if let redb::Error::Io(io) = &error {
            return Self::from(io);
        }
        let latched =
            matches!(error, redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_));
        if latched { Self::Io(error.to_string()) } else { Self::Corrupt(error.to_string()) }
    }
}

impl From<redb::Error> for Unopened {
    fn from(error: redb::Error) -> Self {
        Failed::from(error).into()
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        if is_content(&error) { Self::Corrupt(error.to_string()) } else { Self::Io(error) }
    }
}

impl From<Failed> for Unopened {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Corrupt(why) => Self::Corrupt(why),
            Failed::ReadOnly => Self::Io(ErrorKind::ReadOnlyFilesystem.into()),
            Failed::NoSpace => Self::Io(ErrorKind::StorageFull.into()),
            Failed::Io(why) => Self::Io(io::Error::other(why)),
        }
    }
}

/// Calls into redb, which panics on some damaged files: such a panic becomes [`Failed::Corrupt`].
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Failed> {
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Failed::Corrupt(text_of(&*panic)))
}

/// As [`guarded`], for calls that also report errors.
pub(super) fn attempt<T, E: Into<redb::Error>>(call: impl FnOnce() -> Result<T, E>) -> Result<T, Failed> {
    guarded(call)?.map_err(|error| Failed::from(error.into()))
}

/// A file that is too short, or whose head is another's, is an I/O error to redb and damage to us.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a page makes no sense").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_says_becomes_what_an_operator_can_act_on() {
        // ENOSPC, EDQUOT, EROFS and EIO on Linux.
        let said = [(28, Failed::NoSpace), (122, Failed::NoSpace), (30, Failed::ReadOnly)];
        for (number, failed) in said {
            assert_eq!(Failed::from(&io::Error::from_raw_os_error(number)), failed);
        }
        assert!(matches!(Failed::from(&io::Error::from_raw_os_error(5)), Failed::Io(_)));
        assert!(matches!(Failed::from(&io::Error::from(ErrorKind::UnexpectedEof)), Failed::Corrupt(_)));
        assert!(matches!(Failed::from(redb::Error::PreviousIo), Failed::Io(_)));
    }

    #[test]
    fn a_panic_becomes_damage_with_its_text() {
        assert_eq!(guarded(|| -> u8 { panic!("page {}", 7) }), Err(Failed::Corrupt("page 7".to_owned())));
    }
}
