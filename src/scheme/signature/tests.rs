use super::*;
use crate::record::{Attributes, Hosts, Wall};
use crate::scheme::stage::{self, Register, Request, kit};

// By `openssl dgst -sha1 -hmac ct-secret-0001`.
const ROW: &str = "/?signature=a6278a4184545200a08454ae33b31533b5ccfadf\
    &signature_json=%7B%22api_key%22:%22123-456-789%22,%22expiration%22:4102444800%7D";

fn build(table: &str) -> Result<Signature, Invalid> {
    Signature::new(toml::from_str(table).unwrap(), &kit("pages"))
}

fn register(publish: bool, playback: bool) -> Register {
    let register = Register::new();
    register.account("studio", None);
    register.enrol(Kind::App, "app", "studio", "123-456-789", |record| {
        record.attributes = Attributes::App(Box::new(App {
            public_key: "123-456-789".into(),
            signers: [Signer::new(&Secret::new(b"ct-secret-0001".to_vec()), None)].into(),
            hosts: Hosts::default(),
            publish,
            playback,
            expiration_only: false,
            wall: Wall::None,
            legacy_200: false,
            cross_origin: false,
        }));
    });
    register
}

#[test]
fn each_right_is_a_switch_and_a_scope_of_its_own() {
    for (table, publish, playback, target, expected) in [
        ("right = \"publish\"", true, false, ROW, Some(("signature", "publish"))),
        ("right = \"playback\"", false, true, ROW, Some(("signature", "playback"))),
        ("right = \"publish\"", true, false, "/", None),
        ("right = \"publish\"", false, true, "/", Some(("waived", "publish"))),
        ("right = \"playback\"", false, true, "/", None),
        ("right = \"playback\"", true, false, "/", Some(("waived", "playback"))),
        // It holds whether or not it is asked for.
        ("right = \"playback\"", true, false, ROW, Some(("signature", "playback"))),
        ("right = \"playback\"", true, false, "/?signature=00", Some(("waived", "playback"))),
    ] {
        let (scheme, register) = (build(table).unwrap(), register(publish, playback));
        let request = Request::get(target);
        let found = stage::examine_for(&scheme, &request, (&register, Some("123-456-789")), 1).unwrap();
        let told = found.as_ref().map(|principal| {
            assert_eq!((principal.subject(), principal.app().is_some()), ("app:app", true));
            (principal.scheme(), &*principal.scopes().unwrap().0[0])
        });
        assert_eq!(told, expected, "{table} {publish} {playback} {target}");
        assert!(found.is_none_or(|principal| principal.scopes().unwrap().0.len() == 1));
    }
}

#[test]
fn an_app_that_only_the_caller_names_is_not_let_in_for_asking_nothing() {
    let (scheme, register) = (build("right = \"publish\"").unwrap(), register(false, false));
    let wrong = ROW.replace("a6278a41", "b6278a41");
    for (target, app) in [("/", None), ("/", Some("nobody")), (wrong.as_str(), None), (wrong.as_str(), Some("nobody"))]
    {
        let request = Request::get(target);
        let found = stage::examine_for(&scheme, &request, (&register, app), 1);
        assert!(!matches!(found, Ok(Some(_))), "{target} {app:?}");
    }
}

#[test]
fn a_signature_in_a_form_is_one_to_every_reader() {
    let (scheme, register) = (build("right = \"publish\"").unwrap(), register(true, true));
    let row = ROW.strip_prefix("/?").unwrap();
    for (form, opens) in [
        (row.to_owned(), true),
        (format!("{row}&SIGNATURE=a6278a4184545200a08454ae33b31533b5ccfadf"), true),
        (format!("{row}&signature=0"), false),
        // PHP and Rails take the last, others the first; those who end a pair at a semicolon find one more.
        (format!("{row}&signature[]=0"), false),
        (format!("{row}&signature_json[0]=%7B%7D"), false),
        (format!("{row}&a=1;signature=0"), false),
        (row.replace("signature_json", "signature_json[]"), false),
    ] {
        let request = Request::get("/").form(&form);
        let found = stage::examine_for(&scheme, &request, (&register, None), 1);
        assert_eq!(matches!(found, Ok(Some(_))), opens, "{form}");
    }
}

#[test]
fn every_place_of_a_signature_is_said_once() {
    let places = build("right = \"publish\"").unwrap().places();
    let names: Vec<&str> = places.query.iter().map(|name| &**name).collect();
    assert_eq!(names, ["signature_json", "signaturejson", "signature", "signature_expiration"]);
    assert_eq!(places.query, places.form);
}

#[test]
fn a_table_whose_parameters_cannot_be_told_apart_is_a_mistake() {
    for wrong in [
        "message = []",
        "message = [\"\"]",
        "signature = \"\"",
        "signature = \"Signature_JSON\"",
        "expiration = \"signature\"",
        "message = [\"signature_expiration\"]",
        "max_lifetime = \"500ms\"",
    ] {
        assert!(build(&format!("right = \"publish\"\n{wrong}")).unwrap_err().hint.is_some(), "{wrong}");
    }
    assert!(toml::from_str::<Settings>("").is_err(), "a right has no default");
}
