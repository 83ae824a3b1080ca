//! Which keys a table may have, which it must have, and which words a value may be: read from the very JSON schema that
//! editors get, so that every slip is found at its place and all of them at once. What a value means is serde's to say,
//! which stops at the first mistake of a table.

use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;

/// The shape of one kind of table.
pub(super) struct Shape {
    schema: Value,
    definitions: Map<String, Value>,
}

/// What a schema says of a value, as far as it matters here.
enum Meaning<'s> {
    Secret(Literal),
    Words(Vec<&'s str>),
    Table(&'s Map<String, Value>),
    List(&'s Value),
    /// One of several, told apart by what kind of value it is.
    Choice(Vec<Meaning<'s>>),
    Other,
}

/// Whether a secret may stand in the file itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Literal {
    WarnedAbout,
    Refused,
}

const SECRET: &str = "#/$defs/Secret";
const SECRET_ELSEWHERE: &str = "#/$defs/SecretElsewhere";

impl Shape {
    /// The shape of `T`.
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self::built(SchemaGenerator::subschema_for::<T>)
    }

    /// The shape that `schema` describes.
    pub(super) fn built(schema: impl FnOnce(&mut SchemaGenerator) -> Schema) -> Self {
        let mut generator = SchemaGenerator::default();
        let schema = schema(&mut generator).to_value();
        Self { schema, definitions: generator.take_definitions(true) }
    }

    /// Reports every key that does not belong, every key that is missing and every unknown word, and takes out what does
    /// not belong. Secrets are masked in the report. Whether it is worth while to read on: nothing is missing, and no
    /// word is wrong.
    pub(super) fn check(&self, value: &mut Spanned<DeValue<'_>>, report: &mut Report) -> bool {
        let place = value.span();
        self.walk(&self.schema, &place, value, report)
    }

    /// The same for the keys of the file itself alone.
    pub(super) fn keys(&self, table: &mut DeTable<'_>, report: &mut Report) -> bool {
        match self.meaning(&self.schema) {
            Meaning::Table(object) => keys(self, object, table, None, report),
            Meaning::Secret(_) | Meaning::Words(_) | Meaning::List(_) | Meaning::Choice(_) | Meaning::Other => true,
        }
    }

    /// Puts something in the place of each key that is missing, so that the others can be read. Returns their names.
    pub(super) fn fill(&self, value: &mut Spanned<DeValue<'_>>) -> Vec<String> {
        let place = value.span();
        let (Meaning::Table(object), DeValue::Table(table)) = (self.meaning(&self.schema), value.get_mut()) else {
            return Vec::new();
        };
        let missing: Vec<String> =
            required(object).filter(|name| !table.contains_key(*name)).map(str::to_owned).collect();
        for name in &missing {
            let nothing = DeValue::String("".into());
            table.insert(Spanned::new(place.clone(), name.clone().into()), Spanned::new(place.clone(), nothing));
        }
        missing
    }

    fn walk(&self, schema: &Value, key: &Range<usize>, value: &mut Spanned<DeValue<'_>>, report: &mut Report) -> bool {
        let place = value.span();
        match (self.meaning(schema).of(value.get_ref()), value.get_mut()) {
            (Meaning::Secret(literal), secret) => self::secret(literal, key, &place, secret, report),
            (Meaning::Words(words), DeValue::String(word)) => {
                let known = words.contains(&&**word);
                if !known {
                    let mut invalid = Invalid::new(format!("`{word}` is not known here"));
                    invalid.hint = nearest::hint(word, words);
                    report.error(place, invalid);
                }
                known
            }
            (Meaning::Table(object), DeValue::Table(table)) => {
                let complete = keys(self, object, table, Some(&place), report);
                self.children(object, table, report) && complete
            }
            (Meaning::List(items), DeValue::Array(array)) => array.iter_mut().fold(true, |all, item| {
                let key = item.span();
                self.walk(items, &key, item, report) && all
            }),
            (Meaning::Table(_), _) => other(value, self.is_secret(schema, 0), TABLE, report),
            (Meaning::List(_), _) => other(value, self.is_secret(schema, 0), LIST, report),
            // Not a word, or of no interest here: serde says whether it is wrong.
            (Meaning::Words(_) | Meaning::Choice(_) | Meaning::Other, _) => true,
        }
    }

    fn children(&self, object: &Map<String, Value>, table: &mut DeTable<'_>, report: &mut Report) -> bool {
        let others = object.get("additionalProperties").filter(|schema| schema.is_object());
        table.iter_mut().fold(true, |all, (key, value)| {
            let own = object.get("properties").and_then(|properties| properties.get(&**key.get_ref()));
            own.or(others).is_none_or(|schema| self.walk(schema, &key.span(), value, report)) && all
        })
    }

    /// Whether a secret may stand in what this describes.
    fn is_secret(&self, schema: &Value, depth: usize) -> bool {
        // Deeper than any table of ours: nobody knows.
        depth > 16 || self.meaning(schema).is_secret(self, depth + 1)
    }

    fn meaning<'s>(&'s self, schema: &'s Value) -> Meaning<'s> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            match reference {
                SECRET => return Meaning::Secret(Literal::WarnedAbout),
                SECRET_ELSEWHERE => return Meaning::Secret(Literal::Refused),
                _ => {}
            }
            let name = reference.trim_start_matches("#/$defs/");
            return self.definitions.get(name).map_or(Meaning::Other, |definition| self.meaning(definition));
        }
        if let Some(branches) = ["anyOf", "oneOf"].iter().find_map(|any| schema.get(any)?.as_array()) {
            // `Option` is written as a choice between the thing and `null`, which TOML does not have.
            let branches: Vec<&Value> = branches.iter().filter(|branch| !is(branch, "null")).collect();
            if let Some(words) = branches.iter().map(|branch| word(branch)).collect::<Option<Vec<_>>>() {
                return Meaning::Words(words.concat());
            }
            if let [only] = branches[..] {
                return self.meaning(only);
            }
            return Meaning::Choice(branches.into_iter().map(|branch| self.meaning(branch)).collect());
        }
        if let Some(words) = word(schema) {
            return Meaning::Words(words);
        }
        if is(schema, "array") {
            return schema.get("items").map_or(Meaning::Other, Meaning::List);
        }
        schema.as_object().filter(|_| is(schema, "object")).map_or(Meaning::Other, Meaning::Table)
    }
}

impl Meaning<'_> {
    fn is_secret(&self, shape: &Shape, depth: usize) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Words(_) | Self::Other => false,
            Self::List(items) => shape.is_secret(items, depth),
            Self::Choice(branches) => branches.iter().any(|branch| branch.is_secret(shape, depth)),
            Self::Table(object) => {
                let own = object.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values);
                own.chain(object.get("additionalProperties")).any(|schema| shape.is_secret(schema, depth))
            }
        }
    }

    /// What is meant of a choice by a value of this kind, where only one can be.
    fn of(self, value: &DeValue<'_>) -> Self {
        let Self::Choice(branches) = self else { return self };
        let fits = |branch: &Self| match value {
            DeValue::String(_) => !matches!(branch, Self::Table(_) | Self::List(_)),
            DeValue::Table(_) => matches!(branch, Self::Table(_)),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => false,
        };
        let mut fitting = branches.into_iter().filter(fits);
        fitting.next().filter(|_| fitting.next().is_none()).unwrap_or(Self::Other)
    }
}

fn is(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(own)) => own == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|own| own == kind),
        _ => false,
    }
}

/// The words that a schema lists, if it lists any.
fn word(schema: &Value) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    Some(schema.get("enum")?.as_array()?.iter().filter_map(Value::as_str).collect())
}

fn secret(
    literal: Literal,
    key: &Range<usize>,
    place: &Range<usize>,
    value: &DeValue<'_>,
    report: &mut Report,
) -> bool {
    match value {
        DeValue::Table(table) => {
            // Under any other key it is a secret put in the wrong place.
            let strangers = table.iter().filter(|(key, _)| !["file", "env"].contains(&&**key.get_ref()));
            strangers.for_each(|(_, value)| mask(value, report));
            true
        }
        DeValue::String(_) if literal == Literal::Refused => {
            report.mask(place.clone());
            report.error(
                key.clone(),
                Invalid::new("this secret never stands in the configuration: whoever reads the file would have it")
                    .hint("write { file = \"path\" } or { env = \"NAME\" }"),
            );
            false
        }
        DeValue::String(_) => {
            report.mask(place.clone());
            report.find(
                &rules::SECRET_IN_FILE,
                key.clone(),
                Invalid::new("this secret stands in the configuration in clear"),
            );
            true
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            // serde would repeat the value in its message.
            report.mask(place.clone());
            report.error(
                key.clone(),
                Invalid::new("this is not a secret").hint(match literal {
                    Literal::WarnedAbout => "write { file = \"path\" }, { env = \"NAME\" } or a string",
                    Literal::Refused => "write { file = \"path\" } or { env = \"NAME\" }",
                }),
            );
            false
        }
    }
}

fn keys(
    shape: &Shape,
    object: &Map<String, Value>,
    table: &mut DeTable<'_>,
    place: Option<&Range<usize>>,
    report: &mut Report,
) -> bool {
    let meant = strangers(shape, object, table, report);
    let mut complete = true;
    for name in required(object).filter(|name| !table.contains_key(*name)) {
        complete = false;
        // The mistyped key was reported already.
        if !meant.contains(&name) {
            let mut invalid = Invalid::new(format!("`{name}` is missing"));
            invalid.hint = object.get("properties").and_then(|all| missing(name, all.get(name)?)).map(Into::into);
            report.error(place.cloned(), invalid);
        }
    }
    complete
}

/// The keys that a table must have.
fn required(object: &Map<String, Value>) -> impl Iterator<Item = &str> {
    object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The entry of a table in which this place is.
pub(super) fn entry_at<'v, 'i>(
    value: &'v Spanned<DeValue<'i>>,
    place: &Range<usize>,
) -> Option<(&'v Spanned<DeString<'i>>, &'v Spanned<DeValue<'i>>)> {
    value.get_ref().as_table()?.iter().find(|(key, value)| holds(key, value, place))
}

/// Whether a place is in this entry. A table with a head of its own has its entries elsewhere.
pub(super) fn holds(key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, place: &Range<usize>) -> bool {
    let within = |outer: Range<usize>| outer.start <= place.start && place.end <= outer.end;
    within(key.span())
        || within(value.span())
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(key, value)| holds(key, value, place)),
            DeValue::Array(list) => list.iter().any(|item| holds(key, item, place)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => false,
        }
}

/// Takes out the keys that do not belong. Returns the names that were probably meant.
fn strangers<'s>(
    shape: &Shape,
    object: &'s Map<String, Value>,
    table: &mut DeTable<'_>,
    report: &mut Report,
) -> Vec<&'s str> {
    // A table without a list of keys is a map from names of the operator's own.
    if object.get("additionalProperties").is_some_and(Value::is_object) {
        return Vec::new();
    }
    let properties = object.get("properties").and_then(Value::as_object);
    let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
    let strangers: Vec<String> =
        table.keys().map(|key| key.get_ref().to_string()).filter(|key| known().all(|name| name != key)).collect();
    let mut meant = Vec::new();
    for name in strangers {
        let Some((key, value)) = table.remove_entry(name.as_str()) else { continue };
        let near = nearest::nearest(&name, known());
        // What stands under an unknown key may be a secret whose key was mistyped.
        let own = near.and_then(|near| properties?.get(near));
        if own.is_none_or(|schema| shape.is_secret(schema, 0)) || names_somebody(&value) {
            mask(&value, report);
        }
        meant.extend(near);
        let mut invalid = Invalid::new(format!("unknown key `{name}`"));
        let now = properties.and_then(|all| renamed(&name, all));
        invalid.hint = now.map(Into::into).or_else(|| nearest::hint(&name, known()));
        report.error(key.span(), invalid);
    }
    meant
}

/// What a key that went by another name is called now, as its schema says.
fn renamed(name: &str, properties: &Map<String, Value>) -> Option<String> {
    let was = |schema: &Value| schema.get("x-formerly").and_then(Value::as_str) == Some(name);
    let (now, _) = properties.iter().find(|(_, schema)| was(schema))?;
    Some(format!("it is `{now}` now"))
}

/// What would help where a key is missing: said by its schema, or an example.
fn missing(name: &str, schema: &Value) -> Option<String> {
    if let Some(hint) = schema.get("x-missing").and_then(Value::as_str) {
        return Some(hint.to_owned());
    }
    let example = schema.get("examples")?.get(0)?;
    Some(format!("for example: {name} = {example}"))
}

/// A thing that is meant, and how it is written.
type Written = (&'static str, &'static str);

const TABLE: Written = ("a table", "write { … } with its keys, or give it a line of its own, [name], with them below");
const LIST: Written = ("a list", "put it in brackets, also where it is one alone: [\"…\"]");

/// Another thing than is meant stands here. It may be a secret without the table around it, and serde would repeat it.
fn other(value: &Spanned<DeValue<'_>>, is_secret: bool, (meant, hint): Written, report: &mut Report) -> bool {
    if is_secret || names_somebody(value) {
        mask(value, report);
    }
    let invalid = Invalid::new(format!("this takes {meant}, not {}", kind(value.get_ref()))).hint(hint);
    report.error(value.span(), invalid);
    false
}

/// Whether a URL in it may have a name and a password in front of its host.
fn names_somebody(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => table.values().any(names_somebody),
        DeValue::Array(list) => list.iter().any(names_somebody),
        DeValue::String(text) => text.contains('@'),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => false,
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "an instant",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Stars whatever stands in `value`.
pub(super) fn mask(value: &Spanned<DeValue<'_>>, report: &mut Report) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| mask(value, report)),
        DeValue::Array(array) => array.iter().for_each(|value| mask(value, report)),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            report.mask(value.span());
        }
    }
}
