//! `[[route]]`, as meant: each route on its own, then the routes of each listener together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::stand::{self, Parts, Stand};
use super::{binding, credential, endpoint, limit, part, plain_id, position};
use crate::authenticate::Expression;
use crate::authorize::{Rules, network, resource, scope};
use crate::config::file::{File, Placed, Route, Scope};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::endpoint::Entry;
use crate::forward::Terms;
use crate::forward::credential::Own;
use crate::forward::upstream::{CredentialPolicy, UpstreamId};
use crate::invalid::Invalid;
use crate::limit::failures::GuardId;
use crate::limit::{Policy, PolicyId};
use crate::reply::{cors, wall};
use crate::route::{Case, Pattern};
use crate::scheme::{Examine, Places};
use crate::world::{self, AppPlace, Destination};

/// A route, and what its table needs to know of it.
pub(super) struct Checked {
    pub(super) meant: world::Route,
    /// The name of its upstream, if it goes to one.
    pub(super) forward: Option<String>,
    /// Positions in the list of listeners.
    pub(super) listeners: Vec<usize>,
    pub(super) host: Option<String>,
    pub(super) path: Placed<String>,
    pub(super) methods: Vec<Method>,
    case: Case,
}

/// The largest form that is looked into where the route says nothing, in bytes.
const MAX_FORM: u64 = 64 << 10;

/// The schemes by their names, and where files are read.
type Given<'a> = (&'a [(String, Arc<dyn Examine>)], &'a Source);

/// A route as far as it could be read.
#[derive(Clone, Copy)]
struct Seen<'a> {
    route: &'a Route,
    /// Keys whose values mean nothing.
    unread: &'a [String],
}

impl Seen<'_> {
    /// Whether all of these keys were read, be they there or left out. What was not read is no reason to blame the rest.
    fn knows(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.unread.iter().any(|unread| unread == key))
    }
}

/// Every route, in the order of the file, and where each stands; `None` where something is wrong with it.
pub(super) fn routes(
    file: &File,
    (schemes, source): Given<'_>,
    policies: &[Policy],
    report: &mut Report,
) -> (Vec<Option<Checked>>, Vec<Option<Stand>>) {
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    let (mut meant, mut stands) = (Vec::new(), Vec::new());
    for entry in &file.routes {
        let remains = entry.remains.as_deref();
        let whole = entry.table.as_ref().map(|route| Seen { route, unread: &[] });
        let Some(seen) = whole.or(remains.map(|rest| Seen { route: &rest.table, unread: &rest.unread })) else {
            meant.push(None);
            stands.push(None);
            continue;
        };
        let name = &seen.route.name;
        if seen.knows(&["name"]) {
            plain_id(name, report);
            if let Some(first) = names.get(name.value.as_str()) {
                let invalid = Invalid::new(format!("a second route is called `{}`", name.value));
                let invalid = invalid.hint("logs and `lint` speak of routes by their names: give each its own");
                report.conflict(name.place.clone(), invalid, first.clone(), "the first");
            }
            names.entry(&name.value).or_insert_with(|| name.place.clone());
        }
        let parts = Parts::of(seen.route, |keys| seen.knows(keys), file, report);
        meant.push(checked(seen, &parts, (file, policies), (schemes, source), report));
        stands.push(parts.stand(seen.route, |keys| seen.knows(keys), report));
    }
    (meant, stands)
}

fn checked(
    seen: Seen<'_>,
    parts: &Parts,
    (file, policies): (&File, &[Policy]),
    (schemes, source): Given<'_>,
    report: &mut Report,
) -> Option<Checked> {
    let Seen { route, unread } = seen;
    // Each of these says what is wrong; only then is it decided whether there is a route.
    let authenticate =
        seen.knows(&["authenticate"]).then(|| authenticate(&route.authenticate, schemes, report)).flatten();
    let expression = authenticate.as_ref();
    let destination = seen.destination(file, report);
    let methods = parts.methods.as_deref();
    // An expression may say whose app it is.
    let of_whom = route.app.is_some() || expression.is_some();
    let pages = seen.knows(&["origin", "cors", "app"]) && (of_whom || route.origin.is_none());
    let (origin, cors) = if pages { super::cors::rules(route, methods, file, report) } else { (None, None) };
    let in_path = seen.knows(&["path"]);
    let operation = in_path.then(|| super::operation::operation(route, file, report)).flatten();
    let holders = super::operation::holders(route, report);
    let camera = in_path.then(|| binding::camera(route, expression, schemes, file, report)).flatten();
    let upstream_credential = seen.knows(&["credential"]).then(|| upstream_credential(route, source, report)).flatten();
    let limits = limit::of_route(route, expression, (file, policies), report);
    let passes = seen.knows(&["forward", "endpoint", "wall"]);
    let websocket = passes.then(|| super::websocket::terms(route, methods, file, report)).flatten();
    let guard = super::guard::of_route(route, file, report);
    let app = in_path.then(|| super::app::place(route, report)).flatten();
    let wall = (of_whom && seen.knows(&["app", "forward"])).then(|| super::app::wall(route, file, report)).flatten();
    let authenticate = authenticate.filter(|_| unread.is_empty())?;
    acting(route, &authenticate, file, report);
    let rules = Arc::new(Rules { origin, operation, holders, ..rules(route, camera) });
    let meant =
        Meant { destination: destination?, upstream_credential, cors, limits, websocket, guard, app, wall, rules };
    Some(Checked {
        meant: meant.route(route, authenticate, file),
        forward: route.forward.as_ref().map(|forward| forward.value.clone()),
        listeners: parts.listeners.clone()?,
        host: parts.host.clone()?,
        path: route.path.clone(),
        methods: parts.methods.clone()?,
        case: stand::case(route),
    })
}

/// What the tables of a route mean, each on its own.
struct Meant {
    destination: Destination,
    upstream_credential: Option<Own>,
    cors: Option<cors::Rule>,
    limits: Vec<PolicyId>,
    websocket: Option<Terms>,
    guard: Option<GuardId>,
    app: Option<AppPlace>,
    wall: Option<wall::Rule>,
    rules: Arc<Rules>,
}

impl Meant {
    /// The route of them all.
    fn route(self, route: &Route, authenticate: Expression, file: &File) -> world::Route {
        let Self { destination, upstream_credential, cors, limits, websocket, guard, app, wall, rules } = self;
        let mut places = authenticate.places();
        // Also where nobody reads it, it is no less a credential for that: where they are removed, so is this one. What
        // no scheme of the house serves reaches no upstream by way of an open route either.
        places.join(Places::authorization());
        places.join(super::operation::places(route, file));
        let looks_into_forms = authenticate.reads_forms()
            || rules.origin.as_ref().is_some_and(|origin| !origin.parameters.is_empty())
            || rules.operation.is_some();
        let underscored = places.headers.iter().filter(|name| name.as_str().contains('_')).cloned().collect();
        world::Route {
            name: route.name.value.as_str().into(),
            pattern: route.path.value.as_str().into(),
            authenticate,
            rules,
            destination,
            upstream_credential,
            places,
            underscored,
            app,
            form: looks_into_forms.then(|| route.max_form.map_or(MAX_FORM, |most| most.0)),
            inner: inner(route),
            cors,
            wall,
            websocket,
            dialect: route.dialect.0,
            max_body: route.max_body.map(|most| most.0),
            content: route.content.as_ref().map(|written| written.value.into()),
            mask_errors: route.mask_errors,
            limits,
            guard,
        }
    }
}

impl Seen<'_> {
    /// Where it goes, where all that says so could be read; else whether there is such an upstream.
    fn destination(&self, file: &File, report: &mut Report) -> Option<Destination> {
        let told = ["forward", "endpoint", "not_implemented", "credential", "upstream_credential"];
        if self.knows(&told) && self.knows(&["operation", "authenticate"]) {
            return destination(self.route, file, report);
        }
        if let Some(forward) = self.route.forward.as_ref().filter(|_| self.knows(&["forward"])) {
            position("upstream", forward, &file.upstreams, report);
        }
        None
    }
}

/// Warns of tokens for one camera that act with more than their own rights.
fn acting(route: &Route, authenticate: &Expression, file: &File, report: &mut Report) {
    if let (Some(written), Some(CredentialPolicy::Translate)) = (&route.credential, policy(route))
        && authenticate.schemes().any(|name| binding::reads_tokens(name, file))
        && route.camera.as_ref().is_none_or(|written| written.value.path.is_none())
    {
        let invalid = Invalid::new(
            "a token for one camera acts here with the upstream's own credential, on every path",
        )
        .hint(
            "keep it to its camera where the path has the id: camera = { path = \"id\" }; or let `path` and `methods` \
             hold only what any camera's token may do",
        );
        report.find(rules::TRANSLATED_TOKEN.on(&route.name.value), written.place.clone(), invalid);
    }
}

/// Where it goes: to one place, and exactly one.
fn destination(route: &Route, file: &File, report: &mut Report) -> Option<Destination> {
    let nowhere = route.not_implemented.as_ref().filter(|written| written.value);
    if let (Some(_), Some(written)) = (&route.forward, nowhere) {
        let invalid = Invalid::new("a route that is not implemented forwards nothing").hint("leave `forward` out");
        report.error(written.place.clone(), invalid);
        return None;
    }
    let beside = route.endpoint.as_ref().filter(|written| written.value.0.operations.is_empty() || nowhere.is_some());
    if let (Some(written), true) = (beside, route.forward.is_some() || nowhere.is_some()) {
        let invalid = Invalid::new("a route leads to one place: an endpoint of the house is one by itself")
            .hint("leave `forward` and `not_implemented` out");
        report.error(written.place.clone(), invalid);
        return None;
    }
    if let (Some(written), None) = (&route.endpoint, &route.forward) {
        return Some(endpoint::destination(written, route, file, report));
    }
    if let Some(written) = &route.endpoint {
        endpoint::equipped(written, route, file, report);
    }
    if nowhere.is_some() {
        return Some(Destination::NotImplemented);
    }
    let Some(forward) = &route.forward else {
        let invalid = Invalid::new(format!("the route `{}` leads nowhere", route.name.value))
            .hint("say where it goes: forward = \"<the name of an upstream>\"");
        report.error(route.name.place.clone(), invalid);
        return None;
    };
    let at = position("upstream", forward, &file.upstreams, report)?;
    let credential = policy(route).unwrap_or(CredentialPolicy::Remove);
    let own = file.upstreams[at].table.as_ref();
    let own = own.map(|upstream| upstream.credential.is_some() || route.upstream_credential.is_some());

    if let (Some(written), CredentialPolicy::Translate, Some(false)) = (&route.credential, credential, own) {
        let invalid = Invalid::new(format!("the upstream `{}` has no credential to put in", forward.value))
            .hint("give it one: credential = { header = \"Authorization\", value = { file = \"…\" } }");
        report.error(written.place.clone(), invalid);
    }
    Some(Destination::Upstream { id: UpstreamId(at), credential })
}

/// What the upstream sees of the callers of this route, where it says so itself.
fn upstream_credential(route: &Route, source: &Source, report: &mut Report) -> Option<Own> {
    let written = route.upstream_credential.as_ref()?;
    if !matches!(policy(route), Some(CredentialPolicy::Translate)) {
        let invalid = Invalid::new("this route puts no credential in the place of the caller's");
        report.error(written.place.clone(), invalid.hint("say that it does: credential = \"translate\""));
    }
    credential::own(written, source, report)
}

/// The endpoint that answers some operations of a route which forwards the others.
fn inner(route: &Route) -> Option<&'static Entry> {
    route.endpoint.as_ref().filter(|_| route.forward.is_some()).map(|written| written.value.0)
}

fn policy(route: &Route) -> Option<CredentialPolicy> {
    route.credential.as_ref().map(|written| written.value.into())
}

fn authenticate(
    written: &Placed<String>,
    schemes: &[(String, Arc<dyn Examine>)],
    report: &mut Report,
) -> Option<Expression> {
    match Expression::parse(&written.value, schemes) {
        Ok(expression) => Some(expression),
        Err(mistakes) => {
            for invalid in mistakes {
                report.error(part(&written.place, &written.value, invalid.span.clone()), invalid);
            }
            None
        }
    }
}

fn rules(route: &Route, camera: Option<resource::Rule>) -> Rules {
    let anywhere = route.account_addresses == Some(false);
    let network = if anywhere { network::Rule::Anywhere } else { network::Rule::Listed };
    Rules { scope: rule(route.scope.as_ref()), camera, network, ..Rules::default() }
}

fn rule(written: Option<&Scope>) -> scope::Rule {
    let mut rule = scope::Rule::default();
    let list = |scopes: &Vec<String>| scopes.iter().map(|scope| scope.as_str().into()).collect();
    if let Some(read) = written.and_then(|scope| scope.read.as_ref()) {
        rule.read = list(read);
    }
    if let Some(write) = written.and_then(|scope| scope.write.as_ref()) {
        rule.write = list(write);
    }
    rule
}

impl Checked {
    pub(super) fn pattern(&self) -> Pattern {
        let host = self.host.as_ref().map(|host| host.parse().expect("it was parsed before"));
        Pattern { host, path: self.path.value.clone(), methods: self.methods.clone(), case: self.case }
    }
}

/// Warns of listeners where credentials would cross a network in clear.
pub(super) fn exposed(file: &File, routes: &[Option<Checked>], report: &mut Report) {
    // Behind a proxy that ends TLS, this is how it should be.
    if !file.trusted_proxies.is_empty() {
        return;
    }
    for (at, named) in file.listeners.iter().enumerate() {
        // Nor is it said of a listener that decides: those who ask are proxies.
        let is_exposed = |table: &&crate::config::file::Listener| table.tls.is_none() && table.decide.is_none();
        let Some(table) = named.table.as_ref().filter(is_exposed) else { continue };
        let local = table.address.value.parse().is_ok_and(|bound: std::net::SocketAddr| bound.ip().is_loopback());
        let asked = routes.iter().flatten().any(|route| {
            let places = route.meant.authenticate.places();
            // An endpoint that proves callers itself gets what proves them, and gives tokens.
            let proves = matches!(route.meant.destination, Destination::Endpoint(entry) if entry.proves);
            route.listeners.contains(&at) && (proves || places != Places::default())
        });
        if asked && !local {
            let invalid = Invalid::new("credentials cross the network in clear on this listener")
                .hint("add `tls`, or list the proxy that ends TLS in `trusted_proxies`");
            report.find(&rules::CLEAR_CREDENTIALS, table.address.place.clone(), invalid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_rule_keeps_what_is_not_written() {
        let written = Scope { read: Some(vec!["live".to_owned()]), write: None };
        let rule = rule(Some(&written));
        assert_eq!((rule.read, rule.write), (vec!["live".into()], scope::Rule::default().write));
    }
}
