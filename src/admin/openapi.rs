//! The OpenAPI document (3.1), written from the table of operations that the routes are mounted from.

use std::future::{Ready, ready};
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::operation::{Gives, Mounted, Operation, Takes, mounted};
use super::preconditions::Condition;
use super::problem::Problem;
use super::query::Parameter;
use super::schema::{self, component, reference};
use super::{answer, keep, schema::word, status};
use crate::store::Resource;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /openapi.json`
pub(super) fn serve() -> Ready<Result<Response, Problem>> {
    let body = Body::from(DOCUMENT.clone());
    ready(Ok(answer::of(StatusCode::OK, HeaderValue::from_static("application/json"), body)))
}

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for mounted in mounted() {
        let item = paths.entry(mounted.path.clone()).or_insert_with(|| json!({}));
        item[mounted.operation.method.as_str().to_ascii_lowercase()] = operation(&mounted);
    }
    let about = |resource: &Resource| json!({ "name": resource.path(), "description": resource.about() });
    let house = json!({ "name": "store", "description": "The store as a whole" });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vidgate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Accounts, credentials and what they open. Every refusal is problem details (RFC 9457).",
        },
        "tags": Resource::ALL.iter().map(about).chain([house]).collect::<Vec<_>>(),
        "security": [{ "certificate": [] }, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schema::components(),
            "securitySchemes": {
                "certificate": { "type": "mutualTLS", "description": "A client certificate" },
                "token": { "type": "http", "scheme": "bearer", "description": "An admin token, from the same machine" },
            },
        },
    })
}

fn operation(mounted: &Mounted) -> Value {
    let Mounted { resource, operation, .. } = mounted;
    let name = resource.map_or_else(|| operation.name.to_owned(), |resource| format!("{}_{resource}", operation.name));
    let mut written = json!({
        "operationId": name,
        "summary": operation.about,
        "tags": [resource.map_or("store", Resource::path)],
        "parameters": parameters(mounted),
        "responses": responses(mounted),
    });
    if let Some(body) = body(operation.takes, *resource) {
        let content: Map<String, Value> =
            operation.takes.types().iter().map(|own| ((*own).to_owned(), json!({ "schema": body }))).collect();
        written["requestBody"] = json!({ "required": !operation.takes.optional(), "content": content });
    }
    if status::is_open(&operation.method, operation.path) {
        // Anybody may ask.
        written["security"] = json!([]);
    }
    written
}

fn parameters(mounted: &Mounted) -> Vec<Value> {
    let given = |name: &str, place: &str, about: &str, required: bool, schema: Value| json!({ "name": name, "in": place, "description": about, "required": required, "schema": schema });
    let parameter = |name: &str, place: &str, about: &str, schema| given(name, place, about, place == "path", schema);
    let id = mounted.path.contains("{id}").then(|| {
        let about = "The id, percent-encoded where it has other characters than letters, digits, `-`, `.`, `_` and `~`";
        parameter("id", "path", about, json!({ "type": "string", "minLength": 1 }))
    });
    let number = mounted.path.contains("{number}").then(|| {
        let schema = json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX });
        parameter("number", "path", "The number of the pepper", schema)
    });
    let query = mounted.query().iter();
    let query = query.map(|own| given(own.name(), "query", own.about(), own.required(), own.schema(mounted.resource)));
    let conditions = mounted.operation.conditions.iter();
    let conditions = conditions.map(|own| parameter(own.name(), "header", own.about(), own.schema()));
    id.into_iter().chain(number).chain(query).chain(conditions).collect()
}

fn body(takes: Takes, resource: Option<Resource>) -> Option<Value> {
    let of = |suffix: &str| resource.map(|resource| reference(&component(resource, suffix)));
    let only = |field: &str, least: usize, about: &str| {
        let schema = json!({ "type": "string", "minLength": least, "description": about });
        let field = Map::from_iter([(field.to_owned(), schema)]);
        json!({ "type": "object", "properties": field, "additionalProperties": false })
    };
    match takes {
        Takes::Nothing => None,
        Takes::Empty => Some(json!({ "type": "object", "additionalProperties": false })),
        Takes::New => of("New"),
        Takes::Patch => of("Patch"),
        Takes::Rotation => of("Rotation"),
        Takes::Bulk => Some(reference("Bulk")),
        Takes::Asked => Some(reference("Asked")),
        Takes::KeyFile => {
            Some(only("key_file", 1, "The file of the new master key, where the old one does not come from a file"))
        }
        Takes::Passphrase => Some(only("passphrase", keep::SHORTEST, "With it, secrets are written too, sealed by it")),
    }
}

fn responses(mounted: &Mounted) -> Value {
    let gives = mounted.operation.gives;
    let mut good = json!({ "description": description(gives) });
    if let Some((content_type, schema)) = content(gives, mounted.resource) {
        good["content"] = json!({ content_type: { "schema": schema } });
    }
    let header = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    if matches!(gives, Gives::Shown | Gives::Made | Gives::Rotated) && mounted.resource.is_some() {
        good["headers"]["ETag"] = header("The revision, for `If-Match`");
    }
    if gives == Gives::Made {
        good["headers"]["Location"] = header("Where it is found");
    }
    let problem = |about: &str| {
        let content = json!({ "application/problem+json": { "schema": reference("Problem") } });
        json!({ "description": about, "content": content })
    };
    let mut written = Map::from_iter([(gives.status().as_str().to_owned(), good)]);
    for (status, about) in refusals(mounted) {
        written.insert(status.as_str().to_owned(), problem(about));
    }
    if gives == Gives::Health {
        let not_so = json!({ "description": "Something is not", "content": written["200"]["content"] });
        written.insert("503".to_owned(), not_so);
    }
    written.insert("default".to_owned(), problem("Why it was not done"));
    written.into()
}

/// The refusals that can be foreseen, with the last part of their `type` where they have one.
fn refusals(mounted: &Mounted) -> Vec<(StatusCode, &'static str)> {
    let Operation { conditions, takes, gives, method, .. } = mounted.operation;
    let changes = *takes != Takes::Nothing || *method == Method::DELETE;
    let one = mounted.path.contains('{') || mounted.query().contains(&Parameter::Whose) || *takes == Takes::Bulk;
    let asked_who = *gives != Gives::Health;
    let stands = mounted.resource.is_some() && changes || *takes == Takes::Bulk;
    let pepper = mounted.path.contains("{number}");
    let makes = matches!(takes, Takes::New | Takes::Bulk);
    let written = !matches!(takes, Takes::Nothing | Takes::Empty);
    let repeats = conditions.contains(&Condition::Repetition);
    let revised = conditions.contains(&Condition::Revision) || *takes == Takes::Bulk;
    [
        (true, StatusCode::BAD_REQUEST, "A part of the request cannot be read, or is not known"),
        (asked_who, StatusCode::UNAUTHORIZED, "Nobody is let in with this request"),
        (asked_who && !makes, StatusCode::FORBIDDEN, "A page asks it, on behalf of whoever looks at it"),
        (makes, StatusCode::FORBIDDEN, "A page asks it; `allotment-reached`: the account has all that it may have"),
        (one, StatusCode::NOT_FOUND, "`missing`: there is no such thing"),
        (written, StatusCode::REQUEST_TIMEOUT, "The body did not arrive within 30 s"),
        (stands, StatusCode::CONFLICT, "`conflict`: another one has it; `in-use`: others still need it"),
        (pepper, StatusCode::CONFLICT, "`conflict`: there is no such pepper, or keys lie under it"),
        (*gives == Gives::Reloaded, StatusCode::CONFLICT, RELOADED),
        (revised, StatusCode::PRECONDITION_FAILED, "`stale`: it was changed since"),
        (written, StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
        (written, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another type"),
        (written && !repeats, StatusCode::UNPROCESSABLE_ENTITY, "`invalid`: fields that cannot be so"),
        (repeats, StatusCode::UNPROCESSABLE_ENTITY, REPEATED),
        (changes, StatusCode::SERVICE_UNAVAILABLE, "`unavailable`: the store cannot be written now"),
    ]
    .into_iter()
    .filter_map(|(whether, status, about)| whether.then_some((status, about)))
    .collect()
}

const RELOADED: &str = "`configuration`: something is wrong with it, and everything stays as it is";
const REPEATED: &str = "`invalid`: fields that cannot be so; `reused`: the idempotency key is that of another request";

fn description(gives: Gives) -> &'static str {
    match gives {
        Gives::Shown => "As it is",
        Gives::Made => "It was made; its secret is shown this once",
        Gives::Rotated => "It was rotated; its new secret is shown this once",
        Gives::Listing | Gives::Deeds => "A page",
        Gives::Nothing => "It is gone",
        Gives::Results => "All of it was done",
        Gives::Trail => "What a walk along the trail found",
        Gives::State => "How the store stands",
        Gives::Usage => "Each quota of the account, in its present window",
        Gives::Failures => "What was counted",
        Gives::Cleared => "How many counters were taken away",
        Gives::Refusals => "The latest first",
        Gives::Refusal => "Why it was refused",
        Gives::Reloaded => "It is in force",
        Gives::Explained => "The way of the request",
        Gives::Status => "How it is doing",
        Gives::Health => "All is well",
        Gives::Metrics => "Every metric, with its labels",
        Gives::Pepper => "It was added",
        Gives::Backup => "The copy; a body that breaks off is none",
        Gives::Lines => "The entries; a body that breaks off is not all of them",
        Gives::Document => "The document",
    }
}

/// The media type and the schema of an answer.
fn content(gives: Gives, resource: Option<Resource>) -> Option<(&'static str, Value)> {
    let json = "application/json";
    let page = |items: Value| {
        let items = json!({ "type": "array", "items": items });
        let next = json!({ "type": "string", "description": "To pass as `after`; missing on the last page" });
        json!({ "type": "object", "properties": { "items": items, "next": next }, "required": ["items"] })
    };
    let entry = || resource.map_or_else(|| reference("State"), |resource| reference(&word(resource)));
    match gives {
        Gives::Shown | Gives::Made | Gives::Rotated => Some((json, entry())),
        Gives::Listing => Some((json, page(entry()))),
        Gives::Nothing => None,
        Gives::Results => Some((json, reference("Results"))),
        Gives::Deeds => Some((json, page(reference("Deed")))),
        Gives::Trail => Some((json, reference("Trail"))),
        Gives::State => Some((json, reference("State"))),
        Gives::Usage => Some((json, reference("Usage"))),
        Gives::Failures => Some((json, reference("Failures"))),
        Gives::Cleared => Some((json, reference("Cleared"))),
        Gives::Refusals => {
            let items = json!({ "type": "array", "items": reference("Refusal") });
            Some((json, json!({ "type": "object", "properties": { "items": items }, "required": ["items"] })))
        }
        Gives::Refusal => Some((json, reference("Refusal"))),
        Gives::Reloaded => Some((json, reference("Reloaded"))),
        Gives::Explained => Some((json, reference("Explanation"))),
        Gives::Status => Some((json, reference("Gateway"))),
        Gives::Health => Some((json, reference("Health"))),
        Gives::Metrics => Some(("text/plain", json!({ "type": "string" }))),
        Gives::Pepper => Some((json, reference("Pepper"))),
        Gives::Backup => Some(("application/octet-stream", json!({}))),
        Gives::Lines => Some(("application/x-ndjson", json!({}))),
        Gives::Document => Some((json, json!({ "type": "object" }))),
    }
}
