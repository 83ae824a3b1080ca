//! `[monitoring]`, as meant.

use std::net::SocketAddr;

use super::listener;
use crate::admin::monitoring::Settings;
use crate::config::file::{File, Placed};
use crate::config::report::Report;
use crate::invalid::Invalid;

/// The monitoring listener, if there is nothing wrong with it.
pub(super) fn monitoring(file: &File, report: &mut Report) -> Option<Settings> {
    let written = &file.monitoring.as_ref()?.value.address;
    let Ok(address) = written.value.parse::<SocketAddr>() else {
        let invalid = Invalid::new(format!("`{}` is not an address with a port", written.value))
            .hint("for example: 127.0.0.1:9180 or [::1]:9180");
        report.error(written.place.clone(), invalid);
        return None;
    };
    let listeners = file.listeners.iter().filter_map(|named| Some(&named.table.as_ref()?.address));
    let admin = file.admin.as_ref().map(|admin| &admin.value.address);
    let is_taken = |other: &&Placed<String>| other.value.parse().is_ok_and(|other| listener::overlap(other, address));
    if let Some(first) = listeners.chain(admin).find(is_taken) {
        let invalid = Invalid::new(format!("`{address}` is taken by a listener"));
        report.conflict(written.place.clone(), invalid, first.place.clone(), "this one");
    }
    Some(Settings { address })
}
