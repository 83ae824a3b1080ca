//! What the demo prints: what is running, then for each vendor the lines to paste.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::cases::{Case, Story};
use super::ground::Facts;
use super::vendor::Vendor;
use crate::cli::shell::quoted;

const TITLE: Style = Style::new().bold();
const ACCEPTED: Style = AnsiColor::Green.on_default();
const REFUSED: Style = AnsiColor::Yellow.on_default();
const QUIET: Style = Style::new().dimmed();

/// Prints the page.
pub(super) fn print(facts: &Facts, cases: &[Case], mut out: impl Write) -> io::Result<()> {
    let folder = facts.files.config.parent().expect("the configuration lies in the demo's folder");
    writeln!(
        out,
        "{TITLE}One vidgate stands in front of five made-up video APIs, all of it on this machine.{TITLE:#}"
    )?;
    writeln!(out, "Its configuration, CA and credentials are in {}, gone when the demo ends.", folder.display())?;
    writeln!(
        out,
        "Each of the {} lines below can be pasted into another terminal; above it stand the expected status and why.",
        cases.len()
    )?;
    for site in &facts.sites {
        let (vendor, https) = (site.vendor, &site.https);
        writeln!(
            out,
            "\n{TITLE}{}{TITLE:#}   {}   {https}   {QUIET}{}{QUIET:#}",
            vendor.title(),
            site.http,
            about(vendor)
        )?;
        for (heading, style, accepted) in [("accepted", ACCEPTED, true), ("refused", REFUSED, false)] {
            let of_group = |case: &&Case| case.vendor == vendor && case.accepted == accepted && case.told.is_none();
            let mut group = cases.iter().filter(of_group).peekable();
            if group.peek().is_some() {
                writeln!(out, "\n  {style}{heading}{style:#}")?;
            }
            group.try_for_each(|case| line(case, style, &mut out))?;
        }
    }
    for story in Story::ALL.into_iter().filter(|story| cases.iter().any(|case| case.told == Some(*story))) {
        writeln!(out, "\n{TITLE}{}{TITLE:#}   {QUIET}{LIFE}{QUIET:#}\n", story.title())?;
        for case in cases.iter().filter(|case| case.told == Some(story)) {
            line(case, if case.status < 400 { ACCEPTED } else { REFUSED }, &mut out)?;
        }
    }
    let config = quoted(&facts.files.config.to_string_lossy());
    writeln!(
        out,
        "\nWhat an operator asks: vidgate status --config {config}, and why, explain, lint in the same way."
    )?;
    writeln!(out, "Serving until Ctrl-C.")?;
    out.flush()
}

const LIFE: &str = "the lines build on each other, from the first to the last, and can be repeated";

fn line(case: &Case, style: Style, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  {style}# {}{style:#} {QUIET}{}{QUIET:#}\n  {}", case.status, case.what, case.curl.line())
}

fn about(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Vxg => "LKey on v2 and v3, Acc and ?token= on v4, SI on v5, certificates for the super-admin API",
        Vendor::SecureVideo => "Basic over TLS, from a listed address, and ?apiKey= where browsers call",
        Vendor::CameraTag => {
            "signatures of apps, from pages of their hosts, and ?api_key= or api_key: for the REST API"
        }
        Vendor::Multicam => "POST /Token and Bearer, x-apikey, or an address on the list",
        Vendor::Voximplant => {
            "Bearer with an RS256 token, and what the roles of its key may do; refusals have status 200"
        }
    }
}
