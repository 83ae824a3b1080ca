use super::*;
use crate::clock::UnixTime;
use crate::record::{Group, PublicKey};
use crate::scheme::Fetching;
use crate::scheme::jwt::Verified;
use crate::scheme::stage::{self, Register, Request, issuers_keys, passer_by, stranger};

/// `acme` has the cameras 1 and 2, and 3 that is switched off; `below`, which is below it, has 4; `other` has 5.
fn register() -> Register {
    let register = Register::new();
    for (id, parent) in [("acme", None), ("below", Some("acme")), ("other", None)] {
        register.account(id, parent);
        register.enrol(Kind::LicenseKey, id, id, &format!("key-of-{id}"), |_| {});
    }
    for (id, account) in [("1", Some("acme")), ("2", Some("acme")), ("3", None), ("4", Some("below"))] {
        register.camera(id, account);
    }
    register.camera("5", Some("other"));
    register.camera("a+b@c", Some("acme"));
    register.enrol(Kind::CameraToken, "t1", "acme", "token-of-1", |it| it.attributes = Attributes::Camera("1".into()));
    register.enrol(Kind::CameraToken, "t4", "below", "token-of-4", |it| it.attributes = Attributes::Camera("4".into()));
    register.enrol(Kind::GroupToken, "g", "acme", "token-of-group", |it| {
        // 9 is known to the group alone; 5 has gone to another account.
        let cameras = ["2", "3", "5", "9"].into_iter().collect();
        it.attributes = Attributes::Group(Box::new(Group { id: "g".into(), cameras }));
    });
    let secret = stage::proofs([("secret", None)]);
    register.enrol(Kind::ApiClient, "client", "acme", "client", |it| it.attributes = Attributes::Proofs(secret));
    let key = PublicKey(jsonwebtoken::DecodingKey::from_secret(b"whatever"));
    register.enrol(Kind::ServiceAccountKey, "kid", "acme", "kid", |it| {
        it.attributes = Attributes::PublicKey(Box::new(key));
    });
    register.enrol(Kind::User, "alice", "acme", "alice", |_| {});
    register.enrol(Kind::AdminCertificate, "root", "other", "root", |_| {});
    register
}

fn rule(path: &str, query: &[&str], binds: Binds) -> Rule {
    let path = path.contains("{id}").then(|| Parameter::find(path, "id").unwrap());
    Rule { path, query: query.iter().map(|&name| name.into()).collect(), binds }
}

/// What the log would say; empty where the caller passes.
fn checked(rule: &Rule, principal: &Principal, register: &Register, target: &str) -> &'static str {
    let (request, verified) = (Request::get(target), Verified::new(1));
    let scene = Scene {
        directory: register,
        verified: &verified,
        guard: None,
        fetching: Fetching::Asked,
        app: None,
        now: UnixTime(100),
    };
    match rule.check(principal, &request.head(), &scene) {
        Ok(_) => "",
        Err(refusal) => {
            assert_eq!(refusal.cause, Cause::PermissionDenied);
            refusal.detail
        }
    }
}

#[test]
fn everyone_goes_to_their_own_cameras() {
    use Kind::{ApiClient, CameraToken, GroupToken, LicenseKey, ServiceAccountKey, User};
    let register = register();
    let rule = rule("/cameras/{id}/{*rest}", &[], Binds::Everyone);
    for (kind, text, open) in [
        (CameraToken, "token-of-1", &["1"][..]),
        (CameraToken, "token-of-4", &["4"]),
        (GroupToken, "token-of-group", &["2", "9"]),
        (LicenseKey, "key-of-acme", &["1", "2", "4"]),
        (LicenseKey, "key-of-below", &["4"]),
        (LicenseKey, "key-of-other", &["5"]),
        (ApiClient, "client", &["1", "2", "4"]),
        (ServiceAccountKey, "kid", &["1", "2", "4"]),
        (User, "alice", &["1", "2", "4"]),
    ] {
        let caller = register.caller(kind, text);
        for id in ["1", "2", "3", "4", "5", "9", "77"] {
            let said = checked(&rule, &caller, &register, &format!("/cameras/{id}/live/"));
            assert_eq!(said.is_empty(), open.contains(&id), "{text} at {id}: {said}");
        }
    }
}

#[test]
fn the_log_says_why() {
    let register = register();
    let rule = rule("/cameras/{id}", &[], Binds::Everyone);
    for (kind, text, id, said) in [
        (Kind::CameraToken, "token-of-1", "2", "the token is for another camera"),
        (Kind::GroupToken, "token-of-group", "1", "the camera is not in the token's group"),
        (Kind::GroupToken, "token-of-group", "3", "the camera is switched off"),
        (Kind::GroupToken, "token-of-group", "5", "the camera belongs to another account than the group"),
        (Kind::LicenseKey, "key-of-acme", "3", "the camera is switched off"),
        (Kind::LicenseKey, "key-of-acme", "5", "the camera belongs to another account"),
        (Kind::LicenseKey, "key-of-acme", "77", "nobody here knows the camera"),
    ] {
        assert_eq!(checked(&rule, &register.caller(kind, text), &register, &format!("/cameras/{id}")), said, "{text}");
    }
}

#[test]
fn where_tokens_alone_are_bound_an_account_goes_where_the_upstream_lets_it() {
    let register = register();
    let rule = rule("/cameras/{id}", &[], Binds::Tokens);
    for (kind, text, open) in [
        (Kind::LicenseKey, "key-of-acme", &["1", "3", "5", "77"][..]),
        (Kind::CameraToken, "token-of-1", &["1"]),
        (Kind::GroupToken, "token-of-group", &[]),
    ] {
        for id in ["1", "3", "5", "77"] {
            let said = checked(&rule, &register.caller(kind, text), &register, &format!("/cameras/{id}"));
            assert_eq!(said.is_empty(), open.contains(&id), "{text} at {id}: {said}");
        }
    }
}

#[test]
fn whoever_has_no_cameras_is_kept_to_none() {
    let register = register();
    let rule = rule("/cameras/{id}", &["camid"], Binds::Everyone);
    for caller in [passer_by(), register.caller(Kind::AdminCertificate, "root")] {
        assert_eq!(checked(&rule, &caller, &register, "/cameras/1?camid=1"), "", "{caller:?}");
    }
}

#[test]
fn whom_a_foreign_issuer_knows_is_kept_to_the_cameras_of_their_account() {
    let register = register();
    let keys = issuers_keys();
    let alice = stranger("alice", Some(register.account("acme", None)), &keys);
    let everyone = rule("/cameras/{id}", &[], Binds::Everyone);
    for (id, said) in [
        ("1", ""),
        ("3", "the camera is switched off"),
        ("5", "the camera belongs to another account"),
        ("77", "nobody here knows the camera"),
    ] {
        assert_eq!(checked(&everyone, &alice, &register, &format!("/cameras/{id}")), said, "{id}");
    }
    let of_nobody = stranger("bob", None, &keys);
    assert_ne!(checked(&everyone, &of_nobody, &register, "/cameras/1"), "");
    // Also where somebody else's address stands beside it.
    let from_the_office = passer_by().agree(stranger("alice", Some(register.account("acme", None)), &keys)).unwrap();
    assert_eq!(checked(&everyone, &from_the_office, &register, "/cameras/5"), "the camera belongs to another account");
    let tokens = rule("/cameras/{id}", &[], Binds::Tokens);
    assert_eq!(checked(&tokens, &alice, &register, "/cameras/5"), "");
}

#[test]
fn of_several_credentials_each_is_judged() {
    let register = register();
    let rule = rule("/cameras/{id}", &[], Binds::Everyone);
    let both = |one: &str, other: Principal| register.caller(Kind::LicenseKey, one).agree(other).unwrap();
    for (what, caller, id, passes) in [
        (
            "its camera and a key of its account",
            both("key-of-acme", register.caller(Kind::CameraToken, "token-of-1")),
            "1",
            true,
        ),
        ("another of the account", both("key-of-acme", register.caller(Kind::CameraToken, "token-of-1")), "2", false),
        ("a key from above", both("key-of-acme", register.caller(Kind::CameraToken, "token-of-4")), "4", true),
        ("a key from below", both("key-of-below", register.caller(Kind::CameraToken, "token-of-1")), "1", false),
        ("an address beside it", both("key-of-acme", passer_by()), "1", true),
        ("an address beside another's", both("key-of-acme", passer_by()), "5", false),
    ] {
        let said = checked(&rule, &caller, &register, &format!("/cameras/{id}"));
        assert_eq!(said.is_empty(), passes, "{what}: {said}");
    }
}

#[test]
fn an_id_is_read_as_every_upstream_would_read_it() {
    let register = register();
    let camera = register.caller(Kind::CameraToken, "token-of-1");
    let in_query = rule("", &["camid", "camera_id"], Binds::Everyone);
    for (query, passes) in [
        ("", true),
        ("?", true),
        ("?limit=2&camidx=2&xcamid=2", true),
        ("?camid=1", true),
        ("?c%61mid=%31", true),
        ("?camid=1&camera_id=1&camid=%31", true),
        ("?camid=2", false),
        ("?CamId=2", false),
        ("?c%41mid=2", false),
        ("?camid", false),
        ("?camid=", false),
        ("?camid=01", false),
        ("?camid=1%20", false),
        ("?camid=1+", false),
        ("?camid=1,2", false),
        ("?camid=1&camid=2", false),
        ("?camid=2&camid=1", false),
        ("?camid=1&camera_id=2", false),
        ("?a=b;camid=2", false),
        ("?a=b;camid=1", true),
        ("?camid=1;a=b", false),
        ("?camid=1;camid=2", false),
        ("?camid=%ff", false),
        ("?camid=1=2", false),
    ] {
        let said = checked(&in_query, &camera, &register, &format!("/live/{query}"));
        assert_eq!(said.is_empty(), passes, "{query}: {said}");
    }
    let everywhere = rule("/cameras/{id}/{*rest}", &["camid"], Binds::Everyone);
    let key = register.caller(Kind::LicenseKey, "key-of-acme");
    for (target, caller, passes) in [
        ("/cameras/1/", &camera, true),
        ("/cameras/%31/?camid=1", &camera, true),
        ("/x/../cameras//2/", &camera, false),
        ("/cameras/1/?camid=2", &camera, false),
        ("/cameras/1/?camid=2", &key, false),
        ("/cameras/2/?camid=2", &key, true),
        ("/cameras/a+b@c/", &key, true),
        ("/cameras/a%2Bb%40c/?camid=a%2bb@c", &key, true),
        ("/cameras/a%2Bb%40c/?camid=a+b@c", &key, false),
    ] {
        let said = checked(&everywhere, caller, &register, target);
        assert_eq!(said.is_empty(), passes, "{target}: {said}");
    }
}
