//! `[limit.<name>]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;
use crate::limit::Per;
use crate::units::Span;

/// How much may be done. One of `rate`, `quota`, `concurrency` and `failures` says what is counted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Limit {
    /// So many requests in so long: they pass evenly, and `burst` of them at once.
    #[schemars(example = "50/1s")]
    pub(in crate::config) rate: Option<Placed<String>>,
    /// With `rate`: how many requests may come at once, after a time of rest. Default: as many as the rate says.
    pub(in crate::config) burst: Option<Placed<u64>>,
    /// So many requests in each hour, day or month of the clock (UTC). An account's own value is cut to it.
    #[schemars(example = "100000/hour")]
    pub(in crate::config) quota: Option<Placed<String>>,
    /// So many requests under way at the same time.
    pub(in crate::config) concurrency: Option<Placed<u64>>,
    /// So many wrong credentials from one address (IPv6: /64), or for one identifier from one network (/24, IPv6: /48),
    /// before all of it is refused for a growing while.
    pub(in crate::config) failures: Option<Placed<u64>>,
    /// With `failures`: how long the first refusal lasts; each further wrong one doubles it. Default: 1 s.
    pub(in crate::config) first: Option<Placed<Span>>,
    /// With `failures`: how long a refusal lasts at most, and how long it takes to be forgotten. Default: 15 min.
    pub(in crate::config) longest: Option<Placed<Span>>,
    /// For whom it counts. Default: account.
    pub(in crate::config) per: Option<Placed<Per>>,
    /// Whether nothing is refused, and the log says what would have been. Default: false.
    pub(in crate::config) log_only: Option<bool>,
}
