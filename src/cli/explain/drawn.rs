//! An explanation as people read it: a tree, one line a step, in the order of the rooms.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::cli::operator::visible;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Draws it; `by` is who gives it. Signs are for terminals, words for everything else.
pub(super) fn drawn(explanation: &Value, by: &str, signs: bool) -> String {
    let mut text = format!("By {}:\n\n", visible(by));
    for step in steps(explanation) {
        line(&mut text, step, 0, signs);
    }
    text.push('\n');
    verdict(&mut text, explanation);
    text
}

fn steps(value: &Value) -> &[Value] {
    value["steps"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value) -> String {
    visible(value.as_str().unwrap_or_default())
}

fn line(text: &mut String, step: &Value, depth: usize, signs: bool) {
    let (style, sign, plain) = match step["outcome"].as_str() {
        Some("passed") => (GOOD, "✓", "yes"),
        Some("failed") => (BAD, "✗", "NO "),
        Some("skipped") => (FAINT, "–", "-  "),
        _ => (FAINT, "·", "   "),
    };
    let mark = if signs { sign } else { plain };
    let (indent, name, says) = ("   ".repeat(depth), word(&step["step"]), word(&step["says"]));
    // Writing to a text cannot fail.
    let _ = if depth == 0 {
        writeln!(text, "{style}{mark}{style:#} {name}: {says}")
    } else {
        writeln!(text, "{indent}{style}{mark}{style:#} {FAINT}{name}:{FAINT:#} {says}")
    };
    for within in steps(step) {
        line(text, within, depth + 1, signs);
    }
}

fn verdict(text: &mut String, explanation: &Value) {
    let answer = &explanation["answer"];
    let (status, cause) = (&answer["status"], word(&explanation["cause"]));
    let _ = match explanation["decision"].as_str() {
        Some("admitted") if answer.is_object() => {
            writeln!(
                text,
                "{GOOD}It would be let in. It is only decided here: the proxy is answered {status}, with{GOOD:#}"
            )
        }
        Some("admitted") => writeln!(text, "{GOOD}It would be let in.{GOOD:#}"),
        Some("answered") => writeln!(text, "{GOOD}The gateway would answer it itself, with {status}.{GOOD:#}"),
        _ => writeln!(text, "{BAD}It would be refused with {status}: {cause}.{BAD:#}"),
    };
    let headers = answer["headers"].as_array().into_iter().flatten();
    for header in headers {
        let _ = writeln!(text, "   {FAINT}{}: {}{FAINT:#}", word(&header[0]), word(&header[1]));
    }
    let body = word(&answer["body"]);
    if !body.is_empty() {
        let _ = writeln!(text, "   {FAINT}{body}{FAINT:#}");
    }
}
