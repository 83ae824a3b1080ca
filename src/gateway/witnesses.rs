//! Who hears the story of a request while it is decided. In service that is its line in the log, which keeps what it needs;
//! `vidgate explain` hears all of it, and has nothing counted. It is one story, told by one code path.

use std::net::IpAddr;
use std::rc::Rc;

use http::request::Parts;

use crate::edge::client_ip;
use crate::edge::head::Head;
use crate::forward::Journey;
use crate::limit::failures::{Failures, Watch};
use crate::scheme::{Guard, Principal};
use crate::telemetry::Entry;
use crate::world::{Route, RouteId};
use crate::{authenticate, authorize, limit};

/// Hears it, step by step.
pub(super) trait Witnesses<'a>:
    client_ip::Witness + authenticate::witness::Witness + authorize::Witness + limit::Witness
{
    /// Who watches over wrong credentials of the request.
    type Watch<'f>: Guard;

    /// Has this guard watch over a request from this address.
    fn watch(failures: &Failures, address: IpAddr) -> Self::Watch<'_>;

    /// The head could be read.
    #[inline]
    fn head(&mut self, _: &Head<'_>) {}

    /// It could not.
    #[inline]
    fn unread(&mut self, _: &Parts) {}

    /// The request is for this route.
    #[inline]
    fn route(&mut self, _: RouteId, _: &'a Route) {}

    /// The caller is proven.
    #[inline]
    fn proven(&mut self, _: &Principal) {}

    /// The request was let in; where it is noted how it fares from here on.
    #[inline]
    fn let_in(&mut self) -> Option<Rc<Journey>> {
        None
    }
}

impl client_ip::Witness for Entry {}
impl authenticate::witness::Witness for Entry {}
impl authorize::Witness for Entry {}
impl limit::Witness for Entry {}

impl<'a> Witnesses<'a> for Entry {
    type Watch<'f> = Watch<'f>;

    fn watch(failures: &Failures, address: IpAddr) -> Watch<'_> {
        failures.watch(address)
    }

    fn head(&mut self, head: &Head<'_>) {
        self.head(head);
    }

    fn unread(&mut self, parts: &Parts) {
        self.unread(parts);
    }

    fn route(&mut self, id: RouteId, _: &'a Route) {
        self.route(id.0);
    }

    fn proven(&mut self, principal: &Principal) {
        self.principal(principal);
    }

    fn let_in(&mut self) -> Option<Rc<Journey>> {
        self.let_in()
    }
}

/// Nobody hears it.
#[cfg(test)]
impl Witnesses<'_> for () {
    type Watch<'f> = Watch<'f>;

    fn watch(failures: &Failures, address: IpAddr) -> Watch<'_> {
        failures.watch(address)
    }
}
