//! Refusals of the admin API: RFC 9457 problem details, with every field that is wrong. What happened inside stays in
//! the log.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::store::{Fault, Refused};

/// How soon a change may be tried again where the store cannot be written, in seconds.
const RETRY: HeaderValue = HeaderValue::from_static("5");

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// The last part of the `type`; `None` where the status says it all.
    kind: Option<&'static str>,
    detail: String,
    faults: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// What the status alone says, in a sentence.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into(), faults: Vec::new(), headers: Vec::new() }
    }

    /// One part of the request is wrong: a field of the body, a parameter or a header.
    pub(super) fn field(status: StatusCode, field: impl Into<String>, message: impl Into<String>) -> Self {
        let fault = Fault::new(plain(&field.into()), message);
        Self { faults: vec![fault.clone()], ..Self::new(status, fault.to_string()) }
    }

    /// Several parts of the request are wrong.
    pub(super) fn fields(status: StatusCode, faults: Vec<Fault>) -> Self {
        let detail = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self { faults, ..Self::new(status, detail) }
    }

    /// A configuration did not come into force, for these reasons.
    pub(super) fn unchanged(detail: String, faults: Vec<Fault>) -> Self {
        Self { kind: Some("configuration"), faults, ..Self::new(StatusCode::CONFLICT, detail) }
    }

    /// Something broke on our side.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on our side")
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same for one operation of many: its fields are named by where they stand in the list.
    pub(super) fn in_bulk(mut self, place: usize) -> Self {
        for fault in &mut self.faults {
            let within = match (self.kind, fault.field.as_str()) {
                (Some("missing" | "in-use"), _) => "id".to_owned(),
                (Some("stale"), _) => "revision".to_owned(),
                (_, "") => "document".to_owned(),
                (_, field) => format!("document.{field}"),
            };
            fault.field = format!("operations[{place}].{within}");
        }
        self.detail = format!("operation {place}: {}", self.detail);
        self
    }

    fn of(kind: &'static str, status: StatusCode, refused: &Refused, faults: Vec<Fault>) -> Self {
        Self { kind: Some(kind), faults, ..Self::new(status, refused.to_string()) }
    }

    fn body(&self) -> Value {
        // RFC 9457 §4.2.1: with `about:blank` the title is that of the status.
        let kind = self.kind.map_or_else(|| "about:blank".to_owned(), |kind| format!("urn:vidgate:problem:{kind}"));
        let mut body = json!({
            "type": kind,
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if !self.faults.is_empty() {
            let errors = self.faults.iter().map(|fault| json!({ "field": fault.field, "detail": fault.message }));
            body["errors"] = errors.collect();
        }
        body
    }
}

/// A name that the caller chose, as it can be repeated.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let named = |field: &str| vec![Fault::new(field, refused.to_string())];
        match &refused {
            Refused::Missing { .. } => Self::of("missing", StatusCode::NOT_FOUND, &refused, named("id")),
            Refused::Invalid(faults) => Self::of("invalid", StatusCode::UNPROCESSABLE_ENTITY, &refused, faults.clone()),
            Refused::Conflict(fault) => Self::of("conflict", StatusCode::CONFLICT, &refused, vec![fault.clone()]),
            Refused::Allotment { field, .. } => {
                Self::of("allotment-reached", StatusCode::FORBIDDEN, &refused, named(field))
            }
            Refused::Full { .. } => Self::of("allotment-reached", StatusCode::FORBIDDEN, &refused, Vec::new()),
            Refused::InUse { .. } => Self::of("in-use", StatusCode::CONFLICT, &refused, named("id")),
            Refused::Stale { .. } => Self::of("stale", StatusCode::PRECONDITION_FAILED, &refused, named("If-Match")),
            Refused::InBulk { place, refused } => Self::from(Refused::clone(refused)).in_bulk(*place),
            Refused::Reused => Self::of("reused", StatusCode::UNPROCESSABLE_ENTITY, &refused, named("Idempotency-Key")),
            Refused::Unavailable(_) => {
                Self::of("unavailable", StatusCode::SERVICE_UNAVAILABLE, &refused, Vec::new()).with(RETRY_AFTER, RETRY)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.body().to_string();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Resource;

    #[test]
    fn every_refusal_has_a_status_and_names_what_is_wrong() {
        let missing = Refused::missing(Resource::LicenseKey, "k1");
        let needed = Refused::InUse {
            resource: Resource::Account,
            id: "acme".into(),
            by: Resource::Camera,
            by_id: "gate".into(),
        };
        let full = Refused::Allotment { field: "account", account: "acme".into(), limit: 5, hosted: 6 };
        for (refused, status, kind, field) in [
            (missing, 404, "missing", Some("id")),
            (Refused::invalid("quota.hour", "too much"), 422, "invalid", Some("quota.hour")),
            (Refused::conflict("name", "taken"), 409, "conflict", Some("name")),
            (needed, 409, "in-use", Some("id")),
            (full, 403, "allotment-reached", Some("account")),
            (Refused::Stale { revision: 7 }, 412, "stale", Some("If-Match")),
            (
                Refused::InBulk { place: 3, refused: Box::new(Refused::invalid("quota.hour", "too much")) },
                422,
                "invalid",
                Some("operations[3].document.quota.hour"),
            ),
            (
                Refused::InBulk { place: 0, refused: Box::new(Refused::Stale { revision: 2 }) },
                412,
                "stale",
                Some("operations[0].revision"),
            ),
            (Refused::Reused, 422, "reused", Some("Idempotency-Key")),
            (Refused::Unavailable("the disk is full".into()), 503, "unavailable", None),
        ] {
            let sentence = refused.to_string();
            let problem = Problem::from(refused);
            let body = problem.body();
            assert_eq!(body["type"], format!("urn:vidgate:problem:{kind}"));
            assert_eq!((body["status"].as_u64(), body["detail"].as_str()), (Some(status), Some(sentence.as_str())));
            assert_eq!(body["errors"][0]["field"].as_str(), field, "{body}");
            let response = problem.into_response();
            assert_eq!(u64::from(response.status().as_u16()), status);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        }
    }
}
