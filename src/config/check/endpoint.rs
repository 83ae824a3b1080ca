//! `endpoint = "…"` of a route and `[endpoint]`, as meant: an endpoint has what it needs, and only those come to it whom
//! it is for.

use std::collections::BTreeSet;

use super::login;
use crate::config::file::{Answered, File, Placed, Route};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::endpoint::{Settings, TokenOutfit};
use crate::invalid::Invalid;
use crate::route::HostPattern;
use crate::world::Destination;

/// Where a route with an endpoint goes.
pub(super) fn destination(written: &Placed<Answered>, route: &Route, file: &File, report: &mut Report) -> Destination {
    if let Some(credential) = &route.credential {
        let invalid = Invalid::new("an endpoint of the house never gets the credential").hint("leave `credential` out");
        report.error(credential.place.clone(), invalid);
    }
    equipped(written, route, file, report);
    Destination::Endpoint(written.value.0)
}

/// Whether a route has what its endpoint needs, be that for all of its requests or for some operations.
pub(super) fn equipped(written: &Placed<Answered>, route: &Route, file: &File, report: &mut Report) {
    let Answered(entry) = written.value;
    if entry.store && file.store.is_none() {
        let invalid = Invalid::new(format!("the endpoint `{}` works on a store, and there is none", entry.name))
            .hint("add [store] with path = \"vidgate.redb\" and master_key = { file = \"master.key\" }");
        report.error(written.place.clone(), invalid);
    }
    if !entry.operations.is_empty() && route.operation.is_none() {
        let invalid = Invalid::new(format!("the endpoint `{}` answers operations, and none is read here", entry.name))
            .hint("say where its name stands and who may do which: operation = { path = \"method\", roles = \"…\" }");
        report.error(written.place.clone(), invalid);
    }
    if entry.proves {
        login::held_back(written, route, file, report);
    } else {
        proven(written, route, file, report);
    }
}

/// Whether the route asks for a credential that the endpoint is for. Each request is looked at once more: a route that
/// takes one scheme or another lets in either.
fn proven(written: &Placed<Answered>, route: &Route, file: &File, report: &mut Report) {
    let Answered(entry) = written.value;
    let words = route.authenticate.value.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    let names: BTreeSet<&str> = words.filter(|word| !["", "and", "or"].contains(word)).collect();
    let tables = file.schemes.iter().filter(|scheme| names.contains(scheme.name.value.as_str()));
    let kinds: Vec<Option<&str>> = tables.map(|named| Some(named.table.as_ref()?.kind.kind)).collect();
    // A scheme whose own table is wrong, or that is not there, was reported already.
    let known = kinds.iter().all(Option::is_some) && kinds.len() == names.len();
    // An address proves nobody; the others say whose something is, and are handed out or public.
    let proves_no_customer = ["ip", "key", "acc", "si"];
    let asks = |kind: &str| match entry.schemes {
        [] => !proves_no_customer.contains(&kind),
        schemes => schemes.contains(&kind),
    };
    if names.contains("open") || known && !kinds.iter().flatten().any(|kind| asks(kind)) {
        let whom = if entry.schemes.is_empty() {
            "an account".to_owned()
        } else {
            format!("`{}`", entry.schemes.join("`, `"))
        };
        let invalid = Invalid::new(format!("the endpoint `{}` is for callers who are proven", entry.name))
            .hint(format!("ask for a scheme that proves {whom}"));
        report.error(route.authenticate.place.clone(), invalid);
    }
}

/// What the endpoint `vxg_tokens` was told.
pub(super) fn token_outfit(written: Option<&Placed<Settings>>, source: &Source, report: &mut Report) -> TokenOutfit {
    let Some(written) = written else { return TokenOutfit::default() };
    let told = &written.value.vxg_tokens;
    for host in [&told.api, &told.cam].into_iter().flatten() {
        let plain = host.split_once(':').map_or(&**host, |(name, _)| name);
        if plain.starts_with('*') || plain.parse::<HostPattern>().is_err() {
            report.error(written.place.clone(), Invalid::new(format!("`{host}` is not the name of a host")));
        }
    }
    let key = told.verification_key.as_ref().map(|key| Placed::new(key.clone(), written.place.clone()));
    let verification_key = key.and_then(|key| super::secret(&key, source, report));
    if verification_key.as_ref().is_some_and(|key| key.expose().is_empty()) {
        report.error(written.place.clone(), Invalid::new("`verification_key` is empty"));
    }
    TokenOutfit { api: told.api.clone(), cam: told.cam.clone(), verification_key }
}
