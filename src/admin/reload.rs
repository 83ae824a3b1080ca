//! Reading the configuration anew. What that means is the business of whoever runs the gateway.

use std::fmt;
use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::answer::{aside, json as answer};
use super::operation::Call;
use super::problem::Problem;
use crate::store::Fault;

/// Reads the configuration anew and says what is unwise in it, a sentence each.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Result<Vec<String>, Unchanged> + Send + Sync>);

/// Why the configuration did not come into force: everything is as it was.
#[derive(Debug)]
pub struct Unchanged {
    /// In a sentence.
    pub summary: String,
    /// Each mistake: where it is in the file, and what it is.
    pub mistakes: Vec<(String, String)>,
}

impl Reload {
    /// By calling this, which may take a while.
    pub fn new(reload: impl Fn() -> Result<Vec<String>, Unchanged> + Send + Sync + 'static) -> Self {
        Self(Arc::new(reload))
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

/// `POST /v1/reload`
pub(super) async fn reload(call: Call) -> Result<Response, Problem> {
    let Some(Reload(reload)) = call.house.counters.reload else {
        return Err(Problem::new(StatusCode::CONFLICT, "no gateway runs here that could go on with it"));
    };
    // Aside: it reads files, and waits for the workers.
    match aside(move || Ok(reload())).await? {
        Ok(warnings) => Ok(answer(StatusCode::OK, &json!({ "warnings": warnings }))),
        Err(Unchanged { summary, mistakes }) => {
            for (place, what) in &mistakes {
                tracing::error!("{place}: {what}");
            }
            tracing::error!(summary, "the configuration was not read anew");
            let faults = mistakes.into_iter().map(|(place, what)| Fault::new(place, what)).collect();
            Err(Problem::unchanged(summary, faults))
        }
    }
}
