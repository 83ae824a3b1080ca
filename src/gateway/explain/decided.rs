//! A request on a listener that decides for other proxies: what is asked about is read as the deciding code reads it, and
//! what is told is what the proxy is answered. Nothing goes to an upstream from there.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::account::{Answer, Outcome, Telling};
use super::asked::Arriving;
use super::{Rehearsal, shown};
use crate::edge::decide::{Decide, Subject};
use crate::forward::{Passage, Payload, REQUEST_ID, permitted, preview};
use crate::gateway::deciding;
use crate::gateway::manner::Manner;
use crate::gateway::sending::{self, Errand};
use crate::limit::Admission;
use crate::refusal::{Cause, Refusal};
use crate::world::{Destination, Route, World};

/// Said of a preflight that is answered.
pub(super) const PREFLIGHT: &str = "a browser asks what a page may do: the gateway answers that itself";

/// What stands in the place of a value that could hold a credential.
const HIDDEN: &[u8] = "…".as_bytes();

/// What is asked about, and how the request was taken. One with the fields of a check, or to the listener's own port from
/// one of its proxies, is the check; any other is a request to such a proxy, which would ask about it.
pub(super) fn subject((name, decide): (&str, &Decide), arriving: Arriving) -> (Telling, Result<Subject, Refusal>) {
    let Arriving { parts, body, connection, secure, direct, from_nobody: _ } = arriving;
    let (peer, reads) = (connection.peer.ip(), decide.reads.name());
    let is_check = decide.is_check(&parts.headers) || direct && decide.admit(peer).is_ok();
    let told = |says: String| Telling::new("decide", Outcome::Note, says).with("as", reads).with("is_check", is_check);
    if is_check {
        let says = format!(
            "`{name}` decides for other proxies: this is read as the check that {peer} sends (`{reads}`), and what is \
             decided is the request that it names"
        );
        return (told(says), deciding::subject(decide, &parts, (&Payload::Whole(body), &connection)));
    }
    let spoken = if secure { "over TLS" } else { "in clear" };
    let says = format!(
        "`{name}` decides for other proxies: this is read as what {peer} sends to such a proxy, {spoken}, and the proxy \
         asks about (`{reads}`)"
    );
    let nothing = Payload::Whole(Bytes::new());
    let check = decide.check(parts, (peer, secure));
    (told(says), check.and_then(|check| deciding::subject_for_proxy(decide, &check, (&nothing, &connection))))
}

/// The answer that lets a preflight pass, and what is said of it.
pub(super) fn preflight(
    decide: &Decide,
    mut answer: Response<Bytes>,
    about: (&World, &Parts, &Route),
) -> Result<(&'static str, Response<Bytes>), Refusal> {
    deciding::preflight_fields(decide, answer.headers_mut(), about)?;
    *answer.status_mut() = StatusCode::OK;
    Ok(("a browser asks what a page may do: it is only decided that it may ask", answer))
}

/// The answer that lets a request pass.
pub(super) fn answer(mut fields: HeaderMap, admission: Admission, manner: Manner) -> Answer {
    drop(admission.answered(&mut fields));
    let mut answer = Response::new(Bytes::new());
    *answer.headers_mut() = fields;
    finished(answer, manner)
}

/// An answer that refuses nothing, with what every answer carries.
pub(super) fn finished(mut answer: Response<Bytes>, manner: Manner) -> Answer {
    let fields = answer.headers_mut();
    fields.insert(REQUEST_ID, HeaderValue::from_static("explained"));
    if let Some(grant) = manner.grant {
        grant.stamp(fields);
    }
    shown(&answer, None)
}

impl Rehearsal<'_> {
    /// What is done with a request that may pass: nothing, but that its proxy is told so, in these fields. No value is
    /// among them that could hold a credential.
    pub(super) fn permitted(
        &self,
        decide: &Decide,
        parts: &Parts,
        errand: &Errand<'_>,
        (admission, passage): (&Admission, &Passage<'_>),
    ) -> Result<(Telling, Option<HeaderMap>), Refusal> {
        let Destination::Upstream { id, credential } = errand.route.destination else {
            return Err(Refusal::new(Cause::Internal, "a check came to a route without an upstream"));
        };
        let way = sending::way(&self.scenery.world, errand.route, id, credential);
        let path = passage.path.as_deref().unwrap_or_else(|| parts.uri.path());
        let mut fields = preview::permission(decide, (parts, way, path), admission, self.clock)?;
        let own = way.own.map(|own| &own.header);
        let hidden = HeaderValue::from_bytes(HIDDEN).expect("it has no control characters");
        for (name, value) in &mut fields {
            if own == Some(name) || way.places.headers.contains(name) || value.is_sensitive() {
                *value = hidden.clone();
            }
        }
        permitted::hide_query(&mut fields);
        let names: Vec<_> = fields.keys().map(ToString::to_string).collect();
        let listed = if names.is_empty() { "no fields".to_owned() } else { names.join(", ") };
        let upstream = &*way.upstream.name;
        let says = format!(
            "it is only decided: the proxy is answered 200, and sends it to `{upstream}` itself, which is to get: {listed}"
        );
        let told = Telling::new("decided", Outcome::Passed, says).with("upstream", upstream).with("fields", names);
        Ok((told, Some(fields)))
    }
}
