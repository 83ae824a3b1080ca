//! `app`, `origin` and `wall` of a `[[route]]`, as meant: which app a request is for, whose pages may ask, and what a
//! public listing shows.

use http::{HeaderValue, Method};

use crate::authorize::origin;
use crate::config::file::{self, File, Placed};
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

/// Whose pages may ask, and what browsers are told of it. `methods` are those of the route.
pub(super) fn origin(
    route: &file::Route,
    methods: &[Method],
    file: &File,
    report: &mut Report,
) -> (Option<origin::Rule>, Option<cors::Rule>) {
    let Some(written) = &route.origin else { return (None, None) };
    let file::Pages { hosts, parameters, required, cross_origin } = &written.value;
    if hosts.is_none() && !speaks_of_an_app(route, file) {
        let invalid = Invalid::new("this says not whose pages may ask")
            .hint("list hosts = [\"example.com\"], or say which app a request is for: app = { path = \"app\" }");
        report.error(written.place.clone(), invalid);
    }
    if let (None, Some(flag)) = (hosts, cross_origin) {
        let invalid = Invalid::new("the hosts are those of the app, and so is this")
            .hint("write cross_origin in the table of the app, or `hosts` beside it");
        report.error(flag.place.clone(), invalid);
    }
    if let Some(hosts) = hosts.as_ref().filter(|hosts| hosts.value.is_empty()) {
        let invalid = Invalid::new("a list without a host keeps no page out")
            .hint("list hosts, or leave `origin` out to let every page ask");
        report.error(hosts.place.clone(), invalid);
    }
    let own = hosts.as_ref().and_then(|hosts| authorized(hosts, report));
    let told = hosts.is_none() || cross_origin.as_ref().is_some_and(|flag| flag.value);
    let cors = told.then(|| cors::Rule {
        readers: own.clone().map_or(cors::Readers::App, cors::Readers::Hosts),
        methods: list(methods),
        headers: None,
        exposed: None,
        credentials: false,
        max_age: cors::MAX_AGE.into(),
    });
    let parameters = match parameters {
        Some(names) => names.value.iter().map(|name| parameter(name, report)).collect(),
        None => vec!["referer".into()],
    };
    (Some(origin::Rule { hosts: own, parameters, required: *required }), cors)
}

/// Whether a request can be known to be for some app: the route says so, or a scheme does.
fn speaks_of_an_app(route: &file::Route, file: &File) -> bool {
    let words = route.authenticate.value.split(|letter: char| letter.is_whitespace() || matches!(letter, '(' | ')'));
    route.app.is_some() || words.into_iter().any(|name| super::binding::is_of(&["signature"], name, file))
}

fn authorized(hosts: &Placed<Vec<String>>, report: &mut Report) -> Option<Hosts> {
    match Hosts::new(&hosts.value) {
        Ok(list) => Some(list),
        Err(invalid) => {
            report.error(hosts.place.clone(), invalid);
            None
        }
    }
}

fn parameter(name: &Placed<String>, report: &mut Report) -> Box<str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(plain) {
        let invalid = Invalid::new("a name of a parameter is 1 to 64 letters, digits, `_`, `-` and `.` here");
        report.error(name.place.clone(), invalid);
    }
    name.value.as_str().into()
}

pub(super) fn list(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).expect("methods are tokens, and tokens are visible ASCII")
}

/// How listings are filtered.
pub(super) fn wall(route: &file::Route, file: &File, report: &mut Report) -> Option<wall::Rule> {
    let written = route.wall.as_ref()?;
    if route.forward.is_none() {
        let invalid = Invalid::new("only what an upstream lists is filtered").hint("leave `wall` out");
        report.error(written.place.clone(), invalid);
    } else if !speaks_of_an_app(route, file) {
        let invalid = Invalid::new("this says not whose listing it is")
            .hint("say which app a request is for: app = { path = \"app\" }");
        report.error(written.place.clone(), invalid);
    }
    Some(wall::Rule { max_answer: written.value.max_answer.map_or(MAX_ANSWER, |most| most.0) })
}
