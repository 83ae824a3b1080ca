//! Reads the file table by table, so that ten mistakes in ten tables give ten reports.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::account::Account;
use super::placed::Placed;
use super::scheme::Scheme;
use super::shape::{self, Shape};
use super::{Document, File};
use crate::config::nearest;
use crate::config::report::Report;
use crate::invalid::Invalid;
use crate::scheme::KINDS;

/// A table of its own name, such as `[listener.public]`. A broken one keeps its name, so that whoever refers to it is
/// not blamed as well.
#[derive(Debug)]
pub(in crate::config) struct Named<T> {
    pub(in crate::config) name: Placed<String>,
    pub(in crate::config) table: Option<T>,
}

/// One of a list of tables, such as `[[account]]`; the same for its id.
#[derive(Debug)]
pub(in crate::config) struct Entry<T> {
    pub(in crate::config) id: Option<String>,
    pub(in crate::config) table: Option<T>,
    /// What could be read of a broken one.
    pub(in crate::config) remains: Option<Box<Remains<T>>>,
}

/// What could be read of a table in which something is wrong: one mistake is no reason to hide the next.
#[derive(Debug)]
pub(in crate::config) struct Remains<T> {
    pub(in crate::config) table: T,
    /// Its keys whose values are missing or wrong: what `table` has there means nothing.
    pub(in crate::config) unread: Vec<String>,
}

/// A table, or what could be read of it.
type Reading<T> = Result<T, Option<Box<Remains<T>>>>;

/// Reads what can be read. `None`: this is not TOML, and nothing else is said.
pub(in crate::config) fn read(text: &str, report: &mut Report) -> Option<File> {
    let (root, mistakes) = DeTable::parse_recoverable(text);
    let mut root = root.into_inner();
    if let Some(first) = mistakes.first() {
        // What follows a broken line may be misread: only the first mistake is certain.
        hide_secrets(text, root, report);
        report.error(first.span(), Invalid::new(first.message().to_owned()));
        return None;
    }
    Shape::of::<Document>().keys(&mut root, report);
    Some(File {
        workers: one(root.remove("workers"), report),
        networks: named(root.remove("networks"), report, table),
        trusted_proxies: one(root.remove("trusted_proxies"), report).unwrap_or_default(),
        drain: one(root.remove("drain"), report),
        lame_duck: one(root.remove("lame_duck"), report),
        overload: one(root.remove("overload"), report).unwrap_or_default(),
        reload: one(root.remove("reload"), report).unwrap_or_default(),
        log: one(root.remove("log"), report).unwrap_or_default(),
        lint: one(root.remove("lint"), report).unwrap_or_default(),
        tls: one(root.remove("tls"), report).unwrap_or_default(),
        store: one(root.remove("store"), report),
        admin: one(root.remove("admin"), report),
        monitoring: one(root.remove("monitoring"), report),
        traces: one(root.remove("traces"), report),
        endpoint: one(root.remove("endpoint"), report),
        listeners: named(root.remove("listener"), report, table),
        upstreams: named(root.remove("upstream"), report, table),
        schemes: named(root.remove("scheme"), report, |_, value, report| scheme(value, report)),
        limits: named(root.remove("limit"), report, table),
        roles: named(root.remove("roles"), report, table),
        accounts: listed("account", "id", root.remove("account"), report, |_, value, report| {
            account(value, report).ok_or(None)
        }),
        routes: listed("route", "name", root.remove("route"), report, reading),
    })
}

/// Reads one value, after its shape was checked.
fn table<T: DeserializeOwned>(shape: &Shape, value: Spanned<DeValue<'_>>, report: &mut Report) -> Option<T> {
    reading(shape, value, report).ok()
}

/// Reads one value and says everything that is wrong with it: what serde stops at is taken out, and the rest read anew.
fn reading<T: DeserializeOwned>(shape: &Shape, mut value: Spanned<DeValue<'_>>, report: &mut Report) -> Reading<T> {
    let good = shape.check(&mut value, report);
    let place = value.span();
    let mut unread = shape.fill(&mut value);
    loop {
        let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(table) if good && unread.is_empty() => return Ok(table),
            Ok(table) => return Err(Some(Box::new(Remains { table, unread }))),
            Err(error) => error,
        };
        let at = error.span().unwrap_or_else(|| place.clone());
        let invalid = Invalid::new(error.message().to_owned());
        let Some((key, wrong)) = shape::entry_at(&value, &at) else {
            if good && unread.is_empty() {
                report.error(at, invalid);
            }
            return Err(None);
        };
        let name = key.get_ref().to_string();
        if unread.contains(&name) {
            return Err(None);
        }
        // What the shape has spoken of is not said in serde's words as well: they may repeat a secret.
        if !report.blames(|place| shape::holds(key, wrong, place)) {
            report.error(at, invalid);
        }
        if let DeValue::Table(table) = value.get_mut() {
            table.remove(name.as_str());
        }
        shape.fill(&mut value);
        unread.push(name);
    }
}

fn one<T: DeserializeOwned + JsonSchema>(value: Option<Spanned<DeValue<'_>>>, report: &mut Report) -> Option<T> {
    table(&Shape::of::<T>(), value?, report)
}

/// A table of tables, in the order of the file.
fn named<'i, T: JsonSchema>(
    tables: Option<Spanned<DeValue<'i>>>,
    report: &mut Report,
    read: impl Fn(&Shape, Spanned<DeValue<'i>>, &mut Report) -> Option<T>,
) -> Vec<Named<T>> {
    let Some(tables) = tables else { return Vec::new() };
    if !tables.get_ref().is_table() {
        shape::mask(&tables, report);
        report.error(tables.span(), Invalid::new("this takes a table of named tables"));
    }
    let DeValue::Table(tables) = tables.into_inner() else { return Vec::new() };
    let shape = Shape::of::<T>();
    let mut tables: Vec<_> = tables.into_iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    tables
        .into_iter()
        .map(|(name, value)| Named {
            name: Placed::new(name.get_ref().clone().into_owned(), name.span()),
            table: read(&shape, value, report),
        })
        .collect()
}

/// A list of tables.
fn listed<'i, T: JsonSchema>(
    what: &str,
    id: &str,
    list: Option<Spanned<DeValue<'i>>>,
    report: &mut Report,
    read: impl Fn(&Shape, Spanned<DeValue<'i>>, &mut Report) -> Reading<T>,
) -> Vec<Entry<T>> {
    let Some(list) = list else { return Vec::new() };
    if !list.get_ref().is_array() {
        shape::mask(&list, report);
        report.error(
            list.span(),
            Invalid::new(format!("`{what}` is a list of tables")).hint(format!("write [[{what}]]")),
        );
    }
    let DeValue::Array(list) = list.into_inner() else { return Vec::new() };
    let shape = Shape::of::<T>();
    list.into_iter()
        .map(|value| {
            let id = value.get_ref().get(id).and_then(|id| id.get_ref().as_str()).map(str::to_owned);
            let (table, remains) =
                read(&shape, value, report).map_or_else(|rest| (None, rest), |table| (Some(table), None));
            Entry { id, table, remains }
        })
        .collect()
}

/// A scheme's name stands over exactly one table, named after its kind.
fn scheme(value: Spanned<DeValue<'_>>, report: &mut Report) -> Option<Scheme> {
    let place = value.span();
    let kinds = || KINDS.iter().map(|entry| entry.kind);
    let DeValue::Table(table) = value.into_inner() else {
        report.error(place, Invalid::new("a scheme is a table").hint("write [scheme.<name>.<kind>]"));
        return None;
    };
    let mut tables = table.into_iter();
    let (Some((kind, mut settings)), None) = (tables.next(), tables.next()) else {
        let known = kinds().collect::<Vec<_>>().join(", ");
        report.error(
            place,
            Invalid::new("a scheme has exactly one table, named after its kind")
                .hint(format!("write [scheme.<name>.<kind>], with one of: {known}")),
        );
        return None;
    };
    let Some(entry) = KINDS.iter().find(|entry| entry.kind == kind.get_ref()) else {
        let mut invalid = Invalid::new(format!("there is no kind of scheme called `{kind}`"));
        invalid.hint = nearest::hint(kind.get_ref(), kinds());
        report.error(kind.span(), invalid);
        return None;
    };
    let place: Range<usize> = settings.span();
    if !Shape::built(entry.schema).check(&mut settings, report) {
        return None;
    }
    match toml::Value::deserialize(ValueDeserializer::from(settings)) {
        Ok(settings) => Some(Scheme { kind: entry, settings, place }),
        Err(error) => {
            report.error(error.span().unwrap_or(place), Invalid::new(error.message().to_owned()));
            None
        }
    }
}

/// An account and, each on its own, its credentials.
fn account(mut value: Spanned<DeValue<'_>>, report: &mut Report) -> Option<Account> {
    let mut take = |kind: &str| match value.get_mut() {
        DeValue::Table(table) => table.remove(kind),
        // Said when the account itself is read.
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => None,
    };
    let [license_key, api_client, camera, camera_group, service_account] =
        ["license_key", "api_client", "camera", "camera_group", "service_account"].map(&mut take);
    let own: Option<Account> = table(&Shape::of::<Account>(), value, report);
    // Read whether or not the account itself could be: their mistakes are their own.
    let lists = (
        credentials("license_key", license_key, report),
        credentials("api_client", api_client, report),
        credentials("camera", camera, report),
        credentials("camera_group", camera_group, report),
        credentials("service_account", service_account, report),
    );
    let mut account = own?;
    (account.license_key, account.api_client, account.camera, account.camera_group, account.service_account) = lists;
    Some(account)
}

fn credentials<T: DeserializeOwned + JsonSchema>(
    kind: &str,
    list: Option<Spanned<DeValue<'_>>>,
    report: &mut Report,
) -> Vec<T> {
    listed(&format!("account.{kind}"), "id", list, report, reading)
        .into_iter()
        .filter_map(|entry| entry.table)
        .collect()
}

/// Stars every secret that can be told in a file that is no TOML: those in the part that could be read, and whatever
/// follows the key of a secret on its line.
fn hide_secrets(text: &str, root: DeTable<'_>, report: &mut Report) {
    let mut scratch = report.clone();
    Shape::of::<Document>().check(&mut Spanned::new(0..0, DeValue::Table(root)), &mut scratch);
    report.adopt_masks(scratch);
    let mut start = 0;
    let mut among_tokens = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            among_tokens = line.contains("tokens");
        }
        // Tokens of the admin API stand under names of the operator's own.
        if let Some(value) = line.find('=').filter(|at| among_tokens || line[..*at].contains("tokens.")) {
            report.mask(start + value + 1..start + line.len());
        }
        for key in ["key", "secret", "tokens", "value", "verification_key", "master_key"] {
            if let Some(value) = after_key(line, key) {
                report.mask(start + value..start + line.len());
            }
        }
        start += line.len();
    }
}

/// Where the value of `key` begins in this line.
fn after_key(line: &str, key: &str) -> Option<usize> {
    line.match_indices(key).find_map(|(at, _)| {
        // `license_key` is a list, `key` in it is the secret.
        if line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_') {
            return None;
        }
        let rest = &line[at + key.len()..];
        let value = rest.trim_start().strip_prefix('=')?;
        Some(line.len() - value.len())
    })
}
