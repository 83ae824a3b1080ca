//! The composition root: binds the listeners, seats the workers, starts the acceptors, and ends it all in good order.

mod certificates;
mod doors;
mod explain;
mod reload;
mod serve;
mod systemd;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use self::doors::Doors;
use self::explain::Explaining;
pub use self::reload::Reloader;
use self::reload::Running;
pub use self::serve::{serve, wait_for_stop};
use self::systemd::Inherited;
use crate::admin::{self, Counters};
use crate::background::give_way;
use crate::clock::Clock;
use crate::config::{self, Loaded, Stop};
use crate::deadline::Deadlines;
use crate::edge::listener::{Accepted, Seat};
use crate::edge::strain::{Memory, Strain};
use crate::edge::worker;
use crate::endpoint::Kit;
use crate::forward::leases::{Endings, Leases};
use crate::forward::{Fleet, Groups};
use crate::gateway::Gateway;
use crate::gateway::current::{Change, Current};
use crate::gateway::explain::Scenery;
use crate::kept::Outcome;
use crate::limit::failures::{Guards, Opened};
use crate::limit::ledger::Ledger;
use crate::limit::{Gate, Limits};
use crate::store::Store;
use crate::world::World;

/// How a server runs, besides what its configuration says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that serve connections.
    pub workers: usize,
    /// What time it is.
    pub clock: Clock,
}

/// A running gateway. Dropped, it stops at once; [`Server::drain`] lets it finish what is in flight.
pub struct Server {
    reloader: Reloader,
    ready: Arc<AtomicBool>,
    /// How often each worker has swept, and how often it had when somebody asked last.
    beats: Vec<(Arc<AtomicU64>, AtomicU64)>,
    accepting: CancellationToken,
    draining: CancellationToken,
    store: Option<Store>,
    admin: Option<SocketAddr>,
    /// What is in force.
    world: Arc<ArcSwap<World>>,
    limits: Arc<Limits>,
    endings: Arc<Endings>,
    clock: Clock,
    /// Gives nothing; it closes when the last thread of the server has ended.
    ended: Receiver<()>,
}

impl Server {
    /// Binds every listener and starts serving.
    pub fn start(loaded: Loaded, options: &Options) -> io::Result<Self> {
        Self::begin(loaded, options, None, Inherited::default())
    }

    /// The same with quotas kept by this ledger.
    pub fn start_with_ledger(loaded: Loaded, options: &Options, ledger: Option<Arc<dyn Ledger>>) -> io::Result<Self> {
        Self::begin(loaded, options, ledger, Inherited::default())
    }

    fn begin(
        loaded: Loaded,
        options: &Options,
        ledger: Option<Arc<dyn Ledger>>,
        mut inherited: Inherited,
    ) -> io::Result<Self> {
        let (accepting, draining) = (CancellationToken::new(), CancellationToken::new());
        let (clock, mut world) = (options.clock.clone(), loaded.world);
        let (alive, ended) = channel();
        let (commands, commanded) = unbounded_channel();
        let doors = Doors::new(commands, accepting.clone());
        let plan = doors.plan(&mut world, &mut inherited)?;
        inherited.tell();
        // Only now: a start that the system refuses leaves the store's file as it was.
        let store = loaded.store.map(|sound| sound.start(clock.clone())).transpose().map_err(io::Error::other)?;
        let control = Builder::new_current_thread().enable_all().build()?;
        let crew = Crew::gather(world, (store, ledger), &clock, control.handle())?;
        let Seated { seats, workers, beats } = crew.seat(options, &alive, &draining)?;
        let world = Arc::new(ArcSwap::new(Arc::clone(&crew.world)));
        let reloader = Reloader::new(Running {
            path: loaded.path,
            fixed: loaded.fixed,
            declared: Arc::new(loaded.declared),
            index: Arc::clone(&crew.world.directory),
            store: crew.store.clone(),
            doors,
            kit: crew.kit.clone(),
            limits: Arc::clone(&crew.limits),
            guards: Arc::clone(&crew.guards),
            fleet: Arc::clone(&crew.fleet),
            world: Arc::clone(&world),
            workers,
            stop: loaded.stop,
            memory: Arc::clone(&crew.memory),
            watch: loaded.watch,
            draining: false,
        });
        let admin = crew.admin(loaded.admin, &reloader, (&clock, &draining), &alive)?;
        let (watched, watch, memory) = (Arc::clone(&world), clock.clone(), Arc::clone(&crew.memory));
        let stop = accepting.clone();
        spawn("vidgate-control".to_owned(), alive, move || {
            // A crowd that comes in must not take the cores from those who are served.
            give_way();
            // It ends with the runtime.
            control.spawn(certificates::watch(move || watched.load_full(), watch));
            control.block_on(doors::control(commanded, seats, memory, stop));
        })?;
        reloader.running().begin(plan, &crew.world);
        let ready = Arc::new(AtomicBool::new(true));
        let Crew { store, limits, endings, .. } = crew;
        Ok(Self { reloader, ready, beats, accepting, draining, store, admin, world, limits, endings, clock, ended })
    }

    /// What changes its configuration while it runs.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Whether requests should be sent here: false as soon as a stop was asked for.
    pub fn readiness(&self) -> &Arc<AtomicBool> {
        &self.ready
    }

    /// Whether every worker has come round since somebody asked last. One does so ten times a second.
    pub fn is_alive(&self) -> bool {
        self.beats.iter().fold(true, |alive, (beats, seen)| {
            let now = beats.load(Ordering::Relaxed);
            seen.swap(now, Ordering::Relaxed) != now && alive
        })
    }

    /// Where a listener is bound: with port 0 in the configuration, the one that was free.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses().into_iter().find(|(name, _)| &**name == listener).map(|(_, address)| address)
    }

    /// Where the admin API is bound, if the configuration has it.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Every listener with its address.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        self.reloader.running().doors.addresses().map(|(name, address)| (name.into(), address)).collect()
    }

    /// Reads every file of TLS anew, whether it has changed or not, and says what became of each listener and upstream.
    /// Waits for the disk.
    pub fn reload_certificates(&self) -> Vec<Outcome> {
        self.world.load().renew(&self.clock, true)
    }

    /// What a request is explained by that would come now.
    pub fn scenery(&self) -> Scenery {
        Explaining::of(&self.reloader.running(), &self.clock).scenery()
    }

    /// Where the quotas of accounts stand.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// How many open streams were ended because their callers would be let in no longer.
    pub fn endings(&self) -> &Arc<Endings> {
        &self.endings
    }

    /// Where accounts and credentials are changed while all this runs, if the configuration has a store.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Says that it is not ready any more, takes requests in for as long as `lame_duck` says all the same, refuses new
    /// connections, finishes what is in flight, and returns whether all of it ended in time.
    pub fn drain(self) -> bool {
        self.drain_unless(|| false)
    }

    /// The same, but gives up as soon as `hurried`: it is asked a few times a second.
    ///
    /// The store is let go last, when nobody can use a credential any more: last uses are on file, and the file is free.
    pub fn drain_unless(self, hurried: impl Fn() -> bool) -> bool {
        const STEP: Duration = Duration::from_millis(100);
        let Stop { lame_duck, drain } = self.reloader.end();
        self.ready.store(false, Ordering::Relaxed);
        let mut left = lame_duck;
        while !left.is_zero() {
            if hurried() {
                return false;
            }
            let step = left.min(STEP);
            thread::sleep(step);
            left -= step;
        }
        self.accepting.cancel();
        self.draining.cancel();
        let mut left = drain;
        while !hurried() {
            let step = left.min(STEP);
            match self.ended.recv_timeout(step) {
                Err(RecvTimeoutError::Timeout) if left > step => left -= step,
                Err(RecvTimeoutError::Timeout) | Ok(()) => return false,
                Err(RecvTimeoutError::Disconnected) => {
                    // Nobody spends any more: what was only reserved is given back.
                    self.limits.settle(self.clock.unix());
                    return true;
                }
            }
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.cancel();
        self.draining.cancel();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

/// What the server begins with.
struct Crew {
    world: Arc<World>,
    store: Option<Store>,
    kit: Kit,
    limits: Arc<Limits>,
    guards: Arc<Guards>,
    fleet: Arc<Fleet>,
    endings: Arc<Endings>,
    memory: Arc<Memory>,
}

/// The workers, once all of them are ready.
struct Seated {
    /// Where each takes sockets.
    seats: Vec<Seat>,
    /// Where each hears of a change.
    workers: Vec<UnboundedSender<Change>>,
    /// How often each has swept.
    beats: Vec<(Arc<AtomicU64>, AtomicU64)>,
}

impl Crew {
    /// What goes with this World.
    fn gather(
        world: World,
        (store, ledger): (Option<Store>, Option<Arc<dyn Ledger>>),
        clock: &Clock,
        control: &Handle,
    ) -> io::Result<Self> {
        let ledger = ledger.or_else(|| Some(Arc::new(store.clone()?)));
        let limits = Limits::new(ledger, clock).map_err(io::Error::other)?;
        let kit = Kit::new(store.clone(), clock.clone(), Arc::clone(&world.token_outfit), Arc::clone(&limits));
        let kit = kit.issuing(world.login.clone())?;
        let memory = Arc::<Memory>::default();
        memory.limit(world.overload.memory);
        let (guards, fleet) = (Guards::new(clock.clone()), Fleet::new(clock.clone(), control.clone()));
        let (endings, world) = (Arc::default(), Arc::new(world));
        Ok(Self { world, store, kit, limits, guards, fleet, endings, memory })
    }

    /// Opens the admin listener, where there is one. Says where it is bound.
    fn admin(
        &self,
        settings: Option<admin::Settings>,
        reloader: &Reloader,
        (clock, stop): (&Clock, &CancellationToken),
        alive: &Sender<()>,
    ) -> io::Result<Option<SocketAddr>> {
        let (Some(settings), Some(store)) = (settings, &self.store) else { return Ok(None) };
        let (limits, guards) = (Arc::clone(&self.limits), Arc::clone(&self.guards));
        let explain = Some(Explaining::of(&reloader.running(), clock).for_operators());
        let counters = Counters { limits, guards, reload: Some(reloader.for_operators()), explain };
        let store = (store.clone(), counters);
        admin::listener::start(settings, store, clock.clone(), stop.clone(), alive.clone()).map(Some)
    }

    /// Starts the workers, and returns when each of them is ready.
    fn seat(&self, options: &Options, alive: &Sender<()>, drain: &CancellationToken) -> io::Result<Seated> {
        let (opened, groups) = (self.guards.open(&self.world.guards), self.fleet.open(&self.world.upstreams));
        let (mut seats, mut workers, mut all_beats) = (Vec::new(), Vec::new(), Vec::new());
        let (ready, readiness) = channel();
        for number in 0..options.workers.max(1) {
            let (arrivals, waiting) = unbounded_channel();
            seats.push(Seat::new(arrivals));
            let (changes, heard) = unbounded_channel();
            workers.push(changes);
            let (world, clock, drain) = (Arc::clone(&self.world), options.clock.clone(), drain.clone());
            let (ready, kit, beats) = (ready.clone(), self.kit.clone(), Arc::<AtomicU64>::default());
            all_beats.push((Arc::clone(&beats), AtomicU64::new(0)));
            let memory = Arc::clone(&self.memory);
            let gates = (self.limits.open(&self.world.limits), Arc::clone(&opened), Arc::clone(&groups));
            let endings = Arc::clone(&self.endings);
            let work = move || {
                let strain = Strain::new(memory, beats);
                work(world, (&kit, strain), (gates, endings), (waiting, heard), clock, drain, &ready);
            };
            seat(number, alive.clone(), work)?;
        }
        drop(ready);
        await_workers(&readiness, seats.len())?;
        Ok(Seated { seats, workers, beats: all_beats })
    }
}

fn seat(number: usize, alive: Sender<()>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    spawn(format!("vidgate-worker-{number}"), alive, work)
}

fn spawn(name: String, alive: Sender<()>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(move || {
        work();
        drop(alive);
    })?;
    Ok(())
}

/// Waits until each worker has said that it is ready, or one of them why it is not.
fn await_workers(readiness: &Receiver<io::Result<()>>, workers: usize) -> io::Result<()> {
    for _ in 0..workers {
        readiness.recv().map_err(|_| io::Error::other("a worker ended before it was ready"))??;
    }
    Ok(())
}

fn work(
    world: Arc<World>,
    (kit, strain): (&Kit, Strain),
    (gates, endings): ((Gate, Opened, Groups), Arc<Endings>),
    inbox: (UnboundedReceiver<Accepted>, UnboundedReceiver<Change>),
    clock: Clock,
    drain: CancellationToken,
    ready: &Sender<io::Result<()>>,
) {
    // Nobody listens any more when another worker has failed; then there will be no arrivals either.
    let say = |outcome| ready.send(outcome).unwrap_or_default();
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return say(Err(error)),
    };
    runtime.block_on(async {
        let deadlines = Deadlines::new(clock.clone());
        let leases = Leases::new(endings);
        let gateway = Gateway::new(world, kit, gates, clock.clone(), (&deadlines, &leases));
        say(Ok(()));
        worker::serve(inbox, Rc::new(Current::new(gateway, strain)), clock, deadlines, drain).await;
    });
}

/// Why nothing is served.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong.
    Configuration(config::Report),
    /// The system refused a socket or a thread.
    Start(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_only_when_every_worker_is_ready() {
        for (said, expected) in [
            (vec![Ok(()), Ok(())], Ok(())),
            (vec![Ok(()), Err(io::Error::other("no runtime"))], Err("no runtime")),
            (vec![Ok(())], Err("a worker ended before it was ready")),
        ] {
            let (ready, readiness) = channel();
            for outcome in said {
                ready.send(outcome).expect("somebody listens");
            }
            drop(ready);
            let outcome = await_workers(&readiness, 2).map_err(|error| error.to_string());
            assert_eq!(outcome, expected.map_err(str::to_owned));
        }
    }
}
