//! Apps as the corridor finds them: by id and by public key, with what they sign with, from the next request on.

use data_encoding::HEXLOWER;

use super::*;
use crate::record::{App, Attributes, Wall};

const TEXT: &[u8] = br#"{"api_key":"123-456-789","expiration":4102444800}"#;
// By `openssl dgst -sha1 -hmac`, under `ct-secret-0001` and under `ct-secret-0002`.
const BY_FIRST: &str = "a6278a4184545200a08454ae33b31533b5ccfadf";
const BY_SECOND: &str = "8021ec80bffcded8ac41b1adbbff262a1beaaaa5";

fn house() -> House {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    let app = json!({
        "id": "app-1", "account": "acme", "public_key": "123-456-789", "secret": "ct-secret-0001",
        "authorized_hosts": ["mysite.com", "*.Example.ORG."], "signatures": {"publish": true},
    });
    house.create(Resource::App, app);
    house
}

/// What is asked of each of the texts that it may be found by; the same of all.
fn seen<T: PartialEq + std::fmt::Debug>(house: &House, look: impl Fn(&Record, &App) -> T) -> T {
    let both = ["app-1", "123-456-789"].map(|text| {
        let record = house.found(Kind::App, text).expect("it is found");
        assert_eq!((record.id(), record.subject()), ("app-1", "app:app-1"));
        let Attributes::App(app) = &record.attributes else { panic!("an app") };
        look(&record, app)
    });
    assert_eq!(both[0], both[1]);
    let [one, _] = both;
    one
}

/// Whether each of the two signatures holds now.
fn hold(house: &House) -> [bool; 2] {
    let now = house.clock.unix();
    [BY_FIRST, BY_SECOND].map(|tag| {
        let tag: [u8; 20] = HEXLOWER.decode(tag.as_bytes()).unwrap().try_into().unwrap();
        seen(house, |_, app| {
            app.signers.iter().any(|signer| signer.is_good(now) && bool::from(signer.signed(TEXT, &tag)))
        })
    })
}

#[test]
fn an_app_is_found_by_its_id_and_by_its_public_key_also_after_a_restart() {
    let mut house = house();
    for _ in 0..2 {
        assert_eq!(hold(&house), [true, false]);
        let (hosts, publish) = seen(&house, |_, app| (app.hosts.clone(), app.publish));
        assert!(publish);
        assert_eq!(hosts.iter().collect::<Vec<_>>(), ["example.org", "mysite.com"]);
        house = house.reopened();
    }
}

#[test]
fn a_rotated_secret_signs_until_the_overlap_ends() {
    let mut house = house();
    house.rotate(Resource::App, "app-1", json!({"secret": "ct-secret-0002", "overlap": "60s"})).unwrap();
    for _ in 0..2 {
        assert_eq!(hold(&house), [true, true]);
        house = house.reopened();
    }
    house.wait(59);
    assert_eq!(hold(&house), [true, true]);
    house.wait(1);
    for _ in 0..2 {
        assert_eq!(hold(&house), [false, true]);
        house = house.reopened();
    }
    house.rotate(Resource::App, "app-1", json!({"secret": "ct-secret-0001", "overlap": "0s"})).unwrap();
    assert_eq!(hold(&house), [true, false]);
}

#[test]
fn what_is_changed_holds_at_once() {
    let house = house();
    let patch = json!({
        "signatures": {"publish": false, "playback": true, "expiration_only": true}, "wall": "black_list",
        "legacy_200": true, "cross_origin": true, "authorized_hosts": [],
    });
    house.change(Resource::App, "app-1", patch).unwrap();
    let told = seen(&house, |_, app| {
        let App { publish, playback, expiration_only, legacy_200, cross_origin, .. } = *app;
        ([publish, playback, expiration_only, legacy_200, cross_origin], app.wall, app.hosts.is_empty())
    });
    assert_eq!(told, ([false, true, true, true, true], Wall::BlackList, true));
    house.change(Resource::App, "app-1", json!({"disabled": true})).unwrap();
    assert!(seen(&house, |record, _| record.is_disabled()));
    house.change(Resource::App, "app-1", json!({"public_key": "new-key"})).unwrap();
    assert!(house.found(Kind::App, "123-456-789").is_none());
    for text in ["new-key", "app-1"] {
        let record = house.found(Kind::App, text).unwrap();
        let Attributes::App(app) = &record.attributes else { panic!("an app") };
        assert_eq!(&*app.public_key, "new-key");
    }
    house.delete(Resource::App, "app-1").unwrap();
    for text in ["new-key", "app-1", "123-456-789"] {
        assert!(house.found(Kind::App, text).is_none(), "{text}");
    }
}

#[test]
fn an_app_whose_id_is_its_public_key_is_one_record() {
    let house = house();
    house.create(Resource::App, json!({"id": "same", "account": "acme", "public_key": "same"}));
    assert!(house.found(Kind::App, "same").is_some());
    house.change(Resource::App, "same", json!({"public_key": "other"})).unwrap();
    house.change(Resource::App, "same", json!({"public_key": "same"})).unwrap();
    assert!(house.found(Kind::App, "other").is_none());
    house.delete(Resource::App, "same").unwrap();
    assert!(house.found(Kind::App, "same").is_none());
}

#[test]
fn a_new_master_key_leaves_what_apps_sign_with() {
    let mut house = house();
    house.store.rekey(&Actor("test:lea".to_owned()), None).unwrap();
    for _ in 0..2 {
        assert_eq!(hold(&house), [true, false]);
        house = house.reopened();
    }
}

#[test]
fn no_record_of_an_app_shows_what_it_signs_with() {
    let house = house();
    let shown = seen(&house, |record, app| format!("{record:?} {:?} {app:?}", record.attributes));
    assert!(shown.contains("Signer(***)") && !shown.contains("ct-secret"), "{shown}");
}
