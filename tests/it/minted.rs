//! What an upstream sees in the place of the caller's credential: a name and a password, what is on record for the
//! caller's account, or a token that is minted for the caller.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::house::{START, TestGateway};
use crate::time::{Added, timed_at};
use crate::upstream::{Received, Upstream};

const TOP: &str = r#"
[scheme.license.lkey]
[scheme.anyone.ip]
networks = ["127.0.0.0/8"]
[[account]]
id = "acme"
upstream_credential = "acmes-own-secret"
license_key = [{ id = "main", key = "v3.X9tKpuXq0btatj" }, { id = "second", key = "v3.second-second" }]
[[account]]
id = "poor"
parent = "acme"
license_key = [{ id = "poor", key = "v3.poor-poor-poor" }]
"#;

fn gateway(upstream: &Upstream, folder: &TempDir, own: &str, route: &str) -> TestGateway {
    let (upstream_lines, route) = (format!("credential = {own}"), format!("credential = \"translate\"\n{route}"));
    let added = Added {
        top: TOP,
        upstream: if own.is_empty() { "" } else { &upstream_lines },
        route: &route,
        authenticate: "license or anyone",
        ..Added::default()
    };
    timed_at(&format!("http://{}", upstream.address()), folder.path(), added)
}

/// Asks with a license key, and with a field that looks like the upstream's own.
fn ask(gateway: &TestGateway, key: &str) -> u16 {
    let key = if key.is_empty() { String::new() } else { format!("Authorization: LKey {key}\r\n") };
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Own: forged\r\nX.Own: forged\r\n{key}\r\n");
    gateway.connect().ask(request).status
}

fn last(upstream: &Upstream) -> Received {
    upstream.seen().pop().expect("it was reached")
}

#[test]
fn a_name_and_a_password_stand_as_basic() {
    let (upstream, folder) = (Upstream::start(), TempDir::new().expect("a folder"));
    fs::write(folder.path().join("password"), "Aladdin's:1\n").expect("it can be written");
    let own = r#"{ basic = { user = "vms", password = { file = "password" } } }"#;
    let gateway = gateway(&upstream, &folder, own, "");
    assert_eq!(ask(&gateway, "v3.X9tKpuXq0btatj"), 200);
    // printf 'vms:%s' "Aladdin's:1" | base64
    assert_eq!(last(&upstream).header("authorization"), Some("Basic dm1zOkFsYWRkaW4nczox"));
}

#[test]
fn an_account_without_a_credential_of_its_own_is_refused() {
    let (upstream, folder) = (Upstream::start(), TempDir::new().expect("a folder"));
    let own = r#"{ header = "X-Own", from = "account", prefix = "Key " }"#;
    let gateway = gateway(&upstream, &folder, own, "");
    assert_eq!(ask(&gateway, "v3.X9tKpuXq0btatj"), 200);
    let request = last(&upstream);
    assert_eq!((request.header("x-own"), request.header("authorization")), (Some("Key acmes-own-secret"), None));
    assert!(!request.headers.iter().any(|(name, value)| name == "x.own" || value == "forged"), "{request:?}");
    // Not that of the account above it; and a caller of no account has none.
    assert_eq!((ask(&gateway, "v3.poor-poor-poor"), ask(&gateway, "")), (403, 403));
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_route_may_have_another_credential_than_its_upstream() {
    let (upstream, folder) = (Upstream::start(), TempDir::new().expect("a folder"));
    let route = r#"upstream_credential = { header = "X-Own", value = "the-routes" }"#;
    for own in [r#"{ header = "X-Key", value = "the-upstreams" }"#, ""] {
        let gateway = gateway(&upstream, &folder, own, route);
        assert_eq!(ask(&gateway, "v3.X9tKpuXq0btatj"), 200);
        let request = last(&upstream);
        assert_eq!((request.header("x-own"), request.header("x-key")), (Some("the-routes"), None));
    }
}

/// The claims of a token, its signature checked.
fn claims(request: &Received, key: &DecodingKey, algorithm: Algorithm) -> HashMap<String, Value> {
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).expect("a token");
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = false;
    rules.validate_aud = false;
    let token = jsonwebtoken::decode(token, key, &rules).expect("a signed token");
    assert_eq!((token.header.kid.as_deref(), token.header.typ.as_deref()), (Some("k1"), Some("JWT")));
    token.claims
}

#[test]
fn a_token_is_signed_for_each_caller_as_it_is_declared() {
    let folder = TempDir::new().expect("a folder");
    let secret = "0123456789abcdef0123456789abcdef";
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let ed = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let pem = |pair: &KeyPair| pair.public_key_pem().into_bytes();
    for (name, text, algorithm, key) in [
        ("RS256", rsa.serialize_pem(), Algorithm::RS256, DecodingKey::from_rsa_pem(&pem(&rsa))),
        ("ES256", ec.serialize_pem(), Algorithm::ES256, DecodingKey::from_ec_pem(&pem(&ec))),
        ("EdDSA", ed.serialize_pem(), Algorithm::EdDSA, DecodingKey::from_ed_pem(&pem(&ed))),
        ("HS256", secret.to_owned(), Algorithm::HS256, Ok(DecodingKey::from_secret(secret.as_bytes()))),
    ] {
        let (upstream, key) = (Upstream::start(), key.expect("a public key"));
        fs::write(folder.path().join("key"), text).expect("it can be written");
        let own = format!(
            r#"{{ jwt = {{ key = {{ file = "key" }}, algorithm = "{name}", key_id = "k1", issuer = "gate", audience = "vms", claims = {{ sub = "subject", acct = "account", via = "scheme", scope = "scopes" }} }} }}"#
        );
        let gateway = gateway(&upstream, &folder, &own, "");
        assert_eq!(ask(&gateway, "v3.X9tKpuXq0btatj"), 200, "{name}");
        let expected = json!({
            "iss": "gate", "aud": "vms", "sub": "license_key:main", "acct": "acme", "via": "lkey",
            "iat": START.0, "exp": START.0 + 300,
        });
        assert_eq!(json!(claims(&last(&upstream), &key, algorithm)), expected, "{name}");
        // What there is nothing to say of is left out.
        assert_eq!(ask(&gateway, ""), 200, "{name}");
        let anyone = claims(&last(&upstream), &key, algorithm);
        assert_eq!((anyone["sub"].as_str(), anyone.get("acct")), (Some("address:anyone"), None), "{name}");
    }
}

#[test]
fn a_token_is_used_again_for_the_same_caller_until_half_of_its_time_is_over() {
    let (upstream, folder) = (Upstream::start(), TempDir::new().expect("a folder"));
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    fs::write(folder.path().join("key"), pair.serialize_pem()).expect("it can be written");
    let own = r#"{ jwt = { key = { file = "key" }, algorithm = "ES256", lifetime = "2m" } }"#;
    let gateway = gateway(&upstream, &folder, own, "");
    let token = |key: &str| {
        assert_eq!(ask(&gateway, key), 200);
        last(&upstream).header("authorization").expect("a token").to_owned()
    };
    // No two signatures of ES256 are the same: an equal token was not signed again.
    let first = token("v3.X9tKpuXq0btatj");
    assert_eq!(token("v3.X9tKpuXq0btatj"), first);
    assert_ne!(token("v3.second-second"), first);
    gateway.pass(Duration::from_secs(59));
    assert_eq!(token("v3.X9tKpuXq0btatj"), first);
    gateway.pass(Duration::from_secs(2));
    assert_ne!(token("v3.X9tKpuXq0btatj"), first);
}
