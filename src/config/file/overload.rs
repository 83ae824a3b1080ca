//! `[overload]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;
use crate::units::{Size, Span};

/// What is borne before requests are refused with 503, at once and before anything else is done for them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[expect(clippy::struct_field_names, reason = "as an operator writes them: each is a bound")]
pub(in crate::config) struct Overload {
    /// How late the turns of a worker may be that should come ten times a second, several in succession. Default: 1 s.
    pub(in crate::config) max_lag: Option<Placed<Span>>,
    /// How many requests a worker has in flight at most. Default: 10000.
    #[schemars(extend("x-formerly" = "max_requests"))]
    pub(in crate::config) max_in_flight: Option<Placed<usize>>,
    /// How much memory the process may take, as the system counts it, before requests are refused. Default: nobody looks.
    #[schemars(example = "512 MiB")]
    pub(in crate::config) max_memory: Option<Placed<Size>>,
}
