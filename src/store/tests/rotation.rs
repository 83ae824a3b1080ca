//! Rotation: how long the one before stays good, and how many there are at once.

use super::*;
use crate::record::Verdict;

#[test]
fn rotation_leaves_the_old_key_good_until_the_overlap_ends() {
    let mut house = furnished();
    let rotated = house.rotate(Resource::LicenseKey, "main", json!({"overlap": "1h", "key": "successor"})).unwrap();
    assert_eq!((rotated.id.as_str(), rotated.revision), ("main", 2));
    for _ in 0..2 {
        let old = house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").unwrap();
        let new = house.found(Kind::LicenseKey, "successor").unwrap();
        assert_eq!((old.id(), old.subject()), (new.id(), new.subject()), "limits and rules go by it");
        assert_eq!(old.expires(), Some(UnixTime(1_700_003_600)));
        assert_eq!(new.expires(), None);
        house = house.reopened();
    }
    // An API client keeps its identifier; both secrets prove it for a while.
    house.rotate(Resource::ApiClient, "8ded5a89", json!({"overlap": "1h", "secret": "another"})).unwrap();
    let proves = |secret: &str| {
        let client = house.found(Kind::ApiClient, "8ded5a89").unwrap();
        house.store.index().proves(secret.as_bytes(), client.proofs(), house.clock.unix())
    };
    assert_eq!([proves("99176b1d244c"), proves("another")], [Verdict::Proven; 2]);
    house.wait(3600);
    assert_eq!([proves("99176b1d244c"), proves("another")], [Verdict::Over, Verdict::Proven]);
}

#[test]
fn of_a_key_that_is_disabled_nothing_stays_good_unless_that_is_said() {
    let house = furnished();
    let disable = |disabled: bool| {
        house.change(Resource::LicenseKey, "main", json!({ "disabled": disabled })).unwrap();
    };
    let end = |key: &str| house.found(Kind::LicenseKey, key).unwrap().expires();
    disable(true);
    house.rotate(Resource::LicenseKey, "main", json!({"key": "second"})).unwrap();
    disable(false);
    // The one that leaked does not come back with the next `enable`.
    assert_eq!((end("v3.X9tKpuXq0btatj"), end("second")), (Some(house.clock.unix()), None));
    house.rotate(Resource::LicenseKey, "main", json!({"key": "third"})).unwrap();
    assert_eq!(end("second"), Some(UnixTime(house.clock.unix().0 + 24 * 3600)));
    disable(true);
    house.rotate(Resource::LicenseKey, "main", json!({"key": "fourth", "overlap": "1h"})).unwrap();
    assert_eq!(end("third"), Some(UnixTime(house.clock.unix().0 + 3600)));
}

#[test]
fn four_versions_of_a_secret_are_good_at_once_and_no_more() {
    let house = furnished();
    let rotate = |number: u32, overlap: &str| {
        house.rotate(Resource::LicenseKey, "main", json!({"overlap": overlap, "key": format!("key-{number}")}))
    };
    for number in 2..=4 {
        rotate(number, "7d").unwrap();
    }
    let Err(Refused::Conflict(fault)) = rotate(5, "7d") else { panic!("a conflict") };
    assert_eq!(fault.field, "overlap");
    // In an emergency all are over at once; the latest of them are still known as such.
    rotate(5, "0s").unwrap();
    let ends = |key: &str| house.found(Kind::LicenseKey, key).map(|record| record.expires());
    assert_eq!(ends("key-5"), Some(None));
    assert_eq!([ends("key-4"), ends("key-3"), ends("key-2")], [Some(Some(house.clock.unix())); 3]);
    assert_eq!(ends("v3.X9tKpuXq0btatj"), None);
    let document = house.store.show(Resource::LicenseKey, "main").unwrap().document;
    let numbers: Vec<_> = document["versions"].as_array().unwrap().iter().map(|version| &version["number"]).collect();
    assert_eq!(numbers, [5, 4, 3, 2]);
    // What fell off is free again.
    house.create(Resource::LicenseKey, json!({"account": "acme", "key": "v3.X9tKpuXq0btatj"}));
    for overlap in [json!("soon"), json!("-1h"), json!("2y"), json!(60)] {
        let refused = house.rotate(Resource::LicenseKey, "main", json!({"overlap": overlap})).unwrap_err();
        assert!(matches!(refused, Refused::Invalid(_)), "{refused}");
    }
    assert!(matches!(house.rotate(Resource::Camera, "248527", json!({})), Err(Refused::Invalid(_))));
}

#[test]
fn a_service_account_is_succeeded_by_another_key_id() {
    let house = furnished();
    let key = include_str!("../../../tests/fixtures/keys/rsa2048-pkcs1.pem");
    let document = json!({"overlap": "2h", "id": "kid-2", "public_key": key});
    let made = house.rotate(Resource::ServiceAccount, "kid-1", document).unwrap();
    assert_eq!((made.id.as_str(), made.document["account"].as_str()), ("kid-2", Some("acme")));
    assert_eq!(house.found(Kind::ServiceAccountKey, "kid-2").unwrap().expires(), None);
    assert_eq!(house.found(Kind::ServiceAccountKey, "kid-1").unwrap().expires(), Some(UnixTime(1_700_007_200)));
    let before = house.store.show(Resource::ServiceAccount, "kid-1").unwrap().document;
    assert_eq!(before["successor"], "kid-2");
}
