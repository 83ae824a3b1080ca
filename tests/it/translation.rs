//! The caller's credential on the way upstream: removed, kept, or translated, from every place of every scheme.

use std::fs;

use base64::Engine as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use tempfile::TempDir;

use crate::house::{START, TestGateway};
use crate::time::{Added, timed_at};
use crate::upstream::Upstream;

/// From VXG's documents: the inner token of camera 248527.
const TOKEN: &str = "share.eyJzaSI6IDIzNTYzOX0.61a964c3tbc1fab00.4NuL1qp8jcInCqp0RGnQGJOQtm4";

/// A gateway whose one route takes every scheme and does `credential` with what it was shown.
fn gateway(upstream: &Upstream, credential: &str, service: &Service) -> TestGateway {
    let top = format!(
        r#"
[scheme.camera.acc]
[scheme.license.lkey]
[scheme.api.basic]
tls_only = false
[scheme.service.jwt]
[scheme.office.ip]
networks = ["127.0.0.0/8"]

[[account]]
id = "acme"
license_key = [{{ id = "main", key = "v3.X9tKpuXq0btatj" }}]
api_client = [{{ id = "client-1", secret = "s3cret" }}]
camera = [{{ id = "248527", tokens = ["{TOKEN}"], scopes = ["all", "watch"] }}]
service_account = [{{ id = "key-1", public_key = "service.pem" }}]
"#
    );
    let added = Added {
        top: &top,
        upstream: r#"credential = { header = "Authorization", value = "Own upstream-secret" }"#,
        route: &format!("credential = \"{credential}\""),
        authenticate: "office and (camera or license or api or service)",
        ..Added::default()
    };
    timed_at(&format!("http://{}", upstream.address()), service.folder.path(), added)
}

/// A service account with a key of its own.
struct Service {
    folder: TempDir,
    bearer: String,
}

impl Service {
    fn new() -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key can be made");
        let folder = TempDir::new().expect("a folder can be made");
        fs::write(folder.path().join("service.pem"), pair.public_key_pem()).expect("it can be written");
        let claims = serde_json::json!({ "iss": "acme", "iat": START.0, "exp": START.0 + 600 });
        let header = Header { kid: Some("key-1".into()), ..Header::new(Algorithm::RS256) };
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).expect("the key is PEM");
        let token = jsonwebtoken::encode(&header, &claims, &key).expect("claims can be signed");
        Self { folder, bearer: format!("Bearer {token}") }
    }
}

/// Every way to present a credential: the target with its query, the field, and who the upstream shall be told it is.
fn presented(service: &Service) -> Vec<(String, String, [&'static str; 2])> {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let outer = format!(r#"{{"camid": 248527, "access": "all", "token": "{TOKEN}"}}"#);
    let field = |value: String| format!("Authorization: {value}\r\n");
    let (camera, plain) = (["camera:248527", "acc"], "/a?b=%2F&c=".to_owned());
    vec![
        (plain.clone(), field(format!("Acc {}", base64(&outer))), camera),
        (format!("/a?b=%2F&token={TOKEN}&c="), String::new(), camera),
        (format!("/a?token={TOKEN}&b=%2F&c="), field(format!("Acc {}", base64(&outer))), camera),
        (format!("/a?b=%2F&c=&%74oken={TOKEN}"), String::new(), camera),
        (plain.clone(), field("LKey v3.X9tKpuXq0btatj".into()), ["license_key:main", "lkey"]),
        (plain.clone(), field(format!("Basic {}", base64("client-1:s3cret"))), ["api_client:client-1", "basic"]),
        (plain, field(service.bearer.clone()), ["service_account:key-1", "jwt"]),
    ]
}

#[test]
fn the_credential_is_removed_kept_or_translated() {
    let service = Service::new();
    let upstream = Upstream::start();
    for policy in ["remove", "keep", "translate"] {
        let gateway = gateway(&upstream, policy, &service);
        for (target, field, [subject, scheme]) in presented(&service) {
            let answer = gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
            assert_eq!(answer.status, 200, "{target} {field}: {answer:?}");
            let request = upstream.seen().pop().expect("it was reached");
            let shown = field.strip_prefix("Authorization: ").map(str::trim_end);
            let (value, path) = match policy {
                "remove" => (None, "/a?b=%2F&c="),
                "keep" => (shown, target.as_str()),
                _ => (Some("Own upstream-secret"), "/a?b=%2F&c="),
            };
            assert_eq!((request.header("authorization"), request.target.as_str()), (value, path), "{policy} {subject}");
            assert_eq!(request.header("x-vidgate-subject"), Some(subject), "{policy}");
            assert!(request.header("x-vidgate-scheme").is_some_and(|own| own.contains(scheme)), "{request:?}");
            assert_eq!(request.header("x-vidgate-account"), Some("acme"));
            let scopes = (scheme == "acc").then_some("all watch");
            assert_eq!(request.header("x-vidgate-scopes"), scopes, "{policy} {subject}");
        }
    }
}

#[test]
fn a_place_of_another_scheme_of_the_route_is_emptied_too() {
    let service = Service::new();
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "remove", &service);
    let request = format!("GET /?token={TOKEN}&a HTTP/1.1\r\nHost: a\r\nAuthorization: LKey v3.X9tKpuXq0btatj\r\n\r\n");
    let answer = gateway.connect().ask(request);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((upstream.only().target.as_str(), upstream.only().header("authorization")), ("/?a", None));
}

#[test]
fn a_refused_caller_reaches_nobody() {
    let service = Service::new();
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "keep", &service);
    for fields in ["", "Authorization: LKey wrong\r\n", "Authorization: Own upstream-secret\r\n"] {
        let answer = gateway.connect().ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(answer.status, 401, "{fields}");
    }
    assert!(upstream.seen().is_empty());
}
