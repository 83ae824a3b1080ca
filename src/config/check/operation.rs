//! `operation` of a `[[route]]`, as meant: where the name of the operation stands, and who may do which.

use crate::authorize::role::Rule;
use crate::config::file;
use crate::config::report::Report;
use crate::route::Parameter;

/// What is in force; `None` where something is wrong with it, or nothing was asked for. The report says which.
pub(super) fn operation(route: &file::Route, report: &mut Report) -> Option<Rule> {
    let written = route.operation.as_ref()?;
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
    Some(Rule { path, parameter: written.value.parameter.as_str().into() })
}
