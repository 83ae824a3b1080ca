//! The operation decides the permission (Voximplant, vendors 5.2): its name stands in the path, in the query or in a form,
//! and wherever it stands it is the same. Which roles may do which operation is data: a table that comes with the house
//! (`role/voximplant.rs`), changed entry by entry as the operator says.

pub mod voximplant;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode;

use crate::edge::head::Head;
use crate::edge::preface::{Announced, Preface};
use crate::record::Kind;
use crate::refusal::{Cause, Refusal};
use crate::route::Parameter;
use crate::scheme::Principal;

/// The longest name of an operation, in bytes.
const LONGEST_NAME: usize = 64;

/// Where the name of the operation stands, and who may do which.
#[derive(Debug)]
pub struct Rule {
    /// In the path.
    pub path: Option<Parameter>,
    /// The name of the parameter in the query and in forms.
    pub parameter: Box<str>,
    /// Who may do which.
    pub table: Table,
}

/// Who may do which operation.
#[derive(Debug, Default)]
pub struct Table {
    /// By the name of the operation, with upper and lower case.
    pub operations: HashMap<Box<str>, Who>,
    /// Who may do operations that do not stand there; `None`: there are no others.
    pub others: Option<Who>,
    /// Parameters that nobody may send: credentials of kinds that are not taken here.
    pub refused: Vec<Box<str>>,
}

/// A table that comes with the house.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The word in `preset = "…"`.
    pub name: &'static str,
    /// One line for listings.
    pub about: &'static str,
    /// Who may do which operation.
    pub operations: fn() -> HashMap<Box<str>, Who>,
    /// The roles that the vendor has.
    pub roles: &'static [&'static str],
    /// Parameters that nobody may send.
    pub refused: &'static [&'static str],
    /// Parameters that hold a credential, and are taken out on the way upstream whatever has proven the caller.
    pub removed: &'static [&'static str],
}

/// Every table there is.
pub const PRESETS: &[Preset] = &[voximplant::PRESET];

/// Who may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everyone who is proven, with a role or without.
    Proven,
    /// Holders of one of these roles, and callers whose permissions are not limited.
    Holders(Box<[Box<str>]>),
    /// Nobody, whatever their permissions.
    Nobody,
}

impl Who {
    /// Holders of one of these roles.
    pub fn holders<T: AsRef<str>>(roles: &[T]) -> Self {
        Self::Holders(roles.iter().map(|role| Box::from(role.as_ref())).collect())
    }

    /// Refuses everyone else.
    pub fn check(&self, principal: &Principal) -> Result<(), Refusal> {
        let may = match self {
            Self::Proven => true,
            Self::Holders(roles) => held(principal)
                .is_none_or(|held| held.iter().any(|own| roles.iter().any(|role| is_same_role(own, role)))),
            Self::Nobody => false,
        };
        if may { Ok(()) } else { Err(Refusal::new(Cause::PermissionDenied, "the caller has none of the roles")) }
    }
}

/// The roles of a caller; `None`: the permissions are not limited. A service account without a role has none, and not
/// all: which roles it has is said by whoever has made its key. All others without a limit have the whole account.
fn held(principal: &Principal) -> Option<&[Box<str>]> {
    if let Some(scopes) = principal.scopes() {
        return Some(&scopes.0);
    }
    principal.credentials().iter().any(|record| record.kind() == Kind::ServiceAccountKey).then_some(&[])
}

/// Whether both are names of one role: without regard to case, blanks, hyphens and underscores (vendors 5.2), or the
/// vendor's number for it.
pub fn is_same_role(own: &str, other: &str) -> bool {
    letters(named(own)).eq(letters(named(other)))
}

fn named(role: &str) -> &str {
    voximplant::NUMBERS.iter().find(|(number, _)| *number == role).map_or(role, |(_, name)| name)
}

fn letters(role: &str) -> impl Iterator<Item = char> {
    role.chars().filter(|letter| !matches!(letter, ' ' | '-' | '_')).flat_map(char::to_lowercase)
}

/// Whether an operation can have this name: letters and digits.
pub fn is_operation(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Rule {
    /// The operation that the request is for; refuses a caller who may not do it.
    pub fn check(&self, principal: &Principal, head: &Head<'_>, preface: &Preface) -> Result<Box<str>, Refusal> {
        // First: whatever the operation, it would be done in the name of whoever these prove.
        self.no_refused(head, preface)?;
        let name = self.name(head, preface)?;
        match self.table.operations.get(&*name).or(self.table.others.as_ref()) {
            Some(who) => who.check(principal).map(|()| name),
            None => Err(Refusal::new(Cause::OperationUnknown, "the operation is not in the table")),
        }
    }

    fn no_refused(&self, head: &Head<'_>, preface: &Preface) -> Result<(), Refusal> {
        let refused = |given: &Given<'_>| self.table.refused.iter().any(|name| given.naming(name).is_some());
        if in_query(head).chain(in_form(head, preface)).any(|given| refused(&given)) {
            return Err(Refusal::new(Cause::PermissionDenied, "a credential of a kind that is not taken here"));
        }
        Ok(())
    }

    /// The one name that stands in all places that have one, byte for byte.
    fn name(&self, head: &Head<'_>, preface: &Preface) -> Result<Box<str>, Refusal> {
        let path = self.path.as_ref().and_then(|place| place.text(head.path()));
        let path = path.map(|text| Cow::from(percent_decode(text.as_bytes())));
        let query = self.only(in_query(head))?;
        let form = self.only(in_form(head, preface))?;
        let mut names = [path, query, form].into_iter().flatten();
        let Some(name) = names.next().filter(|name| !name.is_empty()) else {
            return match names.next() {
                Some(_) => Err(torn()),
                None => Err(Refusal::new(Cause::OperationMissing, "no operation is named")),
            };
        };
        if names.any(|other| other != name) {
            return Err(torn());
        }
        match str::from_utf8(&name) {
            Ok(text) if is_operation(text) => Ok(text.into()),
            Ok(_) | Err(_) => Err(Refusal::new(Cause::OperationUnknown, "no operation can have this name")),
        }
    }

    /// The value in one place. Two are refused even where they are equal: nobody knows how many an upstream reads.
    fn only<'a>(&self, given: impl Iterator<Item = Given<'a>>) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        let mut found = None;
        for given in given {
            let value = match given.naming(&self.parameter) {
                None => continue,
                Some(Naming::Exact) => given.value.ok_or_else(torn)?,
                // To some readers this is the parameter, to others it is not.
                Some(Naming::Alike) => return Err(torn()),
            };
            if found.replace(value.decoded()).is_some() {
                return Err(torn());
            }
        }
        Ok(found)
    }
}

fn torn() -> Refusal {
    Refusal::new(Cause::InvalidContent, "two operations are named, or one in a way that can be read in two")
}

/// A parameter as it was given.
struct Given<'a> {
    name: Cow<'a, [u8]>,
    /// `None`: some readers find it behind a semicolon, and others do not.
    value: Option<Value<'a>>,
}

/// A value: encoded as in a query, or plain.
enum Value<'a> {
    Encoded(&'a str),
    Plain(&'a [u8]),
}

impl<'a> Value<'a> {
    fn decoded(self) -> Cow<'a, [u8]> {
        match self {
            Self::Encoded(text) => decoded(text),
            Self::Plain(bytes) => Cow::Borrowed(bytes),
        }
    }
}

/// How a name is another.
enum Naming {
    /// But for upper and lower case.
    Exact,
    /// To some readers: `cmd[]`, ` cmd`.
    Alike,
}

impl Given<'_> {
    fn naming(&self, parameter: &str) -> Option<Naming> {
        if self.name.eq_ignore_ascii_case(parameter.as_bytes()) {
            return Some(Naming::Exact);
        }
        // PHP and its like drop blanks before a name, end it at a bracket or a zero byte, and write `_` for `.` and ` `.
        let end = self.name.iter().position(|byte| matches!(byte, b'[' | 0)).unwrap_or(self.name.len());
        let letter = |byte: &u8| if matches!(byte, b'.' | b' ') { b'_' } else { byte.to_ascii_lowercase() };
        let own = self.name[..end].trim_ascii().iter().map(letter);
        own.eq(parameter.bytes().map(|byte| byte.to_ascii_lowercase())).then_some(Naming::Alike)
    }
}

fn in_query<'a>(head: &Head<'a>) -> impl Iterator<Item = Given<'a>> {
    pairs(head.query().unwrap_or_default())
}

/// What the form has, and what a reader would find in it who ends pairs at a semicolon as well.
fn in_form<'a>(head: &Head<'_>, preface: &'a Preface) -> impl Iterator<Item = Given<'a>> {
    let is_text =
        !preface.body().is_empty() && Announced::of(head.headers()).is_ok_and(|it| it == Announced::UrlEncoded);
    let text = str::from_utf8(preface.body()).ok().filter(|_| is_text).unwrap_or_default();
    let fields = preface
        .fields()
        .map(|field| Given { name: Cow::Borrowed(field.name.as_bytes()), value: Some(Value::Plain(&field.value)) });
    fields.chain(pairs(text).filter(|given| given.value.is_none()))
}

fn pairs(text: &str) -> impl Iterator<Item = Given<'_>> {
    text.split('&').filter(|pair| !pair.is_empty()).flat_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let hidden = pair.split(';').skip(1).map(|part| {
            let name = part.split_once('=').map_or(part, |(name, _)| name);
            Given { name: decoded(name), value: None }
        });
        std::iter::once(Given { name: decoded(name), value: Some(Value::Encoded(value)) }).chain(hidden)
    })
}

/// As forms are written: `+` is a blank.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        return Cow::Owned(percent_decode(text.replace('+', " ").as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}
