//! The fields of a document as flags. They come from the schema of the resource, so that a new field is a new flag.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::{Map, Value, json};

use crate::store::resource::Resource;

/// One value of a document, or a list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its keys, from the outside in.
    pub(super) path: Vec<String>,
    pub(super) form: Form,
    about: String,
}

/// What can be written in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// A text that is kept in a file, such as a key in PEM.
    File,
    Number,
    Truth,
    Words,
    /// Anything else; only `--set` takes it.
    Json,
}

/// A field whose text is still to be read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) path: Vec<String>,
    pub(super) file: PathBuf,
}

/// What is said of a resource alone.
pub(super) fn own(resource: Resource) -> Vec<Field> {
    let schema = resource.schema().to_value();
    let mut fields = Vec::new();
    collect(&schema, &schema, &mut Vec::new(), &mut fields);
    for field in &mut fields {
        if (resource, field.path[0].as_str()) == (Resource::ServiceAccount, "public_key") {
            field.form = Form::File;
        }
    }
    // Which key took its place is for rotation to say.
    fields.retain(|field| field.path[0] != "successor");
    fields
}

fn collect(schema: &Value, root: &Value, path: &mut Vec<String>, fields: &mut Vec<Field>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, property) in properties {
        path.push(name.clone());
        let meant = resolved(property, root);
        if meant["properties"].is_object() {
            collect(meant, root, path, fields);
        } else {
            let about = property["description"].as_str().or(meant["description"].as_str()).unwrap_or_default();
            fields.push(Field { path: path.clone(), form: Form::of(meant), about: about.replace('\n', " ") });
        }
        path.pop();
    }
}

fn resolved<'a>(property: &'a Value, root: &'a Value) -> &'a Value {
    let name = property["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(property, |name| &root["$defs"][name])
}

impl Form {
    fn of(schema: &Value) -> Self {
        // One of some words, each with what it means.
        let word = |choice: &Value| choice["const"].is_string();
        if schema["oneOf"].as_array().is_some_and(|choices| choices.iter().all(word)) {
            return Self::Text;
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            Value::String(kind) => Some(kind.as_str()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        };
        match kind {
            Some("string") if schema["enum"].is_null() => Self::Text,
            Some("integer") => Self::Number,
            Some("boolean") => Self::Truth,
            Some("array") if schema["items"]["type"] == "string" => Self::Words,
            Some(_) | None => Self::Json,
        }
    }

    fn read(self, text: &str) -> Value {
        match self {
            Self::Text | Self::File => json!(text),
            Self::Words => json!(text.split(',').filter(|word| !word.is_empty()).collect::<Vec<_>>()),
            // What is no JSON is a word; whether it fits is for the API to say.
            Self::Number | Self::Truth | Self::Json => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        }
    }
}

impl Field {
    /// Its name among the flags.
    pub(super) fn flag(&self) -> String {
        self.path.join("-").replace('_', "-")
    }

    /// The flag; `None` where only `--set` will do.
    pub(super) fn arg(&self) -> Option<Arg> {
        let arg = Arg::new(self.flag()).long(self.flag()).help(self.help()).help_heading("Its own fields");
        Some(match self.form {
            Form::Json => return None,
            Form::Text => arg.value_name("TEXT"),
            Form::File => arg.value_name("FILE").value_parser(value_parser!(PathBuf)),
            Form::Number => arg.value_name("NUMBER").value_parser(value_parser!(u64)),
            Form::Truth => arg.value_name("BOOL").value_parser(PossibleValuesParser::new(["true", "false"])),
            Form::Words => {
                let one = singular(&self.flag());
                arg.value_name("WORD,…").action(ArgAction::Append).value_delimiter(',').visible_alias(one)
            }
        })
    }

    fn help(&self) -> String {
        match (self.form, self.about.strip_suffix('.')) {
            (Form::File, Some(about)) => format!("{about} (the file that holds it)"),
            (_, Some(about)) => about.to_owned(),
            (_, None) => self.about.clone(),
        }
    }

    /// Puts what the flag said into the document.
    pub(super) fn take(&self, matches: &ArgMatches, document: &mut Map<String, Value>, kept: &mut Vec<Kept>) {
        let name = self.flag();
        let text = || matches.get_one::<String>(&name);
        let value = match self.form {
            Form::Json => None,
            Form::Text => text().map(|text| json!(text)),
            Form::Truth => text().map(|text| json!(text == "true")),
            Form::Number => matches.get_one::<u64>(&name).map(|number| json!(number)),
            Form::Words => matches.get_many::<String>(&name).map(|words| json!(words.collect::<Vec<_>>())),
            Form::File => {
                let file = matches.get_one::<PathBuf>(&name).cloned();
                kept.extend(file.map(|file| Kept { path: self.path.clone(), file }));
                None
            }
        };
        if let Some(value) = value {
            put(document, &self.path, value);
        }
    }
}

/// Reads `quota.hour=100`: how the text is meant, the field knows.
pub(super) fn set(fields: &[Field], text: &str, document: &mut Map<String, Value>) -> Result<(), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("`{text}` is not of the form field=value"));
    };
    let path: Vec<String> = name.split('.').map(str::to_owned).collect();
    let form = fields.iter().find(|field| field.path == path).map_or(Form::Json, |field| field.form);
    put(document, &path, form.read(value));
    Ok(())
}

/// Puts a value at a path, making what lies between.
pub(super) fn put(document: &mut Map<String, Value>, path: &[impl AsRef<str>], value: Value) {
    match path {
        [] => {}
        [last] => drop(document.insert(last.as_ref().to_owned(), value)),
        [first, rest @ ..] => {
            let below = document.entry(first.as_ref()).or_insert_with(|| Value::Object(Map::new()));
            if !below.is_object() {
                *below = Value::Object(Map::new());
            }
            if let Value::Object(below) = below {
                put(below, rest, value);
            }
        }
    }
}

fn singular(plural: &str) -> String {
    let stem = if plural.ends_with("sses") { "es" } else { "s" };
    plural.strip_suffix(stem).unwrap_or(plural).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(resource: Resource) -> Vec<(String, Form)> {
        own(resource).iter().map(|field| (field.flag(), field.form)).collect()
    }

    #[test]
    fn every_field_of_a_resource_is_a_flag() {
        use Form::{File, Number, Text, Truth, Words};
        let cases: [(Resource, &[(&str, Form)]); 6] = [
            (Resource::LicenseKey, &[]),
            (Resource::Token, &[("camera", Text), ("group", Text), ("scopes", Words)]),
            (Resource::User, &[("login", Text), ("roles", Words)]),
            (Resource::ServiceAccount, &[("description", Text), ("public-key", File), ("roles", Words)]),
            (
                Resource::Account,
                &[
                    ("addresses", Words),
                    ("denied-addresses", Words),
                    ("limits-hosted-cameras", Number),
                    ("parent", Text),
                    ("quota-day", Number),
                    ("quota-hour", Number),
                    ("quota-month", Number),
                ],
            ),
            (
                Resource::App,
                &[
                    ("api-key", Text),
                    ("authorized-hosts", Words),
                    ("cross-origin", Truth),
                    ("legacy-200", Truth),
                    ("public-key", Text),
                    ("signatures-expiration-only", Truth),
                    ("signatures-playback", Truth),
                    ("signatures-publish", Truth),
                    ("wall", Text),
                ],
            ),
        ];
        for (resource, expected) in cases {
            let mut found = flags(resource);
            found.sort_by(|one, other| one.0.cmp(&other.0));
            let expected: Vec<_> = expected.iter().map(|(flag, form)| ((*flag).to_owned(), *form)).collect();
            assert_eq!(found, expected, "{resource}");
        }
    }

    #[test]
    fn a_field_knows_how_its_text_is_meant() {
        for (resource, text, expected) in [
            (Resource::User, "login=123", json!({ "login": "123" })),
            (Resource::User, "login=a=b", json!({ "login": "a=b" })),
            (Resource::Account, "quota.hour=123", json!({ "quota": { "hour": 123 } })),
            (Resource::Account, "quota.hour=many", json!({ "quota": { "hour": "many" } })),
            (Resource::Account, "addresses=10.0.0.0/8,::1", json!({ "addresses": ["10.0.0.0/8", "::1"] })),
            (Resource::App, "wall=all", json!({ "wall": "all" })),
            (Resource::App, "signatures={\"publish\":true}", json!({ "signatures": { "publish": true } })),
            (Resource::App, "legacy_200=true", json!({ "legacy_200": true })),
        ] {
            let mut document = Map::new();
            set(&own(resource), text, &mut document).unwrap();
            assert_eq!(Value::Object(document), expected, "{text}");
        }
        assert!(set(&[], "login", &mut Map::new()).is_err());
    }

    #[test]
    fn one_of_many_has_a_name_too() {
        for (plural, expected) in [("addresses", "address"), ("authorized-hosts", "authorized-host"), ("roles", "role")]
        {
            assert_eq!(singular(plural), expected);
        }
    }
}
