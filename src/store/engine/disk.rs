//! A disk in memory that loses power, fills up and fails on demand. A cut keeps a random part of what was written since
//! the last fsync, torn at 512 bytes.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{StorageBackend, WriteTransaction};

use super::failed::Unopened;
use super::{Engine, Settings, migrate};

const SECTOR: usize = 512;

/// `SplitMix64`: the same numbers on every run.
pub(in crate::store) struct Dice(pub(in crate::store) u64);

impl Dice {
    pub(in crate::store) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(in crate::store) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(in crate::store) enum Event {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    /// The fsync failed, and the kernel has forgotten what was to be written.
    LostSync,
    /// This many changes were acknowledged so far.
    Acknowledged(u64),
}

#[derive(Debug, Default)]
pub(in crate::store) struct Disk {
    pub(in crate::store) content: Vec<u8>,
    pub(in crate::store) journal: Vec<Event>,
    /// Bytes that may be written yet.
    pub(in crate::store) room: Option<usize>,
    /// Fsyncs until one fails.
    pub(in crate::store) failing_sync: Option<u64>,
    /// The kernel has mounted the file system anew, for reading only.
    pub(in crate::store) read_only: bool,
    pub(in crate::store) unreadable: bool,
    /// Where was read, and how much.
    pub(in crate::store) reads: Vec<(usize, usize)>,
    /// How many changes were acknowledged, as [`PowerCut::acknowledge`] counts them.
    acknowledged: u64,
}

#[derive(Clone, Debug, Default)]
pub(in crate::store) struct PowerCut(Arc<Mutex<Disk>>);

impl PowerCut {
    pub(in crate::store) fn of(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { content, ..Disk::default() })))
    }

    pub(in crate::store) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    pub(in crate::store) fn content(&self) -> Vec<u8> {
        self.disk().content.clone()
    }

    /// Notes in the journal that one more change was acknowledged.
    pub(in crate::store) fn acknowledge(&self) {
        let mut disk = self.disk();
        disk.acknowledged += 1;
        let event = Event::Acknowledged(disk.acknowledged);
        disk.journal.push(event);
    }

    /// Makes a store on this disk, as on a file.
    pub(in crate::store) fn create(
        &self,
        settings: Settings,
        first: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Engine, Unopened> {
        Engine::create_on(Box::new(self.clone()), settings, migrate::MIGRATIONS, first)
    }

    /// Opens the store on this disk, as from a file.
    pub(in crate::store) fn engine(&self, settings: Settings, writable: bool) -> Result<Engine, Unopened> {
        Engine::on(Box::new(self.clone()), settings, writable, migrate::MIGRATIONS)
    }
}

impl Engine {
    /// How many commits the store has taken.
    pub(in crate::store) fn commits(&self) -> u64 {
        self.read(migrate::commits).unwrap()
    }
}

impl StorageBackend for PowerCut {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.unreadable {
            return Err(io::Error::other("bad sector"));
        }
        let start = usize::try_from(offset).unwrap();
        disk.reads.push((start, out.len()));
        let piece = disk.content.get(start..start + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(piece);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        disk.content.resize(usize::try_from(len).unwrap(), 0);
        disk.journal.push(Event::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk();
        if let Some(left) = disk.failing_sync {
            disk.failing_sync = left.checked_sub(1);
            if left == 0 {
                disk.journal.push(Event::LostSync);
                return Err(io::Error::other("write back failed"));
            }
        }
        disk.journal.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        let fits = disk.room.map_or(data.len(), |room| room.min(data.len()));
        disk.room = disk.room.map(|room| room - fits);
        let start = usize::try_from(offset).unwrap();
        disk.content[start..start + fits].copy_from_slice(&data[..fits]);
        disk.journal.push(Event::Write(offset, data[..fits].to_vec()));
        if fits < data.len() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// What is on disk after some events, and what may be.
pub(in crate::store) struct Platter {
    safe: Vec<u8>,
    pending: Vec<Event>,
    pub(in crate::store) acknowledged: u64,
}

impl Platter {
    pub(in crate::store) fn new(safe: Vec<u8>) -> Self {
        Self { safe, pending: Vec::new(), acknowledged: 0 }
    }

    pub(in crate::store) fn see(&mut self, event: &Event, dice: &mut Dice) {
        match event {
            Event::Write(..) | Event::SetLen(_) => self.pending.push(event.clone()),
            Event::Sync => {
                let pending = std::mem::take(&mut self.pending);
                apply(&mut self.safe, &pending, 100, dice);
            }
            Event::LostSync => {
                let pending = std::mem::take(&mut self.pending);
                apply(&mut self.safe, &pending, 30, dice);
            }
            Event::Acknowledged(number) => self.acknowledged = *number,
        }
    }

    pub(in crate::store) fn cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut image = self.safe.clone();
        let kept = [0, 25, 50, 75, 95, 100][dice.index(6)];
        apply(&mut image, &self.pending, kept, dice);
        image
    }
}

fn apply(image: &mut Vec<u8>, events: &[Event], percent: u64, dice: &mut Dice) {
    for event in events {
        match event {
            Event::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap();
                for (sector, piece) in data.chunks(SECTOR).enumerate() {
                    let at = start + sector * SECTOR;
                    if dice.roll(100) < percent && at + piece.len() <= image.len() {
                        image[at..at + piece.len()].copy_from_slice(piece);
                    }
                }
            }
            Event::SetLen(len) if dice.roll(100) < percent => image.resize(usize::try_from(*len).unwrap(), 0),
            Event::SetLen(_) | Event::Sync | Event::LostSync | Event::Acknowledged(_) => {}
        }
    }
}
