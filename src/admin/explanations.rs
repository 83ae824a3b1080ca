//! What would become of a request, and why. How that is found out is the business of whoever runs the gateway; here it is
//! asked for. What is asked about may hold a credential: it is neither logged nor kept.

use std::fmt;
use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;

/// Explains a request; `Err` says what is wrong with the description of it.
#[derive(Clone)]
pub struct Explain(Arc<Explaining>);

/// What it is told of a request that is described so, or why that is none.
type Explaining = dyn Fn(Map<String, Value>) -> Result<Value, String> + Send + Sync;

impl Explain {
    /// By calling this, which neither waits for anything nor changes it.
    pub fn new(explain: impl Fn(Map<String, Value>) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(explain))
    }
}

impl fmt::Debug for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Explain")
    }
}

/// `POST /v1/explanations`
pub(super) async fn explain(call: Call) -> Result<Response, Problem> {
    let Some(Explain(explain)) = call.house.counters.explain else {
        return Err(Problem::new(StatusCode::CONFLICT, "no gateway runs here that could explain it"));
    };
    let document = call.document;
    // Aside: it checks signatures, and a configuration may have many routes.
    match aside(move || Ok(explain(document))).await? {
        Ok(explanation) => Ok(answer(StatusCode::OK, &explanation)),
        Err(what) => Err(Problem::new(StatusCode::BAD_REQUEST, what)),
    }
}

/// The schema of a request to be explained.
pub(super) fn asked() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let maybe = |about: &str| json!({ "type": ["string", "null"], "minLength": 1, "description": about });
    let peer = "The address at the other end of the socket; 0.0.0.0, which is nobody's, if it is left out";
    let field = json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 });
    json!({
        "type": "object",
        "required": ["url"],
        "additionalProperties": false,
        "properties": {
            "method": { "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "description": "GET if it is left out" },
            "url": text("The whole address; its path is taken as it stands there"),
            "headers": { "type": "array", "items": field, "description": "Name and value of each field, in their order" },
            "body": { "type": ["string", "null"], "contentEncoding": "base64" },
            "peer": {
                "type": ["string", "null"],
                "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }],
                "description": peer,
            },
            "listener": maybe("The listener that it comes in by, where several fit the address"),
            "client_certificate": maybe("The certificate that the client presents, and those behind it (PEM)"),
            "at": { "type": ["string", "null"], "format": "date-time", "description": "Now if it is left out" },
        },
    })
}

/// The schema of an explanation.
pub(super) fn explanation() -> Value {
    let text = json!({ "type": "string" });
    let step = json!({ "$ref": "#/components/schemas/ExplanationStep" });
    json!({
        "type": "object",
        "required": ["decision", "steps"],
        "properties": {
            "decision": { "enum": ["admitted", "answered", "refused"] },
            "route": text,
            "cause": { "type": "string", "description": "Of a refusal, as logs and metrics name it" },
            "detail": text,
            "answer": {
                "type": "object",
                "description": "What the gateway itself would answer",
                "properties": {
                    "status": { "type": "integer" },
                    "dialect": text,
                    "headers": { "type": "array", "items": { "type": "array", "items": text } },
                    "body": text,
                },
            },
            "steps": { "type": "array", "items": step },
        },
    })
}

/// The schema of one of its steps.
pub(super) fn step() -> Value {
    json!({
        "type": "object",
        "required": ["step", "outcome", "says"],
        "properties": {
            "step": { "type": "string", "description": "A room, or what is looked at in it" },
            "outcome": { "enum": ["passed", "failed", "skipped", "note"] },
            "says": { "type": "string" },
            "facts": { "type": "object", "description": "The same for scripts" },
            "steps": { "type": "array", "items": { "$ref": "#/components/schemas/ExplanationStep" } },
        },
    })
}
