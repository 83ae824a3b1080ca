//! A request as its upstream would get it, without sending it: for whoever wants to see that beforehand.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method};

use super::credential::{self, Minted};
use super::outgoing::{Outgoing, Payload};
use super::permitted;
use super::request::{Errand, Passage, Way};
use super::upload::Upload;
use crate::clock::Clock;
use crate::deadline::Deadlines;
use crate::edge::decide::Decide;
use crate::limit::Admission;
use crate::refusal::Refusal;

/// What an upstream would get.
#[derive(Debug)]
pub struct Preview {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// Whether the query is another than the one that came, since a credential was taken out of it.
    pub query_changed: bool,
    /// All of its fields, with the `Host` for its first endpoint. What stands in the place of the caller's credential is
    /// among them.
    pub fields: HeaderMap,
    /// The endpoints of which one would get it.
    pub endpoints: Vec<String>,
}

/// The fields by which a proxy that asks is told that a request may pass, as the gateway writes them.
///
/// # Errors
///
/// There is no credential to put in the place of the caller's.
pub fn permission(
    decide: &Decide,
    (parts, way, path): (&Parts, Way<'_>, &str),
    admission: &Admission,
    clock: &Clock,
) -> Result<HeaderMap, Refusal> {
    let minted = Minted::default();
    let own = credential::own(&minted, way, admission, || clock.unix())?;
    let mut fields = HeaderMap::new();
    permitted::write(&mut fields, (parts, way), (admission, own));
    permitted::direct(&mut fields, decide, (parts, way), path);
    Ok(fields)
}

/// Makes it as sending does. `as_it_comes`: the gateway would not have read the body to its end before.
pub fn preview(
    parts: Box<Parts>,
    (payload, as_it_comes): (Payload, bool),
    way: Way<'_>,
    (passage, admission): (&Passage<'_>, &Admission),
    clock: &Clock,
) -> Result<Preview, Refusal> {
    let (deadlines, minted) = (Deadlines::new(clock.clone()), Minted::default());
    let upload = Upload::new(deadlines.register(), way.upstream.timeouts.response);
    let body = Outgoing::new(payload, way.max_body, &upload, &deadlines, Duration::ZERO, passage);
    let body = if as_it_comes { body.unchanged() } else { body };
    let own = credential::own(&minted, way, admission, || clock.unix())?;
    let errand = Errand::new(parts, &way, passage, (admission, own), &body)?;
    let endpoints = way.upstream.endpoints.iter();
    let (path, query_changed) = errand.shown();
    Ok(Preview {
        method: errand.method().clone(),
        path,
        query_changed,
        fields: errand.all_fields(&way.upstream.endpoints[0]),
        endpoints: endpoints.map(super::upstream::Endpoint::url).collect(),
    })
}
