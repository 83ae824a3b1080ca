//! Queries, read in one way only: a parameter that is not known, comes twice or cannot be read is refused. Cursors are
//! made and read here; callers hand them back as they got them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::problem::{Problem, plain};
use crate::limit::failures::Which;
use crate::store::{Fault, Resource, Status};

/// How many items a page has, unless it is asked for.
const PAGE: usize = 100;
/// How many at most.
const LARGEST_PAGE: usize = 1000;

/// A parameter that an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// How many items a page has.
    Limit,
    /// The cursor that the page before gave.
    After,
    /// The number of the last entry of the trail on the page before.
    AfterDeed,
    /// Whose.
    Account,
    /// For which user.
    User,
    /// How they stand.
    Status,
    /// What they are called.
    Name,
    /// Whose; it must be said.
    Whose,
    /// From where.
    Address,
    /// For whom.
    Identifier,
}

impl Parameter {
    /// Its name in the query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::After | Self::AfterDeed => "after",
            Self::Account | Self::Whose => "account",
            Self::User => "user",
            Self::Status => "status",
            Self::Name => "name",
            Self::Address => "address",
            Self::Identifier => "identifier",
        }
    }

    /// What it says.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Limit => "How many items the page has at most",
            Self::After | Self::AfterDeed => "Goes on after the page whose `next` this is",
            Self::Account => "Only what belongs to this account",
            Self::User => "Only what was made for this user",
            Self::Status => "Only what stands so",
            Self::Name => "Only what is called so",
            Self::Whose => "The account",
            Self::Address => "Only what concerns a caller at this address",
            Self::Identifier => "Only what concerns this identifier, as callers send it",
        }
    }

    /// Whether it must be there.
    pub(super) fn required(self) -> bool {
        self == Self::Whose
    }

    /// The JSON schema of its value, where this is listed.
    pub(super) fn schema(self, listed: Option<Resource>) -> Value {
        match self {
            Self::Limit => json!({ "type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE }),
            Self::After => json!({ "type": "string", "pattern": listed.map_or_else(|| "^.+$".to_owned(), cursors) }),
            Self::AfterDeed => json!({ "type": "integer", "minimum": 0 }),
            Self::Address => json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] }),
            Self::Account | Self::User | Self::Name | Self::Whose | Self::Identifier => {
                json!({ "type": "string", "minLength": 1 })
            }
            Self::Status => json!({ "type": "string", "enum": ["active", "disabled", "expired", "pending"] }),
        }
    }
}

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(Parameter, String)>);

impl Query {
    /// Reads a query; says everything that is wrong with it.
    pub(super) fn read(raw: Option<&str>, known: &[Parameter]) -> Result<Self, Problem> {
        let mut read: Vec<(Parameter, String)> = Vec::new();
        let mut faults = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decoded(name) else {
                faults.push(Fault::new("", "the query is not UTF-8"));
                continue;
            };
            let Some(parameter) = known.iter().copied().find(|parameter| parameter.name() == name) else {
                faults.push(unknown(&name, known));
                continue;
            };
            match decoded(value) {
                _ if read.iter().any(|(own, _)| *own == parameter) => {
                    faults.push(Fault::new(parameter.name(), "this comes twice"));
                }
                Some(value) if value.is_empty() => faults.push(Fault::new(parameter.name(), "this is empty")),
                Some(value) => read.push((parameter, value)),
                None => faults.push(Fault::new(parameter.name(), "this is not UTF-8")),
            }
        }
        if faults.is_empty() { Ok(Self(read)) } else { Err(Problem::fields(StatusCode::BAD_REQUEST, faults)) }
    }

    /// The text of a parameter.
    pub(super) fn text(&self, parameter: Parameter) -> Option<&str> {
        self.0.iter().find(|(own, _)| *own == parameter).map(|(_, value)| value.as_str())
    }

    /// How many items the page has at most.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text(Parameter::Limit) else { return Ok(PAGE) };
        let number = text.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
        number.ok_or_else(|| wrong(Parameter::Limit, format!("this is a number from 1 to {LARGEST_PAGE}")))
    }

    /// How the items of a listing stand.
    pub(super) fn status(&self) -> Result<Option<Status>, Problem> {
        let Some(text) = self.text(Parameter::Status) else { return Ok(None) };
        let status = Status::of_name(text);
        status.map(Some).ok_or_else(|| wrong(Parameter::Status, "this is active, disabled, expired or pending"))
    }

    /// Which failures are meant.
    pub(super) fn failures(&self) -> Result<Which, Problem> {
        let address = self
            .text(Parameter::Address)
            .map(|text| text.parse().map_err(|_| wrong(Parameter::Address, "this is an address such as 203.0.113.9")));
        let identifier = self.text(Parameter::Identifier).map(str::to_owned);
        Ok(Which { address: address.transpose()?, identifier })
    }

    /// The id after which a listing of this resource goes on.
    pub(super) fn after(&self, resource: Resource) -> Result<Option<String>, Problem> {
        let Some(text) = self.text(Parameter::After) else { return Ok(None) };
        let id = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let (of, id) = text.split_once('\0')?;
            (of == resource.path()).then(|| id.to_owned())
        };
        id().map(Some).ok_or_else(|| wrong(Parameter::After, "this is not the `next` of a page of this listing"))
    }

    /// The number after which the audit trail goes on.
    pub(super) fn sequence(&self) -> Result<u64, Problem> {
        let Some(text) = self.text(Parameter::AfterDeed) else { return Ok(0) };
        text.parse().map_err(|_| wrong(Parameter::AfterDeed, "this is the number of an entry of the audit trail"))
    }
}

/// What a caller hands back to go on after `id`.
pub(super) fn cursor(resource: Resource, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\0{id}", resource.path()))
}

/// What the cursors of a listing look like: all of them begin with the name of what is listed, as far as whole characters
/// tell it.
fn cursors(listed: Resource) -> String {
    let beginning = cursor(listed, "");
    let whole = (listed.path().len() + 1) * 8 / 6;
    format!("^{}[A-Za-z0-9_-]+$", &beginning[..whole])
}

fn wrong(parameter: Parameter, message: impl Into<String>) -> Problem {
    Problem::field(StatusCode::BAD_REQUEST, parameter.name(), message)
}

fn unknown(name: &str, known: &[Parameter]) -> Fault {
    let list = known.iter().map(|parameter| format!("`{}`", parameter.name())).collect::<Vec<_>>().join(", ");
    let takes = if known.is_empty() { "none".to_owned() } else { list };
    Fault::new(plain(name), format!("there is no such parameter here; this takes {takes}"))
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Parameter] =
        &[Parameter::Limit, Parameter::After, Parameter::Account, Parameter::Status, Parameter::Name];

    #[test]
    fn a_query_is_read_in_one_way_only() {
        for (raw, named) in [
            ("colour=red", "colour"),
            ("Limit=1", "Limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=1&limit=", "limit"),
            ("name=", "name"),
            ("name", "name"),
            ("name=%ff", "name"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=ten", "limit"),
            ("status=gone", "status"),
            ("after=!", "after"),
            ("after=YWJj", "after"),
        ] {
            let outcome = Query::read(Some(raw), ALL).and_then(|query| {
                query.limit()?;
                query.status()?;
                query.after(Resource::Camera)
            });
            let problem = format!("{:?}", outcome.expect_err(raw));
            assert!(problem.contains("status: 400") && problem.contains(&format!("field: {named:?}")), "{problem}");
        }
    }

    #[test]
    fn every_unknown_parameter_is_named() {
        let problem = format!("{:?}", Query::read(Some("a=1&limit=5&%62=2"), ALL).expect_err("two are unknown"));
        assert!(problem.contains("field: \"a\"") && problem.contains("field: \"b\""), "{problem}");
    }

    #[test]
    fn escapes_and_plus_signs_are_read_as_browsers_write_them() {
        let query = Query::read(Some("name=front+door%20%2B+%C3%BC&account=a%26b&&"), ALL).expect("it is good");
        assert_eq!(query.text(Parameter::Name), Some("front door + ü"));
        assert_eq!(query.text(Parameter::Account), Some("a&b"));
        assert_eq!(query.limit().expect("the default"), 100);
    }

    #[test]
    fn cursors_are_as_they_are_described() {
        for resource in Resource::ALL {
            let schema = Parameter::After.schema(Some(*resource));
            let pattern = schema["pattern"].as_str().expect("a pattern");
            let beginning = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix("[A-Za-z0-9_-]+$"));
            let beginning = beginning.expect("a beginning, and more of the alphabet");
            assert!(beginning.len() > 5, "{pattern}");
            for id in ["a", "gate/1%", "~~~", "\u{fc}"] {
                let cursor = cursor(*resource, id);
                let rest = cursor.strip_prefix(beginning).expect("it begins so");
                assert!(
                    !rest.is_empty() && rest.bytes().all(|own| own.is_ascii_alphanumeric() || b"_-".contains(&own))
                );
            }
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_listing_only() {
        let raw = format!("after={}", cursor(Resource::Camera, "gate/1%"));
        let query = Query::read(Some(&raw), ALL).expect("it is good");
        assert_eq!(query.after(Resource::Camera).expect("its own"), Some("gate/1%".into()));
        assert!(query.after(Resource::Account).is_err());
    }
}
