//! Which assets of an app a public listing may show (CameraTag): the upstream's JSON is read whole and those
//! that may not be seen are taken out of it, the rest byte for byte. What is not the JSON that is expected is withheld:
//! whatever cannot be looked through is not shown.

mod listing;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, TRAILER,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::deadline::Deadline;
use crate::forward::{Body, Gatherer};
use crate::record::Wall;
use crate::refusal::{Cause, Refusal};
use crate::scheme::{Principal, Scene};

/// Fields of a request that ask for a part of a listing, for news of it, or for a coded one. `A-IM` would have the
/// upstream say what has changed (RFC 3229).
static PARTIAL: [HeaderName; 8] = [
    ACCEPT_ENCODING,
    RANGE,
    IF_RANGE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    HeaderName::from_static("a-im"),
];

/// Fields of an answer that speak of its bytes, which are others now.
static OF_ITS_BYTES: [HeaderName; 12] = [
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_ENCODING,
    ACCEPT_RANGES,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("signature"),
];

/// How a listing is filtered.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The largest answer that is looked through, in bytes.
    pub max_answer: u64,
}

/// What the app says whose listing is asked for: the one that speaks, or else the one that the route says. Of an app that
/// nobody knows, nothing is shown.
pub fn shown(principal: &Principal, scene: &Scene<'_>) -> Wall {
    if let Some(app) = principal.app() {
        return app.wall;
    }
    scene.named_app().and_then(|record| record.attributes.app().map(|app| app.wall)).unwrap_or_default()
}

fn withheld(detail: &'static str) -> Refusal {
    Refusal::new(Cause::UpstreamFailed, detail)
}

impl Rule {
    /// Has the upstream answer with the whole listing, as plain JSON.
    pub fn prepare(&self, parts: &mut Parts) {
        for name in &PARTIAL {
            parts.headers.remove(name);
        }
        parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }

    /// The listing without what may not be seen. What an upstream says of a wrong request or of its own failure is no
    /// listing and passes.
    pub async fn filter(
        &self,
        answer: Response<Body>,
        (method, wall): (&Method, Wall),
        (gatherer, patience): (&Gatherer, &Deadline),
    ) -> Result<Response<Body>, Refusal> {
        let status = answer.status();
        if wall == Wall::All || status.is_client_error() || status.is_server_error() {
            return Ok(answer);
        }
        let (mut parts, body) = answer.into_parts();
        if status != StatusCode::OK {
            return Err(withheld("a listing with another status than 200"));
        }
        if is_coded(&parts.headers) {
            return Err(withheld("a listing with a content coding"));
        }
        for name in &OF_ITS_BYTES {
            parts.headers.remove(name);
        }
        if method == Method::HEAD {
            return Ok(Response::from_parts(parts, body));
        }
        let whole = gatherer.take_in(body, self.max_answer, patience).await?;
        let text = str::from_utf8(&whole).map_err(|_| withheld("a listing that is not text"))?;
        let left =
            listing::without(text, |state| shows(wall, state)).map_err(|_| withheld("a listing that is none"))?;
        Ok(Response::from_parts(parts, Body::whole(Bytes::from(left))))
    }
}

fn is_coded(fields: &HeaderMap) -> bool {
    fields.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether an asset in this state may be seen; one whose state nobody knows only where all may.
fn shows(wall: Wall, state: Option<&str>) -> bool {
    match wall {
        Wall::None => false,
        Wall::All => true,
        Wall::WhiteList => matches!(state, Some("approved" | "featured")),
        Wall::BlackList => matches!(state, Some("published" | "processed" | "approved" | "featured")),
    }
}

#[cfg(test)]
mod tests;
