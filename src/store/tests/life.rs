//! The life of credentials: made, found, changed, taken away; and what is refused on the way.

use super::*;
use crate::record::{Attributes, Verdict};

#[test]
fn every_resource_is_found_by_its_credential_at_once_and_after_a_restart() {
    let mut house = furnished();
    for round in 0..2 {
        for (kind, text, id, subject) in [
            (Kind::LicenseKey, "v3.X9tKpuXq0btatj", "main", "license_key:main"),
            (Kind::ApiClient, "8ded5a89", "8ded5a89", "api_client:8ded5a89"),
            (Kind::CameraToken, INNER, "door", "camera:248527"),
            (Kind::GroupToken, GROUP, "all-doors", "camera_group:lobby"),
            (Kind::User, "Eva", "eva", "user:eva"),
            (Kind::UserKey, "eva's key", "eva", "user:eva"),
            (Kind::BearerToken, "opaque-opaque-opaque", "b1", "user:eva"),
            (Kind::ServiceAccountKey, "kid-1", "kid-1", "service_account:kid-1"),
            (Kind::App, "pk", "app", "app:app"),
            (Kind::App, "app", "app", "app:app"),
            (Kind::AdminCertificate, "ops", "ops", "admin_certificate:ops"),
        ] {
            let record = house.found(kind, text).unwrap_or_else(|| panic!("{kind:?} in round {round}"));
            assert_eq!((record.id(), record.subject(), &*record.account.id.0), (id, subject, "acme"));
        }
        assert_eq!(house.store.index().len(), 11);
        house = house.reopened();
    }
    let client = house.found(Kind::ApiClient, "8ded5a89").unwrap();
    assert_eq!(house.store.index().proves(b"99176b1d244c", client.proofs(), house.clock.unix()), Verdict::Proven);
    assert_eq!(house.store.index().proves(b"99176b1d244d", client.proofs(), house.clock.unix()), Verdict::Wrong);
    let group = house.found(Kind::GroupToken, GROUP).unwrap();
    let Attributes::Group(group) = &group.attributes else { panic!("a group") };
    assert_eq!(group.cameras.iter().map(|id| &**id).collect::<Vec<_>>(), ["248527"]);
}

#[test]
fn a_key_that_is_made_is_shown_once_and_works() {
    let house = House::new();
    house.create(Resource::Account, json!({"id": "acme"}));
    let made = house.create(Resource::LicenseKey, json!({"account": "acme"}));
    let key = String::from_utf8(made.secret.expect("it was made").expose().to_vec()).unwrap();
    assert!(key.starts_with("vgl_") && key.len() == 64, "{key}");
    assert_eq!(house.found(Kind::LicenseKey, &key).unwrap().id(), made.id);
    let shown = house.store.show(Resource::LicenseKey, &made.id).unwrap();
    assert!(shown.secret.is_none());
    assert!(!Value::Object(shown.document).to_string().contains(&key));
    // One that was given is known to whoever gave it.
    assert!(house.create(Resource::LicenseKey, json!({"account": "acme", "key": "k"})).secret.is_none());
}

#[test]
fn a_certificate_is_known_by_its_digest_however_that_is_written() {
    let house = furnished();
    let printed = "AF:92:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD";
    let plain = printed.replace(':', "").to_lowercase();
    let made = house.create(Resource::AdminCertificate, json!({"account": "acme", "sha256": printed}));
    assert_eq!(house.found(Kind::AdminCertificate, &plain).unwrap().id(), made.id);
    assert_eq!(house.store.show(Resource::AdminCertificate, &made.id).unwrap().document["sha256"], json!(plain));
    for same in [printed.to_owned(), plain.to_uppercase(), plain] {
        house.attempt(create(Resource::AdminCertificate, json!({"account": "acme", "sha256": same}))).unwrap_err();
    }
}

#[test]
fn what_is_taken_away_is_unknown_at_once() {
    let house = furnished();
    house.delete(Resource::LicenseKey, "main").unwrap();
    assert!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").is_none());
    // The tokens of a user go with the user.
    house.delete(Resource::User, "eva").unwrap();
    assert!(house.found(Kind::BearerToken, "opaque-opaque-opaque").is_none());
    assert!(matches!(house.store.show(Resource::BearerToken, "b1"), Err(Refused::Missing { .. })));
    let last = house.deeds().pop().unwrap();
    let gone: Vec<_> = last.changes.iter().map(|change| (change.action, change.id.as_str())).collect();
    assert_eq!(gone, [(Act::Delete, "eva"), (Act::Delete, "b1")]);
}

#[test]
fn what_others_need_cannot_be_taken_away() {
    let house = furnished();
    for (resource, id) in [(Resource::Account, "acme"), (Resource::Camera, "248527"), (Resource::CameraGroup, "lobby")]
    {
        let refused = house.delete(resource, id).unwrap_err();
        assert!(matches!(refused, Refused::InUse { .. }), "{refused}");
        assert!(house.store.show(resource, id).is_ok());
    }
    house.create(Resource::Account, json!({"id": "child", "parent": "acme"}));
    house.delete(Resource::Account, "child").unwrap();
}

#[test]
fn what_a_camera_a_group_or_a_user_loses_its_tokens_lose() {
    let mut house = furnished();
    house.change(Resource::Camera, "248527", json!({"disabled": true})).unwrap();
    house.change(Resource::User, "eva", json!({"expires": "2024-01-01T00:00:00Z"})).unwrap();
    house.create(Resource::Camera, json!({"id": "7", "account": "acme"}));
    house.change(Resource::CameraGroup, "lobby", json!({"cameras": ["248527", "7"]})).unwrap();
    for _ in 0..2 {
        assert!(house.found(Kind::CameraToken, INNER).unwrap().is_disabled());
        let bearer = house.found(Kind::BearerToken, "opaque-opaque-opaque").unwrap();
        assert_eq!(bearer.expires(), Some(UnixTime(1_704_067_200)));
        let group = house.found(Kind::GroupToken, GROUP).unwrap();
        let Attributes::Group(group) = &group.attributes else { panic!("a group") };
        assert_eq!(group.cameras.iter().len(), 2);
        house = house.reopened();
    }
    house.change(Resource::Camera, "248527", json!({"disabled": false})).unwrap();
    assert!(!house.found(Kind::CameraToken, INNER).unwrap().is_disabled());
}

#[test]
fn a_disabled_account_disables_what_it_and_its_children_own() {
    let mut house = furnished();
    house.create(Resource::Account, json!({"id": "child", "parent": "acme"}));
    house.create(Resource::LicenseKey, json!({"id": "childs", "account": "child", "key": "childs-key"}));
    house.change(Resource::Account, "acme", json!({"disabled": true})).unwrap();
    for _ in 0..2 {
        for key in ["v3.X9tKpuXq0btatj", "childs-key"] {
            assert!(house.found(Kind::LicenseKey, key).unwrap().account.is_disabled(), "{key}");
        }
        house = house.reopened();
    }
    house.change(Resource::Account, "child", json!({"parent": null})).unwrap();
    assert!(!house.found(Kind::LicenseKey, "childs-key").unwrap().account.is_disabled());
}

#[test]
fn a_wrong_document_is_refused_with_every_fault_and_nothing_is_done() {
    let house = furnished();
    let deeds = house.deeds().len();
    let key = include_str!("../../../tests/fixtures/keys/rsa1024.pem");
    for (resource, document, fields) in [
        (Resource::LicenseKey, json!({"account": "acme", "colour": 1, "expires": "soon"}), vec!["colour", "expires"]),
        (Resource::LicenseKey, json!({"account": 7}), vec!["account"]),
        (Resource::LicenseKey, json!({}), vec!["account"]),
        (Resource::LicenseKey, json!({"account": "nobody"}), vec!["account"]),
        (Resource::LicenseKey, json!({"account": "acme", "key": "two words, here"}), vec!["key"]),
        (Resource::LicenseKey, json!({"account": "acme", "key": "vgl_mistyped"}), vec!["key"]),
        (Resource::LicenseKey, json!({"account": "acme", "id": "a b"}), vec!["id"]),
        (Resource::LicenseKey, json!({"account": "acme", "metadata": {"a": 1}}), vec!["metadata.a"]),
        (Resource::ApiClient, json!({"account": "acme", "id": "a:b"}), vec!["id"]),
        (Resource::ApiClient, json!({"account": "acme", "aliases": ["a", "b:c"]}), vec!["aliases[1]"]),
        (Resource::ApiClient, json!({"account": "acme", "aliases": ["a", "a"]}), vec!["aliases[1]"]),
        (Resource::Account, json!({"quota": {"hour": "many"}}), vec!["quota.hour"]),
        (Resource::Account, json!({"quota": {"minute": 3}}), vec!["quota.minute"]),
        (Resource::Account, json!({"addresses": ["10.0.0.0/8", "10.0.0.1/8"]}), vec!["addresses[1]"]),
        (Resource::Account, json!({"account": "acme", "expires": "2030-01-01T00:00:00Z"}), vec!["account", "expires"]),
        (Resource::Account, json!({"parent": "nobody"}), vec!["parent"]),
        (Resource::Token, json!({}), vec!["camera"]),
        (Resource::Token, json!({"camera": "248527", "group": "lobby", "scopes": []}), vec!["group", "scopes"]),
        (Resource::Token, json!({"camera": "248527", "account": "other"}), vec!["account", "camera"]),
        (Resource::Token, json!({"camera": "1"}), vec!["camera"]),
        (Resource::Token, json!({"camera": "248527", "token": "share.x"}), vec!["token"]),
        (Resource::CameraGroup, json!({"account": "acme", "cameras": ["9"]}), vec!["cameras"]),
        (Resource::User, json!({"account": "acme"}), vec!["login"]),
        (Resource::ServiceAccount, json!({"account": "acme", "public_key": key}), vec!["public_key"]),
        (Resource::App, json!({"account": "acme", "public_key": "", "secret": "short"}), vec!["secret", "public_key"]),
        (
            Resource::App,
            json!({"account": "acme", "public_key": "p", "authorized_hosts": ["a.b", "https://c.d/"]}),
            vec!["authorized_hosts"],
        ),
        (Resource::App, json!({"account": "acme", "public_key": "p", "wall": {"only": ["v-1"]}}), vec!["wall"]),
        (Resource::AdminCertificate, json!({"account": "acme"}), vec!["sha256"]),
    ] {
        let told = document.to_string();
        let Err(Refused::Invalid(faults)) = house.attempt(create(resource, document)) else { panic!("{told}") };
        let named: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(named, fields, "{told}: {faults:?}");
    }
    assert_eq!(house.deeds().len(), deeds);
}

#[test]
fn what_is_taken_is_not_given_again() {
    let house = furnished();
    house.create(Resource::LicenseKey, json!({"id": "named", "name": "Front", "account": "acme"}));
    for (resource, document, field) in [
        (Resource::LicenseKey, json!({"id": "main", "account": "acme"}), "id"),
        (Resource::LicenseKey, json!({"account": "acme", "name": "Front"}), "name"),
        (Resource::LicenseKey, json!({"account": "acme", "key": "v3.X9tKpuXq0btatj"}), "key"),
        (Resource::Token, json!({"camera": "248527", "token": INNER}), "token"),
        (Resource::User, json!({"account": "acme", "login": "Eva"}), "login"),
        (Resource::App, json!({"account": "acme", "public_key": "pk"}), "public_key"),
        // Either may stand in a path: one app's id is no other's key.
        (Resource::App, json!({"account": "acme", "public_key": "app"}), "public_key"),
        (Resource::App, json!({"id": "pk", "account": "acme", "public_key": "pk2"}), "public_key"),
    ] {
        let told = document.to_string();
        let Err(Refused::Conflict(fault)) = house.attempt(create(resource, document)) else { panic!("{told}") };
        assert_eq!(fault.field, field, "{told}");
    }
    // Another account may use the same name, and two kinds may share a text.
    house.create(Resource::Account, json!({"id": "other"}));
    house.create(Resource::LicenseKey, json!({"account": "other", "name": "Front"}));
    house.create(Resource::BearerToken, json!({"user": "eva", "token": "v3.X9tKpuXq0btatj"}));
}

#[test]
fn a_change_keeps_what_it_does_not_name_and_never_touches_what_stays() {
    let house = furnished();
    let changed = house.change(Resource::LicenseKey, "main", json!({"name": "Front", "metadata": {"a": "1"}})).unwrap();
    assert_eq!((changed.revision, changed.document["name"].as_str()), (2, Some("Front")));
    let changed = house.change(Resource::LicenseKey, "main", json!({"name": null, "metadata": {"b": "2"}})).unwrap();
    assert_eq!(changed.document["metadata"], json!({"a": "1", "b": "2"}));
    assert!(changed.document.get("name").is_none());
    // The same again is no change.
    assert_eq!(house.change(Resource::LicenseKey, "main", json!({"disabled": false})).unwrap().revision, 3);
    for (resource, id, patch, field) in [
        (Resource::LicenseKey, "main", json!({"id": "other"}), "id"),
        (Resource::LicenseKey, "main", json!({"account": "other"}), "account"),
        (Resource::LicenseKey, "main", json!({"key": "other"}), "key"),
        (Resource::LicenseKey, "main", json!({"colour": 1}), "colour"),
        (Resource::Token, "door", json!({"camera": "7"}), "camera"),
        (Resource::BearerToken, "b1", json!({"user": "adam"}), "user"),
        (Resource::Account, "acme", json!({"parent": "acme"}), "parent"),
        (Resource::CameraGroup, "lobby", json!({"cameras": ["9"]}), "cameras"),
    ] {
        let told = patch.to_string();
        let Err(Refused::Invalid(faults)) = house.change(resource, id, patch) else { panic!("{told}") };
        assert_eq!(faults[0].field, field, "{told}");
    }
    house.create(Resource::Account, json!({"id": "child", "parent": "acme"}));
    let refused = house.change(Resource::Account, "acme", json!({"parent": "child"})).unwrap_err();
    assert!(refused.to_string().contains("its own ancestor"), "{refused}");
}

#[test]
fn a_change_of_what_somebody_else_has_changed_is_refused() {
    let house = furnished();
    let at = |revision| Operation::Change {
        resource: Resource::LicenseKey,
        id: "main".to_owned(),
        patch: object(json!({"name": format!("by {revision}")})),
        revision: Some(revision),
    };
    house.attempt(at(1)).unwrap();
    assert_eq!(house.attempt(at(1)).unwrap_err(), Refused::Stale { revision: 2 });
    house.attempt(at(2)).unwrap();
}

#[test]
fn of_many_operations_all_are_done_or_none() {
    let house = furnished();
    let (before, deeds) = (house.store.index().len(), house.deeds().len());
    let many = |last: Value| {
        vec![
            create(Resource::Account, json!({"id": "new"})),
            create(Resource::LicenseKey, json!({"id": "n1", "account": "new", "key": "n1-key"})),
            Operation::Delete { resource: Resource::LicenseKey, id: "main".to_owned(), revision: None },
            create(Resource::LicenseKey, last),
        ]
    };
    let refused = house.try_all(many(json!({"account": "new", "key": "n1-key"}))).unwrap_err();
    assert!(matches!(&refused, Refused::InBulk { place: 3, refused } if matches!(**refused, Refused::Conflict(_))));
    assert_eq!((house.store.index().len(), house.deeds().len()), (before, deeds));
    assert!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").is_some());
    // A key that goes is free for the next operation of the same request.
    house.try_all(many(json!({"account": "new", "key": "v3.X9tKpuXq0btatj"}))).unwrap();
    assert_eq!(&*house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").unwrap().account.id.0, "new");
    assert_eq!(house.deeds().len(), deeds + 1);
}

#[test]
fn a_request_that_is_sent_again_is_answered_again_and_done_once() {
    let house = furnished();
    let ask = |fingerprint: u8| {
        house.store.apply(Request {
            actor: Actor("token:lea".to_owned()),
            operations: vec![create(Resource::LicenseKey, json!({"account": "acme"}))],
            idempotency: Some(Idempotency { key: "once".to_owned(), fingerprint: [fingerprint; 32] }),
        })
    };
    let first = ask(1).unwrap();
    let again = ask(1).unwrap();
    assert!(!first.replayed && again.replayed);
    let (one, other) = (&first.outcomes[0], &again.outcomes[0]);
    assert_eq!((&one.id, &one.document), (&other.id, &other.document));
    assert_eq!(one.secret.as_ref().unwrap().expose(), other.secret.as_ref().unwrap().expose());
    assert_eq!(ask(2).unwrap_err(), Refused::Reused);
    house.wait(24 * 60 * 60);
    assert!(!ask(2).unwrap().replayed);
}

#[test]
fn a_list_is_paged_by_ids_and_filtered() {
    let house = House::new();
    for account in ["acme", "other"] {
        house.create(Resource::Account, json!({"id": account}));
        for number in 0..5 {
            let id = format!("{account}-{number}");
            house.create(Resource::LicenseKey, json!({"id": id, "account": account, "disabled": number == 3}));
        }
    }
    let ids = |filter: &Filter, after: Option<&str>, limit| {
        let page = house.store.list(Resource::LicenseKey, filter, after, limit).unwrap();
        (page.items.into_iter().map(|item| item.id).collect::<Vec<_>>(), page.next)
    };
    let (first, next) = ids(&Filter::default(), None, 4);
    assert_eq!((first.len(), next.as_deref()), (4, Some("acme-3")));
    house.delete(Resource::LicenseKey, "acme-3").unwrap();
    house.create(Resource::LicenseKey, json!({"id": "acme-31", "account": "acme"}));
    assert_eq!(ids(&Filter::default(), next.as_deref(), 2).0, ["acme-31", "acme-4"]);
    let of = Filter { account: Some("other".to_owned()), ..Filter::default() };
    assert_eq!(ids(&of, Some("other-1"), 100), (vec!["other-2".into(), "other-3".into(), "other-4".into()], None));
    let off = Filter { status: Some(Status::Disabled), ..of };
    assert_eq!(ids(&off, None, 100).0, ["other-3"]);
}

#[test]
fn an_entry_is_shown_by_its_id_or_by_a_name_that_only_one_has() {
    let house = furnished();
    house.change(Resource::LicenseKey, "main", json!({"name": "Front door"})).unwrap();
    assert_eq!(house.store.show(Resource::LicenseKey, "Front door").unwrap().id, "main");
    house.create(Resource::Account, json!({"id": "other"}));
    house.create(Resource::LicenseKey, json!({"account": "other", "name": "Front door"}));
    assert!(matches!(house.store.show(Resource::LicenseKey, "Front door"), Err(Refused::Missing { .. })));
}

#[test]
fn what_is_declared_cannot_be_made() {
    let house = House::new();
    house.store.declare([(Resource::Account, "acme".to_owned())].into());
    let Err(Refused::Conflict(fault)) = house.attempt(create(Resource::Account, json!({"id": "acme"}))) else {
        panic!("a conflict")
    };
    assert_eq!(fault.to_string(), "`id`: the account `acme` is declared in the configuration");
}

#[test]
fn the_last_use_is_written_down_in_the_background_and_at_the_end() {
    let house = furnished();
    house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").unwrap().seen(house.clock.unix());
    let house = house.reopened();
    let document = house.store.show(Resource::LicenseKey, "main").unwrap().document;
    assert_eq!(document["last_used"], "2023-11-14T22:13:00Z");
    assert_eq!(house.found(Kind::LicenseKey, "v3.X9tKpuXq0btatj").unwrap().used(), Some(UnixTime(1_699_999_980)));
    assert!(house.store.show(Resource::ApiClient, "8ded5a89").unwrap().document.get("last_used").is_none());
}
