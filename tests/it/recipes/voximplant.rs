//! Voximplant's recipe from the street. The tokens are those of `tests/vectors/jwt`.

use std::fs;

use serde_json::json;
use vidgate::clock::UnixTime;

use super::{Kitchen, OK, RANGE, form, uncommented};

/// When most of the tokens were issued.
const NOW: UnixTime = UnixTime(1_700_000_000);
const KEY: &str = "eec36d6c-a0eb-46b5-a006-1c2b65343bac";

const EDITS: &[(&str, &str)] =
    &[("https://api.voximplant.com", "UPSTREAM"), ("https://storage.example.com", "UPSTREAM")];

const FAILED: &str = r#""code":100}"#;
const ARGUMENTS: &str = r#""code":101}"#;

fn vector(name: &str) -> String {
    fs::read_to_string(format!("tests/vectors/jwt/{name}")).expect("the vector").trim().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {}", vector(token))
}

/// Account 1, from these addresses and with these roles, and its child, whose key has none.
fn keys(addresses: &[&str], roles: &[&str]) -> String {
    [
        json!({ "resource": "account", "id": "1", "addresses": addresses }),
        json!({ "resource": "account", "id": "77", "parent": "1" }),
        json!({ "resource": "service_account", "id": "kid-parent", "account": "1", "roles": roles,
                "public_key": vector("parent.pub.pem") }),
        json!({ "resource": "service_account", "id": "kid-child", "account": "77", "public_key": vector("child.pub.pem") }),
        json!({ "resource": "api_client", "id": "1", "account": "1", "secret": KEY, "aliases": ["acme@example.com"] }),
    ]
    .map(|line| line.to_string() + "\n")
    .concat()
}

#[test]
fn a_service_account_does_what_its_role_may() {
    let kitchen = Kitchen::at(NOW, "voximplant.toml", EDITS, str::to_owned, || keys(&["127.0.0.1"], &["Developer"]));
    let [developer, child, own, over, forged] =
        &["exact-hour.jwt", "child-account.jwt", "child-own.jwt", "over.jwt", "over-forged.jwt"].map(bearer);
    let ranged = &format!("{developer}\r\nRange: bytes=0-10");
    let legacy = &format!("GET /platform_api/GetAccountInfo?account_id=1&api_key={KEY}");
    kitchen.walk(&[
        // 1, 2, 5 to 8
        ("public", "", "GET /platform_api/GetUsers/?application_id=4152784", developer, 200, OK),
        ("public", "", "GET /platform_api/GetUsers", &bearer("issuer-text.jwt"), 200, OK),
        ("public", "", "GET /platform_api/GetUsers", child, 200, OK),
        ("public", "", "GET /platform_api/GetUsers", own, 200, FAILED),
        ("public", "", "GET /platform_api/GetAccountInfo", own, 200, OK),
        ("public", "", "GET /platform_api/GetAccountInfo", &bearer("child-for-parent.jwt"), 200, FAILED),
        ("public", "", "POST /platform_api", &form(developer, "count=20&cmd=GetUsers"), 200, OK),
        ("public", "", "POST /platform_api/", &form(developer, "count=20&cmd=GetUsers"), 200, OK),
        ("public", "", "POST /platform_api", &form(developer, "cmd=DelApplication"), 200, FAILED),
        ("public", "", "POST /platform_api/GetUsers/", &form(developer, "cmd=GetUsers"), 200, OK),
        // 3
        ("public", "", "GET /platform_api/GetUsers", over, 200, r#""code":456}"#),
        ("public", "", "GET /platform_api/GetUsers", forged, 200, FAILED),
        ("public", "", "GET /platform_api/GetUsers", "", 200, FAILED),
        // 9 to 11
        ("public", "", "POST /platform_api/GetAccountInfo/", &form(developer, "cmd=GetUsers"), 200, ARGUMENTS),
        ("public", "", legacy, "", 200, FAILED),
        ("public", "", "GET /platform_api/NoSuchMethod", developer, 200, r#""code":103}"#),
        ("public", "", "GET /platform_api", developer, 200, r#""code":102}"#),
        ("public", "", "GET /platform_api/CreateKey", developer, 200, FAILED),
        // 13
        ("public", "", "GET /recordings/1.mp3", own, 200, OK),
        ("public", "", "GET /recordings/1.mp3", forged, 401, FAILED),
        ("public", "", "GET /recordings/1.mp3", ranged, 206, RANGE),
        ("public", "", "GET /logs/1.log", developer, 200, OK),
        ("public", "", "GET /logs/1.log", own, 403, FAILED),
        ("public", "", "GET /logs/1.log", ranged, 206, OK),
        ("public", "", "GET /other", developer, 404, ""),
    ]);
    let seen = kitchen.upstream.seen();
    assert_eq!(seen[0].header("authorization"), Some(developer.trim_start_matches("Authorization: ")));
    let accounts: Vec<_> = seen[..3].iter().map(|request| request.header("x-vidgate-account")).collect();
    assert_eq!(accounts, [Some("1"), Some("1"), Some("77")]);
}

/// 15
#[test]
fn a_good_token_from_an_address_that_is_not_listed_is_refused() {
    let listed = keys(&["198.51.100.7"], &["Owner"]);
    let denied = keys(&["127.0.0.1"], &["Owner"]).replace("\"addresses\":[", "\"denied_addresses\":[");
    for lines in [listed, denied] {
        let kitchen = Kitchen::at(NOW, "voximplant.toml", EDITS, str::to_owned, || lines);
        for token in ["exact-hour.jwt", "child-own.jwt"] {
            kitchen.walk(&[
                ("public", "", "GET /platform_api/GetAccountInfo", &bearer(token), 200, FAILED),
                ("public", "", "GET /recordings/1.mp3", &bearer(token), 403, FAILED),
            ]);
        }
    }
}

/// 12, where vidgate owns the keys.
#[test]
fn a_change_of_a_key_holds_for_the_next_request() {
    let edits = [
        EDITS,
        &[
            ("credential = \"keep\"", "credential = \"remove\""),
            ("forward = \"voximplant\"", "endpoint = \"voximplant_keys\"\nforward = \"voximplant\""),
        ],
    ];
    let keys = || keys(&[], &["Owner"]);
    let kitchen = Kitchen::at(NOW, "voximplant.toml", &edits.concat(), str::to_owned, keys);
    // The parent's key for the child's account, and the child's own.
    let [parent, child] = &["child-account.jwt", "child-own.jwt"].map(bearer);
    let (done, key) = (r#""result":1"#, "key_id=kid-child");
    kitchen.walk(&[
        ("public", "", "GET /platform_api/GetUsers", child, 200, FAILED),
        ("public", "", "POST /platform_api", &form(parent, "cmd=GetKeys"), 200, "kid-child"),
        ("public", "", "POST /platform_api", &form(child, "cmd=GetKeys"), 200, FAILED),
        ("public", "", &format!("GET /platform_api/SetKeyRoles/?{key}&role_name=Developer"), parent, 200, done),
        ("public", "", "GET /platform_api/GetUsers/", child, 200, OK),
        ("public", "", "GET /logs/1.log", child, 200, OK),
        ("public", "", &format!("GET /platform_api/RemoveKeyRoles?{key}&role_name=Developer"), parent, 200, done),
        ("public", "", "POST /platform_api/", &form(child, "cmd=GetUsers"), 200, FAILED),
        ("public", "", "GET /platform_api/CreateKey?description=x", parent, 200, "BEGIN PRIVATE KEY"),
        ("public", "", "GET /platform_api/GetAccountInfo", child, 200, OK),
        ("public", "", &format!("GET /platform_api/DeleteKey?{key}"), parent, 200, done),
        ("public", "", "GET /platform_api/GetAccountInfo", child, 200, FAILED),
        ("public", "", "GET /recordings/1.mp3", child, 401, FAILED),
    ]);
}

/// 10, and what the comments offer.
#[test]
fn old_keys_and_tokens_of_ones_own_people() {
    let edits = [
        EDITS,
        &[
            ("credential = \"keep\"", "credential = \"remove\""),
            ("authenticate = \"service\"", "authenticate = \"service or legacy or staff\""),
            ("url = \"https://id.example.com/keys\"", "file = \"issuer.jwks\""),
        ],
    ];
    let keys = || keys(&[], &["Payer"]);
    let kitchen = Kitchen::at(NOW, "voximplant.toml", &edits.concat(), uncommented, keys);
    let (payer, staff) = (&bearer("exact-hour.jwt"), &bearer("issuer-good.jwt"));
    let proven = format!("account_id=1&api_key={KEY}");
    let by_name = form("", &format!("cmd=CreateKey&account_email=acme%40example.com&api_key={KEY}"));
    kitchen.walk(&[
        // Said of GetUsers by the table of the comment.
        ("public", "", "GET /platform_api/GetUsers", payer, 200, OK),
        ("public", "", "GET /platform_api/AddUser", payer, 200, FAILED),
        ("public", "", &format!("GET /platform_api/DelApplication?{proven}"), "", 200, OK),
        ("public", "", "POST /platform_api", &by_name, 200, OK),
        ("public", "", &format!("GET /platform_api/GetUsers?{proven}x"), "", 200, FAILED),
        ("public", "", "POST /platform_api", &form("", &format!("cmd=GetUsers&{proven}&session_id=1")), 200, FAILED),
        ("public", "", "GET /platform_api/GetAccountInfo", staff, 200, OK),
        ("public", "", "GET /platform_api/AddUser", staff, 200, FAILED),
        ("public", "", "GET /platform_api/GetAccountInfo", &bearer("issuer-forged.jwt"), 200, FAILED),
        ("public", "", "GET /recordings/1.mp3", staff, 200, OK),
    ]);
    for request in kitchen.upstream.seen() {
        assert_eq!((request.header("authorization"), request.header("x-vidgate-account")), (None, Some("1")));
        assert!(!request.target.contains(KEY) && !String::from_utf8_lossy(&request.body).contains(KEY), "{request:?}");
    }
}
