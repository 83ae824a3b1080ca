//! `[monitoring]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;

/// A plain listener that asks for no credential and tells nothing secret: whether vidgate lives, and whether requests should
/// be sent to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Monitoring {
    /// The address and port to bind; port 0 is any free port. Callers of the API have no business here.
    #[schemars(example = "127.0.0.1:9180")]
    pub(in crate::config) address: Placed<String>,
}
