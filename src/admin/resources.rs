//! Operations on one resource, whichever it is.

use axum::response::Response;
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::answer::{aside, json as answer, submit};
use super::operation::Call;
use super::preconditions::{REPLAYED, etag};
use super::problem::Problem;
use super::query::{Parameter, cursor};
use crate::store::{self, Filter, Outcome, Refused, Resource};

/// RFC 3986 §2.3: what never needs an escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `GET /v1/{resource}`
pub(super) async fn list(call: Call, resource: Resource) -> Result<Response, Problem> {
    let text = |parameter| call.query.text(parameter).map(str::to_owned);
    let filter = Filter {
        account: text(Parameter::Account),
        user: text(Parameter::User),
        status: call.query.status()?,
        name: text(Parameter::Name),
    };
    let (after, limit) = (call.query.after(resource)?, call.query.limit()?);
    let page = aside(move || call.house.store.list(resource, &filter, after.as_deref(), limit)).await?;
    let items: Vec<Value> = page.items.into_iter().map(|item| Value::Object(item.document)).collect();
    let mut body = json!({ "items": items });
    if let Some(next) = page.next {
        body["next"] = cursor(resource, &next).into();
    }
    Ok(answer(StatusCode::OK, &body))
}

/// `POST /v1/{resource}`
pub(super) async fn create(mut call: Call, resource: Resource) -> Result<Response, Problem> {
    let document = std::mem::take(&mut call.document);
    let operation = store::Operation::Create { resource, document, versions: Vec::new() };
    let (outcome, replayed) = one(call, operation).await?;
    let id = outcome.id.clone();
    let mut response = entry(StatusCode::CREATED, outcome, replayed);
    response.headers_mut().insert(LOCATION, location(resource, &id));
    Ok(response)
}

/// `GET /v1/{resource}/{id}`
pub(super) async fn show(call: Call, resource: Resource) -> Result<Response, Problem> {
    let outcome = aside(move || call.house.store.show(resource, &call.id)).await?;
    Ok(entry(StatusCode::OK, outcome, false))
}

/// `PATCH /v1/{resource}/{id}`
pub(super) async fn change(mut call: Call, resource: Resource) -> Result<Response, Problem> {
    let patch = std::mem::take(&mut call.document);
    patched(call, resource, patch).await
}

/// `POST /v1/{resource}/{id}/disable` and `…/enable`
pub(super) async fn switch(call: Call, resource: Resource, disabled: bool) -> Result<Response, Problem> {
    patched(call, resource, Map::from_iter([("disabled".to_owned(), disabled.into())])).await
}

async fn patched(call: Call, resource: Resource, patch: Map<String, Value>) -> Result<Response, Problem> {
    let operation = store::Operation::Change { resource, id: call.id.clone(), patch, revision: call.revision };
    let (outcome, replayed) = one(call, operation).await?;
    Ok(entry(StatusCode::OK, outcome, replayed))
}

/// `POST /v1/{resource}/{id}/rotate`
pub(super) async fn rotate(mut call: Call, resource: Resource) -> Result<Response, Problem> {
    let document = std::mem::take(&mut call.document);
    let operation = store::Operation::Rotate { resource, id: call.id.clone(), document, revision: call.revision };
    let (outcome, replayed) = one(call, operation).await?;
    Ok(entry(StatusCode::OK, outcome, replayed))
}

/// `DELETE /v1/{resource}/{id}`
pub(super) async fn delete(call: Call, resource: Resource) -> Result<Response, Problem> {
    let operation = store::Operation::Delete { resource, id: call.id.clone(), revision: call.revision };
    one(call, operation).await?;
    Ok(super::answer::nothing())
}

/// Has one change made.
async fn one(call: Call, operation: store::Operation) -> Result<(Outcome, bool), Problem> {
    let Call { house, actor, idempotency, .. } = call;
    let request = store::Request { actor, operations: vec![operation], idempotency };
    let mut answer = submit(&house.store, request).await?;
    match answer.outcomes.pop() {
        Some(outcome) => Ok((outcome, answer.replayed)),
        None => Err(Refused::Unavailable("the store said nothing of the change".into()).into()),
    }
}

/// Where an entry is found.
fn location(resource: Resource, id: &str) -> HeaderValue {
    let path = format!("/v1/{}/{}", resource.path(), utf8_percent_encode(id, ESCAPED));
    HeaderValue::try_from(path).expect("an escaped path is plain")
}

fn entry(status: StatusCode, outcome: Outcome, replayed: bool) -> Response {
    let revision = outcome.revision;
    let mut response = answer(status, &Value::Object(document(outcome)));
    response.headers_mut().insert(ETAG, etag(revision));
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The document of an outcome, with the secret that is shown once.
pub(super) fn document(outcome: Outcome) -> Map<String, Value> {
    let mut document = outcome.document;
    if let (Some(secret), Some(rule)) = (&outcome.secret, outcome.resource.secret()) {
        document.insert(rule.field.to_owned(), String::from_utf8_lossy(secret.expose()).into_owned().into());
    }
    document
}
