//! `[traces]`, as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::NetworkOrName;
use super::placed::Placed;
use crate::secret::SecretSource;
use crate::units::Span;

/// Spans of requests for an OpenTelemetry collector, in builds with the feature `otlp`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Traces {
    /// The collector: `http` or `https`, host and port; and its path, where it speaks `http/protobuf` and that is not
    /// `/v1/traces`.
    #[schemars(example = "http://127.0.0.1:4318")]
    pub(in crate::config) endpoint: Placed<String>,
    /// What it speaks. Default: `http/protobuf`.
    #[serde(default)]
    pub(in crate::config) protocol: TracesProtocol,
    /// The authorities that its certificate is checked against. Default: those of this host.
    pub(in crate::config) ca: Option<Placed<PathBuf>>,
    /// Header fields that go with each request to it, by name. Default: none.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, Placed<SecretSource>>,
    /// How long it may take for one batch, with its connection, 100 ms to a minute; what it has not taken by then is lost.
    /// Default: 5 s.
    pub(in crate::config) timeout: Option<Placed<Span>>,
    /// How many spans it gets at a time, at most; 1 to 1000. They are sent once a second, or when there are so many. Default:
    /// 512.
    pub(in crate::config) batch: Option<Placed<usize>>,
    /// How many of the requests are sampled that belong to no trace yet, 0 to 1; of the others, those that whoever sent
    /// them samples. Default: 0.01.
    pub(in crate::config) sample: Option<Placed<f64>>,
    /// Networks, or their names, whose word on a trace is taken; whoever else comes with one begins a new one. Default:
    /// `trusted_proxies`.
    pub(in crate::config) trust: Option<Vec<Placed<NetworkOrName>>>,
    /// What this gateway is called there. Default: `vidgate`.
    pub(in crate::config) service_name: Option<Placed<String>>,
    /// What else is said of this gateway there (resource attributes), by name; its version and its process id are said in any
    /// case. Default: nothing.
    #[serde(default)]
    pub(in crate::config) attributes: BTreeMap<String, Placed<String>>,
}

/// What a collector speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::config) enum TracesProtocol {
    /// OTLP over HTTP.
    #[default]
    #[serde(rename = "http/protobuf")]
    Http,
    /// OTLP over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}
