//! Multicam's recipe from the street.

use std::fs;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Kitchen, OK, form, uncommented};

const MACHINE: &str = "X-Forwarded-For: 192.0.2.7";
const STRANGER: &str = "X-Forwarded-For: 203.0.113.9";
/// As Multicam's article for version 10 has it.
const APIKEY: &str = "x-apikey: QkFqTmtDclVkQTFVaUAz";
const MESSAGE: &str = r#"{"Message":"#;

/// Behind a proxy that ends TLS, so that callers have addresses of their own.
const EDITS: &[(&str, &str)] = &[
    ("http://10.0.0.5:8082", "UPSTREAM"),
    ("# trusted_proxies = [\"10.0.0.0/8\"]", "trusted_proxies = [\"127.0.0.1\"]"),
];

const TOKEN: &str = "path = \"/Token\"\nauthenticate = \"machines\"\n";
const API: &str = "authenticate = \"machines and token\"\n";

fn vectors() -> Value {
    serde_json::from_str(&fs::read_to_string("tests/vectors/token/vectors.json").expect("the vectors")).expect("JSON")
}

fn keys() -> String {
    let user = |id: &str, key: &Value| {
        format!(
            "{{\"resource\":\"account\",\"id\":\"{id}\"}}\n\
             {{\"resource\":\"user\",\"id\":\"{id}\",\"account\":\"{id}\",\"login\":\"{id}@example.com\",\"key\":{key}}}\n"
        )
    };
    user("john", &vectors()["key"]) + &user("eva", &"QkFqTmtDclVkQTFVaUAz".into())
}

fn login(fields: &str, vector: &str) -> String {
    let vectors = vectors();
    let password = utf8_percent_encode(vectors[vector].as_str().expect("a vector"), NON_ALPHANUMERIC);
    form(fields, &format!("grant_type=password&username=john%40example.com&password={password}"))
}

/// The field of a token that a log-in gives.
fn bearer(kitchen: &Kitchen, from: &str) -> String {
    let (status, text) = kitchen.ask("public", "", "POST /token", &login(from, "good"));
    assert_eq!(status, 200, "{text}");
    let token = text.split_once("{\"access_token\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a token").0;
    assert!(text.ends_with(",\"token_type\":\"bearer\",\"expires_in\":1209599}"), "{text}");
    format!("Authorization: Bearer {token}")
}

/// Without what is for tokens alone.
fn without_tokens(text: &str) -> String {
    let tables = ["[[route]]\nname = \"token\"", "[scheme.token.opaque]", "[limit.logins]", "[endpoint.token]"];
    tables.iter().fold(text.to_owned(), |text, table| {
        let (before, rest) = text.split_once(table).expect("the table");
        let (_, after) = rest.split_once("\n\n").expect("its end");
        format!("{before}{after}")
    })
}

/// 1, 5, 7, 8, 10
#[test]
fn a_machine_that_is_listed_comes_with_a_token() {
    let kitchen = Kitchen::new("multicam.toml", EDITS, keys);
    let bearer = bearer(&kitchen, MACHINE);
    let here = &format!("{MACHINE}\r\n{bearer}");
    let spaced = &format!("{MACHINE}\r\n{}", bearer.replace("Bearer ", "bearer   "));
    let elsewhere = &format!("{STRANGER}\r\n{bearer}");
    let wrong = &format!("{MACHINE}\r\n{bearer}x");
    kitchen.walk(&[
        ("public", "", "GET /api/application/system", here, 200, OK),
        ("public", "", "GET /API/v2/Scenes/1", spaced, 200, OK),
        ("public", "", "GET /api/application/system", elsewhere, 403, MESSAGE),
        ("public", "", "GET /api/application/system", wrong, 401, MESSAGE),
        ("public", "", "GET /api/application/system", MACHINE, 401, "Bearer"),
        ("public", "", "GET /api/application/system", STRANGER, 401, MESSAGE),
        ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{APIKEY}"), 401, MESSAGE),
        ("public", "", "GET /signalr/negotiate", MACHINE, 200, OK),
        ("public", "", "GET /SignalR/connect?transport=longPolling", MACHINE, 200, OK),
        ("public", "", "GET /signalr/negotiate", &format!("{STRANGER}\r\n{bearer}"), 403, MESSAGE),
        ("public", "", "POST /Token", &login(STRANGER, "good"), 403, "access_denied"),
        ("public", "", "POST /TOKEN", &login(MACHINE, "wrong"), 400, r#"{"error":"invalid_grant"}"#),
        ("public", "", "GET /Token", MACHINE, 400, "unsupported_grant_type"),
    ]);
    for request in kitchen.upstream.seen() {
        assert_eq!(request.header("authorization"), None);
        if request.target.to_lowercase().starts_with("/api/") {
            assert_eq!(request.header("x-vidgate-subject"), Some("user:john"));
        }
    }
}

/// 10: what a caller says of itself.
#[test]
fn nobody_calls_from_where_they_say() {
    let kitchen = Kitchen::new("multicam.toml", &EDITS[..1], keys);
    kitchen.walk(&[
        ("public", "", "GET /signalr/negotiate", MACHINE, 403, MESSAGE),
        ("public", "", "POST /Token", &login(MACHINE, "good"), 403, "access_denied"),
    ]);
    let kitchen = Kitchen::new("multicam.toml", &[EDITS[0], ("192.0.2.7", "127.0.0.1")], keys);
    kitchen.walk(&[("public", "", "GET /signalr/negotiate", STRANGER, 200, OK)]);
}

#[test]
fn who_guesses_is_kept_out_before_anything_is_opened() {
    let kitchen = Kitchen::new("multicam.toml", EDITS, keys);
    for _ in 0..20 {
        assert_eq!(kitchen.ask("public", "", "POST /Token", &login(MACHINE, "wrong")).0, 400);
    }
    assert_eq!(kitchen.ask("public", "", "POST /Token", &login(MACHINE, "good")).0, 429);
    bearer(&kitchen, "X-Forwarded-For: 198.51.100.9");
}

#[test]
fn each_mode_lets_in_whom_it_says() {
    let open = &*TOKEN.replace("machines", "open");
    // What each gets at the API: a machine, a stranger, and both with a token.
    for (api, [machine, stranger, both, token]) in
        [("\"token\"", [401, 401, 200, 200]), ("\"machines or token\"", [200, 401, 200, 200])]
    {
        let own = format!("authenticate = {api}\n");
        let kitchen = Kitchen::new("multicam.toml", &[EDITS, &[(TOKEN, open), (API, &own)]].concat(), keys);
        let bearer = bearer(&kitchen, STRANGER);
        for (fields, status) in [
            (MACHINE.to_owned(), machine),
            (STRANGER.to_owned(), stranger),
            (format!("{MACHINE}\r\n{bearer}"), both),
            (format!("{STRANGER}\r\n{bearer}"), token),
        ] {
            let part = if status == 200 { OK } else { MESSAGE };
            kitchen.walk(&[("public", "", "GET /api/application/system", &fields, status, part)]);
        }
    }
    let own = API.replace(" and token", "");
    let kitchen = Kitchen::edited("multicam.toml", &[EDITS, &[(API, &own)]].concat(), without_tokens, keys);
    kitchen.walk(&[
        ("public", "", "GET /api/application/system", MACHINE, 200, OK),
        ("public", "", "GET /api/application/system", STRANGER, 403, MESSAGE),
        ("public", "", "POST /Token", &login(MACHINE, "good"), 404, MESSAGE),
    ]);
}

/// 11
#[test]
fn from_version_10_on_the_key_itself_opens() {
    let (key, keep) = (API.replace("token", "key"), ("credential = \"remove\"", "credential = \"keep\""));
    let rework = |text: &str| without_tokens(&uncommented(text));
    let kitchen = Kitchen::edited("multicam.toml", &[EDITS, &[(API, &key), keep]].concat(), rework, keys);
    kitchen.walk(&[
        ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{APIKEY}"), 200, OK),
        ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{APIKEY}x"), 401, MESSAGE),
        ("public", "", "GET /api/application/system", &format!("{STRANGER}\r\n{APIKEY}"), 403, MESSAGE),
        ("public", "", "GET /api/application/system", MACHINE, 401, MESSAGE),
    ]);
    let seen = kitchen.upstream.only();
    assert_eq!(seen.header("x-apikey"), Some("QkFqTmtDclVkQTFVaUAz"), "Multicam goes on checking");

    let both = API.replace("token", "(token or key)");
    for (policy, mixed) in [("remove", 200), ("keep", 401)] {
        let policy = format!("credential = \"{policy}\"");
        let edits = [EDITS, &[(API, &*both), ("credential = \"remove\"", &policy)]].concat();
        let kitchen = Kitchen::edited("multicam.toml", &edits, uncommented, keys);
        let bearer = bearer(&kitchen, MACHINE);
        let part = if mixed == 200 { OK } else { MESSAGE };
        kitchen.walk(&[
            ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{APIKEY}"), 200, OK),
            ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{bearer}"), 200, OK),
            // John's token beside Eva's key.
            ("public", "", "GET /api/application/system", &format!("{MACHINE}\r\n{bearer}\r\n{APIKEY}"), mixed, part),
        ]);
        let last = kitchen.upstream.seen().pop().expect("it was asked");
        assert_eq!(last.header("x-vidgate-subject"), Some("user:john"));
    }
}
