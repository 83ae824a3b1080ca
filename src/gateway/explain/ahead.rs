//! What would become of a request that is let in: what its upstream would get, by the very code that writes it, or which
//! endpoint would answer. No value is shown of what could hold a credential.

use std::collections::BTreeSet;
use std::slice;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde_json::Value;

use super::Scenery;
use super::account::{Outcome, Telling};
use crate::authorize::content;
use crate::clock::Clock;
use crate::edge::preface::Preface;
use crate::forward::Fleet;
use crate::forward::standing::Condition;
use crate::forward::upstream::{CredentialPolicy, Upstream};
use crate::forward::{self, Passage, Payload, Way, identity, preview};
use crate::gateway::sending::{self, Errand, Goal};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};
use crate::telemetry::shown_path;

/// Fields that vidgate writes and that hold nothing secret: their values are shown.
const SHOWN: [&str; 8] = [
    "host",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-vidgate-subject",
    "x-vidgate-account",
    "x-vidgate-scheme",
];

/// The request as it was received, with its form where that was read.
pub(super) struct Received {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) form: Option<Preface>,
}

/// What is done with it; refuses where something would still be found then.
pub(super) fn ahead(
    scenery: &Scenery,
    received: Received,
    errand: &Errand<'_>,
    (admission, passage): (&Admission, &Passage<'_>),
    clock: &Clock,
) -> Result<Telling, Refusal> {
    let Scenery { world, fleet, .. } = scenery;
    let (route, Received { parts, body, form }) = (errand.route, received);
    let mut as_it_comes = form.is_none();
    let body = match form {
        Some(form) if !route.destination.keeps_credentials() => form.without(&route.places.form)?,
        Some(_) | None => body,
    };
    let had = parts.headers.clone();
    let payload = Payload::Whole(body.clone());
    let parts = if as_it_comes { Box::new(parts) } else { forward::emptied(Box::new(parts), &payload) };
    let (id, credential) = match sending::goal(route, errand.operation.as_deref())? {
        Goal::Upstream(id, credential) => (id, credential),
        Goal::Endpoint(entry) => {
            let says =
                format!("the endpoint `{}` of the house would answer, and look further into the request", entry.name);
            return Ok(Telling::new("endpoint", Outcome::Passed, says).with("name", entry.name));
        }
    };
    if route.content == Some(content::Rule::CheckedJson) && !body.is_empty() {
        if body.len() as u64 > sending::checked_body(route) {
            return Err(Refusal::new(Cause::BodyTooLarge, "the body is too large to be looked into"));
        }
        content::Rule::check_text(&body)?;
        as_it_comes = false;
    }
    let way = Way {
        websocket: errand.websocket.as_ref().map(|(asked, terms)| (asked, *terms)),
        ..sending::way(world, route, id, credential)
    };
    let shown = preview::preview(parts, (payload, as_it_comes), way, (passage, admission), clock)?;
    Ok(told(&shown, way, fleet.as_deref(), &had))
}

fn told(shown: &preview::Preview, way: Way<'_>, fleet: Option<&Fleet>, had: &HeaderMap) -> Telling {
    let names = |map: &HeaderMap| map.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
    let (before, after) = (names(had), names(&shown.fields));
    let says =
        format!("it goes to the upstream `{}` as {} {}", way.upstream.name, shown.method, shown_path(&shown.path));
    let mut told = Telling::new("upstream", Outcome::Passed, says);
    let mut put = |name: &str, fact: Value| told.facts.insert(name.to_owned(), fact);
    put("name", (*way.upstream.name).into());
    put("path", shown_path(&shown.path).into());
    put("endpoints", shown.endpoints.clone().into());
    let list = |step, what: &str, names: Vec<String>| {
        let says = if names.is_empty() { format!("{what}: nothing") } else { format!("{what}: {}", names.join(", ")) };
        Telling::new(step, Outcome::Note, says).with("names", names)
    };
    let credential = match (way.credential, way.own) {
        (CredentialPolicy::Keep, _) => "the caller's credential goes on as it came".to_owned(),
        (CredentialPolicy::Remove, _) => "the caller's credential is taken out".to_owned(),
        (CredentialPolicy::Translate, own) => {
            let place = own.map(|own| format!(" `{}: …`", own.header)).unwrap_or_default();
            format!("the caller's credential is taken out, and the upstream's own is put in its place:{place}")
        }
    };
    let which = if shown.endpoints.len() == 1 { "to" } else { "to one of" };
    let mut endpoints = list("endpoints", which, shown.endpoints.clone());
    endpoints.steps = fleet.map(|fleet| standing(fleet, way.upstream)).unwrap_or_default();
    let values = SHOWN.iter().filter_map(|name| {
        let value = shown.fields.get(*name)?;
        Some(format!("{name}: {}", value.to_str().ok()?))
    });
    let scopes = shown.fields.get(identity::SCOPES).and_then(|value| value.to_str().ok());
    let values = values.chain(scopes.map(|scopes| format!("{}: {scopes}", identity::SCOPES)));
    told.steps = vec![
        endpoints,
        Telling::new("credential", Outcome::Note, credential),
        list("removed", "fields that do not go on", before.difference(&after).cloned().collect()),
        list("added", "fields that come to it", after.difference(&before).cloned().collect()),
        list("said", "what the upstream reads there", values.collect()),
    ];
    if shown.query_changed {
        told.steps.push(Telling::new("query", Outcome::Note, "the query goes on without the credential"));
    }
    told
}

/// How each of its endpoints stands.
fn standing(fleet: &Fleet, upstream: &Upstream) -> Vec<Telling> {
    let endpoints = fleet.standings(slice::from_ref(upstream)).into_iter().flat_map(|own| own.endpoints);
    let one = |(url, condition): (Box<str>, Condition)| {
        let why = condition.why().map(|why| format!(": {why}")).unwrap_or_default();
        let told = Telling::new("endpoint", Outcome::Note, format!("{url} is {}{why}", condition.name()));
        told.with("url", url.into_string()).with("state", condition.name())
    };
    endpoints.map(one).collect()
}
