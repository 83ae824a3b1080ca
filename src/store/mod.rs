//! Who exists: accounts, their credentials and what those open, known by keyed digest. The corridor reads the
//! [`Index`] in memory and never waits for a disk; a change is worked by a thread of its own, is on disk before it is
//! acknowledged, and is seen by the next request. Nothing here believes a credential.

mod by_key;
mod digest;
mod index;
// What is on file.
pub mod resource;
mod entry;
mod document;
mod refused;
// The keys, and what is done with them.
pub mod key;
mod key_file;
pub mod key_text;
mod keyring;
mod keys;
pub mod passphrase;
mod seal;
// The file.
mod engine;
mod fill;
mod shelf;
mod load;
mod sound;
// Changes.
mod audit_chain;
mod batch;
mod ledger;
mod link;
mod publish;
mod renew;
mod replay;
mod rotate;
mod rules;
mod trail;
mod upkeep;
mod writer;
// Questions.
mod read;
mod standing;
mod view;
// The whole of it, in a file.
mod backup;
pub mod export;
mod given;
mod hosted;
mod issue;
mod pour;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

pub use self::backup::{Backup, NotRestored};
use self::batch::{Hurry, Job};
pub use self::digest::{Pepper, Peppers};
use self::engine::Engine;
pub use self::entry::{Common, Entry, Status};
pub use self::given::{Given, Known};
pub use self::index::{Camera, Cameras, Clash, Index, Part, Sighting};
pub use self::keyring::MasterKey;
use self::keys::Keys;
pub use self::load::Unopened;
pub use self::read::{Filter, Page, PepperUse, State};
pub use self::refused::{Fault, Refused};
pub use self::resource::Resource;
pub use self::sound::Sound;
pub use self::standing::Standing;
pub use self::trail::{Act, Deal, Deed, Trail};
pub use self::view::Slice;
use self::writer::Writer;
use crate::clock::{Clock, UnixTime};
use crate::secret::Secret;

/// Who asks for a change, as the audit trail has it: `operator:ops` and `token:alice` at the admin API, `local:0` at the
/// file itself, and the subject of a caller, `admin_certificate:ops`, at what the gateway answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

/// What is asked in one go: all of it is done, or nothing.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// What is to be done, in this order.
    pub operations: Vec<Operation>,
    /// By what it is known when it is sent again.
    pub idempotency: Option<Idempotency>,
}

/// By what a request is known when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key.
    pub key: String,
    /// SHA-256 over method, path and body: another request under the same key is refused.
    pub fingerprint: [u8; 32],
}

/// One change.
pub enum Operation {
    /// Makes an entry.
    Create {
        /// Of which resource.
        resource: Resource,
        /// Its document.
        document: Map<String, Value>,
        /// The versions of its secret, where it comes from an export; else empty.
        versions: Vec<Given>,
    },
    /// Makes an entry that hangs at another one, unless that has as many of its resource as it may.
    Add {
        /// Of which resource.
        resource: Resource,
        /// Its document.
        document: Map<String, Value>,
        /// What it hangs at.
        to: (Resource, String),
        /// How many of the resource may hang there, this one among them.
        most: usize,
    },
    /// Changes an entry by a merge patch (RFC 7396).
    Change {
        /// Of which resource.
        resource: Resource,
        /// Its id.
        id: String,
        /// The patch.
        patch: Map<String, Value>,
        /// The revision that it must have, if that matters.
        revision: Option<u64>,
    },
    /// Gives an entry a new secret, or a service account a successor.
    Rotate {
        /// Of which resource.
        resource: Resource,
        /// Its id.
        id: String,
        /// `overlap`, and the new secret where it is not to be made here.
        document: Map<String, Value>,
        /// The revision that it must have, if that matters.
        revision: Option<u64>,
    },
    /// Makes a token for a user who has logged in; the oldest of theirs go where there would be too many.
    Issue {
        /// The id of the user.
        user: String,
        /// Until when it is good.
        expires: UnixTime,
        /// How many tokens the user has at most, this one among them.
        most: usize,
    },
    /// Takes an entry away.
    Delete {
        /// Of which resource.
        resource: Resource,
        /// Its id.
        id: String,
        /// The revision that it must have, if that matters.
        revision: Option<u64>,
    },
}

/// Documents may hold a secret, so that only what is meant is printed.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { resource, .. } => write!(f, "Create({resource})"),
            Self::Add { resource, to, .. } => write!(f, "Add({resource} to {to:?})"),
            Self::Change { resource, id, .. } => write!(f, "Change({resource} {id:?})"),
            Self::Rotate { resource, id, .. } => write!(f, "Rotate({resource} {id:?})"),
            Self::Issue { user, .. } => write!(f, "Issue({user:?})"),
            Self::Delete { resource, id, .. } => write!(f, "Delete({resource} {id:?})"),
        }
    }
}

/// What an operation came to, or what was asked for.
#[derive(Debug)]
pub struct Outcome {
    /// What it is.
    pub resource: Resource,
    /// Its id.
    pub id: String,
    /// Its revision: the `ETag`.
    pub revision: u64,
    /// As it is shown; empty where it was taken away.
    pub document: Map<String, Value>,
    /// The secret that was made for it: shown this once.
    pub secret: Option<Secret>,
}

/// What a request came to: one outcome an operation.
#[derive(Debug)]
pub struct Answer {
    /// In the order of the operations.
    pub outcomes: Vec<Outcome>,
    /// It was done before, and this is what was answered then.
    pub replayed: bool,
}

/// How the store is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// How much of it is kept in memory at most, in bytes.
    pub cache: usize,
}

/// The key that opens the store, and where a new one takes its place.
#[derive(Debug)]
pub struct Master {
    /// The key.
    pub key: MasterKey,
    /// The file that holds it, unless it comes from elsewhere.
    pub file: Option<PathBuf>,
}

/// For what a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve and to change it.
    Serve,
    /// To look whether it is sound; nothing is written, not even what opening would tidy up.
    Look,
}

/// An open store. Clones share it; when the last one goes, what is under way is finished and the file let go.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    keys: Arc<ArcSwap<Keys>>,
    index: Arc<Index>,
    declared: Arc<ArcSwap<HashSet<(Resource, String)>>>,
    clock: Clock,
    path: PathBuf,
    /// `None` once the store is being let go.
    jobs: Option<mpsc::SyncSender<Job>>,
    writer: Option<std::thread::JoinHandle<()>>,
    /// Ends the writer's pauses.
    hurry: Arc<Hurry>,
    renewing: Arc<AtomicBool>,
    /// What the writer tells of itself.
    workings: Arc<standing::Workings>,
}

/// The most changes that wait for their turn; one more is refused rather than kept waiting without bound.
const MOST_WAITING: usize = 4096;

impl Store {
    /// Makes a new store, with a keyring of its own under this master key. Refuses a file that is there.
    pub fn create(settings: &Settings, master: &MasterKey) -> Result<(), Unopened> {
        load::create(settings, master)
    }

    /// Opens a store and reads all of it into the index.
    pub fn open(settings: &Settings, master: Master, clock: Clock, purpose: Purpose) -> Result<Self, Unopened> {
        Sound::find(settings, master, purpose)?.start(clock)
    }

    /// What the corridor reads.
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.inner.index)
    }

    /// Says what is declared in the configuration: none of it can be made in the store as well.
    pub fn declare(&self, declared: HashSet<(Resource, String)>) {
        self.inner.declared.store(Arc::new(declared));
    }

    /// Whether there is such an entry. Of those that nobody presents, such as groups, the index knows nothing.
    pub fn holds(&self, resource: Resource, id: &str) -> Result<bool, Unopened> {
        sound::holds(&self.inner.engine, resource, id)
    }

    /// Declares something else from now on. `install` puts it into the index, on the thread of the store: no change comes
    /// in between. Where it refuses, with `Err`, everything stays declared as it is.
    pub fn redeclare<T: Send + 'static, E: Send + 'static>(
        &self,
        declared: HashSet<(Resource, String)>,
        install: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Refused> {
        let current = Arc::clone(&self.inner.declared);
        self.task(move |writer| {
            let installed = install();
            if installed.is_ok() {
                current.store(Arc::new(declared));
                writer.known_from = writer.keys.load().keyring.newest_pepper();
            }
            Ok(installed)
        })
    }

    /// Asks for a change and hears later what came of it, from the thread of the store. Never blocks.
    pub fn submit(&self, request: Request, reply: impl FnOnce(Result<Answer, Refused>) + Send + 'static) {
        self.send(Job::Change { request, reply: Box::new(reply) });
    }

    /// Asks for a change and waits for it.
    pub fn apply(&self, request: Request) -> Result<Answer, Refused> {
        let (reply, answer) = mpsc::channel();
        self.submit(request, move |outcome| reply.send(outcome).unwrap_or_default());
        answer.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Gives the store a new master key and seals everything anew: at once with the new key, entry by entry in the
    /// background. `key_file` holds the new key where the old one does not come from a file.
    pub fn rekey(&self, actor: &Actor, key_file: Option<&Path>) -> Result<(), Refused> {
        let (actor, key_file) = (actor.clone(), key_file.map(Path::to_owned));
        self.task(move |writer| writer.rekey(&actor, key_file.as_deref()))
    }

    /// Adds a pepper and returns its number: new digests are made under it, older ones when they can be.
    pub fn add_pepper(&self, actor: &Actor) -> Result<u16, Refused> {
        let actor = actor.clone();
        self.task(move |writer| writer.add_pepper(&actor))
    }

    /// Retires a pepper under which nothing is known any more.
    pub fn retire_pepper(&self, actor: &Actor, number: u16) -> Result<(), Refused> {
        let actor = actor.clone();
        self.task(move |writer| writer.retire_pepper(&actor, number))
    }

    /// Writes into the audit trail that wrong credentials were forgiven, of this address or everywhere.
    pub fn note_forgiven(&self, actor: &Actor, address: Option<IpAddr>, identifier: bool) -> Result<(), Refused> {
        let actor = actor.clone();
        self.task(move |writer| writer.note(&actor, trail::cleared(address, identifier)))
    }

    fn task<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let (reply, answer) = mpsc::channel();
        self.send(Job::Task(Box::new(move |writer| reply.send(task(writer)).unwrap_or_default())));
        answer.recv().unwrap_or_else(|_| Err(closed()))
    }

    fn send(&self, job: Job) {
        let Some(jobs) = &self.inner.jobs else { return job.refuse(closed()) };
        let patient = matches!(job, Job::Change { .. });
        self.inner.workings.queued();
        match jobs.try_send(job) {
            Ok(()) if patient => {}
            Ok(()) => self.inner.hurry(),
            Err(mpsc::TrySendError::Full(job)) => {
                self.inner.workings.taken(1);
                job.refuse(Refused::Unavailable("too many changes wait for their turn".to_owned()));
            }
            Err(mpsc::TrySendError::Disconnected(job)) => {
                self.inner.workings.taken(1);
                job.refuse(closed());
            }
        }
    }
}

fn closed() -> Refused {
    Refused::Unavailable("the store takes no changes".to_owned())
}

/// An id for an entry that was given none: 80 random bits in letters and digits.
fn new_id() -> String {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the operating system has randomness once it runs programs");
    data_encoding::BASE32_NOPAD.encode(&random).to_ascii_lowercase()
}

impl Inner {
    /// Has the writer take at once what waits: a request that is relayed may wait for it.
    fn hurry(&self) {
        if let Some(writer) = &self.writer {
            self.hurry.up(writer.thread());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the writer finishes what waits, and ends.
        drop(self.jobs.take());
        self.hurry();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so; there is nobody left to tell.
            writer.join().unwrap_or_default();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .field("index", &self.inner.index)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
