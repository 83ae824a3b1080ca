//! `app`, `origin` and `wall` of a `[[route]]`, as meant: which app a request is for, whose pages may ask, and what a
//! public listing shows.

use crate::authorize::origin;
use crate::config::file::{self, Placed};
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::record::Hosts;
use crate::reply::{cors, wall};
use crate::route::Parameter;
use crate::world::AppPlace;

/// The largest listing that is looked through where the route says nothing, in bytes.
const MAX_ANSWER: u64 = 4 << 20;

/// Where it stands which app a request is for.
pub(super) fn place(route: &file::Route, report: &mut Report) -> Option<AppPlace> {
    let written = route.app.as_ref()?;
    match (&written.value.path, &written.value.id) {
        (Some(path), None) => match Parameter::find(&route.path.value, &path.value) {
            Ok(parameter) => Some(AppPlace::Path(parameter)),
            Err(invalid) => {
                report.error(path.place.clone(), invalid);
                None
            }
        },
        (None, Some(id)) => Some(AppPlace::Fixed(id.value.as_str().into())),
        (Some(_), Some(_)) | (None, None) => {
            let invalid = Invalid::new("this says not which one app a request is for")
                .hint("name a part of the path, app = { path = \"app\" }, or the app, app = { id = \"…\" }");
            report.error(written.place.clone(), invalid);
            None
        }
    }
}

/// Whose pages may ask, and what browsers are told of it.
pub(super) fn origin(route: &file::Route, report: &mut Report) -> (Option<origin::Rule>, Option<cors::Rule>) {
    let Some(written) = &route.origin else { return (None, None) };
    let file::Origin { hosts, parameters, required, cross_origin } = &written.value;
    let hosts = hosts.as_ref().and_then(|hosts| authorised(hosts, report));
    let cors = cross_origin.then(|| cors::Rule { hosts: hosts.clone() });
    let parameters = parameters.iter().map(|name| name.as_str().into()).collect();
    (Some(origin::Rule { hosts, parameters, required: *required }), cors)
}

/// A list of authorised hosts.
pub(super) fn authorised(hosts: &Placed<Vec<String>>, report: &mut Report) -> Option<Hosts> {
    match Hosts::new(&hosts.value) {
        Ok(list) => Some(list),
        Err(invalid) => {
            report.error(hosts.place.clone(), invalid);
            None
        }
    }
}

/// How listings are filtered.
pub(super) fn wall(route: &file::Route) -> Option<wall::Rule> {
    let written = route.wall.as_ref()?;
    Some(wall::Rule { max_answer: written.value.max_answer.map_or(MAX_ANSWER, |most| most.0) })
}
