//! The composition root: binds the listeners, seats the workers, starts the acceptors, and ends it all in good order.

mod certificates;
mod doors;
mod drain;
mod explain;
mod face;
mod lookout;
mod metrics;
mod reload;
mod serve;
mod systemd;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Handle, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use self::doors::Doors;
use self::explain::Explaining;
use self::lookout::{Lookout, Watched};
pub use self::reload::Reloader;
use self::reload::Running;
pub use self::serve::{serve, wait_for_stop};
use self::systemd::Inherited;
use crate::admin::status::Running as Seen;
use crate::admin::{self, Counters};
use crate::background::give_way;
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::deadline::Deadlines;
use crate::edge::listener::{Accepted, Seat};
use crate::edge::overload::{Gauge, Memory};
use crate::edge::vitals::Vitals;
use crate::edge::worker;
use crate::endpoint::Kit;
use crate::forward::leases::{Endings, Leases};
use crate::forward::{Fleet, Groups};
use crate::gateway::Gateway;
use crate::gateway::current::{Change, Current};
use crate::limit::failures::{Guards, Opened};
use crate::limit::ledger::Ledger;
use crate::limit::{Gate, Limits};
use crate::store::Store;
use crate::telemetry::metrics::Workers;
use crate::telemetry::{Refusals, Sinks, Told, access, trace};
use crate::world::World;

/// The number of the configuration that it starts with.
const FIRST: u64 = 1;

/// How a server runs, besides what its configuration says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that serve connections.
    pub workers: usize,
    /// What time it is.
    pub clock: Clock,
    /// Where the lines of requests go, unless the configuration names a file.
    pub output: access::Output,
}

/// A running gateway. Dropped, it stops at once; [`Server::drain`] lets it finish what is in flight.
pub struct Server {
    reloader: Reloader,
    ready: Arc<AtomicBool>,
    lookout: Arc<Lookout>,
    accepting: CancellationToken,
    draining: CancellationToken,
    store: Option<Store>,
    /// What is in force.
    world: Arc<ArcSwap<World>>,
    limits: Arc<Limits>,
    endings: Arc<Endings>,
    /// Who writes the lines of requests, and who sends their spans.
    told: (Arc<access::Running>, Arc<trace::Running>),
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
        let output = reload::output(&world, &options.output)?;
        let (log, access) = access::Log::start(output)?;
        let access = Arc::new(access);
        let (traces, spans) = trace::Queue::start(loaded.traces.as_ref())?;
        let mut crew = Crew::gather(world, (store, ledger), &clock, control.handle())?;
        crew.counted = (loaded.admin.is_some() || loaded.monitoring.is_some()).then(Arc::default);
        crew.access = Some(Arc::clone(&access));
        crew.spans = spans.counts();
        let spans = Arc::new(spans);
        let told = (Arc::clone(&access), Arc::clone(&spans));
        // The log ends when the workers have.
        let Seated { seats, workers, vitals } = crew.seat(options, (log, traces), &alive, &draining)?;
        let world = Arc::new(ArcSwap::new(Arc::clone(&crew.world)));
        let ready = Arc::<AtomicBool>::default();
        let lookout = Lookout::of(&crew, vitals, (&clock, &ready), &world, loaded.path.as_deref());
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
            access: (Arc::clone(&access), options.output.clone()),
            spans,
            draining: false,
            generation: FIRST,
            lookout: Arc::clone(&lookout),
        });
        let around = (&clock, &draining);
        let admin = crew.admin(loaded.admin, (&reloader, &lookout), around, &alive)?;
        let monitoring = lookout.listen(loaded.monitoring, around, &alive)?;
        lookout.opened([("admin", admin), ("monitoring", monitoring)]);
        let (watched, watch, memory) = (Arc::clone(&world), clock.clone(), Arc::clone(&crew.memory));
        let (stop, ticks) = (accepting.clone(), clock.clone());
        spawn("vidgate-control".to_owned(), alive, move || {
            // A crowd that comes in must not take the cores from those who are served.
            give_way();
            // It ends with the runtime.
            control.spawn(certificates::watch(move || watched.load_full(), watch));
            control.block_on(doors::control(commanded, seats, (memory, ticks), stop));
        })?;
        reloader.running().begin(plan, &crew.world, loaded.warnings.sentences().collect());
        ready.store(true, Ordering::Relaxed);
        let Crew { store, limits, endings, .. } = crew;
        Ok(Self { reloader, ready, lookout, accepting, draining, store, world, limits, endings, told, clock, ended })
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
    /// What workers count, where anybody can ask for it.
    counted: Option<Arc<Workers>>,
    /// What becomes of the lines of requests.
    access: Option<Arc<access::Running>>,
    /// What becomes of spans.
    spans: Arc<trace::Counts>,
    refusals: Arc<Refusals>,
}

/// The workers, once all of them are ready.
struct Seated {
    /// Where each takes sockets.
    seats: Vec<Seat>,
    /// Where each hears of a change.
    workers: Vec<UnboundedSender<Change>>,
    /// How each fares.
    vitals: Vec<Watched>,
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
        let (endings, refusals, world) = (Arc::default(), Arc::default(), Arc::new(world));
        let (counted, access, spans) = (None, None, Arc::default());
        Ok(Self { world, store, kit, limits, guards, fleet, endings, memory, counted, access, spans, refusals })
    }

    /// Opens the admin listener, where there is one. Says where it is bound.
    fn admin(
        &self,
        settings: Option<admin::Settings>,
        (reloader, lookout): (&Reloader, &Arc<Lookout>),
        (clock, stop): (&Clock, &CancellationToken),
        alive: &Sender<()>,
    ) -> io::Result<Option<SocketAddr>> {
        let (Some(settings), Some(store)) = (settings, &self.store) else { return Ok(None) };
        let (limits, guards) = (Arc::clone(&self.limits), Arc::clone(&self.guards));
        let explain = Some(Explaining::of(&reloader.running(), clock).for_operators());
        let overview = Some(Seen(Arc::clone(lookout) as Arc<_>));
        let (reload, refusals) = (Some(reloader.for_operators()), Some(Arc::clone(&self.refusals)));
        let counters = Counters { limits, guards, reload, explain, overview, refusals };
        let store = (store.clone(), counters);
        admin::listener::start(settings, store, clock.clone(), stop.clone(), alive.clone()).map(Some)
    }

    /// Starts the workers, and returns when each of them is ready.
    fn seat(
        &self,
        options: &Options,
        (log, traces): (access::Log, trace::Queue),
        alive: &Sender<()>,
        drain: &CancellationToken,
    ) -> io::Result<Seated> {
        let (opened, groups) = (self.guards.open(&self.world.guards), self.fleet.open(&self.world.upstreams));
        let (mut seats, mut workers, mut all_vitals) = (Vec::new(), Vec::new(), Vec::new());
        let (ready, readiness) = channel();
        let (refusals, counted) = (Arc::clone(&self.refusals), self.counted.clone());
        let told = Told { log, counted, refusals, traces, workers: options.workers };
        for number in 0..options.workers.max(1) {
            let (arrivals, waiting) = unbounded_channel();
            let seat_of = Seat::new(arrivals);
            let (changes, heard) = unbounded_channel();
            workers.push(changes);
            let (world, clock, drain) = (Arc::clone(&self.world), options.clock.clone(), drain.clone());
            let (ready, kit, vitals) = (ready.clone(), self.kit.clone(), Arc::<Vitals>::default());
            vitals.adopt(FIRST);
            all_vitals.push((Arc::clone(&vitals), seat_of.live()));
            seats.push(seat_of);
            let memory = Arc::clone(&self.memory);
            let gates = (self.limits.open(&self.world.limits), Arc::clone(&opened), Arc::clone(&groups));
            let (endings, told) = (Arc::clone(&self.endings), told.clone());
            let work = move || {
                let gauge = Gauge::new(memory, vitals);
                work(world, (&kit, gauge), (gates, endings, told), (waiting, heard), clock, drain, &ready);
            };
            seat(number, alive.clone(), work)?;
        }
        drop((ready, told));
        await_workers(&readiness, seats.len())?;
        Ok(Seated { seats, workers, vitals: all_vitals })
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
    (kit, gauge): (&Kit, Gauge),
    (gates, endings, told): ((Gate, Opened, Groups), Arc<Endings>, Told),
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
        let sinks = Sinks::new(&told, clock.clone());
        // What is left are pens: the log ends with the last of them.
        drop(told);
        let gateway = Gateway::new(world, kit, gates, clock.clone(), (&deadlines, &leases, &sinks));
        drop(sinks);
        say(Ok(()));
        worker::serve(inbox, Rc::new(Current::new(gateway, gauge)), clock, deadlines, drain).await;
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
