//! What tests of endpoints stand on: a store, and callers who were proven.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Caller, Endpoints, Entry, Kit, TokenOutfit};
use crate::limit::Limits;
use crate::record::{Directory, Kind};
use crate::refusal::Refusal;
use crate::scheme::stage::principal;
use crate::store::Resource;
use crate::store::sample::Sample;

/// Endpoints over a store of their own. `acme` and `rival` have license keys of the same names, `ops` a certificate.
pub(super) struct Stage {
    pub(super) sample: Sample,
    endpoints: Endpoints,
    runtime: tokio::runtime::Runtime,
}

/// What an endpoint said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut sample = Sample::empty();
        for account in ["acme", "rival", "ops"] {
            sample.create(Resource::Account, json!({ "id": account, "name": account }));
        }
        for account in ["acme", "rival"] {
            sample.create(Resource::LicenseKey, json!({ "id": account, "account": account, "key": account }));
        }
        sample.create(Resource::AdminCertificate, json!({ "id": "root", "account": "ops", "subject": "root" }));
        let outfit = TokenOutfit { api: Some("web.example.test".into()), ..TokenOutfit::default() };
        let kit = Kit::new(
            Some(sample.store.clone()),
            sample.clock.clone(),
            Arc::new(outfit),
            Limits::new(None, &sample.clock).unwrap(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { endpoints: Endpoints::new(&kit), sample, runtime }
    }

    fn caller(&self, kind: Kind, text: &str) -> Caller {
        let record = self.sample.store.index().look_up(kind, text.as_bytes()).expect("the caller exists");
        Caller::new(principal(record), std::net::Ipv4Addr::LOCALHOST.into(), "gw.example.test:9000", None)
    }

    /// Asks an endpoint as the holder of this.
    pub(super) fn ask(
        &self,
        endpoint: &str,
        (kind, text): (Kind, &str),
        (method, target): (Method, &str),
        body: Option<&Value>,
    ) -> Result<Said, Refusal> {
        let mut request = Request::new(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        if body.is_some() {
            request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
        }
        request.extensions_mut().insert(self.caller(kind, text));
        let entry = Entry::of_name(endpoint).expect("the endpoint exists");
        let router = self.endpoints.router(entry).unwrap().clone();
        let (response, bytes): (Response<()>, Bytes) = self.runtime.block_on(async {
            let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
            (Response::from_parts(parts, ()), to_bytes(body, usize::MAX).await.unwrap())
        });
        let (mut parts, ()) = response.into_parts();
        if let Some(refusal) = parts.extensions.remove::<Refusal>() {
            return Err(refusal);
        }
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Ok(Said { status: parts.status, body })
    }
}
