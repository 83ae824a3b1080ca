//! Many changes in one request: all of them are made or none. What is wrong is named with its place in the list.

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{faultless, json as answer, submit, unknown};
use super::operation::Call;
use super::preconditions::REPLAYED;
use super::problem::{Problem, plain};
use super::resources::document;
use crate::store::{self, Fault, Given, Operation, Resource};

/// The most changes in one request.
pub(super) const MOST: usize = 5000;

/// What can be done, with what it takes besides `op` and `resource`.
pub(super) const WORDS: [(&str, &[&str]); 4] = [
    ("create", &["document", "versions"]),
    ("change", &["id", "revision", "document"]),
    ("rotate", &["id", "revision", "document"]),
    ("delete", &["id", "revision"]),
];

/// Whether an operation cannot be without this field. A new secret is made where none is given.
pub(super) fn needs(word: &str, field: &str) -> bool {
    match field {
        "id" => true,
        "document" => !["rotate", "delete"].contains(&word),
        _ => false,
    }
}

/// `POST /v1/bulk`
pub(super) async fn bulk(call: Call) -> Result<Response, Problem> {
    let Call { house, actor, idempotency, document, .. } = call;
    let operations = read(document)?;
    let only = operations.len() == 1;
    let request = store::Request { actor, operations, idempotency };
    let answered = submit(&house.store, request).await;
    // The store says which of many it was.
    let done = answered.map_err(|problem| if only { problem.in_bulk(0) } else { problem })?;
    let results: Vec<Value> = done.outcomes.into_iter().map(result).collect();
    let mut response = answer(StatusCode::OK, &json!({ "results": results }));
    if done.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn result(outcome: store::Outcome) -> Value {
    let mut result = json!({ "resource": outcome.resource.name(), "id": outcome.id, "revision": outcome.revision });
    // What was taken away has none.
    if !outcome.document.is_empty() {
        result["document"] = Value::Object(document(outcome));
    }
    result
}

/// Reads the list; says everything that is wrong with it.
fn read(mut body: Map<String, Value>) -> Result<Vec<Operation>, Problem> {
    let list = body.remove("operations");
    let mut faults: Vec<Fault> = body.keys().map(|key| unknown(&plain(key), &["operations"])).collect();
    let mut operations = Vec::new();
    match list {
        Some(Value::Array(list)) if (1..=MOST).contains(&list.len()) => {
            for (place, item) in list.into_iter().enumerate() {
                match one(item) {
                    Ok(operation) => operations.push(operation),
                    Err(found) => faults.extend(found.into_iter().map(|fault| within(place, fault))),
                }
            }
        }
        _ => faults.push(Fault::new("operations", format!("this is a list of 1 to {MOST} operations"))),
    }
    faultless(faults)?;
    Ok(operations)
}

fn within(place: usize, fault: Fault) -> Fault {
    let dot = if fault.field.is_empty() { "" } else { "." };
    Fault::new(format!("operations[{place}]{dot}{}", fault.field), fault.message)
}

fn one(item: Value) -> Result<Operation, Vec<Fault>> {
    let Value::Object(mut item) = item else { return Err(vec![Fault::new("", "an operation is an object")]) };
    let mut faults = Vec::new();
    let word = text(&mut item, "op", &mut faults);
    let resource = text(&mut item, "resource", &mut faults).and_then(|name| {
        let resource = Resource::of_name(&name);
        if resource.is_none() {
            faults.push(Fault::new("resource", format!("this is one of {}", names())));
        }
        resource
    });
    let takes = WORDS.iter().find(|(own, _)| word.as_deref() == Some(own));
    let Some((word, takes)) = takes else {
        if word.is_some() {
            faults.push(Fault::new("op", "this is `create`, `change`, `rotate` or `delete`"));
        }
        return Err(faults);
    };
    for key in item.keys().filter(|key| !takes.contains(&key.as_str())) {
        faults.push(unknown(&plain(key), takes));
    }
    let id = if takes.contains(&"id") { text(&mut item, "id", &mut faults) } else { None };
    let revision = match item.remove("revision") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let revision = value.as_u64();
            if revision.is_none() {
                faults.push(Fault::new("revision", "this is a number"));
            }
            revision
        }
    };
    let document = match item.remove("document") {
        Some(Value::Object(document)) => document,
        None if !needs(word, "document") => Map::new(),
        None | Some(_) => {
            faults.push(Fault::new("document", "this is an object"));
            Map::new()
        }
    };
    // As an export has them, unsealed.
    let versions = match item.remove("versions") {
        None => Vec::new(),
        Some(versions) => Given::read_all(versions).unwrap_or_else(|fault| {
            faults.push(fault);
            Vec::new()
        }),
    };
    match (faults.is_empty(), resource, id.unwrap_or_default()) {
        (true, Some(resource), id) => Ok(match *word {
            "create" => Operation::Create { resource, document, versions },
            "change" => Operation::Change { resource, id, patch: document, revision },
            "rotate" => Operation::Rotate { resource, id, document, revision },
            _ => Operation::Delete { resource, id, revision },
        }),
        _ => Err(faults),
    }
}

fn text(item: &mut Map<String, Value>, key: &str, faults: &mut Vec<Fault>) -> Option<String> {
    if let Some(Value::String(text)) = item.remove(key) {
        return Some(text);
    }
    faults.push(Fault::new(key, "this is a string, and needed"));
    None
}

fn names() -> String {
    Resource::ALL.iter().map(|resource| format!("`{resource}`")).collect::<Vec<_>>().join(", ")
}
