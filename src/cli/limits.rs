//! `vidgate usage` and `vidgate failures`: what is counted of requests.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use super::manage;
use super::operator::{Call, Operator, Trouble, Where, operate_gateway, running, visible};

/// Whose quotas.
#[derive(Args, Debug)]
pub(super) struct Usage {
    /// The id of the account
    account: String,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What can be done about wrong credentials.
#[derive(Debug, Subcommand)]
pub(super) enum Failures {
    /// List from where wrong credentials came, the most first, and what is refused for it.
    #[command(
        after_help = "Example: vidgate failures list --address 203.0.113.9\n\nIt is kept by the gateway that runs, and gone when it stops. Identifiers are not kept: ask for the one that you mean."
    )]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Answer in JSON, for scripts
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Forget wrong credentials, so that nothing is refused for them any more.
    #[command(
        after_help = "Example: vidgate failures clear --address 203.0.113.9",
        group = ArgGroup::new("whose").args(["address", "identifier", "all"]).required(true).multiple(true)
    )]
    Clear {
        #[command(flatten)]
        which: Which,
        /// Forget those of everybody
        #[arg(long, conflicts_with_all = ["address", "identifier"])]
        all: bool,
        #[command(flatten)]
        place: Where,
    },
}

/// Which of them.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// What concerns a caller at this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// What concerns this identifier, as callers send it
    #[arg(long, value_name = "ID")]
    identifier: Option<String>,
}

impl Usage {
    /// Shows them.
    pub(super) fn run(&self) -> ExitCode {
        operate_gateway(&self.place, "its answers have `RateLimit` fields", |operator| {
            super::print(&self.ask(operator, io::stdout().is_terminal())?);
            Ok(())
        })
    }

    fn ask(&self, operator: &mut dyn Operator, lines: bool) -> Result<String, Trouble> {
        let usage = operator.call(Call::get(&["usage"]).query(&[("account", Some(&self.account))]))?;
        let quotas = usage["quotas"].as_array().map(Vec::as_slice).unwrap_or_default();
        if self.json {
            return Ok(format!("{usage}\n"));
        }
        if quotas.is_empty() {
            return Ok("No limit has a quota for accounts.\n".to_owned());
        }
        let keys = ["limit", "period", "spent", "quota", "remaining", "start", "end"];
        Ok(table(&keys, quotas, lines))
    }
}

impl Failures {
    /// Does it.
    pub(super) fn run(&self) -> ExitCode {
        let (Self::List { place, .. } | Self::Clear { place, .. }) = self;
        let tell = |operator: &mut dyn Operator| {
            super::print(&self.ask(operator, io::stdout().is_terminal())?);
            Ok(())
        };
        match running(place) {
            Ok(Some(mut gateway)) => tell(&mut *gateway).map_or_else(Trouble::tell, |()| ExitCode::SUCCESS),
            Ok(None) => operate_gateway(place, "a restart forgets wrong credentials", |_| {
                Err(Trouble::plain("no gateway runs here, and one that starts has counted nothing"))
            }),
            Err(trouble) => trouble.tell(),
        }
    }

    fn ask(&self, operator: &mut dyn Operator, lines: bool) -> Result<String, Trouble> {
        match self {
            Self::List { which, limit, json, .. } => {
                let limit = limit.to_string();
                let listing = operator.call(which.of(Call::get(&["failures"]), Some(&limit)))?;
                let items = listing["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                if *json {
                    return Ok(items.iter().flat_map(|item| [item.to_string(), "\n".to_owned()]).collect());
                }
                let keys = ["network", "identifier", "failures", "last", "until", "limit"];
                Ok(table(&keys, items, lines))
            }
            Self::Clear { which, .. } => {
                let answer = operator.call(which.of(Call::delete(&["failures"]), None))?;
                Ok(match answer["cleared"].as_u64().unwrap_or_default() {
                    0 => "There was nothing to forget.\n".to_owned(),
                    1 => "1 counter was cleared.\n".to_owned(),
                    many => format!("{many} counters were cleared.\n"),
                })
            }
        }
    }
}

impl Which {
    fn of(&self, call: Call, limit: Option<&str>) -> Call {
        let address = self.address.map(|address| address.to_string());
        call.query(&[("limit", limit), ("address", address.as_deref()), ("identifier", self.identifier.as_deref())])
    }
}

/// A column a key.
fn table(keys: &[&str], items: &[Value], lines: bool) -> String {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let rows = items.iter().map(|item| keys.iter().map(|key| text(&item[*key])).collect());
    manage::drawn(keys, rows.collect::<Vec<_>>(), lines)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::operator::recorder::Recorder;

    #[derive(Debug, Parser)]
    enum Line {
        Usage(Usage),
        #[command(subcommand)]
        Failures(Failures),
    }

    fn said(line: &[&str], answer: Value) -> (String, String) {
        let mut recorder = Recorder::answering([(200, answer)]);
        let text = match Line::try_parse_from([&["vidgate"], line].concat()).expect("a line") {
            Line::Usage(usage) => usage.ask(&mut recorder, false),
            Line::Failures(failures) => failures.ask(&mut recorder, false),
        };
        (recorder.asked.remove(0).line, text.expect("it is answered"))
    }

    #[test]
    fn each_is_one_request() {
        let usage = json!({ "account": "acme", "quotas": [{ "limit": "hourly", "spent": 7, "quota": 100 }] });
        let item = json!({ "network": "203.0.113.0/24", "identifier": "ab", "failures": 3 });
        for (line, answer, request, text) in [
            (&["usage", "a&b"][..], usage.clone(), "GET /v1/usage?account=a%26b", "hourly"),
            (&["usage", "acme"], json!({ "quotas": [] }), "GET /v1/usage?account=acme", "No limit has a quota"),
            (&["usage", "acme", "--json"], usage, "GET /v1/usage?account=acme", "\"spent\":7"),
            (&["failures", "list"], json!({ "items": [item] }), "GET /v1/failures?limit=100", "203.0.113.0/24"),
            (
                &["failures", "list", "--identifier", "8d", "--address", "::1"],
                json!({ "items": [] }),
                "GET /v1/failures?limit=100&address=%3A%3A1&identifier=8d",
                "NETWORK",
            ),
            (&["failures", "clear", "--all"], json!({ "cleared": 2 }), "DELETE /v1/failures", "2 counters"),
            (
                &["failures", "clear", "--address", "203.0.113.9"],
                json!({ "cleared": 0 }),
                "DELETE /v1/failures?address=203.0.113.9",
                "nothing to forget",
            ),
        ] {
            let (asked, shown) = said(line, answer);
            assert_eq!(asked, request);
            assert!(shown.contains(text), "{shown}");
        }
    }

    #[test]
    fn all_is_forgotten_only_where_it_is_said() {
        for wrong in [&["clear"][..], &["clear", "--all", "--address", "::1"], &["list", "--limit", "0"]] {
            assert!(Line::try_parse_from([&["vidgate", "failures"], wrong].concat()).is_err(), "{wrong:?}");
        }
        let bare = Line::try_parse_from(["vidgate", "failures", "clear"]).unwrap_err().to_string();
        assert!(bare.contains("<--address <ADDRESS>|--identifier <ID>|--all>"), "{bare}");
    }
}
