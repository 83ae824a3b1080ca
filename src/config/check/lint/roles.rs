//! Whether roles of callers open anything, those on file included.

use std::collections::{BTreeMap, BTreeSet};

use crate::authorize::role::{Who, is_same_role, voximplant};
use crate::config::check::route::Checked;
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::record::Kind;
use crate::store::Index;

/// Whose roles are their own.
const HOLDERS: [Kind; 4] = [Kind::ServiceAccountKey, Kind::UserKey, Kind::User, Kind::BearerToken];
/// The most roles that are told: a file with more has another trouble than a slip.
const TOLD: usize = 16;

/// Roles that no route asks for.
pub(in crate::config::check) fn unknown(routes: &[Option<Checked>], index: &Index, report: &mut Report) {
    let Some(known) = known(routes) else { return };
    let mut unknown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    index.for_each(|record| {
        let own = record.scopes.as_ref().filter(|_| HOLDERS.contains(&record.kind()));
        let roles = own.into_iter().flat_map(|scopes| scopes.0.iter());
        for role in roles.filter(|role| !known.iter().any(|known| is_same_role(role, known))) {
            unknown.entry(role.to_string()).or_default().insert(record.id().to_owned());
        }
    });
    for (role, holders) in unknown.iter().take(TOLD) {
        let first = holders.first().map(String::as_str).unwrap_or_default();
        let others = match holders.len() {
            0 | 1 => String::new(),
            2 => " and one more".to_owned(),
            more => format!(" and {} more", more - 1),
        };
        let mut invalid = Invalid::new(format!("the role `{role}` of `{first}`{others} opens nothing on any route"));
        invalid.hint = nearest::hint(role, known.iter().copied());
        report.find(&rules::UNKNOWN_ROLE, None, invalid);
    }
}

/// Every word that opens something; `None` where no route asks for roles.
fn known(routes: &[Option<Checked>]) -> Option<BTreeSet<&str>> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut asked = false;
    for rules in routes.iter().flatten().map(|route| &route.meant.rules) {
        let operation = rules.operation.as_ref();
        let tables = operation.into_iter().flat_map(|rule| rule.table.operations.values().chain(&rule.table.others));
        for who in tables.chain(&rules.holders) {
            asked = true;
            if let Who::Holders(roles) = who {
                known.extend(roles.iter().map(|role| &**role));
            }
        }
        // A role is a scope where a route asks for those.
        known.extend(rules.scope.read.iter().chain(&rules.scope.write).map(|scope| &**scope));
        // The vendor has roles that open nothing here, and means something by them.
        known.extend(operation.into_iter().flat_map(|_| voximplant::ROLES.iter().copied()));
    }
    asked.then_some(known)
}
