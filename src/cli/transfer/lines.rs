//! JSON Lines with one entry each: every line is read, and everything that is wrong with any of them known, before the
//! first is sent.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::store::export;
use crate::store::passphrase::{Lock, LockHeader};
use crate::store::{Fault, Given, Resource};

/// What one request may carry, with room for what stands around the documents.
pub(super) const LARGEST: usize = 7 << 20;
/// The most faults that are told; a file of another kind is wrong in every line.
const MOST_FAULTS: usize = 100;

/// A line that is an entry.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) resource: Resource,
    /// Its id, if it says one.
    pub(super) id: Option<String>,
    /// The account above it, where it is an account.
    pub(super) parent: Option<String>,
    /// Where it stands in the text.
    pub(super) span: Range<usize>,
}

/// What is asked of every line, and what opens those that are sealed.
#[derive(Default)]
pub(super) struct Reading {
    /// Each must have an id.
    pub(super) ids_needed: bool,
    /// The lock of the export that the file is.
    pub(super) lock: Option<Lock>,
}

/// The first line of an export: how it is locked, if it is. `None`: the file is no export.
pub(super) fn head(text: &[u8]) -> Option<Result<Option<LockHeader>, Fault>> {
    let first = text.split(|byte| *byte == b'\n').next().and_then(|first| std::str::from_utf8(first).ok())?;
    is_head(first.as_bytes()).then(|| export::read_head(first))
}

fn is_head(raw: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(raw).is_ok_and(|first| first.contains_key("vidgate_export"))
}

/// Reads every line.
pub(super) fn read(text: &[u8], reading: &Reading) -> Result<Vec<Line>, Vec<String>> {
    let (mut lines, mut faults, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    let (mut at, mut wrong) = (0, 0);
    for (place, raw) in text.split(|byte| *byte == b'\n').enumerate() {
        let (number, span) = (place + 1, at..at + raw.len());
        at += raw.len() + 1;
        if raw.iter().all(u8::is_ascii_whitespace) || (place == 0 && is_head(raw)) {
            continue;
        }
        let read = line(number, span, raw, reading).and_then(|line| distinct(line, reading.ids_needed, &mut seen));
        match read {
            Ok(line) => lines.push(line),
            Err(fault) => {
                wrong += 1;
                if faults.len() < MOST_FAULTS {
                    faults.push(format!("line {number}: {fault}"));
                }
            }
        }
    }
    if faults.is_empty() {
        return Ok(lines);
    }
    if wrong > faults.len() {
        faults.push(format!("and {} more lines are wrong", wrong - faults.len()));
    }
    Err(faults)
}

fn line(number: usize, span: Range<usize>, raw: &[u8], reading: &Reading) -> Result<Line, String> {
    if raw.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let mut document: Wiped = serde_json::from_slice(raw).map(Wiped).map_err(|error| not_an_object(&error))?;
    let text = |key: &str| document.0.get(key).and_then(Value::as_str).map(str::to_owned);
    let (id, name) = (text("id"), text("resource"));
    let resource = name.as_deref().and_then(Resource::of_name).ok_or_else(|| {
        let names = Resource::ALL.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(", ");
        format!("`resource`: it is one of {names}")
    })?;
    let parent = if resource == Resource::Account { text("parent") } else { None };
    document.0.remove("resource");
    let unsealed = versions(&mut document.0, resource, id.as_deref(), reading.lock.as_ref());
    document.0.remove(export::SEALED);
    let faults: Vec<Fault> =
        unsealed.err().into_iter().chain(resource.faults(std::mem::take(&mut document.0))).collect();
    if !faults.is_empty() {
        return Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    Ok(Line { number, resource, id, parent, span })
}

/// Takes the versions of the secret out of a line of an export.
fn versions(
    document: &mut Map<String, Value>,
    resource: Resource,
    id: Option<&str>,
    lock: Option<&Lock>,
) -> Result<Vec<Given>, Fault> {
    match lock {
        Some(lock) => export::unseal(document, resource, id.unwrap_or_default(), lock),
        None if document.contains_key(export::SEALED) => {
            Err(Fault::new(export::SEALED, "only an export with its first line has this"))
        }
        None => Ok(Vec::new()),
    }
}

/// Documents hold secrets.
struct Wiped(Map<String, Value>);

impl Drop for Wiped {
    fn drop(&mut self) {
        crate::cli::operator::wipe_all(&mut self.0);
    }
}

/// What serde says, without its line, which is always the first; a column helps.
fn not_an_object(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message);
    match error.classify() {
        serde_json::error::Category::Data => format!("it is not a JSON object: {message}"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            format!("column {}: {message}", error.column())
        }
    }
}

fn distinct(line: Line, ids_needed: bool, seen: &mut HashMap<(Resource, String), usize>) -> Result<Line, String> {
    match &line.id {
        None if ids_needed => Err("it has no `id`, by which --skip-existing could know it again".to_owned()),
        None => Ok(line),
        Some(id) => match seen.insert((line.resource, id.clone()), line.number) {
            None => Ok(line),
            Some(first) => Err(format!("the {} of line {first} has the same id", line.resource.words())),
        },
    }
}

/// A request body with these entries to be made, in this order.
pub(super) fn batch(text: &[u8], lines: &[&Line], lock: Option<&Lock>) -> Zeroizing<Vec<u8>> {
    // What is sealed is shorter when it is open, but for a pepper in each version.
    let length = lines.iter().map(|line| line.span.len() + 512).sum::<usize>() + 32;
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    body.extend_from_slice(b"{\"operations\":[");
    for (place, line) in lines.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let mut document: Wiped =
            serde_json::from_slice(&text[line.span.clone()]).map(Wiped).expect("every line was read before");
        document.0.remove("resource");
        let versions = versions(&mut document.0, line.resource, line.id.as_deref(), lock);
        let versions = versions.expect("every line was unsealed before");
        body.extend_from_slice(b"{\"op\":\"create\",\"resource\":\"");
        body.extend_from_slice(line.resource.name().as_bytes());
        body.extend_from_slice(b"\",\"document\":");
        serde_json::to_writer(&mut *body, &document.0).expect("a document is plain values");
        if !versions.is_empty() {
            let versions = Wiped(Map::from_iter([(String::new(), versions.iter().map(Given::to_value).collect())]));
            body.extend_from_slice(b",\"versions\":");
            serde_json::to_writer(&mut *body, &versions.0[""]).expect("versions are plain values");
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_is_wrong_is_known_with_its_line() {
        let text = concat!(
            "{\"resource\":\"account\",\"id\":\"a\"}\n",
            "\n",
            "{\"resource\":\"acount\",\"id\":\"b\"}\r\n",
            "{\"id\":\"c\"}\n",
            "[1]\n",
            "{\"resource\":\"account\",\"id\":\"a\"}\n",
            "{\"resource\":\"camera\",\"id\":\"a\",\"account\":\"a\"}\n",
            "{\"resource\":\"camera\",\"id\":\"b\",\"colour\":1}\n",
            "{\"resource\":",
        );
        let faults = read(text.as_bytes(), &Reading::default()).unwrap_err();
        let places: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["line 3", "line 4", "line 5", "line 6", "line 8", "line 9"], "{faults:?}");
        assert!(faults[0].contains("`resource`: it is one of account, license_key, "));
        assert_eq!(faults[2], "line 5: it is not a JSON object: invalid type: sequence, expected a map");
        assert_eq!(faults[3], "line 6: the account of line 1 has the same id");
        assert!(faults[4].starts_with("line 8: `colour`: there is no such field; "));
        assert!(faults[4].ends_with("; `account`: it needs the account that owns it"));
        assert_eq!(faults[5], "line 9: column 12: EOF while parsing a value");
    }

    #[test]
    fn a_file_of_another_kind_is_not_told_line_by_line() {
        let faults = read("x\n".repeat(1000).as_bytes(), &Reading::default()).unwrap_err();
        assert_eq!(faults.len(), MOST_FAULTS + 1);
        assert_eq!(faults[MOST_FAULTS], "and 900 more lines are wrong");
    }

    #[test]
    fn what_cannot_be_known_again_cannot_be_skipped() {
        let text = b"{\"resource\":\"camera\",\"account\":\"a\"}";
        assert_eq!(read(text, &Reading::default()).unwrap().len(), 1);
        assert!(
            read(text, &Reading { ids_needed: true, ..Reading::default() }).unwrap_err()[0].contains("--skip-existing")
        );
    }

    #[test]
    fn a_batch_has_the_documents_without_their_resource() {
        let text = "{\"resource\":\"user\",\"account\":\"a\",\"login\":\"b\\u00fc\\\"b\"}\n{\"resource\":\"account\",\"id\":\"a\"}";
        let lines = read(text.as_bytes(), &Reading::default()).unwrap();
        let body = batch(text.as_bytes(), &[&lines[1], &lines[0]], None);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({ "operations": [
                { "op": "create", "resource": "account", "document": { "id": "a" } },
                { "op": "create", "resource": "user", "document": { "account": "a", "login": "bü\"b" } },
            ] })
        );
    }
}
