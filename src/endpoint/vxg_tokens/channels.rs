//! Cameras: `/api/v3/channels/` and, in the older words, `/api/v2/cameras/`.

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::token::{self, Sharing, Wish};
use super::{Desk, Hosts, LONGEST_NAME, made, name, or_null, own, said};
use crate::endpoint::Caller;
use crate::endpoint::document::{Document, Given};
use crate::endpoint::house::conflict;
use crate::endpoint::vxg::{id as number, new_id};
use crate::refusal::Refusal;
use crate::store::{Operation, Outcome, Refused, Resource, Store};

/// The tokens that every channel has, by the words of their access.
const TOKENS: [&str; 2] = ["all", "watch"];
/// The most groups that a camera is taken out of when it goes.
const MOST_GROUPS: usize = 500;

/// A camera with what its tokens stand for: the oldest sharing with each access.
struct Channel {
    camera: Outcome,
    sharings: [Option<Sharing>; TOKENS.len()],
}

impl Channel {
    fn find(store: &Store, id: &str, account: &str) -> Result<Self, Refused> {
        Self::of(store, own(store, Resource::Camera, id, account)?)
    }

    fn of(store: &Store, camera: Outcome) -> Result<Self, Refused> {
        let mut every = token::every(store, (Resource::Camera, &camera.id))?;
        let oldest = |access| Sharing::oldest(store, &mut every, |entry| token::scopes(entry).eq([access]));
        let [all, watch] = TOKENS.map(oldest);
        Ok(Self { sharings: [all?, watch?], camera })
    }

    fn to_value(&self, hosts: &Hosts) -> Value {
        let token = |sharing: &Option<Sharing>| {
            let good = sharing.as_ref().filter(|sharing| sharing.is_good());
            or_null(good.and_then(|sharing| sharing.token(Some(&self.camera.id), hosts)))
        };
        let tokens = TOKENS.iter().zip(&self.sharings).map(|(access, sharing)| ((*access).to_owned(), token(sharing)));
        json!({
            "id": number(&self.camera.id),
            "name": name(&self.camera),
            "access_tokens": tokens.collect::<Map<_, _>>(),
            "created": self.camera.document.get("created"),
        })
    }
}

/// `GET …/channels/`
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    desk.page(&caller, (&uri, raw.as_deref()), Resource::Camera, Channel::of, Channel::to_value).await
}

/// `POST …/channels/`: a camera with its tokens, in one change.
pub(super) async fn create(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut document = Document::read(&headers, &body)?;
    let label = document.text("name", LONGEST_NAME)?.value();
    desk.must_be_kept(&account).await?;
    let camera = Map::from_iter([
        ("account".to_owned(), json!(account)),
        ("metadata".to_owned(), label.map_or(json!({}), |name| json!({ "name": name }))),
    ]);
    let made_as = desk.house.make(caller.actor(), |id| {
        let mut document = camera.clone();
        document.insert("id".into(), id.into());
        let camera = Operation::Create { resource: Resource::Camera, document, versions: Vec::new() };
        let token =
            |access: &str| desk.new_sharing(&new_id(), (Resource::Camera, id), token::scoped(&[access.to_owned()]));
        std::iter::once(camera).chain(TOKENS.map(token)).collect()
    });
    let id = made_as.await.map_err(said)?;
    let channel = found(&desk, id.clone(), account).await?;
    Ok(made(&uri, &id, channel.to_value(&desk.hosts(&caller))))
}

/// `GET …/channels/{id}/`
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let channel = found(&desk, id, Desk::account(&caller)?).await?;
    Ok(Json(channel.to_value(&desk.hosts(&caller))).into_response())
}

/// `PUT …/channels/{id}/`: what is named is changed, and everything else stays. `"access_tokens": null`, or `null` under
/// one of them, asks for new ones.
pub(super) async fn change(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut document = Document::read(&headers, &body)?;
    let channel = found(&desk, id.clone(), account.clone()).await?;
    let mut operations = Vec::new();
    let mut patch = Map::new();
    document.text("name", LONGEST_NAME)?.map(Value::from).within("name").patch("metadata", &mut patch);
    if !patch.is_empty() {
        operations.push(Operation::Change { resource: Resource::Camera, id: id.clone(), patch, revision: None });
    }
    let mut tokens = document.table("access_tokens")?;
    for (access, sharing) in TOKENS.into_iter().zip(&channel.sharings) {
        let given = match &mut tokens {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Value(tokens) => tokens.text(access, 4096)?,
        };
        let sharing = sharing.as_ref();
        if Sharing::wish(sharing, given, &format!("access_tokens.{access}"))? == Wish::Renew {
            operations.push(match sharing {
                Some(sharing) => desk.next_token(sharing),
                None => desk.new_sharing(&new_id(), (Resource::Camera, &id), token::scoped(&[access.to_owned()])),
            });
        }
    }
    if !operations.is_empty() {
        desk.house.change(caller.actor(), operations).await.map_err(said)?;
    }
    let channel = found(&desk, id, account).await?;
    Ok(Json(channel.to_value(&desk.hosts(&caller))).into_response())
}

/// `DELETE …/channels/{id}/`: the camera with its sharings; groups go on without it.
pub(super) async fn delete(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let camera = id.clone();
    let operations = desk.house.look(move |store| {
        own(store, Resource::Camera, &camera, &account)?;
        taken_away(store, camera)
    });
    let Some(operations) = operations.await? else {
        return Err(conflict("too much hangs at the camera for it to be taken away at once"));
    };
    desk.house.change(caller.actor(), operations).await.map_err(said)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes away a camera and what hangs at it. `None`: it is too much for one change.
fn taken_away(store: &Store, camera: String) -> Result<Option<Vec<Operation>>, Refused> {
    let of = Some((Resource::Camera, camera.as_str()));
    let groups = store.slice(Resource::CameraGroup, of, 0, MOST_GROUPS)?;
    let tokens = store.slice(Resource::Token, of, 0, MOST_GROUPS)?;
    if groups.total > groups.items.len() || tokens.total > tokens.items.len() {
        return Ok(None);
    }
    let without = |group: Outcome| {
        let mut cameras: Vec<Value> =
            group.document.get("cameras").and_then(Value::as_array).cloned().unwrap_or_default();
        cameras.retain(|own| own.as_str() != Some(camera.as_str()));
        // Nobody else's change of the group is undone by this one.
        let (id, revision) = (group.id, Some(group.revision));
        let patch = Map::from_iter([("cameras".to_owned(), cameras.into())]);
        Operation::Change { resource: Resource::CameraGroup, id, patch, revision }
    };
    let mut operations: Vec<Operation> = groups.items.into_iter().map(without).collect();
    let gone = |resource, id| Operation::Delete { resource, id, revision: None };
    operations.extend(tokens.items.into_iter().map(|token| gone(Resource::Token, token.id)));
    operations.push(gone(Resource::Camera, camera));
    Ok(Some(operations))
}

async fn found(desk: &Desk, id: String, account: String) -> Result<Channel, Refusal> {
    desk.house.look(move |store| Channel::find(store, &id, &account)).await
}
