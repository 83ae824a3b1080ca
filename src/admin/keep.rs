//! The store as a whole: how it stands, copies of it, and its keys.

use std::path::Path;

use axum::response::Response;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::answer::{aside, faultless, json as answer, nothing, stream, unknown};
use super::operation::Call;
use super::problem::{Problem, plain};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::store::passphrase::Lock;
use crate::store::{Fault, Refused};

/// The shortest passphrase of an export, in characters.
pub(super) const SHORTEST: usize = 8;

/// `GET /v1/store`
pub(super) async fn state(call: Call) -> Result<Response, Problem> {
    let state = aside(move || call.house.store.state()).await?;
    Ok(answer(StatusCode::OK, &json!(state)))
}

/// `GET /v1/store/backup`
pub(super) async fn backup(call: Call) -> Result<Response, Problem> {
    let name = file_name(&call.house.clock, "backup");
    let mut response = stream("application/octet-stream", move |sink| call.house.store.backup(sink).map(drop)).await?;
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// `POST /v1/store/rekey`
pub(super) async fn rekey(mut call: Call) -> Result<Response, Problem> {
    let file = only(&mut call, "key_file")?;
    if file.as_deref() == Some("") {
        return Err(Refused::invalid("key_file", "this is the name of a file").into());
    }
    let state = aside(move || {
        call.house.store.rekey(&call.actor, file.as_deref().map(Path::new))?;
        call.house.store.state()
    });
    Ok(answer(StatusCode::OK, &json!(state.await?)))
}

/// `POST /v1/store/peppers`
pub(super) async fn add_pepper(call: Call) -> Result<Response, Problem> {
    let number = aside(move || call.house.store.add_pepper(&call.actor)).await?;
    Ok(answer(StatusCode::CREATED, &json!({ "pepper": number })))
}

/// `DELETE /v1/store/peppers/{id}`
pub(super) async fn retire_pepper(call: Call) -> Result<Response, Problem> {
    let number = call.id.parse().ok().filter(|number: &u16| number.to_string() == call.id);
    let Some(number) = number else {
        return Err(Problem::field(StatusCode::NOT_FOUND, "number", "peppers have numbers, and none has this"));
    };
    aside(move || call.house.store.retire_pepper(&call.actor, number)).await?;
    Ok(nothing())
}

/// `POST /v1/export`
pub(super) async fn export(mut call: Call) -> Result<Response, Problem> {
    let passphrase = only(&mut call, "passphrase")?;
    // As the document of the API counts, by which it is told.
    if passphrase.as_ref().is_some_and(|text| text.chars().count() < SHORTEST) {
        return Err(Refused::invalid("passphrase", format!("a passphrase has {SHORTEST} characters or more")).into());
    }
    let passphrase = passphrase.map(|text| Secret::new(text.into_bytes()));
    let name = file_name(&call.house.clock, "jsonl");
    let lines = stream("application/x-ndjson", move |sink| {
        let lock = passphrase.as_ref().map(Lock::new).transpose();
        let lock = lock.map_err(|error| Refused::Unavailable(error.to_string()))?;
        call.house.store.export(lock.as_ref(), sink).map(drop)
    });
    let mut response = lines.await?;
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// The only field of a body, which may be left out. It is not null: whoever sends that meant something, and what is done
/// without it is something else.
fn only(call: &mut Call, field: &str) -> Result<Option<String>, Problem> {
    let value = call.document.remove(field);
    let mut faults: Vec<Fault> = call.document.keys().map(|key| unknown(&plain(key), &[field])).collect();
    let text = match value {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            faults.push(Fault::new(field, "this is a string"));
            None
        }
    };
    faultless(faults)?;
    Ok(text)
}

fn file_name(clock: &Clock, extension: &str) -> HeaderValue {
    let time: String = clock.unix().to_text().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    HeaderValue::try_from(format!("attachment; filename=\"vidgate-{time}.{extension}\"")).expect("a time is plain")
}
