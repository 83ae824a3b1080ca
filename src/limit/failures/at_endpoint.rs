//! A guard at the door of an endpoint that proves its callers itself: asked before a secret is looked at, and told what
//! came of it, without holding on to anything in between.

use std::net::IpAddr;

use super::Failures;
use crate::refusal::{Reason, Refusal};
use crate::scheme::{Guard, Identifier};

/// A guard, and the address that it guards against.
#[derive(Clone, Debug)]
pub struct AtEndpoint {
    failures: Failures,
    address: IpAddr,
}

impl Failures {
    /// This guard, to be asked by an endpoint about callers at this address.
    pub fn at_endpoint(&self, address: IpAddr) -> AtEndpoint {
        AtEndpoint { failures: self.clone(), address }
    }
}

impl AtEndpoint {
    /// Refuses a caller of whom nothing is to be looked at: from this address, or for this identifier from its network.
    pub fn ask(&self, identifier: Identifier<'_>) -> Result<(), Refusal> {
        let watch = self.failures.watch(self.address);
        watch.enter()?;
        match watch.admits(identifier) {
            Some(_) => Ok(()),
            None => watch.settle(false),
        }
    }

    /// Hears whether the identified was there. One secret too many is refused here as such: a right one as well, else
    /// many at once, all of them asked for before the first was wrong, would find what one after another cannot.
    pub fn tell(&self, identifier: Identifier<'_>, proven: bool) -> Result<(), Refusal> {
        if proven {
            self.ask(identifier)?;
        }
        let watch = self.failures.watch(self.address);
        // What is held off by now was looked at before: it counts for the address.
        let mark = watch.admits(identifier);
        watch.saw(mark, if proven { Ok(()) } else { Err(Reason::Mismatch) });
        watch.settle(proven)
    }
}
