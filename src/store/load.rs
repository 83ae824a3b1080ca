//! Making a store, and opening one: the keyring first, then every entry into the index. Nothing is written before
//! everything was found sound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use redb::{ReadTransaction, WriteTransaction};
use zeroize::Zeroizing;

use super::engine::{self, Access, Engine, Failed, sync_folder};
use super::index::{Index, Sighting};
use super::keyring::{Keyring, MasterKey, NotOpened};
use super::keys::Keys;
use super::shelf::{Damaged, Shelf, corrupt};
use super::{Master, Purpose, Settings, fill};

/// Where the keyring lies.
pub(super) const KEYRING: &[u8] = b"keyring";
/// The most credentials seen under an older pepper that wait to be renewed; the others are seen again.
const MOST_SIGHTINGS: usize = 4096;

/// Why a store was not opened or made. The file is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// The file is missing, in use, damaged or of a later format.
    #[error("{0}")]
    File(#[from] engine::Unopened),
    /// The master key is not the one that it was made with.
    #[error("the master key does not open this store: the key belongs to another one, or the store is damaged")]
    MasterKey,
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self::File(error.into())
    }
}

impl From<Failed> for Unopened {
    fn from(failed: Failed) -> Self {
        Self::File(failed.into())
    }
}

impl Unopened {
    /// What would help, where that is not plain from what is wrong.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::MasterKey => "use the master key that the store was made with, or that it was last given",
            Self::File(unopened) => match unopened {
                engine::Unopened::Missing => "`vidgate store init` makes one",
                engine::Unopened::Busy => {
                    "one gateway at a time has a store: stop the other one, or give this one its own"
                }
                engine::Unopened::Newer { .. } => "use the vidgate that wrote it, or a later one",
                engine::Unopened::Corrupt(_) => {
                    "move it away, and make it anew from the latest backup: vidgate restore FILE"
                }
                engine::Unopened::Exists => "nothing was changed: move the file away, or use it",
                engine::Unopened::Io(_) => return None,
            },
        })
    }

    /// Whether another process has the file open.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::File(engine::Unopened::Busy))
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(engine::Unopened::Missing))
    }
}

/// A store that was found sound.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) keys: Keys,
    pub(super) index: Arc<Index>,
    pub(super) sightings: Receiver<Sighting>,
    found: Found,
    purpose: Purpose,
}

impl Opened {
    /// For what it was opened.
    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Says that all that was read is wanted: from here on the store is written, where it was opened to be served.
    pub(super) fn trust(&self) -> Result<(), Unopened> {
        if self.purpose == Purpose::Look {
            return Ok(());
        }
        self.found.settle();
        match self.engine.trust() {
            Ok(()) => Ok(()),
            Err(failed @ Failed::Corrupt(_)) => Err(failed.into()),
            // Whoever serves from a disk that cannot be written serves all the same; changes are refused until it can.
            Err(failed @ (Failed::ReadOnly | Failed::NoSpace | Failed::Io(_))) => {
                tracing::warn!(%failed, "changes of the store are refused for now");
                Ok(())
            }
        }
    }

    /// What the one who writes goes on with.
    pub(super) fn into_parts(self) -> (Engine, Keys, Arc<Index>, Receiver<Sighting>, Master) {
        (self.engine, self.keys, self.index, self.sightings, self.found.master)
    }
}

pub(super) fn create(settings: &Settings, master: &MasterKey) -> Result<(), Unopened> {
    let keyring = Keyring::new().seal(master);
    Engine::create(&settings.path, engine_settings(settings), |transaction| lay_out(transaction, &keyring))?;
    Ok(())
}

/// Makes the tables and lays the keyring down.
pub(super) fn lay_out(transaction: &WriteTransaction, keyring: &[u8]) -> Result<(), redb::Error> {
    for shelf in Shelf::ALL {
        transaction.open_table(shelf.definition())?;
    }
    transaction.open_table(Shelf::Meta.definition())?.insert(KEYRING, keyring)?;
    Ok(())
}

pub(super) fn engine_settings(settings: &Settings) -> engine::Settings {
    // What rows say of themselves does not cover the file's own map: whoever is to write there has all of it checked.
    engine::Settings { cache: settings.cache, verify: true }
}

pub(super) fn open(settings: &Settings, master: Master, purpose: Purpose) -> Result<Opened, Unopened> {
    let access = match purpose {
        Purpose::Serve => Access::Serve,
        Purpose::Look => Access::Look,
    };
    opened(Engine::open(&settings.path, engine_settings(settings), access)?, master, purpose)
}

/// The same for a file that is open already.
pub(super) fn opened(engine: Engine, master: Master, purpose: Purpose) -> Result<Opened, Unopened> {
    let sealed = engine.read(keyring)?;
    let (keyring, found) = unlock(&sealed, master)?;
    let keys = Keys::new(keyring);
    let (report, sightings) = sync_channel(MOST_SIGHTINGS);
    let index = Arc::new(Index::with_peppers(keys.peppers.clone()).reporting(report));
    engine.read(|look| fill::fill(look, &keys, &index))?;
    Ok(Opened { engine, keys, index, sightings, found, purpose })
}

fn keyring(look: &ReadTransaction) -> Result<Vec<u8>, redb::Error> {
    let row = look.open_table(Shelf::Meta.definition())?.get(KEYRING)?.map(|row| row.value().to_vec());
    row.ok_or_else(|| corrupt(Damaged("it has no keyring")))
}

/// The master key that opened a store, and whether it is still to take the place of the one before.
struct Found {
    master: Master,
    waiting: bool,
}

impl Found {
    /// Finishes a change of the master key that was cut short: the store was sealed anew, the file not yet renamed.
    fn settle(&self) {
        let Some(file) = self.master.file.as_ref().filter(|_| self.waiting) else { return };
        let path = file.display();
        match replace_key(file) {
            Ok(()) => tracing::warn!(file = %path, "a change of the master key that was cut short is now finished"),
            // It opens the store where it is, too.
            Err(error) => tracing::warn!(file = %path, %error, "the new master key cannot take the place of the old"),
        }
    }
}

fn unlock(sealed: &[u8], master: Master) -> Result<(Keyring, Found), Unopened> {
    match Keyring::open(sealed, &master.key) {
        Ok(keyring) => return Ok((keyring, Found { master, waiting: false })),
        Err(NotOpened::Content) => {
            return Err(engine::Unopened::Corrupt("its keyring cannot be read".to_owned()).into());
        }
        Err(NotOpened::Key) => {}
    }
    let next = master.file.as_deref().map(next_key).and_then(|file| fs::read(file).ok()).map(Zeroizing::new);
    let key = next.and_then(|text| MasterKey::parse(&text).ok()).ok_or(Unopened::MasterKey)?;
    let keyring = Keyring::open(sealed, &key).map_err(|_| Unopened::MasterKey)?;
    Ok((keyring, Found { master: Master { key, ..master }, waiting: true }))
}

/// Where a new master key waits to take the place of the one in `file`.
pub(super) fn next_key(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

/// Puts the new master key in the place of the one before.
pub(super) fn replace_key(file: &Path) -> io::Result<()> {
    fs::rename(next_key(file), file)?;
    sync_folder(file)
}
