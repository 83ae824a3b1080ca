//! The guard over a request that is only talked about: it refuses as the guard over a real one would, and counts nothing.

use std::net::IpAddr;

use super::counters::Millis;
use super::{Address, Failures, Outcome, Watch, Which};
use crate::refusal::{Reason, Refusal};
use crate::scheme::{Guard, Identifier, Mark};

/// A guard that counts nothing.
#[derive(Debug)]
pub struct Glance<'f>(Watch<'f>);

impl Failures {
    /// Looks at what a request from this address would meet.
    pub fn glance(&self, address: IpAddr) -> Glance<'_> {
        Glance(self.watch(address))
    }

    /// How many wrong credentials of this address are counted.
    pub fn of_address(&self, address: IpAddr) -> u32 {
        let which = Which { address: Some(address), identifier: None };
        let all = self.list(&which, usize::MAX);
        all.iter().filter(|held| held.identifier.is_none()).map(|held| held.failures).max().unwrap_or_default()
    }
}

impl Guard for Glance<'_> {
    fn enter(&self) -> Result<(), Refusal> {
        self.0.enter()
    }

    fn admits(&self, identifier: Identifier<'_>) -> Option<Mark> {
        self.0.admits(identifier)
    }

    fn saw(&self, mark: Option<Mark>, outcome: Result<(), Reason>) {
        self.0.saw(mark, outcome);
    }

    fn settle(&self, proven: bool) -> Result<(), Refusal> {
        if proven { Ok(()) } else { self.0.verdict(Watch::beside) }
    }
}

impl Watch<'_> {
    /// For how long too many wrong ones are counted already, of the address or of what was wrong in this request.
    pub(super) fn beside(&self) -> Option<Millis> {
        let (seen, now) = (&*self.failures.seen, self.failures.now());
        let wrong = self.marks(Outcome::Wrong);
        let of_marks = wrong.filter_map(|mark| seen.identifiers.held(&self.pair(mark), now)).max();
        seen.addresses.held(&Address::of(self.address), now).max(of_marks)
    }
}
