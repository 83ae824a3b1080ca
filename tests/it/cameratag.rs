//! CameraTag's signatures from the street: what is published and played opens with a signature of the app,
//! and without one where the app asks for none; media is streamed behind it as the upstream sends it.

use serde_json::{Value, json};
use vidgate::store::{Actor, MasterKey, Operation, Request, Resource, Settings, Store};

use crate::house::{START, TestGateway, open};
use crate::upstream::{Received, Upstream};
use crate::wire::Answer;

const TEXT: &str = r#"{"api_key":"123-456-789","expiration":4102444800}"#;
/// Row 1, and `TEXT` with blanks (row 3).
const TAG: &str = "a6278a4184545200a08454ae33b31533b5ccfadf";
const SPACED: &str = r#"{"api_key": "123-456-789", "expiration": 4102444800}"#;
const SPACED_TAG: &str = "5e2a29bac74069d46023eb2e6aef328b2bdcf0f3";
/// Row 2, over since 2023.
const OVER: &str = r#"{"api_key":"123-456-789","expiration":1700001800}"#;
const OVER_TAG: &str = "414731df503a8adf40df9258094cde8f58ffe7cd";
/// `{"api_key":"old-key","expiration":4102444800}` under `ct-secret-0001`, by openssl.
const OTHER: &str = r#"{"api_key":"old-key","expiration":4102444800}"#;
const OTHER_TAG: &str = "08b9f72a9862f0d29f8f49918d276c7247d303bd";
/// Row 5, and the same under the public key `old-key`, by openssl.
const BY_SECRET: &str = "cb717fced4c8e19ebe9cf1eb3f6a0e4dbd7e9f76";
const BY_PUBLIC: &str = "244255b17e2312b89dde54374e568ae2dd7a12b7";

const ROUTES: &str = r#"
[scheme.publish.signature]
right = "publish"
[scheme.playback.signature]
right = "playback"

[[route]]
name = "publish"
path = "/api/v16/cameras/{app}/assets/{asset}/publish.json"
methods = ["POST"]
authenticate = "publish"
app = { path = "app" }
scope = { write = ["publish"] }
forward = "api"

[[route]]
name = "asset"
path = "/api/v12/assets/{asset}"
authenticate = "playback"
scope = { read = ["playback"] }
forward = "api"

[[route]]
name = "old"
path = "/api/v10/assets/{asset}"
authenticate = "playback"
app = { id = "old" }
scope = { read = ["playback"] }
forward = "api"

[[route]]
name = "new"
path = "/api/v11/assets/{asset}"
authenticate = "playback"
app = { id = "APP" }
scope = { read = ["playback"] }
forward = "api"

[[route]]
name = "media"
path = "/assets/{*rest}"
authenticate = "playback"
scope = { read = ["playback"] }
forward = "api"
"#;

const APPS: &str = r#"
[[account]]
id = "studio"

[[account.app]]
id = "APP"
public_key = "123-456-789"
secret = "ct-secret-0001"
signatures = { publish = true, playback = true }

[[account.app]]
id = "off"
public_key = "off-key"
secret = "ct-secret-0002"

[[account.app]]
id = "old"
public_key = "old-key"
secret = "ct-secret-0001"
signatures = { playback = true, expiration_only = true }

[[account.app]]
id = "gone"
public_key = "gone-key"
secret = "ct-secret-0001"
disabled = true
"#;

fn house(upstream: &Upstream) -> TestGateway {
    let top = open(upstream, "").replace("path = \"/{*rest}\"", "path = \"/open\"");
    TestGateway::start(&format!("{top}{ROUTES}{APPS}"))
}

/// As it stands in a query or a form.
fn coded(text: &str) -> String {
    text.bytes().fold(String::new(), |coded, byte| coded + &format!("%{byte:02X}"))
}

fn signed(text: &str, tag: &str) -> String {
    format!("signature_json={}&signature={tag}", coded(text))
}

fn post(gateway: &TestGateway, app: &str, query: &str, form: &str) -> Answer {
    let (mark, length) = (if query.is_empty() { "" } else { "?" }, form.len());
    gateway.connect().ask(format!(
        "POST /api/v16/cameras/{app}/assets/v-1/publish.json{mark}{query} HTTP/1.1\r\nHost: a\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    ))
}

fn get(gateway: &TestGateway, target: &str, fields: &str) -> Answer {
    gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
}

#[test]
fn what_is_published_is_signed_by_the_app_of_the_path() {
    let upstream = Upstream::start();
    let gateway = house(&upstream);
    let (row, spaced) = (signed(TEXT, TAG), signed(SPACED, SPACED_TAG));
    for (what, app, query, form, status) in [
        ("1: row 1", "APP", "", row.clone(), 200),
        ("1: by the public key in the path", "123-456-789", "", row.clone(), 200),
        ("1: in the query", "APP", row.as_str(), String::new(), 200),
        ("1: in both", "APP", &row, row.clone(), 200),
        ("2: over", "APP", "", signed(OVER, OVER_TAG), 401),
        ("2: row 3 with its own", "APP", "", spaced.clone(), 200),
        (
            "2: row 3, blanks as `+`",
            "APP",
            "",
            format!("signature_json={}&signature={SPACED_TAG}", SPACED.replace(' ', "+")),
            200,
        ),
        ("2: row 3 with that of row 1", "APP", "", signed(SPACED, TAG), 401),
        ("3: another app's key, the app's secret", "APP", "", signed(OTHER, OTHER_TAG), 401),
        ("4: nothing, and it is asked for", "APP", "", String::new(), 401),
        ("4: nothing, and it is not", "off", "", String::new(), 200),
        ("4: something wrong, and it is not asked for", "off", "", row.clone(), 200),
        ("switched off altogether", "gone", "", row.clone(), 401),
        ("nobody's", "nobody", "", row.clone(), 404),
        ("nobody's, and nothing", "nobody", "", String::new(), 404),
        ("9: upper case", "APP", "", signed(TEXT, &TAG.to_uppercase()), 200),
        ("9: 39 digits", "APP", "", signed(TEXT, &TAG[1..]), 401),
        ("9: no hex", "APP", "", signed(TEXT, &TAG.replace('a', "g")), 401),
        ("10: twice in the form", "APP", "", format!("{row}&{spaced}"), 401),
        ("10: query and form", "APP", &row, spaced.clone(), 401),
        ("10: two names", "APP", "", format!("{row}&{}", spaced.replace("signature_json", "signatureJSON")), 401),
    ] {
        let before = upstream.seen().len();
        let form = if form.is_empty() { "asset_name=x".to_owned() } else { format!("asset_name=x&{form}") };
        let answer = post(&gateway, app, query, &form);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let seen = upstream.seen();
        assert_eq!(seen.len() - before, usize::from(status == 200), "{what}");
        if let (200, Some(last)) = (status, seen.last()) {
            let id = if app == "123-456-789" { "APP" } else { app };
            assert_eq!(last.header("x-vidgate-subject"), Some(format!("app:{id}").as_str()), "{what}");
            assert_eq!(last.header("x-vidgate-account"), Some("studio"), "{what}");
            assert!(!last.target.contains("signature"), "{what}: {}", last.target);
            assert!(String::from_utf8_lossy(&last.body).starts_with("asset_name=x"), "{what}");
        }
    }
}

#[test]
fn what_is_played_is_signed_by_the_app_that_the_text_names() {
    let upstream = Upstream::start();
    let gateway = house(&upstream);
    let old = |tag: &str| format!("signature={tag}&signature_expiration=4102444800");
    for (what, target, status) in [
        ("row 1", format!("/api/v12/assets/U.json?{}", signed(TEXT, TAG)), 200),
        ("over", format!("/api/v12/assets/U.json?{}", signed(OVER, OVER_TAG)), 401),
        ("nothing", "/api/v12/assets/U.json".to_owned(), 401),
        (
            "an app whose switch is off, and who is only named",
            format!("/api/v12/assets/U.json?{}", signed(r#"{"api_key":"off-key","expiration":4102444800}"#, TAG)),
            401,
        ),
        ("7: row 4 where the app takes it", format!("/api/v10/assets/U.json?{}", old(BY_PUBLIC)), 200),
        ("7: row 5 where the app takes it", format!("/api/v10/assets/U.json?{}", old(BY_SECRET)), 200),
        ("7: row 5 where it does not", format!("/api/v11/assets/U.json?{}", old(BY_SECRET)), 401),
        (
            "7: row 4 where it does not",
            format!("/api/v11/assets/U.json?{}", old("35286c4519a4393fee7a5cc5b419e61ded9e8343")),
            401,
        ),
        ("7: row 5 of no app in particular", format!("/api/v12/assets/U.json?{}", old(BY_SECRET)), 401),
    ] {
        assert_eq!(get(&gateway, &target, "").status, status, "{what}");
    }
    assert!(upstream.seen().iter().all(|request| !request.target.contains("signature")));
}

#[test]
fn media_is_streamed_behind_a_signature_with_its_ranges() {
    let upstream = Upstream::answering(|request: &Received| match request.header("range") {
        Some("bytes=2-5") => {
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\n\r\n2345".to_vec()
        }
        _ => b"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 10\r\n\r\n0123456789".to_vec(),
    });
    let gateway = house(&upstream);
    let target = format!("/assets/U/720p.mp4?{}&v=3", signed(TEXT, TAG));
    let part = get(&gateway, &target, "Range: bytes=2-5\r\nIf-Range: \"a\"\r\n");
    assert_eq!((part.status, part.header("content-range"), part.text()), (206, Some("bytes 2-5/10"), "2345"));
    let whole = get(&gateway, &target, "");
    assert_eq!((whole.status, whole.text()), (200, "0123456789"));
    for request in upstream.seen() {
        assert_eq!(request.target, "/assets/U/720p.mp4?v=3");
    }
    assert_eq!(get(&gateway, "/assets/U/720p.mp4?v=3", "Range: bytes=2-5\r\n").status, 401);
    assert_eq!(upstream.seen().len(), 2);
}

fn apply(store: &Store, operation: Operation) {
    let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
    store.apply(request).expect("it is done");
}

fn create(store: &Store, resource: Resource, document: Value) {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    apply(store, Operation::Create { resource, document, versions: Vec::new() });
}

fn change(store: &Store, patch: Value) {
    let Value::Object(patch) = patch else { unreachable!("tests write objects") };
    apply(store, Operation::Change { resource: Resource::App, id: "APP".to_owned(), patch, revision: None });
}

#[test]
fn a_change_of_a_stored_app_holds_for_the_next_request() {
    let (upstream, folder, key) = (Upstream::start(), tempfile::tempdir().expect("a folder"), MasterKey::random());
    std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
    Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
    let store = "[store]\npath = \"vidgate.redb\"\nmaster_key = { file = \"master.key\" }\n";
    let top = open(&upstream, "").replace("path = \"/{*rest}\"", "path = \"/open\"");
    let gateway = TestGateway::start_at(START, &format!("{store}{top}{ROUTES}"), folder.path(), 2);
    let store = gateway.store();
    let row = signed(TEXT, TAG);
    let status = |form: &str| post(&gateway, "APP", "", form).status;
    assert_eq!(status(&row), 404);
    create(store, Resource::Account, json!({ "id": "studio" }));
    let app = json!({
        "id": "APP", "account": "studio", "public_key": "123-456-789", "secret": "ct-secret-0001",
        "signatures": { "publish": true },
    });
    create(store, Resource::App, app);
    assert_eq!((status(&row), status("a=b")), (200, 401));
    change(store, json!({ "signatures": { "publish": false } }));
    assert_eq!(status("a=b"), 200);
    change(store, json!({ "disabled": true, "signatures": { "publish": true } }));
    assert_eq!((status(&row), status("a=b")), (401, 401));
    change(store, json!({ "disabled": false }));
    let mut document = serde_json::Map::new();
    document.insert("overlap".to_owned(), json!("1h"));
    document.insert("secret".to_owned(), json!("ct-secret-0002"));
    apply(store, Operation::Rotate { resource: Resource::App, id: "APP".to_owned(), document, revision: None });
    let second = signed(TEXT, "8021ec80bffcded8ac41b1adbbff262a1beaaaa5");
    assert_eq!((status(&row), status(&second)), (200, 200));
    gateway.advance(std::time::Duration::from_hours(1));
    assert_eq!((status(&row), status(&second)), (401, 200));
    apply(store, Operation::Delete { resource: Resource::App, id: "APP".to_owned(), revision: None });
    assert_eq!(status(&second), 404);
}
