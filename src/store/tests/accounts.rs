//! What upstreams see of the callers of an account: a secret that nobody presents.

use super::*;
use crate::store::passphrase::Lock;

fn credential(house: &House, id: &str) -> Option<Vec<u8>> {
    let account = house.store.index().account(id).expect("the account");
    account.upstream_credential().map(|secret| secret.expose().to_vec())
}

#[test]
fn an_account_has_a_credential_for_upstreams_for_as_long_as_it_is_set_and_never_shows_it() {
    let mut house = House::new();
    let made = house.create(Resource::Account, json!({"id": "acme", "upstream_credential": "Bearer one-of-acme"}));
    assert!(made.secret.is_none() && !made.document.contains_key("upstream_credential"), "{made:?}");
    let plain = house.create(Resource::Account, json!({"id": "plain"}));
    assert!(plain.secret.is_none() && !plain.document.contains_key("versions"), "{plain:?}");
    house = house.reopened();
    assert_eq!(credential(&house, "acme").as_deref(), Some(&b"Bearer one-of-acme"[..]));
    assert_eq!(credential(&house, "plain"), None);

    let changed = house.change(Resource::Account, "acme", json!({"upstream_credential": "two-of-acme"})).unwrap();
    assert_eq!((changed.revision, changed.document["versions"].as_array().map(Vec::len)), (2, Some(1)));
    assert_eq!(credential(&house, "acme").as_deref(), Some(&b"two-of-acme"[..]));
    // Another change leaves it as it is, also under other keys.
    house.change(Resource::Account, "acme", json!({"name": "Acme"})).unwrap();
    house.store.rekey(&Actor("test:lea".to_owned()), None).unwrap();
    house = house.reopened();
    assert_eq!(credential(&house, "acme").as_deref(), Some(&b"two-of-acme"[..]));
    let shown = house.store.exactly(Resource::Account, "acme").unwrap().unwrap().document;
    let told = format!("{shown:?} {:?}", house.deeds());
    assert!(!told.contains("of-acme") && told.contains("upstream_credential"), "{told}");

    house.change(Resource::Account, "acme", json!({"upstream_credential": null})).unwrap();
    house = house.reopened();
    assert_eq!(credential(&house, "acme"), None);
}

#[test]
fn a_credential_for_upstreams_is_one_that_a_field_can_carry_and_is_not_rotated() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    for wrong in [json!(""), json!("two\nlines"), json!("x".repeat(4097)), json!(7)] {
        let refused = house.change(Resource::Account, "acme", json!({"upstream_credential": wrong})).unwrap_err();
        let Refused::Invalid(faults) = refused else { panic!("{refused:?}") };
        assert_eq!(faults[0].field, "upstream_credential");
        assert!(!faults[0].to_string().contains("lines"));
    }
    let rotated = house.rotate(Resource::Account, "acme", json!({"upstream_credential": "another"})).unwrap_err();
    assert!(rotated.to_string().contains("has no secret to rotate"), "{rotated}");
}

#[test]
fn a_credential_for_upstreams_goes_out_sealed_or_not_at_all() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme", "upstream_credential": "one-of-acme"}));
    let export = |lock: Option<&Lock>| {
        let mut text = Vec::new();
        house.store.export(lock, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert!(!export(None).contains("acme\",\"sealed") && !export(None).contains("one-of-acme"));
    let lock = Lock::cheap(&crate::secret::Secret::new(b"correct horse battery staple".to_vec()));
    let text = export(Some(&lock));
    assert!(!text.contains("one-of-acme"));
    let mut line = object(serde_json::from_str(text.lines().last().unwrap()).unwrap());
    let versions = crate::store::export::unseal(&mut line, Resource::Account, "acme", &lock).unwrap();
    line.remove("resource");
    let other = House::new();
    other.attempt(Operation::Create { resource: Resource::Account, document: line, versions }).unwrap();
    assert_eq!(credential(&other, "acme").as_deref(), Some(&b"one-of-acme"[..]));
}
