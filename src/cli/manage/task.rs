//! What can be done with every resource: the verbs, their flags, and the request that each becomes.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use http::HeaderValue;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

use super::draft::{self, Draft};
use super::field;
use crate::cli::operator::{Call, Trouble};
use crate::store::resource::{Owner, Resource};

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    List,
    Show,
    Change,
    Rotate,
    Enable,
    Disable,
    Delete,
}

/// What is to be done, with everything that the flags said.
#[derive(Debug)]
pub(super) enum Task {
    Create { draft: Draft, idempotency: Option<HeaderValue> },
    List(Choice),
    Show { id: String },
    Change { id: String, draft: Draft, revision: Option<u64> },
    Rotate { id: String, draft: Draft, revision: Option<u64> },
    Switch { id: String, on: bool, revision: Option<u64> },
    Delete { id: String, yes: bool, revision: Option<u64> },
}

/// Which entries are listed.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) account: Option<String>,
    pub(super) user: Option<String>,
    pub(super) status: Option<String>,
    pub(super) name: Option<String>,
    pub(super) limit: Option<usize>,
}

impl Verb {
    /// All that a resource knows.
    pub(super) fn of(resource: Resource) -> impl Iterator<Item = Self> {
        let rotates = makes_secret(resource) || resource == Resource::ServiceAccount;
        [Self::Create, Self::List, Self::Show, Self::Change, Self::Rotate, Self::Enable, Self::Disable, Self::Delete]
            .into_iter()
            .filter(move |verb| *verb != Self::Rotate || rotates)
    }

    /// The word on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Show => "show",
            Self::Change => "change",
            Self::Rotate => "rotate",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
        }
    }

    /// What it has done.
    pub(super) fn past(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::List => "listed",
            Self::Show => "shown",
            Self::Change => "changed",
            Self::Rotate => "rotated",
            Self::Enable => "enabled",
            Self::Disable => "disabled",
            Self::Delete => "deleted",
        }
    }

    /// The one-line description.
    pub(super) fn about(self, resource: Resource) -> String {
        let what = resource.words();
        match self {
            Self::Create if makes_secret(resource) => format!("Make a {what}, and show its secret once."),
            Self::Create => format!("Make a {what}."),
            Self::List => format!("List every {what}, or those chosen, in the order of their ids."),
            Self::Show => format!("Show one {what}; never its secret."),
            Self::Change => format!("Change what is said of a {what}; what is not named stays."),
            Self::Rotate if resource == Resource::ServiceAccount => {
                "Put a new key in the place of one, which stays good for an overlap.".to_owned()
            }
            Self::Rotate => "Make a new secret; the one before stays good for an overlap.".to_owned(),
            Self::Enable => format!("Let a {what} be believed again."),
            Self::Disable => format!("Let a {what} be believed no more, from the next request on."),
            Self::Delete => format!("Take a {what} away for good."),
        }
    }

    /// Adds its flags.
    pub(super) fn args(self, resource: Resource, command: Command) -> Command {
        let id = || {
            Arg::new("entry").value_name("ID").required(true).help(if self == Self::Show {
                "Its id, or a name that only one has"
            } else {
                "Its id"
            })
        };
        let revision = || {
            let arg = Arg::new("revision").long("revision").value_name("N").value_parser(value_parser!(u64));
            arg.help("Only if it is at this revision still")
        };
        match self {
            Self::Create => {
                let key = Arg::new("idempotency-key").long("idempotency-key").value_name("KEY");
                let key = key.help("The same key again gives the same answer again, instead of a second entry");
                draft::with_secret(resource, draft::describe(resource, true, command))
                    .arg(key.value_parser(|text: &str| HeaderValue::from_str(text)))
            }
            Self::List => list_args(resource, command),
            Self::Show => command.arg(id()),
            Self::Change => {
                let unset = Arg::new("unset").long("unset").value_name("FIELD").action(ArgAction::Append);
                let unset = unset.help("A field to be left empty, dots leading deeper: expires, metadata.note");
                let mut command = draft::describe(resource, false, command.arg(id()));
                // One that is not made is changed like any other field.
                if !makes_secret(resource) {
                    command = draft::with_secret(resource, command);
                }
                command.arg(unset).arg(revision())
            }
            Self::Rotate => rotate_args(resource, command.arg(id())).arg(revision()),
            Self::Enable | Self::Disable => command.arg(id()).arg(revision()),
            Self::Delete => {
                let yes = Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue);
                command.arg(id()).arg(yes.help("Do not ask on a terminal")).arg(revision())
            }
        }
    }
}

fn makes_secret(resource: Resource) -> bool {
    resource.secret().is_some_and(|rule| rule.make.is_some())
}

fn list_args(resource: Resource, command: Command) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let statuses = ["active", "disabled", "expired", "pending"];
    let mut command = command
        .arg(text("status", "STATUS", "Only those that stand so").value_parser(statuses))
        .arg(text("name", "NAME", "Only those of this name"));
    if resource.owner() != Owner::Nobody {
        command = command.arg(text("account", "ID", "Only those of this account"));
    }
    if resource == Resource::BearerToken {
        command = command.arg(text("user", "ID", "Only those of this user"));
    }
    let limit = text("limit", "N", "At most so many; a table has 1000 if left out, --json all");
    command.arg(limit.value_parser(value_parser!(u32)))
}

/// What `--overlap` says.
const OVERLAP: &str = "How long the one before stays good: 30m, 7d, or 0s, which ends it at once; 24h if left out, and 0s if the \
                       entry is disabled";

fn rotate_args(resource: Resource, command: Command) -> Command {
    let overlap = Arg::new("overlap").long("overlap").value_name("DURATION");
    let command = command.arg(overlap.help(OVERLAP));
    if resource != Resource::ServiceAccount {
        return draft::with_secret(resource, command);
    }
    let file = Arg::new("public-key").long("public-key").value_name("FILE").required(true);
    command
        .arg(Arg::new("id").long("id").value_name("ID").help("The id (kid) of the new key; made up if left out"))
        .arg(file.value_parser(value_parser!(PathBuf)).help("The new public key (the file that holds it)"))
}

impl Task {
    /// What the flags said.
    pub(super) fn of(resource: Resource, verb: Verb, matches: &ArgMatches) -> Result<Self, String> {
        let id = || matches.get_one::<String>("entry").cloned().expect("the id is required");
        let revision = || matches.get_one::<u64>("revision").copied();
        Ok(match verb {
            Verb::Create => Self::Create {
                draft: Draft::of(resource, matches)?,
                idempotency: matches.get_one::<HeaderValue>("idempotency-key").cloned(),
            },
            Verb::List => Self::List(Choice::of(matches)),
            Verb::Show => Self::Show { id: id() },
            Verb::Change => Self::Change { id: id(), draft: patch(resource, matches)?, revision: revision() },
            Verb::Rotate => Self::Rotate { id: id(), draft: rotation(resource, matches), revision: revision() },
            Verb::Enable | Verb::Disable => Self::Switch { id: id(), on: verb == Verb::Enable, revision: revision() },
            Verb::Delete => Self::Delete { id: id(), yes: matches.get_flag("yes"), revision: revision() },
        })
    }

    /// The one request that does it; a list takes as many as it has pages.
    pub(super) fn call(self, resource: Resource) -> Result<Call, Trouble> {
        let path = resource.path();
        let document = |draft: Draft| draft.finish(resource).map(Value::Object);
        Ok(match self {
            Self::Create { draft, idempotency } => Call::post(&[path]).json(document(draft)?).idempotent(idempotency),
            Self::List(choice) => choice.page(resource, 1000, None),
            Self::Show { id } => Call::get(&[path, &id]),
            Self::Change { id, draft, revision } => {
                Call::patch(&[path, &id]).json(document(draft)?).if_revision(revision)
            }
            Self::Rotate { id, draft, revision } => {
                Call::post(&[path, &id, "rotate"]).json(document(draft)?).if_revision(revision)
            }
            Self::Switch { id, on, revision } => {
                Call::post(&[path, &id, if on { "enable" } else { "disable" }]).if_revision(revision)
            }
            Self::Delete { id, revision, .. } => Call::delete(&[path, &id]).if_revision(revision),
        })
    }
}

fn patch(resource: Resource, matches: &ArgMatches) -> Result<Draft, String> {
    let mut draft = Draft::of(resource, matches)?;
    for name in matches.get_many::<String>("unset").into_iter().flatten() {
        field::put(&mut draft.document, &name.split('.').collect::<Vec<_>>(), Value::Null);
    }
    if draft.is_empty() {
        return Err("nothing is to be changed: name a field, such as --name".to_owned());
    }
    Ok(draft)
}

fn rotation(resource: Resource, matches: &ArgMatches) -> Draft {
    let mut draft = Draft::default();
    for key in ["id", "overlap"] {
        if let Ok(Some(text)) = matches.try_get_one::<String>(key) {
            draft.document.insert(key.to_owned(), json!(text));
        }
    }
    if resource == Resource::ServiceAccount {
        draft.take_file("public_key", matches.get_one::<PathBuf>("public-key"));
    }
    draft.take_secret(matches);
    draft
}

impl Choice {
    fn of(matches: &ArgMatches) -> Self {
        let text = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
        Self {
            account: text("account"),
            user: text("user"),
            status: text("status"),
            name: text("name"),
            limit: matches.get_one::<u32>("limit").map(|limit| usize::try_from(*limit).unwrap_or(usize::MAX)),
        }
    }

    /// Asks for one page, the next after that which `after` stands for.
    pub(super) fn page(&self, resource: Resource, limit: usize, after: Option<&str>) -> Call {
        Call::get(&[resource.path()]).query(&[
            ("limit", Some(&limit.to_string())),
            ("account", self.account.as_deref()),
            ("user", self.user.as_deref()),
            ("status", self.status.as_deref()),
            ("name", self.name.as_deref()),
            ("after", after),
        ])
    }
}

/// The keys of an object, for what is not an object none.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
