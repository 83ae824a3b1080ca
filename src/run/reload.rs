//! Another configuration while everything runs. Everything that can be refused is asked for first; then one thing after the
//! other is put in the place of what was there, and nothing is refused any more. A failed reload has changed nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedSender;

use super::Failure;
use super::doors::{Doors, Plan};
use super::lookout::Lookout;
use super::systemd::{self, Inherited};
use crate::admin::{Reload, Unchanged};
use crate::config::{self, Fixed, Installed, Next, Report, Stop};
use crate::edge::overload::Memory;
use crate::endpoint::Kit;
use crate::forward::Fleet;
use crate::gateway::current::Change;
use crate::key_set;
use crate::limit::Limits;
use crate::limit::failures::Guards;
use crate::store::{Index, Store};
use crate::telemetry::{access, log, trace};
use crate::world::World;

/// What a running gateway is made of, as far as another configuration changes it. Clones share it.
#[derive(Clone)]
pub struct Reloader(Arc<Mutex<Running>>);

/// It outlives every World.
pub(super) struct Running {
    /// The file, where it was started with one.
    pub(super) path: Option<PathBuf>,
    pub(super) fixed: Fixed,
    pub(super) declared: Arc<Installed>,
    pub(super) index: Arc<Index>,
    pub(super) store: Option<Store>,
    pub(super) doors: Doors,
    pub(super) kit: Kit,
    pub(super) limits: Arc<Limits>,
    pub(super) guards: Arc<Guards>,
    pub(super) fleet: Arc<Fleet>,
    /// What is in force.
    pub(super) world: Arc<ArcSwap<World>>,
    /// Where each worker hears of a change.
    pub(super) workers: Vec<UnboundedSender<Change>>,
    /// How it ends.
    pub(super) stop: Stop,
    /// What the process takes, for all workers to see.
    pub(super) memory: Arc<Memory>,
    pub(super) watch: bool,
    /// The log of requests, and where its lines go unless a file is named.
    pub(super) access: (Arc<access::Running>, access::Output),
    /// Who sends spans.
    pub(super) spans: Arc<trace::Running>,
    /// It is about to end.
    pub(super) draining: bool,
    /// Which configuration it is, counted from the start.
    pub(super) generation: u64,
    /// Who is told.
    pub(super) lookout: Arc<Lookout>,
}

impl Reloader {
    pub(super) fn new(running: Running) -> Self {
        Self(Arc::new(Mutex::new(running)))
    }

    /// Whether the file is read anew when it changes.
    pub(super) fn watches(&self) -> bool {
        self.running().watch
    }

    /// Nothing is changed from now on. How it ends.
    pub(super) fn end(&self) -> Stop {
        let mut running = self.running();
        running.draining = true;
        running.stop
    }

    /// Opens the access log anew as it is, since it may have been moved away. Where it cannot be opened, lines go on to
    /// the one that was.
    fn reopen(&self) {
        let running = self.running();
        match output(&running.world.load(), &running.access.1) {
            Ok(output) => running.access.0.go_on_with(output),
            Err(error) => tracing::error!(%error, "the access log was not opened anew"),
        }
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Running> {
        // Whoever panicked with it held nothing half done: the steps that follow each other refuse nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the admin API calls. It does not keep a server from ending.
    pub(super) fn for_operators(&self) -> Reload {
        let weak = Arc::downgrade(&self.0);
        Reload::new(move || {
            let outcome = weak.upgrade().map_or_else(|| Err(ending()), |running| Self(running).reload());
            outcome.map(|report| report.sentences().collect()).map_err(|failure| failure.unchanged())
        })
    }

    /// Reads the file anew that the server was started with. Every request that comes after it has returned is served
    /// under the new configuration; those that are in flight keep the one that they entered with.
    ///
    /// # Errors
    ///
    /// Nothing was changed: the report says what is wrong, or the system refused a socket.
    pub fn reload(&self) -> Result<Report, Failure> {
        self.running().told(|running| {
            let Some(path) = running.path.clone() else {
                return Err(Failure::Start(io::Error::other("it was not started with a file")));
            };
            let next = config::load_next(&path, &running.fixed, &running.index).map_err(Failure::Configuration)?;
            running.go_on_with(next)
        })
    }

    /// The same with a configuration that is at hand.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn reload_text(&self, name: &str, text: &str, base: &Path) -> Result<Report, Failure> {
        self.running().told(|running| {
            let over = (&running.fixed, &running.index);
            let next = config::load_next_text(name, text, base, over).map_err(Failure::Configuration)?;
            running.go_on_with(next)
        })
    }
}

impl Running {
    /// Does this, and tells whoever looks what came of it.
    fn told(&mut self, reload: impl FnOnce(&mut Self) -> Result<Report, Failure>) -> Result<Report, Failure> {
        let outcome = reload(self);
        self.lookout.reloaded(outcome.as_ref().err().map(|failure| failure.unchanged().summary));
        outcome
    }

    fn go_on_with(&mut self, next: Next) -> Result<Report, Failure> {
        if self.draining {
            return Err(ending());
        }
        let Next { mut world, log, stop, watch, traces, declared } = next;
        let report = declared.warnings().clone();
        // What may be refused.
        let plan = self.doors.plan(&mut world, &mut Inherited::default()).map_err(Failure::Start)?;
        // Opened anew also where it is the same file: it may have been moved away.
        let output = output(&world, &self.access.1).map_err(Failure::Start)?;
        let kit = self.kit.under(Arc::clone(&world.token_outfit), world.login.clone()).map_err(Failure::Start)?;
        let collector = self.spans.prepare(traces.as_ref()).map_err(Failure::Start)?;
        self.declared = Arc::new(self.declare(declared)?);
        // What is not refused any more.
        let world = Arc::new(world);
        let before = self.world.load();
        key_set::succeed(&before.key_sets, &world.key_sets);
        before.hand_over(&world);
        drop(before);
        self.kit = kit;
        self.stop = stop;
        self.memory.limit(world.overload.memory);
        self.watch = watch;
        log::set_level(log.level);
        self.access.0.go_on_with(output);
        self.spans.go_on_with(collector);
        // Closed first, so that nothing comes in by them under a World that does not have them; and opened last, when every
        // worker has one that does.
        self.doors.close(&world);
        self.generation += 1;
        self.adopt(&world);
        self.world.store(Arc::clone(&world));
        self.doors.open(plan, &world);
        self.doors.tend(&world);
        self.lookout.loaded(self.generation, report.sentences().collect(), &self.doors);
        Ok(report)
    }

    /// Opens the doors of the first World, once every worker is ready.
    pub(super) fn begin(&mut self, plan: Plan, world: &World, warnings: Vec<String>) {
        self.doors.open(plan, world);
        self.doors.tend(world);
        self.lookout.loaded(self.generation, warnings, &self.doors);
    }

    /// Puts who is declared now in the place of who was declared before.
    fn declare(&self, declared: config::Pending) -> Result<Installed, Failure> {
        let (index, before) = (Arc::clone(&self.index), Arc::clone(&self.declared));
        let Some(store) = &self.store else {
            return declared.install(&index, &before, |_, _| Ok(false)).map_err(Failure::Configuration);
        };
        let (entries, own) = (declared.entries(), store.clone());
        let install = move || declared.install(&index, &before, |resource, id| own.holds(resource, id));
        let installed = store
            .redeclare(entries, install)
            .map_err(|refused| Failure::Start(io::Error::other(refused.to_string())))?;
        installed.map_err(Failure::Configuration)
    }

    /// Has every worker serve what comes from now on under this World, and returns when all do.
    fn adopt(&self, world: &Arc<World>) {
        let (opened, groups) = (self.guards.open(&world.guards), self.fleet.open(&world.upstreams));
        let (taken, all) = channel();
        for worker in &self.workers {
            let gates = (self.limits.open(&world.limits), Arc::clone(&opened), Arc::clone(&groups));
            let (world, kit, taken) = (Arc::clone(world), self.kit.clone(), taken.clone());
            // A worker that is gone serves nobody under any World.
            let _ =
                worker.send(Change { world, kit, gates, drain: self.stop.drain, generation: self.generation, taken });
        }
        drop(taken);
        // Nothing is sent; it closes when the last worker has taken it.
        let _: Result<(), _> = all.recv();
    }
}

impl Failure {
    /// The same of a reload, for operators.
    fn unchanged(&self) -> Unchanged {
        let (what, mistakes) = match self {
            Self::Configuration(report) => (report.summary(), report.mistakes().collect()),
            Self::Start(error) => (error.to_string(), Vec::new()),
        };
        Unchanged { summary: format!("nothing was changed: {what}"), mistakes }
    }
}

/// Where the lines of requests go under this World.
pub(super) fn output(world: &World, unless: &access::Output) -> io::Result<access::Output> {
    let Some(file) = world.telemetry.access.as_ref().and_then(|access| access.file.as_ref()) else {
        return Ok(unless.clone());
    };
    access::Output::file(file)
        .map_err(|error| io::Error::new(error.kind(), format!("the access log {}: {error}", file.display())))
}

/// Reads the configuration anew and tells the log what came of it.
pub(super) fn reload_and_tell(reloader: &Reloader, why: &str) {
    systemd::reloading();
    let outcome = reloader.reload();
    // Also where nothing came of it: it serves as before.
    systemd::ready();
    match outcome {
        Ok(report) => {
            report.sentences().for_each(|warning| tracing::warn!("{warning}"));
            tracing::info!(why, "the configuration was read anew");
        }
        Err(failure) => {
            reloader.reopen();
            if let Failure::Configuration(report) = &failure {
                report.sentences().for_each(|sentence| tracing::error!("{sentence}"));
            }
            let summary = failure.unchanged().summary;
            tracing::error!(why, summary, "the configuration was not read anew");
        }
    }
}

fn ending() -> Failure {
    Failure::Start(io::Error::other("it is about to end"))
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}
