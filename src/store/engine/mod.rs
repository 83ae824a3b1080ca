//! The engine of the embedded store: one redb database in one locked file, opened without touching it, changed only by
//! commits that are safe on disk, and reopened by itself when the disk has failed. It knows tables, transactions and
//! formats; what an entry is, is not known here.

mod backend;
#[cfg(test)]
pub(super) mod disk;
mod failed;
mod migrate;
mod overlay;
#[cfg(test)]
mod power_cut;

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use self::backend::LockedFile;
use self::failed::{attempt, guarded};
use self::migrate::Migration;
use self::overlay::{Face, Ground, Layer};

pub(super) use self::backend::sync_folder;
pub(crate) use self::failed::Failed;
pub(super) use self::failed::Unopened;
pub(super) use self::migrate::set_format;

/// The format in which stores are written.
pub(super) fn known_format() -> u32 {
    migrate::known(migrate::MIGRATIONS)
}

/// How an engine is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Bytes of the file kept in memory.
    pub(super) cache: usize,
    /// Whether opening reads the whole file and compares all checksums. Without it a file with a flipped bit may open,
    /// and redb may take a page in use for a free one.
    pub(super) verify: bool,
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// To read and change it; a file that may only be read is opened all the same, and every change is refused.
    Serve,
    /// To look at it, alone or with others who look: the file is never written.
    Look,
}

/// The store's database; readers and one writer at a time share it.
#[derive(Debug)]
pub(super) struct Engine {
    ground: Arc<Ground>,
    settings: Settings,
    migrations: &'static [Migration],
    writable: bool,
    trusted: AtomicBool,
    current: RwLock<Arc<Opened>>,
    writing: Mutex<()>,
    reopening: Mutex<()>,
}

/// The database, opened once; a failure of the disk ends it.
#[derive(Debug)]
struct Opened {
    database: Option<Database>,
    layer: Arc<Layer>,
}

/// The content at one moment, for as long as it is held: for a backup or a long listing. It survives a failure of the
/// disk and the reopening after it. What it finds on file is not guarded against panics as [`Engine::read`] is.
pub(super) struct Snapshot {
    look: Option<ReadTransaction>,
    opened: Arc<Opened>,
}

impl Engine {
    /// Makes a store at `path`, filled by `first`. It is there wholly or not at all.
    pub(super) fn create(
        path: &Path,
        settings: Settings,
        first: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, Unopened> {
        backend::create(path, |file| Self::create_on(Box::new(file), settings, migrate::MIGRATIONS, first))
    }

    /// Opens the store at `path`. Nothing is written to the file before [`Engine::trust`].
    pub(super) fn open(path: &Path, settings: Settings, access: Access) -> Result<Self, Unopened> {
        let (file, writable) = LockedFile::open(path, access)?;
        Self::on(Box::new(file), settings, writable, migrate::MIGRATIONS)
    }

    fn create_on(
        raw: Box<dyn StorageBackend>,
        settings: Settings,
        migrations: &'static [Migration],
        first: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, Unopened> {
        let ground = Ground::new(raw);
        let opened = Opened::on(Layer::through(&ground)?, settings.cache, false)?;
        let engine = Self::with(ground, opened, settings, true, migrations);
        engine.trusted.store(true, Ordering::Release);
        engine.transact(|change| {
            migrate::set_format(change, migrate::known(migrations))?;
            first(change)
        })??;
        Ok(engine)
    }

    /// Opens the store in `raw`, which nobody else may have open.
    fn on(
        raw: Box<dyn StorageBackend>,
        settings: Settings,
        writable: bool,
        migrations: &'static [Migration],
    ) -> Result<Self, Unopened> {
        let ground = Ground::new(raw);
        // redb would make a new database of it.
        if ground.is_empty()? {
            return Err(Unopened::Corrupt("the file is empty".to_owned()));
        }
        let layer = if writable { Layer::held(&ground)? } else { Layer::apart(&ground)? };
        let opened = Opened::on(layer, settings.cache, settings.verify)?;
        let engine = Self::with(ground, opened, settings, writable, migrations);
        let (found, known) = (engine.format()?, migrate::known(migrations));
        if found > known {
            return Err(Unopened::Newer { found, known });
        }
        Ok(engine)
    }

    fn with(
        ground: Arc<Ground>,
        opened: Opened,
        settings: Settings,
        writable: bool,
        migrations: &'static [Migration],
    ) -> Self {
        Self {
            ground,
            settings,
            migrations,
            writable,
            trusted: AtomicBool::new(false),
            current: RwLock::new(Arc::new(opened)),
            writing: Mutex::new(()),
            reopening: Mutex::new(()),
        }
    }

    /// The format in which the content is now: an older one only before [`Engine::trust`].
    pub(super) fn format(&self) -> Result<u32, Failed> {
        self.read(migrate::format)?.ok_or_else(|| Failed::Corrupt("it has no format".to_owned()))
    }

    /// Whether changes are refused for good.
    pub(super) fn is_read_only(&self) -> bool {
        !self.writable
    }

    /// Says that the content was found good: from here on the file is written, and brought to the present format first.
    /// A store that can only be read is brought there in memory.
    ///
    /// When the disk refuses, the content stays readable in the format it has, and the next change tries again.
    pub(super) fn trust(&self) -> Result<(), Failed> {
        self.trusted.store(true, Ordering::Release);
        let _turn = self.turn();
        self.prepare()
    }

    /// Answers from the content as it is now.
    pub(super) fn read<T>(&self, look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, Failed> {
        let snapshot = self.snapshot()?;
        // After a panic the locks of redb may be poisoned, so the next caller gets a database opened anew.
        let seen = guarded(|| look(&snapshot)).inspect_err(|failed| snapshot.opened.layer.fail(failed.clone()))?;
        seen.map_err(Failed::from)
    }

    /// The content as it is now, to be read at leisure.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Failed> {
        let mut tries = 0;
        loop {
            let opened = self.current()?;
            let look =
                attempt(|| opened.database().begin_read()).inspect_err(|failed| opened.layer.fail(failed.clone()));
            // When the disk has failed in between, what was just begun may hold a change that is not safe on disk.
            if opened.layer.failure().is_none() || tries == 3 {
                return Ok(Snapshot { look: Some(look?), opened });
            }
            tries += 1;
        }
    }

    /// Makes one change: when `change` answers `Ok`, and the answer here is `Ok` too, it is safe on disk; in every other
    /// case nothing of it is in the store.
    pub(super) fn write<T, E>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, E>,
    ) -> Result<Result<T, E>, Failed> {
        if !self.writable || !self.trusted.load(Ordering::Acquire) {
            return Err(Failed::ReadOnly);
        }
        let _turn = self.turn();
        self.prepare()?;
        self.transact(change)
    }

    /// Lets held writes through, and brings the content to the present format.
    fn prepare(&self) -> Result<(), Failed> {
        let opened = self.current()?;
        self.let_through(&opened)?;
        opened.migrate(self.migrations)
    }

    fn let_through(&self, opened: &Opened) -> Result<(), Failed> {
        if !self.trusted.load(Ordering::Acquire) {
            return Ok(());
        }
        opened.layer.let_through().map_err(|error| Failed::from(&error))
    }

    fn transact<T, E>(&self, change: impl FnOnce(&WriteTransaction) -> Result<T, E>) -> Result<Result<T, E>, Failed> {
        let opened = self.current()?;
        let transaction =
            attempt(|| begin(opened.database())).inspect_err(|failed| opened.layer.fail(failed.clone()))?;
        let outcome = guarded(|| change(&transaction));
        let done = match outcome {
            Ok(Ok(done)) => done,
            refused => {
                let aborted = attempt(|| transaction.abort()).err();
                if let Some(failed) = refused.as_ref().err().or(aborted.as_ref()) {
                    opened.layer.fail(failed.clone());
                }
                // What `change` says of a disk that fails under it is not worth more than the failure itself.
                return opened.layer.failure().map_or(refused, |failed| Err(failed.clone()));
            }
        };
        let counted = attempt(|| migrate::count(&transaction));
        let committed = match &counted {
            Ok(_) => attempt(|| transaction.commit()),
            Err(failed) => guarded(|| drop(transaction)).and(Err(failed.clone())),
        };
        if let Err(failed) = &committed {
            opened.layer.fail(failed.clone());
        }
        let Some(failed) = opened.layer.failure() else { return Ok(Ok(done)) };
        if counted.is_ok_and(|number| self.has_taken(number)) { Ok(Ok(done)) } else { Err(failed.clone()) }
    }

    /// Whether the change with this number is safe on disk, asked after a failure.
    fn has_taken(&self, number: u64) -> bool {
        let taken = self.read(migrate::commits).is_ok_and(|commits| commits >= number);
        // Takes a change that is not acknowledged off the disk also for whoever opens the file next.
        if let Ok(opened) = self.current() {
            // When this fails, it is tried again before the next change.
            let _ = self.let_through(&opened);
        }
        taken
    }

    /// The database that is in use, opened anew when the last one has failed.
    fn current(&self) -> Result<Arc<Opened>, Failed> {
        let current = || self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let opened = current();
        if opened.layer.failure().is_none() {
            return Ok(opened);
        }
        let _one = self.reopening.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = current();
        if opened.layer.failure().is_none() {
            return Ok(opened);
        }
        let reopened = Arc::new(self.reopen()?);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *current, reopened.clone());
        // Closing the last one takes time that readers need not wait for.
        drop(current);
        drop(last);
        Ok(reopened)
    }

    /// What was acknowledged is good, so it is not verified again: readers wait for this.
    fn reopen(&self) -> Result<Opened, Failed> {
        if self.writable {
            return Opened::on(Layer::held(&self.ground)?, self.settings.cache, false);
        }
        let opened = Opened::on(Layer::apart(&self.ground)?, self.settings.cache, false)?;
        if self.trusted.load(Ordering::Acquire) {
            // What the last one had done in memory went with it.
            opened.migrate(self.migrations)?;
        }
        Ok(opened)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // In two phases the content on disk can be believed after a power cut, and with the map of free pages in each
    // commit a file of any size opens at once.
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

impl Opened {
    fn on(layer: Arc<Layer>, cache: usize, verify: bool) -> Result<Self, Failed> {
        let face = Face(layer.clone());
        let database = attempt(|| {
            Builder::new().set_cache_size(cache).set_check_integrity_on_open(verify).create_with_backend(face)
        })?;
        Ok(Self { database: Some(database), layer })
    }

    /// Each step in a transaction of its own; those that are done stay done.
    fn migrate(&self, migrations: &[Migration]) -> Result<(), Failed> {
        let format = attempt(|| migrate::format(&self.database().begin_read()?))?.unwrap_or(0);
        for migration in migrations.iter().filter(|migration| migration.to > format) {
            let done = attempt(|| {
                let change = begin(self.database())?;
                (migration.run)(&change)?;
                migrate::set_format(&change, migration.to)?;
                Ok::<_, redb::Error>(change.commit()?)
            });
            if let Err(failed) = done {
                self.layer.fail(failed);
            }
            if let Some(failed) = self.layer.failure() {
                return Err(failed.clone());
            }
        }
        Ok(())
    }

    fn database(&self) -> &Database {
        self.database.as_ref().expect("it is taken out only when dropped")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Closing writes, and may so stumble over a damaged page. What was acknowledged is safe without it.
        let database = self.database.take();
        let _ = guarded(|| drop(database));
    }
}

impl Deref for Snapshot {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        self.look.as_ref().expect("it is taken out only when dropped")
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // The locks of redb are poisoned by a panic on a damaged page.
        let look = self.look.take();
        let _ = guarded(|| drop(look));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use redb::TableDefinition;

    use super::*;

    const ROWS: TableDefinition<u64, u64> = TableDefinition::new("rows");
    const SETTINGS: Settings = Settings { cache: 1 << 20, verify: true };

    fn set(change: &WriteTransaction, value: u64) -> Result<(), redb::Error> {
        change.open_table(ROWS)?.insert(1, value)?;
        Ok(())
    }

    fn value(look: &ReadTransaction) -> Result<u64, redb::Error> {
        Ok(look.open_table(ROWS)?.get(1)?.map_or(0, |value| value.value()))
    }

    #[test]
    fn a_new_store_is_for_its_owner_alone_and_keeps_what_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        // As a process leaves it behind that died while it made a store.
        fs::write(folder.path().join("store.new"), "half").unwrap();
        let engine = Engine::create(&path, SETTINGS, |change| set(change, 1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        engine.write(|change| set(change, 2)).unwrap().unwrap();
        drop(engine);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(Engine::open(&path, SETTINGS, Access::Serve).unwrap().read(value), Ok(2));
    }

    #[test]
    fn a_store_is_not_made_over_another_file_nor_left_half_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Engine::create(&path, SETTINGS, |_| Ok(())), Err(Unopened::Exists)));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let other = folder.path().join("other");
        let half = Engine::create(&other, SETTINGS, |_| Err(redb::Error::Corrupted("no".to_owned())));
        assert!(matches!(half, Err(Unopened::Corrupt(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_store_is_open_once_for_writing_or_many_times_for_looking() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let open = |access| Engine::open(&path, SETTINGS, access);
        assert!(matches!(open(Access::Serve), Err(Unopened::Missing)));
        assert!(matches!(open(Access::Look), Err(Unopened::Missing)));
        let serving = Engine::create(&path, SETTINGS, |change| set(change, 1)).unwrap();
        assert!(matches!(open(Access::Serve), Err(Unopened::Busy)));
        assert!(matches!(open(Access::Look), Err(Unopened::Busy)));
        drop(serving);
        let looks = [open(Access::Look).unwrap(), open(Access::Look).unwrap()];
        assert!(looks.iter().all(|look| look.is_read_only() && look.read(value) == Ok(1)));
        assert!(matches!(open(Access::Serve), Err(Unopened::Busy)));
        drop(looks);
        let serving = open(Access::Serve).unwrap();
        // The lock is held through a failure and the reopening after it.
        serving.current().unwrap().layer.fail(Failed::NoSpace);
        assert_eq!(serving.read(value), Ok(1));
        assert!(matches!(open(Access::Serve), Err(Unopened::Busy)));
    }

    #[test]
    fn looking_at_the_file_of_a_killed_process_does_not_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, killed) = (folder.path().join("store"), folder.path().join("killed"));
        let engine = Engine::create(&path, SETTINGS, |change| set(change, 1)).unwrap();
        engine.write(|change| set(change, 2)).unwrap().unwrap();
        // What the disk holds while the process lives is what a killed one leaves.
        fs::copy(&path, &killed).unwrap();
        let (content, modified) = (fs::read(&killed).unwrap(), fs::metadata(&killed).unwrap().modified().unwrap());
        for access in [Access::Look, Access::Serve] {
            let look = Engine::open(&killed, SETTINGS, access).unwrap();
            assert_eq!(look.read(value), Ok(2));
            drop(look);
            assert_eq!(fs::read(&killed).unwrap(), content);
            assert_eq!(fs::metadata(&killed).unwrap().modified().unwrap(), modified);
        }
        let serving = Engine::open(&killed, Settings { verify: false, ..SETTINGS }, Access::Serve).unwrap();
        serving.trust().unwrap();
        serving.write(|change| set(change, 3)).unwrap().unwrap();
        assert_eq!(serving.read(value), Ok(3));
    }

    #[test]
    fn every_failure_is_a_plain_sentence() {
        let sentences = [
            Unopened::Busy.to_string(),
            Unopened::Newer { found: 2, known: 1 }.to_string(),
            Failed::NoSpace.to_string(),
        ];
        assert_eq!(
            sentences,
            [
                "another vidgate has this store open",
                "the store has format 2, and this vidgate knows formats up to 1",
                "the store's disk is full"
            ]
        );
    }
}
