//! Whose stream is open, and what for: all that it takes to ask, without the request, whether it would be let in still.

use std::rc::Rc;
use std::sync::Arc;

use crate::authorize::{Rules, Undertaking};
use crate::clock::UnixTime;
use crate::edge::client_certificate::ClientCertificate;
use crate::edge::connection::Connection;
use crate::record::Directory;
use crate::scheme::{Lapse, Principal};

/// Whose stream it is, and what for.
#[derive(Debug)]
pub struct Lessee {
    principal: Principal,
    undertaking: Undertaking,
    /// Those of the route, as it was.
    rules: Arc<Rules>,
    /// That of the connection, where the proof rests on it.
    certificate: Option<Rc<ClientCertificate>>,
}

impl Lessee {
    /// Whoever was let do this by these rules, on this connection.
    pub fn new(
        (principal, undertaking): (Principal, Undertaking),
        rules: &Arc<Rules>,
        connection: &Connection,
    ) -> Self {
        let tls = connection.tls.as_ref().filter(|_| principal.rests_on_certificate());
        let certificate = tls.and_then(|tls| tls.client_certificate.clone());
        Self { principal, undertaking, rules: Arc::clone(rules), certificate }
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Says until when they would be let in, as far as is known now: who they are first, and then what for. Costs a few
    /// look-ups; takes nothing from any limit.
    pub fn standing(&mut self, directory: &dyn Directory, now: UnixTime) -> Result<UnixTime, Lapse> {
        let until = self.principal.standing(directory, now)?;
        let certified = self.principal.standing_of(self.certificate.as_deref(), now)?;
        let undertaking = self.undertaking.standing(&self.principal, &self.rules, (directory, now));
        let allowed = undertaking.map_err(|refusal| {
            tracing::debug!(
                cause = refusal.cause.name(),
                detail = refusal.detail,
                "an open stream is not allowed any more"
            );
            Lapse::Withdrawn
        })?;
        Ok(until.min(certified).min(allowed))
    }

    /// Whether it rests on something that changes without a word from the directory: the keys of an issuer, or
    /// authorities and revocation lists.
    pub fn is_restless(&self) -> bool {
        self.principal.rests_on_issuers() || self.principal.rests_on_certificate()
    }
}
