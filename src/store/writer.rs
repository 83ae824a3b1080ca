//! The one who writes: a thread that takes what waits, works all of it in one transaction, waits for the disk once, lets
//! everyone see it, and only then answers. In between it looks after the store (`upkeep.rs`).

use std::collections::{HashMap, HashSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::batch::{self, Batch, Hurry, Job, Reply, Reservation};
use super::document;
use super::engine::{Engine, Failed};
use super::entry::Entry;
use super::index::{Index, Sighting};
use super::keys::Keys;
use super::ledger;
use super::link::Stop;
use super::publish::{Above, Publisher, above};
use super::refused::Refused;
use super::resource::Resource;
use super::rules::{self, Circumstances, Effect, Worked};
use super::shelf::{Desk, Shelf, entry_key};
use super::standing::Workings;
use super::upkeep::Upkeep;
use super::{Answer, Master, Outcome, Request, closed, replay, trail};
use crate::clock::{Clock, UnixTime};

/// How long the writer waits for work before it looks after the store.
const TICK: Duration = Duration::from_millis(200);

/// The writer.
pub(super) struct Writer {
    pub(super) engine: Arc<Engine>,
    pub(super) keys: Arc<ArcSwap<Keys>>,
    pub(super) index: Arc<Index>,
    pub(super) publisher: Publisher,
    declared: Arc<ArcSwap<HashSet<(Resource, String)>>>,
    /// The pepper that was the newest when they were declared: credentials of the configuration are known under it.
    pub(super) known_from: u16,
    pub(super) master: Master,
    pub(super) clock: Clock,
    pub(super) upkeep: Upkeep,
    /// Whether entries are being renewed, for others to see.
    pub(super) renewing: Arc<AtomicBool>,
    /// What it tells of itself.
    pub(super) workings: Arc<Workings>,
    /// How many requests there were in the last transaction.
    pub(super) crowd: usize,
    /// How long others are waited for after a large one.
    pub(super) patience: Duration,
    /// Ends that.
    hurry: Arc<Hurry>,
}

/// A change that everyone is to see.
pub(super) struct Publication {
    pub(super) effect: Effect,
    pub(super) above: Above,
}

/// What was worked for one request, to be told once it is on disk.
struct Done {
    reply: Reply,
    outcome: Result<Answer, Refused>,
    publications: Vec<Publication>,
}

impl Writer {
    pub(super) fn new(
        engine: Arc<Engine>,
        keys: Arc<ArcSwap<Keys>>,
        index: Arc<Index>,
        declared: Arc<ArcSwap<HashSet<(Resource, String)>>>,
        master: Master,
        sightings: Receiver<Sighting>,
        clock: Clock,
    ) -> Self {
        let upkeep = Upkeep::new(sightings, &clock);
        let renewing = Arc::new(AtomicBool::new(true));
        Self {
            known_from: keys.load().keyring.newest_pepper(),
            renewing,
            workings: Arc::default(),
            crowd: 0,
            patience: batch::PATIENCE,
            hurry: Arc::default(),
            publisher: Publisher::new(Arc::clone(&index)),
            engine,
            keys,
            index,
            declared,
            master,
            clock,
            upkeep,
        }
    }

    /// What ends its pauses.
    pub(super) fn hurry(&self) -> Arc<Hurry> {
        Arc::clone(&self.hurry)
    }

    /// Works until nobody is left to ask.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            // A panic costs whoever asked their answer; nobody else is to be without a writer for it.
            match panic::catch_unwind(AssertUnwindSafe(|| self.step(jobs))) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => tracing::error!("the thread of the store has panicked, and goes on"),
            }
        }
        self.finish();
    }

    /// Works what waits, and takes one step of what is due. Whether anybody is left to ask.
    fn step(&mut self, jobs: &Receiver<Job>) -> bool {
        self.workings.heart.beat();
        let wait = if self.upkeep.is_pressing(&self.clock) { Duration::ZERO } else { TICK };
        match jobs.recv_timeout(wait) {
            Ok(job) => {
                if batch::pauses(&job, self.crowd) {
                    // Others go on asking meanwhile, and wake nobody. Whoever is in a hurry ends it (`Store::send`).
                    self.hurry.rest(self.patience);
                }
                let mut batch = Batch::default();
                let task = batch::gather(jobs, &mut batch, job);
                self.workings.taken(batch.jobs() + usize::from(task.is_some()));
                if !batch.requests.is_empty() {
                    self.crowd = batch.requests.len();
                }
                if !batch.is_empty() {
                    self.commit(batch);
                }
                if let Some(task) = task {
                    task(self);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.look_after();
        true
    }

    /// Whether the configuration has credentials of its own.
    pub(super) fn has_declared(&self) -> bool {
        self.declared.load().iter().any(|(resource, _)| *resource != Resource::Account)
    }

    /// Works a batch in one transaction. Whoever is refused leaves nothing behind.
    fn commit(&mut self, Batch { requests: batch, reservations, .. }: Batch) {
        let adopted = self.adopt(&batch);
        let (keys, declared) = (self.keys.load_full(), self.declared.load_full());
        let at = Circumstances { now: self.clock.unix(), declared: &declared, index: &self.index };
        let mut waiting = batch.into_iter();
        let mut done: Vec<Done> = Vec::with_capacity(waiting.len());
        let begun = self.clock.now();
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            reservations.iter().try_for_each(|reservation| ledger::write(&mut desk, &reservation.entries))?;
            for (request, reply) in waiting.by_ref() {
                done.push(Done { reply, outcome: Err(closed()), publications: Vec::new() });
                let mark = desk.mark();
                let worked = match work(&mut desk, request, &at) {
                    Err(Stop::Broken(error)) => return Err(Abort::Broken(error)),
                    Err(Stop::Refused(refused)) => desk.roll_back(mark).map(|()| Err(refused))?,
                    Ok(worked) => Ok(worked),
                };
                let told = done.last_mut().expect("it was pushed above");
                told.outcome = worked.map(|(answer, publications)| {
                    told.publications = publications;
                    answer
                });
            }
            // Nothing to write is nothing to wait for.
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        if let Ok(Ok(())) = &written {
            self.workings.committed(at.now, self.clock.now().saturating_duration_since(begun));
        }
        let failed = match written {
            Ok(Ok(()) | Err(Abort::Nothing)) => None,
            Ok(Err(Abort::Broken(error))) => Some(unavailable(&error.into())),
            Err(failed) => Some(unavailable(&failed)),
        };
        if let Some(refused) = &failed {
            tracing::error!(%refused, "changes are refused");
            for (_, reply) in waiting {
                reply(Err(refused.clone()));
            }
        }
        if failed.is_none() {
            reservations.into_iter().for_each(Reservation::succeed);
        }
        let used = if adopted.is_empty() || failed.is_some() { HashSet::new() } else { peppers(&done) };
        for told in done {
            self.tell(told, failed.as_ref());
        }
        self.let_go(adopted, &used);
    }

    /// Lets everyone see what was written, and answers.
    fn tell(&self, done: Done, failed: Option<&Refused>) {
        let Done { reply, outcome, publications } = done;
        match (outcome, failed) {
            (Ok(_), Some(failed)) => reply(Err(failed.clone())),
            (Ok(answer), None) => {
                self.publish(publications);
                reply(Ok(answer));
            }
            (Err(refused), _) => reply(Err(refused)),
        }
    }

    /// Lets everyone see changes that are on disk.
    pub(super) fn publish(&self, publications: Vec<Publication>) {
        let keys = self.keys.load_full();
        for Publication { effect, above } in publications {
            if let Err(damaged) = self.publisher.show(&keys, &effect, &above) {
                // What cannot be shown is not believed: an entry that makes no record opens nothing.
                tracing::error!(%damaged, "an entry on file cannot be used");
            }
        }
    }
}

/// The peppers under which something is known in what was worked.
fn peppers(done: &[Done]) -> HashSet<u16> {
    let entries = done.iter().flat_map(|done| &done.publications).filter_map(|shown| shown.effect.after.as_ref());
    entries.flat_map(|entry| &entry.versions).map(|version| version.digest.pepper).collect()
}

/// Why nothing was written.
pub(super) enum Abort {
    /// There was nothing to write.
    Nothing,
    /// The disk.
    Broken(redb::Error),
}

impl From<redb::Error> for Abort {
    fn from(error: redb::Error) -> Self {
        Self::Broken(error)
    }
}

/// Works one request.
fn work(desk: &mut Desk<'_>, request: Request, at: &Circumstances<'_>) -> Result<(Answer, Vec<Publication>), Stop> {
    let Request { actor, operations, idempotency } = request;
    if let Some(asked) = &idempotency
        && let Some(answer) = replay::recall(desk, &actor.0, asked, at.now)?
    {
        return Ok((answer, Vec::new()));
    }
    let (mut outcomes, mut publications, mut deals) = (Vec::new(), Vec::new(), Vec::new());
    let many = operations.len() > 1;
    for (place, operation) in operations.into_iter().enumerate() {
        let worked =
            rules::perform(desk, operation, at).map_err(|stop| if many { in_place(stop, place) } else { stop })?;
        outcomes.push(outcome(desk, &worked, at.now)?);
        deals.extend(worked.deals);
        // Many may be below the same one.
        let mut aboves = Aboves::default();
        for effect in worked.effects {
            let above = effect.after.as_ref().map(|entry| aboves.of(desk, entry)).transpose()?.unwrap_or_default();
            publications.push(Publication { effect, above });
        }
        if let Some(made) = worked.made
            && let Some(outcome) = outcomes.last_mut()
        {
            outcome.secret = Some(made);
        }
    }
    let answer = Answer { outcomes, replayed: false };
    trail::append(desk, at.now, &actor.0, deals)?;
    if let Some(asked) = &idempotency {
        replay::keep(desk, &actor.0, asked, &answer, at.now)?;
    }
    Ok((answer, publications))
}

/// What entries take from those that they are for, each read once.
#[derive(Default)]
pub(super) struct Aboves(HashMap<(Resource, String), Above>);

impl Aboves {
    /// What this entry takes from the one that it is for, as that stands on the desk.
    pub(super) fn of(&mut self, desk: &Desk<'_>, entry: &Entry) -> Result<Above, redb::Error> {
        let Some((resource, id)) = above(entry) else { return Ok(Above::default()) };
        let place = (resource, id.to_owned());
        if let Some(known) = self.0.get(&place) {
            return Ok(known.clone());
        }
        let found = desk.entry(resource, id)?.map(|entry| Above::of(&entry)).unwrap_or_default();
        self.0.insert(place, found.clone());
        Ok(found)
    }
}

/// Says which operation of many was refused.
fn in_place(stop: Stop, place: usize) -> Stop {
    match stop {
        Stop::Refused(refused) => Stop::Refused(Refused::InBulk { place, refused: Box::new(refused) }),
        broken @ Stop::Broken(_) => broken,
    }
}

/// How an operation is answered, but for a secret that was made.
fn outcome(desk: &Desk<'_>, worked: &Worked, now: UnixTime) -> Result<Outcome, redb::Error> {
    let entry = &worked.entry;
    let resource = entry.resource();
    let key = entry_key(resource, &entry.id);
    let gone = worked.effects.first().is_some_and(|effect| effect.after.is_none());
    let document = if gone {
        serde_json::Map::new()
    } else {
        document::shown(entry, desk.get(Shelf::Used, &key)?.as_deref().and_then(super::read::last_used), now)
    };
    Ok(Outcome { resource, id: entry.id.clone(), revision: entry.revision, document, secret: None })
}

pub(super) fn unavailable(failed: &Failed) -> Refused {
    Refused::Unavailable(failed.to_string())
}
