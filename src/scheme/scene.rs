//! What a scheme may know besides the request: who exists, what was verified before, and what time it is. A borrowed
//! snapshot, so that a decision is made at one instant, without I/O.

use std::sync::Arc;

use crate::clock::UnixTime;
use crate::record::{Directory, Kind, Record};
use crate::scheme::jwt::Verified;
use crate::scheme::{Guard, usable};

/// The instant at which a request is decided.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Who exists.
    pub directory: &'a dyn Directory,
    /// Tokens that this worker has verified before.
    pub verified: &'a Verified,
    /// Who counts the wrong credentials of this request, where the route asks for it.
    pub guard: Option<&'a dyn Guard>,
    /// The app that the request is for (its id or its public key), where the route says so.
    pub app: Option<&'a str>,
    /// What is done about a key of a foreign issuer that is not there.
    pub fetching: Fetching,
    /// The instant.
    pub now: UnixTime,
}

/// What is done about a key of a foreign issuer that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetching {
    /// The issuer is asked for it.
    Asked,
    /// The same, and the request has waited for keys as often as it may.
    Waited,
    /// The issuer would be asked. Nobody is: the request is only talked about.
    Rehearsed,
    /// Nobody is asked, as if that had been in vain.
    InVain,
}

impl Scene<'_> {
    /// The app that the route says the request is for, if it may be used now. Nobody is proven by that.
    pub fn named_app(&self) -> Option<Arc<Record>> {
        let record = self.directory.look_up(Kind::App, self.app?.as_bytes())?;
        (record.attributes.app().is_some() && usable(&record, self).is_ok()).then_some(record)
    }
}
