//! `vidgate lint`: what is allowed in a configuration and unwise, with why, who still uses it, and an exit code for scripts.

mod users;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::users::Users;
use super::operator::{Where, visible};
use super::{complain, print};
use crate::config::{self, Finding, Loaded, RULES, Report, Severity};
use crate::record::Kind;
use crate::store::Purpose;

/// What is looked at, and what comes of it.
#[derive(Args, Debug)]
pub(super) struct Lint {
    /// Exit with 1 where a finding is at least so severe
    #[arg(long, value_name = "SEVERITY", default_value = "high")]
    deny: Deny,
    /// Answer in JSON, for scripts
    #[arg(long)]
    json: bool,
    /// List the rules instead of looking at a configuration
    #[arg(long)]
    rules: bool,
    /// With --rules: as a page in Markdown
    #[arg(long, requires = "rules")]
    markdown: bool,
    #[command(flatten)]
    place: Where,
}

/// From when on a finding counts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    Low,
    Medium,
    High,
}

impl From<Deny> for Severity {
    fn from(deny: Deny) -> Self {
        match deny {
            Deny::Low => Self::Low,
            Deny::Medium => Self::Medium,
            Deny::High => Self::High,
        }
    }
}

impl Lint {
    /// Looks, and says what was found.
    pub(super) fn run(&self) -> ExitCode {
        if self.rules {
            return print(&if self.markdown { config::document_of_rules() } else { rules(self.json) });
        }
        let loaded = match config::load(&self.place.configuration.config, Purpose::Look) {
            Ok(loaded) => loaded,
            Err(report) if self.json => {
                print(&format!("{:#}\n", document(&report, &[])));
                return ExitCode::FAILURE;
            }
            Err(report) => {
                complain(&report.render(true));
                return ExitCode::FAILURE;
            }
        };
        let users = self.users(&loaded);
        let report = &loaded.warnings;
        let said = if self.json { format!("{:#}\n", document(report, &users)) } else { drawn(report, &users) };
        let denied = report.findings().any(|finding| finding.severity() >= self.deny.into());
        match print(&said) {
            ExitCode::SUCCESS if denied => ExitCode::FAILURE,
            code => code,
        }
    }

    /// Who has credentials of the kinds that findings are about: in the file, and in the store, which a gateway that runs
    /// is asked for.
    fn users(&self, loaded: &Loaded) -> Vec<(Kind, Users)> {
        let mut kinds: Vec<Kind> = loaded.warnings.findings().filter_map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return Vec::new();
        }
        let index = &loaded.world.directory;
        let mut users: Vec<(Kind, Users)> =
            kinds.into_iter().map(|kind| (kind, Users::declared(kind, index))).collect();
        if loaded.store.is_none() && loaded.admin.is_some() {
            let asked = users::ask(&self.place, &mut users);
            if let Err(trouble) = asked {
                trouble.tell();
            }
        }
        users
    }
}

fn rules(json: bool) -> String {
    if json {
        let rules = RULES.iter().map(|rule| {
            json!({
                "rule": rule.id, "severity": rule.severity.name(), "about": rule.about, "why": rule.why, "help": rule.mend,
            })
        });
        return format!("{:#}\n", rules.collect::<Value>());
    }
    let severities = Severity::ALL.into_iter().rev();
    let of = |severity| RULES.iter().filter(move |rule| rule.severity == severity);
    let told = severities.flat_map(of).map(|rule| {
        format!(
            "{:<6} {}\n       {}.\n       Why: {}.\n       Remedy: {}.\n",
            rule.severity, rule.id, rule.about, rule.why, rule.mend
        )
    });
    told.collect::<Vec<_>>().join("\n")
}

fn drawn(report: &Report, users: &[(Kind, Users)]) -> String {
    let counted = |severity: Severity| {
        let count = report.findings().filter(|finding| finding.severity() == severity).count();
        format!("{count} {severity}")
    };
    let mut said: String = report.explain(true);
    if !users.is_empty() {
        said.push_str("Who has what these findings are about:\n");
        said.extend(users.iter().map(|(kind, users)| format!("  {}\n", visible(&users.sentence(*kind)))));
        said.push('\n');
    }
    let counts: Vec<String> = Severity::ALL.into_iter().rev().map(counted).collect();
    said + &format!("{}: {}\n", report.name(), counts.join(", "))
}

fn document(report: &Report, users: &[(Kind, Users)]) -> Value {
    let finding = |finding: Finding<'_>| {
        let (line, column) = finding.place.unzip();
        let own = finding.kind.and_then(|kind| users.iter().find(|(own, _)| *own == kind));
        json!({
            "rule": finding.rule.map(|rule| rule.id),
            "severity": finding.severity().name(),
            "line": line,
            "column": column,
            "route": finding.route,
            "message": finding.message,
            "why": finding.rule.map(|rule| rule.why),
            "help": finding.hint,
            "credentials": own.map(|(kind, users)| users.document(*kind)),
        })
    };
    let mistake = |(place, message): (String, String)| json!({ "place": place, "message": message });
    json!({
        "file": report.name(),
        "errors": report.mistakes().map(mistake).collect::<Vec<_>>(),
        "findings": report.findings().map(finding).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
