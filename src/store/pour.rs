//! Writing much of the store out at once: from one moment of it, while others go on changing it.

use std::io;

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
        let poured = self.look_under(|look, keys| match pour(look, keys) {
            Ok(poured) => Ok(Ok(poured)),
            Err(Spill::Sink(error)) => Ok(Err(error)),
            Err(Spill::Store(error)) => Err(error),
        })?;
        poured.map_err(|error| Refused::Unavailable(format!("it cannot be written out: {error}")))
    }
}
