//! `vidgate reload`: has the gateway that runs read its configuration anew.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::operator::{Call, Operator, Trouble, Where, operate_gateway, visible};

/// What has a gateway without an admin listener do the same.
const OTHERWISE: &str = "SIGHUP has it read its configuration anew";

/// Which gateway.
#[derive(Args, Debug)]
pub(super) struct Reload {
    #[command(flatten)]
    place: Where,
}

impl Reload {
    /// Asks for it over the admin API, and says what is unwise in what is in force then.
    pub(super) fn run(&self) -> ExitCode {
        operate_gateway(&self.place, OTHERWISE, |operator| reload(operator, &mut anstream::stdout()))
    }
}

fn reload(operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
    let answer = operator.call(Call::post(&["reload"]).json(json!({})))?;
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(out, "warning: {}", visible(warning))?;
    }
    Ok(writeln!(out, "The configuration was read anew.")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::operator::recorder::Recorder;

    #[test]
    fn what_is_unwise_is_told_and_what_is_wrong_is_trouble() {
        let mut out = Vec::new();
        let mut recorder = Recorder::answering([(200, json!({ "warnings": ["vidgate.toml:1:1: \u{1b}[2Junwise"] }))]);
        reload(&mut recorder, &mut out).unwrap();
        assert_eq!(recorder.asked[0].line, "POST /v1/reload");
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("unwise\nThe configuration was read anew.\n") && !text.contains('\u{1b}'), "{text}");
        let problem = json!({ "title": "Conflict", "status": 409, "detail": "nothing was changed: 1 error" });
        let trouble = reload(&mut Recorder::answering([(409, problem)]), &mut Vec::new()).unwrap_err();
        assert!(trouble.sentences()[0].contains("nothing was changed"));
    }
}
