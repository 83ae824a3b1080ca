//! A second credential beside the one that proves the caller, where all go on to the upstream.

use bytes::Bytes;

use super::*;
use crate::edge::preface::Announced;

#[test]
fn where_credentials_go_on_header_and_query_hold_what_proved_the_caller_and_nothing_else() {
    let (register, verified) = (register(), Verified::new(8));
    let scene = scene(&register, &verified);
    let sky = || request(HERE, "", CAMERA).header("authorization", "SkyVR key-of-acme");
    for (what, expression, request, good) in [
        ("one, in the query", "camera", request(HERE, "", CAMERA), true),
        ("one, in the header", "license or camera", request(HERE, "key-of-acme", ""), true),
        ("two that are asked for", "license and camera", request(HERE, "key-of-acme", CAMERA), true),
        ("a header that nobody reads", "camera", request(HERE, "key-of-acme", CAMERA), false),
        ("a word that nobody serves", "license or camera", sky(), false),
        ("a header that is wrong", "license or camera", request(HERE, "key-off", CAMERA), false),
        ("a query that is wrong", "license or camera", request(HERE, "key-of-acme", STRANGE_CAMERA), false),
        ("a query that nobody needed", "license or camera", request(HERE, "key-of-acme", CAMERA), false),
        ("no credential in the query", "camera or license", request(HERE, "key-of-acme", ""), true),
        ("an address, and a wrong header", "office or license", request(HERE, "wrong", ""), true),
        ("an address, and two", "office or camera", request(HERE, "key-of-acme", CAMERA), false),
    ] {
        let expression = Expression::parse(expression, &schemes()).unwrap();
        let principal = expression.identify(&request.head(), &Preface::EMPTY, &scene, &mut ()).unwrap();
        let told = expression.one_caller(&principal, &request.head(), &Preface::EMPTY, &scene);
        assert_eq!(told.is_ok(), good, "{what}: {told:?}");
        assert!(told.is_ok() || told.unwrap_err().cause == Cause::Credential(Reason::Ambiguous), "{what}");
    }
    let form = |text: &'static str| Preface::read(Announced::UrlEncoded, Bytes::from_static(text.as_bytes())).unwrap();
    for (what, expression, request, form, good) in [
        ("one, in a form", "machine", request(HERE, "", ""), form("a=b&api_key=key-of-acme"), true),
        ("nothing in the form", "license or machine", request(HERE, "key-of-acme", ""), form("a=b"), true),
        ("one beside a form", "license or machine", request(HERE, "key-of-acme", ""), form("api_key=wrong"), false),
        (
            "two of two callers",
            "license or machine",
            request(HERE, "key-of-other", ""),
            form("api_key=key-of-acme"),
            false,
        ),
    ] {
        let expression = Expression::parse(expression, &schemes()).unwrap();
        let principal = expression.identify(&request.head(), &form, &scene, &mut ()).unwrap();
        let told = expression.one_caller(&principal, &request.head(), &form, &scene);
        assert_eq!(told.is_ok(), good, "{what}: {told:?}");
    }
}
