//! How the admin API has requests explained: by what is in force at that moment.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use super::reload::Running;
use crate::admin::Explain;
use crate::clock::Clock;
use crate::forward::Fleet;
use crate::gateway::explain::{Asked, Scenery};
use crate::limit::Limits;
use crate::limit::failures::Guards;
use crate::world::World;

/// What explanations are made from. Workers are not asked.
pub(super) struct Explaining {
    world: Arc<ArcSwap<World>>,
    limits: Arc<Limits>,
    guards: Arc<Guards>,
    fleet: Arc<Fleet>,
    clock: Clock,
}

impl Explaining {
    /// Of a gateway that runs.
    pub(super) fn of(running: &Running, clock: &Clock) -> Self {
        let (limits, guards) = (Arc::clone(&running.limits), Arc::clone(&running.guards));
        let (world, fleet) = (Arc::clone(&running.world), Arc::clone(&running.fleet));
        Self { world, limits, guards, fleet, clock: clock.clone() }
    }

    /// What is in force now.
    pub(super) fn scenery(&self) -> Scenery {
        Scenery::of(self.world.load_full(), &self.limits, &self.guards, &self.fleet, &self.clock)
    }

    /// What the admin API calls.
    pub(super) fn for_operators(self) -> Explain {
        Explain::new(move |document| {
            let explanation = self.scenery().explain(&asked(document)?)?;
            Ok(serde_json::to_value(explanation).expect("an explanation is plain values"))
        })
    }
}

/// What a description may hold.
const FIELDS: [&str; 8] = ["method", "url", "headers", "body", "peer", "listener", "client_certificate", "at"];

/// The request that is described. What is wrong is named by its place: the values may be credentials.
fn asked(document: Map<String, Value>) -> Result<Asked, String> {
    serde_path_to_error::deserialize(Value::Object(document)).map_err(|error| {
        let place = error.path().to_string();
        let known = FIELDS.iter().any(|field| place.strip_prefix(field).is_some_and(|rest| !rest.starts_with('_')));
        let place = if known { format!("`{place}`") } else { "the request".to_owned() };
        format!("{place} is not described as it should be: see the schema `Asked` in /openapi.json")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named_and_never_shown() {
        for (wrong, place) in [
            (json!({}), "the request"),
            (json!({ "url": "https://a/", "headers": ["Authorization: LKey hunter2"] }), "`headers[0]`"),
            (json!({ "url": "https://a/", "peer": "hunter2" }), "`peer`"),
            (json!({ "url": "https://a/", "hunter2": 1 }), "the request"),
        ] {
            let Value::Object(document) = wrong else { panic!("an object") };
            let said = asked(document).map(drop).unwrap_err();
            assert!(said.starts_with(place) && !said.contains("hunter2"), "{said}");
        }
    }
}
