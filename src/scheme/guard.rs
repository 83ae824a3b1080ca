//! The failure guard as schemes and expressions meet it: who counts wrong credentials, and says when a caller has had
//! enough of them to be refused without being looked at. Who that is, and how it counts, is the business of `limit/`.

use std::fmt;

use crate::record::Kind;
use crate::refusal::{Reason, Refusal};

/// Who a credential says it is of, before anyone believes it. It is public: everybody may know it, so that nobody may
/// lock its owner out by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identifier<'c> {
    /// Of what kind the identified is.
    pub kind: Kind,
    /// As it was sent.
    pub text: &'c [u8],
}

/// An identifier as a guard knows it again: a keyed hash. The text itself is nowhere kept, since what stands in the
/// place of an identifier may be a secret that was typed into the wrong field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub u64);

/// A guard over one request.
pub trait Guard: fmt::Debug {
    /// Refuses a caller of whom nothing is to be looked at; asked before anything is read.
    fn enter(&self) -> Result<(), Refusal>;

    /// Asked between reading a credential and believing it. `None`: it is not to be verified, and [`Guard::settle`]
    /// will refuse a request that nothing else has proven.
    fn admits(&self, identifier: Identifier<'_>) -> Option<Mark>;

    /// Hears what came of one credential.
    fn saw(&self, mark: Option<Mark>, outcome: Result<(), Reason>);

    /// Hears whether the request as a whole was proven. A wrong credential counts once for each request; where something
    /// else proved the caller, for its identifier alone. One wrong credential too many is refused here as such.
    fn settle(&self, proven: bool) -> Result<(), Refusal>;
}
