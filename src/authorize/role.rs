//! The operation decides the permission (Voximplant): its name stands in the path, in the query or in a form,
//! and wherever it stands it is the same. Which roles may do which operation is data: a table that comes with the house
//! (`role/voximplant.rs`), changed entry by entry as the operator says.

pub mod voximplant;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode;

use crate::edge::head::Head;
use crate::edge::pairs::{self, Name};
use crate::edge::preface::Preface;
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

impl Table {
    /// Refuses a caller who may not do this operation.
    pub(super) fn check(&self, principal: &Principal, operation: &str) -> Result<(), Refusal> {
        match self.operations.get(operation).or(self.others.as_ref()) {
            Some(who) => who.check(principal),
            None => Err(Refusal::new(Cause::OperationUnknown, "the operation is not in the table")),
        }
    }
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

/// The roles of a caller; `None`: the permissions are not limited. A service account or a user without a role has none,
/// and not all: which roles they have is said by whoever has made them, and who loses the last one has not won anything.
/// All others without a limit have the whole account.
pub(crate) fn held(principal: &Principal) -> Option<&[Box<str>]> {
    const HOLDERS: [Kind; 3] = [Kind::ServiceAccountKey, Kind::UserKey, Kind::BearerToken];
    if let Some(scopes) = principal.scopes() {
        return Some(&scopes.0);
    }
    principal.credentials().iter().any(|record| HOLDERS.contains(&record.kind())).then_some(&[])
}

/// Whether both are names of one role: without regard to case, blanks, hyphens and underscores, or the
/// vendor's number for it.
pub fn is_same_role(own: &str, other: &str) -> bool {
    own == other || letters(named(own)).eq(letters(named(other)))
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
        self.table.check(principal, &name).map(|()| name)
    }

    fn no_refused(&self, head: &Head<'_>, preface: &Preface) -> Result<(), Refusal> {
        let refused = &self.table.refused;
        if pairs::holds(head.query(), refused) || refused.iter().any(|name| preface.values(name).next().is_some()) {
            return Err(Refusal::new(Cause::PermissionDenied, "a credential of a kind that is not taken here"));
        }
        Ok(())
    }

    /// The one name that stands in all places that have one, byte for byte.
    fn name(&self, head: &Head<'_>, preface: &Preface) -> Result<Box<str>, Refusal> {
        let path = self.path.as_ref().and_then(|place| place.text(head.path()));
        let path = path.map(|text| Cow::from(percent_decode(text.as_bytes())));
        let query = self.in_query(head)?;
        let form = self.in_form(preface)?.map(Cow::Borrowed);
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

    /// The value in the query. Two are refused even where they are equal: nobody knows how many an upstream reads.
    fn in_query<'a>(&self, head: &Head<'a>) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        // To some readers `%u0063` is a letter.
        if !every_escape_is_one(head.query().unwrap_or_default()) {
            return Err(torn());
        }
        let mut given = in_query(head, &self.parameter);
        match (given.next(), given.next()) {
            (None, _) => Ok(None),
            (Some(Given::Plain(value)), None) => Ok(Some(decoded(value))),
            (Some(_), _) => Err(torn()),
        }
    }

    /// The same in the form.
    fn in_form<'a>(&'a self, preface: &'a Preface) -> Result<Option<&'a [u8]>, Refusal> {
        let mut values = preface.values(&self.parameter);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (value, None) if preface.fields().any(|field| field.name.eq_ignore_ascii_case(&self.parameter)) => {
                Ok(value)
            }
            (Some(_), _) => Err(torn()),
        }
    }
}

fn torn() -> Refusal {
    Refusal::new(Cause::InvalidContent, "two operations are named, or one in a way that can be read in two")
}

/// A parameter in the query that somebody would take for the one that is looked for.
enum Given<'a> {
    /// Everybody would, but for upper and lower case. Its value, encoded as it stands.
    Plain(&'a str),
    /// Only some would: it stands behind a semicolon, or is called `cmd[]`.
    Alike,
}

fn in_query<'a>(head: &Head<'a>, name: &str) -> impl Iterator<Item = Given<'a>> {
    pairs::pairs(head.query().unwrap_or_default()).filter(|pair| !pair.is_empty()).flat_map(move |pair| {
        let own = given(pair, name);
        let hidden = memchr(b';', pair.as_bytes()).is_some().then(|| {
            // What stands before the first semicolon is the pair itself, unless its name goes on behind it.
            let within = usize::from(!pairs::name(pair).contains(';'));
            pair.split(';').skip(within).filter_map(move |part| given(part, name)).map(|_| Given::Alike)
        });
        own.into_iter().chain(hidden.into_iter().flatten())
    })
}

fn given<'a>(pair: &'a str, name: &str) -> Option<Given<'a>> {
    let own = Name::of(pair);
    let is_named = if own.is_plain() {
        own.text().eq_ignore_ascii_case(name)
    } else {
        decoded(own.text()).eq_ignore_ascii_case(name.as_bytes())
    };
    if is_named {
        return Some(Given::Plain(pair.get(own.text().len() + 1..).unwrap_or_default()));
    }
    own.is_called(name).then_some(Given::Alike)
}

fn every_escape_is_one(text: &str) -> bool {
    let digits = |at: usize| text.as_bytes().get(at + 1..at + 3);
    memchr_iter(b'%', text.as_bytes()).all(|at| digits(at).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
}

/// As forms are written: `+` is a blank.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        return Cow::Owned(percent_decode(text.replace('+', " ").as_bytes()).collect());
    }
    percent_decode(text.as_bytes()).into()
}
