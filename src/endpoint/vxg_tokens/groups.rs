//! Groups of cameras, with one token each: `/api/v3/channel_groups/`.

use axum::Json;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::token::{self, Sharing, Wish};
use super::{Desk, Hosts, LONGEST_NAME, all_own, made, name, or_null, own, said};
use crate::endpoint::Caller;
use crate::endpoint::document::{Document, Given, wrong};
use crate::endpoint::house::conflict;
use crate::endpoint::vxg::{access, id as number, new_id};
use crate::refusal::Refusal;
use crate::store::{Operation, Outcome, Refused, Resource, Store};

/// The most cameras of a group that is made or changed here.
const MOST_CHANNELS: usize = 1000;
/// The most tokens that go with their group.
const MOST_TOKENS: usize = 500;

/// A group with the oldest of its tokens.
struct Group {
    group: Outcome,
    sharing: Option<Sharing>,
}

impl Group {
    fn find(store: &Store, id: &str, account: &str) -> Result<Self, Refused> {
        Self::of(store, own(store, Resource::CameraGroup, id, account)?)
    }

    fn of(store: &Store, group: Outcome) -> Result<Self, Refused> {
        let mut every = token::every(store, (Resource::CameraGroup, &group.id))?;
        Ok(Self { sharing: Sharing::oldest(store, &mut every, |_| true)?, group })
    }

    fn to_value(&self, hosts: &Hosts) -> Value {
        let good = self.sharing.as_ref().filter(|sharing| sharing.is_good());
        let cameras = self.group.document.get("cameras").and_then(Value::as_array);
        let cameras = cameras.into_iter().flatten().filter_map(Value::as_str);
        json!({
            "id": number(&self.group.id),
            "name": name(&self.group),
            "token": or_null(good.and_then(|sharing| sharing.token(None, hosts))),
            "channels_access": self.sharing.as_ref().map(|sharing| access(&sharing.scopes())),
            "channels": cameras.map(number).collect::<Vec<_>>(),
            "created": self.group.document.get("created"),
        })
    }
}

/// What a body says of a group.
struct Asked {
    name: Given<String>,
    channels: Given<Vec<String>>,
    access: Given<Vec<String>>,
    token: Given<String>,
}

impl Asked {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let mut document = Document::read(headers, body)?;
        Ok(Self {
            name: document.text("name", LONGEST_NAME)?,
            channels: document.ids("channels", MOST_CHANNELS)?,
            access: document.words("channels_access", 32)?,
            token: document.text("token", 4096)?,
        })
    }

    /// The group's part of it, as a merge patch; only the account's own cameras come into a group.
    async fn patch(&mut self, desk: &Desk, account: &str) -> Result<Map<String, Value>, Refusal> {
        let mut patch = Map::new();
        let name = std::mem::replace(&mut self.name, Given::Absent);
        name.map(Value::from).within("name").patch("metadata", &mut patch);
        let channels = std::mem::replace(&mut self.channels, Given::Absent);
        if let Given::Value(ids) = channels {
            let (own, account) = (ids.clone(), account.to_owned());
            if !desk.house.look(move |store| all_own(store, Resource::Camera, &own, &account)).await? {
                return Err(wrong("channels", "a list of channels of this account, and one of them is none"));
            }
            patch.insert("cameras".into(), json!(ids));
        } else if channels == Given::Null {
            patch.insert("cameras".into(), json!([]));
        }
        Ok(patch)
    }
}

/// `GET …/channel_groups/`
pub(super) async fn list(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    desk.page(&caller, (&uri, raw.as_deref()), Resource::CameraGroup, Group::of, Group::to_value).await
}

/// `POST …/channel_groups/`: a group with its token, in one change.
pub(super) async fn create(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut asked = Asked::read(&headers, &body)?;
    let mut group = token::document(asked.patch(&desk, &account).await?);
    let scopes = asked.access.value().unwrap_or_else(|| vec!["all".to_owned()]);
    desk.must_be_kept(&account).await?;
    group.insert("account".into(), json!(account));
    let made_as = desk.house.make(caller.actor(), |id| {
        let mut document = group.clone();
        document.insert("id".into(), id.into());
        let group = Operation::Create { resource: Resource::CameraGroup, document, versions: Vec::new() };
        vec![group, desk.new_sharing(&new_id(), (Resource::CameraGroup, id), token::scoped(&scopes))]
    });
    let id = made_as.await.map_err(said)?;
    let group = found(&desk, id.clone(), account).await?;
    Ok(made(&uri, &id, group.to_value(&desk.hosts(&caller))))
}

/// `GET …/channel_groups/{id}/`
pub(super) async fn show(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let group = found(&desk, id, Desk::account(&caller)?).await?;
    Ok(Json(group.to_value(&desk.hosts(&caller))).into_response())
}

/// `PUT …/channel_groups/{id}/`: what is named is changed, and everything else stays. `"token": null` asks for a new one.
pub(super) async fn change(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let mut asked = Asked::read(&headers, &body)?;
    let group = found(&desk, id.clone(), account.clone()).await?;
    let patch = asked.patch(&desk, &account).await?;
    let wish = Sharing::wish(group.sharing.as_ref(), asked.token, "token")?;
    let mut operations = Vec::new();
    if !patch.is_empty() {
        operations.push(Operation::Change { resource: Resource::CameraGroup, id: id.clone(), patch, revision: None });
    }
    let scopes = asked.access.value();
    if let (Some(sharing), Some(scopes)) = (group.sharing.as_ref(), &scopes) {
        let (id, patch) = (sharing.entry.id.clone(), token::scoped(scopes));
        operations.push(Operation::Change { resource: Resource::Token, id, patch, revision: None });
    }
    if wish == Wish::Renew {
        let everything = || vec!["all".to_owned()];
        operations.push(match group.sharing.as_ref() {
            Some(sharing) => desk.next_token(sharing),
            None => desk.new_sharing(
                &new_id(),
                (Resource::CameraGroup, &id),
                token::scoped(&scopes.unwrap_or_else(everything)),
            ),
        });
    }
    if !operations.is_empty() {
        desk.house.change(caller.actor(), operations).await.map_err(said)?;
    }
    let group = found(&desk, id, account).await?;
    Ok(Json(group.to_value(&desk.hosts(&caller))).into_response())
}

/// `DELETE …/channel_groups/{id}/`: the group with its tokens; the cameras stay.
pub(super) async fn delete(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let account = Desk::account(&caller)?;
    let group = id.clone();
    let tokens = desk.house.look(move |store| {
        own(store, Resource::CameraGroup, &group, &account)?;
        token::every(store, (Resource::CameraGroup, &group))
    });
    let tokens = tokens.await?;
    if tokens.len() > MOST_TOKENS {
        return Err(conflict("the group has too many tokens to be taken away at once"));
    }
    let gone = |resource, id| Operation::Delete { resource, id, revision: None };
    let tokens = tokens.into_iter().map(|token| gone(Resource::Token, token.id));
    let operations = tokens.chain([gone(Resource::CameraGroup, id)]).collect();
    desk.house.change(caller.actor(), operations).await.map_err(said)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn found(desk: &Desk, id: String, account: String) -> Result<Group, Refusal> {
    desk.house.look(move |store| Group::find(store, &id, &account)).await
}
