//! What lies between redb and the file: a [`Layer`] for each time the database is opened. A layer holds writes in memory
//! until they are allowed, keeps them in memory for good when the file may only be read, and sets itself apart from the
//! file when the disk fails, so that its readers finish while the next layer takes over. It knows bytes, not tables.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use redb::StorageBackend;

use super::failed::Failed;

/// Pages of redb are multiples of this, so that only its header is ever a part of a block.
const BLOCK: usize = 4096;

/// The file, with what all layers over it must know of one another.
#[derive(Debug)]
pub(super) struct Ground {
    raw: Box<dyn StorageBackend>,
    marks: Mutex<Marks>,
    layers: Mutex<Vec<Weak<Layer>>>,
}

/// What the file must be put back to after a failure: its header and length as of the last fsync that succeeded. redb
/// never overwrites a page that the header on disk leads to, so the header alone brings the content back.
#[derive(Debug, Default)]
struct Marks {
    header: Vec<u8>,
    safe: Option<(Vec<u8>, u64)>,
}

impl Ground {
    pub(super) fn new(raw: Box<dyn StorageBackend>) -> Arc<Self> {
        Arc::new(Self { raw, marks: Mutex::default(), layers: Mutex::default() })
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.raw.len()? == 0)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, from: &Layer, offset: u64, data: &[u8]) -> io::Result<()> {
        self.keep_for_others(from, offset, offset + data.len() as u64);
        self.raw.write(offset, data)?;
        if offset == 0 {
            self.marks().header = data.to_vec();
        }
        Ok(())
    }

    fn set_len(&self, from: &Layer, len: u64) -> io::Result<()> {
        self.keep_for_others(from, len, self.raw.len()?);
        self.raw.set_len(len)
    }

    /// Readers of an earlier layer still look at pages that the present one counts as free.
    fn keep_for_others(&self, from: &Layer, start: u64, end: u64) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.retain(|layer| layer.strong_count() > 0);
        for other in layers.iter().filter_map(Weak::upgrade) {
            if !std::ptr::eq(&raw const *other, from) {
                other.keep(start, end);
            }
        }
    }
}

/// One opening of the database, as the backend that redb writes to.
#[derive(Debug)]
pub(super) struct Layer {
    ground: Arc<Ground>,
    state: RwLock<State>,
    failure: OnceLock<Failed>,
}

/// What redb is given of a layer; the engine keeps the other half.
#[derive(Debug)]
pub(super) struct Face(pub(super) Arc<Layer>);

#[derive(Debug)]
struct State {
    mode: Mode,
    blocks: BTreeMap<u64, Box<[u8]>>,
    /// The length as this layer sees it.
    len: u64,
    /// Up to here the file shows through; behind it are zeros until something is written.
    visible: u64,
    /// A block that an earlier reader may need could not be kept.
    lost: bool,
}

#[derive(Debug)]
enum Mode {
    /// Into memory, in a list that [`Layer::let_through`] carries out.
    Held(Vec<Step>),
    /// Into the file.
    Through,
    /// Into memory, for good.
    Apart,
}

#[derive(Debug)]
enum Step {
    Write(u64, Box<[u8]>),
    SetLen(u64),
    Sync,
}

impl Layer {
    /// A layer that writes to the file at once.
    pub(super) fn through(ground: &Arc<Ground>) -> io::Result<Arc<Self>> {
        Self::new(ground, Mode::Through)
    }

    /// A layer that holds its writes until [`Layer::let_through`], beginning from what was last safe on disk.
    pub(super) fn held(ground: &Arc<Ground>) -> io::Result<Arc<Self>> {
        let layer = Self::new(ground, Mode::Held(Vec::new()))?;
        let safe = ground.marks().safe.clone();
        if let Some((header, len)) = safe {
            if layer.len() != len {
                layer.set_len(len);
            }
            layer.write(0, &header)?;
            layer.sync();
        }
        Ok(layer)
    }

    /// A layer that never writes to the file.
    pub(super) fn apart(ground: &Arc<Ground>) -> io::Result<Arc<Self>> {
        Self::new(ground, Mode::Apart)
    }

    fn new(ground: &Arc<Ground>, mode: Mode) -> io::Result<Arc<Self>> {
        let len = ground.raw.len()?;
        let state = State { mode, blocks: BTreeMap::new(), len, visible: len, lost: false };
        let layer = Arc::new(Self { ground: ground.clone(), state: RwLock::new(state), failure: OnceLock::new() });
        ground.layers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&layer));
        Ok(layer)
    }

    /// Why this layer must be replaced, if it must.
    pub(super) fn failure(&self) -> Option<&Failed> {
        self.failure.get()
    }

    /// Sets the layer apart: from here on nothing of it reaches the file, and its readers finish in peace.
    pub(super) fn fail(&self, why: Failed) {
        self.exclusive().mode = Mode::Apart;
        // The first failure is the cause, later ones only follow from it.
        let _ = self.failure.set(why);
    }

    /// Carries out what was held, in its order and with its fsyncs, and lets later writes through. When it fails, what
    /// is not safe on disk yet stays held, so that it can be tried again.
    pub(super) fn let_through(&self) -> io::Result<()> {
        let mut state = self.exclusive();
        let State { mode: Mode::Held(steps), len, .. } = &mut *state else { return Ok(()) };
        while !steps.is_empty() {
            let until = steps.iter().position(|step| matches!(step, Step::Sync)).map_or(steps.len(), |sync| sync + 1);
            self.carry_out(&steps[..until])?;
            steps.drain(..until);
        }
        let header = self.ground.marks().header.clone();
        self.ground.marks().safe = Some((header, *len));
        state.visible = state.len;
        state.mode = Mode::Through;
        state.blocks.clear();
        Ok(())
    }

    /// All of these or, to a power cut, any part of them: as when redb had written them itself.
    fn carry_out(&self, steps: &[Step]) -> io::Result<()> {
        for step in steps {
            match step {
                Step::Write(offset, data) => self.ground.write(self, *offset, data)?,
                Step::SetLen(len) => self.ground.set_len(self, *len)?,
                Step::Sync => {}
            }
        }
        self.ground.raw.sync_data()
    }

    fn shared(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> u64 {
        self.shared().len
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.shared();
        let read = if matches!(state.mode, Mode::Through) {
            self.ground.raw.read(offset, out)
        } else {
            state.read(&*self.ground.raw, offset, out)
        };
        drop(state);
        // redb answers nothing more after a failed read, whatever comes later: the layer must be replaced.
        read.inspect_err(|error| self.fail(Failed::from(error)))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let state = self.shared();
        if matches!(state.mode, Mode::Through) {
            let written = self.ground.write(self, offset, data);
            drop(state);
            let Err(error) = written else { return Ok(()) };
            self.fail(Failed::from(&error));
        } else {
            drop(state);
        }
        let mut state = self.exclusive();
        state.write(&*self.ground.raw, offset, data)?;
        if let Mode::Held(steps) = &mut state.mode {
            steps.push(Step::Write(offset, data.into()));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) {
        let mut state = self.exclusive();
        let set = if matches!(state.mode, Mode::Through) { self.ground.set_len(self, len) } else { Ok(()) };
        state.set_len(len);
        if matches!(state.mode, Mode::Through) && set.is_ok() {
            state.visible = len;
        }
        if let Mode::Held(steps) = &mut state.mode {
            steps.push(Step::SetLen(len));
        }
        drop(state);
        if let Err(error) = set {
            self.fail(Failed::from(&error));
        }
    }

    fn sync(&self) {
        let mut state = self.exclusive();
        if let Mode::Held(steps) = &mut state.mode {
            steps.push(Step::Sync);
        }
        if !matches!(state.mode, Mode::Through) {
            return;
        }
        let (header, len) = (self.ground.marks().header.clone(), state.len);
        // Readers go on during the fsync.
        drop(state);
        let synced = self.ground.raw.sync_data();
        if let Err(error) = &synced {
            self.fail(Failed::from(error));
            return;
        }
        // Under the lock: what a later layer begins from must not change once this one is set apart.
        let state = self.shared();
        if matches!(state.mode, Mode::Through) {
            self.ground.marks().safe = Some((header, len));
        }
    }

    /// Keeps what the file holds from `start` to `end`, before another layer writes there.
    fn keep(&self, start: u64, end: u64) {
        let mut state = self.exclusive();
        if matches!(state.mode, Mode::Through) {
            return;
        }
        let end = end.min(state.visible);
        let mut block = start / BLOCK as u64;
        while block * (BLOCK as u64) < end {
            if state.fill(&*self.ground.raw, block).is_err() {
                state.lost = true;
            }
            block += 1;
        }
    }
}

impl State {
    fn read(&self, raw: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.lost {
            return Err(io::Error::other("the file has changed beneath an earlier reader"));
        }
        if offset + out.len() as u64 > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (block, within, piece) in pieces_mut(offset, out) {
            if let Some(kept) = self.blocks.get(&block) {
                piece.copy_from_slice(&kept[within..within + piece.len()]);
            } else {
                self.read_file(raw, block * BLOCK as u64 + within as u64, piece)?;
            }
        }
        Ok(())
    }

    fn read_file(&self, raw: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(self.visible.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        out[there..].fill(0);
        if there == 0 { Ok(()) } else { raw.read(offset, &mut out[..there]) }
    }

    fn write(&mut self, raw: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut data = data;
        let mut offset = offset;
        while !data.is_empty() {
            let within = usize::try_from(offset % BLOCK as u64).expect("a block fits in memory");
            let (piece, rest) = data.split_at(data.len().min(BLOCK - within));
            let block = offset / BLOCK as u64;
            if piece.len() == BLOCK {
                self.blocks.insert(block, piece.into());
            } else {
                self.fill(raw, block)?[within..within + piece.len()].copy_from_slice(piece);
            }
            offset += piece.len() as u64;
            data = rest;
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        self.len = len;
        self.visible = self.visible.min(len);
        self.blocks.split_off(&len.div_ceil(BLOCK as u64));
    }

    /// The block in memory, from the file when it is not there yet.
    fn fill(&mut self, raw: &dyn StorageBackend, block: u64) -> io::Result<&mut Box<[u8]>> {
        if !self.blocks.contains_key(&block) {
            let mut content = vec![0; BLOCK].into_boxed_slice();
            self.read_file(raw, block * BLOCK as u64, &mut content)?;
            self.blocks.insert(block, content);
        }
        Ok(self.blocks.get_mut(&block).expect("it was put there just now"))
    }
}

/// `out`, cut where the blocks end: the block, where in it the piece begins, and the piece.
fn pieces_mut(offset: u64, out: &mut [u8]) -> impl Iterator<Item = (u64, usize, &mut [u8])> {
    let mut offset = offset;
    let mut rest = out;
    std::iter::from_fn(move || {
        let left = std::mem::take(&mut rest);
        if left.is_empty() {
            return None;
        }
        let within = usize::try_from(offset % BLOCK as u64).expect("a block fits in memory");
        let (piece, later) = left.split_at_mut(left.len().min(BLOCK - within));
        let block = offset / BLOCK as u64;
        offset += piece.len() as u64;
        rest = later;
        Some((block, within, piece))
    })
}

/// redb is told that every write succeeds: a failed one sets the layer apart, which the engine sees before it
/// acknowledges anything. So redb does not shut its readers out.
impl StorageBackend for Face {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
