//! What was read from files and is read anew when they change, beneath readers who never wait. A new reading that fails
//! changes nothing: what was read before stays, and the log has the reason, once.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::clock::Clock;

/// Something that was read from files.
pub struct Kept<T> {
    name: Box<str>,
    files: Vec<PathBuf>,
    read: Box<Read<T>>,
    present: ArcSwap<T>,
    successor: OnceLock<Arc<Self>>,
    watch: Mutex<Watch>,
}

type Read<T> = dyn Fn(&Clock) -> Result<T, String> + Send + Sync;

/// What the last reading found.
#[derive(Default)]
struct Watch {
    stamps: Vec<Option<Stamp>>,
    failure: Option<String>,
}

/// What tells two states of a file apart without reading it: device, inode, size, and the times of the last change to its
/// content and to what is noted of it. Links are followed, so that one that points elsewhere counts as a change.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([u64; 3], [i64; 4]);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let noted = fs::metadata(path).ok()?;
        let times = [noted.mtime(), noted.mtime_nsec(), noted.ctime(), noted.ctime_nsec()];
        Some(Self([noted.dev(), noted.ino(), noted.size()], times))
    }
}

/// What became of a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was to be read.
    pub name: Box<str>,
    /// Why what was read before stays. Never holds a secret.
    pub result: Result<(), String>,
}

/// Anything that is [`Kept`].
pub trait Renew: fmt::Debug + Send + Sync {
    /// Reads it anew where a file has changed or the last reading failed, or `even_unchanged`. `None`: there was no need.
    /// Waits for the disk.
    fn renew(&self, clock: &Clock, even_unchanged: bool) -> Option<Outcome>;
}

impl<T> Kept<T> {
    /// Reads it for the first time with `first`, and from then on with `again`, whose errors are plain sentences that name
    /// the file. What is in `files` is looked at for changes.
    pub fn open<E>(
        name: &str,
        files: Vec<PathBuf>,
        first: impl FnOnce() -> Result<T, E>,
        again: impl Fn(&Clock) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before it is read: what changes meanwhile is seen by the next look.
        let watch = Watch { stamps: stamps(&files), failure: None };
        Ok(Self {
            name: name.into(),
            files,
            present: ArcSwap::from_pointee(first()?),
            read: Box::new(again),
            successor: OnceLock::new(),
            watch: Mutex::new(watch),
        })
    }

    /// What was read last.
    pub fn present(&self) -> Guard<Arc<T>> {
        let mut kept = self;
        while let Some(successor) = kept.successor.get() {
            kept = successor;
        }
        kept.present.load()
    }

    /// What it is called in the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on `other` stands in its place, also for whoever holds this one: the settings themselves were read anew.
    /// Only the first successor counts, and nothing succeeds itself.
    pub fn succeed(self: &Arc<Self>, other: &Arc<Self>) {
        if !Arc::ptr_eq(self, other) {
            self.successor.get_or_init(|| Arc::clone(other));
        }
    }

    /// Makes something else of what was read.
    pub fn adjust(&self, change: impl FnOnce(&T) -> T) {
        let changed = change(&self.present.load());
        self.present.store(Arc::new(changed));
    }
}

impl<T: Send + Sync> Renew for Kept<T> {
    fn renew(&self, clock: &Clock, even_unchanged: bool) -> Option<Outcome> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        // A failure may have a cause that no stamp shows.
        if stamps == watch.stamps && watch.failure.is_none() && !even_unchanged {
            return None;
        }
        watch.stamps = stamps;
        let result = (self.read)(clock).map(|read| self.present.store(Arc::new(read)));
        match &result {
            Ok(()) => tracing::info!(what = %self.name, "read anew"),
            Err(reason) if watch.failure.as_ref() != Some(reason) => {
                tracing::error!(what = %self.name, %reason, "could not be read anew: what was read before stays");
            }
            Err(_) => {}
        }
        watch.failure = result.as_ref().err().cloned();
        Some(Outcome { name: self.name.clone(), result })
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("name", &self.name).field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|path| Stamp::of(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A number in a file.
    fn kept(path: &Path) -> Kept<u32> {
        let own = path.to_owned();
        let read = move || {
            let text = fs::read_to_string(&own).map_err(|error| error.to_string())?;
            text.parse().map_err(|_| format!("`{text}` is no number"))
        };
        Kept::open("number", vec![path.to_owned()], read.clone(), move |_| read()).unwrap()
    }

    #[test]
    fn a_file_that_changed_is_read_anew_and_one_that_did_not_only_when_asked() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let (kept, clock) = (kept(&path), Clock::system());
        let read = || Some(Outcome { name: "number".into(), result: Ok(()) });
        assert_eq!(kept.renew(&clock, false), None);
        assert_eq!(kept.renew(&clock, true), read());
        fs::write(&path, "22").unwrap();
        assert_eq!((kept.renew(&clock, false), **kept.present()), (read(), 22));
        assert_eq!(kept.renew(&clock, false), None);
    }

    #[test]
    fn a_link_that_points_elsewhere_is_a_change() {
        let folder = TempDir::new().unwrap();
        for (name, text) in [("one", "1"), ("two", "2")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("number"), text).unwrap();
        }
        // As Kubernetes mounts secrets: the file is a link through a link to the folder of the present version.
        symlink("one", folder.path().join("..data")).unwrap();
        symlink("..data/number", folder.path().join("number")).unwrap();
        let (kept, clock) = (kept(&folder.path().join("number")), Clock::system());
        symlink("two", folder.path().join("..next")).unwrap();
        fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
        assert!(kept.renew(&clock, false).is_some());
        assert_eq!(**kept.present(), 2);
    }

    #[test]
    fn a_reading_that_fails_changes_nothing_and_is_tried_again() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let (kept, clock) = (kept(&path), Clock::system());
        fs::write(&path, "one").unwrap();
        for _ in 0..2 {
            let outcome = kept.renew(&clock, false).expect("it is tried");
            assert_eq!((outcome.result, **kept.present()), (Err("`one` is no number".into()), 1));
        }
        fs::remove_file(&path).unwrap();
        assert!(kept.renew(&clock, false).is_some_and(|outcome| outcome.result.is_err()));
        fs::write(&path, "3").unwrap();
        assert_eq!(kept.renew(&clock, false).map(|outcome| outcome.result), Some(Ok(())));
        assert_eq!((kept.renew(&clock, false), **kept.present()), (None, 3));
    }

    #[test]
    fn whoever_holds_the_old_one_is_told_by_the_one_that_stands_in_its_place() {
        let folder = TempDir::new().unwrap();
        let number = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            Arc::new(kept(&folder.path().join(name)))
        };
        let [first, second, third] = [number("1", "1"), number("2", "2"), number("3", "3")];
        first.succeed(&first);
        assert_eq!(**first.present(), 1);
        first.succeed(&second);
        second.succeed(&third);
        assert_eq!(**first.present(), 3);
        fs::write(folder.path().join("3"), "33").unwrap();
        third.renew(&Clock::system(), false);
        assert_eq!(**first.present(), 33);
    }
}
