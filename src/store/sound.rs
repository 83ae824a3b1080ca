//! Between reading a store and serving it: whoever opens it may still find that what it holds does not go with what is
//! declared elsewhere, and then the file must be as it was.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use arc_swap::ArcSwap;

use super::load::{self, Unopened};
use super::shelf::{Shelf, entry_key};
use super::writer::Writer;
use super::{Engine, Index, Inner, MOST_WAITING, Master, Purpose, Resource, Settings, Store};
use crate::background::give_way;
use crate::clock::Clock;

/// A store that was read and found sound. Nothing was written to its file, and nothing is before it is started.
pub struct Sound {
    opened: load::Opened,
    declared: HashSet<(Resource, String)>,
    path: PathBuf,
}

impl Sound {
    /// Opens a store and reads all of it into the index.
    pub fn find(settings: &Settings, master: Master, purpose: Purpose) -> Result<Self, Unopened> {
        Ok(Self::of(load::open(settings, master, purpose)?, settings.path.clone()))
    }

    /// The same for one that is open already; where it is a file, it lies at `path`.
    pub(super) fn of(opened: load::Opened, path: PathBuf) -> Self {
        Self { opened, declared: HashSet::new(), path }
    }

    /// What the corridor reads.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.opened.index)
    }

    /// Whether there is such an entry. Of those that nobody presents, such as groups, the index knows nothing.
    pub fn holds(&self, resource: Resource, id: &str) -> Result<bool, Unopened> {
        holds(&self.opened.engine, resource, id)
    }

    /// Says what is declared in the configuration: none of it can be made in the store as well.
    pub fn declare(&mut self, declared: HashSet<(Resource, String)>) {
        self.declared = declared;
    }

    /// From here on the store is written: what opening it tidies up, and every change.
    pub fn start(self, clock: Clock) -> Result<Store, Unopened> {
        self.opened.trust()?;
        let purpose = self.opened.purpose();
        let (engine, keys, index, sightings, master) = self.opened.into_parts();
        let (jobs, waiting) = mpsc::sync_channel(MOST_WAITING);
        let engine = Arc::new(engine);
        let keys = Arc::new(ArcSwap::from_pointee(keys));
        let declared = Arc::new(ArcSwap::from_pointee(self.declared));
        let writer = Writer::new(
            Arc::clone(&engine),
            Arc::clone(&keys),
            Arc::clone(&index),
            Arc::clone(&declared),
            master,
            sightings,
            clock.clone(),
        );
        let (renewing, workings, hurry) = (Arc::clone(&writer.renewing), Arc::clone(&writer.workings), writer.hurry());
        let writer = match purpose {
            Purpose::Look => None,
            Purpose::Serve => {
                let run = move || {
                    give_way();
                    writer.run(&waiting);
                };
                Some(std::thread::Builder::new().name("vidgate-store".to_owned()).spawn(run)?)
            }
        };
        let (path, jobs) = (self.path, Some(jobs));
        let inner = Inner { engine, keys, index, declared, clock, path, jobs, writer, hurry, renewing, workings };
        Ok(Store { inner: Arc::new(inner) })
    }
}

/// Whether an entry lies in this store.
pub(super) fn holds(engine: &Engine, resource: Resource, id: &str) -> Result<bool, Unopened> {
    let key = entry_key(resource, id);
    let look =
        |look: &redb::ReadTransaction| Ok(look.open_table(Shelf::Entries.definition())?.get(key.as_slice())?.is_some());
    Ok(engine.read(look)?)
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sound").field("path", &self.path).finish_non_exhaustive()
    }
}
