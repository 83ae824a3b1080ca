//! `[roles.<name>]`, and `operation` and `roles` of a `[[route]]`, as meant: where the name of the operation stands, and
//! who may do which.

use std::ops::Range;

use super::position;
use crate::authorize::role::{self, Rule, Table, Who, is_same_role};
use crate::config::file::{self, Allowed, File, Known, Named, Placed, RoleWord, Roles};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::route::Parameter;
use crate::scheme::Places;

/// What a route asks for; `None` where something is wrong with it, or nothing was asked for. The report says which.
pub(super) fn operation(route: &file::Route, file: &File, report: &mut Report) -> Option<Rule> {
    let written = route.operation.as_ref()?;
    if route.roles.is_some() || route.scope.is_some() {
        let invalid = Invalid::new("the operation says already who may do it").hint("leave `roles` and `scope` out");
        report.error(written.place.clone(), invalid);
    }
    if route.authenticate.value.trim() == "open" {
        let invalid = Invalid::new("on an open route nobody is proven, and so nobody would have a role")
            .hint("name schemes in `authenticate`");
        report.error(written.place.clone(), invalid);
    }
    let path = match &written.value.path {
        None => None,
        Some(name) => match Parameter::find(&route.path.value, &name.value) {
            Ok(parameter) => Some(parameter),
            Err(invalid) => {
                report.error(name.place.clone(), invalid);
                return None;
            }
        },
    };
    let at = position("table of roles", &written.value.roles, &file.roles, report)?;
    let roles = file.roles[at].table.as_ref()?;
    Some(Rule { path, parameter: written.value.parameter.as_str().into(), table: table(roles) })
}

/// Where callers of such a route may put what must not go on, beside what its schemes read.
pub(super) fn places(route: &file::Route, file: &File) -> Places {
    let name = route.operation.as_ref().map(|written| written.value.roles.value.as_str());
    let roles = file.roles.iter().find(|named| Some(named.name.value.as_str()) == name);
    let Some(roles) = roles.and_then(|named| named.table.as_ref()) else { return Places::default() };
    let removed = listed(roles.remove_parameters.as_ref(), roles.preset.map_or(&[], |Known(preset)| preset.removed));
    Places { query: removed.clone(), form: removed, ..Places::default() }
}

/// Who may use a route, whatever the operation.
pub(super) fn holders(route: &file::Route, report: &mut Report) -> Option<Who> {
    let written = route.roles.as_ref()?;
    if let (Some(_), None) = (&route.scope, &route.operation) {
        let invalid = Invalid::new("`roles` stands in the place of `scope`").hint("leave one of them out");
        report.error(written.place.clone(), invalid);
    }
    allowed(written, role::voximplant::ROLES, report);
    Some(who(&written.value))
}

/// Looks through every `[roles.<name>]`.
pub(super) fn tables(file: &File, report: &mut Report) {
    for Named { name, table } in &file.roles {
        super::plain_name(name, &[], report);
        let Some(roles) = table else { continue };
        let preset = roles.preset.map(|Known(preset)| preset);
        let known = preset.map(|preset| (preset.operations)()).unwrap_or_default();
        let roles_known = preset.map_or(&[][..], |preset| preset.roles);
        for (operation, written) in &roles.operations {
            if !role::is_operation(operation) {
                let invalid = Invalid::new(format!("no operation is called `{operation}`"))
                    .hint("its name is 1 to 64 letters and digits");
                report.error(written.place.clone(), invalid);
            } else if !known.contains_key(operation.as_str()) {
                let keys = known.keys().map(|name| &**name);
                unlisted((operation, "no operation of the preset"), keys, &written.place, report);
            }
            allowed(written, roles_known, report);
        }
        if let Some(others) = &roles.others {
            allowed(others, roles_known, report);
        }
        if preset.is_none() && roles.operations.is_empty() && roles.others.is_none() {
            let invalid = Invalid::new("nobody could do anything: there is no operation in this table")
                .hint("begin with a vendor's: preset = \"voximplant\"");
            report.error(name.place.clone(), invalid);
        }
        let used = |route: &file::Route| {
            route.operation.as_ref().is_some_and(|written| written.value.roles.value == name.value)
        };
        if !file.routes.iter().filter_map(|entry| entry.table.as_ref()).any(used) {
            let invalid = Invalid::new(format!("no route asks for the roles `{}`", name.value));
            report.find(&rules::UNUSED_ROLES, name.place.clone(), invalid);
        }
    }
}

/// A vendor may have more operations and roles than we know; what is nearly one of them is more likely a slip.
fn unlisted<'a>(
    (word, what): (&str, &str),
    known: impl Iterator<Item = &'a str>,
    place: &Range<usize>,
    report: &mut Report,
) {
    if let Some(near) = nearest::nearest(word, known) {
        let invalid = Invalid::new(format!("`{word}` is {what}")).hint(format!("did you mean `{near}`?"));
        report.find(&rules::UNKNOWN_WORD, place.clone(), invalid);
    }
}

fn allowed(written: &Placed<Allowed>, known: &[&str], report: &mut Report) {
    let Allowed::Roles(roles) = &written.value else { return };
    if roles.is_empty() {
        let invalid = Invalid::new("a list of roles has at least one")
            .hint("\"basic\" is everyone who is proven, \"nobody\" is nobody");
        report.error(written.place.clone(), invalid);
    }
    for role in roles.iter().filter(|own| !known.iter().any(|role| is_same_role(own, role))) {
        unlisted((role, "no role of the vendor"), known.iter().copied(), &written.place, report);
    }
}

fn table(roles: &Roles) -> Table {
    let preset = roles.preset.map(|Known(preset)| preset);
    let mut operations = preset.map(|preset| (preset.operations)()).unwrap_or_default();
    operations.extend(roles.operations.iter().map(|(name, written)| (name.as_str().into(), who(&written.value))));
    Table {
        operations,
        others: roles.others.as_ref().map(|written| who(&written.value)),
        refused: listed(roles.refuse_parameters.as_ref(), preset.map_or(&[], |preset| preset.refused)),
    }
}

fn who(written: &Allowed) -> Who {
    match written {
        Allowed::Word(RoleWord::Basic) => Who::Proven,
        Allowed::Word(RoleWord::Nobody) => Who::Nobody,
        Allowed::Roles(roles) => Who::holders(roles),
    }
}

fn listed(written: Option<&Vec<String>>, default: &[&str]) -> Vec<Box<str>> {
    written.map_or_else(
        || default.iter().map(|name| Box::from(*name)).collect(),
        |names| names.iter().map(|name| name.as_str().into()).collect(),
    )
}
