//! What is seen of a running gateway from outside the corridor: whether it lives, whether requests should be sent to it,
//! and how it is doing. Nobody who looks waits for a worker, for the store or for a reload.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Crew;
use super::doors::{Doors, resident};
use crate::admin::monitoring;
use crate::admin::status::{
    Certificate, Configuration, Endpoint, Guard, Health, LastReload, Limit, Listener, Memory, Overview, Status,
    Store as StoreStatus, Upstream, Worker,
};
use crate::clock::{Clock, UnixTime};
use crate::edge::overload;
use crate::edge::vitals::Vitals;
use crate::forward::Fleet;
use crate::forward::leases::Endings;
use crate::limit::failures::{Guards, Which};
use crate::limit::{Limits, Policy};
use crate::store::Store;
use crate::telemetry::metrics::{self, Workers};
use crate::telemetry::{access, trace};
use crate::world::World;

/// A worker sweeps ten times a second. One that has not for so long hangs; a machine that is merely busy does not keep a
/// thread waiting like that.
const HANGS: Duration = Duration::from_secs(10);
/// The most counters of a guard that are looked through.
const MOST_COUNTED: usize = 1 << 20;

/// How a worker fares, and how many connections it has.
pub(super) type Watched = (Arc<Vitals>, Arc<AtomicUsize>);

/// What a look rests on.
pub(super) struct Lookout {
    pub(super) clock: Clock,
    pub(super) started: UnixTime,
    since: Instant,
    /// Whether requests should be sent here, as far as whoever runs it has a say.
    ready: Arc<AtomicBool>,
    pub(super) workers: Vec<Watched>,
    /// What is in force.
    pub(super) world: Arc<ArcSwap<World>>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) guards: Arc<Guards>,
    pub(super) store: Option<Store>,
    pub(super) memory: Arc<overload::Memory>,
    /// The file, where it was started with one.
    path: Option<String>,
    pub(super) facts: ArcSwap<Facts>,
    pub(super) last_reload: ArcSwapOption<LastReload>,
    /// How many reloads came into force, and how many changed nothing.
    pub(super) reloads: [AtomicU64; 2],
    pub(super) limits: Arc<Limits>,
    pub(super) endings: Arc<Endings>,
    /// What workers count.
    pub(super) counted: Option<Arc<Workers>>,
    /// What becomes of the lines of requests.
    pub(super) access: Option<Arc<access::Running>>,
    /// What becomes of spans.
    pub(super) spans: Arc<trace::Counts>,
    /// The listeners of the house, by name.
    own: ArcSwap<Vec<(&'static str, SocketAddr)>>,
}

/// What another configuration changes.
pub(super) struct Facts {
    /// Which one it is; 0: none yet.
    pub(super) generation: u64,
    pub(super) loaded: UnixTime,
    pub(super) warnings: Vec<String>,
    pub(super) doors: Vec<Seen>,
}

/// An open listener.
pub(super) struct Seen {
    pub(super) name: Box<str>,
    pub(super) address: String,
    pub(super) up: Arc<AtomicBool>,
    pub(super) cap: Arc<Semaphore>,
    pub(super) most: usize,
}

impl Seen {
    /// How many connections it has. The acceptor holds a place as well, for the one that it waits for.
    pub(super) fn connections(&self) -> usize {
        let free = self.cap.available_permits();
        let waits = self.up.load(Ordering::Relaxed) && free > 0;
        self.most.saturating_sub(free + usize::from(waits))
    }
}

impl Lookout {
    /// A look at what begins with this crew and these workers.
    pub(super) fn of(
        crew: &Crew,
        workers: Vec<Watched>,
        (clock, ready): (&Clock, &Arc<AtomicBool>),
        world: &Arc<ArcSwap<World>>,
        path: Option<&Path>,
    ) -> Arc<Self> {
        let started = clock.unix();
        let facts = Facts { generation: 0, loaded: started, warnings: Vec::new(), doors: Vec::new() };
        Arc::new(Self {
            clock: clock.clone(),
            started,
            since: clock.now(),
            ready: Arc::clone(ready),
            workers,
            world: Arc::clone(world),
            fleet: Arc::clone(&crew.fleet),
            guards: Arc::clone(&crew.guards),
            store: crew.store.clone(),
            memory: Arc::clone(&crew.memory),
            path: path.map(|path| path.display().to_string()),
            facts: ArcSwap::from_pointee(facts),
            last_reload: ArcSwapOption::empty(),
            reloads: Default::default(),
            limits: Arc::clone(&crew.limits),
            endings: Arc::clone(&crew.endings),
            counted: crew.counted.clone(),
            access: crew.access.clone(),
            spans: Arc::clone(&crew.spans),
            own: ArcSwap::default(),
        })
    }

    /// Opens the monitoring listener, where there is one. Says where it is bound.
    pub(super) fn listen(
        self: &Arc<Self>,
        settings: Option<monitoring::Settings>,
        (clock, stop): (&Clock, &CancellationToken),
        alive: &Sender<()>,
    ) -> io::Result<Option<SocketAddr>> {
        let Some(settings) = settings else { return Ok(None) };
        let overview = Arc::clone(self) as Arc<dyn Overview>;
        monitoring::start(settings, overview, clock.clone(), stop.clone(), alive.clone()).map(Some)
    }

    /// Where the listeners of the house are bound, as far as there are any.
    pub(super) fn opened(&self, own: [(&'static str, Option<SocketAddr>); 2]) {
        let bound = own.into_iter().filter_map(|(name, address)| Some((name, address?)));
        self.own.store(Arc::new(bound.collect()));
    }

    /// Where one of them is bound.
    pub(super) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.own.load().iter().find(|(own, _)| *own == name).map(|(_, address)| *address)
    }

    /// Another configuration is in force.
    pub(super) fn loaded(&self, generation: u64, warnings: Vec<String>, doors: &Doors) {
        let facts = Facts { generation, loaded: self.clock.unix(), warnings, doors: doors.seen() };
        self.facts.store(Arc::new(facts));
    }

    /// A reload was asked for; `unchanged`: nothing came of it, and why.
    pub(super) fn reloaded(&self, unchanged: Option<String>) {
        let ok = unchanged.is_none();
        self.reloads[usize::from(!ok)].fetch_add(1, Ordering::Relaxed);
        let summary = unchanged.unwrap_or_else(|| "it is in force".to_owned());
        let last = LastReload { at: self.clock.unix(), ok, summary };
        self.last_reload.store(Some(Arc::new(last)));
    }

    /// Whether every worker comes round.
    pub(super) fn is_alive(&self) -> bool {
        self.workers.iter().all(|(vitals, _)| vitals.silence() < HANGS)
    }

    fn hang(&self) -> Option<&'static str> {
        (!self.is_alive()).then_some("a worker does not come round")
    }

    /// One that serves another configuration already is about to be followed by the others.
    fn is_loaded(&self, facts: &Facts) -> bool {
        facts.generation > 0 && self.workers.iter().all(|(vitals, _)| vitals.generation() >= facts.generation)
    }
}

impl Overview for Lookout {
    fn live(&self) -> Health {
        Health::of([("workers", self.hang())])
    }

    fn ready(&self) -> Health {
        let facts = self.facts.load();
        let overload = self.workers.iter().find_map(|(vitals, _)| vitals.overload());
        let unless = |well: bool, why: &'static str| (!well).then_some(why);
        let open = facts.doors.iter().all(|door| door.up.load(Ordering::Relaxed));
        Health::of([
            ("configuration", unless(self.is_loaded(&facts), "a worker has not taken it in")),
            ("workers", self.hang()),
            ("listeners", unless(open && !facts.doors.is_empty(), "one of them takes no connections")),
            ("store", self.store.as_ref().and_then(Store::trouble)),
            ("overload", overload.map(|_| "requests are refused at present")),
            ("stop", unless(self.ready.load(Ordering::Relaxed), "it is about to end")),
        ])
    }

    fn metrics(&self, accept: Option<&str>) -> (&'static str, String) {
        metrics::page(self.sheet(), accept)
    }

    fn status(&self) -> Status {
        let (world, facts, now) = (self.world.load_full(), self.facts.load_full(), self.clock.unix());
        let uptime = self.clock.now().saturating_duration_since(self.since);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            uptime_seconds: uptime.as_secs(),
            ready: self.ready(),
            configuration: Configuration {
                path: self.path.clone(),
                generation: facts.generation,
                loaded: facts.loaded,
                last_reload: self.last_reload.load_full().map(|last| (*last).clone()),
                warnings: facts.warnings.clone(),
            },
            listeners: self.listeners(&world, &facts, now),
            workers: self.workers.iter().enumerate().map(worker).collect(),
            upstreams: self.upstreams(&world),
            limits: world.limits.iter().map(limit).collect(),
            guards: self.guards(&world),
            store: self.store.as_ref().map(store),
            memory: Memory { resident_bytes: resident(), max_bytes: self.memory.most() },
        }
    }
}

impl Lookout {
    fn listeners(&self, world: &World, facts: &Facts, now: UnixTime) -> Vec<Listener> {
        let shown = world.own_certificates();
        let certificates = |name: &str| {
            let own = shown.iter().filter(|(listener, _)| &**listener == name);
            own.map(|(_, own)| Certificate { file: own.file.display().to_string(), days_left: own.days_left(now) })
                .collect()
        };
        let door = |door: &Seen| Listener {
            name: door.name.to_string(),
            address: door.address.clone(),
            up: door.up.load(Ordering::Relaxed),
            connections: Some(door.connections()),
            max_connections: Some(door.most),
            certificates: certificates(&format!("listener {}", door.name)),
        };
        let own = |(name, address): &(&'static str, SocketAddr)| Listener {
            name: (*name).to_owned(),
            address: address.to_string(),
            up: true,
            connections: None,
            max_connections: None,
            certificates: certificates(name),
        };
        facts.doors.iter().map(door).chain(self.own.load().iter().map(own)).collect()
    }

    fn upstreams(&self, world: &World) -> Vec<Upstream> {
        let standings = self.fleet.standings(&world.upstreams).into_iter();
        let upstream = |standing: crate::forward::standing::Standing| Upstream {
            name: standing.upstream.into(),
            endpoints: standing
                .endpoints
                .into_iter()
                .map(|(url, own)| Endpoint { url: url.into(), state: own.name().to_owned(), why: own.why() })
                .collect(),
        };
        standings.map(upstream).collect()
    }

    fn guards(&self, world: &World) -> Vec<Guard> {
        if world.guards.is_empty() {
            return Vec::new();
        }
        let held = self.guards.list(&Which::default(), MOST_COUNTED);
        let guard = |own: &crate::limit::failures::Settings| {
            let counted = held.iter().filter(|held| held.limit == own.name);
            Guard {
                name: own.name.to_string(),
                counted: counted.clone().count(),
                held: counted.filter(|held| held.until.is_some()).count(),
                log_only: own.log_only,
            }
        };
        world.guards.iter().map(guard).collect()
    }
}

fn worker((number, (vitals, connections)): (usize, &Watched)) -> Worker {
    Worker {
        number,
        alive: vitals.silence() < HANGS,
        lag_seconds: vitals.lag().as_secs_f64(),
        connections: connections.load(Ordering::Relaxed),
        requests_in_flight: vitals.in_flight(),
        generation: vitals.generation(),
        overload: vitals.overload().map(|reason| reason.sentence().to_owned()),
    }
}

fn limit(policy: &Policy) -> Limit {
    let measure = policy.measure.name().to_owned();
    Limit { name: policy.name.to_string(), measure, log_only: policy.log_only }
}

fn store(store: &Store) -> StoreStatus {
    let standing = store.standing();
    StoreStatus {
        entries: standing.entries,
        file_bytes: standing.file_bytes,
        queue: standing.queue,
        last_commit: standing.last_commit,
        read_only: standing.read_only,
        renewing: standing.renewing,
    }
}
