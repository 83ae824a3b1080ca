//! What a worker writes its lines with: a buffer of its own, handed over when it is full or the worker sweeps.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use super::line::{self, Stamp};
use super::writer::{Batch, Counts};
use super::{Format, Settings};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::sinks::Scope;

/// How much is gathered before it is handed over without waiting for the sweep, in bytes.
const FULL: usize = 32 << 10;
/// Room for the line that fills it.
const LAST: usize = 2 << 10;

/// Writes the lines of one worker.
pub struct Pen {
    queue: SyncSender<Batch>,
    counts: Arc<Counts>,
    batch: RefCell<Batch>,
    stamp: RefCell<Stamp>,
    /// How large the last batch was: the next one has as much room from the start.
    room: Cell<usize>,
}

impl Pen {
    /// With nothing written yet.
    pub(super) fn new(queue: SyncSender<Batch>, counts: Arc<Counts>) -> Self {
        Self { queue, counts, batch: RefCell::default(), stamp: RefCell::default(), room: Cell::new(0) }
    }

    /// Writes the line of an exchange that began at this time since 1970.
    pub(in crate::telemetry) fn write(&self, exchange: &Exchange, scope: &Scope, settings: &Settings, begun: Duration) {
        let mut batch = self.batch.borrow_mut();
        let stamp = &mut *self.stamp.borrow_mut();
        stamp.set(begun, settings.format);
        match settings.format {
            Format::Json => line::json(&mut batch.text, exchange, scope, stamp),
            Format::Combined => line::combined(&mut batch.text, exchange, stamp),
        }
        batch.lines += 1;
        if batch.text.len() >= FULL {
            drop(batch);
            self.flush();
        }
    }

    /// Hands over what was written.
    pub fn flush(&self) {
        let mut batch = self.batch.borrow_mut();
        if batch.lines == 0 {
            return;
        }
        let length = batch.text.len();
        let wanted = length.max(self.room.replace(length));
        let room = if wanted < FULL { wanted } else { FULL + LAST };
        let empty = Batch { text: Vec::with_capacity(room), lines: 0 };
        let full = mem::replace(&mut *batch, empty);
        match self.queue.try_send(full) {
            Ok(()) => {}
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.counts.dropped.fetch_add(batch.lines, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").field("lines", &self.batch.borrow().lines).finish_non_exhaustive()
    }
}
