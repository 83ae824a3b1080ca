//! Writing much of the store out at once: from one moment of it, while others go on changing it.

use std::io;
use std::sync::Arc;

use redb::ReadTransaction;

use super::Store;
use super::keys::Keys;
use super::refused::Refused;
use super::shelf::{Damaged, corrupt};

/// Why writing out came to an end.
pub(super) enum Spill {
    /// The store cannot be read.
    Store(redb::Error),
    /// What is written cannot be taken.
    Sink(io::Error),
}

impl From<io::Error> for Spill {
    fn from(error: io::Error) -> Self {
        Self::Sink(error)
    }
}

impl From<Damaged> for Spill {
    fn from(damaged: Damaged) -> Self {
        Self::Store(corrupt(damaged))
    }
}

impl From<redb::Error> for Spill {
    fn from(error: redb::Error) -> Self {
        Self::Store(error)
    }
}

impl From<redb::TableError> for Spill {
    fn from(error: redb::TableError) -> Self {
        Self::Store(error.into())
    }
}

impl From<redb::StorageError> for Spill {
    fn from(error: redb::StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Writes out from one moment of the store, with the keys of that moment.
    pub(super) fn pour<T>(&self, pour: impl FnOnce(&ReadTransaction, &Keys) -> Result<T, Spill>) -> Result<T, Refused> {
        let mut pour = Some(pour);
        loop {
            let keys = self.inner.keys.load_full();
            let poured = self.look(|look| {
                // What is on file could be under keys that were added or let go in between.
                if !Arc::ptr_eq(&keys, &self.inner.keys.load()) {
                    return Ok(None);
                }
                let Some(pour) = pour.take() else { return Ok(None) };
                match pour(look, &keys) {
                    Ok(poured) => Ok(Some(Ok(poured))),
                    Err(Spill::Sink(error)) => Ok(Some(Err(error))),
                    Err(Spill::Store(error)) => Err(error),
                }
            })?;
            if let Some(poured) = poured {
                return poured.map_err(|error| Refused::Unavailable(format!("it cannot be written out: {error}")));
            }
        }
    }
}
