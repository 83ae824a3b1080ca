//! Who hears how a caller is proven. In service that is nobody, and it costs nothing; `vidgate explain` tells it on.

use crate::record::Record;
use crate::scheme::{Examine, Principal, Rejection};

/// Hears it; by default nobody does.
pub trait Witness {
    /// Whether anybody hears it: what is done for a witness alone is left out where nobody does.
    const HEARS: bool = false;

    /// The next step.
    #[inline]
    fn step(&mut self, _: Step<'_>) {}

    /// The secret of this API client stood in a query. Unless the witness knows better, the log is told.
    fn leaked(&mut self, holder: &Record) {
        tracing::warn!(
            account = &*holder.account.id.0,
            api_client = holder.id(),
            "the secret of an API client stood in a query, where others can read it: it should be rotated"
        );
    }
}

impl Witness for () {}

/// One step on the way to a proof.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A list of conditions begins.
    Begin {
        /// All of them are needed, and not one.
        all: bool,
    },
    /// A scheme was asked.
    Asked {
        /// What the configuration calls it.
        name: &'a str,
        /// Where it looks.
        scheme: &'a dyn Examine,
        /// What it said.
        answer: Answer<'a>,
    },
    /// A scheme was not asked: another one has proven the caller.
    Unasked {
        /// What the configuration calls it.
        name: &'a str,
    },
    /// The list that began last ends.
    End {
        /// Whether it proves the caller.
        proven: bool,
        /// Each of them is proven, but for accounts that have nothing to do with each other.
        disagree: bool,
    },
}

/// What a scheme says of a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It is the credential of this caller.
    Proven(&'a Principal),
    /// There is no credential of its kind.
    Missing,
    /// There is one, and it is not believed.
    Wrong(Rejection),
}
