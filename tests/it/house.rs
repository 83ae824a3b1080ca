//! A gateway in this process, on free ports, with a clock of its own.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vidgate::clock::{Clock, UnixTime};
use vidgate::config;
use vidgate::gateway::explain::{Asked, Explanation};
use vidgate::kept::Outcome;
use vidgate::limit::ledger::Ledger;
use vidgate::run::{Failure, Options, Reloader, Server};
use vidgate::store::{Index, Purpose, Store};

use crate::log;
use crate::patience::PATIENCE;
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::Wire;

/// The instant at which every test begins: 2025-01-01T00:00:00Z.
pub const START: UnixTime = UnixTime(1_735_689_600);

/// A running gateway.
pub struct TestGateway {
    server: Option<Server>,
    /// Its clock.
    pub clock: Clock,
    /// Who exists.
    pub directory: Arc<Index>,
}

impl TestGateway {
    /// Starts a gateway with this configuration; a wrong one fails the test with its report.
    pub fn start(toml: &str) -> Self {
        Self::start_in(toml, Path::new("."), 2)
    }

    /// Starts a gateway whose relative paths begin at `base`, with so many workers.
    pub fn start_in(toml: &str, base: &Path, workers: usize) -> Self {
        Self::start_at(START, toml, base, workers)
    }

    /// The same at another time.
    pub fn start_at(now: UnixTime, toml: &str, base: &Path, workers: usize) -> Self {
        processes::settle();
        let loaded = match config::load_text("test.toml", toml, base, Purpose::Serve) {
            Ok(loaded) => loaded,
            Err(report) => panic!("{}", report.render(false)),
        };
        let (clock, directory) = (Clock::manual(now), Arc::clone(&loaded.world.directory));
        let server = Server::start(loaded, &Options { workers, clock: clock.clone(), output: log::access() })
            .expect("the gateway starts");
        Self { server: Some(server), clock, directory }
    }

    /// Starts a gateway with the configuration in this file, which it can read anew.
    pub fn start_file(path: &Path) -> Self {
        processes::settle();
        let loaded = config::load(path, Purpose::Serve).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let (clock, directory) = (Clock::manual(START), Arc::clone(&loaded.world.directory));
        let server = Server::start(loaded, &Options { workers: 2, clock: clock.clone(), output: log::access() })
            .expect("the gateway starts");
        Self { server: Some(server), clock, directory }
    }

    /// A gateway whose quotas are kept by this ledger.
    pub fn start_with_ledger(toml: &str, ledger: Arc<dyn Ledger>) -> Self {
        let loaded = config::load_text("test.toml", toml, Path::new("."), Purpose::Serve);
        let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let (clock, directory) = (Clock::manual(START), Arc::clone(&loaded.world.directory));
        let options = Options { workers: 1, clock: clock.clone(), output: log::access() };
        let server = Server::start_with_ledger(loaded, &options, Some(ledger)).expect("the gateway starts");
        Self { server: Some(server), clock, directory }
    }

    /// One plain listener `public` with one open route to `upstream`.
    pub fn open(upstream: &Upstream) -> Self {
        Self::start(&open(upstream, ""))
    }

    /// The same with one worker: what follows a request is sent upstream by the connection that it would have used.
    pub fn alone(toml: &str) -> Self {
        Self::start_in(toml, Path::new("."), 1)
    }

    /// Where a listener is bound.
    pub fn address(&self, listener: &str) -> SocketAddr {
        self.server.as_ref().expect("it runs").address(listener).expect("the listener exists")
    }

    /// Where its admin API is bound.
    pub fn admin_address(&self) -> SocketAddr {
        self.server.as_ref().and_then(Server::admin_address).expect("it runs, and has one")
    }

    /// Where it says whether it lives and is ready.
    pub fn monitoring_address(&self) -> SocketAddr {
        self.server.as_ref().and_then(Server::monitoring_address).expect("it runs, and has one")
    }

    /// Whether requests should be sent to it.
    pub fn readiness(&self) -> Arc<AtomicBool> {
        Arc::clone(self.server.as_ref().expect("it runs").readiness())
    }

    /// What would become of this request, told by what is in force.
    pub fn explain(&self, asked: &Asked) -> Explanation {
        self.server.as_ref().expect("it runs").scenery().explain(asked).expect("it is a request")
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        self.server.as_ref().and_then(Server::store).expect("it runs, and has a store")
    }

    /// How many open streams were ended.
    pub fn endings(&self) -> &vidgate::forward::leases::Endings {
        self.server.as_ref().expect("it runs").endings()
    }

    /// A raw connection to the listener `public`.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address("public"))
    }

    /// Has it read every file of TLS anew.
    pub fn reload_certificates(&self) -> Vec<Outcome> {
        self.server.as_ref().expect("it runs").reload_certificates()
    }

    /// The same to any listener.
    pub fn connect_to(&self, listener: &str) -> Wire {
        Wire::connect(self.address(listener))
    }

    /// Moves time.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Serves what comes from now on under this configuration. `Err`: everything wrong with it, a line each.
    pub fn reload(&self, toml: &str) -> Result<(), Vec<String>> {
        self.reloader().reload_text("test.toml", toml, Path::new(".")).map(drop).map_err(|failure| match failure {
            Failure::Configuration(report) => {
                report.mistakes().map(|(place, what)| format!("{place}: {what}")).collect()
            }
            Failure::Start(error) => vec![error.to_string()],
        })
    }

    /// What changes its configuration.
    pub fn reloader(&self) -> &Reloader {
        self.server.as_ref().expect("it runs").reloader()
    }

    /// The same of a configuration that is right.
    pub fn adopt(&self, toml: &str) {
        self.adopt_in(toml, Path::new("."));
    }

    /// The same with relative paths that begin at `base`.
    pub fn adopt_in(&self, toml: &str, base: &Path) {
        if let Err(Failure::Configuration(report)) = self.reloader().reload_text("test.toml", toml, base) {
            panic!("{}", report.render(false));
        }
    }

    /// Drains, and says whether all ended in time. Its time is the gateway's own, which nobody moves, and a test's patience
    /// is not: what never ends is found out all the same.
    pub fn drain(mut self) -> bool {
        let asked = Cell::new(0);
        // It asks ten times a second.
        let most = u32::try_from(PATIENCE.as_secs() * 10).expect("it is small");
        let hurried = || asked.replace(asked.get() + 1) >= most;
        self.server.take().expect("it runs").drain_unless(hurried)
    }
}

/// A configuration with one plain listener and one open route; `more` goes to its end.
pub fn open(upstream: &Upstream, more: &str) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
{more}
"#,
        upstream.address()
    )
}
