//! From the operator's certificate to a player's request, by HTTP alone: the super-admin API makes an account, its
//! licence key adds a camera, the camera's token opens the upstream, and all of it ends with the account.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::DnType;
use serde_json::{Value, json};
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::{START, TestGateway};
use crate::pki::{Pki, dial};
use crate::upstream::Upstream;

const USERS: &str = "/api/v2/admin/users/";

/// The body of the vendor's own example, letter by letter.
const EXAMPLE: &str = r#"{ "suid": "user_id", "usrc": "Company_name", "license_key": {"value": "LICENSEKEY"}, " limits": {"hosted_cameras": 100} }"#;

struct House {
    pki: Pki,
    gateway: TestGateway,
    upstream: Upstream,
}

impl House {
    fn new() -> Self {
        let (pki, upstream, key) = (Pki::new(), Upstream::start(), MasterKey::random());
        pki.issue("a", &["localhost"]);
        pki.self_signed("company", |_| {});
        pki.self_signed("rogue", |_| {});
        // Two more that go by the name `company`: one is on file, the other is an operator's.
        pki.self_signed("filed", |_| {});
        pki.issue_as("operator", &[], |params| params.distinguished_name.push(DnType::CommonName, "company"));
        std::fs::write(pki.path().join("master.key"), key.to_text().expose()).expect("written");
        Store::create(&Settings { path: pki.path().join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
        let toml = format!(
            r#"
[listener.public]
address = "127.0.0.1:0"

[listener.admin]
address = "127.0.0.1:0"
dialect = "vxg"
tls = {{ certificate = "a.pem", key = "a.key", client_certificates = true }}

[admin]
address = "127.0.0.1:0"
tls = {{ certificate = "a.pem", key = "a.key", client_ca = "ca.pem" }}

[upstream.vms]
endpoints = ["http://{}"]

[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}

[scheme.company.mtls]
pinned = ["company.pem"]
[scheme.license.lkey]
[scheme.camera.acc]

[[account]]
id = "operators"
admin_certificate = [{{ id = "company", sha256 = "{}" }}]

[[route]]
name = "users"
listeners = ["admin"]
path = "/api/v2/admin/users/{{*rest}}"
authenticate = "company"
endpoint = "vxg_users"
dialect = "vxg_admin"

[[route]]
name = "channels"
listeners = ["public"]
path = "/api/v3/channels/{{*rest}}"
authenticate = "license"
endpoint = "vxg_tokens"
dialect = "vxg"

[[route]]
name = "live"
listeners = ["public"]
path = "/api/v4/{{*rest}}"
authenticate = "camera"
forward = "vms"
dialect = "vxg"
"#,
            upstream.address(),
            pki.digest("filed")
        );
        let gateway = TestGateway::start_at(START, &toml, pki.path(), 2);
        Self { pki, gateway, upstream }
    }

    /// Asks the super-admin API with this certificate, and says the status and the body.
    fn admin(&self, file: Option<&str>, method: &str, rest: &str, body: &str) -> (u16, String) {
        self.secured(self.gateway.address("admin"), file, (method, &format!("{USERS}{rest}")), body)
    }

    fn secured(
        &self,
        address: SocketAddr,
        file: Option<&str>,
        (method, target): (&str, &str),
        body: &str,
    ) -> (u16, String) {
        let client = file.map_or_else(|| self.pki.client(&[]), |file| self.pki.presenting(&self.pki, file, &[]));
        let mut secure = dial(address, "localhost", &Arc::new(client)).expect("a handshake");
        let typed = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        write!(secure, "{head}{typed}\r\n{body}").expect("it is taken");
        let mut text = String::new();
        secure.read_to_string(&mut text).expect("an answer, and its end");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
    }

    fn company(&self, method: &str, rest: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.admin(Some("company"), method, rest, body);
        (status, if body.is_empty() { Value::Null } else { serde_json::from_str(&body).expect("JSON") })
    }

    fn public(&self, method: &str, target: &str, authorization: &str) -> (u16, Value) {
        let answer = self.gateway.connect().ask(format!(
            "{method} {target} HTTP/1.1\r\nHost: gw\r\nAuthorization: {authorization}\r\nContent-Length: 0\r\n\r\n"
        ));
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

#[test]
fn a_certificate_makes_an_account_whose_key_adds_a_camera_whose_token_opens_the_upstream() {
    let house = House::new();
    let (status, user) = house.company("POST", "", EXAMPLE);
    assert_eq!(
        (status, &user["license_key"]["value"], &user["limits"]),
        (201, &json!("LICENSEKEY"), &json!({ "hosted_cameras": 100 }))
    );
    let one = format!("{}/", user["id"]);
    assert_eq!(house.company("GET", "?suid=user_id", "").1["objects"], json!([user]));
    assert_eq!(house.company("POST", "", EXAMPLE).0, 409);

    let channels = "/api/v3/channels/";
    let (status, camera) = house.public("POST", channels, "LKey LICENSEKEY");
    assert_eq!(status, 201);
    let token = camera["access_tokens"]["all"].as_str().expect("a token");
    let live = || house.public("GET", "/api/v4/live/watch/", &format!("Acc {token}")).0;
    assert_eq!(live(), 200);
    assert_eq!(
        house.upstream.only().header("x-vidgate-account"),
        user["id"].as_u64().map(|id| id.to_string()).as_deref()
    );

    // Another licence key: the one before ends at once, the camera's token does not.
    let (_, changed) = house.company("PUT", &one, r#"{"license_key": {"value": null}}"#);
    let key = changed["license_key"]["value"].as_str().expect("a licence key");
    assert_eq!(house.public("GET", channels, "LKey LICENSEKEY").0, 401);
    assert_eq!((house.public("GET", channels, &format!("LKey {key}")).0, live()), (200, 200));
    // Switched off and on again, and then gone with all that it had.
    assert_eq!(house.company("PUT", &one, r#"{"disabled": true}"#).0, 200);
    assert_eq!((house.public("GET", channels, &format!("LKey {key}")).0, live()), (401, 401));
    assert_eq!((house.company("PUT", &one, r#"{"disabled": false}"#).0, live()), (200, 200));
    assert_eq!(house.company("DELETE", &one, ""), (204, Value::Null));
    assert_eq!((house.public("GET", channels, &format!("LKey {key}")).0, live()), (401, 401));
    assert_eq!(house.company("GET", &one, "").0, 404);
    let deeds = house.gateway.store().audit(0, 1000).expect("the trail");
    assert_eq!(deeds.last().expect("a deed").actor, "certificate:company");
}

#[test]
fn the_trail_tells_an_operator_from_callers_of_the_same_name() {
    let house = House::new();
    assert_eq!(house.admin(Some("company"), "POST", "", r#"{"suid": "a"}"#).0, 201);
    assert_eq!(house.admin(Some("filed"), "POST", "", r#"{"suid": "b"}"#).0, 201);
    let made = house.secured(
        house.gateway.admin_address(),
        Some("operator"),
        ("POST", "/v1/accounts"),
        r#"{"id": "company"}"#,
    );
    assert_eq!(made.0, 201, "{}", made.1);
    let deeds = house.gateway.store().audit(0, 1000).expect("the trail");
    let actors: Vec<_> = deeds.iter().rev().take(3).map(|deed| deed.actor.as_str()).collect();
    assert_eq!(actors, ["operator:company", "admin_certificate:company", "certificate:company"]);
}

#[test]
fn without_a_good_certificate_nothing_is_made_and_nothing_is_read() {
    let house = House::new();
    for file in [None, Some("rogue")] {
        for (method, rest, body) in [("POST", "", EXAMPLE), ("GET", "", ""), ("DELETE", "1/", "")] {
            let (status, page) = house.admin(file, method, rest, body);
            assert!(status == 400 && page.contains("SSL certificate"), "{file:?} {method}: {page}");
        }
    }
    assert_eq!(house.gateway.store().state().expect("the state").entries["account"], 0);
}
