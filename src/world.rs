//! Everything a request needs, immutable and swapped whole: built by `config/check.rs`, read by every worker.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::authenticate::Expression;
use crate::authorize::{Rules, content};
use crate::clock::Clock;
use crate::edge::client_ip::TrustedProxies;
use crate::edge::connection::ListenerId;
use crate::edge::listener::Listener;
use crate::edge::overload;
use crate::edge::own_certificate::OwnCertificate;
use crate::edge::tls::Keeper;
use crate::endpoint::{self, Entry};
use crate::envelope::Dialect;
use crate::forward::Terms;
use crate::forward::credential::Own;
use crate::forward::upstream::{CredentialPolicy, Upstream, UpstreamId};
use crate::kept::{Outcome, Renew};
use crate::key_set::KeySet;
use crate::limit::failures::{self, GuardId};
use crate::limit::{Policy, PolicyId};
use crate::refusal::Refusal;
use crate::reply::{cors, wall};
use crate::route::{Parameter, Table};
use crate::scheme::Places;
use crate::store::Index;
use crate::telemetry::{self, Names, RouteNames, UpstreamNames};

/// The configuration, as meant.
#[derive(Debug)]
pub struct World {
    /// Where requests come in.
    pub listeners: Vec<Arc<Listener>>,
    /// Where each `ListenerId` stands in `listeners`; `None`: it is no listener of this World.
    pub positions: Vec<Option<usize>>,
    /// For each listener, in the same order: how refusals are worded before a route is known.
    pub dialects: Vec<&'static Dialect>,
    /// Where they go. `UpstreamId` counts in this list.
    pub upstreams: Vec<Upstream>,
    /// The routes, in the order of the file.
    pub routes: Vec<Route>,
    /// For each listener, in the same order: which host, path and method lead to which of `routes`.
    pub tables: Vec<Table<RouteId>>,
    /// Whose word on the caller's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// What endpoints of the house were told.
    pub token_outfit: Arc<endpoint::TokenOutfit>,
    /// What the endpoint `token` was told, if users get tokens.
    pub login: Option<endpoint::token::Outfit>,
    /// How much of it may be done, by name. `PolicyId` counts in this list; the counters live elsewhere, and longer.
    pub limits: Vec<Policy>,
    /// The failure guards. `GuardId` counts in this list.
    pub guards: Vec<failures::Settings>,
    /// The keys of foreign issuers, to be kept fresh.
    pub key_sets: Vec<Arc<KeySet>>,
    /// Who exists.
    pub directory: Arc<Index>,
    /// How much a worker bears.
    pub overload: overload::Settings,
    /// What is told of requests.
    pub telemetry: telemetry::Settings,
    /// Names in a query whose values are told nowhere, besides the places of credentials.
    pub redact: Vec<Box<str>>,
    /// TLS of the admin listener, which is a thread of its own.
    pub admin_tls: Option<Arc<Keeper>>,
    /// How often the files of TLS are looked at for changes.
    pub look: Duration,
}

/// A position in `World::routes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// One `[[route]]`.
#[derive(Debug)]
pub struct Route {
    /// Its name in logs.
    pub name: Box<str>,
    /// Its path, as it is written.
    pub pattern: Box<str>,
    /// Who may use it.
    pub authenticate: Expression,
    /// What they may do there.
    pub rules: Arc<Rules>,
    /// Where it goes.
    pub destination: Destination,
    /// What its upstream sees in the place of the caller's credential, where that is another than for other routes.
    pub upstream_credential: Option<Own>,
    /// Every place where a scheme of this route would look for its credential, and `Authorization` unless anyone may pass.
    pub places: Places,
    /// Header names with an underscore that a scheme of this route declares; all others are dropped.
    pub underscored: Vec<HeaderName>,
    /// Which app a request is for, where the route says so.
    pub app: Option<AppPlace>,
    /// The largest form that is looked into, in bytes; `None`: no room looks into bodies.
    pub form: Option<u64>,
    /// The endpoint that answers its operations in the place of the upstream.
    pub inner: Option<&'static Entry>,
    /// What browsers are told.
    pub cors: Option<cors::Rule>,
    /// How listings are filtered on their way back.
    pub wall: Option<wall::Rule>,
    /// How its refusals are worded.
    pub dialect: &'static Dialect,
    /// How long tunnels may last, where it lets WebSocket through.
    pub websocket: Option<Terms>,
    /// The largest body it takes, in bytes.
    pub max_body: Option<u64>,
    /// What its bodies are; `None` is anything.
    pub content: Option<content::Rule>,
    /// Whether what an upstream says with a status of 5xx is kept from callers.
    pub mask_errors: bool,
    /// How much of it may be done: in ascending order, each once.
    pub limits: Vec<PolicyId>,
    /// Who counts the wrong credentials that come here.
    pub guard: Option<GuardId>,
}

/// Where it stands which app a request is for.
#[derive(Debug)]
pub enum AppPlace {
    /// In the path.
    Path(Parameter),
    /// Every request is for this one.
    Fixed(Box<str>),
}

impl AppPlace {
    /// The app that a request with this canonical path is for: its id or its public key, as it stands there.
    pub fn find<'a>(&'a self, path: &'a str) -> Option<&'a str> {
        match self {
            Self::Path(parameter) => parameter.text(path),
            Self::Fixed(id) => Some(id),
        }
    }
}

/// Where a request goes that was let in.
#[derive(Debug)]
pub enum Destination {
    /// To an upstream.
    Upstream {
        /// Which one.
        id: UpstreamId,
        /// What becomes of the caller's credential.
        credential: CredentialPolicy,
    },
    /// To an endpoint of the house.
    Endpoint(&'static Entry),
    /// Nowhere yet: it is refused as not implemented.
    NotImplemented,
}

impl Destination {
    /// Whether the caller's credential goes on as it came.
    pub fn keeps_credentials(&self) -> bool {
        matches!(self, Self::Upstream { credential: CredentialPolicy::Keep, .. })
    }
}

impl World {
    /// Reads the files of TLS anew, on both sides: those that have changed, or all of them. One that cannot be used leaves
    /// what was read before as it is. Waits for the disk.
    pub fn renew(&self, clock: &Clock, even_unchanged: bool) -> Vec<Outcome> {
        let listeners = self.keepers().map(|keeper| &**keeper as &dyn Renew);
        let upstreams = self.upstreams.iter().filter_map(|upstream| upstream.tls.as_deref());
        let all = listeners.chain(upstreams.map(|trust| trust as &dyn Renew));
        all.filter_map(|kept| kept.renew(clock, even_unchanged)).collect()
    }

    /// The certificates that are shown, each with what its listener is called.
    pub fn own_certificates(&self) -> Vec<(Box<str>, OwnCertificate)> {
        let of = |keeper: &Keeper| {
            let own = keeper.present().own.clone();
            own.into_iter().map(|own| (keeper.name().into(), own)).collect::<Vec<_>>()
        };
        self.keepers().flat_map(|keeper| of(keeper)).collect()
    }

    /// Has the certificates and authorities of `next` stand in the place of these, for connections that go on: their
    /// client certificates are judged by the lists of today.
    pub fn hand_over(&self, next: &Self) {
        for listener in &self.listeners {
            // The one that connections will be served by: at the same address, whatever it is called; or else of the same
            // name, for those that are asked to leave.
            let same = next.listeners.iter().find(|other| other.is_at(listener));
            let same = same.or_else(|| next.listeners.iter().find(|other| other.name == listener.name));
            if let (Some(own), Some(other)) = (&listener.tls, same.and_then(|same| same.tls.as_ref())) {
                own.succeed(other);
            }
        }
        if let (Some(own), Some(other)) = (&self.admin_tls, &next.admin_tls) {
            own.succeed(other);
        }
    }

    fn keepers(&self) -> impl Iterator<Item = &Arc<Keeper>> {
        self.listeners.iter().filter_map(|listener| listener.tls.as_ref()).chain(&self.admin_tls)
    }

    /// Finds the route of a request with this method; says 404 or 405 where there is none.
    pub fn select(&self, head: &crate::edge::head::Head<'_>, method: &Method) -> Result<&Route, Refusal> {
        self.select_id(head, method).map(|id| &self.routes[id.0])
    }

    /// The same by its place.
    pub fn select_id(&self, head: &crate::edge::head::Head<'_>, method: &Method) -> Result<RouteId, Refusal> {
        self.table(head.connection().listener).select(head.host(), head.path(), method)
    }

    /// What things are called, for those who tell of requests.
    pub fn names(&self) -> Names {
        let listener = |position: &Option<usize>| position.map(|at| self.listeners[at].name.clone());
        let route = |route: &Route| RouteNames { name: route.name.clone(), pattern: route.pattern.clone() };
        let upstream = |upstream: &Upstream| UpstreamNames {
            name: upstream.name.clone(),
            endpoints: upstream.endpoints.iter().map(|endpoint| endpoint.url().into()).collect(),
        };
        let places = self.routes.iter().flat_map(|route| route.places.query.iter().chain(&route.places.form));
        let mut hidden: Vec<Box<str>> = telemetry::ALWAYS_HIDDEN.into_iter().map(Into::into).collect();
        hidden.extend(places.chain(&self.redact).cloned());
        hidden.sort_unstable();
        hidden.dedup();
        Names {
            listeners: self.positions.iter().map(listener).collect(),
            routes: self.routes.iter().map(route).collect(),
            upstreams: self.upstreams.iter().map(upstream).collect(),
            hidden: hidden.into(),
        }
    }

    /// What leads to the routes of this listener.
    pub fn table(&self, listener: ListenerId) -> &Table<RouteId> {
        &self.tables[self.position(listener)]
    }

    /// The wording of refusals before a route is known.
    pub fn dialect(&self, listener: ListenerId) -> &'static Dialect {
        self.dialects[self.position(listener)]
    }

    /// Whether this listener is one of this World.
    pub fn has(&self, listener: ListenerId) -> bool {
        self.positions.get(listener.0).is_some_and(Option::is_some)
    }

    /// A listener of this World.
    pub fn listener(&self, id: ListenerId) -> &Arc<Listener> {
        &self.listeners[self.position(id)]
    }

    fn position(&self, id: ListenerId) -> usize {
        self.positions[id.0].expect("a request is served under a World that has its listener")
    }
}
