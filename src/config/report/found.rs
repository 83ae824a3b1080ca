//! What is allowed and unwise: found by a rule, unless it is meant to be so.

use std::ops::Range;

use super::{Problem, Report, Weight};
use crate::config::rules::{Found, Rule, Severity};
use crate::invalid::Invalid;
use crate::record::Kind;

/// What is found and meant to be so.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    rule: &'static Rule,
    route: Option<String>,
    place: Range<usize>,
    needed: bool,
}

/// Something that is allowed and unwise, for whoever wants it in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<'a> {
    /// The rule, where it has one.
    pub rule: Option<&'static Rule>,
    /// Line and column, from 1 on; `None`: it is about the file as a whole.
    pub place: Option<(usize, usize)>,
    /// On which route, where it is one route's.
    pub route: Option<&'a str>,
    /// Whose credentials it is about.
    pub kind: Option<Kind>,
    /// One plain sentence without a full stop.
    pub message: &'a str,
    /// What would help.
    pub hint: Option<&'a str>,
}

impl Finding<'_> {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.rule.map_or(Severity::Medium, |rule| rule.severity)
    }
}

impl Report {
    /// Everything that is allowed and unwise, in the order of the file.
    pub fn findings(&self) -> impl Iterator<Item = Finding<'_>> {
        let mut found: Vec<&Problem> =
            self.problems.iter().filter(|problem| problem.weight == Weight::Warning).collect();
        found.sort_by(|one, other| one.order(other));
        found.into_iter().map(|problem| Finding {
            rule: problem.rule,
            place: problem.place.as_ref().map(|place| self.position(place.start)),
            route: problem.route.as_deref(),
            kind: problem.kind,
            message: &problem.message,
            hint: problem.hint.as_deref(),
        })
    }

    /// Adds what is allowed and unwise, unless it is meant to be so. Where nothing is said of what would help, it is what
    /// the rule says.
    pub(in crate::config) fn find<'a>(
        &mut self,
        found: impl Into<Found<'a>>,
        place: impl Into<Option<Range<usize>>>,
        invalid: Invalid,
    ) {
        let Found { rule, route, kind } = found.into();
        if self.is_allowed(rule, route) {
            return;
        }
        let mut problem = Problem::new(Weight::Warning, place.into(), invalid);
        problem.hint.get_or_insert_with(|| rule.mend.to_owned());
        self.keep(Problem { rule: Some(rule), route: route.map(str::to_owned), kind, ..problem });
    }

    /// From now on, nothing is said where this rule is not followed, on this route or anywhere.
    pub(in crate::config) fn allow(&mut self, rule: &'static Rule, route: Option<&str>, place: Range<usize>) {
        self.allowed.push(Allowed { rule, route: route.map(str::to_owned), place, needed: false });
        for problem in std::mem::take(&mut self.problems) {
            if problem.rule.is_none_or(|rule| !self.is_allowed(rule, problem.route.as_deref())) {
                self.problems.push(problem);
            }
        }
    }

    /// Where it is allowed that a rule is not followed, and it is followed.
    pub(in crate::config) fn unneeded(&self) -> Vec<(Range<usize>, &'static str)> {
        let unneeded = self.allowed.iter().filter(|allowed| !allowed.needed);
        unneeded.map(|allowed| (allowed.place.clone(), allowed.rule.id)).collect()
    }

    fn is_allowed(&mut self, rule: &Rule, route: Option<&str>) -> bool {
        let mut fitting = self
            .allowed
            .iter_mut()
            .filter(|allowed| allowed.rule == rule && (allowed.route.is_none() || allowed.route.as_deref() == route));
        fitting.next().map(|allowed| allowed.needed = true).is_some()
    }
}
