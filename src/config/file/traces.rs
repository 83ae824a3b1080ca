//! `[traces]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::NetworkOrName;
use super::placed::Placed;

/// Spans of requests for an OpenTelemetry collector (OTLP over HTTP), in builds with the feature `otlp`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Traces {
    /// The collector: `http`, host and port, and its path where that is not `/v1/traces`.
    #[schemars(example = "http://127.0.0.1:4318")]
    pub(in crate::config) endpoint: Placed<String>,
    /// How many of the requests are sampled that belong to no trace yet, 0 to 1; of the others, those that whoever sent
    /// them samples. Default: 0.01.
    pub(in crate::config) sample: Option<Placed<f64>>,
    /// Networks, or their names, whose word on a trace is taken; whoever else comes with one begins a new one. Default:
    /// `trusted_proxies`.
    pub(in crate::config) trust: Option<Vec<Placed<NetworkOrName>>>,
    /// What this gateway is called there. Default: `vidgate`.
    pub(in crate::config) service_name: Option<Placed<String>>,
}
