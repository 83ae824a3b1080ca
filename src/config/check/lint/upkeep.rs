//! What crosses other networks in clear, and what goes wrong later.

use super::Scene;
use crate::config::file;
use crate::config::report::Report;
use crate::config::rules;
use crate::forward::policy::Sign;
use crate::forward::upstream::CredentialPolicy;
use crate::invalid::Invalid;
use crate::units::is_this_machine;
use crate::world::Destination;

/// How upstreams are spoken to.
pub(super) fn upstreams(scene: &Scene<'_>, report: &mut Report) {
    for named in &scene.file.upstreams {
        let Some(table) = &named.table else { continue };
        in_clear(&named.name.value, table, scene, report);
        let after = table.retry.as_ref().and_then(|retry| retry.on.as_ref());
        if let Some(on) = after.filter(|on| on.value.contains(&Sign::Timeout)) {
            let invalid =
                Invalid::new("what was not answered in time is sent once more, while the first is at work still");
            report.find(&rules::RETRY_AFTER_TIMEOUT, on.place.clone(), invalid);
        }
    }
}

fn in_clear(name: &str, table: &file::Upstream, scene: &Scene<'_>, report: &mut Report) {
    let sends = |meant: &crate::world::Route| {
        let keeps = |policy| !matches!(policy, CredentialPolicy::Remove);
        matches!(meant.destination, Destination::Upstream { credential, .. } if keeps(credential))
    };
    let mut routes = scene.routes.iter().filter(|(_, meant)| meant.forward.as_deref() == Some(name));
    let Some((route, _)) = routes.find(|(_, meant)| sends(&meant.meant)) else { return };
    let clear = table.endpoints.value.iter().find(|endpoint| {
        let (url, _) = endpoint.value.parts();
        url::Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !url.host_str().is_some_and(is_this_machine))
    });
    if let Some(endpoint) = clear {
        let invalid = Invalid::new(format!(
            "the route `{}` sends a credential to {} in clear",
            route.name.value,
            endpoint.value.parts().0
        ));
        report.find(&rules::CLEAR_UPSTREAM, endpoint.place.clone(), invalid);
    }
}

/// What a store is for, and how it is reached; and who cannot be sent away.
pub(super) fn store(scene: &Scene<'_>, report: &mut Report) {
    let file = scene.file;
    if let (Some(store), None) = (&file.store, &file.admin) {
        let invalid = Invalid::new("while a gateway runs, nobody can change what is in this store");
        report.find(&rules::STORE_WITHOUT_ADMIN, store.path.place.clone(), invalid);
    }
    if file.store.is_none() {
        endings(file, report);
    }
    for table in file.listeners.iter().filter_map(|named| named.table.as_ref()) {
        let tls = table.tls.as_ref().map(|tls| &tls.value);
        if let Some((authority, None)) = tls.and_then(|tls| Some((tls.client_ca.as_ref()?, &tls.client_crl))) {
            let invalid = Invalid::new("certificates of these authorities cannot be revoked");
            report.find(&rules::NO_REVOCATION, authority.place.clone(), invalid);
        }
    }
}

/// Credentials that end, where nothing can take their place beforehand.
fn endings(file: &file::File, report: &mut Report) {
    for account in file.accounts.iter().filter_map(|entry| entry.table.as_ref()) {
        let keys = account.license_key.iter().map(|own| (&own.id, own.moments()));
        let clients = account.api_client.iter().map(|own| (&own.id, own.moments()));
        for (id, moments) in keys.chain(clients) {
            if let Some(end) = moments.expires {
                let invalid = Invalid::new(format!("`{}` ends then, and nothing takes its place", id.value));
                report.find(&rules::EXPIRES_WITHOUT_STORE, end.place.clone(), invalid);
            }
        }
    }
}
