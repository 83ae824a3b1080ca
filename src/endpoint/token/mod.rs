//! `POST /Token`: a token for a user's name and key, the key encrypted to the gateway (Multicam; RFC 6749 §4.3).
//!
//! | step | where |
//! |---|---|
//! | the form | `form.rs`, on the worker |
//! | the guard against guessing, for this login | before anything is opened |
//! | the key is opened, the user looked up, both compared | `opening.rs`, on a thread of `pool.rs` |
//! | the token is made, and the oldest retired | the store, in one transaction |
//!
//! Whatever is wrong with a login is one refusal: the same words, work and line in the log. The precise cause is not
//! kept, also not for the operator: it would be the oracle that the rest avoids.

mod ciphertext;
mod form;
mod key;
mod opening;
mod pool;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, PRAGMA};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::oneshot;
use toml::Spanned;

use self::form::Form;
pub use self::key::{Pair, PublicKey, generate};
use self::opening::Opener;
use self::pool::{Pool, Turn};
use super::house::{House, refusal};
use super::{Caller, Entry, Kit};
use crate::clock::{Clock, UnixTime};
use crate::limit;
use crate::record::Kind;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Identifier;
use crate::secret::SecretSource;
use crate::store::{Actor, Index, Operation, Refused};
use crate::units::Span;

/// The registry's line.
pub(super) const ENDPOINT: Entry = Entry {
    name: "token",
    about: "A token for a user's name and encrypted key (Multicam's POST /Token)",
    store: true,
    schemes: &[],
    proves: true,
    // Threats A20.
    max_body: Some(16 << 10),
    operations: &[],
    build,
};

/// How long a token is good, where nothing is said: 14 days.
pub const LIFETIME: Duration = Duration::from_hours(14 * 24);
/// How many tokens a user has at most, where nothing is said.
pub const TOKENS: u16 = 64;

/// `[endpoint.token]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Settings {
    /// The RSA pairs to which callers encrypt their keys; two while one takes the place of the other.
    #[schemars(length(max = 2))]
    pub keys: Vec<Key>,
    /// How long a token is good. Default: 14 days.
    pub lifetime: Option<Span>,
    /// How many tokens a user has at most; the oldest goes when one more is made. Default: 64.
    #[schemars(range(min = 1, max = 1024))]
    pub tokens: Option<u16>,
}

/// One of `keys`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table with the key: { key = { file = \"multicam.key\" } }")]
pub struct Key {
    /// PKCS#8 in PEM; `vidgate multicam key` makes it.
    #[schemars(with = "SecretSource")]
    pub key: Spanned<SecretSource>,
    /// Whether what was encrypted by OAEP with SHA-256 is opened as well. Default: false.
    #[serde(default)]
    pub oaep: bool,
}

/// What the endpoint was told, ready to use. It serves with one pair at least.
#[derive(Clone, Debug)]
pub struct Outfit {
    /// The pairs.
    pub pairs: Arc<[Pair]>,
    /// How long a token is good.
    pub lifetime: Duration,
    /// How many tokens a user has at most.
    pub tokens: u16,
}

/// Proves users beside the workers. Clones share its threads.
#[derive(Clone)]
pub struct Desk {
    opener: Arc<Opener>,
    pool: Pool,
    lifetime: u64,
    tokens: u16,
    clock: Clock,
}

impl Desk {
    /// Starts its threads.
    pub fn open(outfit: Outfit, directory: Arc<Index>, clock: Clock) -> io::Result<Self> {
        let Outfit { pairs, lifetime, tokens } = outfit;
        let opener = Arc::new(Opener::new(pairs, directory));
        Ok(Self { opener, pool: Pool::start()?, lifetime: lifetime.as_secs(), tokens, clock })
    }

    /// The same threads for another configuration.
    pub fn under(&self, outfit: Outfit, directory: Arc<Index>) -> Self {
        let Outfit { pairs, lifetime, tokens } = outfit;
        let opener = Arc::new(Opener::new(pairs, directory));
        Self { opener, pool: self.pool.clone(), lifetime: lifetime.as_secs(), tokens, clock: self.clock.clone() }
    }

    /// The id of the user of this name, if this is their key and they may use it now. What it does, on whatever thread
    /// it is called.
    pub fn prove_here(&self, login: &[u8], password: &[u8]) -> Option<String> {
        self.opener.prove(login, password, self.clock.unix()).map(|user| user.id().to_owned())
    }

    /// The same, on a thread of the pool.
    async fn prove(&self, from: IpAddr, login: &[u8], password: &[u8]) -> Result<Option<String>, Refusal> {
        let (say, said) = oneshot::channel();
        let (desk, login, password) = (self.clone(), login.to_vec(), password.to_vec());
        let work = move |turn| {
            // Whoever has left is not waited for.
            if !say.is_closed() {
                let proven = match turn {
                    Turn::Now => Ok(desk.prove_here(&login, &password)),
                    Turn::Never(refusal) => Err(refusal),
                };
                say.send(proven).unwrap_or_default();
            }
        };
        self.pool.submit(limit::network(from), work).await?;
        said.await.map_err(|_| Refusal::new(Cause::Internal, "a thread that opens keys broke"))?
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("opener", &self.opener).finish_non_exhaustive()
    }
}

fn build(kit: &Kit) -> Router {
    // Without a pair no route leads here: that was found when the configuration was checked.
    let Some(desk) = kit.desk() else { return Router::new() };
    // Katana does not ask for the method, and finds no form in what is not POST.
    let answered = || post(issue).get(nothing_asked);
    let router = Router::new().route("/", answered()).route("/{*path}", answered());
    router.with_state(Counter { desk: desk.clone(), house: kit.house() })
}

/// What the handlers work on.
#[derive(Clone)]
struct Counter {
    desk: Desk,
    house: House,
}

/// `GET`
async fn nothing_asked() -> Refusal {
    Refusal::new(Cause::GrantUnsupported, "asked for without a form")
}

/// `POST` at whatever path the route has.
async fn issue(
    State(counter): State<Counter>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let form = Form::read(&headers, body)?;
    let Some((login, password)) = form.credentials()? else { return Err(refused()) };
    let named = Identifier { kind: Kind::User, text: login };
    // Before anything is opened.
    caller.guard().map_or(Ok(()), |guard| guard.ask(named))?;
    let user = counter.desk.prove(caller.address(), login, password).await?;
    // Before a token is made: whoever is held off by now is given none.
    caller.guard().map_or(Ok(()), |guard| guard.tell(named, user.is_some()))?;
    match user {
        Some(user) => counter.token(&user).await?.ok_or_else(refused),
        None => Err(refused()),
    }
}

impl Counter {
    /// Makes a token for this user. `None`: the user has gone in between.
    async fn token(&self, user: &str) -> Result<Option<Response>, Refusal> {
        let Desk { lifetime, tokens, clock, .. } = &self.desk;
        let expires = UnixTime(clock.unix().0.saturating_add(*lifetime));
        let issue = Operation::Issue { user: user.to_owned(), expires, most: usize::from(*tokens) };
        let outcomes = match self.house.change(Actor(format!("user:{user}")), vec![issue]).await {
            Ok(outcomes) => outcomes,
            Err(Refused::Missing { .. }) => return Ok(None),
            Err(refused) => return Err(refusal(refused)),
        };
        let made = outcomes.into_iter().next().and_then(|outcome| outcome.secret);
        let made = made.ok_or(Refusal::new(Cause::Internal, "a token was made without its text"))?;
        let text = String::from_utf8_lossy(made.expose());
        // As Katana counts: what is left when the answer is written, without the part of a second.
        let left = lifetime.saturating_sub(1);
        Ok(Some(answer(format!(r#"{{"access_token":"{text}","token_type":"bearer","expires_in":{left}}}"#))))
    }
}

/// With the fields that Katana sends.
fn answer(body: String) -> Response {
    let mut answer = body.into_response();
    for (name, value) in [
        (CONTENT_TYPE, "application/json;charset=UTF-8"),
        (CACHE_CONTROL, "no-cache"),
        (PRAGMA, "no-cache"),
        (EXPIRES, "-1"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The one refusal of a login, whatever is wrong with it.
fn refused() -> Refusal {
    Refusal::new(Cause::GrantRefused, "the name and the key are not those of a user who may log in")
}
