//! Who calls an endpoint: proven, permitted and admitted before.

use std::net::IpAddr;
use std::sync::Arc;

use crate::authorize::role;
use crate::limit::failures::Door;
use crate::record::{Account, Kind};
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;
use crate::store::Actor;

/// The caller of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    principal: Arc<Principal>,
    host: Arc<str>,
    address: IpAddr,
    operation: Option<Arc<str>>,
    door: Option<Door>,
}

impl Caller {
    /// This caller at this address, who asked this host (as it was written, with its port) for this operation.
    pub(super) fn new(principal: Principal, address: IpAddr, host: &str, operation: Option<&str>) -> Self {
        let (principal, operation) = (Arc::new(principal), operation.map(Into::into));
        Self { principal, host: host.into(), address, operation, door: None }
    }

    /// The same, who is watched by the route's guard against guessing.
    pub(super) fn watched(self, door: Option<Door>) -> Self {
        Self { door, ..self }
    }

    /// The route's guard against guessing, if it has one.
    pub(super) fn door(&self) -> Option<&Door> {
        self.door.as_ref()
    }

    /// The operation that was permitted, where the route asks for one.
    pub(super) fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Where the caller is.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// The host that was asked, with its port.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The account that the caller speaks for.
    pub(super) fn account(&self) -> Result<&Account, Refusal> {
        self.principal.account().ok_or(Refusal::new(Cause::PermissionDenied, "the caller speaks for no account"))
    }

    /// Refuses whoever was not proven by this scheme, or whose credential is limited to some scopes: a route may let in
    /// others beside those that an endpoint is for. `kind` is what such a caller has on file; a pinned certificate has
    /// nothing there.
    pub(super) fn must_hold(&self, scheme: &str, kind: Kind) -> Result<(), Refusal> {
        let on_file = self.principal.credentials().iter().any(|record| record.kind() == kind);
        if (on_file || self.principal.scheme() == scheme) && self.principal.scopes().is_none() {
            return Ok(());
        }
        Err(Refusal::new(Cause::PermissionDenied, "the endpoint is for callers with another credential"))
    }

    /// Refuses whoever comes with what an account hands out or publishes: the token of a camera or a group, or an identifier
    /// that stands in pages of its own.
    pub(super) fn must_be_the_customer(&self) -> Result<(), Refusal> {
        let handed_out = |kind| [Kind::CameraToken, Kind::GroupToken].contains(&kind);
        let mut kinds = self.principal.credentials().iter().map(|record| record.kind());
        // Whom a foreign issuer knows has nothing on file that could be handed out.
        if self.principal.scheme() == "key" || !self.principal.rests_on_issuers() && kinds.all(handed_out) {
            return Err(Refusal::new(
                Cause::PermissionDenied,
                "the endpoint is for customers, with a credential of theirs",
            ));
        }
        Ok(())
    }

    /// Refuses whoever was not proven by a key of Voximplant's, which is a service account's or an account's own.
    pub(super) fn must_hold_a_key(&self) -> Result<(), Refusal> {
        let mut credentials = self.principal.credentials().iter();
        if self.principal.scheme() == "account_key"
            || credentials.any(|record| record.kind() == Kind::ServiceAccountKey)
        {
            return Ok(());
        }
        Err(Refusal::new(Cause::PermissionDenied, "the endpoint is for callers with a key of the account"))
    }

    /// The roles of the caller; `None`: what they may do is not limited.
    pub(super) fn roles(&self) -> Option<&[Box<str>]> {
        role::held(&self.principal)
    }

    /// The caller for the audit trail, by their subject, as the log has it: `license_key:main`, `admin_certificate:ops`.
    /// None of them reads as whoever speaks with the admin API does.
    pub(super) fn actor(&self) -> Actor {
        Actor(self.principal.subject().to_owned())
    }
}
