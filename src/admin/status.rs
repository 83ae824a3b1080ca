//! How a gateway that runs is doing: whether it lives, whether requests should be sent to it, and all that people want to
//! see of it at a glance. What stands in it is found out by whoever runs the gateway.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;
use crate::clock::UnixTime;

/// Whoever runs a gateway and can say how it is doing. None of it waits for a worker or for the store.
pub trait Overview: Send + Sync {
    /// Whether it lives: every worker comes round.
    fn live(&self) -> Health;

    /// Whether requests should be sent to it.
    fn ready(&self) -> Health;

    /// All of it. It may take a while.
    fn status(&self) -> Status;

    /// What is measured, for whoever accepts this (RFC 9110 §12.5.1): a media type, and the page. It may take a while.
    fn metrics(&self, accept: Option<&str>) -> (&'static str, String);
}

/// The [`Overview`] of a gateway that runs.
#[derive(Clone)]
pub struct Running(pub Arc<dyn Overview>);

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

/// What came of some checks. It tells nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether all is well.
    pub ok: bool,
    /// What is not well, in a sentence.
    pub detail: Cow<'static, str>,
    /// Each check by its name.
    pub checks: BTreeMap<Cow<'static, str>, Check>,
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Whether it is well.
    pub ok: bool,
    /// Why not, in a sentence without a full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cow<'static, str>>,
}

impl Health {
    /// What these checks come to, each with why it is not well.
    pub fn of<const N: usize>(checks: [(&'static str, Option<&'static str>); N]) -> Self {
        let wrong = checks.iter().filter_map(|(name, why)| Some(format!("{name}: {}", (*why)?)));
        let wrong = wrong.collect::<Vec<_>>().join("; ");
        let check = |(name, why): (&'static str, Option<&'static str>)| {
            (name.into(), Check { ok: why.is_none(), why: why.map(Cow::Borrowed) })
        };
        let detail = if wrong.is_empty() { "all is well".into() } else { wrong.into() };
        Self { ok: checks.iter().all(|(_, why)| why.is_none()), detail, checks: checks.map(check).into() }
    }

    /// As it is answered: 200 or 503.
    pub(super) fn answer(&self) -> Response {
        let status = if self.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        answer(status, &json!(self))
    }
}

/// How a gateway is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Gateway")]
pub struct Status {
    /// Of vidgate.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// Since when it runs.
    pub started: UnixTime,
    /// For how long.
    pub uptime_seconds: u64,
    /// Whether requests should be sent to it.
    pub ready: Health,
    /// What it runs under.
    pub configuration: Configuration,
    /// Where requests come in.
    pub listeners: Vec<Listener>,
    /// Who serves them.
    pub workers: Vec<Worker>,
    /// Where they go.
    pub upstreams: Vec<Upstream>,
    /// How much may be done.
    pub limits: Vec<Limit>,
    /// Who counts wrong credentials.
    pub guards: Vec<Guard>,
    /// Where credentials are kept.
    pub store: Option<Store>,
    /// What the process takes.
    pub memory: Memory,
}

/// What a gateway runs under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// The file, where it was started with one.
    pub path: Option<String>,
    /// One more with each that came into force; the first is number 1.
    pub generation: u64,
    /// When it came into force.
    pub loaded: UnixTime,
    /// What came of the last reload, if there was one.
    pub last_reload: Option<LastReload>,
    /// What is allowed and unwise in it, a sentence each.
    pub warnings: Vec<String>,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastReload {
    /// When it was asked for.
    pub at: UnixTime,
    /// Whether another configuration came into force.
    pub ok: bool,
    /// In a sentence.
    pub summary: String,
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Its name; those of the house are `admin` and `monitoring`.
    pub name: String,
    /// Where it is bound.
    pub address: String,
    /// Whether it takes connections.
    pub up: bool,
    /// How many it has, where they are counted.
    pub connections: Option<usize>,
    /// How many it has at most.
    pub max_connections: Option<usize>,
    /// The certificates that it shows.
    pub certificates: Vec<Certificate>,
}

/// A certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Its file.
    pub file: String,
    /// For how many whole days it is good still; negative: it is over.
    pub days_left: i64,
}

/// A thread that serves requests, as it was a tenth of a second ago.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// Its number.
    pub number: usize,
    /// Whether it comes round.
    pub alive: bool,
    /// How much later it came round than it wanted.
    pub lag_seconds: f64,
    /// How many connections it has.
    pub connections: usize,
    /// How many requests it has in flight.
    pub requests_in_flight: usize,
    /// Which configuration it serves.
    pub generation: u64,
    /// Why it refuses what is new, if it does.
    pub overload: Option<String>,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// One of the places of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    /// `in`, `unhealthy`, `resting`, `on_trial` or `returning`.
    pub state: String,
    /// Why it is not simply `in`.
    pub why: Option<String>,
}

/// How much may be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What it measures: `rate`, `quota` or `concurrency`.
    pub measure: String,
    /// Whether it only says in the log what it would refuse.
    pub log_only: bool,
}

/// Who counts wrong credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guard {
    /// Its name.
    pub name: String,
    /// From how many addresses, and for how many identifiers, wrong ones are remembered.
    pub counted: usize,
    /// How many of them are held off at present.
    pub held: usize,
    /// Whether it only says in the log what it would refuse.
    pub log_only: bool,
}

/// Where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Store {
    /// How many entries there are.
    pub entries: u64,
    /// The size of the file.
    pub file_bytes: u64,
    /// How many changes wait for their turn.
    pub queue: usize,
    /// When a change was last written since the start.
    pub last_commit: Option<UnixTime>,
    /// Changes are refused.
    pub read_only: bool,
    /// Entries are being laid down under newer keys.
    pub renewing: bool,
}

/// What the process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// As the system counts it, where it says so.
    pub resident_bytes: Option<u64>,
    /// How much it may take before requests are refused.
    pub max_bytes: Option<u64>,
}

/// `GET /live`
pub(super) fn live(call: &Call) -> Result<Response, Problem> {
    Ok(running(call)?.live().answer())
}

/// `GET /ready`
pub(super) fn ready(call: &Call) -> Result<Response, Problem> {
    Ok(running(call)?.ready().answer())
}

/// `GET /v1/status`
pub(super) async fn status(call: Call) -> Result<Response, Problem> {
    let overview = Arc::clone(running(&call)?);
    let status = aside(move || Ok(overview.status())).await?;
    Ok(answer(StatusCode::OK, &json!(status)))
}

/// `GET /metrics`
pub(super) async fn metrics(call: Call) -> Result<Response, Problem> {
    let overview = Arc::clone(running(&call)?);
    aside(move || Ok(measured(&*overview, call.accept.as_deref()))).await
}

/// What is measured, as it is answered.
pub(super) fn measured(overview: &dyn Overview, accept: Option<&str>) -> Response {
    let (kind, page) = overview.metrics(accept);
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (VARY, "Accept")], page).into_response()
}

fn running(call: &Call) -> Result<&Arc<dyn Overview>, Problem> {
    let running = call.house.counters.overview.as_ref().map(|Running(overview)| overview);
    running.ok_or_else(|| Problem::new(StatusCode::CONFLICT, "no gateway runs here that could be looked at"))
}

/// Whether anybody may ask this. It is asked by machines that hold no operator's credential, and tells nothing secret.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    matches!(path, "/live" | "/ready") && (method == Method::GET || method == Method::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_what_its_checks_come_to() {
        let well = Health::of([("workers", None), ("store", None)]);
        assert_eq!((well.ok, &*well.detail), (true, "all is well"));
        let ill = Health::of([("workers", None), ("store", Some("gone")), ("stop", Some("soon"))]);
        assert_eq!((ill.ok, &*ill.detail), (false, "store: gone; stop: soon"));
        assert_eq!((well.answer().status().as_u16(), ill.answer().status().as_u16()), (200, 503));
        let text = serde_json::to_string(&ill).unwrap();
        assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), ill);
    }

    #[test]
    fn only_reading_health_is_open_to_anybody() {
        for (method, path, open) in [
            (Method::GET, "/live", true),
            (Method::HEAD, "/ready", true),
            (Method::POST, "/ready", false),
            (Method::GET, "/ready/", false),
            (Method::GET, "/v1/status", false),
            (Method::GET, "//live", false),
        ] {
            assert_eq!(is_open(&method, path), open, "{method} {path}");
        }
    }
}
