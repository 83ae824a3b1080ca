//! What is wrong with a configuration, all at once: each problem with its place in the file, drawn as rustc draws them.
//! Secrets that stand in the file are starred before any line of it is shown.

mod found;

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use self::found::Allowed;
pub use self::found::Finding;
use super::rules::{Rule, Severity};
use crate::invalid::Invalid;
use crate::record::Kind;

/// Every problem of one file.
#[derive(Clone, Default)]
pub struct Report {
    name: String,
    text: Vec<u8>,
    problems: Vec<Problem>,
    allowed: Vec<Allowed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    weight: Weight,
    /// What it breaks, where that has a rule.
    rule: Option<&'static Rule>,
    route: Option<String>,
    kind: Option<Kind>,
    place: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
    /// Another place that has to do with it, and what it is.
    related: Option<(Range<usize>, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Error,
    Warning,
}

impl Report {
    /// No problem yet in the file called `name` with this text.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.as_bytes().to_vec(), ..Self::default() }
    }

    /// What the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems keep vidgate from starting.
    pub fn errors(&self) -> usize {
        self.count(Weight::Error)
    }

    /// How many problems do not.
    pub fn warnings(&self) -> usize {
        self.count(Weight::Warning)
    }

    /// Every problem, in the order of the file, and a line that counts them. `colour` is for terminals.
    pub fn render(&self, colour: bool) -> String {
        if self.is_empty() {
            return String::new();
        }
        self.draw(colour) + &self.summary() + "\n"
    }

    /// The same without the line that counts them.
    pub fn draw(&self, colour: bool) -> String {
        self.drawn(colour, false)
    }

    /// Every problem in the order of the file, with why each finding matters and how much.
    pub fn explain(&self, colour: bool) -> String {
        self.drawn(colour, true)
    }

    fn drawn(&self, colour: bool, explained: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let text = String::from_utf8_lossy(&self.text);
        let mut problems: Vec<&Problem> = self.problems.iter().collect();
        problems.sort_by(|one, other| one.order(other));
        let draw = |problem: &&Problem| renderer.render(&[problem.draw(&self.name, &text, explained)]) + "\n\n";
        problems.iter().map(draw).collect()
    }

    /// Every problem that keeps it from coming into force: where it is, `vidgate.toml:3:1`, and what it is.
    pub fn mistakes(&self) -> impl Iterator<Item = (String, String)> {
        let errors = self.problems.iter().filter(|problem| problem.weight == Weight::Error);
        errors.map(|problem| (self.place(problem), problem.sentence()))
    }

    /// Every problem in one line, for a log: `vidgate.toml:3:1: this secret stands in the configuration in clear`. Findings
    /// that matter little are for whoever looks at the file.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        let told = self.problems.iter().filter(|problem| problem.severity() > Severity::Low);
        told.map(|problem| format!("{}: {}", self.place(problem), problem.sentence()))
    }

    fn place(&self, problem: &Problem) -> String {
        let place = problem.place.as_ref().map_or_else(String::new, |place| self.line_and_column(place.start));
        format!("{}{place}", self.name)
    }

    /// Every place that is pointed at.
    #[cfg(any(test, fuzzing))]
    pub(super) fn places(&self) -> impl Iterator<Item = &Range<usize>> {
        self.problems
            .iter()
            .flat_map(|problem| problem.place.iter().chain(problem.related.iter().map(|(place, _)| place)))
    }

    fn line_and_column(&self, at: usize) -> String {
        let (line, column) = self.position(at);
        format!(":{line}:{column}")
    }

    fn position(&self, at: usize) -> (usize, usize) {
        let before = String::from_utf8_lossy(&self.text[..at.min(self.text.len())]);
        let line = before.matches('\n').count() + 1;
        let last = before.rsplit('\n').next().unwrap_or_default();
        (line, last.chars().count() + 1)
    }

    /// One line: `vidgate.toml: 2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        format!("{}: {}, {}", self.name, counted(self.errors(), "error"), counted(self.warnings(), "warning"))
    }

    /// Adds what keeps vidgate from starting. Without a place it is about the file as a whole.
    pub(super) fn error(&mut self, place: impl Into<Option<Range<usize>>>, invalid: Invalid) {
        self.add(Weight::Error, place.into(), invalid, None);
    }

    /// Adds what is allowed and should be known, and has no rule.
    pub(super) fn warn(&mut self, place: impl Into<Option<Range<usize>>>, invalid: Invalid) {
        self.add(Weight::Warning, place.into(), invalid, None);
    }

    /// Adds an error that two places make together.
    pub(super) fn conflict(&mut self, place: Range<usize>, invalid: Invalid, first: Range<usize>, label: &'static str) {
        self.add(Weight::Error, Some(place), invalid, Some((first, label)));
    }

    /// Whether there is an error whose place is one of these.
    pub(super) fn blames(&self, is_there: impl Fn(&Range<usize>) -> bool) -> bool {
        let errors = self.problems.iter().filter(|problem| problem.weight == Weight::Error);
        errors.filter_map(|problem| problem.place.as_ref()).any(is_there)
    }

    /// Stars a part of the file, so that no drawing shows it. Keeps every position as it is.
    pub(super) fn mask(&mut self, place: Range<usize>) {
        let Some(part) = self.text.get_mut(place) else { return };
        for byte in part {
            // Quotes and line breaks stay: they carry the layout and no secret.
            if !matches!(byte, b'"' | b'\'' | b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }

    /// Takes over what another report of the same file has masked.
    pub(super) fn adopt_masks(&mut self, other: Self) {
        self.text = other.text;
    }

    fn add(
        &mut self,
        weight: Weight,
        place: Option<Range<usize>>,
        invalid: Invalid,
        related: Option<(Range<usize>, &'static str)>,
    ) {
        self.keep(Problem { related, ..Problem::new(weight, place, invalid) });
    }

    fn keep(&mut self, problem: Problem) {
        // Two listeners that share a broken route find the same mistake twice.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn count(&self, weight: Weight) -> usize {
        self.problems.iter().filter(|problem| problem.weight == weight).count()
    }
}

impl Problem {
    fn new(weight: Weight, place: Option<Range<usize>>, invalid: Invalid) -> Self {
        let (message, hint) = (invalid.message.into_owned(), invalid.hint.map(std::borrow::Cow::into_owned));
        Self { weight, rule: None, route: None, kind: None, place, message, hint, related: None }
    }

    fn severity(&self) -> Severity {
        self.rule.map_or(Severity::Medium, |rule| rule.severity)
    }

    fn sentence(&self) -> String {
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{}{hint}", self.message)
    }

    /// By place; what is about the file as a whole comes last, where the eye rests in a terminal.
    fn order(&self, other: &Self) -> Ordering {
        let key = |problem: &Self| problem.place.as_ref().map_or((usize::MAX, 0), |place| (place.start, place.end));
        key(self).cmp(&key(other))
    }

    fn draw<'a>(&'a self, name: &'a str, text: &'a str, explained: bool) -> Group<'a> {
        let level = match self.weight {
            Weight::Error => Level::ERROR,
            Weight::Warning => Level::WARNING,
        };
        let mut title = level.primary_title(&self.message);
        if let Some(rule) = self.rule {
            title = title.id(rule.id);
        }
        let mut group = match &self.place {
            None => title.element(Origin::path(name)),
            Some(place) => {
                let mut snippet =
                    Snippet::source(text).path(name).annotation(AnnotationKind::Primary.span(within(place, text)));
                if let Some((first, label)) = &self.related {
                    snippet = snippet.annotation(AnnotationKind::Context.span(within(first, text)).label(*label));
                }
                title.element(snippet)
            }
        };
        if let Some(rule) = self.rule.filter(|_| explained) {
            group = group.element(Level::NOTE.message(format!("{}: {}", rule.severity, rule.why)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint));
        }
        group
    }
}

/// The place, moved to where characters begin and end.
fn within(place: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(place.start);
    start..text.ceil_char_boundary(place.end).max(start)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_stand_in_the_order_of_the_file_whatever_order_they_were_found_in() {
        let mut report = Report::new("a.toml", "one = 1\ntwo = 2\n");
        report.error(8..11, Invalid::new("second").hint("do this"));
        report.error(None, Invalid::new("whole"));
        report.warn(0..3, Invalid::new("first"));
        let drawn = report.render(false);
        let place = |what: &str| drawn.find(what).unwrap();
        assert!(place("warning: first") < place("error: second") && place("error: second") < place("error: whole"));
        assert!(drawn.contains("--> a.toml:2:1") && drawn.contains("help: do this"), "{drawn}");
        assert!(drawn.ends_with("a.toml: 2 errors, 1 warning\n"));
    }

    #[test]
    fn a_masked_part_is_shown_as_stars_and_moves_nothing() {
        let mut report = Report::new("a.toml", "key = \"hünter2\" # note\n");
        report.mask(6..16);
        report.error(0..3, Invalid::new("wrong"));
        let drawn = report.render(false);
        assert!(drawn.contains("key = \"********\" # note"), "{drawn}");
    }

    #[test]
    fn a_sentence_names_line_and_column() {
        let mut report = Report::new("a.toml", "one = 1\ntwo = \"ü\" #\n");
        report.warn(19..20, Invalid::new("odd").hint("do this"));
        report.warn(None, Invalid::new("whole"));
        assert_eq!(report.sentences().collect::<Vec<_>>(), ["a.toml:2:11: odd; do this", "a.toml: whole"]);
    }

    #[test]
    fn the_same_problem_is_said_once() {
        let mut report = Report::new("a.toml", "x");
        for _ in 0..2 {
            report.error(0..1, Invalid::new("twice"));
        }
        assert_eq!((report.errors(), report.warnings()), (1, 0));
    }

    #[test]
    fn a_place_beyond_the_text_or_inside_a_character_is_drawn_all_the_same() {
        let mut report = Report::new("a.toml", "ü");
        report.error(1..1, Invalid::new("inside"));
        report.error(7..9, Invalid::new("beyond"));
        assert!(report.render(true).contains("beyond"));
    }

    #[test]
    fn nothing_to_say_draws_nothing() {
        assert!(Report::new("a.toml", "x").render(true).is_empty());
    }
}
