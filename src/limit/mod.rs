//! How much: takes a [`Permit`] and returns an [`Admission`], without which nothing is sent. All limits of a request are
//! looked at before any is taken from, at one instant: exactly as many pass as may, on however many workers, and who is
//! refused by one limit has spent nothing of the others.

mod concurrency;
pub mod failures;
mod fields;
mod held;
mod key;
pub mod ledger;
mod limits;
mod policy;
mod quota;
mod rate;
mod rehearsal;
mod standing;
mod table;
mod taking;
mod tally;
#[cfg(test)]
mod tests;
pub mod usage;
mod waiting;
pub mod window;
mod witness;

use std::net::IpAddr;
use std::time::Instant;

use http::HeaderMap;

pub use self::concurrency::{Concurrency, Occupancy};
use self::fields::Fields;
use self::key::Caller;
pub use self::key::{Per, network};
pub use self::limits::{Gate, Limits};
pub use self::policy::{MOST_OF_A_ROUTE, Measure, Policy, PolicyId};
pub use self::quota::Quota;
pub use self::rate::Rate;
pub use self::standing::Standing;
use self::taking::Short;
pub use self::taking::unwritten;
pub use self::waiting::Waiting;
pub use self::witness::{Look, Witness};
use crate::authorize::{Permit, Undertaking};
use crate::clock::UnixTime;
use crate::refusal::Refusal;
use crate::scheme::Principal;

/// A proven caller who may do what they ask, and for whom there is room.
#[derive(Debug)]
pub struct Admission {
    principal: Principal,
    undertaking: Undertaking,
    fields: Fields,
    occupancy: Occupancy,
}

impl Admission {
    /// Who it is for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What they may do.
    pub fn undertaking(&self) -> &Undertaking {
        &self.undertaking
    }

    /// Tells the caller of the limits, in the answer that comes of it; what there is to hold until that has ended, for
    /// whom, and what for.
    pub fn answered(self, headers: &mut HeaderMap) -> (Occupancy, Principal, Undertaking) {
        self.fields.add_to(headers);
        (self.occupancy, self.principal, self.undertaking)
    }

    /// The same for a request that failed further on.
    pub fn refused(self, mut refusal: Refusal) -> Refusal {
        self.fields.add_to_refusal(&mut refusal.fields);
        refusal
    }
}

/// What comes of asking for room.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one: in a box, each request would pay for it"
)]
pub enum Outcome {
    /// There is room.
    Admitted(Admission),
    /// There is, once it is written down: wait, and ask again.
    Unwritten(Waiting),
}

/// A request as limits see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The limits of its route, in ascending order, each once.
    pub limits: &'a [PolicyId],
    /// The name of its route.
    pub route: &'a str,
    /// Where the caller is.
    pub address: IpAddr,
    /// When it is asked, on the monotonic clock and on the wall.
    pub now: (Instant, UnixTime),
    /// Whether it has waited for the ledger already.
    pub waited: bool,
}

/// Admits, refuses or asks to wait. Where the witness only rehearses, nothing is taken.
pub fn admit<W: Witness>(permit: Permit, gate: &Gate, asked: &Asked<'_>, witness: &mut W) -> Result<Outcome, Refusal> {
    let (principal, undertaking) = permit.into_parts();
    if asked.limits.is_empty() {
        let (fields, occupancy) = (Fields::default(), Occupancy::default());
        return Ok(Outcome::Admitted(Admission { principal, undertaking, fields, occupancy }));
    }
    let caller = Caller { principal: &principal, address: asked.address, route: asked.route };
    let taken = if W::REHEARSES {
        taking::take(&gate.copied(asked, &caller), asked, &caller, witness)
    } else {
        taking::take(gate, asked, &caller, witness)
    };
    match taken {
        Ok((fields, occupancy)) => Ok(Outcome::Admitted(Admission { principal, undertaking, fields, occupancy })),
        Err(Short::Unwritten(waiting)) => Ok(Outcome::Unwritten(waiting)),
        Err(Short::Refused(refusal)) => Err(refusal),
    }
}
