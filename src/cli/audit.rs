//! `vidgate audit`: who did what and when, and whether anybody has meddled with the record of it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::manage;
use super::operator::{Call, Operator, Trouble, Where, operate, visible};

/// What is shown of the trail.
#[derive(Args, Debug)]
pub(super) struct Audit {
    /// Only what came after this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Walk the whole trail and say whether it is whole, instead of listing it
    #[arg(long, conflicts_with_all = ["after", "limit"])]
    verify: bool,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Audit {
    /// Lists or verifies.
    pub(super) fn run(&self) -> ExitCode {
        operate(&self.place, |operator| {
            let mut out = io::BufWriter::new(anstream::stdout());
            if self.verify {
                self.verify(operator, &mut out)?;
            } else {
                self.list(operator, &mut out)?;
            }
            Ok(out.flush()?)
        })
    }

    fn list(&self, operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
        let mut rest = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut after = (self.after > 0).then(|| self.after.to_string());
        let mut rows = Vec::new();
        while rest > 0 {
            let limit = rest.min(1000).to_string();
            let call = Call::get(&["audit"]).query(&[("limit", Some(&limit)), ("after", after.as_deref())]);
            let mut page = operator.call(call)?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else { break };
            rest = rest.saturating_sub(items.len());
            for item in &items {
                if self.json { writeln!(out, "{item}")? } else { rows.extend(deed(item)) }
            }
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        if !self.json {
            let header = ["number", "at", "actor", "action", "resource", "id", "fields"];
            out.write_all(manage::drawn(&header, rows, io::stdout().is_terminal()).as_bytes())?;
        }
        Ok(())
    }

    fn verify(&self, operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
        let trail = operator.call(Call::get(&["audit", "verify"]))?;
        let (deeds, head) = (&trail["deeds"], visible(trail["head"].as_str().unwrap_or_default()));
        if self.json {
            writeln!(out, "{trail}")?;
        }
        match trail["broken_at"].as_u64() {
            Some(place) => {
                out.flush()?;
                Err(Trouble::plain(format!("the audit trail does not hold: it was altered at number {place}")))
            }
            None if self.json => Ok(()),
            None => Ok(writeln!(out, "The audit trail is whole: {deeds} deeds.\nhead: {head}")?),
        }
    }
}

/// One row a change; only the first says who and when.
fn deed(deed: &Value) -> Vec<Vec<String>> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => visible(text),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(visible).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    let changes = deed["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |(place, change): (usize, &Value)| {
        let once = |key: &str| if place == 0 { text(&deed[key]) } else { String::new() };
        let own = ["action", "resource", "id", "fields"].map(|key| text(&change[key]));
        [once("sequence"), once("at"), once("actor")].into_iter().chain(own).collect()
    };
    changes.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::operator::recorder::Recorder;

    fn audit(verify: bool, json: bool) -> Audit {
        Audit { after: 0, limit: None, verify, json, place: Where::nowhere() }
    }

    #[test]
    fn each_change_of_a_deed_has_a_row() {
        let change = |action: &str, fields: &[&str]| json!({ "action": action, "resource": "camera", "id": "c", "fields": fields });
        let deed = json!({
            "sequence": 7, "at": "2026-01-01T00:00:00Z", "actor": "token:alice", "link": "00",
            "changes": [change("change", &["name", "expires"]), change("delete", &[])],
        });
        let pages = [(200, json!({ "items": [deed], "next": "7" })), (200, json!({ "items": [] }))];
        let mut recorder = Recorder::answering(pages);
        let mut out = Vec::new();
        audit(false, false).list(&mut recorder, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["7", "2026-01-01T00:00:00Z", "token:alice", "change", "camera", "c", "name,", "expires"]);
        assert_eq!(rows[2], ["delete", "camera", "c"]);
        assert_eq!(recorder.asked[1].line, "GET /v1/audit?limit=1000&after=7");
    }

    #[test]
    fn a_trail_that_does_not_hold_is_trouble() {
        let trail = |broken: Value| (200, json!({ "deeds": 3, "head": "ab", "broken_at": broken }));
        let mut out = Vec::new();
        audit(true, false).verify(&mut Recorder::answering([trail(Value::Null)]), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "The audit trail is whole: 3 deeds.\nhead: ab\n");
        let broken = audit(true, true).verify(&mut Recorder::answering([trail(json!(2))]), &mut Vec::new());
        assert!(broken.unwrap_err().sentences()[0].ends_with("at number 2"));
    }
}
