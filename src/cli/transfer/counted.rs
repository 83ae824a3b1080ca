//! How much was written, for whoever is told what came of it.

use std::io::{self, Write};

/// Passes on what is written, and counts it.
pub(super) struct Counted<W> {
    pub(super) to: W,
    pub(super) bytes: u64,
}

impl<W> Counted<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, bytes: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
