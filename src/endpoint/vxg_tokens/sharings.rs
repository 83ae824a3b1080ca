//! Sharings of a camera: `/api/v2/cameras/{id}/sharings/`. Each is an access token with an end and a switch of its own.

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::token::{self, Sharing, Wish};
use super::{Desk, list_path, made, own, said};
use crate::endpoint::Caller;
use crate::endpoint::document::Document;
use crate::endpoint::page::Query;
use crate::refusal::Refusal;
use crate::store::{Operation, Refused, Resource, Store};

/// The longest access token that anyone looks into, in bytes.
const LONGEST_TOKEN: usize = 4096;

/// `GET …/sharings/`
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<String>,
    uri: Uri,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let page = Query::new(raw.as_deref()).page()?;
    let of = camera.clone();
    let looked = desk.house.look(move |store| {
        own(store, Resource::Camera, &of, &account)?;
        let slice = store.slice(Resource::Token, Some((Resource::Camera, &of)), page.offset, page.limit)?;
        let sharings = slice.items.into_iter().map(|entry| Sharing::of(store, entry));
        Ok((sharings.collect::<Result<Vec<_>, _>>()?, slice.total))
    });
    let (sharings, total) = looked.await?;
    let hosts = desk.hosts(&caller);
    let objects: Vec<_> = sharings.iter().map(|sharing| sharing.to_value(&camera, &hosts)).collect();
    Ok(Json(page.answer(&list_path(&uri), &objects, total)).into_response())
}

/// `POST …/sharings/`: without a word on its access, it is for watching.
pub(super) async fn create(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut given = Document::read(&headers, &body)?;
    let mut document = token::document(token::patch(&mut given)?);
    document.entry("scopes").or_insert_with(|| json!(["watch"]));
    let (of, owner) = (camera.clone(), account.clone());
    desk.house.look(move |store| own(store, Resource::Camera, &of, &owner)).await?;
    let made_as =
        desk.house.make(caller.actor(), |id| vec![desk.new_sharing(id, (Resource::Camera, &camera), document.clone())]);
    let id = made_as.await.map_err(said)?;
    let sharing = found(&desk, (camera.clone(), id.clone()), account).await?;
    Ok(made(&uri, &id, sharing.to_value(&camera, &desk.hosts(&caller))))
}

/// `GET …/sharings/{id}/`
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((camera, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let sharing = found(&desk, (camera.clone(), id), Desk::account(&caller)?).await?;
    Ok(Json(sharing.to_value(&camera, &desk.hosts(&caller))).into_response())
}

/// `PUT …/sharings/{id}/`: what is named is changed, and everything else stays. `"token": null` asks for a new one.
pub(super) async fn change(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((camera, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut given = Document::read(&headers, &body)?;
    let patch = token::patch(&mut given)?;
    let place = (camera.clone(), id.clone());
    let sharing = found(&desk, place.clone(), account.clone()).await?;
    let wish = Sharing::wish(Some(&sharing), given.text("token", LONGEST_TOKEN)?, "token")?;
    let mut operations = Vec::new();
    if !patch.is_empty() {
        operations.push(Operation::Change { resource: Resource::Token, id: id.clone(), patch, revision: None });
    }
    if wish == Wish::Renew {
        operations.push(desk.next_token(&sharing));
    }
    if !operations.is_empty() {
        desk.house.change(caller.actor(), operations).await.map_err(said)?;
    }
    let sharing = found(&desk, place, account).await?;
    Ok(Json(sharing.to_value(&camera, &desk.hosts(&caller))).into_response())
}

/// `DELETE …/sharings/{id}/`
pub(super) async fn delete(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path((camera, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    found(&desk, (camera, id.clone()), account).await?;
    let gone = Operation::Delete { resource: Resource::Token, id, revision: None };
    desk.house.change(caller.actor(), vec![gone]).await.map_err(said)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn found(desk: &Desk, place: (String, String), account: String) -> Result<Sharing, Refusal> {
    desk.house.look(move |store| find(store, &place.0, &place.1, &account)).await
}

/// A sharing of this very camera.
fn find(store: &Store, camera: &str, id: &str, account: &str) -> Result<Sharing, Refused> {
    let entry = own(store, Resource::Token, id, account)?;
    if entry.document.get("camera").and_then(Value::as_str) != Some(camera) {
        return Err(Refused::missing(Resource::Token, id));
    }
    Sharing::of(store, entry)
}
