//! `decide` of a listener, as meant, and what routes cannot have there.

use super::networks::Networks;
use super::route;
use crate::config::file::{self, File};
use crate::config::report::Report;
use crate::config::rules;
use crate::edge::decide::{Convention, Decide};
use crate::invalid::Invalid;
use crate::limit::{Measure, Policy};
use crate::world::{self, Destination};

/// How the listener decides for other proxies.
pub(super) fn decide(written: &file::Decide, networks: &Networks<'_>, report: &mut Report) -> Decide {
    if written.from.value.is_empty() {
        let invalid = Invalid::new("nobody may ask: every check would be refused")
            .hint("list the networks of your proxies: from = [\"10.0.0.0/8\"]");
        report.error(written.from.place.clone(), invalid);
    }
    let reads = match written.reads {
        file::Convention::Forwarded => Convention::Forwarded,
        file::Convention::Original => Convention::Original,
        file::Convention::Envoy => Convention::Envoy,
    };
    let rewrites = written.rewrites.as_ref().filter(|rewrites| rewrites.value);
    if let (Some(rewrites), Convention::Envoy) = (rewrites, reads) {
        let invalid = Invalid::new("`ext_authz` of Envoy cannot be told of another target").hint("leave it out");
        report.error(rewrites.place.clone(), invalid);
    }
    Decide { from: networks.proxies(&written.from.value, report), reads, rewrites: rewrites.is_some() }
}

/// Warns of what does not hold where a route is only decided.
pub(super) fn unwise(file: &File, routes: &[Option<route::Checked>], limits: &[Policy], report: &mut Report) {
    let decides = |at: usize| file.listeners[at].table.as_ref().is_some_and(|table| table.decide.is_some());
    for (checked, named) in routes.iter().zip(&file.routes) {
        let (Some(checked), Some(table)) = (checked, &named.table) else { continue };
        if !checked.listeners.iter().copied().any(decides) {
            continue;
        }
        let place = table.listeners.as_ref().map_or(&table.name.place, |written| &written.place);
        // One that is on every listener is meant for the others.
        let is_meant = table.listeners.is_some() || checked.listeners.iter().copied().all(decides);
        if let Some(why) = hindrance(&checked.meant).filter(|_| is_meant) {
            let invalid = Invalid::new(format!("{why}: where it is only decided, every check of it is refused")).hint(
                "have the proxy send these requests to a listener without `decide`, and list that: listeners = [\"…\"]",
            );
            report.find(rules::UNDECIDABLE_ROUTE.on(&table.name.value), place.clone(), invalid);
        }
        let holds = |id: &crate::limit::PolicyId| matches!(limits[id.0].measure, Measure::Concurrency(_));
        if checked.meant.limits.iter().any(holds) {
            let invalid = Invalid::new(
                "where a request is only decided, a place of its `concurrency` limit is given back at once",
            )
            .hint("bound it in the proxy, or have such requests come to a listener without `decide`");
            report.find(rules::DECIDED_CONCURRENCY.on(&table.name.value), place.clone(), invalid);
        }
    }
}

/// Why checks of a route are refused.
fn hindrance(route: &world::Route) -> Option<&'static str> {
    match route.destination {
        Destination::Endpoint(_) | Destination::NotImplemented => Some("the route goes to no upstream"),
        Destination::Upstream { .. } if route.form.is_some() || route.inner.is_some() => {
            Some("the route looks into forms")
        }
        Destination::Upstream { .. } if route.content.is_some() => Some("the route looks at bodies"),
        Destination::Upstream { .. } if route.wall.is_some() => Some("the route filters its answers"),
        Destination::Upstream { .. } => None,
    }
}
