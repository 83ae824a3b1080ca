//! The paths of one host. At each path stand one or more entries with disjoint methods; the most specific path wins, and
//! where it does not take the method nobody else is asked: a route that lists its methods is not walked around.

use std::collections::HashMap;

use http::header::ALLOW;
use http::{HeaderValue, Method};
use matchit::InsertError;

use super::path::PathPattern;
use crate::invalid::Invalid;
use crate::refusal::{Cause, Refusal};

/// The paths of one host.
#[derive(Clone, Debug)]
pub(super) struct Tree<T> {
    router: matchit::Router<usize>,
    leaves: Vec<Leaf<T>>,
}

/// One path.
#[derive(Clone, Debug)]
pub(super) struct Leaf<T> {
    entries: Vec<(Vec<Method>, T)>,
    allow: HeaderValue,
}

impl<T: Copy> Tree<T> {
    /// The most specific path that matches.
    pub(super) fn find(&self, path: &str) -> Option<&Leaf<T>> {
        self.router.at(path).ok().map(|found| &self.leaves[*found.value])
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

/// A tree that is still growing.
pub(super) struct Builder<T> {
    router: matchit::Router<usize>,
    leaves: Vec<Leaf<T>>,
    /// Which leaf stands at which pattern.
    places: HashMap<String, usize>,
    /// Patterns that a `{*rest}` stands for where the rest is nothing, with their leaf and the entry to blame.
    implied: Vec<(String, usize, usize)>,
}

impl<T> Builder<T> {
    pub(super) fn new() -> Self {
        Self { router: matchit::Router::new(), leaves: Vec::new(), places: HashMap::new(), implied: Vec::new() }
    }

    /// Adds the entry that stands at `index` in the list.
    pub(super) fn add(&mut self, index: usize, path: &str, methods: Vec<Method>, value: T) -> Result<(), Invalid> {
        let pattern = PathPattern::parse(path)?;
        let leaf = if let Some(leaf) = self.places.get(&pattern.path) {
            *leaf
        } else {
            let leaf = self.leaves.len();
            self.router.insert(pattern.path.as_str(), leaf).map_err(|error| conflict(path, &error))?;
            self.leaves.push(Leaf { entries: Vec::new(), allow: HeaderValue::from_static("") });
            self.places.insert(pattern.path, leaf);
            if let Some(bare) = pattern.without_rest {
                if let Some(shorter) = bare.strip_suffix('/').filter(|shorter| !shorter.is_empty()) {
                    self.implied.push((shorter.to_owned(), leaf, index));
                }
                self.implied.push((bare, leaf, index));
            }
            leaf
        };
        let entries = &mut self.leaves[leaf].entries;
        if let Some(method) = methods.iter().find(|method| entries.iter().any(|(taken, _)| taken.contains(method))) {
            return Err(Invalid::new(format!("an earlier route takes {method} of `{path}` already"))
                .hint("give the two different hosts, paths or methods"));
        }
        entries.push((methods, value));
        Ok(())
    }

    /// The tree; or what a `{*rest}` that also matches nothing runs into, with the entry to blame.
    pub(super) fn finish(mut self) -> Result<Tree<T>, Vec<(usize, Invalid)>> {
        let mut mistakes = Vec::new();
        for (path, leaf, index) in self.implied {
            // Another route claims the place by name, which is the more specific wish.
            if self.places.contains_key(&path) {
                continue;
            }
            match self.router.insert(path.as_str(), leaf) {
                Ok(()) => {}
                Err(error) => mistakes.push((index, conflict(&path, &error))),
            }
            self.places.insert(path, leaf);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        for leaf in &mut self.leaves {
            leaf.allow = allow(leaf.entries.iter().flat_map(|(methods, _)| methods));
        }
        Ok(Tree { router: self.router, leaves: self.leaves })
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
