//! The small language of `authenticate = "…"`:
//!
//! ```text
//! whole      = "open" | expression
//! expression = term ("or" term)*
//! term       = factor ("and" factor)*
//! factor     = name | "(" expression ")"
//! ```

use std::ops::Range;
use std::sync::Arc;

use crate::authenticate::Leaf;
use crate::invalid::Invalid;
use crate::scheme::Examine;

/// The most parentheses within parentheses.
const DEEPEST: usize = 32;
/// The most names.
const MOST_NAMES: usize = 64;
/// The most ways in that are looked through.
const MOST_WAYS: usize = 256;

/// An expression, as meant. No list in it is empty.
#[derive(Debug)]
pub(super) enum Tree {
    /// Anyone.
    Open,
    /// One scheme.
    Leaf(Leaf),
    /// All of these.
    All(Vec<Tree>),
    /// One of these.
    Any(Vec<Tree>),
}

impl Tree {
    /// Its leaves, from left to right.
    pub(super) fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::Open => Vec::new(),
            Self::Leaf(leaf) => vec![leaf],
            Self::All(branches) | Self::Any(branches) => branches.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// Every way in: which leaves together are enough. `None` where there are more than anybody could look through.
    pub(super) fn ways(&self) -> Option<Vec<Vec<&Leaf>>> {
        match self {
            Self::Open => Some(vec![Vec::new()]),
            Self::Leaf(leaf) => Some(vec![vec![leaf]]),
            Self::Any(branches) => {
                let ways = branches.iter().map(Self::ways).collect::<Option<Vec<_>>>()?.concat();
                (ways.len() <= MOST_WAYS).then_some(ways)
            }
            Self::All(branches) => branches.iter().try_fold(vec![Vec::new()], |ways, branch| {
                let own = branch.ways()?;
                let all = ways.iter().flat_map(|way| own.iter().map(|more| [&way[..], more].concat()));
                (ways.len() * own.len() <= MOST_WAYS).then(|| all.collect())
            }),
        }
    }

    /// The leaves without which nothing else counts, and that ask for the client certificate of the connection.
    pub(super) fn certificates(&self) -> Vec<&Leaf> {
        match self {
            Self::Leaf(leaf) if leaf.scheme.by_certificate() => vec![leaf],
            Self::All(branches) => branches.iter().flat_map(Self::certificates).collect(),
            Self::Leaf(_) | Self::Open | Self::Any(_) => Vec::new(),
        }
    }
}

/// Reads the whole text.
pub(super) fn parse(text: &str, schemes: &[(String, Arc<dyn Examine>)]) -> Result<Tree, Vec<Invalid>> {
    let mut parser =
        Parser { words: words(text), at: 0, end: text.len(), depth: 0, names: 0, schemes, unknown: Vec::new() };
    match parser.words.as_slice() {
        [] => {
            return Err(vec![
                Invalid::new("nobody is named here")
                    .hint("name a scheme, or write \"open\" where anyone may pass")
                    .at(0..text.len()),
            ]);
        }
        [Word { text: "open", .. }] => return Ok(Tree::Open),
        _ => {}
    }
    let parsed = parser.expression();
    match (parsed, parser.unknown) {
        (Ok(tree), unknown) if unknown.is_empty() => Ok(tree),
        (Ok(_), unknown) => Err(unknown),
        (Err(wrong), mut unknown) => {
            unknown.push(wrong);
            Err(unknown)
        }
    }
}

/// A name, a keyword or a parenthesis.
#[derive(Clone, Debug)]
struct Word<'a> {
    text: &'a str,
    span: Range<usize>,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut begin = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        let parenthesis = character == '(' || character == ')';
        if !parenthesis && !character.is_whitespace() {
            begin.get_or_insert(at);
            continue;
        }
        if let Some(begin) = begin.take() {
            words.push(Word { text: &text[begin..at], span: begin..at });
        }
        if parenthesis {
            words.push(Word { text: &text[at..=at], span: at..at + 1 });
        }
    }
    words
}

struct Parser<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    /// The length of the text, in bytes.
    end: usize,
    depth: usize,
    names: usize,
    schemes: &'a [(String, Arc<dyn Examine>)],
    /// Names of nobody, which are all reported; other mistakes end the reading.
    unknown: Vec<Invalid>,
}

impl<'a> Parser<'a> {
    /// The whole text is one expression.
    fn expression(&mut self) -> Result<Tree, Invalid> {
        let tree = self.any()?;
        match self.words.get(self.at) {
            None => Ok(tree),
            Some(word) if word.text == ")" => {
                Err(Invalid::new("this parenthesis was never opened").hint("leave it out").at(word.span.clone()))
            }
            Some(word) => Err(unjoined(word)),
        }
    }

    fn any(&mut self) -> Result<Tree, Invalid> {
        let mut branches = vec![self.all()?];
        while self.take("or") {
            branches.push(self.all()?);
        }
        Ok(one_or(branches, Tree::Any))
    }

    fn all(&mut self) -> Result<Tree, Invalid> {
        let mut branches = vec![self.factor()?];
        while self.take("and") {
            branches.push(self.factor()?);
        }
        Ok(one_or(branches, Tree::All))
    }

    fn factor(&mut self) -> Result<Tree, Invalid> {
        let Some(word) = self.words.get(self.at).cloned() else {
            return Err(Invalid::new("a scheme is missing at the end")
                .hint("name one there, or leave out the word before it")
                .at(self.end..self.end));
        };
        self.at += 1;
        match word.text {
            "(" => self.group(&word),
            ")" | "and" | "or" => Err(Invalid::new(format!("a scheme is missing before `{}`", word.text))
                .hint("name one there, or leave the word out")
                .at(word.span)),
            "open" => Err(Invalid::new("`open` stands alone: beside it no scheme would be asked for anything")
                .hint("write \"open\", or leave it out")
                .at(word.span)),
            _ => self.name(&word),
        }
    }

    fn group(&mut self, opening: &Word<'_>) -> Result<Tree, Invalid> {
        if self.depth == DEEPEST {
            return Err(Invalid::new("too many parentheses within parentheses").at(opening.span.clone()));
        }
        self.depth += 1;
        let tree = self.any()?;
        self.depth -= 1;
        if self.take(")") {
            return Ok(tree);
        }
        match self.words.get(self.at) {
            None => Err(Invalid::new("this parenthesis is never closed")
                .hint("close it behind the last scheme of the group")
                .at(opening.span.clone())),
            Some(word) => Err(unjoined(word)),
        }
    }

    fn name(&mut self, word: &Word<'a>) -> Result<Tree, Invalid> {
        self.names += 1;
        if self.names > MOST_NAMES {
            return Err(Invalid::new("too many schemes in one expression").at(word.span.clone()));
        }
        let known = self.schemes.iter().find(|(name, _)| name == word.text);
        let Some((name, scheme)) = known else {
            self.unknown.push(self.nobody(word));
            // Something to go on with; an expression with an unknown name is never handed out.
            return Ok(Tree::Open);
        };
        Ok(Tree::Leaf(Leaf { name: name.as_str().into(), scheme: Arc::clone(scheme) }))
    }

    fn nobody(&self, word: &Word<'_>) -> Invalid {
        let invalid = Invalid::new(format!("there is no scheme `{}`", word.text)).at(word.span.clone());
        let lower = word.text.to_ascii_lowercase();
        match lower.as_str() {
            "and" | "or" | "open" => return invalid.hint(format!("keywords are written in lower case: `{lower}`")),
            "&" | "&&" | "," | "+" => return invalid.hint("write `and`"),
            "|" | "||" => return invalid.hint("write `or`"),
            _ => {}
        }
        let distance = |name: &str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), &lower);
        let nearest = self.schemes.iter().map(|(name, _)| (distance(name), name)).min();
        match nearest {
            Some((distance, name)) if distance <= 1 + word.text.len() / 4 => {
                invalid.hint(format!("did you mean `{name}`?"))
            }
            Some(_) => {
                let names: Vec<&str> = self.schemes.iter().map(|(name, _)| name.as_str()).collect();
                invalid.hint(format!("there are: {}", names.join(", ")))
            }
            None => invalid.hint("define one as `[scheme.<name>.<kind>]`"),
        }
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| word.text == text);
        self.at += usize::from(found);
        found
    }
}

/// What is wrong with a word that nothing joins to the one before.
fn unjoined(word: &Word<'_>) -> Invalid {
    Invalid::new("two schemes need `and` or `or` between them")
        .hint("`or` where either is enough, `and` where both are asked for")
        .at(word.span.clone())
}

fn one_or(mut branches: Vec<Tree>, many: fn(Vec<Tree>) -> Tree) -> Tree {
    match branches.pop() {
        Some(only) if branches.is_empty() => only,
        last => {
            branches.extend(last);
            many(branches)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::stage::named;

    fn schemes() -> Vec<(String, Arc<dyn Examine>)> {
        ["camera", "license", "service"].map(|name| (name.to_owned(), Arc::from(named("lkey", name, "")))).to_vec()
    }

    /// The tree with every grouping made visible.
    fn shown(tree: &Tree) -> String {
        let join = |branches: &[Tree], word: &str| {
            let parts: Vec<String> = branches.iter().map(shown).collect();
            format!("({})", parts.join(word))
        };
        match tree {
            Tree::Open => "open".into(),
            Tree::Leaf(leaf) => leaf.name.to_string(),
            Tree::All(branches) => join(branches, " and "),
            Tree::Any(branches) => join(branches, " or "),
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        for (text, expected) in [
            ("open", "open"),
            (" open ", "open"),
            ("camera", "camera"),
            ("((camera))", "camera"),
            ("camera or license or service", "(camera or license or service)"),
            ("camera and license or service", "((camera and license) or service)"),
            ("camera or license and service", "(camera or (license and service))"),
            ("(camera or license)and service", "((camera or license) and service)"),
            ("camera\n  or\tlicense", "(camera or license)"),
            ("camera and camera", "(camera and camera)"),
        ] {
            assert_eq!(shown(&parse(text, &schemes()).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_shown_where_it_stands() {
        for (text, place, message) in [
            ("", "", "nobody"),
            ("  ", "  ", "nobody"),
            ("camera or", "", "missing at the end"),
            ("or camera", "or", "missing before `or`"),
            ("camera and or license", "or", "missing before `or`"),
            ("camera license", "license", "between"),
            ("(camera license)", "license", "between"),
            ("(camera", "(", "never closed"),
            ("camera)", ")", "never opened"),
            ("()", ")", "missing before `)`"),
            ("camera or open", "open", "stands alone"),
            ("open or camera", "open", "stands alone"),
            ("(open)", "open", "stands alone"),
            ("camera or müller", "müller", "no scheme"),
        ] {
            let wrong = parse(text, &schemes()).unwrap_err();
            assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
            assert!(wrong[0].message.contains(message), "{text}: {wrong:?}");
            assert_eq!(&text[wrong[0].span.clone().unwrap()], place, "{text}: {wrong:?}");
        }
    }

    #[test]
    fn all_unknown_names_are_reported_with_what_may_be_meant() {
        let wrong = parse("camra or (licence and service) OR nobody_at_all", &schemes());
        // After `)` stands a name, which ends the reading.
        let wrong = wrong.unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        for (text, hint) in [
            ("camra", "did you mean `camera`?"),
            ("Camera", "did you mean `camera`?"),
            ("licence", "did you mean `license`?"),
            ("nobody_at_all", "there are: camera, license, service"),
            ("AND", "lower case: `and`"),
            ("Open", "lower case: `open`"),
            ("&&", "write `and`"),
            ("|", "write `or`"),
        ] {
            let wrong = parse(text, &schemes()).unwrap_err();
            assert!(wrong[0].hint.as_ref().unwrap().contains(hint), "{text}: {wrong:?}");
        }
        assert!(parse("camera", &[]).unwrap_err()[0].hint.as_ref().unwrap().contains("[scheme."));
    }

    #[test]
    fn depth_and_size_have_a_limit() {
        let nested = |depth: usize| format!("{}camera{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEEPEST), &schemes()).is_ok());
        assert!(parse(&nested(DEEPEST + 1), &schemes()).is_err());
        let beside = vec!["(camera)"; DEEPEST + 1].join(" or ");
        assert!(parse(&beside, &schemes()).is_ok());
        assert!(parse(&"(".repeat(100_000), &schemes()).is_err());
        assert!(parse(&vec!["camera"; MOST_NAMES].join(" or "), &schemes()).is_ok());
        assert!(parse(&vec!["camera"; MOST_NAMES + 1].join(" or "), &schemes()).is_err());
    }
}
