//! Who reaches which camera, through the sockets: on routes that say where its id stands, a token goes to its camera and
//! an account to its own; what changes in the store holds for the next request.

use serde_json::{Value, json};
use vidgate::store::{Actor, MasterKey, Operation, Request, Resource, Settings, Store};

use crate::credentials::{ACC, INNER, KEY};
use crate::house::{TestGateway, open};
use crate::upstream::Upstream;

/// A gateway with a store, and with one declared account beside it.
struct Ground {
    gateway: TestGateway,
    upstream: Upstream,
    _folder: tempfile::TempDir,
}

impl Ground {
    fn start() -> Self {
        let (folder, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
        std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
        let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        let gateway = TestGateway::start_in(&configuration(&upstream), folder.path(), 2);
        let ground = Self { gateway, upstream, _folder: folder };
        for (resource, document) in [
            (Resource::Account, json!({ "id": "acme" })),
            (Resource::Account, json!({ "id": "below", "parent": "acme" })),
            (Resource::LicenseKey, json!({ "id": "main", "account": "acme", "key": KEY })),
            (Resource::Camera, json!({ "id": "248527", "account": "acme" })),
            (Resource::Camera, json!({ "id": "4", "account": "below" })),
            (Resource::Token, json!({ "id": "door", "camera": "248527", "token": INNER })),
        ] {
            ground.create(resource, document);
        }
        ground
    }

    fn apply(&self, operation: Operation) {
        let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
        self.gateway.store().apply(request).expect("it is done");
    }

    fn create(&self, resource: Resource, document: Value) {
        let Value::Object(document) = document else { unreachable!("tests write objects") };
        self.apply(Operation::Create { resource, document, versions: Vec::new() });
    }

    fn change(&self, resource: Resource, id: &str, patch: Value) {
        let Value::Object(patch) = patch else { unreachable!("tests write objects") };
        self.apply(Operation::Change { resource, id: id.to_owned(), patch, revision: None });
    }

    fn delete(&self, resource: Resource, id: &str) {
        self.apply(Operation::Delete { resource, id: id.to_owned(), revision: None });
    }

    fn status(&self, target: &str, credential: &str) -> u16 {
        let authorization = format!("Authorization: {credential}\r\n");
        let authorization = if credential.is_empty() { "" } else { &authorization };
        self.gateway.connect().ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{authorization}\r\n")).status
    }
}

fn configuration(upstream: &Upstream) -> String {
    let route = |name: &str, path: &str, camera: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nauthenticate = \"camera or license or api\"\n\
             forward = \"api\"\ndialect = \"vxg\"\ncamera = {camera}\n\n"
        )
    };
    let routes = route("v2", "/api/v2/cameras/{id}/{*rest}", "{ path = \"id\" }")
        + &route("v4", "/api/v4/{*rest}", "{ query = [\"camid\", \"camera_id\"] }")
        + &route("loose", "/loose/cam-{id}.jpg", "{ path = \"id\", binds = \"tokens\" }");
    let more = r#"
[scheme.camera.acc]
[scheme.license.lkey]
[scheme.api.basic]
tls_only = false

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[[account]]
id = "declared"
license_key = [{ id = "declared", key = "declared-key" }]
camera = [
    { id = "80" }, { id = "81", disabled = true },
    { id = "82", expires = "2020-01-01T00:00:00Z" }, { id = "83", not_before = "2100-01-01T00:00:00Z" },
    { id = "84", not_before = "2020-01-01T00:00:00Z", expires = "2100-01-01T00:00:00Z" },
]
"#;
    open(upstream, "").replace("path = \"/{*rest}\"", "path = \"/open/{*rest}\"") + &routes + more
}

#[test]
fn a_camera_in_the_path_is_the_tokens_or_one_of_the_accounts() {
    let ground = Ground::start();
    let (acc, key, declared) = (format!("Acc {ACC}"), format!("LKey {KEY}"), "LKey declared-key");
    for (target, credential, status) in [
        ("/api/v2/cameras/248527/", acc.as_str(), 200),
        ("/api/v2/cameras/%32%348527/limits/", &acc, 200),
        ("/api/v2/cameras/248527/../4/", &acc, 403),
        ("/api/v2/cameras/4/", &acc, 403),
        ("/api/v2/cameras/0248527/", &acc, 403),
        ("/api/v2/cameras/248527/", &key, 200),
        ("/api/v2/cameras/4/", &key, 200),
        ("/api/v2/cameras/80/", &key, 403),
        ("/api/v2/cameras/77/", &key, 403),
        ("/api/v2/cameras/80/", declared, 200),
        ("/api/v2/cameras/81/", declared, 403),
        ("/api/v2/cameras/82/", declared, 403),
        ("/api/v2/cameras/83/", declared, 403),
        ("/api/v2/cameras/84/", declared, 200),
        ("/api/v2/cameras/248527/", declared, 403),
        ("/loose/cam-248527.jpg", &acc, 200),
        ("/loose/cam-4.jpg", &acc, 403),
        ("/loose/cam-77.jpg", &key, 200),
        ("/api/v2/cameras/248527/", "LKey unknown", 401),
        ("/api/v2/cameras/248527/", "", 401),
    ] {
        assert_eq!(ground.status(target, credential), status, "{target} {credential}");
    }
    let reached: Vec<_> = ground.upstream.seen().into_iter().map(|request| request.target).collect();
    let through = [
        "/api/v2/cameras/248527/",
        "/api/v2/cameras/248527/limits/",
        "/api/v2/cameras/248527/",
        "/api/v2/cameras/4/",
        "/api/v2/cameras/80/",
        "/api/v2/cameras/84/",
        "/loose/cam-248527.jpg",
        "/loose/cam-77.jpg",
    ];
    assert_eq!(reached, through, "and nobody else");
}

#[test]
fn a_camera_in_the_query_is_bound_where_it_is_named_and_named_once() {
    let ground = Ground::start();
    let (acc, key) = (format!("Acc {ACC}"), format!("LKey {KEY}"));
    let player = format!("/api/v4/live/watch/?token={INNER}");
    for (target, credential, status) in [
        ("/api/v4/live/watch/", acc.as_str(), 200),
        ("/api/v4/live/watch/", &key, 200),
        ("/api/v4/live/watch/?camid=248527&camera_id=248527", &acc, 200),
        ("/api/v4/live/watch/?camid=4", &acc, 403),
        ("/api/v4/live/watch/?camid=4", &key, 200),
        ("/api/v4/live/watch/?c%61mid=4", &acc, 403),
        ("/api/v4/live/watch/?camid=248527&camera_id=4", &key, 403),
        ("/api/v4/live/watch/?camid=", &key, 403),
        (&player, "", 200),
        (&format!("{player}&camid=248527"), "", 200),
        (&format!("{player}&camid=4"), "", 403),
    ] {
        assert_eq!(ground.status(target, credential), status, "{target} {credential}");
    }
}

#[test]
fn a_refusal_is_vxgs_own_and_says_nothing_of_whose_the_camera_is() {
    let ground = Ground::start();
    let ask = |id: &str| {
        let request = format!("GET /api/v2/cameras/{id}/ HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {KEY}\r\n\r\n");
        ground.gateway.connect().ask(request)
    };
    let (elsewhere, unknown) = (ask("80"), ask("77"));
    assert_eq!((elsewhere.status, elsewhere.text()), (403, unknown.text()));
    let body: Value = serde_json::from_str(elsewhere.text()).expect("JSON");
    assert_eq!((body["status"].as_u64(), body["errorType"].as_str()), (Some(403), Some("access_deny")));
}

#[test]
fn a_change_of_a_camera_holds_for_the_next_request() {
    let ground = Ground::start();
    let (acc, key) = (format!("Acc {ACC}"), format!("LKey {KEY}"));
    let statuses = || {
        let status = |id: &str, credential: &str| ground.status(&format!("/api/v2/cameras/{id}/"), credential);
        (status("248527", &acc), status("248527", &key), status("9", &key))
    };
    assert_eq!(statuses(), (200, 200, 403));
    ground.create(Resource::Camera, json!({ "id": "9", "account": "below" }));
    assert_eq!(statuses(), (200, 200, 200));
    ground.change(Resource::Camera, "248527", json!({ "disabled": true }));
    assert_eq!(statuses(), (401, 403, 200), "its tokens are dead, and nobody reaches it");
    ground.change(Resource::Camera, "248527", json!({ "disabled": false }));
    ground.change(Resource::Account, "below", json!({ "parent": null }));
    assert_eq!(statuses(), (200, 200, 403), "what is not below any more is not held");
    ground.change(Resource::Account, "below", json!({ "parent": "acme" }));
    ground.delete(Resource::Camera, "9");
    assert_eq!(statuses(), (200, 200, 403));
}
