//! `[limit.<name>]` with `failures`, as meant, and which of them holds on a route.

use std::time::Duration;

use super::limit::count;
use crate::config::file::{File, Limit, Named, Route};
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::limit::failures::{GuardId, Settings};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(15);
/// Beyond it a guard would remember for longer than people stay at an address.
const LONGEST_OF_ALL: Duration = Duration::from_hours(24);

/// Whether a limit is a guard.
pub(super) fn is_guard(named: &Named<Limit>) -> bool {
    named.table.as_ref().is_some_and(|table| table.failures.is_some())
}

/// Every guard, in the order of the file, as far as it is right.
pub(super) fn guards(file: &File, report: &mut Report) -> Vec<Settings> {
    file.limits.iter().filter_map(|named| guard(named, report)).collect()
}

fn guard(named: &Named<Limit>, report: &mut Report) -> Option<Settings> {
    let table = named.table.as_ref()?;
    let Some(written) = &table.failures else {
        for (name, span) in [("first", &table.first), ("longest", &table.longest)] {
            if let Some(span) = span {
                let invalid =
                    Invalid::new(format!("`{name}` belongs to a guard")).hint("add failures = 10, or leave it out");
                report.error(span.place.clone(), invalid);
            }
        }
        return None;
    };
    if let Some(per) = &table.per {
        let invalid = Invalid::new("a guard counts for each address, and for each identifier from one network")
            .hint("leave `per` out");
        report.error(per.place.clone(), invalid);
    }
    let failures = count(written, report);
    let [first, longest] = [&table.first, &table.longest].map(|span| span.as_ref().map(|span| span.value.0));
    let (longest, first) = (longest.unwrap_or(LONGEST.max(first.unwrap_or(FIRST))), first.unwrap_or(FIRST));
    if let Some(span) = table.longest.as_ref().or(table.first.as_ref()) {
        if longest > LONGEST_OF_ALL {
            let invalid = Invalid::new("a guard refuses for a day at most").hint("longest = \"15m\" is enough");
            report.error(span.place.clone(), invalid);
        }
        if longest < first {
            let invalid = Invalid::new("the longest refusal is shorter than the first");
            report.error(span.place.clone(), invalid);
        }
    }
    let log_only = table.log_only.unwrap_or(false);
    Some(Settings { name: named.name.value.as_str().into(), failures: failures?.get(), first, longest, log_only })
}

/// The guard of a route, by its place among all guards: one at most.
pub(super) fn of_route(route: &Route, file: &File, report: &mut Report) -> Option<GuardId> {
    let guards: Vec<&str> =
        file.limits.iter().filter(|named| is_guard(named)).map(|named| named.name.value.as_str()).collect();
    let mut found = None;
    for name in route.limits.as_ref().map(|written| &written.value[..]).unwrap_or_default() {
        let Some(at) = guards.iter().position(|guard| *guard == name.value) else { continue };
        if found.replace(GuardId(at)).is_some_and(|before| before != GuardId(at)) {
            report.error(name.place.clone(), Invalid::new("a route has one guard"));
        }
    }
    found
}

/// Warns of guards that stand nowhere.
pub(super) fn unused(file: &File, used: impl Fn(GuardId) -> bool, report: &mut Report) {
    for (at, named) in file.limits.iter().filter(|named| is_guard(named)).enumerate() {
        if !used(GuardId(at)) {
            let invalid = Invalid::new(format!("no route has the limit `{}`", named.name.value));
            report.find(&rules::UNUSED_LIMIT, named.name.place.clone(), invalid);
        }
    }
}
