//! Where quotas stand, and what was counted of wrong credentials.

use std::num::NonZeroU64;
use std::time::Duration;

use super::*;
use crate::limit::failures::Settings as Guard;
use crate::limit::ledger::{Ledger, LedgerEntry};
use crate::limit::window::Period;
use crate::limit::{Measure, Per, Policy, Quota};

fn hourly() -> Policy {
    let quota = Quota { cap: NonZeroU64::new(100_000).expect("it is not 0"), period: Period::Hour };
    Policy { name: "hourly".into(), measure: Measure::Quota(quota), per: Per::Account, log_only: false }
}

#[test]
fn the_quotas_of_an_account_are_told_by_window() {
    let house = House::with_account();
    let window = Period::Hour.window(NOW);
    let entry = LedgerEntry { limit: "hourly".into(), key: "account:acme".into(), window, spent: 1000 };
    assert!(house.store.settle(vec![entry], Duration::MAX));
    // As at the next start.
    let counters = crate::admin::Counters::at_rest(&house.store, &house.clock, &[hourly()]).unwrap();
    let router = crate::admin::router(house.store.clone(), counters, house.clock.clone());
    let house = House { router, ..house };
    let told = house.get("/v1/usage?account=acme").expect(200);
    let quota = json!({
        "limit": "hourly", "period": "hour", "start": "2025-01-01T00:00:00Z", "end": "2025-01-01T01:00:00Z",
        "quota": 100_000, "spent": 1000, "remaining": 99_000,
    });
    assert_eq!(told, json!({ "account": "acme", "quotas": [quota] }));
    house.patch("/v1/accounts/acme", &json!({ "quota": { "hour": 500 } })).expect(200);
    let told = house.get("/v1/usage?account=acme").expect(200);
    assert_eq!((&told["quotas"][0]["quota"], &told["quotas"][0]["remaining"]), (&json!(500), &json!(0)));
    house.clock.advance(Duration::from_hours(1));
    assert_eq!(house.get("/v1/usage?account=acme").expect(200)["quotas"][0]["spent"], 0);
    house.get("/v1/usage").is_problem(400, Some("account"));
    house.get("/v1/usage?account=nobody").is_problem(404, Some("id"));
}

#[test]
fn what_was_counted_of_wrong_credentials_is_shown_and_forgotten_on_the_record() {
    let house = House::new();
    let span = Duration::from_secs;
    let guard = Guard { name: "guard".into(), failures: 1, first: span(60), longest: span(900), log_only: false };
    let guards = house.counters.guards.open(&[guard]);
    for address in ["203.0.113.9", "2001:db8::1"] {
        guards[0].hears_a_guess(address.parse().expect("an address"));
    }
    let listed = house.get("/v1/failures?address=203.0.113.9").expect(200);
    let item = json!({
        "limit": "guard", "network": "203.0.113.9/32", "failures": 1, "last": "2025-01-01T00:00:00Z",
        "until": "2025-01-01T00:01:00Z", "log_only": false,
    });
    assert_eq!(listed, json!({ "items": [item] }));
    assert_eq!(house.get("/v1/failures").expect(200)["items"].as_array().expect("items").len(), 2);
    assert_eq!(house.get("/v1/failures?limit=1").expect(200)["items"].as_array().expect("items").len(), 1);
    house.get("/v1/failures?address=here").is_problem(400, Some("address"));
    let clear = |query: &str| house.ask(Method::DELETE, &format!("/v1/failures{query}")).send();
    clear("?limit=1").is_problem(400, Some("limit"));
    assert_eq!(clear("?identifier=hunter2").expect(200), json!({ "cleared": 0 }));
    assert_eq!(house.content().1.deeds, 0, "nothing was done");
    assert_eq!(clear("?address=203.0.113.9").expect(200), json!({ "cleared": 1 }));
    assert_eq!(clear("").expect(200), json!({ "cleared": 1 }));
    assert_eq!(house.get("/v1/failures").expect(200), json!({ "items": [] }));
    let deeds = house.get("/v1/audit").expect(200);
    let said = |place: usize| (&deeds["items"][place]["actor"], &deeds["items"][place]["changes"][0]);
    let deal = |id: &str| json!({ "action": "clear_failures", "resource": "failures", "id": id, "fields": [] });
    assert_eq!(said(0), (&json!("token:alice"), &deal("203.0.113.9")));
    assert_eq!(said(1).1, &deal("everywhere"));
    assert_eq!(house.content().1.deeds, 2);
}
