//! How callers prove themselves, where there are better ways.

use super::Scene;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::record::Kind;

/// Whose credentials a scheme of this kind takes, where they can be counted.
fn holders(kind: &str) -> Option<Kind> {
    match kind {
        "acc" => Some(Kind::CameraToken),
        "si" => Some(Kind::GroupToken),
        "apikey" => Some(Kind::UserKey),
        "account_key" | "basic" | "key" => Some(Kind::ApiClient),
        "signature" => Some(Kind::App),
        _ => None,
    }
}

/// Secrets that stand in the query as they are. A signature there is good for one thing and ends; an identifier is public.
pub(super) fn query(scene: &Scene<'_>, report: &mut Report) {
    for (name, table, built) in scene.used() {
        let kind = table.kind.kind;
        let places = built.places();
        let (Some(first), Some(holders)) = (places.query.first(), holders(kind)) else { continue };
        if ["signature", "key"].contains(&kind) {
            continue;
        }
        let parameter =
            if kind == "account_key" { places.query.iter().find(|name| name.contains("key")) } else { None };
        let parameter = parameter.unwrap_or(first);
        let invalid = Invalid::new(format!("`{}` takes its secret from the query: ?{parameter}=", name.value));
        let invalid = match kind {
            "acc" | "si" => invalid.hint("write query = false, unless you have players that can send nothing else"),
            "account_key" => invalid.hint("have clients send it in a form, or give them service accounts (`jwt`)"),
            _ => invalid.hint("have clients send it in a header field, and then leave out `query`"),
        };
        report.find(rules::QUERY_CREDENTIAL.of(holders), name.place.clone(), invalid);
    }
}

/// HMAC-SHA1, and what is weaker still.
pub(super) fn signatures(scene: &Scene<'_>, report: &mut Report) {
    for (name, table, _) in scene.used().filter(|(_, table, _)| table.kind.kind == "signature") {
        let endless = table.settings.get("max_lifetime").is_none();
        let beside = if endless { ", which may be good for ever" } else { "" };
        let invalid = Invalid::new(format!("`{}` believes signatures by HMAC-SHA1{beside}", name.value));
        let invalid =
            if endless { invalid.hint("set max_lifetime = \"24h\", or as long as your pages need") } else { invalid };
        report.find(rules::HMAC_SHA1.of(Kind::App), name.place.clone(), invalid);
    }
    let accounts = scene.file.accounts.iter().filter_map(|entry| entry.table.as_ref());
    for app in accounts.flat_map(|account| &account.app).filter(|app| app.signatures.expiration_only) {
        let invalid = Invalid::new(format!(
            "the app `{}` takes signatures over the expiration alone, which anybody can make who has seen a page",
            app.id.value
        ));
        report.find(&rules::EXPIRATION_ONLY, app.id.place.clone(), invalid);
    }
}

/// What its vendor has given up.
pub(super) fn deprecated(scene: &Scene<'_>, report: &mut Report) {
    for (name, ..) in scene.used().filter(|(_, table, _)| table.kind.kind == "account_key") {
        let invalid = Invalid::new(format!("`{}` takes keys of accounts, which Voximplant has deprecated", name.value));
        report.find(rules::DEPRECATED_SCHEME.of(Kind::ApiClient), name.place.clone(), invalid);
    }
}

/// Secrets that cross a network as they are.
pub(super) fn basic_in_clear(scene: &Scene<'_>, report: &mut Report) {
    let in_clear =
        |at: &usize| scene.listeners.get(*at).is_some_and(|own| own.tls.is_none() && !own.address.ip().is_loopback());
    for (name, table, _) in scene.used().filter(|(_, table, _)| ["basic", "account_key"].contains(&table.kind.kind)) {
        if table.settings.get("tls_only").and_then(toml::Value::as_bool) != Some(false) {
            continue;
        }
        let mut routes = scene.routes.iter().filter(|(_, meant)| {
            meant.meant.authenticate.schemes().any(|own| own == name.value) && meant.listeners.iter().any(in_clear)
        });
        let Some((route, _)) = routes.next() else { continue };
        let invalid = Invalid::new(format!(
            "`{}` takes secrets in clear on the route `{}`, whose listener has no TLS",
            name.value, route.name.value
        ));
        report.find(rules::BASIC_IN_CLEAR.of(Kind::ApiClient), name.place.clone(), invalid);
    }
}
