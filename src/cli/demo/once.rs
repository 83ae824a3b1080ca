//! Runs every line of the demo and compares what came back with what was expected.

use std::io::{self, Write};
use std::process::Command;

use anstyle::{AnsiColor, Style};
use comfy_table::Table;

use super::cases::Case;

/// The longest that one line may take, in seconds, as curl counts it.
const PATIENCE: &str = "20";

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// The first program that the lines need and that cannot be run here.
pub(super) fn missing() -> Option<&'static str> {
    let needed = [("curl", "--version"), ("openssl", "version")];
    needed.into_iter().find(|(program, argument)| !runs(program, argument)).map(|(program, _)| program)
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// Runs all of them and prints the table. `Ok(true)` if every answer was the expected one.
pub(super) fn run(cases: &[Case], mut out: impl Write) -> io::Result<bool> {
    let results: Vec<Got> = cases.iter().map(ask).collect::<io::Result<_>>()?;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["vendor", "case", "expected", "got", ""]);
    for (case, got) in cases.iter().zip(&results) {
        let verdict = if got.agrees() { "ok" } else { "NO" };
        table.add_row([case.vendor.name(), case.what, &case.status.to_string(), &got.status_text(), verdict]);
    }
    for line in table.lines() {
        let line = line.trim_end();
        let style = match line.rsplit(' ').next() {
            Some("ok") => GOOD,
            Some("NO") => BAD,
            Some(_) | None => Style::new().bold(),
        };
        writeln!(out, "{style}{line}{style:#}")?;
    }
    let failed: Vec<(&Case, &Got)> = cases.iter().zip(&results).filter(|(_, got)| !got.agrees()).collect();
    for (case, got) in &failed {
        writeln!(out, "\n{BAD}{}: {}{BAD:#}\n  {}", case.vendor.title(), case.what, case.curl.line())?;
        for difference in &got.differences {
            writeln!(out, "  {difference}")?;
        }
    }
    writeln!(out, "\n{} of {} lines answered as expected.", cases.len() - failed.len(), cases.len())?;
    Ok(failed.is_empty())
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: Option<u16>,
    differences: Vec<String>,
}

impl Got {
    fn agrees(&self) -> bool {
        self.differences.is_empty()
    }

    fn status_text(&self) -> String {
        self.status.map_or("nothing".to_owned(), |status| status.to_string())
    }
}

fn ask(case: &Case) -> io::Result<Got> {
    // By a shell, as it is pasted. `-q` comes first, so that curl does not read the options of whoever runs the demo; nor
    // may a proxy stand in between, for a curl within the line neither.
    let line = case.curl.line_with(&["-q", "--max-time", PATIENCE]);
    let output = Command::new("sh").arg("-c").arg(line).env("no_proxy", "*").env("NO_PROXY", "*").output()?;
    Ok(compare(case, &output.stdout, &output.stderr))
}

fn compare(case: &Case, answer: &[u8], complaint: &[u8]) -> Got {
    let answer = String::from_utf8_lossy(answer);
    let status = status(&answer);
    let mut differences = Vec::new();
    if status != Some(case.status) {
        let complaint = String::from_utf8_lossy(complaint);
        let got = status.map_or_else(|| format!("no answer: {}", complaint.trim()), |status| status.to_string());
        differences.push(format!("expected {}, got {got}", case.status));
    }
    differences
        .extend(case.shows.iter().filter(|text| !answer.contains(*text)).map(|text| format!("not there: {text}")));
    differences.extend(case.hides.iter().filter(|text| answer.contains(*text)).map(|text| format!("there: {text}")));
    if !differences.is_empty() && status.is_some() {
        differences.push(format!("the answer: {}", answer.trim_end().replace('\n', "\n    ")));
    }
    Got { status, differences }
}

/// The status of the last head in what curl printed: a `100 Continue` may stand before it.
fn status(answer: &str) -> Option<u16> {
    let mut rest = answer;
    loop {
        let line = rest.strip_prefix("HTTP/")?.lines().next()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        if status >= 200 {
            return Some(status);
        }
        rest = rest.split_once("\r\n\r\n")?.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::cases::tests::case;

    #[test]
    fn the_status_is_the_final_one() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500", Some(200)),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Payload Too Large\r\n\r\n", Some(413)),
            ("HTTP/2 404 \r\n\r\n", Some(404)),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            ("curl: nothing", None),
            ("", None),
        ] {
            assert_eq!(status(answer), expected, "{answer}");
        }
    }

    #[test]
    fn a_line_agrees_only_if_status_and_texts_do() {
        for (what, answer, agrees) in [
            ("all as expected", "HTTP/1.1 200 OK\r\n\r\nlook: a picture", true),
            ("another status", "HTTP/1.1 201 Created\r\n\r\na picture", false),
            ("a text that is missing", "HTTP/1.1 200 OK\r\n\r\nnothing", false),
            ("a text that must not be there", "HTTP/1.1 200 OK\r\n\r\na picture and a secret", false),
            ("nothing at all", "", false),
        ] {
            assert_eq!(compare(&case(200, "a picture", "secret"), answer.as_bytes(), b"").agrees(), agrees, "{what}");
        }
    }
}
