//! Where a caller may come from: the addresses that their account may be used from (SecureVideo's API tab), and those of
//! every account above it. Asked only of a proven caller, so that nobody else learns that there is a list.

use std::net::IpAddr;

use crate::edge::head::Head;
use crate::refusal::{Cause, Refusal};
use crate::scheme::Principal;

/// Whether a route minds the address lists of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The caller comes from where their account says.
    #[default]
    Listed,
    /// From anywhere.
    Anywhere,
}

impl Rule {
    /// Refuses a caller who comes from elsewhere, or from where their account denies it. An account without a list is used
    /// from anywhere, and so is a caller without an account, whose address is all that is known of them.
    pub fn check(self, principal: &Principal, head: &Head<'_>) -> Result<(), Refusal> {
        self.lets_in(principal, head.client_ip())
    }

    /// The same of a caller who comes from there.
    pub(super) fn lets_in(self, principal: &Principal, address: IpAddr) -> Result<(), Refusal> {
        let Some(account) = principal.account().filter(|_| self == Self::Listed) else { return Ok(()) };
        if account.grants(|terms| terms.allows(address)) {
            return Ok(());
        }
        Err(Refusal::new(Cause::AddressRefused, "the lists of the account do not let the caller's address in"))
    }
}
