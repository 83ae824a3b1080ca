//! Making a store, and opening one: the keyring first, then every entry into the index. Nothing is written before
//! everything was found sound.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use zeroize::Zeroizing;

use super::engine::{self, Access, Engine, Failed};
use super::entry::Entry;
use super::index::{Index, Sighting};
use super::keyring::{Keyring, MasterKey, NotOpened};
use super::keys::Keys;
use super::publish::{Above, Publisher, above};
use super::resource::{Body, Resource};
use super::shelf::{Damaged, Shelf, corrupt, of_entry_key};
use super::{Master, Purpose, Settings, read};

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
    pub(super) master: Master,
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

fn engine_settings(settings: &Settings) -> engine::Settings {
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
    let (keyring, replaced) = unlock(&sealed, master)?;
    let keys = Keys::new(keyring);
    let (report, sightings) = sync_channel(MOST_SIGHTINGS);
    let index = Arc::new(Index::with_peppers(keys.peppers.clone()).reporting(report));
    engine.read(|look| fill(look, &keys, &Publisher::new(Arc::clone(&index))))?;
    let master = replaced.settle(purpose)?;
    if purpose == Purpose::Serve {
        match engine.trust() {
            Ok(()) => {}
            Err(damaged @ Failed::Corrupt(_)) => return Err(damaged.into()),
            // Whoever serves from a disk that cannot be written serves all the same. The next change tries again.
            Err(failed) => tracing::warn!(%failed, "changes to the store are refused for now"),
        }
    }
    Ok(Opened { engine, keys, index, sightings, master })
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
    fn settle(self, purpose: Purpose) -> Result<Master, Unopened> {
        if let (true, Purpose::Serve, Some(file)) = (self.waiting, purpose, &self.master.file) {
            replace_key(file)?;
            tracing::warn!(file = %file.display(), "a change of the master key that was cut short is now finished");
        }
        Ok(self.master)
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

/// A new name is safe only when the folder that holds it is.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

/// Reads every entry into the index.
fn fill(look: &ReadTransaction, keys: &Keys, publisher: &Publisher) -> Result<(), redb::Error> {
    let entries = look.open_table(Shelf::Entries.definition())?;
    let used = look.open_table(Shelf::Used.definition())?;
    // Both lie in the order of their keys, so that one look at each row is enough.
    let mut uses = used.iter()?;
    let mut use_of = None;
    let mut accounts = Some(Vec::new());
    let mut aboves: HashMap<(Resource, String), Above> = HashMap::new();
    for row in entries.iter()? {
        let (key, row) = row?;
        let entry = keys.read_entry(key.value(), row.value()).map_err(corrupt)?;
        if of_entry_key(key.value()) != Some((entry.resource(), entry.id.as_str())) {
            return Err(corrupt(Damaged("an entry lies in another's place")));
        }
        if entry.resource() == Resource::Account {
            accounts.get_or_insert_default().push(entry);
            continue;
        }
        if let Some(accounts) = accounts.take() {
            introduce(publisher, &accounts).map_err(corrupt)?;
        }
        let last = loop {
            match use_of.take() {
                None => match uses.next().transpose()? {
                    None => break None,
                    Some((key, minutes)) => use_of = Some((key.value().to_vec(), minutes.value().to_vec())),
                },
                Some((of, minutes)) if of.as_slice() == key.value() => break read::last_used(&minutes),
                Some((of, _)) if of.as_slice() < key.value() => {}
                later @ Some(_) => {
                    use_of = later;
                    break None;
                }
            }
        };
        let above = above(&entry).and_then(|(resource, id)| aboves.get(&(resource, id.to_owned())));
        publisher.add(&entry, above.unwrap_or(&Above::default()), last).map_err(corrupt)?;
        remember(&mut aboves, entry);
    }
    introduce(publisher, &accounts.unwrap_or_default()).map_err(corrupt)
}

/// Makes accounts known: all of them first, then how they stand, since a parent may come later than its child.
fn introduce(publisher: &Publisher, accounts: &[Entry]) -> Result<(), Damaged> {
    accounts.iter().try_for_each(|entry| publisher.account(entry, None))?;
    accounts.iter().try_for_each(|entry| {
        let Body::Account(account) = &entry.body else { return Err(Damaged("an account is none")) };
        publisher.account(entry, account.parent.as_deref())
    })
}

/// Keeps what tokens will want to know of what they are for, where there is anything to know.
fn remember(aboves: &mut HashMap<(Resource, String), Above>, entry: Entry) {
    if matches!(entry.resource(), Resource::Camera | Resource::CameraGroup | Resource::User) {
        let above = Above::of(&entry);
        if above != Above::default() {
            aboves.insert((entry.resource(), entry.id), above);
        }
    }
}
