//! A document on its way from the command line to the API: what the flags said, and what is still to be read from files.
//! A secret is never a flag: everyone on the machine can read those.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::field::{self, Kept};
use crate::cli::operator::Trouble;
use crate::clock::UnixTime;
use crate::store::resource::{Owner, Resource};

/// Larger than any key or token.
const LARGEST_FILE: u64 = 64 << 10;

/// A document before the files that it names were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) document: Map<String, Value>,
    kept: Vec<Kept>,
    secret: Option<PathBuf>,
}

/// Adds the flags by which a document is described.
pub(super) fn describe(resource: Resource, new: bool, command: Command) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let instant = |name, help| text(name, "INSTANT", help).value_parser(instant);
    let mut command = command
        .arg(text("name", "NAME", "What people call it; it can be changed later"))
        .arg(instant("not-before", "Good from then on: 2027-01-01T00:00:00Z"))
        .arg(instant("expires", "Good before then: 2027-01-01T00:00:00Z"))
        .arg(
            text("meta", "KEY=VALUE", "A text to be kept with it; can be given more than once")
                .action(ArgAction::Append),
        );
    if new {
        command = command.arg(text("id", "ID", "Its id, the same for good; made up if left out"));
        if resource.owner() != Owner::Nobody {
            command = command.arg(text("account", "ID", "The account that owns it"));
        }
    }
    let fixed = |name: &str| !new && resource.fixed_fields().contains(&name);
    let fields = field::own(resource);
    let flags = fields.iter().filter(|field| !fixed(&field.path[0])).filter_map(field::Field::arg);
    let set = text("set", "FIELD=VALUE", "Any field, dots leading deeper: quota.hour=100").action(ArgAction::Append);
    command.args(flags).arg(set.help_heading("Its own fields"))
}

/// Adds the flag that says where the secret is.
pub(super) fn with_secret(resource: Resource, command: Command) -> Command {
    let Some(rule) = resource.secret() else { return command };
    let (long, help) = if rule.make.is_some() {
        let help = format!("The {} to take over, from a file or - for standard input; made up if left out", rule.field);
        ("secret-file", help)
    } else {
        let help = "What upstreams see of its callers, from a file or - for standard input; never shown again";
        ("upstream-credential-file", help.to_owned())
    };
    let flag = Arg::new("secret-file").long(long).value_name("FILE").help(help);
    command.arg(flag.value_parser(value_parser!(PathBuf)))
}

impl Draft {
    /// What the flags said.
    pub(super) fn of(resource: Resource, matches: &ArgMatches) -> Result<Self, String> {
        let mut draft = Self::default();
        for (flag, key) in [
            ("id", "id"),
            ("name", "name"),
            ("account", "account"),
            ("not-before", "not_before"),
            ("expires", "expires"),
        ] {
            if let Ok(Some(text)) = matches.try_get_one::<String>(flag) {
                draft.document.insert(key.to_owned(), json!(text));
            }
        }
        for pair in matches.get_many::<String>("meta").into_iter().flatten() {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("`{pair}` is not of the form key=value"));
            };
            field::put(&mut draft.document, &["metadata", key], json!(value));
        }
        let fields = field::own(resource);
        for field in fields.iter().filter(|field| matches.try_contains_id(&field.flag()).is_ok()) {
            field.take(matches, &mut draft.document, &mut draft.kept);
        }
        for pair in matches.get_many::<String>("set").into_iter().flatten() {
            field::set(&fields, pair, &mut draft.document)?;
        }
        draft.take_secret(matches);
        Ok(draft)
    }

    /// Notes where the secret is.
    pub(super) fn take_secret(&mut self, matches: &ArgMatches) {
        self.secret = matches.try_get_one::<PathBuf>("secret-file").ok().flatten().cloned();
    }

    /// Notes a field that is in a file.
    pub(super) fn take_file(&mut self, key: &str, file: Option<&PathBuf>) {
        self.kept.extend(file.map(|file| Kept { path: vec![key.to_owned()], file: file.clone() }));
    }

    /// Whether it says nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the files. Texts of the result are wiped when it is written into a request.
    pub(super) fn finish(mut self, resource: Resource) -> Result<Map<String, Value>, Trouble> {
        for Kept { path, file } in self.kept {
            let text = text(&file)?;
            field::put(&mut self.document, &path, json!(*text));
        }
        if let (Some(file), Some(rule)) = (self.secret, resource.secret()) {
            self.document.insert(rule.field.to_owned(), json!(*secret(&file)?));
        }
        Ok(self.document)
    }
}

/// The secret in a file, or on standard input; never empty.
pub(in crate::cli) fn secret(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let mut text = text(path)?;
    // Editors and `echo` end a file with one line break; any further one belongs to the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(Trouble::plain(format!("`{}` holds no secret", path.display())));
    }
    Ok(text)
}

fn text(path: &Path) -> Result<Zeroizing<String>, Trouble> {
    let read = if path == Path::new("-") {
        all_of(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| all_of(&mut file))
    };
    read.map_err(|error| Trouble::plain(format!("cannot read `{}`: {error}", path.display())))
}

fn all_of(source: &mut dyn Read) -> io::Result<Zeroizing<String>> {
    let limit = usize::try_from(LARGEST_FILE).unwrap_or(usize::MAX);
    // The whole length at once: a buffer that grows would leave unwiped copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(limit + 1));
    if source.take(LARGEST_FILE + 1).read_to_string(&mut text)? > limit {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    Ok(text)
}

fn instant(text: &str) -> Result<String, String> {
    match UnixTime::parse(text) {
        Some(instant) => Ok(instant.to_text()),
        None => Err("this is not an instant after 1970; write it as 2027-01-01T00:00:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_without_the_final_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (content, expected) in
            [("key", Some("key")), ("key\r\n", Some("key")), ("key\n\n", Some("key\n")), ("\n", None)]
        {
            fs::write(&file, content).unwrap();
            let draft = Draft { secret: Some(file.clone()), ..Draft::default() };
            let document = draft.finish(Resource::LicenseKey).ok();
            assert_eq!(document, expected.map(|key| Map::from_iter([("key".to_owned(), json!(key))])), "{content:?}");
        }
        fs::write(&file, "x".repeat(70_000)).unwrap();
        assert!(Draft { secret: Some(file), ..Draft::default() }.finish(Resource::LicenseKey).is_err());
    }
}
