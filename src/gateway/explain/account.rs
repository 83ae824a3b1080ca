//! What an explanation is made of: steps, in the order of the rooms, each with those within it. For scripts it is JSON; the
//! command line draws the same as a tree.

use serde::Serialize;
use serde_json::{Map, Value};

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The request passed it.
    Passed,
    /// The request did not pass it.
    Failed,
    /// It was not asked, or not this one.
    Skipped,
    /// Nothing depends on it.
    Note,
}

/// One step of the way.
#[derive(Clone, Debug, Serialize)]
pub struct Telling {
    /// What it is about: a room, or a thing in it.
    pub step: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// In words. Never a credential, nor anything that could be one.
    pub says: String,
    /// The same for scripts, where it is more than the words.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
    /// What it consists of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Telling>,
}

impl Telling {
    /// A step without others.
    pub fn new(step: &'static str, outcome: Outcome, says: impl Into<String>) -> Self {
        Self { step, outcome, says: says.into(), facts: Map::new(), steps: Vec::new() }
    }

    /// The same with a fact.
    pub fn with(mut self, name: &str, fact: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), fact.into());
        self
    }

    /// Whether this step or one within it failed. A list of conditions speaks for itself: of those of which one is enough,
    /// others may fail.
    pub fn has_failed(&self) -> bool {
        let is_list = matches!(self.step, "any" | "all");
        self.outcome == Outcome::Failed || !is_list && self.steps.iter().any(Self::has_failed)
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It goes on to an upstream or to an endpoint.
    Admitted,
    /// The gateway answers it: a preflight, or `OPTIONS *`.
    Answered,
    /// It is refused.
    Refused,
}

/// What becomes of a request, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// What becomes of it.
    pub decision: Decision,
    /// The route that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The precise cause of a refusal, as logs and metrics name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What is known of a refusal besides, in words of the house.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The answer of the gateway itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The way.
    pub steps: Vec<Telling>,
}

/// An answer of the gateway itself.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// In which dialect it is worded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<&'static str>,
    /// Its fields.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_failed_where_it_says_so_and_not_because_one_within_it_did() {
        let room = |list: Outcome| {
            let mut any = Telling::new("any", list, "one of these");
            any.steps.push(Telling::new("scheme", Outcome::Failed, "the caller is at none of its addresses"));
            let mut room = Telling::new("authenticate", Outcome::Passed, "");
            room.steps.push(any);
            room
        };
        assert!(!room(Outcome::Passed).has_failed());
        assert!(room(Outcome::Failed).has_failed());
        let mut plain = Telling::new("authenticate", Outcome::Passed, "");
        plain.steps.push(Telling::new("scheme", Outcome::Failed, "nobody was given this key"));
        assert!(plain.has_failed());
    }
}
