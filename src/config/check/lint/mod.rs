//! What is allowed and unwise in a whole configuration: each rule is one function here or beside, and one line in
//! `rules.rs`. It is looked for once nothing is wrong. What one table alone has unwise is found where that table is read.

mod access;
mod guesses;
mod roles;
mod shadow;
mod upkeep;
mod weak;
mod words;

use std::ops::Range;
use std::sync::Arc;

pub(super) use self::roles::unknown as unknown_roles;
use super::networks::Networks;
use super::route::Checked;
use crate::config::file::{self, File};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules::{self, RULES, Rule};
use crate::edge::listener::Listener;
use crate::invalid::Invalid;
use crate::route::Table;
use crate::scheme::Examine;
use crate::units::Network;
use crate::world::RouteId;

/// A configuration in which nothing is wrong: as written and as meant.
pub(super) struct Scene<'a> {
    file: &'a File,
    /// In the order of the file.
    routes: Vec<(&'a file::Route, &'a Checked)>,
    listeners: &'a [Listener],
    /// For each listener, in the same order.
    tables: &'a [Table<RouteId>],
    schemes: &'a [Built],
    /// Each entry of `trusted_proxies`.
    proxies: Vec<Proxies>,
    /// Each entry of `proxy_protocol` of every listener.
    balancers: Vec<Proxies>,
    /// Each entry of `decide.from` of every listener.
    askers: Vec<Proxies>,
}

/// A scheme with its name.
pub(super) type Built = (String, Arc<dyn Examine>);

/// Networks whose word is taken, and where that is said.
struct Proxies {
    place: Range<usize>,
    networks: Vec<Network>,
}

/// Every rule that looks at the whole.
const LOOKS: [fn(&Scene<'_>, &mut Report); 15] = [
    access::open,
    access::address_alone,
    access::public_identifier,
    access::pointless,
    access::unbounded_upload,
    shadow::shadowed,
    weak::query,
    weak::signatures,
    weak::deprecated,
    weak::basic_in_clear,
    guesses::unguarded,
    guesses::log_only,
    words::proxies,
    upkeep::upstreams,
    upkeep::store,
];

/// Looks for everything.
pub(super) fn look(scene: &Scene<'_>, report: &mut Report) {
    for look in LOOKS {
        look(scene, report);
    }
    for (place, id) in report.unneeded() {
        let invalid = Invalid::new(format!("nothing is found that `{id}` would have to be allowed for"));
        report.find(&rules::UNNEEDED_ALLOW, place, invalid);
    }
}

/// Reads what is meant to be so, before anything is found.
pub(super) fn allowances(file: &File, report: &mut Report) {
    for written in &file.lint.allow {
        let (id, route) = written.value.parts();
        let known = |name: &str| file.routes.iter().any(|entry| entry.id.as_deref() == Some(name));
        let unknown = match (Rule::of_id(id), route) {
            (None, _) => {
                let mut invalid = Invalid::new(format!("there is no rule `{id}`"));
                let near = nearest::hint(id, RULES.iter().map(|rule| rule.id));
                invalid.hint = Some(near.unwrap_or_else(|| "`vidgate lint --rules` lists them".into()));
                invalid
            }
            (Some(_), Some(name)) if !known(name) => {
                let mut invalid = Invalid::new(format!("there is no route called `{name}`"));
                invalid.hint = nearest::hint(name, file.routes.iter().filter_map(|entry| entry.id.as_deref()));
                invalid
            }
            (Some(rule), route) => {
                report.allow(rule, route, written.place.clone());
                continue;
            }
        };
        report.error(written.place.clone(), unknown);
    }
}

impl<'a> Scene<'a> {
    /// What is looked at.
    pub(super) fn new(
        file: &'a File,
        routes: &'a [Option<Checked>],
        (listeners, tables): (&'a [Listener], &'a [Table<RouteId>]),
        (schemes, networks): (&'a [Built], &Networks<'_>),
    ) -> Self {
        let written = file.routes.iter().map(|entry| entry.table.as_ref());
        let routes = written.zip(routes).filter_map(|(written, meant)| Some((written?, meant.as_ref()?))).collect();
        let of = |entry: &file::Placed<file::NetworkOrName>| Proxies {
            place: entry.place.clone(),
            networks: networks.of(&entry.value),
        };
        let listener_tables = || file.listeners.iter().filter_map(|named| named.table.as_ref());
        let balancers = listener_tables().flat_map(|table| &table.proxy_protocol).map(of).collect();
        let askers = listener_tables().filter_map(|table| table.decide.as_ref());
        let askers = askers.flat_map(|decide| &decide.value.from.value).map(of).collect();
        let proxies = file.trusted_proxies.iter().map(of).collect();
        Self { file, routes, listeners, tables, schemes, proxies, balancers, askers }
    }

    /// The kind of the scheme with this name.
    fn kind(&self, name: &str) -> &'static str {
        let found = self.file.schemes.iter().find(|named| named.name.value == name);
        found.and_then(|named| named.table.as_ref()).map_or("", |table| table.kind.kind)
    }

    /// The schemes that some route asks for.
    fn used(&self) -> impl Iterator<Item = (&file::Placed<String>, &file::Scheme, &dyn Examine)> {
        let used =
            |name: &str| self.routes.iter().any(|(_, meant)| meant.meant.authenticate.schemes().any(|own| own == name));
        let both = self.file.schemes.iter().zip(self.schemes);
        both.filter(move |(named, _)| used(&named.name.value))
            .filter_map(|(named, (_, built))| Some((&named.name, named.table.as_ref()?, &**built)))
    }
}

/// Names as a sentence has them: `a`, `b` and `c`.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
