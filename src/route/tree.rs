//! The paths of one host. At each path stand one or more entries with disjoint methods; the most specific path wins, and
//! where it does not take the method nobody else is asked: a route that lists its methods is not walked around.
//!
//! Where some route ignores case, paths are looked for in one spelling first. A route that minds case and is found so is
//! asked whether this is its own spelling; if not, those that mind case as well are asked, and nobody else.

use std::collections::HashMap;
use std::mem;

use http::header::ALLOW;
use http::{HeaderValue, Method};
use matchit::InsertError;

use super::case::{self, Case};
use super::path::PathPattern;
use super::table::Pattern;
use crate::invalid::Invalid;
use crate::refusal::{Cause, Refusal};

/// The paths of one host.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    /// Of paths in one spelling, where `spelled` is there; else of paths as they are.
    router: matchit::Router<usize>,
    /// What minds case, as it is written.
    spelled: Option<matchit::Router<usize>>,
    leaves: Vec<Leaf<T>>,
}

/// One path.
#[derive(Clone, Debug)]
pub(super) struct Leaf<T> {
    /// The pattern as it is written, where case is minded.
    spelling: Option<String>,
    entries: Vec<(Vec<Method>, T)>,
    allow: HeaderValue,
}

impl<T: Copy> Tree<T> {
    /// The most specific path that matches; `folded` is the one spelling that stands for all. Refuses the spelling of
    /// nobody: what ignores case elsewhere is not asked in the place of what minds it here.
    pub(super) fn find(&self, path: &str, folded: &str) -> Result<Option<&Leaf<T>>, Refusal> {
        let Ok(found) = self.router.at(folded) else { return Ok(None) };
        let leaf = &self.leaves[*found.value];
        let Some(spelled) = self.spelled.as_ref().filter(|_| leaf.spelling.is_some()) else { return Ok(Some(leaf)) };
        match spelled.at(path) {
            Ok(found) => Ok(Some(&self.leaves[*found.value])),
            Err(_) => Err(Refusal::new(Cause::NotFound, "the path of a route that minds case, in another spelling")),
        }
    }

    /// Whether both paths, in one spelling, lead to the same place or to none.
    pub(super) fn leads_alike(&self, one: &str, other: &str) -> bool {
        let place = |path| self.router.at(path).ok().map(|found| *found.value);
        place(one) == place(other)
    }
}

impl<T: Copy> Leaf<T> {
    /// The entry that takes this method. HEAD follows GET unless an entry lists it by itself.
    pub(super) fn select(&self, method: &Method) -> Result<T, Refusal> {
        let listing = |wanted: &Method| self.entries.iter().find(|(methods, _)| methods.contains(wanted));
        let entry = listing(method).or_else(|| if *method == Method::HEAD { listing(&Method::GET) } else { None });
        entry.map(|(_, value)| *value).ok_or_else(|| {
            let mut refusal = Refusal::new(Cause::MethodNotAllowed, "no route of this path takes the method");
            refusal.fields.push((ALLOW, self.allow.clone()));
            refusal
        })
    }
}

impl<T> Leaf<T> {
    /// Refuses a pattern that would be looked for in the place of this one, and is spelled otherwise.
    fn same_spelling(&self, written: &str, path: &str) -> Result<(), Invalid> {
        if self.spelling.as_deref().is_none_or(|spelling| spelling == path) {
            return Ok(());
        }
        Err(Invalid::new(format!(
            "`{written}` differs from the path of an earlier route in upper and lower case alone"
        ))
        .hint("that is a difference only on listeners where no route has case_sensitive = false"))
    }
}

/// A tree that is still growing.
pub(super) struct Builder<T> {
    router: matchit::Router<usize>,
    spelled: Option<matchit::Router<usize>>,
    leaves: Vec<Leaf<T>>,
    /// Which leaf stands at which pattern, in the spelling of `router`.
    places: HashMap<String, usize>,
    /// Patterns that a `{*rest}` stands for where the rest is nothing, with their leaf and the entry to blame.
    implied: Vec<(String, usize, usize)>,
    /// The patterns so far in one spelling, if there is one that stands for all.
    seen: Vec<(String, Case)>,
}

impl<T> Builder<T> {
    /// A tree for paths in one spelling, or for paths as they are.
    pub(super) fn new(folded: bool) -> Self {
        let spelled = folded.then(matchit::Router::new);
        let (leaves, places) = (Vec::new(), HashMap::new());
        Self { router: matchit::Router::new(), spelled, leaves, places, implied: Vec::new(), seen: Vec::new() }
    }

    /// Adds the entry that stands at `index` in the list.
    pub(super) fn add(&mut self, index: usize, pattern: Pattern, value: T) -> Result<(), Invalid> {
        let Pattern { path: written, methods, case, .. } = pattern;
        let pattern = PathPattern::parse(&written)?;
        if case == Case::Ignored {
            case::foldable(&written)?;
        }
        let key = self.key(&pattern.path);
        self.apart(&written, &key, case)?;
        let leaf = match self.places.get(&key) {
            Some(leaf) => self.leaves[*leaf].same_spelling(&written, &pattern.path).map(|()| *leaf)?,
            None => self.grow(index, &written, key, pattern, case)?,
        };
        let entries = &mut self.leaves[leaf].entries;
        if let Some(method) = methods.iter().find(|method| entries.iter().any(|(taken, _)| taken.contains(method))) {
            return Err(Invalid::new(format!("an earlier route takes {method} of `{written}` already"))
                .hint("give the two different hosts, paths or methods"));
        }
        entries.push((methods, value));
        Ok(())
    }

    /// The spelling that `router` has it in.
    fn key(&self, path: &str) -> String {
        if self.spelled.is_some() { case::folded(path).into_owned() } else { path.to_owned() }
    }

    /// Refuses a path that another spelling could get around, or that would get others around theirs.
    fn apart(&mut self, written: &str, key: &str, case: Case) -> Result<(), Invalid> {
        if self.spelled.is_none() {
            return Ok(());
        }
        let others = self.seen.iter().filter(|(_, other)| *other != case);
        let around = others.into_iter().any(|(other, _)| match case {
            Case::Minded => other == key || case::may_be_walked_around(key, other),
            Case::Ignored => other == key || case::may_be_walked_around(other, key),
        });
        self.seen.push((key.to_owned(), case));
        let verb = if case == Case::Ignored { "ignores" } else { "minds" };
        if around {
            return Err(Invalid::new(format!(
                "`{written}` {verb} case, and an earlier route for the same paths does not"
            ))
            .hint("another spelling would get past one of the two: write the same case_sensitive in both"));
        }
        Ok(())
    }

    /// A new place in the tree.
    fn grow(
        &mut self,
        index: usize,
        written: &str,
        key: String,
        pattern: PathPattern,
        case: Case,
    ) -> Result<usize, Invalid> {
        let leaf = self.leaves.len();
        self.router.insert(key.as_str(), leaf).map_err(|error| conflict(written, &error))?;
        let spelling = (case == Case::Minded).then_some(pattern.path);
        if let (Some(spelled), Some(spelling)) = (&mut self.spelled, &spelling) {
            spelled.insert(spelling.as_str(), leaf).map_err(|error| conflict(written, &error))?;
        }
        self.leaves.push(Leaf { spelling, entries: Vec::new(), allow: HeaderValue::from_static("") });
        self.places.insert(key, leaf);
        if let Some(bare) = pattern.without_rest {
            if let Some(shorter) = bare.strip_suffix('/').filter(|shorter| !shorter.is_empty()) {
                self.implied.push((shorter.to_owned(), leaf, index));
            }
            self.implied.push((bare, leaf, index));
        }
        Ok(leaf)
    }

    /// The tree; or what a `{*rest}` that also matches nothing runs into, with the entry to blame.
    pub(super) fn finish(mut self) -> Result<Tree<T>, Vec<(usize, Invalid)>> {
        let mut mistakes = Vec::new();
        for (path, leaf, index) in mem::take(&mut self.implied) {
            let key = self.key(&path);
            // Another route claims the place by name, which is the more specific wish.
            if self.places.contains_key(&key) {
                continue;
            }
            let spelled = self.spelled.as_mut().filter(|_| self.leaves[leaf].spelling.is_some());
            let inserted = spelled.map_or(Ok(()), |spelled| spelled.insert(path.as_str(), leaf));
            if let Err(error) = inserted.and_then(|()| self.router.insert(key.as_str(), leaf)) {
                mistakes.push((index, conflict(&path, &error)));
            }
            self.places.insert(key, leaf);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        for leaf in &mut self.leaves {
            leaf.allow = allow(leaf.entries.iter().flat_map(|(methods, _)| methods));
        }
        Ok(Tree { router: self.router, spelled: self.spelled, leaves: self.leaves })
    }
}

fn conflict(path: &str, error: &InsertError) -> Invalid {
    if let InsertError::Conflict { .. } = error {
        return Invalid::new(format!("`{path}` cannot be told apart from the path of an earlier route"))
            .hint("in one place of a path there may be literals and either one {name} or one {*rest}");
    }
    Invalid::new(format!("`{path}` is not a path pattern")).hint("a segment has room for one {name}")
}

/// The methods as an `Allow` field, sorted.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    HeaderValue::try_from(names.join(", ")).expect("methods are tokens, and tokens are visible ASCII")
}
