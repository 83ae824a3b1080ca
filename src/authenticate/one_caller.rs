//! A credential in the head, another in the query or a form, on their way to an upstream that goes on checking: where
//! several places hold one, each must be the proven caller's. One that nobody has looked at, or that was found wrong, could
//! be the one that it believes.

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::Expression;
use crate::edge::head::Head;
use crate::edge::pairs;
use crate::edge::preface::Preface;
use crate::refusal::{Reason, Refusal};
use crate::scheme::{Examine, Places, Principal, Rejection, Scene, word};

const TWO: &str = "several places hold credentials that are not all the caller's";

/// A place that holds a credential.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// `Authorization`, with this word.
    Word(&'a [u8]),
    Field(&'a HeaderName),
    Query,
    Form,
}

impl Expression {
    /// Refuses a proven caller who has sent a second credential that did not prove them. To be asked where credentials go
    /// on as they came.
    pub fn one_caller(
        &self,
        principal: &Principal,
        head: &Head<'_>,
        preface: &Preface,
        scene: &Scene<'_>,
    ) -> Result<(), Refusal> {
        if held(&self.places, head, preface).take(2).count() < 2 {
            return Ok(());
        }
        // Rare from here on: most send one credential. Whatever was wrong has been counted before.
        let scene = Scene { guard: None, ..*scene };
        let mut unproven: Vec<Place<'_>> = held(&self.places, head, preface).collect();
        for scheme in self.tree.leaves().into_iter().map(|leaf| &*leaf.scheme) {
            let places = scheme.places();
            let its = |place: &Place<'_>| match place {
                Place::Word(word) => answers(scheme, word),
                Place::Field(name) => places.headers.contains(name),
                Place::Query => pairs::holds(head.query(), &places.query),
                Place::Form => holds_one_of(preface, &places.form),
            };
            if unproven.iter().any(its) && is_of(scheme.examine(head, preface, &scene), principal) {
                unproven.retain(|place| !its(place));
            }
        }
        if unproven.is_empty() { Ok(()) } else { Err(self.unproven(Reason::Ambiguous, TWO)) }
    }
}

/// Where credentials stand. `Authorization` is one whoever reads it.
fn held<'a>(places: &'a Places, head: &'a Head<'_>, preface: &'a Preface) -> impl Iterator<Item = Place<'a>> {
    let fields = places.headers.iter().filter(|name| **name != AUTHORIZATION && head.headers().contains_key(*name));
    let query = pairs::holds(head.query(), &places.query).then_some(Place::Query);
    let form = holds_one_of(preface, &places.form).then_some(Place::Form);
    word(head).map(Place::Word).into_iter().chain(fields.map(Place::Field)).chain(query).chain(form)
}

/// Whether anybody could find one of these fields in the form.
fn holds_one_of(preface: &Preface, names: &[Box<str>]) -> bool {
    names.iter().any(|name| preface.values(name).next().is_some())
}

/// Whether a scheme is answered with this word (RFC 9110 §11.4: credentials begin as the challenge does).
fn answers(scheme: &dyn Examine, word: &[u8]) -> bool {
    scheme.challenge().is_some_and(|challenge| {
        let own = challenge.as_bytes().split(|&byte| byte == b' ').next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(word))
    })
}

fn is_of(found: Result<Option<Principal>, Rejection>, principal: &Principal) -> bool {
    found.is_ok_and(|found| found.is_some_and(|found| principal.includes(&found)))
}
