//! The admin API over a store of its own, asked in-process.

mod document;
mod doors;
mod life;
mod limits;
mod refusals;
mod status;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::clock::{Clock, UnixTime};
use crate::store::{Actor, Filter, Master, MasterKey, Purpose, Resource, Settings, Store, Trail};
use crate::telemetry::Refusals;

/// 2025-01-01.
const NOW: UnixTime = UnixTime(1_735_689_600);
/// The public key of somebody's service account.
const PUBLIC_KEY: &str = include_str!("../../../config/example-service.pub.pem");

/// A store with its admin API.
struct House {
    store: Store,
    clock: Clock,
    counters: super::Counters,
    router: Router,
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A request in the making.
struct Asked<'h> {
    house: &'h House,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl House {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let settings = Settings { path: folder.path().join("store.redb"), cache: 1 << 20 };
        let master = || Master { key: MasterKey::parse(&[b'5'; 64]).expect("64 digits"), file: None };
        Store::create(&settings, &master().key).expect("it can be made");
        let clock = Clock::manual(NOW);
        let store = Store::open(&settings, master(), clock.clone(), Purpose::Serve).expect("it opens");
        let at_rest = super::Counters::at_rest(&store, &clock, &[]).unwrap();
        let explain = super::Explain::new(|document| match document.get("url") {
            Some(Value::String(_)) => Ok(json!({ "decision": "refused", "steps": [] })),
            _ => Err("`url` is missing".to_owned()),
        });
        let counters = super::Counters {
            reload: Some(super::Reload::new(|| Ok(Vec::new()))),
            explain: Some(explain),
            overview: Some(status::played()),
            refusals: Some(Refusals::of("x").into()),
            ..at_rest
        };
        let router = super::router(store.clone(), counters.clone(), clock.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { store, clock, counters, router, runtime, _folder: folder }
    }

    /// The same with one account, `acme`.
    fn with_account() -> Self {
        let house = Self::new();
        assert_eq!(house.post("/v1/accounts", &json!({ "id": "acme" })).status, StatusCode::CREATED);
        house
    }

    fn ask(&self, method: Method, path: &str) -> Asked<'_> {
        let (path, headers) = (path.to_owned(), HeaderMap::new());
        Asked { house: self, method, path, headers, body: Vec::new() }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).send()
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path).json(body).send()
    }

    fn patch(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::PATCH, path).json(body).send()
    }

    fn run(&self, request: Request<Body>) -> Reply {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.expect("it is infallible");
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("the answer is whole").to_bytes().to_vec();
            Reply { status: parts.status, headers: parts.headers, body }
        })
    }

    /// Everything that is on file, and the audit trail.
    fn content(&self) -> (Vec<Value>, Trail) {
        let list = |resource: &Resource| {
            let page = self.store.list(*resource, &Filter::default(), None, 1000).expect("it can be read");
            page.items.into_iter().map(|item| Value::Object(item.document)).collect::<Vec<_>>()
        };
        let trail = self.store.verify_audit().expect("it can be read");
        assert_eq!(trail.broken_at, None, "the trail is whole");
        (Resource::ALL.iter().flat_map(list).collect(), trail)
    }
}

impl Asked<'_> {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, HeaderValue::try_from(value).expect("a header"));
        self
    }

    fn raw(mut self, content_type: &str, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", content_type)
    }

    fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string().as_bytes())
    }

    fn send(self) -> Reply {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().expect("a path");
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(Actor("token:alice".into()));
        self.house.run(request)
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain"))
    }

    /// The body, which must come with this status.
    fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// That it is a problem of this status which names `field`.
    fn is_problem(&self, status: u16, field: Option<&str>) {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(body["status"], status, "{body}");
        assert!(body["type"].is_string() && body["title"].is_string() && body["detail"].is_string(), "{body}");
        let named: Vec<&str> =
            body["errors"].as_array().into_iter().flatten().filter_map(|fault| fault["field"].as_str()).collect();
        match field {
            None => assert!(named.is_empty(), "{body}"),
            Some(field) => assert!(named.contains(&field), "`{field}` is not named: {body}"),
        }
    }
}
