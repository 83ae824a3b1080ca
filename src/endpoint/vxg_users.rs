//! VXG's super-admin API, for those who let vidgate own the accounts: an account is made together with its license key,
//! shown with it, changed, and taken away with everything it owns. Callers are proven by a client certificate.
//!
//! A user is an account of the store. Its `suid`, the operator's own id of it, is the account's name: unique, and found
//! without a search. `usrc` lies in its metadata.

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Map, Value, json};

use super::document::{Document, Given, check_type};
use super::house::{House, conflict, refusal};
use super::page::Query;
use super::vxg::{self, id, new_id};
use super::{Caller, Entry, Kit};
use crate::record::{Directory, Kind};
use crate::refusal::{Cause, Refusal};
use crate::scheme::lkey;
use crate::store::{Operation, Outcome, Refused, Resource, Store};

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "vxg_users",
    about: "VXG's super-admin API: accounts and their license keys",
    store: true,
    schemes: &["mtls"],
    proves: false,
    max_body: None,
    operations: &[],
    build,
};

/// Where the users are.
const PATH: &str = "/api/v2/admin/users/";
/// The most things that go with a user in one change.
const MOST_OWNED: usize = 2000;
/// What goes with a user, in an order in which nothing is taken away that something else still needs.
const OWNED: [Resource; 10] = [
    Resource::Token,
    Resource::BearerToken,
    Resource::CameraGroup,
    Resource::Camera,
    Resource::LicenseKey,
    Resource::ApiClient,
    Resource::User,
    Resource::ServiceAccount,
    Resource::App,
    Resource::AdminCertificate,
];

fn build(kit: &Kit) -> Router {
    let all = || get(list).post(create).put(change_named).delete(delete_named);
    let one = || get(show).put(change).delete(delete);
    Router::new()
        .route(PATH, all())
        .route("/api/v2/admin/users", all())
        .route("/api/v2/admin/users/{id}/", one())
        .route("/api/v2/admin/users/{id}", one())
        .with_state(kit.house())
}

/// A user as it is kept.
struct User {
    account: Outcome,
    /// The id and the text of the license key, if there is one.
    key: Option<(String, String)>,
}

impl User {
    fn find(store: &Store, id: &str) -> Result<Option<Self>, Refused> {
        store.exactly(Resource::Account, id)?.map(|account| Self::of(store, account)).transpose()
    }

    /// The account with its license key: where it has several, the one that is good, and of those the first.
    fn of(store: &Store, account: Outcome) -> Result<Self, Refused> {
        let key = match vxg::license_key(store, &account.id)? {
            None => None,
            Some(key) => store
                .reveal(Resource::LicenseKey, &key.id)?
                .map(|secret| (key.id, String::from_utf8_lossy(secret.expose()).into_owned())),
        };
        Ok(Self { account, key })
    }

    fn to_value(&self) -> Value {
        let document = &self.account.document;
        let metadata = |name: &str| document.get("metadata").and_then(|metadata| metadata.get(name)).cloned();
        let hosted = document.get("limits").and_then(|limits| limits.get("hosted_cameras")).cloned();
        json!({
            "id": id(&self.account.id),
            "suid": document.get("name"),
            "usrc": metadata("usrc"),
            "license_key": self.key.as_ref().map(|(_, value)| json!({ "value": value })),
            "limits": { "hosted_cameras": hosted },
            "disabled": document.get("disabled").and_then(Value::as_bool).unwrap_or_default(),
            "created": document.get("created"),
        })
    }
}

/// What a body asks for.
struct Asked {
    suid: Given<String>,
    usrc: Given<String>,
    /// `Null`: a new one.
    key: Given<String>,
    hosted_cameras: Given<u64>,
    disabled: Given<bool>,
}

impl Asked {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        // Also where there is no body: a browser would send that from anywhere.
        check_type(headers)?;
        let mut document = Document::read(headers, body)?;
        let suid = document.id("suid", 256)?;
        let usrc = document.text("usrc", 1024)?;
        let key = match document.table("license_key")? {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Value(mut key) => match key.text("value", 8192)? {
                Given::Absent | Given::Null => Given::Null,
                Given::Value(text) => Given::Value(text),
            },
        };
        if let Given::Value(text) = &key
            && lkey::presentable(text.as_bytes()).is_err()
        {
            return Err(Refusal::content("`license_key.value`: no request could carry this as a license key"));
        }
        let hosted_cameras = match document.table("limits")? {
            Given::Absent => Given::Absent,
            Given::Null => Given::Null,
            Given::Value(mut limits) => limits.number("hosted_cameras")?,
        };
        Ok(Self { suid, usrc, key, hosted_cameras, disabled: document.switch("disabled")? })
    }

    /// The account's part of it, as a merge patch.
    fn patch(self) -> Map<String, Value> {
        let mut patch = Map::new();
        self.suid.map(Value::from).patch("name", &mut patch);
        self.disabled.map(Value::from).patch("disabled", &mut patch);
        self.hosted_cameras.map(Value::from).within("hosted_cameras").patch("limits", &mut patch);
        self.usrc.map(Value::from).within("usrc").patch("metadata", &mut patch);
        patch
    }
}

/// `GET /api/v2/admin/users/`, all of them or the one with a `suid` or a `license_key`.
async fn list(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let query = Query::new(raw.as_deref());
    let (page, wanted) = (query.page()?, Wanted::read(&query)?);
    let (users, total) = house
        .look(move |store| {
            if let Some(wanted) = wanted {
                let found: Vec<User> = wanted.find(store)?.into_iter().collect();
                let total = found.len();
                return Ok((found.into_iter().skip(page.offset).collect::<Vec<_>>(), total));
            }
            let slice = store.slice(Resource::Account, None, page.offset, page.limit)?;
            let users = slice.items.into_iter().map(|account| User::of(store, account));
            Ok((users.collect::<Result<_, _>>()?, slice.total))
        })
        .await?;
    let objects: Vec<_> = users.iter().map(User::to_value).collect();
    Ok(Json(page.answer(PATH, &objects, total)).into_response())
}

/// The one user that a query names.
struct Wanted {
    suid: Option<String>,
    key: Option<String>,
}

impl Wanted {
    fn read(query: &Query<'_>) -> Result<Option<Self>, Refusal> {
        let (suid, key) = (query.value("suid")?, query.value("license_key")?);
        Ok((suid.is_some() || key.is_some()).then_some(Self { suid, key }))
    }

    /// The user of whom all of it is true.
    fn find(self, store: &Store) -> Result<Option<User>, Refused> {
        let found = match (&self.suid, &self.key) {
            (Some(suid), _) => match store.named(Resource::Account, "", suid)? {
                Some(account) => Some(User::of(store, account)?),
                None => None,
            },
            (None, Some(key)) => match store.index().look_up(Kind::LicenseKey, key.as_bytes()) {
                // A declared account is not in the store, and not this API's.
                Some(record) => User::find(store, &record.account.id.0)?,
                None => None,
            },
            (None, None) => None,
        };
        let Some(key) = self.key else { return Ok(found) };
        let holder = store.index().look_up(Kind::LicenseKey, key.as_bytes());
        Ok(found.filter(|user| holder.is_some_and(|record| *record.account.id.0 == *user.account.id)))
    }
}

/// `GET /api/v2/admin/users/{id}/`
async fn show(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let user = found(&house, id).await?;
    Ok(Json(user.to_value()).into_response())
}

/// `POST /api/v2/admin/users/`: an account and its license key, in one change. A license key that is given is taken as it
/// is; else one is made.
async fn create(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let mut asked = Asked::read(&headers, &body)?;
    let key = std::mem::replace(&mut asked.key, Given::Absent).value();
    let mut account = asked.patch();
    // There is nothing yet that a `null` could take away.
    account.values_mut().filter_map(Value::as_object_mut).for_each(|inner| inner.retain(|_, value| !value.is_null()));
    account.retain(|_, value| !value.is_null());
    let made = house.make(caller.actor(), |id| {
        let mut document = account.clone();
        document.insert("id".into(), id.into());
        let account = Operation::Create { resource: Resource::Account, document, versions: Vec::new() };
        vec![account, new_key(id, id, key.as_deref())]
    });
    let user = found(&house, made.await.map_err(said)?).await?;
    let mut response = (StatusCode::CREATED, Json(user.to_value())).into_response();
    let location = format!("{PATH}{}/", user.account.id);
    response.headers_mut().insert(LOCATION, location.try_into().expect("an id that was drawn is digits"));
    Ok(response)
}

/// `PUT /api/v2/admin/users/{id}/`: what is named is changed, and everything else stays. `"license_key": null`, or one
/// without a value, makes a new one; the one before stops working at once.
async fn change(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let user = found(&house, id).await?;
    changed(&house, &caller, user, Asked::read(&headers, &body)?).await
}

/// `PUT /api/v2/admin/users/?suid=…`
async fn change_named(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let user = named(&house, raw.as_deref()).await?;
    changed(&house, &caller, user, Asked::read(&headers, &body)?).await
}

async fn changed(house: &House, caller: &Caller, user: User, mut asked: Asked) -> Result<Response, Refusal> {
    let id = user.account.id.clone();
    let key = match (std::mem::replace(&mut asked.key, Given::Absent), &user.key) {
        (Given::Absent, _) => None,
        // What was shown came back.
        (Given::Value(text), Some((_, own))) if text == *own => None,
        (Given::Value(text), None) => Some(new_key(&new_id(), &id, Some(&text))),
        (Given::Null, None) => Some(new_key(&new_id(), &id, None)),
        (Given::Value(text), Some((key, _))) => Some(next_key(key, Some(&text))),
        (Given::Null, Some((key, _))) => Some(next_key(key, None)),
    };
    let patch = asked.patch();
    let patched = (!patch.is_empty()).then(|| Operation::Change {
        resource: Resource::Account,
        id: id.clone(),
        patch,
        revision: None,
    });
    let operations: Vec<Operation> = patched.into_iter().chain(key).collect();
    if !operations.is_empty() {
        house.change(caller.actor(), operations).await.map_err(said)?;
    }
    Ok(Json(found(house, id).await?.to_value()).into_response())
}

/// `DELETE /api/v2/admin/users/{id}/`: the user with everything it owns, in one change.
async fn delete(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let user = found(&house, id).await?;
    deleted(&house, &caller, user).await
}

/// `DELETE /api/v2/admin/users/?suid=…`
async fn delete_named(
    State(house): State<House>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    caller.must_hold("mtls", Kind::AdminCertificate)?;
    let user = named(&house, raw.as_deref()).await?;
    deleted(&house, &caller, user).await
}

async fn deleted(house: &House, caller: &Caller, user: User) -> Result<Response, Refusal> {
    let id = user.account.id;
    if caller.account().is_ok_and(|own| *own.id.0 == *id) {
        return Err(conflict("this is the account of the certificate that asks"));
    }
    let account = id.clone();
    let owned = house.look(move |store| owned(store, &account)).await?;
    let Some(mut operations) = owned else {
        return Err(conflict("the user owns too much to be taken away at once; please take away some of it before"));
    };
    operations.push(taken_away(Resource::Account, id));
    house.change(caller.actor(), operations).await.map_err(said)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes away everything that an account owns. `None`: it is too much for one change.
fn owned(store: &Store, account: &str) -> Result<Option<Vec<Operation>>, Refused> {
    let mut operations = Vec::new();
    for resource in OWNED {
        let slice = store.slice(resource, Some((Resource::Account, account)), 0, MOST_OWNED - operations.len())?;
        if slice.total > slice.items.len() {
            return Ok(None);
        }
        operations.extend(slice.items.into_iter().map(|item| taken_away(resource, item.id)));
    }
    Ok(Some(operations))
}

fn taken_away(resource: Resource, id: String) -> Operation {
    Operation::Delete { resource, id, revision: None }
}

/// A refusal of the store, in the words of this API.
fn said(refused: Refused) -> Refusal {
    match refused.taken() {
        Some("name") => conflict("`suid`: another user has it"),
        Some("key") => conflict("`license_key.value`: another user has it"),
        Some(_) | None => refusal(refused),
    }
}

/// A license key for an account.
fn new_key(id: &str, account: &str, key: Option<&str>) -> Operation {
    let mut document = Map::from_iter([("id".to_owned(), id.into()), ("account".to_owned(), account.into())]);
    document.extend(key.map(|key| ("key".to_owned(), key.into())));
    Operation::Create { resource: Resource::LicenseKey, document, versions: Vec::new() }
}

/// Another license key in the place of one, which ends with it.
fn next_key(id: &str, key: Option<&str>) -> Operation {
    let mut document = Map::from_iter([("overlap".to_owned(), "0s".into())]);
    document.extend(key.map(|key| ("key".to_owned(), key.into())));
    Operation::Rotate { resource: Resource::LicenseKey, id: id.to_owned(), document, revision: None }
}

async fn found(house: &House, id: String) -> Result<User, Refusal> {
    let user = house.look(move |store| User::find(store, &id)).await?;
    user.ok_or(Refusal::new(Cause::NotFound, "there is no such user"))
}

/// The user that a query names.
async fn named(house: &House, raw: Option<&str>) -> Result<User, Refusal> {
    let wanted = Wanted::read(&Query::new(raw))?;
    let wanted =
        wanted.ok_or_else(|| Refusal::content("which user is meant: /users/{id}/, `?suid=` or `?license_key=`"))?;
    let user = house.look(move |store| wanted.find(store)).await?;
    user.ok_or(Refusal::new(Cause::NotFound, "there is no such user"))
}
