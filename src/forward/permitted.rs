//! What another proxy is told of a request that may pass: the fields that its upstream would have got from us, and which
//! of the caller's it would not have.

use std::borrow::Cow;

use http::header::HeaderMap;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::edge::decide::{Convention, Decide};
use crate::edge::pairs;
use crate::forward::credential::Field;
use crate::forward::identity::{self, ACCOUNT, SCHEME, SCOPES, SUBJECT};
use crate::forward::upstream::CredentialPolicy;
use crate::forward::{Way, headers};
use crate::limit::Admission;
use crate::refusal::Refusal;

/// The target that the request is to be sent to.
static TARGET: HeaderName = HeaderName::from_static("x-vidgate-target");
/// Which of the request's fields Envoy takes out.
static REMOVALS: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Refuses a request that says itself what only we may say, in any spelling, or that asks for another method or target
/// than those that are decided on: whether its proxy would take that out is not known here. The fields in which the proxy
/// says what it asks about are its own.
pub fn is_modest(fields: &HeaderMap, reads: Convention) -> Result<(), Refusal> {
    if fields.keys().any(headers::is_identity) {
        return Err(Refusal::malformed("the caller says themselves who they are (X-Vidgate-*)"));
    }
    if fields.keys().any(|name| headers::is_override(name) && !reads.says_in(name)) {
        return Err(Refusal::malformed("the caller asks for another method or target beside those of the request"));
    }
    Ok(())
}

/// Writes the identity, and what the upstream is to get in the places of credentials: the caller's own where the route
/// keeps them, the upstream's where it is translated, and else nothing.
pub fn write(
    fields: &mut HeaderMap,
    (parts, way): (&Parts, Way<'_>),
    (admission, own): (&Admission, Option<Field<'_>>),
) {
    identity::write(fields, admission);
    if way.credential == CredentialPolicy::Keep {
        for name in &way.places.headers {
            for value in parts.headers.get_all(name) {
                let mut value = value.clone();
                value.set_sensitive(true);
                fields.append(name.clone(), value);
            }
        }
    }
    if let Some((name, value)) = own {
        fields.insert(name.clone(), Cow::into_owned(value));
    }
}

/// Writes what the proxy is to do with the request besides: where it sends it, and which of its fields it takes out.
pub fn direct(fields: &mut HeaderMap, decide: &Decide, (parts, way): (&Parts, Way<'_>), path: &str) {
    if decide.rewrites {
        write_target(fields, (parts, way), path);
    }
    if decide.reads == Convention::Envoy {
        write_removals(fields, way);
    }
}

/// Writes the target: this canonical path, and the query without the caller's credential unless the route keeps it.
fn write_target(fields: &mut HeaderMap, (parts, way): (&Parts, Way<'_>), path: &str) {
    let keeps = way.credential == CredentialPolicy::Keep;
    let rest = parts.uri.query().filter(|_| !keeps).and_then(|query| pairs::without(query, &way.places.query));
    let query = match &rest {
        Some(rest) => Some(rest.as_str()).filter(|rest| !rest.is_empty()),
        None => parts.uri.query(),
    };
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    // The canonical path and a part of a query that was parsed before are visible ASCII.
    if let Ok(target) = HeaderValue::try_from(target) {
        fields.insert(TARGET.clone(), target);
    }
}

/// Takes the query out of the target, where a credential may be, for whoever is only shown it.
pub fn hide_query(fields: &mut HeaderMap) {
    let Some(target) = fields.get_mut(&TARGET) else { return };
    let path = target.as_bytes().iter().position(|byte| *byte == b'?').map(|at| target.as_bytes()[..at].to_vec());
    if let Some(shown) = path.and_then(|path| HeaderValue::try_from([&path[..], "?…".as_bytes()].concat()).ok()) {
        *target = shown;
    }
}

/// Writes which of the caller's fields may not reach the upstream: their credentials, and what would pass for our word.
fn write_removals(fields: &mut HeaderMap, way: Way<'_>) {
    let names = [SUBJECT, ACCOUNT, SCHEME, SCOPES];
    let gone = names.iter().chain(&way.places.headers).filter(|name| !fields.contains_key(*name));
    let list = gone.map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(list) = HeaderValue::try_from(list) {
        fields.insert(REMOVALS.clone(), list);
    }
}
