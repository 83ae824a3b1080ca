//! What somebody was let do, kept in the place of the request: so that it can be asked again, while a stream is open,
//! whether they would be let do it still. The rules are those of the route as it was; what is looked at anew is what
//! they look at: the caller, their account, and the camera.
//!
//! Which page asked is not kept. What changes of an app that could keep it out ends what rests on the app (`scheme`).

use std::net::IpAddr;

use super::resource::CameraId;
use super::{Rules, scope};
use crate::clock::UnixTime;
use crate::edge::head::Head;
use crate::record::Directory;
use crate::refusal::Refusal;
use crate::scheme::Principal;

/// What somebody was let do.
#[derive(Clone, Debug)]
pub struct Undertaking {
    address: IpAddr,
    reading: bool,
    operation: Option<Box<str>>,
    camera: Option<CameraId>,
}

impl Undertaking {
    pub(super) fn new(head: &Head<'_>, operation: Option<Box<str>>, camera: Option<CameraId>) -> Self {
        Self { address: head.client_ip(), reading: scope::reads(head.method()), operation, camera }
    }

    /// The operation, where the route asks for one.
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Refuses a caller who would be let do it no longer, by the rules of the route that let them; else says until when
    /// they may, as far as is known at `now`.
    pub fn standing(
        &self,
        principal: &Principal,
        rules: &Rules,
        (directory, now): (&dyn Directory, UnixTime),
    ) -> Result<UnixTime, Refusal> {
        rules.network.lets_in(principal, self.address)?;
        match (&rules.operation, &self.operation, &rules.holders) {
            (Some(rule), Some(operation), _) => rule.table.check(principal, operation)?,
            // With a rule there is an operation; without one, the scopes speak.
            (Some(_), None, _) | (None, _, None) => rules.scope.covers(principal, self.reading)?,
            (None, _, Some(holders)) => holders.check(principal)?,
        }
        let never = UnixTime(u64::MAX);
        let (Some(rule), Some(camera)) = (&rules.camera, &self.camera) else { return Ok(never) };
        rule.opens(principal, camera.as_str(), (directory, now))?;
        Ok(directory.camera_end(camera.as_str()).unwrap_or(never))
    }
}
