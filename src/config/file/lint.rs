//! `[lint]`, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::placed::Placed;

/// What is found, and meant to be so.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct Lint {
    /// The ids of rules, as `vidgate lint --rules` lists them: everywhere, or on one route. Default: none.
    #[serde(default)]
    pub(in crate::config) allow: Vec<Placed<Allow>>,
}

/// One rule that need not be followed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "the id of a rule, or { rule = \"open-route\", route = \"docs\" }")]
#[schemars(rename = "LintAllow")]
pub(in crate::config) enum Allow {
    /// Everywhere.
    Everywhere(String),
    /// On one route.
    OnRoute(OnRoute),
}

/// A rule, and the route that need not follow it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LintAllowOnRoute")]
pub(in crate::config) struct OnRoute {
    /// The id of the rule.
    pub(in crate::config) rule: String,
    /// The name of the route.
    pub(in crate::config) route: String,
}

impl Allow {
    /// The id of the rule, and the route that is meant.
    pub(in crate::config) fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Everywhere(rule) => (rule, None),
            Self::OnRoute(OnRoute { rule, route }) => (rule, Some(route)),
        }
    }
}
