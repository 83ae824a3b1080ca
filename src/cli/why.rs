//! `vidgate why`: what the gateway that runs has on record of a request that it refused.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::manage;
use super::operator::{Call, Operator, Trouble, Where, operate_gateway, visible};

/// Which request.
#[derive(Args, Debug)]
#[command(override_usage = "vidgate why [OPTIONS] <ID>\n       vidgate why [OPTIONS] --last [<N>]")]
pub(super) struct Why {
    /// The id of the request: `X-Request-Id` of its answer
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    id: Option<String>,
    /// List the last ones instead, at most so many
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    last: Option<u32>,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Why {
    /// Asks for it over the admin API.
    pub(super) fn run(&self) -> ExitCode {
        operate_gateway(&self.place, "its log has the cause of every refusal", |operator| {
            super::print(&self.ask(operator, io::stdout().is_terminal())?);
            Ok(())
        })
    }

    fn ask(&self, operator: &mut dyn Operator, lines: bool) -> Result<String, Trouble> {
        let Some(id) = &self.id else {
            let limit = self.last.unwrap_or(20).to_string();
            let listing = operator.call(Call::get(&["refusals"]).query(&[("limit", Some(&limit))]))?;
            let items = listing["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            if self.json {
                return Ok(items.iter().flat_map(|item| [item.to_string(), "\n".to_owned()]).collect());
            }
            let keys = ["at", "request_id", "status", "cause", "route", "account", "client_ip"];
            let rows = items.iter().map(|item| keys.iter().map(|key| text(&item[*key])).collect());
            return Ok(manage::drawn(&keys, rows.collect::<Vec<_>>(), lines));
        };
        let refusal = operator.call(Call::get(&["refusals", id]))?;
        Ok(if self.json { format!("{refusal}\n") } else { told(&refusal) })
    }
}

/// What is on record, for people.
fn told(refusal: &Value) -> String {
    let is = |key: &str| !refusal[key].is_null();
    let of = |key: &str| text(&refusal[key]);
    let verb = if of("decision") == "failed" { "failed" } else { "was refused" };
    let mut told = format!("Request {} {verb} with status {}.\n\n", of("request_id"), of("status"));
    let mut line = |name: &str, text: String| {
        if !text.trim().is_empty() {
            writeln!(told, "  {name:<10} {text}").expect("memory takes all");
        }
    };
    let joined = |keys: &[&str]| keys.iter().filter(|key| is(key)).map(|key| of(key)).collect::<Vec<_>>().join(", ");
    line("when", of("at"));
    let query = if is("query") { format!("?{}", of("query")) } else { String::new() };
    line("what", format!("{} {}{}{query}", of("method"), of("host"), of("path")));
    line("from", format!("{} by {}, listener {}", of("client_ip"), of("peer"), of("listener")));
    line("with", of("user_agent"));
    line("route", if is("route") { of("route") } else { "none was chosen".to_owned() });
    line("who", if is("subject") { joined(&["subject", "account", "scheme"]) } else { "nobody was proven".to_owned() });
    line("upstream", joined(&["upstream", "endpoint"]));
    line("cause", format!("{}: {}", of("cause"), of("detail")));
    write!(told, "\n{} {}\n", of("meaning"), of("hint")).expect("memory takes all");
    told
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::operator::recorder::Recorder;

    #[derive(Debug, Parser)]
    enum Line {
        Why(Why),
    }

    fn said(line: &[&str], answer: (u16, Value)) -> (String, Result<String, Trouble>) {
        let mut recorder = Recorder::answering([answer]);
        let Line::Why(why) = Line::try_parse_from([&["vidgate", "why"], line].concat()).expect("a line");
        let told = why.ask(&mut recorder, false);
        (recorder.asked.remove(0).line, told)
    }

    fn refusal() -> Value {
        json!({
            "request_id": "an-id", "at": "2027-01-15T08:00:00.000000Z", "decision": "refused", "status": 401,
            "cause": "credential_unknown", "detail": "no such key", "meaning": "Nobody has it.",
            "hint": "Look whether it was deleted.", "listener": "public", "client_ip": "203.0.113.9",
            "peer": "127.0.0.1:4711", "method": "GET", "host": "a.test", "path": "/x\u{1b}[2J", "query": "token=***",
            "route": "all", "duration_us": 12,
        })
    }

    #[test]
    fn what_is_on_record_is_told_in_words() {
        let (asked, told) = said(&["a/id"], (200, refusal()));
        assert_eq!(asked, "GET /v1/refusals/a%2Fid");
        assert_eq!(
            told.unwrap(),
            "Request an-id was refused with status 401.\n\n\
             \x20 when       2027-01-15T08:00:00.000000Z\n\
             \x20 what       GET a.test/x\\u{1b}[2J?token=***\n\
             \x20 from       203.0.113.9 by 127.0.0.1:4711, listener public\n\
             \x20 route      all\n\
             \x20 who        nobody was proven\n\
             \x20 cause      credential_unknown: no such key\n\
             \nNobody has it. Look whether it was deleted.\n"
        );
    }

    #[test]
    fn the_last_ones_are_listed_and_an_id_that_is_not_there_is_trouble() {
        let (asked, told) = said(&["--last", "5"], (200, json!({ "items": [refusal()] })));
        assert_eq!(asked, "GET /v1/refusals?limit=5");
        assert!(told.unwrap().contains("credential_unknown"));
        let (asked, told) = said(&["--last", "--json"], (200, json!({ "items": [refusal(), refusal()] })));
        assert_eq!((asked.as_str(), told.unwrap().lines().count()), ("GET /v1/refusals?limit=20", 2));
        let (_, told) = said(&["no-id"], (404, json!({ "title": "Not Found", "status": 404, "detail": "no request" })));
        assert!(told.unwrap_err().sentences()[0].contains("no request"));
        assert!(Line::try_parse_from(["vidgate", "why"]).is_err());
    }
}
