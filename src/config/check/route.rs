//! `[[route]]`, as meant: each route on its own, then the routes of each listener together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::{binding, credential, endpoint, limit, part, plain_id, position};
use crate::authenticate::Expression;
use crate::authorize::{Rules, network, resource, scope};
use crate::config::file::{File, Placed, Route, Scope};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::guard;
use crate::endpoint::Entry;
use crate::forward::credential::Own;
use crate::forward::upstream::{CredentialPolicy, UpstreamId};
use crate::invalid::Invalid;
use crate::limit::Policy;
use crate::route::{Case, HostPattern, Pattern, Table};
use crate::scheme::{Examine, Places};
use crate::world::{self, Destination, RouteId};

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

/// What a route takes where it lists no methods.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The schemes by their names, and where files are read.
type Given<'a> = (&'a [(String, Arc<dyn Examine>)], &'a Source);

/// Every route, in the order of the file; `None` where something is wrong with it.
pub(super) fn routes(
    file: &File,
    (schemes, source): Given<'_>,
    policies: &[Policy],
    report: &mut Report,
) -> Vec<Option<Checked>> {
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    let mut meant = Vec::new();
    for route in &file.routes {
        let Some(route) = &route.table else {
            meant.push(None);
            continue;
        };
        plain_id(&route.name, report);
        if let Some(first) = names.get(route.name.value.as_str()) {
            let invalid = Invalid::new(format!("a second route is called `{}`", route.name.value));
            report.conflict(route.name.place.clone(), invalid, first.clone(), "the first");
        }
        names.entry(&route.name.value).or_insert_with(|| route.name.place.clone());
        meant.push(checked(route, (file, policies), (schemes, source), report));
    }
    meant
}

fn checked(
    route: &Route,
    (file, policies): (&File, &[Policy]),
    (schemes, source): Given<'_>,
    report: &mut Report,
) -> Option<Checked> {
    // Each of these says what is wrong; only then is it decided whether there is a route.
    let authenticate = authenticate(&route.authenticate, schemes, report);
    let destination = destination(route, file, report);
    let listeners = listeners(route, file, report);
    let methods = methods(route.methods.as_ref(), report);
    let host = host(route.host.as_ref(), report);
    let authenticate = authenticate?;
    let (origin, cors) = super::cors::rules(route, methods.as_deref(), file, report);
    let operation = super::operation::operation(route, file, report);
    let holders = super::operation::holders(route, report);
    let camera = binding::camera(route, &authenticate, schemes, file, report);
    acting(route, &authenticate, file, report);
    let upstream_credential = upstream_credential(route, source, report);
    let limits = limit::of_route(route, &authenticate, (file, policies), report);
    let websocket = super::websocket::terms(route, methods.as_deref(), file, report);
    let guard = super::guard::of_route(route, file, report);
    let mut places = authenticate.places();
    // Also where nobody reads it, it is no less a credential for that: where they are removed, so is this one. What no
    // scheme of the house serves reaches no upstream by way of an open route either.
    places.join(Places::authorization());
    places.join(super::operation::places(route, file));
    let looks_into_forms = authenticate.reads_forms()
        || origin.as_ref().is_some_and(|origin| !origin.parameters.is_empty())
        || operation.is_some();
    let underscored = places.headers.iter().filter(|name| name.as_str().contains('_')).cloned().collect();
    Some(Checked {
        meant: world::Route {
            name: route.name.value.as_str().into(),
            pattern: route.path.value.as_str().into(),
            authenticate,
            rules: Arc::new(Rules { origin, operation, holders, ..rules(route, camera) }),
            destination: destination?,
            upstream_credential,
            places,
            underscored,
            app: super::app::place(route, report),
            form: looks_into_forms.then(|| route.max_form.map_or(MAX_FORM, |most| most.0)),
            inner: inner(route),
            cors,
            wall: super::app::wall(route, file, report),
            websocket,
            dialect: route.dialect.0,
            max_body: route.max_body.map(|most| most.0),
            content: route.content.as_ref().map(|written| written.value.into()),
            mask_errors: route.mask_errors,
            limits,
            guard,
        },
        forward: route.forward.as_ref().map(|forward| forward.value.clone()),
        listeners: listeners?,
        host: host?,
        path: route.path.clone(),
        methods: methods?,
        case: if route.case_sensitive == Some(false) { Case::Ignored } else { Case::Minded },
    })
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

fn listeners(route: &Route, file: &File, report: &mut Report) -> Option<Vec<usize>> {
    let Some(written) = &route.listeners else { return Some((0..file.listeners.len()).collect()) };
    if written.value.is_empty() {
        report.error(written.place.clone(), Invalid::new("a route without a listener is never reached"));
        return None;
    }
    let found: Vec<_> = written.value.iter().map(|name| position("listener", name, &file.listeners, report)).collect();
    let mut positions: Vec<usize> = found.into_iter().collect::<Option<_>>()?;
    positions.sort_unstable();
    positions.dedup();
    Some(positions)
}

fn methods(written: Option<&Placed<Vec<Placed<String>>>>, report: &mut Report) -> Option<Vec<Method>> {
    let Some(written) = written else { return Some(METHODS.to_vec()) };
    if written.value.is_empty() {
        report.error(written.place.clone(), Invalid::new("a route without a method is never reached"));
        return None;
    }
    let mut methods: Vec<Method> = Vec::new();
    let mut all = true;
    for name in &written.value {
        match method(&name.value) {
            Ok(method) if methods.contains(&method) => {}
            Ok(method) => methods.push(method),
            Err(invalid) => {
                report.error(name.place.clone(), invalid);
                all = false;
            }
        }
    }
    all.then_some(methods)
}

/// What the guard lets in, and nothing else: a route for any other method would never be reached. Methods are names with
/// upper and lower case (RFC 9110 §9.1): `get` would be another method than GET.
fn method(name: &str) -> Result<Method, Invalid> {
    if let Some(method) = Method::try_from(name).ok().filter(guard::is_known) {
        return Ok(method);
    }
    let invalid = Invalid::new(format!("`{name}` is not a method that is ever forwarded"));
    Err(match nearest::nearest(name, METHODS.iter().map(Method::as_str)) {
        Some(near) => invalid.hint(format!("did you mean `{near}`?")),
        None => invalid.hint("a route may list the registered methods (IANA) except CONNECT and TRACE, in capitals"),
    })
}

#[expect(clippy::option_option, reason = "`None`: it is wrong; `Some(None)`: any host")]
fn host(written: Option<&Placed<String>>, report: &mut Report) -> Option<Option<String>> {
    let Some(written) = written else { return Some(None) };
    match written.value.parse::<HostPattern>() {
        Ok(_) => Some(Some(written.value.clone())),
        Err(invalid) => {
            report.error(part(&written.place, &written.value, invalid.span.clone()), invalid);
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

/// For each listener, its table; all of them, if the report has no error.
pub(super) fn tables(file: &File, routes: &[Option<Checked>], report: &mut Report) -> Vec<Table<RouteId>> {
    let mut tables = Vec::new();
    for listener in 0..file.listeners.len() {
        let here: Vec<(usize, &Checked)> = routes
            .iter()
            .enumerate()
            .filter_map(|(id, route)| Some((id, route.as_ref()?)))
            .filter(|(_, route)| route.listeners.contains(&listener))
            .collect();
        match Table::new(here.iter().map(|(id, route)| (route.pattern(), RouteId(*id))).collect()) {
            Ok(table) => tables.push(table),
            Err(mistakes) => {
                for (entry, invalid) in mistakes {
                    let path = &here[entry].1.path;
                    report.error(part(&path.place, &path.value, invalid.span.clone()), invalid);
                }
            }
        }
    }
    tables
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
    fn a_method_is_written_as_it_is_sent() {
        for good in ["GET", "PATCH", "PROPFIND", "QUERY"] {
            assert!(method(good).is_ok(), "{good}");
        }
        for wrong in ["get", "Get", "CONNECT", "TRACE", "PRI", "M-SEARCH", "", "GET ", "GE T"] {
            assert!(method(wrong).is_err(), "{wrong}");
        }
        assert_eq!(method("get").unwrap_err().hint.unwrap(), "did you mean `GET`?");
    }

    #[test]
    fn a_scope_rule_keeps_what_is_not_written() {
        let written = Scope { read: Some(vec!["live".to_owned()]), write: None };
        let rule = rule(Some(&written));
        assert_eq!((rule.read, rule.write), (vec!["live".into()], scope::Rule::default().write));
    }
}
