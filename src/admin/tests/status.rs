//! How a gateway is doing, as the admin API tells it.

use std::sync::Arc;

use super::*;
use crate::admin::status::{Configuration, Health, Memory, Overview, Running, Status, Worker};

/// A gateway that is not ready.
struct Played;

impl Overview for Played {
    fn metrics(&self, accept: Option<&str>) -> (&'static str, String) {
        ("text/plain", format!("accepted {} 1\n", accept.unwrap_or("nothing")))
    }

    fn live(&self) -> Health {
        Health::of([("workers", None)])
    }

    fn ready(&self) -> Health {
        Health::of([("workers", None), ("stop", Some("it is about to end"))])
    }

    fn status(&self) -> Status {
        let worker = Worker {
            number: 0,
            alive: true,
            lag_seconds: 0.25,
            connections: 1,
            requests_in_flight: 2,
            generation: 1,
            overload: None,
        };
        Status {
            version: "0.0.0".into(),
            pid: 1,
            started: NOW,
            uptime_seconds: 0,
            ready: self.ready(),
            configuration: Configuration {
                path: None,
                generation: 1,
                loaded: NOW,
                last_reload: None,
                warnings: Vec::new(),
            },
            listeners: Vec::new(),
            workers: vec![worker],
            upstreams: Vec::new(),
            limits: Vec::new(),
            guards: Vec::new(),
            store: None,
            memory: Memory { resident_bytes: None, max_bytes: None },
        }
    }
}

pub(super) fn played() -> Running {
    Running(Arc::new(Played))
}

#[test]
fn what_is_not_ready_is_503_with_its_checks() {
    let house = House::new();
    assert_eq!(
        house.get("/live").expect(200),
        json!({
            "ok": true, "detail": "all is well", "checks": { "workers": { "ok": true } },
        })
    );
    let ready = house.get("/ready").expect(503);
    assert_eq!(ready["checks"]["stop"], json!({ "ok": false, "why": "it is about to end" }));
    assert_eq!(house.get("/v1/status").expect(200)["workers"][0]["lag_seconds"], 0.25);
}

#[test]
fn where_no_gateway_runs_there_is_nothing_to_look_at() {
    let house = House::new();
    let counters = crate::admin::Counters::at_rest(&house.store, &house.clock, &[]).unwrap();
    let router = crate::admin::router(house.store.clone(), counters, house.clock.clone());
    let house = House { router, ..house };
    for path in ["/live", "/ready", "/v1/status", "/metrics"] {
        house.get(path).is_problem(409, None);
    }
}
