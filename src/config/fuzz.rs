//! What a fuzzer holds the reader of configurations to: whatever stands in a file, there is a World or a report whose
//! places lie in it, and no drawing of it shows a secret.

use std::path::Path;

use toml::Value;

use super::load_text;
use crate::store::Purpose;

/// What the secrets in the corpus are called.
const CANARY: &str = "a-secret-of-the-corpus";

/// A file, next to which there are no others.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let loaded = load_text("vidgate.toml", text, Path::new("/nowhere"), Purpose::Look);
    let good = loaded.is_ok();
    let report = loaded.map_or_else(|report| report, |loaded| loaded.warnings);
    assert!(good == (report.errors() == 0), "a report without an error, or a World with one");
    for place in report.places() {
        assert!(place.start <= place.end && place.end <= text.len(), "{place:?} is not in the file");
    }
    let drawn = [report.render(false), report.render(true), report.sentences().collect()].concat();
    assert!(!drawn.contains(CANARY) || !is_secret(text), "a secret is shown");
}

/// Whether the word stands in a file as the secret of something and nowhere else.
fn is_secret(text: &str) -> bool {
    fn secrets(value: &Value, named: bool) -> usize {
        match value {
            Value::String(text) => usize::from(named && text.contains(CANARY)),
            Value::Array(list) => list.iter().map(|value| secrets(value, false)).sum(),
            Value::Table(table) => table.iter().map(|(name, value)| secrets(value, name == "secret")).sum(),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => 0,
        }
    }
    let table = text.parse().map(Value::Table);
    table.is_ok_and(|table| secrets(&table, false) == text.matches(CANARY).count())
}
