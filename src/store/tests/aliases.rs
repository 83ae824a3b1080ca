//! Identifiers beside the own one.

use super::*;
use crate::record::Verdict;

#[test]
fn an_api_client_is_found_by_its_aliases_for_as_long_as_it_has_them() {
    let mut house = furnished();
    let aliases = json!({"aliases": ["acme-gmbh", "acme@example.com"]});
    house.change(Resource::ApiClient, "8ded5a89", aliases).unwrap();
    house.create(Resource::ApiClient, json!({"id": "other", "account": "acme", "secret": "another-secret"}));
    for _ in 0..2 {
        for text in ["8ded5a89", "acme-gmbh", "acme@example.com"] {
            let client = house.found(Kind::ApiClient, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((client.id(), client.subject()), ("8ded5a89", "api_client:8ded5a89"), "{text}");
            let verdict = house.store.index().proves(b"99176b1d244c", client.proofs(), house.clock.unix());
            assert_eq!(verdict, Verdict::Proven, "{text}");
        }
        for (id, aliases, field) in [
            ("acme-gmbh", json!([]), "id"),
            ("new", json!(["other"]), "aliases"),
            ("new", json!(["acme@example.com"]), "aliases"),
            ("new", json!(["new"]), "aliases"),
        ] {
            let document = json!({"id": id, "account": "acme", "aliases": aliases});
            let refused = house.attempt(create(Resource::ApiClient, document)).unwrap_err();
            let Refused::Conflict(fault) = refused else { panic!("{refused:?}") };
            assert_eq!(fault.field, field, "{id} {aliases}");
        }
        house = house.reopened();
    }
    house.change(Resource::ApiClient, "8ded5a89", json!({"aliases": ["acme@example.com"]})).unwrap();
    assert!(house.found(Kind::ApiClient, "acme-gmbh").is_none());
    // One way to it less, and its secret is no less known for that.
    let leaked =
        |house: &House| house.store.index().look_up_secret(b"99176b1d244c").map(|client| client.id().to_owned());
    assert_eq!(leaked(&house).as_deref(), Some("8ded5a89"));
    house.change(Resource::ApiClient, "other", json!({"aliases": ["acme-gmbh"]})).unwrap();
    assert_eq!(house.found(Kind::ApiClient, "acme-gmbh").unwrap().id(), "other");
    house.attempt(Operation::Delete { resource: Resource::ApiClient, id: "8ded5a89".into(), revision: None }).unwrap();
    assert!(house.found(Kind::ApiClient, "acme@example.com").is_none() && leaked(&house).is_none());
}
