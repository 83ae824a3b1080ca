//! Why a change or a question was refused. What the caller is told stands here; its status and its shape are the
//! business of the admin API and the command line.

use std::fmt;

use super::resource::Resource;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key that is wrong, with dots where it lies deeper: `quota.hour`. Empty: the document as a whole.
    pub field: String,
    /// One plain sentence without a full stop. Never holds a secret.
    pub message: String,
}

impl Fault {
    /// What is wrong with `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// What serde found.
    pub(super) fn of_serde(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let message = without_place(&error.inner().to_string());
        // serde says where it looked, not what it missed there.
        match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            None => Self::new(path, message),
            Some(field) if path.is_empty() => Self::new(field, "this is missing"),
            Some(field) => Self::new(format!("{path}.{field}"), "this is missing"),
        }
    }
}

/// `serde_json` adds a line and a column that mean nothing where a value is read and not a text.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "`{field}`: {}", self.message),
        }
    }
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such entry.
    #[error("{}", missing(*resource, id, *declared))]
    Missing {
        /// What was looked for.
        resource: Resource,
        /// By which id or name.
        id: String,
        /// It is declared in the configuration: it may be good, and cannot be changed here.
        declared: bool,
    },
    /// The document is wrong; everything that is wrong with it.
    #[error("{}", sentences(.0))]
    Invalid(Vec<Fault>),
    /// It is taken already, or declared in the configuration.
    #[error("{0}")]
    Conflict(Fault),
    /// Others still need it.
    #[error("the {} `{id}` is still needed by the {} `{by_id}`", resource.words(), by.words())]
    InUse {
        /// What was to be deleted.
        resource: Resource,
        /// Its id.
        id: String,
        /// What needs it.
        by: Resource,
        /// The id of one of those.
        by_id: String,
    },
    /// The account has all the cameras that it may have.
    #[error("the account `{account}` may host {limit} cameras (`limits.hosted_cameras`) and hosts {hosted}")]
    Allotment {
        /// The key of the document that would bring about one more.
        field: &'static str,
        /// Whose cameras they are.
        account: String,
        /// How many it may have.
        limit: u64,
        /// How many it has that are not switched off.
        hosted: u64,
    },
    /// As much hangs at it as may.
    #[error("the {} `{id}` has {most} of the resource {} and may not have more", holder.words(), resource.words())]
    Full {
        /// What it would have hung at.
        holder: Resource,
        /// The id of that.
        id: String,
        /// What hangs there.
        resource: Resource,
        /// How many of them may.
        most: usize,
    },
    /// Somebody else has changed it since it was read.
    #[error("it has been changed since: it is at revision {revision} now")]
    Stale {
        /// Its revision now.
        revision: u64,
    },
    /// One of many operations was refused, and with it all of them.
    #[error("operation {place}: {refused}")]
    InBulk {
        /// Which one, counted from 0.
        place: usize,
        /// Why.
        refused: Box<Refused>,
    },
    /// The idempotency key came with another request before.
    #[error("this idempotency key was used for another request")]
    Reused,
    /// The store cannot be written or read at present.
    #[error("{0}")]
    Unavailable(String),
}

fn missing(resource: Resource, id: &str, declared: bool) -> String {
    let what = resource.words();
    if declared {
        return format!(
            "the {what} `{id}` is declared in the configuration and not in the store: change it there, then `vidgate reload`"
        );
    }
    format!("there is no {what} `{id}`")
}

fn sentences(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Refused {
    /// One thing is wrong with the document.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault::new(field, message)])
    }

    /// There is no such entry, and it is not declared either, or it is not known whether.
    pub fn missing(resource: Resource, id: impl Into<String>) -> Self {
        Self::Missing { resource, id: id.into(), declared: false }
    }

    /// Something is taken.
    pub fn conflict(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Conflict(Fault::new(field, message))
    }
}
