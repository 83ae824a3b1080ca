//! Who hears the story of a request while it is decided. In service that is its line in the log, which keeps what it needs;
//! `vidgate explain` hears all of it, and has nothing counted. It is one story, told by one code path.

use std::net::IpAddr;

use crate::edge::client_ip;
use crate::edge::head::Head;
use crate::limit::failures::{Failures, Watch};
use crate::scheme::{Guard, Principal};
use crate::telemetry::access::Entry;
use crate::world::Route;
use crate::{authenticate, authorize, limit};

/// Hears it, step by step.
pub(super) trait Trace<'a>:
    client_ip::Witness + authenticate::witness::Witness + authorize::Witness + limit::Witness
{
    /// Who watches over wrong credentials of the request.
    type Watch<'f>: Guard;

    /// Has this guard watch over a request from this address.
    fn watch(failures: &Failures, address: IpAddr) -> Self::Watch<'_>;

    /// The head could be read.
    #[inline]
    fn head(&mut self, _: &Head<'_>) {}

    /// The request is for this route.
    #[inline]
    fn route(&mut self, _: &'a Route) {}

    /// The caller is proven.
    #[inline]
    fn proven(&mut self, _: &Principal) {}

    /// The request was let in.
    #[inline]
    fn admitted(&mut self, _: &Principal) {}
}

impl client_ip::Witness for Entry<'_> {}
impl authenticate::witness::Witness for Entry<'_> {}
impl authorize::Witness for Entry<'_> {}
impl limit::Witness for Entry<'_> {}

impl<'a> Trace<'a> for Entry<'a> {
    type Watch<'f> = Watch<'f>;

    fn watch(failures: &Failures, address: IpAddr) -> Watch<'_> {
        failures.watch(address)
    }

    fn head(&mut self, head: &Head<'_>) {
        self.head(head);
    }

    fn route(&mut self, route: &'a Route) {
        self.route(&route.name);
    }

    fn admitted(&mut self, principal: &Principal) {
        self.principal(principal);
    }
}

/// Nobody hears it.
#[cfg(test)]
impl<'a> Trace<'a> for () {
    type Watch<'f> = Watch<'f>;

    fn watch(failures: &Failures, address: IpAddr) -> Watch<'_> {
        failures.watch(address)
    }
}
