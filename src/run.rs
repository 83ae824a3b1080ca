//! The composition root: binds the listeners, seats the workers, starts the acceptors, and ends it all in good order.

mod certificates;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Counters};
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::deadline::Deadlines;
use crate::edge::connection::ListenerId;
use crate::edge::listener::{self, Accepted, Seat};
use crate::edge::worker;
use crate::endpoint::Kit;
use crate::forward::leases::{Endings, Leases};
use crate::forward::{Fleet, Groups, key_sets};
use crate::gateway::Gateway;
use crate::gateway::current::{Change, Current};
use crate::kept::Outcome;
use crate::limit::failures::{Guards, Opened};
use crate::limit::ledger::Ledger;
use crate::limit::{Gate, Limits};
use crate::store::{Purpose, Store};
use crate::telemetry;
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
    addresses: Vec<(Box<str>, SocketAddr)>,
    /// Every listener there was, by its `ListenerId`: its name, and its address as it is written.
    listeners: Vec<(Box<str>, SocketAddr)>,
    kit: Kit,
    guards: Arc<Guards>,
    fleet: Arc<Fleet>,
    /// Where each worker hears of a change.
    changes: Vec<UnboundedSender<Change>>,
    accepting: CancellationToken,
    draining: CancellationToken,
    patience: Duration,
    store: Option<Store>,
    admin: Option<SocketAddr>,
    /// The configuration in force.
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
        Self::start_with_ledger(loaded, options, None)
    }

    /// The same with quotas kept by this ledger.
    pub fn start_with_ledger(loaded: Loaded, options: &Options, ledger: Option<Arc<dyn Ledger>>) -> io::Result<Self> {
        let accepting = CancellationToken::new();
        let draining = CancellationToken::new();
        let world = Arc::new(loaded.world);
        let (alive, ended) = channel();
        let control = Builder::new_current_thread().enable_all().build()?;
        let (addresses, sockets) = {
            let _inside = control.enter();
            bind(&world)?
        };
        // Only now: a start that the system refuses leaves the store's file as it was.
        let store =
            loaded.store.map(|sound| sound.start(options.clock.clone())).transpose().map_err(io::Error::other)?;
        let ledger = ledger.or_else(|| Some(Arc::new(store.clone()?)));
        let limits = Limits::new(ledger, &options.clock).map_err(io::Error::other)?;
        let outfit = Arc::clone(&world.token_outfit);
        let kit = Kit::new(store.clone(), options.clock.clone(), outfit, Arc::clone(&limits));
        let kit = kit.issuing(world.login.clone())?;
        let guards = Guards::new(options.clock.clone());
        let opened = guards.open(&world.guards);
        let fleet = Fleet::new(options.clock.clone(), control.handle().clone());
        let groups = fleet.open(&world.upstreams);
        let endings = Arc::<Endings>::default();
        let (mut seats, mut changes) = (Vec::new(), Vec::new());
        let (ready, readiness) = channel();
        for number in 0..options.workers.max(1) {
            let (arrivals, waiting) = unbounded_channel();
            seats.push(Seat::new(arrivals));
            let (change, changed) = unbounded_channel();
            changes.push(change);
            let (world, clock, draining) = (Arc::clone(&world), options.clock.clone(), draining.clone());
            let (ready, kit) = (ready.clone(), kit.clone());
            let gates = (limits.open(&world.limits), Arc::clone(&opened), Arc::clone(&groups), Arc::clone(&endings));
            seat(number, alive.clone(), move || work(world, &kit, gates, (waiting, changed), clock, draining, &ready))?;
        }
        drop(ready);
        await_workers(&readiness, seats.len())?;
        let admin = match (loaded.admin, &store) {
            (Some(settings), Some(store)) => {
                let counters = Counters { limits: Arc::clone(&limits), guards: Arc::clone(&guards) };
                let (store, clock, stop) = ((store.clone(), counters), options.clock.clone(), draining.clone());
                Some(admin::listener::start(settings, store, clock, stop, alive.clone())?)
            }
            (Some(_) | None, _) => None,
        };
        let listeners = world.listeners.iter().map(|listener| (listener.name.clone(), listener.address)).collect();
        let caps: Vec<_> = world.listeners.iter().map(|listener| listener.limits.connections).collect();
        let (stop, key_sets) = (accepting.clone(), world.key_sets.clone());
        let world = Arc::new(ArcSwap::new(world));
        let (watched, watch) = (Arc::clone(&world), options.clock.clone());
        spawn("vidgate-control".to_owned(), alive, move || {
            // They end with the runtime.
            for keys in key_sets {
                control.spawn(key_sets::keep(keys));
            }
            control.spawn(certificates::watch(move || watched.load_full(), watch));
            control.block_on(accept_all(sockets, caps, seats, stop));
        })?;
        let (patience, clock) = (loaded.drain, options.clock.clone());
        Ok(Self {
            addresses,
            listeners,
            kit,
            guards,
            fleet,
            changes,
            accepting,
            draining,
            patience,
            store,
            admin,
            world,
            limits,
            endings,
            clock,
            ended,
        })
    }

    /// Has every worker serve what comes from now on under this World. What is in flight keeps the World that it entered
    /// with, and the connections of a listener that is no more end with what is in flight on them.
    pub fn adopt(&mut self, mut world: World) {
        self.number(&mut world);
        let world = Arc::new(world);
        self.world.load().hand_over(&world);
        self.world.store(Arc::clone(&world));
        let (opened, groups) = (self.guards.open(&world.guards), self.fleet.open(&world.upstreams));
        let (taken, all) = channel();
        for worker in &self.changes {
            let gates = (self.limits.open(&world.limits), Arc::clone(&opened), Arc::clone(&groups));
            let (world, kit, drain, taken) = (Arc::clone(&world), self.kit.clone(), self.patience, taken.clone());
            // A worker that is gone serves nobody under any World.
            let _ = worker.send(Change { world, kit, gates, drain, taken });
        }
        drop(taken);
        self.world.store(world);
        // Nothing is sent; it closes when the last worker has taken it.
        let _: Result<(), _> = all.recv();
    }

    /// Gives each listener of another World the id that it had, or a new one. One is the same by its name and address.
    fn number(&mut self, world: &mut World) {
        let mut positions = vec![None; self.listeners.len()];
        for (position, listener) in world.listeners.iter().enumerate() {
            let known = self.listeners.iter().position(|own| *own == (listener.name.clone(), listener.address));
            if let Some(id) = known {
                positions[id] = Some(position);
            } else {
                self.listeners.push((listener.name.clone(), listener.address));
                positions.push(Some(position));
            }
        }
        world.positions = positions;
    }

    /// Where a listener is bound: with port 0 in the configuration, the one that was free.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| &**name == listener).map(|(_, address)| *address)
    }

    /// Where the admin API is bound, if the configuration has it.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Every listener with its address.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.addresses.iter().map(|(name, address)| (&**name, *address))
    }

    /// Reads every file of TLS anew, whether it has changed or not, and says what became of each listener and upstream.
    /// Waits for the disk.
    pub fn reload_certificates(&self) -> Vec<Outcome> {
        self.world.load().renew(&self.clock, true)
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

    /// Refuses new connections, finishes what is in flight, and returns whether all of it ended in time.
    pub fn drain(self) -> bool {
        self.drain_unless(|| false)
    }

    /// The same, but gives up as soon as `hurried`: it is asked a few times a second.
    ///
    /// The store is let go last, when nobody can use a credential any more: last uses are on file, and the file is free.
    pub fn drain_unless(self, hurried: impl Fn() -> bool) -> bool {
        const STEP: Duration = Duration::from_millis(100);
        self.accepting.cancel();
        self.draining.cancel();
        let mut left = self.patience;
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
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

type Bound = (Vec<(Box<str>, SocketAddr)>, Vec<TcpListener>);

fn bind(world: &World) -> io::Result<Bound> {
    let mut addresses = Vec::new();
    let mut sockets = Vec::new();
    for listener in &world.listeners {
        let socket = listener::bind(listener.address).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("listener `{}` cannot bind {}: {error}", listener.name, listener.address),
            )
        })?;
        addresses.push((listener.name.clone(), socket.local_addr()?));
        sockets.push(socket);
    }
    Ok((addresses, sockets))
}

async fn accept_all(sockets: Vec<TcpListener>, caps: Vec<usize>, seats: Vec<Seat>, stop: CancellationToken) {
    let mut acceptors = tokio::task::JoinSet::new();
    for (number, (socket, cap)) in sockets.into_iter().zip(caps).enumerate() {
        acceptors.spawn(listener::accept(socket, ListenerId(number), cap, seats.clone(), stop.clone()));
    }
    drop(seats);
    while acceptors.join_next().await.is_some() {}
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
    kit: &Kit,
    (gate, guards, groups, endings): (Gate, Opened, Groups, Arc<Endings>),
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
        let gateway = Gateway::new(world, kit, (gate, guards, groups), clock.clone(), (&deadlines, &leases));
        say(Ok(()));
        worker::serve(inbox, Rc::new(Current::new(gateway)), clock, deadlines, drain).await;
    });
}

/// Serves a configuration until a signal asks to stop: the command `vidgate serve`.
pub fn serve(path: &Path) -> Result<ExitCode, Failure> {
    let loaded = config::load(path, Purpose::Serve).map_err(Failure::Configuration)?;
    let log = telemetry::log::start(&loaded.log);
    for warning in loaded.warnings.sentences() {
        tracing::warn!("{warning}");
    }
    let workers = loaded.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let server = Server::start(loaded, &Options { workers, clock: Clock::system() }).map_err(Failure::Start)?;
    for (listener, address) in server.addresses() {
        tracing::info!(listener, %address, "listening");
    }
    certificates::tell(&server.world.load(), server.clock.unix());
    if let Some(address) = server.admin_address() {
        tracing::info!(%address, "the admin API is listening");
    }
    wait_for_stop().map_err(Failure::Start)?;
    tracing::info!("draining; a second signal ends it at once");
    let (hurry, hurried) = channel();
    thread::spawn(move || {
        // Only a signal cuts a drain short, not a failure to listen for one.
        if wait_for_stop().is_ok() {
            let _ = hurry.send(());
        }
    });
    let finished = server.drain_unless(|| hurried.try_recv().is_ok());
    tracing::info!(finished, "stopped");
    drop(log);
    Ok(if finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why nothing is served.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong.
    Configuration(config::Report),
    /// The system refused a socket or a thread.
    Start(io::Error),
}

/// Returns when SIGTERM or SIGINT arrives.
pub fn wait_for_stop() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
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
