//! Where a `[[route]]` stands, as meant: on which listeners, for which hosts, paths and methods; and the tables that all
//! of them make. A route that is wrong otherwise still stands in the way of others.

use http::Method;

use super::{part, position};
use crate::config::file::{File, Placed, Route};
use crate::config::nearest;
use crate::config::report::Report;
use crate::edge::guard;
use crate::invalid::Invalid;
use crate::route::{Case, HostPattern, Pattern, Table};
use crate::world::RouteId;

/// What a route takes where it lists no methods.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Where a route stands, each part on its own: `None` where something is wrong with it.
pub(super) struct Parts {
    /// Positions in the list of listeners.
    pub(super) listeners: Option<Vec<usize>>,
    pub(super) methods: Option<Vec<Method>>,
    #[expect(clippy::option_option, reason = "`None`: it is wrong; `Some(None)`: any host")]
    pub(super) host: Option<Option<String>>,
}

/// Where a route stands.
pub(super) struct Stand {
    listeners: Vec<usize>,
    pattern: Pattern,
    /// Where its path is written.
    path: Placed<String>,
}

impl Parts {
    /// Says what is wrong with what could be read: `knows` tells of which keys that is.
    pub(super) fn of(route: &Route, knows: impl Fn(&[&str]) -> bool, file: &File, report: &mut Report) -> Self {
        Self {
            listeners: knows(&["listeners"]).then(|| listeners(route, file, report)).flatten(),
            methods: knows(&["methods"]).then(|| methods(route.methods.as_ref(), report)).flatten(),
            host: knows(&["host"]).then(|| host(route.host.as_ref(), report)).flatten(),
        }
    }

    /// The place among the others. `None`: it is not known; whether the path is one is said all the same.
    pub(super) fn stand(&self, route: &Route, knows: impl Fn(&[&str]) -> bool, report: &mut Report) -> Option<Stand> {
        if !knows(&["path"]) {
            return None;
        }
        let path = route.path.clone();
        let pattern = |host: Option<HostPattern>, methods: &[Method]| Pattern {
            host,
            path: path.value.clone(),
            methods: methods.to_vec(),
            case: case(route),
        };
        if let (Some(listeners), Some(methods), Some(host), true) =
            (&self.listeners, &self.methods, &self.host, knows(&["case_sensitive"]))
        {
            let host = host.as_ref().map(|host| host.parse().expect("it was parsed before"));
            return Some(Stand { listeners: listeners.clone(), pattern: pattern(host, methods), path });
        }
        for (_, invalid) in Table::new(vec![(pattern(None, &[Method::GET]), ())]).err().into_iter().flatten() {
            report.error(part(&path.place, &path.value, invalid.span.clone()), invalid);
        }
        None
    }
}

/// Whether upper and lower case are told apart in its path.
pub(super) fn case(route: &Route) -> Case {
    if route.case_sensitive == Some(false) { Case::Ignored } else { Case::Minded }
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

/// For each listener, its table; all of them, if the report has no error.
pub(super) fn tables(file: &File, stands: &[Option<Stand>], report: &mut Report) -> Vec<Table<RouteId>> {
    let mut tables = Vec::new();
    for listener in 0..file.listeners.len() {
        let here: Vec<(usize, &Stand)> = stands
            .iter()
            .enumerate()
            .filter_map(|(id, stand)| Some((id, stand.as_ref()?)))
            .filter(|(_, stand)| stand.listeners.contains(&listener))
            .collect();
        match Table::new(here.iter().map(|(id, stand)| (stand.pattern.clone(), RouteId(*id))).collect()) {
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
}
