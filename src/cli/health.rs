//! `vidgate health`: whether the gateway that runs lives or is ready, for scripts and containers.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::operator::{Probed, Trouble, probe, visible};
use super::{Configuration, print};
use crate::config;

/// Which gateway, and what is asked.
#[derive(Args, Debug)]
pub(super) struct Health {
    #[command(flatten)]
    configuration: Configuration,
    /// Ask whether requests should be sent to it, and not only whether it lives
    #[arg(long)]
    ready: bool,
}

impl Health {
    /// Asks.
    pub(super) fn run(&self) -> ExitCode {
        let ways = config::ways(&self.configuration.config);
        let ways = ways.map_err(|report| Trouble::Configuration(report.render(true)));
        match ways.and_then(|ways| probe(&ways, if self.ready { "/ready" } else { "/live" })) {
            Ok(probed) => match said(&probed) {
                Ok(line) => print(&line),
                Err(trouble) => trouble.tell(),
            },
            Err(trouble) => trouble.tell(),
        }
    }
}

fn said(probed: &Probed) -> Result<String, Trouble> {
    let document = serde_json::from_slice::<Value>(&probed.body).unwrap_or_default();
    let detail = document["detail"].as_str().map(visible);
    match detail {
        Some(detail) if probed.status.is_success() => Ok(format!("{detail}\n")),
        Some(detail) => Err(Trouble::plain(detail)),
        None => Err(Trouble::plain(format!("what answered {} is not vidgate", probed.status))),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_a_good_answer_of_a_gateway_is_good() {
        let probed = |status, body: &'static str| Probed { status, body: body.into() };
        let good = said(&probed(StatusCode::OK, r#"{"ok":true,"detail":"all is well","checks":{}}"#));
        assert_eq!(good.unwrap(), "all is well\n");
        for (status, body, expected) in [
            (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"ok":false,"detail":"stop: \u001b[2Jit ends"}"#,
                "stop: \\u{1b}[2Jit ends",
            ),
            (StatusCode::OK, "<html>", "what answered 200 OK is not vidgate"),
            (StatusCode::NOT_FOUND, "", "what answered 404 Not Found is not vidgate"),
        ] {
            assert_eq!(said(&probed(status, body)).unwrap_err().sentences(), [expected]);
        }
    }
}
