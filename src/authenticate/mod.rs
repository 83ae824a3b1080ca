//! Who is calling? A route's expression of schemes (`(office and camera) or license`) turns a head into a [`Principal`]
//! or into the one refusal that tells most without telling a stranger too much. What the caller may do is the business
//! of `authorize/`.

mod failure;
mod grammar;
mod one_caller;
pub mod witness;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use self::failure::Failure;
use self::grammar::Tree;
use self::witness::{Answer, Step, Witness};
use crate::edge::head::Head;
use crate::edge::preface::Preface;
use crate::invalid::Invalid;
use crate::key_set::KeySet;
use crate::record::Kind;
use crate::refusal::{Cause, Reason, Refusal};
use crate::scheme::{Examine, Fetching, Open, Places, Principal, Scene, at_most_one, leak};

/// When to come again where something is missing by which callers are judged.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Who may use a route.
#[derive(Debug)]
pub struct Expression {
    tree: Tree,
    /// Those that nobody passes without, and that ask for the client certificate of the connection.
    certificates: Vec<Leaf>,
    /// What to offer a caller who has proven nothing: one challenge a scheme, each once.
    challenges: Vec<HeaderValue>,
    /// Whether one of its schemes asks for secrets in the query to be refused.
    watches_for_leaks: bool,
    /// Every place where one of its schemes looks for a credential.
    places: Places,
    /// The keys of foreign issuers that its schemes believe.
    key_sets: Vec<Arc<KeySet>>,
}

/// A scheme by the name that the configuration gives it.
#[derive(Clone, Debug)]
struct Leaf {
    name: Box<str>,
    scheme: Arc<dyn Examine>,
}

impl Expression {
    /// Reads `open`, or names of `schemes` joined by `and`, `or` and parentheses. All unknown names are reported.
    pub fn parse(text: &str, schemes: &[(String, Arc<dyn Examine>)]) -> Result<Self, Vec<Invalid>> {
        let tree = grammar::parse(text, schemes)?;
        let mut challenges = Vec::new();
        for challenge in tree.leaves().into_iter().filter_map(|leaf| leaf.scheme.challenge()) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        let certificates = tree.certificates().into_iter().cloned().collect();
        let watches_for_leaks = tree.leaves().into_iter().any(|leaf| leaf.scheme.watches_for_leaks());
        let mut places = Places::default();
        tree.leaves().into_iter().for_each(|leaf| places.join(leaf.scheme.places()));
        let key_sets = tree.leaves().into_iter().filter_map(|leaf| leaf.scheme.key_set().cloned()).collect();
        Ok(Self { tree, certificates, challenges, watches_for_leaks, places, key_sets })
    }

    /// Every place where one of its schemes looks for a credential.
    pub fn places(&self) -> Places {
        self.places.clone()
    }

    /// Whether one of its schemes looks for a credential in forms, so that the head of a request with a body does not
    /// settle who is calling.
    pub fn reads_forms(&self) -> bool {
        !self.places.form.is_empty()
    }

    /// The keys that are being fetched just now, each with the attempt at it: a caller whose key is not there waits for the
    /// first of them. None, where all attempts have ended in the meantime; `None` where no keys are ever fetched.
    pub fn awaited(&self) -> Option<Vec<(&KeySet, u64)>> {
        let under_way = || self.key_sets.iter().filter_map(|keys| Some((&**keys, keys.attempt()?)));
        (!self.key_sets.is_empty()).then(|| under_way().collect())
    }

    /// The names of its schemes, in the order of the text.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.tree.leaves().into_iter().map(|leaf| &*leaf.name)
    }

    /// Every way in: the names of schemes that together are enough; none for whatever is open. `None` where there are more
    /// than anybody could look through.
    pub fn ways(&self) -> Option<Vec<Vec<&str>>> {
        let ways = self.tree.ways()?.into_iter();
        Some(ways.map(|way| way.into_iter().map(|leaf| &*leaf.name).collect()).collect())
    }

    /// Proves who is calling, or says why not. A guard of the scene is asked first, before anything is read, and told
    /// last; what it refuses is refused.
    pub fn identify(
        &self,
        head: &Head<'_>,
        preface: &Preface,
        scene: &Scene<'_>,
        witness: &mut impl Witness,
    ) -> Result<Principal, Refusal> {
        let presented = Presented { head, preface, scene };
        let Some(guard) = scene.guard else {
            return self.proven(presented, witness).map_err(|refusal| nowhere(refusal, scene));
        };
        guard.enter()?;
        let proven = self.proven(presented, witness);
        // What is decided anew once keys have come is settled then, and once.
        if scene.fetching != Fetching::Asked || !proven.as_ref().is_err_and(Refusal::is_unsettled) {
            guard.settle(proven.is_ok())?;
        }
        proven.map_err(|refusal| nowhere(refusal, scene))
    }

    fn proven(&self, presented: Presented<'_>, witness: &mut impl Witness) -> Result<Principal, Refusal> {
        let Presented { head, scene, .. } = presented;
        // Before any branch is tried: a branch that is proven by something else must not hide a second credential.
        at_most_one(head).map_err(|rejection| self.refuse(Failure::Rejected(rejection)))?;
        let certified = self.certified(presented, witness);
        certified.map_err(|failure| of_certificate(self.refuse(failure)))?;
        self.nothing_leaks(head, scene, witness)?;
        prove(&self.tree, presented, witness).map_err(|failure| self.refuse(failure))
    }

    /// Where nobody passes without a client certificate, it is asked for before all else, as every server with TLS does:
    /// a caller without one is not told what other credentials are worth.
    fn certified(&self, presented: Presented<'_>, witness: &mut impl Witness) -> Result<(), Failure> {
        let mut ask = |leaf: &Leaf| ask((&leaf.name, &*leaf.scheme), presented, witness).map(drop);
        self.certificates.iter().try_for_each(&mut ask)
    }

    /// Refuses a request that gives a secret away, or could hide one, before any branch is tried: it must not go on,
    /// whoever is proven.
    fn nothing_leaks(&self, head: &Head<'_>, scene: &Scene<'_>, witness: &mut impl Witness) -> Result<(), Refusal> {
        let watched = head.query().filter(|_| self.watches_for_leaks);
        let searched = leak::holder(watched, scene.directory);
        let too_many = |leak::TooMany| Refusal::malformed("the query has more values than are searched for secrets");
        let Some(holder) = searched.map_err(too_many)? else { return Ok(()) };
        witness.leaked(&holder);
        scene.guard.into_iter().for_each(|guard| guard.saw(None, Err(Reason::Leaked)));
        Err(self.unproven(Reason::Leaked, "the query holds the secret of an API client"))
    }

    fn refuse(&self, failure: Failure) -> Refusal {
        match failure {
            Failure::Rejected(rejection) => self.unproven(rejection.reason, rejection.detail),
            Failure::Missing => self.unproven(Reason::Missing, "no credential that the route asks for"),
            Failure::Address { identified: true } => {
                Refusal::new(Cause::AddressRefused, "proven, but not from a listed address")
            }
            Failure::Address { identified: false } => Refusal::new(Cause::AddressRefused, "not from a listed address"),
            Failure::Disagreement => {
                Refusal::new(Cause::PermissionDenied, "the credentials speak for different accounts")
            }
        }
    }

    fn unproven(&self, reason: Reason, detail: &'static str) -> Refusal {
        if reason == Reason::Unsettled {
            // Nothing is wrong with the caller: the same may be presented again.
            return Refusal::new(Cause::Credential(reason), detail).retry_after(UNSETTLED);
        }
        Refusal { challenges: self.challenges.clone(), ..Refusal::new(Cause::Credential(reason), detail) }
    }
}

/// What somebody hears who has proven nothing, for an app that does not exist: apps are public, and no credential would
/// help.
fn nowhere(refusal: Refusal, scene: &Scene<'_>) -> Refusal {
    let there = scene.app.is_none_or(|app| scene.directory.look_up(Kind::App, app.as_bytes()).is_some());
    let unproven = matches!(refusal.cause, Cause::Credential(reason) if reason != Reason::Leaked);
    if there || !unproven {
        return refusal;
    }
    Refusal { challenges: Vec::new(), cause: Cause::NotFound, ..refusal }
}

/// Another certificate takes another connection.
fn of_certificate(refusal: Refusal) -> Refusal {
    Refusal { certificate: true, ..refusal }.closing()
}

/// What a request is proven by.
#[derive(Clone, Copy)]
struct Presented<'a> {
    head: &'a Head<'a>,
    preface: &'a Preface,
    scene: &'a Scene<'a>,
}

fn prove<W: Witness>(tree: &Tree, presented: Presented<'_>, witness: &mut W) -> Result<Principal, Failure> {
    let (branches, all) = match tree {
        Tree::Open => return ask(("open", &Open), presented, witness),
        Tree::Leaf(leaf) => return ask((&leaf.name, &*leaf.scheme), presented, witness),
        Tree::Any(branches) => (branches, false),
        Tree::All(branches) => (branches, true),
    };
    witness.step(Step::Begin { all });
    let proven = if all { prove_all(branches, presented, witness) } else { prove_any(branches, presented, witness) };
    let disagree = matches!(proven, Err(Failure::Disagreement));
    witness.step(Step::End { proven: proven.is_ok(), disagree });
    proven
}

fn ask(
    (name, scheme): (&str, &dyn Examine),
    Presented { head, preface, scene }: Presented<'_>,
    witness: &mut impl Witness,
) -> Result<Principal, Failure> {
    let examined = scheme.examine(head, preface, scene);
    let answer = match &examined {
        Ok(Some(principal)) => Answer::Proven(principal),
        Ok(None) => Answer::Missing,
        Err(rejection) => Answer::Wrong(*rejection),
    };
    witness.step(Step::Asked { name, scheme, answer });
    match examined {
        Ok(Some(principal)) => Ok(principal),
        Ok(None) if scheme.ambient() => Err(Failure::Address { identified: false }),
        Ok(None) => Err(Failure::Missing),
        Err(rejection) => Err(Failure::Rejected(rejection)),
    }
}

/// The first branch that is proven; a wrong credential in one does not stop the others.
fn prove_any<W: Witness>(branches: &[Tree], presented: Presented<'_>, witness: &mut W) -> Result<Principal, Failure> {
    let mut told: Option<Failure> = None;
    for (at, branch) in branches.iter().enumerate() {
        match prove(branch, presented, witness) {
            Ok(principal) => {
                if W::HEARS {
                    let rest = branches[at + 1..].iter().flat_map(Tree::leaves);
                    rest.for_each(|leaf| witness.step(Step::Unasked { name: &leaf.name }));
                }
                return Ok(principal);
            }
            Err(failure) => told = Some(told.map_or(failure, |other| other.or(failure))),
        }
    }
    Err(told.expect("an expression has no empty list of branches"))
}

/// Every branch, as one caller. All are tried even after one has failed: whether the address may be spoken of depends
/// on the others.
fn prove_all<W: Witness>(branches: &[Tree], presented: Presented<'_>, witness: &mut W) -> Result<Principal, Failure> {
    let (mut merged, mut disagreed, mut told): (Option<Principal>, bool, Option<Failure>) = (None, false, None);
    let mut identified = false;
    for branch in branches {
        match prove(branch, presented, witness) {
            Err(failure) => told = Some(told.map_or(failure, |other| other.and(failure))),
            Ok(principal) => {
                identified |= principal.is_identified();
                merged = match merged {
                    None => Some(principal),
                    Some(other) => {
                        let agreed = other.agree(principal);
                        disagreed |= agreed.is_none();
                        agreed
                    }
                };
            }
        }
    }
    match told {
        Some(failure) => Err(failure.beside(identified)),
        None if disagreed => Err(Failure::Disagreement),
        None => Ok(merged.expect("an expression has no empty list of branches")),
    }
}

#[cfg(test)]
mod tests;
