//! `vidgate status`: how the gateway that runs is doing, for people.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::manage::drawn;
use super::operator::{Call, Operator, Reached, Trouble, Where, reach, visible};
use super::{complain, print};
use crate::admin::status::{Certificate, Listener, Status as Document, Upstream, Worker};

/// Where no gateway answers.
const NOBODY: u8 = 2;
/// A certificate that is good for fewer days is worth a word.
const SOON: i64 = 14;

/// Which gateway.
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Status {
    /// Asks for it over the admin API.
    pub(super) fn run(&self) -> ExitCode {
        let asked = match reach(&self.place) {
            Ok(Reached::Gateway(mut operator)) => self.ask(&mut *operator, io::stdout().is_terminal()),
            Ok(Reached::Nobody(address)) => {
                complain(&format!("vidgate: no gateway answers at {address}\n"));
                return NOBODY.into();
            }
            Err(trouble) => Err(trouble),
        };
        match asked {
            Ok((text, well)) => {
                let printed = print(&text);
                if well { printed } else { ExitCode::FAILURE }
            }
            Err(trouble) => {
                trouble.tell();
                NOBODY.into()
            }
        }
    }

    /// What is shown, and whether all is well.
    fn ask(&self, operator: &mut dyn Operator, lines: bool) -> Result<(String, bool), Trouble> {
        let answer = operator.call(Call::get(&["status"]))?;
        let well = answer["ready"]["ok"] == Value::Bool(true);
        if self.json {
            return Ok((format!("{answer}\n"), well));
        }
        let status: Document = serde_json::from_value(answer)
            .map_err(|_| Trouble::plain("the gateway is of another version: ask with --json"))?;
        Ok((page(&status, lines), well))
    }
}

/// All of it on one page.
fn page(status: &Document, lines: bool) -> String {
    let mut page = head(status);
    let mut section = |header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            let rows = rows.into_iter().map(|row| row.iter().map(|cell| visible(cell)).collect());
            let _ = write!(page, "\n{}", drawn(header, rows, lines));
        }
    };
    section(&["listener", "address", "connections", "certificates"], status.listeners.iter().map(listener).collect());
    section(&["worker", "state", "lag", "connections", "in flight"], status.workers.iter().map(worker).collect());
    section(&["upstream", "endpoint", "state", "why"], status.upstreams.iter().flat_map(upstream).collect());
    let only_log = |log_only: bool| if log_only { "only says so in the log" } else { "" }.to_owned();
    let limits = status.limits.iter().map(|own| vec![own.name.clone(), own.measure.clone(), only_log(own.log_only)]);
    section(&["limit", "measures", ""], limits.collect());
    let guards = status
        .guards
        .iter()
        .map(|own| vec![own.name.clone(), own.counted.to_string(), own.held.to_string(), only_log(own.log_only)]);
    section(&["guard", "counted", "held", ""], guards.collect());
    for warning in &status.configuration.warnings {
        let _ = write!(page, "\nwarning: {}", visible(warning));
    }
    if !status.configuration.warnings.is_empty() {
        page.push('\n');
    }
    page
}

fn head(status: &Document) -> String {
    let configuration = &status.configuration;
    let mut rows = vec![
        ("ready", if status.ready.ok { "yes".to_owned() } else { format!("no: {}", status.ready.detail) }),
        ("vidgate", format!("{}, process {}, up {}", status.version, status.pid, span(status.uptime_seconds))),
        (
            "configuration",
            format!(
                "{}, number {}, in force since {}",
                configuration.path.as_deref().unwrap_or("not from a file"),
                configuration.generation,
                configuration.loaded.to_text()
            ),
        ),
    ];
    if let Some(last) = &configuration.last_reload {
        rows.push(("last reload", format!("{}: {}", last.at.to_text(), last.summary)));
    }
    if let Some(store) = &status.store {
        let last = store.last_commit.map_or_else(String::new, |at| format!(", last change {}", at.to_text()));
        let state = match (store.read_only, store.renewing) {
            (true, _) => ", read only",
            (false, true) => ", entries are being renewed",
            (false, false) => "",
        };
        let (entries, size, queue) = (store.entries, bytes(store.file_bytes), store.queue);
        rows.push(("store", format!("{entries} entries, {size}, {queue} changes waiting{last}{state}")));
    }
    let most = status.memory.max_bytes.map_or_else(String::new, |most| format!(" of {}", bytes(most)));
    rows.push(("memory", status.memory.resident_bytes.map_or_else(|| "unknown".to_owned(), bytes) + &most));
    rows.iter().fold(String::new(), |mut head, (name, text)| {
        let _ = writeln!(head, "{name:<14} {}", visible(text));
        head
    })
}

fn listener(listener: &Listener) -> Vec<String> {
    let connections = match (listener.connections, listener.max_connections) {
        (Some(own), Some(most)) => format!("{own} of {most}"),
        (own, _) => own.map(|own| own.to_string()).unwrap_or_default(),
    };
    let address = if listener.up { listener.address.clone() } else { format!("{} (DOWN)", listener.address) };
    let certificate = |own: &Certificate| match own.days_left {
        ..0 => format!("{}: OVER", own.file),
        left @ 0..SOON => format!("{}: {left} days left, RENEW IT", own.file),
        left => format!("{}: {left} days left", own.file),
    };
    let certificates = listener.certificates.iter().map(certificate).collect::<Vec<_>>().join(", ");
    vec![listener.name.clone(), address, connections, certificates]
}

fn worker(worker: &Worker) -> Vec<String> {
    let state = match (&worker.overload, worker.alive) {
        (_, false) => "DOES NOT COME ROUND".to_owned(),
        (Some(why), true) => format!("REFUSES: {why}"),
        (None, true) => "well".to_owned(),
    };
    let lag = format!("{:.1} ms", worker.lag_seconds * 1e3);
    vec![worker.number.to_string(), state, lag, worker.connections.to_string(), worker.requests_in_flight.to_string()]
}

fn upstream(upstream: &Upstream) -> Vec<Vec<String>> {
    let row = |(at, own): (usize, &crate::admin::status::Endpoint)| {
        let name = if at == 0 { upstream.name.clone() } else { String::new() };
        vec![name, own.url.clone(), own.state.clone(), own.why.clone().unwrap_or_default()]
    };
    upstream.endpoints.iter().enumerate().map(row).collect()
}

fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::operator::recorder::Recorder;

    fn document() -> Value {
        let endpoint = json!({ "url": "http://10.0.0.5:80", "state": "resting", "why": "left alone \u{1b}[2J" });
        let certificate = |days: i64| json!({ "file": "a.pem", "days_left": days });
        json!({
            "version": "0.1.0", "pid": 7, "started": "2025-01-01T00:00:00Z", "uptime_seconds": 90_000,
            "ready": { "ok": false, "detail": "stop: it is about to end", "checks": {} },
            "configuration": {
                "path": "vidgate.toml", "generation": 3, "loaded": "2025-01-01T01:00:00Z",
                "last_reload": { "at": "2025-01-01T02:00:00Z", "ok": false, "summary": "nothing was changed: 1 error" },
                "warnings": ["vidgate.toml:1:1: unwise"],
            },
            "listeners": [{
                "name": "public", "address": "0.0.0.0:443", "up": false, "connections": 3, "max_connections": 10,
                "certificates": [certificate(90), certificate(3), certificate(-1)],
            }],
            "workers": [{
                "number": 0, "alive": true, "lag_seconds": 0.0005, "connections": 3, "requests_in_flight": 1, "generation": 3,
                "overload": "it does not keep up",
            }],
            "upstreams": [{ "name": "api", "endpoints": [endpoint] }],
            "limits": [{ "name": "hourly", "measure": "quota", "log_only": true }],
            "guards": [{ "name": "guess", "counted": 5, "held": 2, "log_only": false }],
            "store": {
                "entries": 12, "file_bytes": 1_048_576, "queue": 0, "last_commit": "2025-01-01T03:00:00Z",
                "read_only": false, "renewing": false,
            },
            "memory": { "resident_bytes": 20_971_520, "max_bytes": null },
        })
    }

    #[test]
    fn all_that_is_wrong_stands_on_the_page_and_nothing_moves_the_cursor() {
        let status = Status { json: false, place: Where::nowhere() };
        let mut recorder = Recorder::answering([(200, document())]);
        let (page, well) = status.ask(&mut recorder, false).unwrap();
        assert_eq!((recorder.asked[0].line.as_str(), well), ("GET /v1/status", false));
        for expected in [
            "no: stop: it is about to end",
            "up 1 d 1 h",
            "vidgate.toml, number 3",
            "nothing was changed: 1 error",
            "12 entries, 1.0 MiB, 0 changes waiting, last change 2025-01-01T03:00:00Z",
            "20.0 MiB",
            "(DOWN)",
            "3 of 10",
            "90 days left",
            "3 days left, RENEW IT",
            "OVER",
            "REFUSES: it does not keep up",
            "0.5 ms",
            "resting",
            "left alone",
            "only says so in the log",
            "warning: vidgate.toml:1:1: unwise",
        ] {
            assert!(page.contains(expected), "{expected}:\n{page}");
        }
        assert!(!page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn what_is_for_scripts_is_the_document_itself() {
        let status = Status { json: true, place: Where::nowhere() };
        let mut answer = document();
        answer["ready"]["ok"] = true.into();
        let (text, well) = status.ask(&mut Recorder::answering([(200, answer.clone())]), false).unwrap();
        assert_eq!((serde_json::from_str::<Value>(&text).unwrap(), well), (answer, true));
    }
}
