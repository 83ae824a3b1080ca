//! `[scheme.<name>.<kind>]`, as meant.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use http::HeaderValue;

use super::networks::Networks;
use super::plain_name;
use crate::config::file::{self, Named};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::scheme::{Examine, Kit, Places, Principal, Rejection, Scene};
use crate::secret::SecretSource;

/// Words of `authenticate`.
const RESERVED: [&str; 4] = ["and", "or", "not", "open"];

/// Every scheme with its name.
pub(super) fn schemes(
    written: &[Named<file::Scheme>],
    networks: &Networks<'_>,
    source: &Source,
    report: &mut Report,
) -> Vec<(String, Arc<dyn Examine>)> {
    let mut meant: Vec<(String, Arc<dyn Examine>)> = Vec::new();
    for named in written {
        plain_name(&named.name, &RESERVED, report);
        let scheme = named.table.as_ref().and_then(|table| build(&named.name.value, table, (networks, source), report));
        meant.push((named.name.value.clone(), scheme.unwrap_or_else(|| Arc::new(Broken))));
    }
    meant
}

fn build(
    name: &str,
    table: &file::Scheme,
    (networks, source): (&Networks<'_>, &Source),
    report: &mut Report,
) -> Option<Arc<dyn Examine>> {
    let mut settings = table.settings.clone();
    if let Some(list) = settings.get_mut("networks")
        && let Err(invalid) = networks.expand(list)
    {
        report.error(table.place.clone(), invalid);
        return None;
    }
    let exposed = RefCell::new(Vec::new());
    let resolve = |secret: &SecretSource| {
        if let SecretSource::File(path) = secret {
            exposed.borrow_mut().extend(source.exposure(path));
        }
        source.secret(secret)
    };
    let file = |path: &Path| source.file(path).map(|bytes| bytes.to_vec());
    let built = (table.kind.build)(settings, &Kit { name, resolve: &resolve, file: &file });
    exposed.take().into_iter().for_each(|warning| report.find(&rules::READABLE_SECRET, table.place.clone(), warning));
    match built {
        Ok(scheme) => Some(scheme.into()),
        Err(invalid) => {
            report.error(table.place.clone(), invalid);
            None
        }
    }
}

/// Stands in for a scheme whose own table is wrong, so that the routes which name it are not blamed as well. It never
/// comes into a World: its table's mistake is an error.
#[derive(Debug)]
struct Broken;

impl Examine for Broken {
    fn examine(&self, _: &Head<'_>, _: &Preface, _: &Scene<'_>) -> Result<Option<Principal>, Rejection> {
        Ok(None)
    }

    fn places(&self) -> Places {
        Places::default()
    }

    fn challenge(&self) -> Option<HeaderValue> {
        None
    }

    fn ambient(&self) -> bool {
        false
    }

    fn watches_for_leaks(&self) -> bool {
        false
    }
}
