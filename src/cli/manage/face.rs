//! What the API answers, for people: one entry as a card, many as a table, a change as a sentence.

use comfy_table::{Table, presets};
use serde_json::{Map, Value};

use super::field::{self, Form};
use super::task::Verb;
use crate::cli::operator::visible;
use crate::store::resource::{Owner, Resource};

/// The longest text in a cell of a table with many rows.
const LONGEST_CELL: usize = 48;

/// A table; without lines where a program reads it.
pub(in crate::cli) fn drawn(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, lines: bool) -> String {
    let mut table = Table::new();
    table.load_style(if lines { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    if !header.is_empty() {
        table.set_header(header.iter().map(|name| name.to_uppercase()));
    }
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt() + "\n"
}

/// Many entries. A column that says nothing of any of them is left out.
pub(super) fn listing(resource: Resource, entries: &[Map<String, Value>], lines: bool) -> String {
    if entries.is_empty() {
        return format!("There is no {} here.\n", resource.words());
    }
    let path = |name: &str| name.split('.').map(str::to_owned).collect::<Vec<_>>();
    let mut columns = vec![path("id"), path("name")];
    if resource.owner() != Owner::Nobody {
        columns.push(path("account"));
    }
    let fits = |form: Form| matches!(form, Form::Text | Form::Number | Form::Words);
    columns.extend(field::own(resource).into_iter().filter(|field| fits(field.form)).map(|field| field.path));
    columns.extend(["status", "not_before", "expires", "last_used"].map(path));
    let cells = |column: &Vec<String>| entries.iter().map(|entry| cell(entry, column)).collect::<Vec<_>>();
    let columns: Vec<(String, Vec<String>)> = columns
        .iter()
        .map(|column| (column.join(" ").replace('_', " "), cells(column)))
        .filter(|(name, cells)| name == "id" || cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let row = |number: usize| columns.iter().map(|(_, cells)| cells[number].clone()).collect();
    drawn(&header, (0..entries.len()).map(row), lines)
}

fn cell(entry: &Map<String, Value>, path: &[String]) -> String {
    let [first, rest @ ..] = path else { return String::new() };
    let found = rest.iter().fold(entry.get(first), |value, key| value?.get(key));
    let text = found.map(plain).unwrap_or_default();
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => visible(&value.to_string()),
    }
}

/// One entry with everything that is known of it.
pub(super) fn card(entry: &Map<String, Value>, lines: bool) -> String {
    let mut rows = Vec::new();
    for (key, value) in entry {
        spread(key, value, &mut rows);
    }
    // What it is comes before what is known of it.
    rows.sort_by_key(|row| match row[0].as_str() {
        "id" => 0,
        "name" => 1,
        "account" => 2,
        name if name.starts_with("versions") => 4,
        "status" | "revision" | "created" | "changed" | "last_used" => 5,
        _ => 3,
    });
    drawn(&[], rows, lines)
}

fn spread(name: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| spread(&format!("{name}.{}", visible(key)), value, rows));
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            rows.extend(list.iter().map(|value| vec![name.to_owned(), sentence(value)]));
        }
        // A key in PEM stays the lines that it is.
        Value::String(text) if text.starts_with("-----BEGIN ") => {
            let shown = text.trim_end().lines().map(visible).collect::<Vec<_>>();
            rows.push(vec![name.to_owned(), shown.join("\n")]);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let text = plain(value);
            if !text.is_empty() {
                rows.push(vec![name.to_owned(), text]);
            }
        }
    }
}

fn sentence(value: &Value) -> String {
    let parts = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    parts.map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
}

/// What has been done, with the secret that was made on the way.
pub(super) fn receipt(resource: Resource, past: &str, entry: &Map<String, Value>) -> String {
    let text = |key: &str| entry.get(key).map(plain).unwrap_or_default();
    let mut said = vec![format!("{past} {} `{}` (revision {})", resource.words(), text("id"), text("revision"))];
    let older = entry.get("versions").and_then(|versions| versions.get(1)).and_then(|version| version.get("expires"));
    let rotated = past == Verb::Rotate.past();
    if let Some(standing) = unfit(resource, entry).filter(|_| rotated) {
        said.push(standing);
    } else if let Some(end) = older.filter(|end| rotated && !end.is_null()) {
        said.push(format!("The one before is good until {}.", plain(end)));
    }
    if rotated && resource == Resource::ServiceAccount {
        let id = text("id");
        said.push(format!(
            "Tokens name the new key from now on (kid `{id}`); `list` shows until when the one before is good."
        ));
    }
    let secret = resource.secret().and_then(|rule| Some((rule.field, entry.get(rule.field)?)));
    if let Some((field, secret)) = secret.filter(|(_, secret)| secret.is_string()) {
        said.push(format!("{field}: {}", plain(secret)));
        said.push("It is shown this once: keep it now.".to_owned());
    }
    said.join("\n") + "\n"
}

/// Why a credential is believed by nobody, whatever its secret is, and what changes that.
fn unfit(resource: Resource, entry: &Map<String, Value>) -> Option<String> {
    let (text, id) = (|key: &str| entry.get(key).map(plain).unwrap_or_default(), entry.get("id").map(plain));
    let verb = |verb: &str| format!("vidgate {} {verb} {}", resource.name().replace('_', "-"), id.unwrap_or_default());
    match text("status").as_str() {
        "expired" => {
            let change = verb("change");
            Some(format!(
                "It has expired ({}) and lets nobody in until it has another end: {change} --expires … (or --unset expires)",
                text("expires")
            ))
        }
        "disabled" => Some(format!("It is disabled and lets nobody in: {}", verb("enable"))),
        _ => None,
    }
}
