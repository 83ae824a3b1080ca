//! `vidgate account`, `license`, … : the same verbs over every resource of the store, made from its registry.

mod draft;
mod face;
mod field;
mod task;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::Value;

pub(super) use self::draft::secret;
pub(super) use self::face::drawn;
use self::task::{Choice, Task, Verb, object};
use super::confirmed;
use super::operator::{Operator, Trouble, Where, operate, visible};
use crate::store::resource::Resource;

/// The most rows of a table, where nothing else is said.
const ROWS: usize = 1000;
/// The most entries of one page.
const PAGE: usize = 1000;

/// A verb over a resource.
#[derive(Debug)]
pub(super) struct Managed {
    resource: Resource,
    verb: Verb,
    task: Task,
    place: Where,
    json: bool,
}

/// The word for a resource on the command line.
fn word(resource: Resource) -> &'static str {
    match resource {
        Resource::Account => "account",
        Resource::LicenseKey => "license",
        Resource::ApiClient => "client",
        Resource::Camera => "camera",
        Resource::CameraGroup => "group",
        Resource::Token => "token",
        Resource::User => "user",
        Resource::BearerToken => "bearer-token",
        Resource::ServiceAccount => "service-account",
        Resource::App => "app",
        Resource::AdminCertificate => "admin-certificate",
    }
}

/// What its examples need besides an id.
fn sample(resource: Resource) -> &'static str {
    match resource {
        Resource::Account => "--id alice --name 'Alice Ltd' --quota-hour 1000",
        Resource::LicenseKey => "--account alice --expires 2027-01-01T00:00:00Z",
        Resource::ApiClient => "--account alice --id alice-api --secret-file secret.txt",
        Resource::Camera => "--account alice --id cam1 --name 'Front door'",
        Resource::CameraGroup => "--account alice --id yard --cameras cam1,cam2",
        Resource::Token => "--camera cam1 --scopes live,play",
        Resource::User => "--account alice --login bob --roles viewer",
        Resource::BearerToken => "--user bob --expires 2027-01-01T00:00:00Z",
        Resource::ServiceAccount => "--account alice --id key1 --public-key key.pem --role viewer",
        Resource::App => "--account alice --public-key 4a8b --authorized-host example.com",
        Resource::AdminCertificate => "--account alice --subject ops",
    }
}

fn example(resource: Resource, verb: Verb) -> String {
    let options = match verb {
        Verb::Create => sample(resource),
        Verb::List => "--json",
        Verb::Show | Verb::Enable | Verb::Disable => "my-id",
        Verb::Change => "my-id --name 'A new name'",
        Verb::Rotate if resource == Resource::ServiceAccount => "my-id --public-key new.pem --overlap 24h",
        Verb::Rotate => "my-id --overlap 24h",
        Verb::Delete => "my-id --yes",
    };
    format!("Example: vidgate {} {} {options}", word(resource), verb.name())
}

fn command(resource: Resource) -> Command {
    let outline = Command::new(word(resource))
        .about(resource.about())
        .after_help(example(resource, Verb::Create))
        .subcommand_required(true)
        .arg_required_else_help(true);
    Verb::of(resource).fold(outline, |outline, verb| {
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer in JSON, for scripts");
        let command = Command::new(verb.name()).after_help(example(resource, verb));
        // What flattened arguments are about would stand in the place of what the verb does.
        let command = Where::augment_args(verb.args(resource, command).arg(json));
        outline.subcommand(command.about(verb.about(resource)).long_about(None))
    })
}

impl Subcommand for Managed {
    fn augment_subcommands(outline: Command) -> Command {
        Resource::ALL.iter().fold(outline, |outline, resource| outline.subcommand(command(*resource)))
    }

    fn augment_subcommands_for_update(outline: Command) -> Command {
        Self::augment_subcommands(outline)
    }

    fn has_subcommand(name: &str) -> bool {
        Resource::ALL.iter().any(|resource| word(*resource) == name)
    }
}

impl FromArgMatches for Managed {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let resource = Resource::ALL.iter().copied().find(|resource| word(*resource) == name).ok_or_else(missing)?;
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let verb = Verb::of(resource).find(|verb| verb.name() == name).ok_or_else(missing)?;
        let task = Task::of(resource, verb, matches)
            .map_err(|message| clap::Error::raw(ErrorKind::ValueValidation, message + "\n"))?;
        let place = Where::from_arg_matches(matches)?;
        Ok(Self { resource, verb, task, place, json: matches.get_flag("json") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Does it.
pub(super) fn run(managed: Managed) -> ExitCode {
    let Managed { resource, verb, task, place, json } = managed;
    let errand = Errand { resource, verb, json, drawn: io::stdout().is_terminal() };
    operate(&place, |operator| {
        if let Task::Delete { id, yes: false, .. } = &task
            && io::stdin().is_terminal()
        {
            let question = format!("Delete the {} `{}` for good?", resource.words(), visible(id));
            if !confirmed(&question, &mut io::stdin().lock())? {
                return Err(Trouble::plain("nothing was deleted"));
            }
        }
        errand.run(task, operator, &mut io::BufWriter::new(anstream::stdout()))
    })
}

/// What is done, and how it is shown.
struct Errand {
    resource: Resource,
    verb: Verb,
    json: bool,
    /// With lines around the cells of a table.
    drawn: bool,
}

impl Errand {
    fn run(&self, task: Task, operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
        if let Task::List(choice) = &task {
            return self.list(choice, operator, out);
        }
        let id = match &task {
            Task::Delete { id, .. } => id.clone(),
            Task::Create { .. }
            | Task::List(_)
            | Task::Show { .. }
            | Task::Change { .. }
            | Task::Rotate { .. }
            | Task::Switch { .. } => String::new(),
        };
        let answer = operator.call(task.call(self.resource)?)?;
        let text = match (self.verb, self.json) {
            (Verb::Delete, true) => String::new(),
            (Verb::Delete, false) => format!("deleted {} `{}`\n", self.resource.words(), visible(&id)),
            (_, true) => format!("{answer}\n"),
            (Verb::Show, false) => face::card(&object(answer), self.drawn),
            (verb, false) => face::receipt(self.resource, verb.past(), &object(answer)),
        };
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// JSON goes out page by page; a table is drawn when all its rows are known.
    fn list(&self, choice: &Choice, operator: &mut dyn Operator, out: &mut dyn Write) -> Result<(), Trouble> {
        let most = choice.limit.unwrap_or(if self.json { usize::MAX } else { ROWS });
        let (mut rows, mut count, mut after) = (Vec::new(), 0, None::<String>);
        while count < most {
            let call = choice.page(self.resource, PAGE.min(most - count), after.as_deref());
            let mut page = object(operator.call(call)?);
            let Some(Value::Array(items)) = page.remove("items") else { break };
            count += items.len();
            for item in items {
                if self.json { writeln!(out, "{item}")? } else { rows.push(object(item)) }
            }
            after = page.remove("next").and_then(|next| next.as_str().map(str::to_owned));
            if after.is_none() {
                break;
            }
        }
        if !self.json {
            out.write_all(face::listing(self.resource, &rows, self.drawn).as_bytes())?;
        }
        out.flush()?;
        if after.is_some() && !self.json && choice.limit.is_none() {
            super::complain(&format!("These are the first {count}; --limit shows more, --json all.\n"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
