//! A backup: every row of the store as it lies there, from one moment, under one seal. It holds no secret in clear and
//! opens under the master key of that moment alone. Answers that wait for a repetition are not kept.
//!
//! | part | bytes |
//! |---|---|
//! | head | `vidgate backup 2, store format 1`, line feed |
//! | frame | length of what follows (4), table (1), length of the key (2), key, value |
//! | … | the first frame is the keyring |
//! | trailer | length of what follows (4), 0 (1), rows of each table in the order of their numbers (8 each), seal (32) |
//!
//! Backup 1 knew the first eight tables and is restored as well. Numbers are big endian. The seal is HMAC-SHA256 over everything before it, under a key derived from the audit key.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use hmac::{Hmac, Mac};
use redb::{ReadTransaction, ReadableTable};
use serde::Serialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::engine::{self, Engine};
use super::key::Key;
use super::keyring::{Keyring, MasterKey, NotOpened};
use super::keys::Keys;
use super::ledger;
use super::load::{self, KEYRING};
use super::pour::Spill;
use super::refused::Refused;
use super::shelf::{Damaged, Shelf, of_entry_key};
use super::{Settings, Store};

/// The label by which the key of the seal is derived from the audit key.
const LABEL: &[u8] = b"vidgate backup 1";
const HEAD: &str = "vidgate backup 2, store format ";
/// The head of backups before the table of what quotas have spent.
const FIRST_HEAD: &str = "vidgate backup 1, store format ";
/// How many tables those count.
const FIRST_TABLES: usize = 8;
/// The longest head, with its line feed.
const LONGEST_HEAD: usize = 64;
/// The longest frame that is believed. Only who went to the trouble of sending as much has it kept in memory.
const LONGEST_FRAME: usize = 256 << 20;
/// The longest frame before the keyring is open.
const LONGEST_KEYRING: usize = 64 << 10;
const SEAL_LEN: usize = 32;
const TRAILER_LEN: usize = 1 + 8 * Shelf::ALL.len() + SEAL_LEN;

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Accounts, credentials and what they open.
    pub entries: u64,
    /// Deeds of the audit trail.
    pub deeds: u64,
    /// Rows in all.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Why a backup was not restored. There is no new store then, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    /// The backup could not be read to its end.
    #[error("the backup cannot be read: {0}")]
    Read(io::Error),
    /// It is something else.
    #[error("this is no backup of a store")]
    NoBackup,
    /// A later version of vidgate made it.
    #[error("this backup was made by a later version of vidgate")]
    Newer,
    /// It ends before its end.
    #[error("the backup is cut off")]
    CutOff,
    /// It belongs to another master key, or its beginning was altered.
    #[error("the master key does not open this backup: the key belongs to another one, or the backup is damaged")]
    MasterKey,
    /// Something in it is not as it was written.
    #[error("the backup is damaged, or was altered")]
    Altered,
    /// There is a file where the store is to be.
    #[error("there is a file here already")]
    Exists,
    /// The new store could not be written.
    #[error("the store cannot be written: {0}")]
    Write(String),
}

impl From<io::Error> for NotRestored {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { Self::CutOff } else { Self::Read(error) }
    }
}

impl From<redb::Error> for NotRestored {
    fn from(error: redb::Error) -> Self {
        engine::Unopened::from(error).into()
    }
}

impl From<engine::Unopened> for NotRestored {
    fn from(unopened: engine::Unopened) -> Self {
        match unopened {
            engine::Unopened::Exists => Self::Exists,
            engine::Unopened::Io(error) => Self::Write(error.to_string()),
            other @ (engine::Unopened::Missing
            | engine::Unopened::Busy
            | engine::Unopened::Newer { .. }
            | engine::Unopened::Corrupt(_)) => Self::Write(other.to_string()),
        }
    }
}

impl Store {
    /// Writes a backup of the store as it is at this moment. Changes go on meanwhile and are not in it.
    pub fn backup(&self, sink: &mut dyn Write) -> Result<Backup, Refused> {
        let format = self.inner.engine.format().map_err(|failed| super::writer::unavailable(&failed))?;
        self.pour(|look, keys| {
            let mut out = Out { sink: BufWriter::new(sink), seal: sealing(&keys.keyring), bytes: 0 };
            let rows = write(&mut out, look, keys, format)?;
            Ok(backup_of(&rows, out.finish(&rows)?))
        })
    }

    /// Makes a store of a backup, where there is none yet. It is there when everything in it was found good.
    pub fn restore(source: &mut dyn Read, settings: &Settings, master: &MasterKey) -> Result<Backup, NotRestored> {
        let backup = In::begin(source, master)?;
        let mut read = None;
        let made = Engine::create(&settings.path, load::engine_settings(settings), |transaction| {
            // An older one is brought to the present format when the store is opened.
            engine::set_format(transaction, backup.format)?;
            let open = |shelf: &Shelf| transaction.open_table(shelf.definition());
            let mut tables = Shelf::ALL.iter().map(open).collect::<Result<Vec<_>, _>>()?;
            let found = backup.read(|shelf, key, value| Ok(tables[shelf as usize].insert(key, value)?.is_none()));
            let good = found.is_ok();
            read = Some(found);
            // Takes everything back; why, is told below.
            if good { Ok(()) } else { Err(redb::Error::Corrupted(String::new())) }
        });
        match (made, read) {
            (Ok(_), Some(Ok(backup))) => Ok(backup),
            (_, Some(Err(not_restored))) => Err(not_restored),
            (Err(unopened), _) => Err(unopened.into()),
            (Ok(_), None) => unreachable!("a store is made by reading the backup"),
        }
    }
}

/// The numbers of the tables in a backup; never used for anything else.
fn number(shelf: Shelf) -> u8 {
    match shelf {
        Shelf::Entries => 1,
        Shelf::Names => 2,
        Shelf::Handles => 3,
        Shelf::Needs => 4,
        Shelf::Trail => 5,
        Shelf::Replays => 6,
        Shelf::Used => 7,
        Shelf::Meta => 8,
        Shelf::Spent => 9,
    }
}

fn sealing(keyring: &Keyring) -> Hmac<Sha256> {
    let mut label = keyring.audit_key().mac();
    label.update(LABEL);
    Key::new(&label.finalize().into_bytes().into()).mac()
}

/// How many rows each table has, by its place in [`Shelf::ALL`].
type Rows = [u64; Shelf::ALL.len()];

fn backup_of(rows: &Rows, bytes: u64) -> Backup {
    let of = |shelf: Shelf| rows[shelf as usize];
    Backup { entries: of(Shelf::Entries), deeds: of(Shelf::Trail), rows: rows.iter().sum(), bytes }
}

fn write(out: &mut Out<'_>, look: &ReadTransaction, keys: &Keys, format: u32) -> Result<Rows, Spill> {
    out.write(format!("{HEAD}{format}\n").as_bytes())?;
    let mut rows = Rows::default();
    let keyring = look.open_table(Shelf::Meta.definition())?.get(KEYRING)?;
    out.frame(Shelf::Meta, KEYRING, keyring.ok_or(Damaged("it has no keyring"))?.value())?;
    rows[Shelf::Meta as usize] = 1;
    for shelf in Shelf::ALL.into_iter().filter(|shelf| *shelf != Shelf::Replays) {
        let Some(table) = ledger::table(look, shelf)? else { continue };
        for row in table.iter()? {
            let (key, value) = row?;
            if shelf == Shelf::Meta && key.value() == KEYRING {
                continue;
            }
            if shelf == Shelf::Entries {
                // What could not be restored is better known now.
                keys.read_entry(key.value(), value.value())?;
            }
            out.frame(shelf, key.value(), value.value())?;
            rows[shelf as usize] += 1;
        }
    }
    Ok(rows)
}

/// A backup that is being written.
struct Out<'a> {
    sink: BufWriter<&'a mut dyn Write>,
    seal: Hmac<Sha256>,
    bytes: u64,
}

impl Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seal.update(bytes);
        self.bytes += bytes.len() as u64;
        self.sink.write_all(bytes)
    }

    fn frame(&mut self, table: Shelf, key: &[u8], value: &[u8]) -> Result<(), Spill> {
        let too_long = Damaged("it is longer than any could be");
        let Ok(key_len) = u16::try_from(key.len()) else { return Err(too_long.into()) };
        let len = 3 + key.len() + value.len();
        let Some(len) = u32::try_from(len).ok().filter(|_| len <= LONGEST_FRAME) else { return Err(too_long.into()) };
        self.write(&len.to_be_bytes())?;
        self.write(&[number(table)])?;
        self.write(&key_len.to_be_bytes())?;
        self.write(key)?;
        Ok(self.write(value)?)
    }

    fn finish(mut self, rows: &Rows) -> io::Result<u64> {
        let len = u32::try_from(TRAILER_LEN).expect("a trailer is short");
        self.write(&len.to_be_bytes())?;
        self.write(&[0])?;
        for rows in rows {
            self.write(&rows.to_be_bytes())?;
        }
        let seal: [u8; SEAL_LEN] = self.seal.clone().finalize().into_bytes().into();
        self.write(&seal)?;
        self.sink.flush()?;
        Ok(self.bytes)
    }
}

/// A backup that is being read, with its keyring open.
struct In<'a> {
    source: BufReader<&'a mut dyn Read>,
    seal: Hmac<Sha256>,
    bytes: u64,
    format: u32,
    /// How many tables its trailer counts.
    tables: usize,
    keys: Keys,
    keyring: Vec<u8>,
}

impl<'a> In<'a> {
    /// Reads the head and the keyring. What is no backup, or not of this master key, is known from these.
    fn begin(source: &'a mut dyn Read, master: &MasterKey) -> Result<Self, NotRestored> {
        let mut source = BufReader::with_capacity(64 << 10, source);
        let head = head(&mut source)?;
        let (format, tables) = read_head(&head)?;
        let mut frame = Vec::new();
        let len = length(&mut source, LONGEST_KEYRING)?;
        body(&mut source, len, &mut frame)?;
        let (shelf, key, sealed) = split(&frame).ok_or(NotRestored::Altered)?;
        if (shelf, key) != (Shelf::Meta, KEYRING) {
            return Err(NotRestored::Altered);
        }
        let keyring = Keyring::open(sealed, master).map_err(|not_opened| match not_opened {
            NotOpened::Key => NotRestored::MasterKey,
            NotOpened::Content => NotRestored::Newer,
        })?;
        let (mut seal, sealed) = (sealing(&keyring), sealed.to_vec());
        let parts: [&[u8]; 3] = [&head, &len.to_be_bytes(), &frame];
        for part in parts {
            seal.update(part);
        }
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        Ok(Self { source, seal, bytes, format, tables, keys: Keys::new(keyring), keyring: sealed })
    }

    /// Reads everything else, and whether it is as it was written: only then is the answer `Ok`. `put` takes a row in,
    /// unless there is one in its place.
    fn read(
        mut self,
        mut put: impl FnMut(Shelf, &[u8], &[u8]) -> Result<bool, redb::Error>,
    ) -> Result<Backup, NotRestored> {
        put(Shelf::Meta, KEYRING, &self.keyring)?;
        let mut rows = Rows::default();
        rows[Shelf::Meta as usize] = 1;
        let mut frame = Vec::new();
        loop {
            let len = length(&mut self.source, LONGEST_FRAME)?;
            body(&mut self.source, len, &mut frame)?;
            self.seal.update(&len.to_be_bytes());
            self.bytes += 4 + frame.len() as u64;
            if frame.first() == Some(&0) {
                return self.end(&frame, &rows);
            }
            self.seal.update(&frame);
            let (table, key, value) = split(&frame).ok_or(NotRestored::Altered)?;
            if table == Shelf::Entries {
                let entry = self.keys.read_entry(key, value).map_err(|_| NotRestored::Altered)?;
                if of_entry_key(key) != Some((entry.resource(), entry.id.as_str())) {
                    return Err(NotRestored::Altered);
                }
            }
            if !put(table, key, value)? {
                return Err(NotRestored::Altered);
            }
            rows[table as usize] += 1;
        }
    }

    /// The trailer, and nothing behind it.
    fn end(mut self, trailer: &[u8], rows: &Rows) -> Result<Backup, NotRestored> {
        let Some((counted, seal)) = trailer.split_last_chunk::<SEAL_LEN>() else { return Err(NotRestored::Altered) };
        self.seal.update(counted);
        let genuine: [u8; SEAL_LEN] = self.seal.finalize().into_bytes().into();
        let stated = counted[1..].chunks_exact(8);
        let counts = rows.iter().take(self.tables).map(|rows| rows.to_be_bytes());
        let complete = counted.len() == 1 + 8 * self.tables && stated.eq(counts);
        let mut more = [0];
        let ends = match self.source.read(&mut more) {
            Ok(more) => more == 0,
            Err(error) => return Err(error.into()),
        };
        if bool::from(genuine.ct_eq(seal)) && complete && ends {
            return Ok(backup_of(rows, self.bytes));
        }
        Err(NotRestored::Altered)
    }
}

/// The first line with its line feed.
fn head(source: &mut impl Read) -> Result<Vec<u8>, NotRestored> {
    let mut head = Vec::with_capacity(LONGEST_HEAD);
    let mut byte = [0];
    while head.last() != Some(&b'\n') {
        if head.len() == LONGEST_HEAD {
            return Err(NotRestored::NoBackup);
        }
        source.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(head)
}

/// The format of the store that a head names, and how many tables the backup counts.
fn read_head(head: &[u8]) -> Result<(u32, usize), NotRestored> {
    let text = std::str::from_utf8(head).ok().and_then(|text| text.strip_suffix('\n'));
    let text = text.filter(|text| text.starts_with("vidgate backup ")).ok_or(NotRestored::NoBackup)?;
    let (format, tables) = match (text.strip_prefix(HEAD), text.strip_prefix(FIRST_HEAD)) {
        (Some(format), _) => (format, Shelf::ALL.len()),
        (None, Some(format)) => (format, FIRST_TABLES),
        (None, None) => return Err(NotRestored::Newer),
    };
    let format = format.parse().map_err(|_| NotRestored::Newer)?;
    if format > engine::known_format() { Err(NotRestored::Newer) } else { Ok((format, tables)) }
}

fn length(source: &mut impl Read, longest: usize) -> Result<u32, NotRestored> {
    let mut len = [0; 4];
    source.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len);
    if len as usize > longest { Err(NotRestored::Altered) } else { Ok(len) }
}

/// Reads so many bytes, and asks for memory only as they come.
fn body(source: &mut impl Read, len: u32, frame: &mut Vec<u8>) -> Result<(), NotRestored> {
    frame.clear();
    let read = source.take(u64::from(len)).read_to_end(frame)?;
    if read < len as usize { Err(NotRestored::CutOff) } else { Ok(()) }
}

/// The table, the key and the value of a frame.
fn split(frame: &[u8]) -> Option<(Shelf, &[u8], &[u8])> {
    let (&table, rest) = frame.split_first()?;
    let (key_len, rest) = rest.split_first_chunk()?;
    let (key, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*key_len)))?;
    let shelf = Shelf::ALL.into_iter().find(|shelf| number(*shelf) == table && *shelf != Shelf::Replays)?;
    Some((shelf, key, value))
}

#[cfg(test)]
mod tests;
