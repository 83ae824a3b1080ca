//! How much: takes a [`Permit`] and returns an [`Admission`], without which nothing is sent. No limit stands here yet
//! that an operator could set; the room is the place where they will be checked together and then taken together.

pub mod failures;
pub mod ledger;
pub mod usage;
pub mod window;

use crate::authorize::Permit;
use crate::scheme::Principal;

/// A proven caller who may do what they ask, and for whom there is room.
#[derive(Debug)]
pub struct Admission {
    principal: Principal,
}

impl Admission {
    /// Who it is for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// Admits or refuses.
pub fn admit(permit: Permit) -> Admission {
    Admission { principal: permit.into_principal() }
}
