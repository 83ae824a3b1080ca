mod one_caller;

use std::cell::RefCell;
use std::path::Path;

use super::*;
use crate::clock::UnixTime;
use crate::edge::client_certificate::ClientCertificate;
use crate::edge::tls::noted_of;
use crate::record::{Attributes, Kind};
use crate::scheme::jwt::Verified;
use crate::scheme::stage::{self, Register, Request, named};
use crate::scheme::{Fetching, Guard, Identifier, Mark};

const HERE: &str = "192.0.2.7";
const ELSEWHERE: &str = "203.0.113.9";
const CAMERA: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.xBWXdksAURv6ws5MOZX-AQIh-KM";
const STRANGE_CAMERA: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4";
const EXPIRED_CAMERA: &str = "share.eyJzaSI6IDd9.61a964c3te10.OA4E4yprqa1DKc6RW7twtANotcY";

fn schemes() -> Vec<(String, Arc<dyn Examine>)> {
    [
        ("machine", "apikey", "form = [\"api_key\"]"),
        ("office", "ip", "networks = [\"192.0.2.0/24\"]"),
        ("home", "ip", "networks = [\"198.51.100.0/24\"]"),
        ("camera", "acc", ""),
        ("license", "lkey", ""),
        ("api", "basic", "tls_only = false"),
        ("service", "jwt", ""),
        ("ops", "mtls", "pinned = [\"mtls/company.pem\"]"),
    ]
    .map(|(name, kind, table)| (name.to_owned(), Arc::from(named(kind, name, table))))
    .to_vec()
}

fn register() -> Register {
    let register = Register::new();
    register.account("acme", None);
    register.account("branch", Some("acme"));
    register.account("other", None);
    for (account, id) in [("acme", "248527"), ("acme", "7")] {
        let text = if id == "7" { EXPIRED_CAMERA } else { CAMERA };
        register.enrol(Kind::CameraToken, id, account, text, |record| {
            record.attributes = Attributes::Camera(id.into());
            record.scopes = Some(["watch"].into_iter().collect());
        });
    }
    for account in ["acme", "branch", "other"] {
        register.enrol(Kind::LicenseKey, account, account, &format!("key-of-{account}"), |_| {});
    }
    register.enrol(Kind::UserKey, "machine", "acme", "key-of-acme", |_| {});
    register.enrol(Kind::LicenseKey, "off", "acme", "key-off", |record| record.disabled = true);
    let secret = stage::proofs([("secret", None)]);
    register
        .enrol(Kind::ApiClient, "client", "acme", "client", |record| record.attributes = Attributes::Proofs(secret));
    register
}

/// A request for no app in particular, before no guard.
fn scene<'a>(register: &'a Register, verified: &'a Verified) -> Scene<'a> {
    Scene {
        directory: register,
        verified,
        guard: None,
        fetching: Fetching::Asked,
        app: None,
        now: UnixTime(1_700_000_000),
    }
}

fn identify(expression: &str, request: &Request) -> Result<Principal, Refusal> {
    let (register, verified) = (register(), Verified::new(8));
    let scene = scene(&register, &verified);
    let expression = Expression::parse(expression, &schemes()).unwrap();
    expression.identify(&request.head(), &Preface::EMPTY, &scene, &mut ())
}

fn told(expression: &str, request: &Request) -> String {
    match identify(expression, request) {
        Ok(principal) => principal.subject().into(),
        Err(refusal) => refusal.cause.name().into(),
    }
}

/// A request from an address with a license key (or none) in the header and a share token (or none) in the query.
fn request(address: &str, key: &str, camera: &str) -> Request {
    let target = if camera.is_empty() { "/".into() } else { format!("/?token={camera}") };
    let request = Request::get(&target).from(address);
    if key.is_empty() { request } else { request.header("authorization", &format!("LKey {key}")) }
}

/// What, expression, address, license key, share token, and who or why not.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

fn check(rows: &[Row]) {
    for (what, expression, address, key, camera, expected) in rows {
        assert_eq!(told(expression, &request(address, key, camera)), *expected, "{what}: {expression}");
    }
}

#[test]
fn or_takes_the_first_that_is_proven_and_and_takes_all() {
    check(&[
        ("one scheme", "license", HERE, "key-of-acme", "", "license_key:acme"),
        ("one scheme, nothing", "license", HERE, "", "", "credential_missing"),
        ("one scheme, wrong", "license", HERE, "wrong", "", "credential_unknown"),
        ("one scheme, off", "license", HERE, "key-off", "", "credential_disabled"),
        ("one scheme, other credential", "license", HERE, "", CAMERA, "credential_missing"),
        ("open", "open", ELSEWHERE, "", "", "anyone"),
        ("open asks for nothing", "open", ELSEWHERE, "wrong", "wrong", "anyone"),
        ("or, the first", "license or camera", HERE, "key-of-acme", "", "license_key:acme"),
        ("or, the second", "license or camera", HERE, "", CAMERA, "camera_token:248527"),
        ("or, both: the first named", "camera or license", HERE, "key-of-acme", CAMERA, "camera_token:248527"),
        ("or, one wrong", "license or camera", HERE, "wrong", CAMERA, "camera_token:248527"),
        ("or, the other wrong", "license or camera", HERE, "key-of-acme", STRANGE_CAMERA, "license_key:acme"),
        ("or, nothing", "license or camera", HERE, "", "", "credential_missing"),
        ("or, both wrong", "license or camera", HERE, "wrong", EXPIRED_CAMERA, "credential_expired"),
        ("and, both", "office and camera", HERE, "", CAMERA, "camera_token:248527"),
        ("and, elsewhere", "office and camera", ELSEWHERE, "", CAMERA, "address_refused"),
        ("and, elsewhere, the other way round", "camera and office", ELSEWHERE, "", CAMERA, "address_refused"),
        ("and, here, nothing", "office and camera", HERE, "", "", "credential_missing"),
        ("and, here, wrong", "office and camera", HERE, "", STRANGE_CAMERA, "credential_unknown"),
        ("and, two credentials", "license and camera", HERE, "key-of-acme", CAMERA, "camera_token:248527"),
        ("and, one credential", "license and camera", HERE, "key-of-acme", "", "credential_missing"),
        ("and, one wrong", "license and camera", HERE, "wrong", CAMERA, "credential_unknown"),
        ("and, below", "license and camera", HERE, "key-of-branch", CAMERA, "license_key:branch"),
        ("and, of others", "license and camera", HERE, "key-of-other", CAMERA, "permission_denied"),
        (
            "and, of others, elsewhere",
            "office and license and camera",
            ELSEWHERE,
            "key-of-other",
            CAMERA,
            "address_refused",
        ),
        (
            "and, of others, in one branch",
            "license and camera or license",
            HERE,
            "key-of-other",
            CAMERA,
            "license_key:other",
        ),
    ]);
}

#[test]
fn an_address_speaks_only_for_those_who_need_nothing_else() {
    check(&[
        ("an address alone", "office", HERE, "", "", "address:office"),
        ("an address alone, elsewhere", "office", ELSEWHERE, "", "", "address_refused"),
        ("two addresses", "office and home", HERE, "", "", "address_refused"),
        ("one of two addresses", "home or office", HERE, "", "", "address:office"),
        ("address or key, here", "office or license", HERE, "", "", "address:office"),
        ("address or key, here, wrong", "license or office", HERE, "wrong", "", "address:office"),
        ("address or key, elsewhere", "office or license", ELSEWHERE, "", "", "credential_missing"),
        ("address or key, elsewhere, wrong", "office or license", ELSEWHERE, "wrong", "", "credential_unknown"),
        (
            "(office and camera) or license",
            "(office and camera) or license",
            ELSEWHERE,
            "key-of-acme",
            "",
            "license_key:acme",
        ),
        ("the same by camera", "(office and camera) or license", ELSEWHERE, "", CAMERA, "address_refused"),
        (
            "the same by camera and wrong",
            "(office and camera) or license",
            ELSEWHERE,
            "wrong",
            CAMERA,
            "credential_unknown",
        ),
        ("the same by nothing", "(office and camera) or license", ELSEWHERE, "", "", "credential_missing"),
        ("addresses within", "(office or home) and camera", ELSEWHERE, "", CAMERA, "address_refused"),
        ("or within and", "(office or license) and camera", ELSEWHERE, "", CAMERA, "credential_missing"),
    ]);
}

#[test]
fn who_is_not_proven_never_learns_the_address_list() {
    for credential in ["", STRANGE_CAMERA, EXPIRED_CAMERA, "share.x"] {
        for expression in ["office and camera", "camera and office", "(office and camera) or license"] {
            let (here, elsewhere) = (request(HERE, "", credential), request(ELSEWHERE, "", credential));
            assert_eq!(told(expression, &here), told(expression, &elsewhere), "{expression}: {credential}");
        }
    }
}

#[test]
fn a_second_authorization_is_refused_whatever_else_is_proven() {
    let twice = || request(HERE, "key-of-acme", CAMERA).header("authorization", "Basic eA==");
    for expression in ["license", "camera", "office", "office or license", "license or camera", "open"] {
        assert_eq!(told(expression, &twice()), "credential_ambiguous", "{expression}");
    }
}

/// The same with the certificate that `ops` believes, or with another.
fn over_tls(request: Request, file: &str) -> Request {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/mtls").join(file);
    let noted = noted_of(&path, None, None, UnixTime(1_800_000_000));
    request.certificate(ClientCertificate { not_before: 0, ..noted })
}

#[test]
fn where_nobody_passes_without_a_certificate_it_is_asked_for_before_all_else() {
    let with = |file: &str, key: &str| match file {
        "" => request(ELSEWHERE, key, ""),
        file => over_tls(request(ELSEWHERE, key, ""), file),
    };
    for (expression, file, key, expected, certificate) in [
        ("ops", "company.pem", "", "certificate:ops", false),
        ("ops", "", "key-of-acme", "credential_missing", true),
        ("ops", "ops.pem", "", "credential_unknown", true),
        ("ops and license", "company.pem", "key-of-acme", "license_key:acme", false),
        ("license and ops", "company.pem", "key-of-acme", "license_key:acme", false),
        ("license and ops", "company.pem", "wrong", "credential_unknown", false),
        ("license and ops", "company.pem", "", "credential_missing", false),
        ("license and ops", "", "key-off", "credential_missing", true),
        ("license and (office and ops)", "", "key-off", "credential_missing", true),
        ("office and ops", "company.pem", "", "address_refused", false),
        ("office and ops", "", "", "credential_missing", true),
        ("license and ops", "ops.pem", "key-off", "credential_unknown", true),
        ("license or ops", "", "key-of-acme", "license_key:acme", false),
        ("license or ops", "ops.pem", "key-of-acme", "license_key:acme", false),
        ("license or ops", "", "", "credential_missing", false),
        ("license or ops", "ops.pem", "", "credential_unknown", false),
    ] {
        let request = with(file, key);
        assert_eq!(told(expression, &request), expected, "{expression}: {file} {key}");
        let refusal = identify(expression, &request).err();
        let seen = refusal.is_some_and(|refusal| refusal.certificate && refusal.close);
        assert_eq!(seen, certificate, "{expression}: {file} {key}");
    }
}

#[test]
fn a_refusal_offers_every_challenge_once() {
    for (expression, expected) in [
        ("license", vec!["LKey"]),
        ("license or office and license", vec!["LKey"]),
        ("office", vec![]),
        (
            "(office and camera) or api or service",
            vec!["Acc", "Basic realm=\"SecureVideo\", charset=\"UTF-8\"", "Bearer"],
        ),
    ] {
        for credential in ["", "wrong"] {
            let refusal = identify(expression, &request(ELSEWHERE, credential, "")).unwrap_err();
            assert_eq!(refusal.challenges, expected, "{expression}");
        }
    }
    let refusal = identify("office and camera", &request(ELSEWHERE, "", CAMERA)).unwrap_err();
    assert!(refusal.challenges.is_empty(), "{refusal:?}");
}

/// A guard that hears everything and refuses nothing.
#[derive(Debug, Default)]
struct Settled(RefCell<Vec<bool>>);

impl Guard for Settled {
    fn enter(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn admits(&self, _: Identifier<'_>) -> Option<Mark> {
        Some(Mark(0))
    }

    fn saw(&self, _: Option<Mark>, _: Result<(), Reason>) {}

    fn settle(&self, proven: bool) -> Result<(), Refusal> {
        self.0.borrow_mut().push(proven);
        Ok(())
    }
}

#[test]
fn a_request_is_settled_once_and_one_that_waits_for_keys_not_yet() {
    let issuer =
        "issuer = { name = \"https://id.example.com\", url = \"http://127.0.0.1:1/\", audience = [\"vidgate\"] }";
    let schemes = || -> [(String, Arc<dyn Examine>); 2] {
        [("staff", "jwt", issuer), ("license", "lkey", "")]
            .map(|(name, kind, table)| (name.to_owned(), Arc::from(named(kind, name, table))))
    };
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt");
    let token = std::fs::read_to_string(vectors.join("issuer-good.jwt")).unwrap();
    let bearer = || Request::get("/").header("authorization", &format!("Bearer {}", token.trim()));
    let (known, wrong) = (|| request(HERE, "key-of-acme", ""), || request(HERE, "wrong", ""));
    for (what, request, fetching, settled, awaited) in [
        ("proven", known(), Fetching::Asked, &[true][..], 0),
        ("not proven", wrong(), Fetching::Asked, &[false], 0),
        ("its key is asked for", bearer(), Fetching::Asked, &[], 1),
        ("it has waited in vain", bearer(), Fetching::Waited, &[false], 1),
        ("it is only talked about", bearer(), Fetching::Rehearsed, &[false], 0),
        ("proven after a wait", known(), Fetching::Waited, &[true], 0),
    ] {
        let (register, verified, guard) = (register(), Verified::new(8), Settled::default());
        let expression = Expression::parse("staff or license", &schemes()).unwrap();
        let scene = Scene {
            directory: &register,
            verified: &verified,
            guard: Some(&guard),
            fetching,
            app: None,
            now: UnixTime(1_700_000_000),
        };
        let _ = expression.identify(&request.head(), &Preface::EMPTY, &scene, &mut ());
        assert_eq!(*guard.0.borrow(), settled, "{what}");
        assert_eq!(expression.awaited().map(|awaited| awaited.len()), Some(awaited), "{what}");
    }
    assert!(Expression::parse("license", &schemes()).unwrap().awaited().is_none());
}

#[test]
fn who_has_proven_nothing_hears_of_an_app_only_that_there_is_none() {
    let register = register();
    register.enrol(Kind::App, "player", "acme", "player", |_| {});
    let verified = Verified::new(8);
    for (app, key, expected, challenges) in [
        (None, "wrong", "credential_unknown", 1),
        (Some("player"), "wrong", "credential_unknown", 1),
        (Some("player"), "", "credential_missing", 1),
        (Some("nowhere"), "wrong", "not_found", 0),
        (Some("nowhere"), "", "not_found", 0),
    ] {
        let scene = Scene {
            directory: &register,
            verified: &verified,
            guard: None,
            fetching: Fetching::Asked,
            app,
            now: UnixTime(1_700_000_000),
        };
        let expression = Expression::parse("license", &schemes()).unwrap();
        let request = request(HERE, key, "");
        let refusal = expression.identify(&request.head(), &Preface::EMPTY, &scene, &mut ()).unwrap_err();
        assert_eq!((refusal.cause.name(), refusal.challenges.len()), (expected, challenges), "{app:?} {key}");
    }
}

#[test]
fn what_two_credentials_prove_is_merged() {
    let principal = identify("office and license and camera", &request(HERE, "key-of-branch", CAMERA)).unwrap();
    assert_eq!(&*principal.account().unwrap().id.0, "branch");
    assert_eq!(principal.scopes(), Some(&["watch"].into_iter().collect()));
    let credentials: Vec<&str> = principal.credentials().iter().map(|record| record.id()).collect();
    assert_eq!(credentials, ["branch", "248527"]);
    assert_eq!(principal.scheme(), "lkey");
}

#[test]
fn an_expression_knows_its_names_and_places() {
    let expression = Expression::parse("(office and camera) or license", &schemes()).unwrap();
    assert_eq!(expression.schemes().collect::<Vec<_>>(), ["office", "camera", "license"]);
    let places = expression.places();
    assert_eq!((places.headers, places.query), (vec![http::header::AUTHORIZATION], vec!["token".into()]));
    let open = Expression::parse("open", &schemes()).unwrap();
    assert!(open.places() == Places::default() && open.schemes().next().is_none());
}

#[test]
fn debug_of_an_expression_shows_no_secret() {
    let table = "verification_key = \"vxg-lab-secret\"";
    let schemes = [("camera".to_owned(), Arc::from(named("acc", "camera", table)))];
    let shown = format!("{:?}", Expression::parse("camera", &schemes).unwrap());
    assert!(shown.contains("camera") && !shown.contains("vxg-lab-secret"), "{shown}");
}
