//! Everything that runs while the demo runs, and everything that a client must know to speak to it.

use super::Trouble;
use super::config::{self, Files, OWN, SUPER_ADMIN};
use super::credentials::Credentials;
use super::folder::Folder;
use super::pki::Pki;
use super::stock;
use super::upstream::Upstreams;
use super::vendor::Vendor;
use crate::clock::Clock;
use crate::run::{Options, Server};
use crate::store::Purpose;
use crate::telemetry::access::Output;

/// What a client must know. Plain data: what runs is in [`Ground`].
pub(super) struct Facts {
    /// Where each vendor's plain and TLS listeners are, and its API behind the gateway.
    pub(super) sites: Vec<Site>,
    /// Where the super-admin's listener is.
    pub(super) super_admin: String,
    /// Where vidgate owns VXG's cameras and tokens: `http://127.0.0.1:PORT`.
    pub(super) own: String,
    /// The admin API, if there is one.
    pub(super) admin: Option<Admin>,
    /// What to present.
    pub(super) credentials: Credentials,
    /// The certificates.
    pub(super) pki: Pki,
    /// The other files.
    pub(super) files: Files,
}

/// The admin API.
pub(super) struct Admin {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub(super) url: String,
    /// What lets an operator in: `Authorization: Bearer`.
    pub(super) token: String,
}

/// The addresses of one vendor.
pub(super) struct Site {
    /// Whose.
    pub(super) vendor: Vendor,
    /// The gateway in plain text: `http://127.0.0.1:PORT`.
    pub(super) http: String,
    /// The gateway behind TLS: `https://localhost:PORT`, the name its certificate is for.
    pub(super) https: String,
    /// The made-up API itself, to compare with.
    pub(super) upstream: String,
}

/// What runs. Fields are dropped in this order: the folder goes last, when nobody reads from it any more.
pub(super) struct Ground {
    server: Server,
    _upstreams: Upstreams,
    _folder: Folder,
}

impl Facts {
    /// The addresses of `vendor`.
    pub(super) fn site(&self, vendor: Vendor) -> &Site {
        self.sites.iter().find(|site| site.vendor == vendor).expect("every vendor has its site")
    }
}

impl Ground {
    /// Makes the folder with all that is in it, starts the APIs and the gateway.
    pub(super) fn start() -> Result<(Self, Facts), Trouble> {
        let clock = Clock::system();
        let now = clock.unix();
        let folder = Folder::create()?;
        let pki = Pki::create(&folder, now)?;
        let credentials = Credentials::create(now)?;
        let upstreams = Upstreams::start()?;
        let files = config::write(&folder, &credentials, &upstreams)?;
        let loaded = crate::config::load(&files.config, Purpose::Serve)
            .map_err(|report| Trouble::Config(report.render(false)))?;
        let server = Server::start(loaded, &Options { workers: workers(), clock, output: Output::standard() })?;
        let store = server.store().expect("the demo's own configuration has a store");
        stock::fill(store, &credentials, now)?;
        let sites = Vendor::ALL.map(|vendor| Site {
            vendor,
            http: format!("http://127.0.0.1:{}", port(&server, vendor.name())),
            https: format!("https://localhost:{}", port(&server, &vendor.tls_listener())),
            upstream: format!("http://{}", upstreams.address(vendor)),
        });
        let super_admin = format!("https://localhost:{}", port(&server, SUPER_ADMIN));
        let own = format!("http://127.0.0.1:{}", port(&server, OWN));
        let admin = server
            .admin_address()
            .map(|address| Admin { url: format!("http://{address}"), token: credentials.admin_token.clone() });
        let facts = Facts { sites: sites.into(), super_admin, own, admin, credentials, pki, files };
        Ok((Self { server, _upstreams: upstreams, _folder: folder }, facts))
    }

    /// What its requests are explained by.
    #[cfg(test)]
    pub(super) fn scenery(&self) -> crate::gateway::explain::Scenery {
        self.server.scenery()
    }

    /// Goes on with another configuration.
    #[cfg(test)]
    pub(super) fn reload(&self, text: &str, path: &std::path::Path) {
        let folder = path.parent().expect("it lies in a folder");
        let reloaded = self.server.reloader().reload_text("demo", text, folder);
        if let Err(crate::run::Failure::Configuration(report)) = reloaded {
            panic!("{}", report.render(false));
        }
    }

    /// Lets what is under way end, then stops everything and removes the folder.
    pub(super) fn stop(self) {
        self.server.drain();
    }
}

fn port(server: &Server, listener: &str) -> u16 {
    server.address(listener).expect("the demo's own configuration has this listener").port()
}

/// A worker a core, but not more than a demo has use for.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}
