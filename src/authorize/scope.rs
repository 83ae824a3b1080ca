//! Which scopes a route asks for. A caller whose credential is not limited passes; a limited one (a VXG access token
//! with `watch`, say) passes for reading or for writing as the route lists.

use http::Method;

use crate::edge::head::Head;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// The scopes that open a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Scopes that may use GET, HEAD and OPTIONS.
    pub read: Vec<Box<str>>,
    /// Scopes that may use every other method.
    pub write: Vec<Box<str>>,
}

impl Default for Rule {
    /// What VXG's access values mean where a route says nothing: `watch`, `live` and `play` read, `all` does everything,
    /// and a value nobody knows does nothing.
    fn default() -> Self {
        Self { read: ["all", "watch", "live", "play"].map(Into::into).to_vec(), write: vec!["all".into()] }
    }
}

impl Rule {
    /// Refuses a limited caller who has none of the scopes that this method needs.
    pub fn check(&self, principal: &Principal, head: &Head<'_>) -> Result<(), Refusal> {
        self.covers(principal, reads(head.method()))
    }

    /// The same for reading, or for writing.
    pub(super) fn covers(&self, principal: &Principal, reading: bool) -> Result<(), Refusal> {
        let Some(scopes) = principal.scopes() else { return Ok(()) };
        let opening = if reading { &self.read } else { &self.write };
        if opening.iter().any(|scope| scopes.contains(scope)) {
            return Ok(());
        }
        Err(Refusal::new(Cause::PermissionDenied, "the credential's scopes do not cover this"))
    }
}

/// Whether a method only reads.
pub(super) fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}
