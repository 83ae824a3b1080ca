//! The admin API: what the store keeps, over HTTP and JSON. Every request is read whole before anything is done, and
//! every part of it that is not understood is refused. Who may come in is the business of the listener; the command
//! line drives the same router without one.

mod answer;
mod audit;
pub mod auth;
mod body;
mod bulk;
mod exchange;
mod explanations;
mod keep;
mod limits;
pub mod listener;
pub mod monitoring;
mod openapi;
mod operation;
mod preconditions;
mod problem;
mod query;
mod refusals;
mod reload;
mod resources;
mod schema;
pub mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{ACCEPT, ALLOW, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

pub use self::explanations::Explain;
pub use self::listener::{Identity, Settings};
use self::operation::{Call, Mounted, Serve, Takes};
use self::preconditions::Conditions;
use self::problem::{Problem, plain};
use self::query::Query;
pub use self::reload::{Reload, Unchanged};
use crate::clock::Clock;
use crate::limit::failures::Guards;
use crate::limit::ledger::Unreadable;
use crate::limit::{Limits, Policy};
use crate::store::{Actor, Store};
use crate::telemetry::Refusals;

/// What operations work on.
#[derive(Clone)]
struct House {
    store: Store,
    clock: Clock,
    counters: Counters,
}

/// What is counted of requests, and what can be done beside the store: of a gateway that runs, or, of one that does not, as far as it is on file.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Where quotas stand.
    pub limits: Arc<Limits>,
    /// Whose wrong credentials were counted.
    pub guards: Arc<Guards>,
    /// How the configuration is read anew, where a gateway runs.
    pub reload: Option<Reload>,
    /// How a request is explained, where a gateway runs.
    pub explain: Option<Explain>,
    /// How that gateway is doing.
    pub overview: Option<status::Running>,
    /// The last requests that it refused.
    pub refusals: Option<Arc<Refusals>>,
}

impl Counters {
    /// Those of a gateway that does not run: what quotas have spent stands in the store, and of wrong credentials nothing
    /// is known.
    pub fn at_rest(store: &Store, clock: &Clock, policies: &[Policy]) -> Result<Self, Unreadable> {
        let limits = Limits::new(Some(Arc::new(store.clone())), clock)?;
        // Opened, they read what the store has of them.
        drop(limits.open(policies));
        let guards = Guards::new(clock.clone());
        Ok(Self { limits, guards, reload: None, explain: None, overview: None, refusals: None })
    }
}

/// The OpenAPI document (3.1), the same as `GET /openapi.json` gives.
#[must_use]
pub fn openapi() -> Value {
    openapi::document()
}

/// The admin API of a store. Whoever lets a request in puts the [`Actor`] into its extensions; without one, it is refused.
/// The runtime must have its timer on.
pub fn router(store: Store, counters: Counters, clock: Clock) -> Router {
    let house = House { store, clock, counters };
    let mut paths: Vec<(String, Vec<Mounted>)> = Vec::new();
    for mounted in operation::mounted() {
        match paths.last_mut().filter(|(path, _)| *path == mounted.path) {
            Some((_, own)) => own.push(mounted),
            None => paths.push((mounted.path.clone(), vec![mounted])),
        }
    }
    let mut router = Router::new();
    for (path, own) in paths {
        let (own, house) = (Arc::<[Mounted]>::from(own), house.clone());
        let serve = move |request: Request| {
            let (own, house) = (Arc::clone(&own), house.clone());
            async move { dispatch(&own, house, request).await.unwrap_or_else(IntoResponse::into_response) }
        };
        router = router.route(&path, any(serve));
    }
    router.fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
}

/// Reads every part of a request, and has it carried out.
async fn dispatch(own: &[Mounted], house: House, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    // RFC 9110 §9.3.2: the same as GET; whoever writes the answer leaves its body out.
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let Some(mounted) = own.iter().find(|mounted| mounted.operation.method == *method) else {
        return Err(not_allowed(own));
    };
    let operation = mounted.operation;
    let Some(actor) = parts.extensions.remove::<Actor>() else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "nobody was let in with this request"));
    };
    let id = id(&mounted.path, parts.uri.path())?;
    let query = Query::read(parts.uri.query(), mounted.query())?;
    let mut conditions = Conditions::read(&operation.method, &parts.headers, operation.conditions)?;
    let bytes = read(&parts, body, operation.takes).await?;
    let document = if bytes.is_empty() && operation.takes.optional() { Map::new() } else { body::read(&bytes)? };
    if operation.takes == Takes::Empty {
        let faults = document.keys().map(|key| answer::unknown(&plain(key), &[])).collect::<Vec<_>>();
        answer::faultless(faults)?;
    }
    let idempotency = conditions.idempotency(&operation.method, parts.uri.path(), &bytes);
    drop(bytes);
    let accept = accept(&parts.headers);
    let call = Call { house, actor, id, query, revision: conditions.revision, idempotency, document, accept };
    match (operation.serve, mounted.resource) {
        (Serve::Resource(serve), Some(resource)) => serve(call, resource).await,
        (Serve::House(serve), _) => serve(call).await,
        (Serve::Resource(_), None) => unreachable!("an operation on a resource has one in its path"),
    }
}

/// What media types are accepted, in however many fields that is said (RFC 9110 §5.3).
fn accept(headers: &HeaderMap) -> Option<String> {
    let fields: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    (!fields.is_empty()).then(|| fields.join(","))
}

/// The bytes of the body, where the operation takes one.
async fn read(parts: &Parts, body: Body, takes: Takes) -> Result<zeroize::Zeroizing<Vec<u8>>, Problem> {
    if takes == Takes::Nothing {
        return Ok(zeroize::Zeroizing::default());
    }
    // Told by its own account, so that it is not even begun.
    let declared = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > takes.most()) {
        return Err(body::too_large(takes.most()));
    }
    let comes = declared.map_or_else(|| parts.headers.contains_key(TRANSFER_ENCODING), |length| length > 0);
    let comes = comes || !http_body::Body::is_end_stream(&body);
    if comes || !takes.optional() {
        body::check_type(&parts.headers, takes.types())?;
    }
    body::collect(body, takes.most(), body::PATIENCE).await
}

fn not_allowed(own: &[Mounted]) -> Problem {
    let methods = own.iter().map(|mounted| match mounted.operation.method {
        Method::GET => "GET, HEAD".to_owned(),
        ref method => method.to_string(),
    });
    let list = methods.collect::<Vec<_>>().join(", ");
    let allow = HeaderValue::try_from(&list).expect("methods are words");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this can be asked with {list} only")).with(ALLOW, allow)
}

/// The part of the path that stands where the pattern has a name in braces.
fn id(pattern: &str, path: &str) -> Result<String, Problem> {
    let place = pattern.split('/').position(|part| part.starts_with('{'));
    let Some(raw) = place.and_then(|place| path.split('/').nth(place)) else { return Ok(String::new()) };
    let decoded = percent_decode_str(raw).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::field(StatusCode::BAD_REQUEST, "id", "the id is not UTF-8"))?;
    Ok(decoded.into_owned())
}
