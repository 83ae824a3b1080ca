//! How limits stand, for whoever looks: what came of those who were counted, and how many there are.

use std::sync::PoisonError;

use super::limits::{Limits, Tallies};
use super::table::Told;

/// How one limit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub limit: Box<str>,
    /// How many callers it counts just now.
    pub callers: usize,
    /// How many requests it has let through since the start.
    pub admitted: u64,
    /// How many it has refused.
    pub refused: u64,
    /// How many it would have refused, had it not been told only to log.
    pub would_refuse: u64,
    /// How many were counted together with strangers, because there was no room for one more caller.
    pub shared: u64,
}

impl Limits {
    /// How the limits of the configuration in force stand, in the order of their names. Takes each lock for a moment.
    pub fn standings(&self) -> Vec<Standing> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let standing = |limit: &super::limits::Limit| {
            let (callers, told) = match &limit.tallies {
                Tallies::Rate(_, table) => table.standing(),
                Tallies::Quota(_, table) => table.standing(),
                Tallies::Concurrency(_, table) => table.standing(),
            };
            let Told { admitted, refused, would_refuse, shared } = told;
            Standing { limit: limit.policy.name.clone(), callers, admitted, refused, would_refuse, shared }
        };
        open.iter().map(standing).collect()
    }
}
