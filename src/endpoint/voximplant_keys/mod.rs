//! Voximplant's keys of service accounts: a key is made, listed, changed and taken away by the calls of the
//! vendor's API, and holds or is gone for the next request. The operations are answered out of the store on a route that
//! forwards all others, or on one of their own; which role may do which was decided before.
//!
//! Callers are kept to the account that they speak for. The private half of a key is made here, said once, and kept nowhere.
//! A key's `key_id` is the id of the service account; its name lies in the metadata, since the vendor's need not be unique.

mod arguments;
mod forge;
mod role;

use axum::Router;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use self::arguments::Arguments;
pub(super) use self::forge::Forge;
use self::role::View;
use super::house::{House, refusal};
use super::{Caller, Entry, Kit, vxg};
use crate::authorize::role::is_same_role;
use crate::refusal::{Cause, Refusal};
use crate::store::{Operation, Outcome, Refused, Resource, Store};

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "voximplant_keys",
    about: "Voximplant's API for keys of service accounts and their roles",
    store: true,
    schemes: &["jwt", "account_key"],
    proves: false,
    max_body: Some(64 << 10),
    operations: &[
        "CreateKey",
        "GetKeys",
        "UpdateKey",
        "DeleteKey",
        "SetKeyRoles",
        "GetKeyRoles",
        "RemoveKeyRoles",
        "GetRoles",
        "GetRoleGroups",
    ],
    build,
};

/// The most keys that an account makes here. The vendor says that there is a limit (437), and not which.
const MOST_KEYS: usize = 50;
/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 50;
/// How many keys are listed where nothing is said, and how many at most.
const LISTED: (usize, usize) = (20, 1000);
/// How often something is tried that others change at the same time.
const MOST_TRIES: u32 = 4;
/// The key of the metadata under which a key has its name.
const NAME: &str = "key_name";

fn build(kit: &Kit) -> Router {
    let office = Office { house: kit.house(), forge: kit.forge().clone() };
    Router::new().route("/", any(answer)).route("/{*path}", any(answer)).with_state(office)
}

/// What the operations work on.
#[derive(Clone)]
struct Office {
    house: House,
    forge: Forge,
}

/// `GET` or `POST` at whatever path the route has.
async fn answer(
    State(office): State<Office>,
    Extension(caller): Extension<Caller>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    // HEAD too: it would make a key and say nothing of it.
    if method != Method::GET && method != Method::POST {
        let mut refusal = Refusal::new(Cause::MethodNotAllowed, "the operations are asked for with GET or POST");
        refusal.fields.push((ALLOW, HeaderValue::from_static("GET, POST")));
        return Err(refusal);
    }
    caller.must_hold_a_key()?;
    let operation = caller
        .operation()
        .ok_or(Refusal::new(Cause::Internal, "the route does not say which operation is asked for"))?;
    let arguments = Arguments::read(query.as_deref(), &headers, body)?;
    match operation {
        "GetRoles" => said(role::all(&arguments)?),
        "GetRoleGroups" => said(role::groups()),
        operation => {
            let visit = office.visit(&caller, &arguments).await?;
            match operation {
                "CreateKey" => visit.create().await,
                "GetKeys" => visit.list().await,
                "GetKeyRoles" => visit.roles().await,
                "UpdateKey" => visit.change(|visit, _| visit.description()).await,
                "SetKeyRoles" => visit.change(Visit::given).await,
                "RemoveKeyRoles" => visit.change(Visit::left).await,
                "DeleteKey" => visit.delete().await,
                _ => Err(Refusal::new(Cause::OperationUnknown, "the endpoint has no such operation")),
            }
        }
    }
}

/// A call for the keys of an account.
struct Visit<'a> {
    office: &'a Office,
    caller: &'a Caller,
    arguments: &'a Arguments,
    /// The account that the caller speaks for, which is one of the store.
    account: Outcome,
}

impl Office {
    async fn visit<'a>(&'a self, caller: &'a Caller, arguments: &'a Arguments) -> Result<Visit<'a>, Refusal> {
        let id = caller.account()?.id.0.to_string();
        let kept = self.house.look(move |store| store.exactly(Resource::Account, &id)).await?;
        let declared = || Refusal {
            code: Some(104),
            said: Some("Forbidden command".into()),
            ..Refusal::new(
                Cause::PermissionDenied,
                "keys of an account in the configuration are declared there as well",
            )
        };
        Ok(Visit { office: self, caller, arguments, account: kept.ok_or_else(declared)? })
    }
}

impl Visit<'_> {
    /// `CreateKey`
    async fn create(&self) -> Result<Response, Refusal> {
        let (description, name) = (self.arguments.text("description")?, self.name()?);
        let roles = role::asked(self.arguments, &[])?.unwrap_or_default();
        self.must_be_able_to_give(&roles)?;
        let turn = self.office.forge.turn(&self.account.id).await?;
        let account = self.account.id.clone();
        // Before a key is made for nothing; it counts when it comes into the store.
        let there =
            move |store: &Store| store.slice(Resource::ServiceAccount, Some((Resource::Account, &account)), 0, 0);
        if self.office.house.look(there).await?.total >= MOST_KEYS {
            return Err(full());
        }
        let (turn, private, public) = turn.make().await?;
        let id = new_id();
        let mut document = Map::from_iter([
            ("id".to_owned(), id.as_str().into()),
            ("account".to_owned(), self.account.id.as_str().into()),
            ("public_key".to_owned(), public.to_pem().into()),
            ("roles".to_owned(), roles.into()),
        ]);
        document.extend(description.map(|description| ("description".to_owned(), description.into())));
        document.extend(name.map(|name| ("metadata".to_owned(), json!({ NAME: name }))));
        let to = (Resource::Account, self.account.id.clone());
        let add = Operation::Add { resource: Resource::ServiceAccount, document, to, most: MOST_KEYS };
        let said = |refused: Refused| if refused.is_full() { full() } else { refusal(refused) };
        self.office.house.change(self.caller.actor(), vec![add]).await.map_err(said)?;
        drop(turn);
        let metadata = self.account.document.get("metadata");
        let made = Made {
            account_email: metadata
                .and_then(|metadata| metadata.get("email"))
                .and_then(Value::as_str)
                .unwrap_or_default(),
            account_id: vxg::id(&self.account.id),
            key_id: &id,
            private_key: str::from_utf8(private.expose()).unwrap_or_default(),
        };
        // At its full length from the start: growing would leave a part of the key behind in the old memory.
        let mut body = Zeroizing::new(Vec::with_capacity(2 * private.expose().len() + LONGEST_CREDENTIALS));
        serde_json::to_writer(&mut *body, &Said { result: made }).map_err(|_| unwritten())?;
        Ok(answered(Bytes::from_owner(body)))
    }

    /// `GetKeys`
    async fn list(&self) -> Result<Response, Refusal> {
        let with_roles = self.arguments.flag("with_roles")?;
        let (offset, count) = (self.arguments.number("offset")?, self.arguments.number("count")?);
        let (offset, count) = (offset.unwrap_or(0), count.unwrap_or(LISTED.0).min(LISTED.1));
        let (keys, total) = if self.arguments.text("key_id")?.is_some() {
            (vec![self.key().await?], 1)
        } else {
            let account = self.account.id.clone();
            let slice = move |store: &Store| {
                store.slice(Resource::ServiceAccount, Some((Resource::Account, &account)), offset, count)
            };
            let slice = self.office.house.look(slice).await?;
            (slice.items, slice.total)
        };
        let roles: Vec<_> = keys.iter().map(|key| with_roles.then(|| roles(key))).collect();
        let result: Vec<_> = keys.iter().zip(&roles).map(|(key, roles)| KeyView::new(key, roles.as_deref())).collect();
        written(&Listed { count: result.len(), total_count: total, result })
    }

    /// `GetKeyRoles`
    async fn roles(&self) -> Result<Response, Refusal> {
        let expanded = self.arguments.flag("with_expanded_roles")?;
        let roles = roles(&self.key().await?);
        said(roles.iter().map(|word| View::of_word(word, expanded)).collect::<Vec<_>>())
    }

    /// `UpdateKey`, `SetKeyRoles` and `RemoveKeyRoles`: the key as it is then, and as `patch` will have it.
    async fn change(
        &self,
        patch: impl Fn(&Self, &Outcome) -> Result<Map<String, Value>, Refusal>,
    ) -> Result<Response, Refusal> {
        self.with_key(|key| {
            let (id, revision) = (key.id.clone(), Some(key.revision));
            Ok(Operation::Change { resource: Resource::ServiceAccount, id, patch: patch(self, key)?, revision })
        })
        .await
    }

    /// `DeleteKey`
    async fn delete(&self) -> Result<Response, Refusal> {
        self.with_key(|key| {
            let (id, revision) = (key.id.clone(), Some(key.revision));
            Ok(Operation::Delete { resource: Resource::ServiceAccount, id, revision })
        })
        .await
    }

    /// Does something to the key that is named, as it was seen to be the account's: by its revision, so that nothing is
    /// done to another one that has come in its place.
    async fn with_key(&self, plan: impl Fn(&Outcome) -> Result<Operation, Refusal>) -> Result<Response, Refusal> {
        let mut tries = 0;
        loop {
            let operation = plan(&self.key().await?)?;
            tries += 1;
            match self.office.house.change(self.caller.actor(), vec![operation]).await {
                Ok(_) => return said(1),
                Err(Refused::Stale { .. }) if tries < MOST_TRIES => {}
                Err(Refused::Missing { .. }) => return Err(no_such_key()),
                Err(refused) => return Err(refusal(refused)),
            }
        }
    }

    /// The key that is named, where it is one of the account's. Another account's is as good as none.
    async fn key(&self) -> Result<Outcome, Refusal> {
        let id = self.arguments.text("key_id")?.ok_or_else(no_such_key)?;
        let key = self.office.house.look(move |store| store.exactly(Resource::ServiceAccount, &id)).await?;
        let own = |key: &Outcome| key.document.get("account").and_then(Value::as_str) == Some(&*self.account.id);
        key.filter(own).ok_or_else(no_such_key)
    }

    /// The name that is given, which is not empty.
    fn name(&self) -> Result<Option<String>, Refusal> {
        let fits = |name: &String| (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.trim().is_empty();
        match self.arguments.text("key_name")? {
            Some(name) if !fits(&name) => Err(Refusal::new(Cause::InvalidContent, "no name for a key")),
            name => Ok(name),
        }
    }

    /// What `UpdateKey` changes: a description, which may be empty, and a name where one is given.
    fn description(&self) -> Result<Map<String, Value>, Refusal> {
        let missing = Refusal::new(Cause::InvalidContent, "there is no description");
        let description = self.arguments.text("description")?.ok_or(missing)?;
        let mut patch = Map::from_iter([("description".to_owned(), description.into())]);
        patch.extend(self.name()?.map(|name| ("metadata".to_owned(), json!({ NAME: name }))));
        Ok(patch)
    }

    /// What `SetKeyRoles` changes: the roles are those that are named, and no others.
    fn given(&self, key: &Outcome) -> Result<Map<String, Value>, Refusal> {
        let held = roles(key);
        let roles = role::asked(self.arguments, &held)?.ok_or_else(no_role)?;
        self.must_be_able_to_give(&roles)?;
        Ok(Map::from_iter([("roles".to_owned(), roles.into())]))
    }

    /// What `RemoveKeyRoles` changes: the roles are those that are left.
    fn left(&self, key: &Outcome) -> Result<Map<String, Value>, Refusal> {
        let held = roles(key);
        let gone = role::asked(self.arguments, &held)?.ok_or_else(no_role)?;
        let is_gone = |own: &String| gone.iter().any(|role| is_same_role(own, role));
        let left: Vec<String> = held.into_iter().filter(|own| !is_gone(own)).collect();
        Ok(Map::from_iter([("roles".to_owned(), left.into())]))
    }

    fn must_be_able_to_give(&self, roles: &[String]) -> Result<(), Refusal> {
        let held = self.caller.roles();
        if roles.iter().all(|role| role::may_give(held, role)) { Ok(()) } else { Err(no_role()) }
    }
}

/// The longest that everything but the key may be in an answer with one: an id and a text of the account's, each letter of
/// which may be written as six.
const LONGEST_CREDENTIALS: usize = 6 * (4096 + 128) + 256;

/// The vendor's credentials.json.
#[derive(Serialize)]
struct Made<'a> {
    account_email: &'a str,
    account_id: Value,
    key_id: &'a str,
    private_key: &'a str,
}

#[derive(Serialize)]
struct Said<T> {
    result: T,
}

/// A page of keys.
#[derive(Serialize)]
struct Listed<'a> {
    result: Vec<KeyView<'a>>,
    count: usize,
    total_count: usize,
}

/// A key as it is shown (`KeyView` of the vendor's clients).
#[derive(Serialize)]
struct KeyView<'a> {
    key_id: &'a str,
    key_name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<View<'a>>>,
}

impl<'a> KeyView<'a> {
    fn new(key: &'a Outcome, roles: Option<&'a [String]>) -> Self {
        let text = |value: Option<&'a Value>| value.and_then(Value::as_str).unwrap_or_default();
        let name = key.document.get("metadata").and_then(|metadata| metadata.get(NAME));
        Self {
            key_id: &key.id,
            // An operator gives entries names of another kind.
            key_name: text(name.or(key.document.get("name"))),
            description: text(key.document.get("description")),
            roles: roles.map(|roles| roles.iter().map(|word| View::of_word(word, false)).collect()),
        }
    }
}

/// The roles of a key, as they are kept.
fn roles(key: &Outcome) -> Vec<String> {
    let words = key.document.get("roles").and_then(Value::as_array).into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// An id as the vendor's: a random UUID (RFC 9562 §5.4).
fn new_id() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system has randomness once it runs programs");
    let number = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn said(result: impl Serialize) -> Result<Response, Refusal> {
    written(&Said { result })
}

fn written(body: &impl Serialize) -> Result<Response, Refusal> {
    serde_json::to_vec(body).map(|body| answered(body.into())).map_err(|_| unwritten())
}

fn answered(body: Bytes) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn unwritten() -> Refusal {
    Refusal::new(Cause::Internal, "the answer could not be written")
}

/// What the vendor has a number for.
fn coded(code: u16, said: &'static str) -> Refusal {
    let refusal = Refusal::new(Cause::InvalidContent, "the arguments are refused under a number of the vendor's");
    Refusal { code: Some(code), said: Some(said.into()), ..refusal }
}

fn full() -> Refusal {
    let refusal = Refusal::new(Cause::AllotmentReached, "the account has all the keys that it may");
    Refusal { code: Some(437), said: Some("maximum number of keys exceeded.".into()), ..refusal }
}

fn no_such_key() -> Refusal {
    coded(433, "Invalid key id.")
}

fn no_role() -> Refusal {
    coded(435, "Invalid role set.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_random_uuid() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        for id in [one, other] {
            let groups: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
            assert!(id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
        }
    }
}
