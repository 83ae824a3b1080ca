//! Secrets stay where they are: none comes back in an answer, none is written to the log.

use std::fmt::Write as _;

use crate::credentials::{ACC, BASIC, House, INNER, KEY};
use crate::house::{TestGateway, open};
use crate::log::Log;
use crate::upstream::Upstream;

#[test]
fn no_answer_repeats_a_credential() {
    let house = House::start();
    let secret = "hunter2hunter2";
    let mut told = String::new();
    for path in ["/api/v4", "/api/v3", "/sv", "/jwt", "/any", "/mixed", "/here", "/nowhere", "/open"] {
        for word in ["Acc", "LKey", "Basic", "Bearer", "SI", secret] {
            for line in [
                format!("GET {path}/x?token={secret}&api_key={secret}"),
                format!("DELETE {path}/x?{secret}"),
                format!("{secret} {path}/"),
                format!("GET {path}/%00?{secret}"),
                format!("GET {path}/{secret}%2f"),
            ] {
                let fields = [format!("Authorization: {word} {secret}"), format!("Cookie: {secret}")];
                let answer = house.ask(&line, &[&fields[0], &fields[1], &format!("X-Request-Id: {secret}")]);
                let _ = write!(told, "{:?} {}", answer.headers, answer.text());
            }
        }
    }
    assert!(told.len() > 10_000 && !told.contains(secret), "{told}");
}

#[test]
fn no_credential_is_written_to_the_log() {
    let log = Log::shared();
    let house = House::start();
    let mut ids = Vec::new();
    for (path, fields) in [
        (format!("/api/v4/x?token={INNER}"), vec![format!("Authorization: Acc {ACC}")]),
        (format!("/api/v4/x?token={INNER}x"), vec![]),
        (format!("/api/v3/x?token={INNER}"), vec![format!("Authorization: LKey {KEY}")]),
        ("/api/v3/x".into(), vec![format!("Authorization: LKey {KEY}"), format!("Authorization: LKey {KEY}")]),
        ("/sv/logged".into(), vec![format!("Authorization: Basic {BASIC}")]),
        ("/sv/logged".into(), vec![format!("Authorization: LKey {BASIC}"), format!("Cookie: {BASIC}")]),
        ("/jwt/x".into(), vec![format!("Authorization: Bearer {ACC}")]),
        (format!("/nowhere?key={KEY}"), vec![format!("Authorization: LKey {KEY}")]),
        (format!("/open/%00?key={KEY}"), vec![format!("X: {KEY}"), "X-Request-Id: \"\\u001b\"".into()]),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let answer = house.ask(&format!("GET {path}"), &fields);
        ids.push(answer.header("x-request-id").expect("every answer has one").to_owned());
    }
    let unreachable =
        TestGateway::alone(&open(&Upstream::start(), "").replace("http://127.0.0.1:", "http://127.0.0.2:"));
    let refused = format!("GET /?key={KEY} HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {KEY}\r\n\r\n");
    assert_eq!(unreachable.connect().ask(refused).status, 502);
    for id in ids {
        log.await_line(&[&format!("\"request_id\":\"{id}\"")]);
    }
    let log = log.text();
    for expected in
        ["/sv/logged", "credential_ambiguous", "malformed_request", "license_key:main", "no connection to the upstream"]
    {
        assert!(log.contains(expected), "{expected} is missing in the log: {log}");
    }
    for secret in
        [INNER, ACC, KEY, BASIC, "99176b1d244c484ed65dd792abc1", "vxg-lab-secret", "share.", "4NuL1qp8jcInCqp0"]
    {
        assert!(!log.contains(secret), "{secret} stands in the log: {log}");
    }
}
