//! Who gets in, and with how little.

use std::collections::BTreeSet;

use http::Method;

use super::{Scene, listed};
use crate::authorize::content;
use crate::config::check::route::Checked;
use crate::config::file;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::world::Destination;

/// Methods that are there to read by (RFC 9110 §9.2.1).
const READING: [Method; 3] = [Method::GET, Method::HEAD, Method::OPTIONS];

/// Routes that let in anyone.
pub(super) fn open(scene: &Scene<'_>, report: &mut Report) {
    for (written, meant) in leading(scene) {
        if !ways(meant).iter().any(Vec::is_empty) {
            continue;
        }
        let place = written.authenticate.place.clone();
        let changing = meant.methods.iter().filter(|method| !READING.contains(method)).map(Method::as_str);
        let changing = listed(changing);
        if changing.is_empty() {
            let invalid = Invalid::new(format!("anyone may read what the route `{}` leads to", written.name.value));
            report.find(rules::OPEN_ROUTE.on(&written.name.value), place, invalid);
        } else {
            let invalid = Invalid::new(format!("anyone may use {changing} on the route `{}`", written.name.value));
            report.find(rules::OPEN_WRITE.on(&written.name.value), place, invalid);
        }
    }
}

/// Routes that let in whoever calls from somewhere.
pub(super) fn address_alone(scene: &Scene<'_>, report: &mut Report) {
    for (written, meant) in leading(scene) {
        let ways = ways(meant);
        let by_address = |way: &&Vec<&str>| !way.is_empty() && way.iter().all(|name| scene.kind(name) == "ip");
        let Some(way) = ways.iter().find(by_address) else { continue };
        let others: BTreeSet<&str> = ways.iter().flatten().copied().filter(|name| scene.kind(name) != "ip").collect();
        let message = if others.is_empty() {
            format!("whoever calls from {} gets in here, and nothing else is asked for", listed(way.iter().copied()))
        } else {
            format!(
                "whoever calls from {} gets in here: {} is asked of all others alone",
                listed(way.iter().copied()),
                listed(others)
            )
        };
        let found = rules::ADDRESS_ALONE.on(&written.name.value);
        report.find(found, written.authenticate.place.clone(), Invalid::new(message));
    }
}

/// Routes that let in whoever has seen an identifier.
pub(super) fn public_identifier(scene: &Scene<'_>, report: &mut Report) {
    for (written, meant) in leading(scene) {
        let public = |name: &&str| scene.kind(name) == "key";
        let alone = |way: &&Vec<&str>| {
            way.iter().any(&public) && way.iter().all(|name| ["key", "ip"].contains(&scene.kind(name)))
        };
        let ways = ways(meant);
        let Some(name) = ways.iter().find(alone).and_then(|way| way.iter().find(|name| public(name))) else { continue };
        let invalid = Invalid::new(format!("`{name}` lets in whoever has copied an identifier from a page"));
        let found = rules::PUBLIC_IDENTIFIER.on(&written.name.value);
        report.find(found, written.authenticate.place.clone(), invalid);
    }
}

/// Schemes that make no difference: a part of what they are joined with is enough.
pub(super) fn pointless(scene: &Scene<'_>, report: &mut Report) {
    for (written, meant) in &scene.routes {
        let ways: Vec<BTreeSet<&str>> = ways(meant).into_iter().map(|way| way.into_iter().collect()).collect();
        let is_least = |way: &&BTreeSet<&str>| !ways.iter().any(|other| other.is_subset(way) && other != *way);
        let counting: BTreeSet<&str> = ways.iter().filter(is_least).flatten().copied().collect();
        let pointless: BTreeSet<&str> =
            ways.iter().flatten().copied().filter(|name| !counting.contains(name)).collect();
        if pointless.is_empty() {
            continue;
        }
        let message = format!("nobody has to prove {}: {} is enough", listed(pointless), listed(counting));
        let found = rules::POINTLESS_SCHEME.on(&written.name.value);
        report.find(found, written.authenticate.place.clone(), Invalid::new(message));
    }
}

/// Uploads of any size, from strangers or on routes that are for uploads.
pub(super) fn unbounded_upload(scene: &Scene<'_>, report: &mut Report) {
    let uploads = [Method::POST, Method::PUT, Method::PATCH];
    for (written, meant) in leading(scene) {
        let route = &meant.meant;
        let forwards = matches!(route.destination, Destination::Upstream { .. });
        // Forms and checked bodies are read whole, and have a bound of their own.
        let bounded = route.max_body.is_some()
            || route.form.is_some()
            || matches!(route.content, Some(content::Rule::CheckedJson));
        let takes = meant.methods.iter().any(|method| uploads.contains(method));
        let is_for_uploads = meant.methods.iter().all(|method| uploads.contains(method));
        let by_strangers = ways(meant).iter().any(|way| way.iter().all(|name| scene.kind(name) == "key"));
        if forwards && !bounded && takes && (is_for_uploads || by_strangers) {
            let invalid = Invalid::new(format!("a body on the route `{}` may be of any size", written.name.value));
            report.find(rules::UNBOUNDED_UPLOAD.on(&written.name.value), written.name.place.clone(), invalid);
        }
    }
}

/// The routes that lead somewhere to whoever is let in.
fn leading<'s>(scene: &'s Scene<'_>) -> impl Iterator<Item = (&'s file::Route, &'s Checked)> {
    let leads = |meant: &Checked| match meant.meant.destination {
        Destination::Upstream { .. } => true,
        // It asks who is calling by itself.
        Destination::Endpoint(entry) => !entry.proves,
        Destination::NotImplemented => false,
    };
    scene.routes.iter().copied().filter(move |(_, meant)| leads(meant))
}

fn ways(meant: &Checked) -> Vec<Vec<&str>> {
    meant.meant.authenticate.ways().unwrap_or_default()
}
