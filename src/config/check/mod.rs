//! The configuration as meant: names resolved, secrets read, contradictions found. Everything is looked at before
//! anything is refused, and a World exists only if nothing was wrong.

mod access;
mod account;
mod admin;
mod app;
mod balance;
mod binding;
mod certificate;
mod cors;
mod credential;
mod decide;
mod declared;
mod endpoint;
mod fixed;
mod guard;
mod limit;
mod lint;
mod listener;
mod login;
mod monitoring;
mod networks;
mod operation;
mod overload;
mod route;
mod scheme;
mod stand;
mod store;
mod terms;
mod tls;
mod token;
mod traces;
mod upstream;
mod websocket;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub(in crate::config) use self::declared::Declared;
use self::networks::Networks;
use crate::config::file::{File, Named, Placed};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::client_ip::TrustedProxies;
use crate::edge::listener::Listener;
use crate::invalid::Invalid;
use crate::limit::Policy;
use crate::route::Table;
use crate::secret::{Secret, SecretSource};
use crate::store::{Index, Purpose, Sound};
use crate::telemetry::{log, trace};
use crate::units::Span;
use crate::world::{RouteId, World};

pub use self::declared::Installed;
pub use self::fixed::Fixed;
pub(super) use self::store::unmade;
pub use self::store::{PUT_BACK, Unmade};

/// What the file says, ready to run.
pub(super) struct Meant {
    pub(super) world: World,
    pub(super) store: Option<Sound>,
    pub(super) workers: Option<usize>,
    pub(super) log: log::Settings,
    pub(super) stop: Stop,
    pub(super) admin: Option<crate::admin::Settings>,
    pub(super) monitoring: Option<crate::admin::monitoring::Settings>,
    pub(super) traces: Option<trace::Settings>,
    pub(super) fixed: Fixed,
    pub(super) declared: Who,
    pub(super) watch: bool,
}

/// How a gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How long it takes requests in still, while it says that it is not ready any more.
    pub lame_duck: Duration,
    /// How long requests may go on after that.
    pub drain: Duration,
}

impl Stop {
    fn of(file: &File) -> Self {
        let or = |span: Option<Span>, default: Duration| span.map_or(default, |span| span.0);
        Self { lame_duck: or(file.lame_duck, Duration::ZERO), drain: or(file.drain, Duration::from_secs(30)) }
    }
}

/// Who is declared.
pub(super) enum Who {
    /// They are in the index of the World.
    Installed(Installed),
    /// They are yet to come into that of a gateway that runs.
    Pending(Declared),
}

/// For what a configuration is looked at.
#[derive(Clone, Copy)]
pub(super) enum Use<'a> {
    /// To start with it, or to look at it.
    Start(Purpose),
    /// To go on with it in the place of another one, over the index that there is.
    GoOn(&'a Fixed, &'a Arc<Index>),
}

impl Use<'_> {
    /// Who exists under it. `None`: the report says why nobody.
    fn directory(
        self,
        declared: Declared,
        store: Option<store::Checked>,
        report: &mut Report,
    ) -> Option<(Arc<Index>, Option<Sound>, Who)> {
        match self {
            Self::Start(purpose) => directory(declared, store, purpose, report),
            Self::GoOn(_, index) => Some((Arc::clone(index), None, Who::Pending(declared))),
        }
    }

    /// Says what cannot be otherwise in a gateway that runs.
    fn compare(self, fixed: &Fixed, file: &File, report: &mut Report) {
        if let Self::GoOn(before, _) = self {
            fixed.differences(before, file, report);
        }
    }
}

/// Turns what was written into what is meant. `None`: the report says why.
pub(super) fn check(file: &File, source: &Source, purpose: Use<'_>, report: &mut Report) -> Option<Meant> {
    lint::allowances(file, report);
    let networks = Networks::new(&file.networks, report);
    let trusted_proxies = networks.proxies(&file.trusted_proxies, report);
    workers(file.workers.as_ref(), report);
    let traces = traces::traces(file, (&networks, &trusted_proxies), source, report);
    let (overload, look) = (overload::overload(&file.overload, report), tls::look(&file.tls, report));
    let (telemetry, redact) = access::telemetry(&file.log, traces.as_ref(), source, report);
    let mut listeners = listener::listeners(&file.listeners, &networks, source, report);
    let admin = file.admin.as_ref().and_then(|own| admin::admin(own, &file.listeners, source, report));
    let monitoring = monitoring::monitoring(file, report);
    let upstreams = upstream::upstreams(&file.upstreams, source, report);
    let schemes = scheme::schemes(&file.schemes, &networks, source, report);
    let declared = account::accounts(&file.accounts, source, report);
    let store = file.store.as_ref().and_then(|written| store::checked(written, source, report));
    let token_outfit = endpoint::token_outfit(file.endpoint.as_ref(), source, report);
    let login = login::login(file.endpoint.as_ref(), source, report);
    let (limits, guards) = (limit::policies(file, report), guard::guards(file, report));
    let (routes, stands) = route::routes(file, (&schemes, source), &limits, report);
    let tables = stand::tables(file, &stands, report);
    together(file, &routes, report);
    let fixed = Fixed::of(file, store.as_ref(), (admin.as_ref(), monitoring));
    purpose.compare(&fixed, file, report);
    if report.errors() > 0 {
        return None;
    }
    let (directory, store, declared) = purpose.directory(declared, store, report)?;
    unwise((file, &routes, &limits), (&listeners, &tables), (&schemes, &networks, &directory), report);
    websockets(&mut listeners, &routes);
    Some(Meant {
        world: World {
            positions: (0..listeners.len()).map(Some).collect(),
            listeners: listeners.into_iter().map(Arc::new).collect(),
            dialects: file.listeners.iter().filter_map(|named| Some(named.table.as_ref()?.dialect.0)).collect(),
            upstreams,
            routes: routes.into_iter().flatten().map(|route| route.meant).collect(),
            tables,
            trusted_proxies: TrustedProxies::new(trusted_proxies),
            token_outfit: Arc::new(token_outfit),
            login,
            limits,
            guards,
            key_sets: schemes.iter().filter_map(|(_, scheme)| scheme.key_set().cloned()).collect(),
            directory,
            overload,
            telemetry,
            redact,
            admin_tls: admin.as_ref().and_then(|admin| admin.tls.clone()),
            look,
        },
        store,
        workers: file.workers.as_ref().map(|workers| workers.value.get()),
        log: log::Settings { level: file.log.level, format: file.log.format },
        stop: Stop::of(file),
        admin,
        monitoring,
        traces,
        fixed,
        declared,
        watch: file.reload.watch,
    })
}

/// Who exists: those on file, and with them those that are declared. `None`: the report says why.
fn directory(
    declared: Declared,
    store: Option<store::Checked>,
    purpose: Purpose,
    report: &mut Report,
) -> Option<(Arc<Index>, Option<Sound>, Who)> {
    let mut store = store.and_then(|checked| store::open(checked, purpose, report));
    let index = store.as_ref().map_or_else(|| Arc::new(Index::new()), Sound::index);
    if let Some(store) = &mut store {
        declared.clashes_on_file(|resource, id| store.holds(resource, id), report);
        store.declare(declared.entries());
    }
    if report.errors() > 0 {
        return None;
    }
    let installed = declared.install(&index, &Installed::default(), report)?;
    Some((index, store, Who::Installed(installed)))
}

/// More threads than any machine has cores are a slip of the keyboard.
const MOST_WORKERS: usize = 1024;

fn workers(written: Option<&Placed<NonZeroUsize>>, report: &mut Report) {
    if let Some(workers) = written.filter(|workers| workers.value.get() > MOST_WORKERS) {
        report.error(workers.place.clone(), Invalid::new(format!("there are at most {MOST_WORKERS} workers")));
    }
}

/// What only several tables together can have wrong.
fn together(file: &File, routes: &[Option<route::Checked>], report: &mut Report) {
    if let (Some(admin), None) = (&file.admin, &file.store) {
        let invalid = Invalid::new("there is no store that could be managed here").hint("add [store]");
        report.error(admin.place.clone(), invalid);
    }
    empty(file, report);
    operation::tables(file, report);
    route::exposed(file, routes, report);
    certificate::certificates(file, routes, report);
}

/// Which listeners have a route that takes WebSocket.
fn websockets(listeners: &mut [Listener], routes: &[Option<route::Checked>]) {
    for (at, listener) in listeners.iter_mut().enumerate() {
        let mut here = routes.iter().flatten().filter(|route| route.listeners.contains(&at));
        listener.websocket = here.any(|route| route.meant.websocket.is_some());
    }
}

/// What is missing as a whole was said when the file was read; this is for `[listener]` with nothing below it.
fn empty(file: &File, report: &mut Report) {
    if report.errors() > 0 {
        return;
    }
    if file.listeners.is_empty() {
        report.error(None, Invalid::new("there is no listener: no request would come in"));
    }
    if file.routes.is_empty() {
        report.error(None, Invalid::new("there is no route: every request would be refused"));
    }
}

/// What is allowed and unwise. Asked when nothing is wrong: a route that could not be read may be the one that uses it.
fn unwise(
    (file, routes, limits): (&File, &[Option<route::Checked>], &[Policy]),
    (listeners, tables): (&[Listener], &[Table<RouteId>]),
    (schemes, networks, index): (&[lint::Built], &Networks, &Index),
    report: &mut Report,
) {
    lint::unknown_roles(routes, index, report);
    unused(file, routes, limits, networks, report);
    certificate::covered(file, routes, listeners, report);
    decide::unwise(file, routes, limits, report);
    lint::look(&lint::Scene::new(file, routes, (listeners, tables), (schemes, networks)), report);
}

fn unused(file: &File, routes: &[Option<route::Checked>], limits: &[Policy], networks: &Networks, report: &mut Report) {
    let routes = || routes.iter().flatten();
    for upstream in &file.upstreams {
        if !routes().any(|route| route.forward.as_ref() == Some(&upstream.name.value)) {
            let invalid = Invalid::new(format!("no route forwards to the upstream `{}`", upstream.name.value));
            report.find(&rules::UNUSED_UPSTREAM, upstream.name.place.clone(), invalid);
        }
    }
    for scheme in &file.schemes {
        if !routes().any(|route| route.meant.authenticate.schemes().any(|used| used == scheme.name.value)) {
            let invalid = Invalid::new(format!("no route asks for the scheme `{}`", scheme.name.value));
            report.find(&rules::UNUSED_SCHEME, scheme.name.place.clone(), invalid);
        }
    }
    limit::unused(file, |id| routes().any(|route| route.meant.limits.contains(&id)), limits, report);
    guard::unused(file, |id| routes().any(|route| route.meant.guard == Some(id)), report);
    networks.unused(report);
}

/// The names of listeners, upstreams and schemes go into logs, metrics and expressions.
fn plain_name(name: &Placed<String>, reserved: &[&str], report: &mut Report) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(plain) {
        let invalid = Invalid::new("a name here is 1 to 64 letters, digits, `_` and `-`");
        report.error(name.place.clone(), invalid);
    } else if reserved.contains(&name.value.as_str()) {
        let invalid = Invalid::new(format!("`{}` is a word of `authenticate` and cannot be a name", name.value));
        report.error(name.place.clone(), invalid);
    }
}

/// Ids of accounts, credentials and routes go into header fields and logs.
fn plain_id(id: &Placed<String>, report: &mut Report) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',');
    let fits = (1..=128).contains(&id.value.len()) && id.value.bytes().all(plain);
    if !fits {
        let invalid = Invalid::new("an id is 1 to 128 visible ASCII characters, without spaces, quotes and commas");
        report.error(id.place.clone(), invalid);
    }
    fits
}

/// Where `name` stands among the named tables; says so if it does not.
fn position<T>(what: &str, name: &Placed<String>, among: &[Named<T>], report: &mut Report) -> Option<usize> {
    let found = among.iter().position(|named| named.name.value == name.value);
    if found.is_none() {
        let mut invalid = Invalid::new(format!("there is no {what} called `{}`", name.value));
        invalid.hint = nearest::hint(&name.value, among.iter().map(|named| named.name.value.as_str())).or_else(|| {
            let key = if what == "table of roles" { "roles" } else { what };
            Some(format!("declare one: [{key}.<name>]").into())
        });
        report.error(name.place.clone(), invalid);
    }
    found
}

/// The place of a part of a string that stands at `place`, where it stands there letter by letter.
fn part(place: &Range<usize>, text: &str, part: Option<Range<usize>>) -> Range<usize> {
    match part {
        // One quote on each side, and no escapes: what was read is as long as what was written.
        Some(part) if !part.is_empty() && place.len() == text.len() + 2 && part.end <= text.len() => {
            place.start + 1 + part.start..place.start + 1 + part.end
        }
        _ => place.clone(),
    }
}

/// The secret, with what there is to say about where it comes from.
fn secret(written: &Placed<SecretSource>, source: &Source, report: &mut Report) -> Option<Secret> {
    if let SecretSource::File(path) = &written.value
        && let Some(exposed) = source.exposure(path)
    {
        report.find(&rules::READABLE_SECRET, written.place.clone(), exposed);
    }
    match source.secret(&written.value) {
        Ok(secret) => Some(secret),
        Err(invalid) => {
            report.error(written.place.clone(), invalid);
            None
        }
    }
}
