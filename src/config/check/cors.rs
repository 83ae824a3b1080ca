//! `cors` of a `[[route]]`, as meant: whose pages may read what it answers.

use http::{HeaderName, HeaderValue, Method};

use super::app;
use crate::authorize::origin;
use crate::config::file::{Cors, File, Placed, Route};
use crate::config::nearest;
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::record::Page;
use crate::reply::cors::{MAX_AGE, Origins, READABLE, Readers, Rule};

/// Whose pages may ask, and what browsers are told, by `cors` or else by `origin`. `methods` are those of the route, if
/// nothing is wrong with them.
pub(super) fn rules(
    route: &Route,
    methods: Option<&[Method]>,
    file: &File,
    report: &mut Report,
) -> (Option<origin::Rule>, Option<Rule>) {
    let (pages, told) = app::origin(route, methods.unwrap_or_default(), file, report);
    let rule = rule(route, methods, (pages.as_ref(), told), report);
    (pages, rule)
}

fn rule(
    route: &Route,
    methods: Option<&[Method]>,
    (pages, told): (Option<&origin::Rule>, Option<Rule>),
    report: &mut Report,
) -> Option<Rule> {
    let Some(written) = &route.cors else { return told };
    if told.is_some() {
        let invalid = Invalid::new("`origin` says already whose pages may read answers here")
            .hint("leave `cors` out, or let `origin` list hosts without `cross_origin`");
        report.error(written.place.clone(), invalid);
    }
    let cors = &written.value;
    let readers = readers(cors, pages, report);
    let methods = listed_methods(cors, methods, report);
    let headers = cors.headers.as_ref().map(|names| names_of(names, None, report));
    let exposed = names_of(&cors.expose, Some(READABLE), report);
    if let (Some(flag), Readers::Anyone) = (cors.credentials.as_ref().filter(|flag| flag.value), &readers) {
        let invalid = Invalid::new("any page could act for whoever looks at it: `*` goes without credentials")
            .hint("list the origins, or leave `credentials` out");
        report.error(flag.place.clone(), invalid);
    }
    let credentials = cors.credentials.as_ref().is_some_and(|flag| flag.value);
    let max_age = cors.max_age.map_or(MAX_AGE, |age| age.0.as_secs()).into();
    Some(Rule { readers, methods, headers, exposed: Some(exposed), credentials, max_age })
}

fn readers(cors: &Cors, pages: Option<&origin::Rule>, report: &mut Report) -> Readers {
    let written = &cors.origins;
    if written.value.is_empty() {
        let invalid = Invalid::new("no page could read anything").hint("list origins, or leave `cors` out");
        report.error(written.place.clone(), invalid);
    }
    if let Some(anyone) = written.value.iter().find(|origin| origin.value == "*") {
        if written.value.len() > 1 {
            let invalid = Invalid::new("`*` is everyone: it stands alone").hint("leave out `*`, or all others");
            report.error(anyone.place.clone(), invalid);
        }
        if let Some(invalid) = kept_out("*", pages) {
            report.error(anyone.place.clone(), invalid);
        }
        return Readers::Anyone;
    }
    let mut origins = Origins::default();
    for origin in &written.value {
        let outcome = origins.add(&origin.value).and_then(|()| kept_out(&origin.value, pages).map_or(Ok(()), Err));
        if let Err(invalid) = outcome {
            report.error(origin.place.clone(), invalid);
        }
    }
    Readers::Origins(origins)
}

/// Pages that may read answers, but may not ask.
fn kept_out(origin: &str, pages: Option<&origin::Rule>) -> Option<Invalid> {
    let hosts = pages?.hosts.as_ref()?;
    let page = Page::of_origin(origin.replace("://*.", "://a.").as_bytes());
    let is_allowed = page.is_some_and(|page| hosts.allow(&page));
    (!is_allowed).then(|| {
        Invalid::new(format!("`origin` refuses requests from pages of `{origin}`"))
            .hint("list its host in `origin`, or leave one of the two out")
    })
}

/// The methods that pages may use: those of the route, or some of them.
fn listed_methods(cors: &Cors, methods: Option<&[Method]>, report: &mut Report) -> HeaderValue {
    let all = methods.unwrap_or_default();
    let Some(written) = &cors.methods else { return app::list(all) };
    if written.value.is_empty() {
        report.error(written.place.clone(), Invalid::new("no page could ask anything").hint("list methods"));
    }
    let mut some = Vec::new();
    for name in &written.value {
        let found = all.iter().find(|method| method.as_str() == name.value);
        some.extend(found.cloned());
        if found.is_none() && methods.is_some() {
            let mut invalid = Invalid::new(format!("`{}` is no method of this route", name.value));
            invalid.hint = nearest::hint(&name.value, all.iter().map(Method::as_str));
            report.error(name.place.clone(), invalid);
        }
    }
    app::list(&some)
}

/// Names of fields as a list, after `first`. A `*` would be a name like any other where credentials come along.
fn names_of(written: &[Placed<String>], first: Option<&str>, report: &mut Report) -> HeaderValue {
    let mut names: Vec<String> = first.map(Into::into).into_iter().collect();
    for name in written {
        match HeaderName::try_from(&name.value) {
            Ok(own) if own.as_str() != "*" => names.push(own.as_str().to_owned()),
            Ok(_) | Err(_) => {
                let invalid = Invalid::new(format!("`{}` is not the name of a header field", name.value));
                report.error(name.place.clone(), invalid);
            }
        }
    }
    HeaderValue::try_from(names.join(", ")).expect("names of fields are visible ASCII")
}
