//! What is told of requests, as meant.

use crate::config::file::{Access, Lines, Log};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::invalid::Invalid;
use crate::telemetry::{Settings, access, trace};

/// How many refusals are kept where the file does not say.
const REFUSALS: usize = 1024;
/// And at most: one takes up to 4 KiB.
const MOST_REFUSALS: usize = 100_000;

/// What is told of requests, and the names in a query whose values are told nowhere.
pub(super) fn telemetry(
    written: &Log,
    traces: Option<&trace::Settings>,
    source: &Source,
    report: &mut Report,
) -> (Settings, Vec<Box<str>>) {
    if let Some(refusals) = written.refusals.as_ref().filter(|refusals| refusals.value > MOST_REFUSALS) {
        let invalid = Invalid::new(format!("at most {MOST_REFUSALS} refusals are kept"));
        report.error(
            refusals.place.clone(),
            invalid.hint("they lie in memory; what is to be kept for long is in the log"),
        );
    }
    let refusals = written.refusals.as_ref().map_or(REFUSALS, |refusals| refusals.value);
    let traces = traces.map(|traces| traces.sampling.clone());
    let redact = redacted(written, report);
    (Settings { access: lines(written, source, report), refusals, traces }, redact)
}

fn lines(written: &Log, source: &Source, report: &mut Report) -> Option<access::Settings> {
    let lines = match &written.access {
        Some(Access::Written(false)) => return None,
        Some(Access::Written(true)) | None => &Lines::default(),
        Some(Access::As(lines)) => lines,
    };
    let file = lines.file.as_ref().map(|file| {
        let path = source.path(&file.value);
        if path.is_dir() {
            let invalid = Invalid::new("this is a folder");
            report.error(file.place.clone(), invalid.hint("name the file that lines are added to"));
        }
        path
    });
    let sample = lines.sample.as_ref().and_then(|sample| {
        let share = access::Share::new(sample.value);
        if share.is_none() {
            let invalid = Invalid::new("a part of the requests is more than 0 and at most 1");
            report
                .error(sample.place.clone(), invalid.hint("0.01 is one in a hundred; access = false leaves no lines"));
        }
        share
    });
    Some(access::Settings { format: lines.format, file, sample: sample.unwrap_or_default() })
}

/// The names in a query whose values are told nowhere.
fn redacted(written: &Log, report: &mut Report) -> Vec<Box<str>> {
    for name in &written.redact {
        if name.value.is_empty() || name.value.contains(['=', '&', ';', '?', '%']) {
            let invalid = Invalid::new("this is not a name that a query could hold");
            report.error(name.place.clone(), invalid.hint("write it as it reads once it is decoded: \"session_id\""));
        }
    }
    written.redact.iter().map(|name| name.value.as_str().into()).collect()
}
