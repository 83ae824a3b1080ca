//! `vidgate store status`, `rekey` and `pepper`: the store as a whole, while it lives.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::manage;
use crate::cli::operator::{Call, Operator, Trouble, Where, operate, visible};

/// What can be done with the store as a whole.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Upkeep {
    /// Say what the store holds and how it is doing.
    #[command(after_help = "Example: vidgate store status --json")]
    Status(Status),
    /// Make a new master key and seal everything anew, while the gateway serves.
    #[command(
        after_help = "Example: vidgate store rekey\n\nThe file of the master key is replaced; keep a copy of the new one."
    )]
    Rekey {
        /// The file for the new key, where the old one comes from the environment; a path on the gateway's machine
        #[arg(long, value_name = "FILE")]
        key_file: Option<String>,
        #[command(flatten)]
        place: Where,
    },
    /// Add a pepper, or retire one.
    #[command(
        after_help = "Example: vidgate store pepper add\n\nDigests of keys are made under the newest pepper. One that no key is known under any more can be retired."
    )]
    Pepper {
        #[command(subcommand)]
        what: Pepper,
    },
}

/// How the status is shown.
#[derive(Args, Debug)]
pub(in crate::cli) struct Status {
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// What can be done with peppers.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Pepper {
    /// Add a pepper: new and freshly seen keys are known under it.
    #[command(after_help = "Example: vidgate store pepper add")]
    Add(Where),
    /// Retire a pepper under which nothing is known any more.
    #[command(after_help = "Example: vidgate store pepper retire 1")]
    Retire {
        /// Its number, as `vidgate store status` shows it
        number: u16,
        #[command(flatten)]
        place: Where,
    },
}

impl Upkeep {
    /// Does it.
    pub(super) fn run(&self) -> ExitCode {
        operate(self.place(), |operator| {
            crate::cli::print(&self.ask(operator, io::stdout().is_terminal())?);
            Ok(())
        })
    }

    fn place(&self) -> &Where {
        match self {
            Self::Status(Status { place, .. })
            | Self::Rekey { place, .. }
            | Self::Pepper { what: Pepper::Add(place) | Pepper::Retire { place, .. } } => place,
        }
    }

    fn ask(&self, operator: &mut dyn Operator, lines: bool) -> Result<String, Trouble> {
        Ok(match self {
            Self::Status(Status { json, .. }) => {
                let state = operator.call(Call::get(&["store"]))?;
                if *json { format!("{state}\n") } else { manage::drawn(&[], rows(&state), lines) }
            }
            Self::Rekey { key_file, .. } => {
                let document = key_file.as_ref().map_or(json!({}), |file| json!({ "key_file": file }));
                operator.call(Call::post(&["store", "rekey"]).json(document))?;
                "The store has a new master key; entries are sealed anew in the background.\n".to_owned()
            }
            Self::Pepper { what: Pepper::Add(_) } => {
                let answer = operator.call(Call::post(&["store", "peppers"]))?;
                format!("Pepper {} is used from now on.\n", answer["pepper"])
            }
            Self::Pepper { what: Pepper::Retire { number, .. } } => {
                operator.call(Call::delete(&["store", "peppers", &number.to_string()]))?;
                format!("Pepper {number} is retired.\n")
            }
        })
    }
}

fn rows(state: &Value) -> Vec<Vec<String>> {
    let empty = Map::new();
    let mut rows = Vec::new();
    for (key, value) in state.as_object().unwrap_or(&empty) {
        let name = key.replace('_', " ");
        match value {
            Value::Object(counts) => {
                rows.extend(counts.iter().map(|(key, value)| vec![key.replace('_', " "), value.to_string()]));
            }
            Value::Array(list) if key == "peppers" => {
                let pepper = |pepper: &Value| format!("{} ({} secrets)", pepper["number"], pepper["secrets"]);
                rows.push(vec![name, list.iter().map(pepper).collect::<Vec<_>>().join(", ")]);
            }
            Value::Array(list) => {
                rows.push(vec![name, list.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")]);
            }
            Value::Bool(truth) => rows.push(vec![name, if *truth { "yes" } else { "no" }.to_owned()]),
            Value::Null => {}
            Value::String(text) => rows.push(vec![name, visible(text)]),
            Value::Number(_) => rows.push(vec![name, value.to_string()]),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::operator::recorder::Recorder;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        upkeep: Upkeep,
    }

    fn said(line: &[&str], answer: Value) -> (String, String) {
        let mut recorder = Recorder::answering([(200, answer)]);
        let line = Line::try_parse_from([&["store"], line].concat()).unwrap();
        let text = line.upkeep.ask(&mut recorder, false).unwrap();
        (recorder.asked.remove(0).line, text)
    }

    #[test]
    fn each_is_one_request() {
        for (line, answer, request, text) in [
            (&["rekey"][..], json!({}), "POST /v1/store/rekey", "new master key"),
            (&["pepper", "add"], json!({ "pepper": 2 }), "POST /v1/store/peppers", "Pepper 2 is used"),
            (&["pepper", "retire", "1"], Value::Null, "DELETE /v1/store/peppers/1", "Pepper 1 is retired"),
            (&["status", "--json"], json!({ "deeds": 1 }), "GET /v1/store", "{\"deeds\":1}\n"),
        ] {
            let (asked, shown) = said(line, answer);
            assert_eq!(asked, request);
            assert!(shown.contains(text), "{shown}");
        }
    }

    #[test]
    fn the_status_is_a_row_each() {
        let state = json!({
            "entries": { "account": 1, "license_key": 20 }, "peppers": [{ "number": 1, "secrets": 9 }],
            "data_keys": [1, 2], "read_only": false,
        });
        let (_, text) = said(&["status"], state);
        for row in ["license key", "1 (9 secrets)", "1, 2", "read only"] {
            assert!(text.contains(row), "{text}");
        }
    }
}
