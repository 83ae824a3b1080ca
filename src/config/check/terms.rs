//! What was agreed upon with an account, as meant: where its callers come from, and how much they may.

use std::sync::Arc;

use crate::config::file::{self, Placed};
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::record::{Quota, Terms};
use crate::units::Network;

/// What was agreed upon with an account; `None` where that is nothing.
pub(super) fn terms(written: &file::Account, report: &mut Report) -> Option<Arc<Terms>> {
    let file::Quota { hour, day, month } = written.quota;
    let terms = Terms {
        addresses: written.addresses.as_ref().map_or_else(Vec::new, |list| addresses(list, report)),
        denied_addresses: written.denied_addresses.as_ref().map_or_else(Vec::new, |list| denied(list, report)),
        quota: Quota { hour, day, month },
        hosted_cameras: written.hosted_cameras,
    };
    (terms != Terms::default()).then(|| Arc::new(terms))
}

fn addresses(list: &Placed<Vec<Placed<String>>>, report: &mut Report) -> Vec<Network> {
    if list.value.is_empty() {
        // Nobody who writes an empty list means everybody.
        let invalid = Invalid::new("a list of addresses has at least one");
        report.error(
            list.place.clone(),
            invalid.hint("leave it out, or write \"0.0.0.0\", to let callers come from anywhere"),
        );
    }
    let texts = texts(list, str::parse, report);
    // What is wrong with one of them was just said.
    Terms::addresses(&texts).unwrap_or_default()
}

fn denied(list: &Placed<Vec<Placed<String>>>, report: &mut Report) -> Vec<Network> {
    if list.value.is_empty() {
        let invalid = Invalid::new("a list of addresses has at least one");
        report.error(list.place.clone(), invalid.hint("leave it out, to deny none"));
    }
    let texts = texts(list, Terms::denied_address, report);
    Terms::denied_addresses(&texts).unwrap_or_default()
}

/// The texts of a list; the report says what is wrong with it.
fn texts(
    list: &Placed<Vec<Placed<String>>>,
    read: fn(&str) -> Result<Network, String>,
    report: &mut Report,
) -> Vec<String> {
    if list.value.len() > Terms::MOST_ADDRESSES {
        let invalid = Invalid::new(format!("there are at most {} addresses", Terms::MOST_ADDRESSES));
        report.error(list.place.clone(), invalid.hint("write networks where they can stand for many addresses"));
    }
    for address in &list.value {
        if let Err(message) = read(&address.value) {
            report.error(address.place.clone(), Invalid::new(message));
        }
    }
    list.value.iter().map(|address| address.value.clone()).collect()
}
