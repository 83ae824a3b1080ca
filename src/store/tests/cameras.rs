//! Whose camera is whose, at once and after a restart, and how many an account may have.

use super::*;
use crate::record::{Attributes, Holding};

fn holding(house: &House, camera: &str, account: &str) -> Holding {
    let index = house.store.index();
    let account = index.account(account).expect("it is known");
    index.camera(camera, &account, house.clock.unix())
}

fn camera(house: &House, id: &str) -> Result<Outcome, Refused> {
    house.attempt(create(Resource::Camera, json!({"id": id, "account": "acme"})))
}

fn limited(limit: u64) -> House {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme", "limits": {"hosted_cameras": limit}}));
    house
}

fn full(field: &'static str, limit: u64, hosted: u64) -> Refused {
    Refused::Allotment { field, account: "acme".to_owned(), limit, hosted }
}

#[test]
fn a_camera_is_held_by_its_account_and_those_above_until_it_is_switched_off_or_goes() {
    let mut house = House::new();
    for (id, parent) in [("top", None), ("acme", Some("top")), ("beside", Some("top"))] {
        house.create(Resource::Account, json!({"id": id, "parent": parent}));
    }
    camera(&house, "1").unwrap();
    let end = UnixTime(house.clock.unix().0 + 60);
    house.create(Resource::Camera, json!({"id": "2", "account": "acme", "expires": end}));
    for _ in 0..2 {
        for id in ["1", "2"] {
            let found = ["acme", "top", "beside"].map(|account| holding(&house, id, account));
            assert_eq!(found, [Holding::Held, Holding::Held, Holding::Elsewhere], "{id}");
        }
        house = house.reopened();
    }
    house.wait(60);
    house.change(Resource::Camera, "1", json!({"disabled": true})).unwrap();
    for _ in 0..2 {
        assert_eq!(
            ["1", "2", "3"].map(|id| holding(&house, id, "acme")),
            [Holding::Disabled, Holding::Disabled, Holding::Unknown]
        );
        house = house.reopened();
    }
    house.change(Resource::Camera, "1", json!({"disabled": false})).unwrap();
    house.delete(Resource::Camera, "2").unwrap();
    assert_eq!(["1", "2"].map(|id| holding(&house, id, "acme")), [Holding::Held, Holding::Unknown]);
    // It may come back to somebody else.
    house.create(Resource::Camera, json!({"id": "2", "account": "beside"}));
    assert_eq!(["acme", "beside"].map(|account| holding(&house, "2", account)), [Holding::Elsewhere, Holding::Held]);
}

#[test]
fn a_group_token_loses_a_camera_that_is_switched_off_or_leaves_the_group() {
    let house = furnished();
    camera(&house, "7").unwrap();
    house.change(Resource::CameraGroup, "lobby", json!({"cameras": ["7", "248527"]})).unwrap();
    let members = || {
        let record = house.found(Kind::GroupToken, GROUP).expect("it is there");
        let Attributes::Group(group) = &record.attributes else { panic!("a group") };
        ["248527", "7"].map(|id| group.cameras.contains(id))
    };
    assert_eq!(members(), [true, true]);
    house.change(Resource::Camera, "7", json!({"disabled": true})).unwrap();
    assert_eq!(holding(&house, "7", "acme"), Holding::Disabled, "the one that the group's token asks for");
    assert!(matches!(house.delete(Resource::Camera, "7"), Err(Refused::InUse { .. })), "the group has it still");
    house.change(Resource::CameraGroup, "lobby", json!({"cameras": ["248527"]})).unwrap();
    house.delete(Resource::Camera, "7").unwrap();
    assert_eq!((members(), holding(&house, "7", "acme")), ([true, false], Holding::Unknown));
}

#[test]
fn a_camera_and_its_tokens_share_one_text_in_memory() {
    let mut house = furnished();
    for _ in 0..2 {
        let record = house.found(Kind::CameraToken, INNER).unwrap();
        let Attributes::Camera(id) = &record.attributes else { panic!("a camera") };
        assert!(Arc::ptr_eq(id, &house.store.index().cameras().name("248527")));
        house = house.reopened();
    }
}

#[test]
fn an_account_hosts_as_many_cameras_as_it_may_and_no_more() {
    let mut house = limited(2);
    camera(&house, "1").unwrap();
    camera(&house, "2").unwrap();
    for _ in 0..2 {
        let refused = camera(&house, "3").unwrap_err();
        assert_eq!(refused, full("account", 2, 2));
        assert_eq!(refused.to_string(), "the account `acme` may host 2 cameras (`limits.hosted_cameras`) and hosts 2");
        house = house.reopened();
    }
    // One that is switched off makes room, and may come back only where there is some.
    house.change(Resource::Camera, "1", json!({"disabled": true})).unwrap();
    camera(&house, "3").unwrap();
    let enable = || house.change(Resource::Camera, "1", json!({"disabled": false}));
    assert_eq!(enable().unwrap_err(), full("disabled", 2, 2));
    house.change(Resource::Camera, "1", json!({"name": "Hall"})).expect("whatever else may change");
    house.delete(Resource::Camera, "3").unwrap();
    enable().unwrap();
    house.create(Resource::Account, json!({"id": "below", "parent": "acme"}));
    house.create(Resource::Camera, json!({"id": "4", "account": "below"}));
}

#[test]
fn a_limit_below_what_is_there_takes_nothing_away() {
    let house = limited(3);
    for id in ["1", "2", "3"] {
        camera(&house, id).unwrap();
    }
    let limit = |limit: Option<u64>| {
        house.change(Resource::Account, "acme", json!({"limits": {"hosted_cameras": limit}})).unwrap();
    };
    limit(Some(1));
    assert_eq!(camera(&house, "4").unwrap_err(), full("account", 1, 3));
    house.change(Resource::Camera, "2", json!({"name": "Hall"})).unwrap();
    house.delete(Resource::Camera, "3").unwrap();
    assert_eq!(camera(&house, "3").unwrap_err(), full("account", 1, 2));
    limit(None);
    camera(&house, "3").unwrap();
    limit(Some(0));
    assert_eq!(camera(&house, "4").unwrap_err(), full("account", 0, 3));
}

#[test]
fn a_request_is_counted_as_it_is_worked_and_not_where_it_is_refused() {
    let house = limited(2);
    let make = |id: &str| create(Resource::Camera, json!({"id": id, "account": "acme"}));
    let drop = |id: &str| Operation::Delete { resource: Resource::Camera, id: id.to_owned(), revision: None };
    let refused = house.try_all(vec![make("1"), make("2"), make("3")]).unwrap_err();
    assert_eq!(refused, Refused::InBulk { place: 2, refused: Box::new(full("account", 2, 2)) });
    house.try_all(vec![make("1"), make("2"), drop("1"), make("3")]).unwrap();
    let raise = Operation::Change {
        resource: Resource::Account,
        id: "acme".to_owned(),
        patch: object(json!({"limits": {"hosted_cameras": 3}})),
        revision: None,
    };
    house.try_all(vec![raise, make("1")]).unwrap();
    assert_eq!(camera(&house, "4").unwrap_err(), full("account", 3, 3));
}

#[test]
fn many_at_once_do_not_pass_the_limit() {
    let house = limited(10);
    let made = std::thread::scope(|threads| {
        let make = |own: usize| {
            let store = house.store.clone();
            threads.spawn(move || {
                let make =
                    |id: usize| create(Resource::Camera, json!({"id": format!("{own}-{id}"), "account": "acme"}));
                let request = |id| Request {
                    actor: Actor("test:many".to_owned()),
                    operations: vec![make(id)],
                    idempotency: None,
                };
                (0..8).filter(|id| store.apply(request(*id)).is_ok()).count()
            })
        };
        let makers: Vec<_> = (0..8).map(make).collect();
        makers.into_iter().map(|maker| maker.join().expect("it ends")).sum::<usize>()
    });
    assert_eq!((made, house.store.index().cameras().hosted("acme")), (10, 10));
}
