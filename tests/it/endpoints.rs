//! Endpoints of the house from the street: what a license key can do with its account's cameras, groups and tokens, and
//! what a customer is shown of the own terms, by HTTP alone.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vidgate::clock::Clock;
use vidgate::config;
use vidgate::store::{Actor, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

use crate::house::{START, TestGateway};
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const ROUTES: &str = r#"
[scheme.license.lkey]
[scheme.camera.acc]
[scheme.api.basic]
tls_only = false
[scheme.page.key]

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[endpoint.vxg_tokens]
cam = "cam.example.test"

[[account]]
id = "declared"
license_key = [{ id = "declared", key = "declared-key" }]

[[route]]
name = "channels"
path = "/api/v3/{*rest}"
authenticate = "license"
endpoint = "vxg_tokens"
dialect = "vxg"

[[route]]
name = "cameras"
path = "/api/v2/cameras/{*rest}"
authenticate = "license"
endpoint = "vxg_tokens"
dialect = "vxg"
max_body = "64 KiB"

[[route]]
name = "live"
path = "/api/v4/{*rest}"
authenticate = "camera"
forward = "api"
dialect = "vxg"

[[route]]
name = "usage"
path = "/account/usage"
authenticate = "api or page or camera"
scope = { read = ["client", "all"] }
endpoint = "usage"
limits = ["hourly"]
dialect = "message"

[limit.hourly]
quota = "100000/hour"
per = "account"
"#;

pub struct Ground {
    pub gateway: TestGateway,
    pub upstream: Upstream,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same with more routes.
    pub fn with(more: &str) -> Self {
        Self::of(&format!("{ROUTES}{more}"))
    }

    /// With all of this beside the upstream.
    fn of(routes: &str) -> Self {
        let (folder, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
        std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
        let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
        Store::create(&settings, &key).expect("a store");
        let master = Master { key, file: None };
        processes::settle();
        let store = Store::open(&settings, master, Clock::manual(START), Purpose::Serve).expect("it opens");
        let quota = json!({ "hour": 500 });
        let addresses = json!(["127.0.0.1", "10.0.0.0/8"]);
        create(&store, Resource::Account, json!({ "id": "acme", "quota": quota, "addresses": addresses }));
        create(&store, Resource::Account, json!({ "id": "rival" }));
        for account in ["acme", "rival"] {
            create(&store, Resource::LicenseKey, json!({ "id": account, "account": account, "key": account }));
            let client = json!({ "id": format!("{account}-api"), "account": account, "secret": "secret-of-a-client" });
            create(&store, Resource::ApiClient, client);
        }
        drop(store);
        let toml = format!(
            "[listener.public]\naddress = \"127.0.0.1:0\"\n[upstream.api]\nendpoints = [\"http://{}\"]\n{routes}",
            upstream.address()
        );
        Self { gateway: TestGateway::start_in(&toml, folder.path(), 2), upstream, _folder: folder }
    }

    /// Asks with an `Authorization` field.
    pub fn ask(&self, method: &str, target: &str, authorization: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        let typed = body.as_ref().map_or_else(String::new, |body| {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        });
        let head = format!("{method} {target} HTTP/1.1\r\nHost: gw.example.test\r\nAuthorization: {authorization}\r\n");
        self.gateway.connect().ask(format!("{head}{typed}\r\n{}", body.unwrap_or_default()))
    }

    /// Asks as `acme`, and says the status and the body.
    pub fn acme(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        read(&self.ask(method, target, "LKey acme", (!body.is_null()).then_some(body)))
    }

    /// The status of a request to the upstream with this access token.
    fn opens(&self, token: &Value) -> u16 {
        let token = token.as_str().expect("a token");
        self.ask("GET", "/api/v4/live/watch/", &format!("Acc {token}"), None).status
    }
}

fn create(store: &Store, resource: Resource, document: Value) {
    let Value::Object(document) = document else { unreachable!("tests write objects") };
    let operations = vec![Operation::Create { resource, document, versions: Vec::new() }];
    let request = Request { actor: Actor("local:0".to_owned()), operations, idempotency: None };
    store.apply(request).expect("it is done");
}

fn read(answer: &Answer) -> (u16, Value) {
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some());
    (
        answer.status,
        if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).expect("JSON") },
    )
}

fn outer(token: &Value) -> Value {
    let bytes = STANDARD.decode(token.as_str().expect("a token")).expect("base64 with padding");
    serde_json::from_slice(&bytes).expect("JSON")
}

pub const CHANNELS: &str = "/api/v3/channels/";

#[test]
fn a_camera_lives_from_post_to_delete_and_its_tokens_open_the_upstream() {
    let ground = Ground::new();
    let (status, made) = ground.acme("POST", CHANNELS, &json!({ "name": "Hall", "timezone": "UTC" }));
    assert_eq!((status, &made["name"]), (201, &json!("Hall")));
    let id = made["id"].as_u64().expect("a whole number");
    let tokens = &made["access_tokens"];
    for access in ["all", "watch"] {
        let outer = outer(&tokens[access]);
        assert_eq!((&outer["camid"], &outer["access"]), (&json!(id), &json!(access)));
        assert_eq!((&outer["api"], &outer["cam"]), (&json!("gw.example.test"), &json!("cam.example.test")));
        assert_eq!(ground.opens(&tokens[access]), 200);
    }
    assert_eq!(ground.upstream.seen()[0].header("x-vidgate-account"), Some("acme"));
    // What watches does not write.
    let watching = format!("Acc {}", tokens["watch"].as_str().expect("a token"));
    assert_eq!(ground.ask("PUT", "/api/v4/live/watch/", &watching, Some(&json!({}))).status, 403);

    // Shown again as it was, in either words, and in the list.
    let one = format!("{CHANNELS}{id}/");
    for target in [&one, &format!("/api/v2/cameras/{id}/"), &format!("{CHANNELS}{id}")] {
        assert_eq!(ground.acme("GET", target, &Value::Null), (200, made.clone()));
    }
    let (_, list) = ground.acme("GET", CHANNELS, &Value::Null);
    assert_eq!(list["objects"], json!([made]));
    assert_eq!(list["meta"], json!({ "limit": 20, "offset": 0, "total_count": 1, "next": null, "previous": null }));
    let head = ground.gateway.connect();
    let mut head = head;
    head.send(format!("HEAD {one} HTTP/1.1\r\nHost: a\r\nAuthorization: LKey acme\r\nConnection: close\r\n\r\n"));
    let answered = head.head();
    assert!(answered.status == 200 && answered.header("content-length").is_some_and(|length| length != "0"));
    assert!(head.is_closed(), "no body");

    assert_eq!(ground.acme("PUT", &one, &json!({ "name": "Door" })).1["access_tokens"], made["access_tokens"]);
    assert_eq!(ground.acme("DELETE", &one, &Value::Null), (204, Value::Null));
    assert_eq!(ground.acme("GET", &one, &Value::Null).0, 404);
    assert_eq!((ground.opens(&tokens["all"]), ground.opens(&tokens["watch"])), (401, 401));
}

#[test]
fn a_changed_token_is_refused_on_the_next_request() {
    let ground = Ground::new();
    let (_, made) = ground.acme("POST", CHANNELS, &json!({}));
    let one = format!("{CHANNELS}{}/", made["id"]);
    let before = made["access_tokens"].clone();
    // What was shown may come back; nobody's own text becomes a token.
    assert_eq!(ground.acme("PUT", &one, &made).1, made);
    for text in ["share.x", &before["watch"].as_str().expect("a token")[..40]] {
        let (status, refused) = ground.acme("PUT", &one, &json!({ "access_tokens": { "all": text } }));
        assert_eq!(
            (status, refused["errorDetail"].as_str()),
            (400, Some("`access_tokens.all`: this is the token that is there, or null for a new one"))
        );
    }
    let (_, changed) = ground.acme("PUT", &one, &json!({ "access_tokens": { "all": null } }));
    assert_eq!(changed["access_tokens"]["watch"], before["watch"]);
    assert_eq!((ground.opens(&before["all"]), ground.opens(&before["watch"])), (401, 200));
    assert_eq!(ground.opens(&changed["access_tokens"]["all"]), 200);
    let (_, both) = ground.acme("PUT", &one, &json!({ "access_tokens": null }));
    let after = &both["access_tokens"];
    assert_eq!((ground.opens(&changed["access_tokens"]["all"]), ground.opens(&before["watch"])), (401, 401));
    assert_eq!((ground.opens(&after["all"]), ground.opens(&after["watch"])), (200, 200));
    let deeds = ground.gateway.store().audit(0, 1000).expect("the trail");
    assert_eq!(deeds.last().expect("a deed").actor, "license_key:acme");
}

#[test]
fn a_sharing_has_an_end_a_switch_and_a_token_of_its_own() {
    let ground = Ground::new();
    let (_, made) = ground.acme("POST", "/api/v2/cameras/", &json!({}));
    let all = format!("/api/v2/cameras/{}/sharings/", made["id"]);
    assert_eq!(ground.acme("GET", &all, &Value::Null).1["meta"]["total_count"], 2);
    let asked = json!({ "access": ["watch", "live"], "expire": "2025-01-01T01:00:00", "include_public": true });
    let (status, sharing) = ground.acme("POST", &all, &asked);
    assert_eq!(status, 201);
    for (member, value) in asked.as_object().expect("an object") {
        assert_eq!(&sharing[member], value, "{member}");
    }
    assert_eq!((&sharing["enabled"], ground.opens(&sharing["token"])), (&json!(true), 200));
    let one = format!("{all}{}/", sharing["id"]);
    let put = |body: Value| ground.acme("PUT", &one, &body);
    assert_eq!(put(json!({ "enabled": false })).0, 200);
    assert_eq!(put(json!({ "enabled": null })).0, 400, "what is switched off stays so");
    assert_eq!(ground.opens(&sharing["token"]), 401);
    assert_eq!(put(sharing.clone()), (200, sharing.clone()));
    assert_eq!(ground.opens(&sharing["token"]), 200);
    ground.gateway.advance(Duration::from_hours(1));
    assert_eq!(ground.opens(&sharing["token"]), 401, "its time is over");
    let (_, endless) = put(json!({ "expire": null, "token": null }));
    assert_eq!((&endless["expire"], ground.opens(&sharing["token"])), (&Value::Null, 401));
    assert_eq!(ground.opens(&endless["token"]), 200);
    // Another camera's path does not lead to it.
    let (_, other) = ground.acme("POST", "/api/v2/cameras/", &json!({}));
    let astray = format!("/api/v2/cameras/{}/sharings/{}/", other["id"], sharing["id"]);
    assert_eq!(ground.acme("GET", &astray, &Value::Null).0, 404);
    assert_eq!(ground.acme("DELETE", &one, &Value::Null).0, 204);
    assert_eq!((ground.acme("GET", &one, &Value::Null).0, ground.opens(&endless["token"])), (404, 401));
    for (body, member) in [
        (json!({ "access": [] }), "`access`"),
        (json!({ "access": null }), "`access`"),
        (json!({ "access": "two words" }), "`access`"),
        (json!({ "expire": "tomorrow" }), "`expire`"),
        (json!({ "enabled": 1 }), "`enabled`"),
        (json!({ "enabled": null }), "`enabled`"),
    ] {
        let (status, refused) = ground.acme("POST", &all, &body);
        let said = refused["errorDetail"].as_str().expect("a sentence");
        assert!(status == 400 && said.starts_with(member), "{said}");
    }
}

#[test]
fn a_token_is_renewed_however_many_others_there_are() {
    let group = "[scheme.group.si]\n[[route]]\nname = \"group\"\npath = \"/api/v5/{*rest}\"\nauthenticate = \"group\"\n\
         forward = \"api\"\n";
    let ground = Ground::with(group);
    let opens = |token: &Value| {
        let token = format!("SI {}", token.as_str().expect("a token"));
        ground.ask("GET", "/api/v5/live/", &token, None).status
    };
    let (_, made) = ground.acme("POST", CHANNELS, &json!({}));
    let (_, group) = ground.acme("POST", "/api/v3/channel_groups/", &json!({ "channels": [made["id"]] }));
    let id = |value: &Value| value["id"].to_string();
    ground.gateway.advance(Duration::from_secs(1));
    for number in 0..150 {
        // Before all others by their ids, and after them by their age.
        for (of, id) in [("camera", id(&made)), ("group", id(&group))] {
            let token = format!("share.e{number:03}.61a964c3tbc1fab00.{of:A<26}A");
            let document = json!({ "id": format!("!{of}-{number:03}"), of: id, "token": token, "scopes": ["all"] });
            create(ground.gateway.store(), Resource::Token, document);
        }
    }
    let there = || ground.gateway.store().state().expect("it answers").entries["token"];
    let before = there();
    let one = format!("{CHANNELS}{}/", made["id"]);
    assert_eq!(ground.acme("GET", &one, &Value::Null).1, made);
    let (_, changed) = ground.acme("PUT", &one, &json!({ "access_tokens": { "all": null } }));
    let (old, new) = (&made["access_tokens"]["all"], &changed["access_tokens"]["all"]);
    assert_eq!((ground.opens(old), ground.opens(new)), (401, 200));
    let one = format!("/api/v3/channel_groups/{}/", group["id"]);
    let (_, changed) = ground.acme("PUT", &one, &json!({ "token": null }));
    assert_eq!((opens(&group["token"]), opens(&changed["token"])), (401, 200));
    assert_eq!(there(), before, "no sharing has come");
    assert_eq!(ground.acme("DELETE", &one, &Value::Null).0, 204);
    assert_eq!(ground.acme("DELETE", &format!("{CHANNELS}{}/", made["id"]), &Value::Null).0, 204);
    assert_eq!(there(), 0);
}

#[test]
fn a_camera_has_so_many_sharings_and_not_one_more() {
    let ground = Ground::new();
    let (_, made) = ground.acme("POST", CHANNELS, &json!({}));
    let all = format!("/api/v2/cameras/{}/sharings/", made["id"]);
    for _ in 2..95 {
        assert_eq!(ground.acme("POST", &all, &json!({})).0, 201);
    }
    // All at once.
    let head = format!("POST {all} HTTP/1.1\r\nHost: a\r\nAuthorization: LKey acme\r\n");
    let asked = format!("{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
    let mut wires: Vec<_> = (0..20).map(|_| ground.gateway.connect()).collect();
    for wire in &mut wires {
        wire.send(&asked);
    }
    let made_of = wires.iter_mut().map(Wire::answer).filter(|answer| answer.status == 201).count();
    assert_eq!(made_of, 5);
    let (status, refused) = ground.acme("POST", &all, &json!({}));
    assert_eq!((status, refused["errorDetail"].as_str()), (403, Some("a camera or a group has at most 100 sharings")));
    // Nor by another way: what stood for the channel's token stands for something else now.
    let (_, listed) = ground.acme("GET", &format!("{all}?limit=100"), &Value::Null);
    let of_all =
        listed["objects"].as_array().expect("objects").iter().find(|sharing| sharing["access"] == json!(["all"]));
    let sharing = format!("{all}{}/", of_all.expect("the channel's own")["id"]);
    assert_eq!(ground.acme("PUT", &sharing, &json!({ "access": ["live"] })).0, 200);
    let one = format!("{CHANNELS}{}/", made["id"]);
    assert_eq!(ground.acme("PUT", &one, &json!({ "access_tokens": { "all": null } })).0, 403);
    assert_eq!(ground.acme("DELETE", &sharing, &Value::Null).0, 204);
    assert_eq!(ground.acme("PUT", &one, &json!({ "access_tokens": { "all": null } })).0, 200);
}

#[test]
fn with_a_verification_key_a_token_is_renewed_in_the_second_it_was_made() {
    let key = "verification_key = { file = \"master.key\" }\ncam = ";
    let ground = Ground::of(&ROUTES.replace("cam = ", key));
    let (_, made) = ground.acme("POST", CHANNELS, &json!({}));
    let one = format!("{CHANNELS}{}/", made["id"]);
    let mut tokens = vec![made["access_tokens"]["all"].clone()];
    for _ in 0..3 {
        let (status, changed) = ground.acme("PUT", &one, &json!({ "access_tokens": { "all": null } }));
        assert_eq!(status, 200, "{changed}");
        tokens.push(changed["access_tokens"]["all"].clone());
    }
    let (last, before) = tokens.split_last().expect("there are four");
    assert_eq!(ground.opens(last), 200);
    assert!(before.iter().all(|token| ground.opens(token) == 401));
}

#[test]
fn a_group_holds_the_accounts_own_cameras_and_loses_those_that_go() {
    let ground = Ground::new();
    let camera = || ground.acme("POST", CHANNELS, &json!({})).1["id"].clone();
    let (first, second) = (camera(), camera());
    let groups = "/api/v3/channel_groups/";
    let asked = json!({ "name": "Floor", "channels": [first, second], "channels_access": "watch" });
    let (status, group) = ground.acme("POST", groups, &asked);
    assert_eq!((status, &group["name"], &group["channels_access"]), (201, &asked["name"], &asked["channels_access"]));
    let token = outer(&group["token"]);
    assert!(token.get("camid").is_none() && token["token"].as_str().is_some_and(|inner| inner.starts_with("share.")));
    let one = format!("{groups}{}/", group["id"]);
    assert_eq!(ground.acme("GET", &one, &Value::Null), (200, group.clone()));
    assert_eq!(ground.acme("GET", groups, &Value::Null).1["objects"], json!([group]));
    let (_, changed) = ground.acme("PUT", &one, &json!({ "token": null }));
    assert_ne!(changed["token"], group["token"]);
    assert_eq!(ground.acme("DELETE", &format!("{CHANNELS}{first}/"), &Value::Null).0, 204);
    assert_eq!(ground.acme("GET", &one, &Value::Null).1["channels"], json!([second]));
    assert_eq!(ground.acme("DELETE", &one, &Value::Null).0, 204);
    assert_eq!(ground.acme("GET", &format!("{CHANNELS}{second}/"), &Value::Null).0, 200);
}

#[test]
fn what_belongs_to_another_account_is_not_there() {
    let ground = Ground::new();
    let (_, camera) = ground.acme("POST", CHANNELS, &json!({}));
    let (_, group) = ground.acme("POST", "/api/v3/channel_groups/", &json!({ "channels": [camera["id"]] }));
    let sharings = format!("/api/v2/cameras/{}/sharings/", camera["id"]);
    let (_, sharing) = ground.acme("POST", &sharings, &json!({}));
    let rival = |method: &str, target: &str, body: Value| {
        let answer = ground.ask(method, target, "LKey rival", (!body.is_null()).then_some(&body));
        read(&answer)
    };
    for target in [
        format!("{CHANNELS}{}/", camera["id"]),
        format!("/api/v2/cameras/{}/", camera["id"]),
        format!("{sharings}{}/", sharing["id"]),
        format!("/api/v3/channel_groups/{}/", group["id"]),
    ] {
        for (method, body) in [("GET", Value::Null), ("PUT", json!({ "name": "mine" })), ("DELETE", Value::Null)] {
            let (status, refused) = rival(method, &target, body);
            assert_eq!((status, &refused["errorType"]), (404, &json!("not_found")), "{method} {target}");
        }
    }
    assert_eq!((rival("GET", &sharings, Value::Null).0, rival("POST", &sharings, json!({})).0), (404, 404));
    for list in [CHANNELS, "/api/v2/cameras/", "/api/v3/channel_groups/"] {
        assert_eq!(rival("GET", list, Value::Null).1["meta"]["total_count"], 0, "{list}");
    }
    // One that is another's is refused in the words of one that is not there at all.
    let taken = rival("POST", "/api/v3/channel_groups/", json!({ "channels": [camera["id"]] }));
    assert_eq!(taken, rival("POST", "/api/v3/channel_groups/", json!({ "channels": [1] })));
    assert_eq!(taken.0, 400);
}

#[test]
fn a_body_is_bounded_in_size_time_and_kind() {
    let ground = Ground::new();
    let post = |target: &str, more: &str| {
        let mut wire = ground.gateway.connect();
        wire.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: LKey acme\r\n{more}"));
        wire
    };
    let json_of = |length: usize| format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    // The route's own bound, and the house's where it has none; told or found out.
    assert_eq!(post("/api/v2/cameras/", &json_of((64 << 10) + 1)).last_answer().status, 413);
    assert_eq!(post(CHANNELS, &json_of((1 << 20) + 1)).last_answer().status, 413);
    let chunks = format!("10001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10001));
    let chunked = format!("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(post("/api/v2/cameras/", &chunked).answer().status, 413);
    let fits = format!("{{\"name\":\"Hall\",\"more\":\"{}\"}}", "x".repeat(60 << 10));
    assert_eq!(post("/api/v2/cameras/", &format!("{}{fits}", json_of(fits.len()))).answer().status, 201);

    let mut slow = post(CHANNELS, &format!("Expect: 100-continue\r\n{}", json_of(10)));
    assert_eq!(slow.head().status, 100, "the body is waited for");
    ground.gateway.advance(Duration::from_secs(31));
    assert_eq!(slow.last_answer().status, 408);

    for (kind, body, status) in [
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "name=Hall", 415),
        ("application/json", "name=Hall", 400),
        ("application/json", "{\"name\":1}", 400),
        ("application/json", "{\"name\":\"a\",\" name\":\"b\"}", 400),
        ("application/json", "{\" name \":\"Hall\"}", 201),
    ] {
        let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(post(CHANNELS, &more).answer().status, status, "{kind} {body}");
    }
}

#[test]
fn another_path_method_or_caller_is_refused_in_the_routes_dialect() {
    let ground = Ground::new();
    let (status, body) = ground.acme("GET", "/api/v3/statistics/", &Value::Null);
    assert_eq!((status, &body["errorType"]), (404, &json!("not_found")));
    let answer = ground.ask("PATCH", CHANNELS, "LKey acme", Some(&json!({})));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD,POST")));
    assert_eq!(read(&answer).1["errorType"], "method_not_allowed");
    assert_eq!(ground.ask("GET", CHANNELS, "LKey nobody", None).status, 401);
    // What a declared account would have cannot be kept.
    let declared = |method: &str, body| read(&ground.ask(method, CHANNELS, "LKey declared-key", body));
    assert_eq!(declared("GET", None).1["meta"]["total_count"], 0);
    let (status, body) = declared("POST", Some(&json!({})));
    assert!(status == 409 && body["errorDetail"].as_str().is_some_and(|said| said.contains("declared")), "{body}");
    assert!(ground.upstream.seen().is_empty());
}

#[test]
fn channels_come_in_pages() {
    let ground = Ground::new();
    for number in 0..3 {
        ground.acme("POST", CHANNELS, &json!({ "name": format!("Camera {number}") }));
    }
    let (_, first) = ground.acme("GET", &format!("{CHANNELS}?limit=2"), &Value::Null);
    assert_eq!(first["objects"].as_array().map(Vec::len), Some(2));
    let (_, last) = ground.acme("GET", first["meta"]["next"].as_str().expect("a next page"), &Value::Null);
    assert_eq!((last["objects"].as_array().map(Vec::len), &last["meta"]["next"]), (Some(1), &Value::Null));
    assert_eq!(last["meta"]["previous"], format!("{CHANNELS}?limit=2&offset=0"));
    assert_eq!(ground.acme("GET", &format!("{CHANNELS}?limit=-1"), &Value::Null).0, 400);
}

#[test]
fn customers_see_their_own_terms_and_nobody_elses() {
    let ground = Ground::new();
    let usage = |account: &str, target: &str| {
        let credential = STANDARD.encode(format!("{account}-api:secret-of-a-client"));
        read(&ground.ask("GET", target, &format!("Basic {credential}"), None))
    };
    let (status, own) = usage("acme", "/account/usage");
    assert_eq!(status, 200);
    assert_eq!(own["account"], "acme");
    assert_eq!(own["addresses"], json!(["127.0.0.1", "10.0.0.0/8"]));
    assert_eq!(own["quota"], json!({ "hour": 500, "day": null, "month": null }));
    let hourly = &own["quotas"][0];
    assert_eq!((&hourly["limit"], &hourly["quota"], &hourly["spent"]), (&json!("hourly"), &json!(500), &json!(1)));
    let (_, other) = usage("rival", "/account/usage?account=acme&id=acme");
    assert_eq!((&other["account"], &other["addresses"]), (&json!("rival"), &json!([])));
    assert_eq!((&other["quotas"][0]["quota"], &other["quotas"][0]["spent"]), (&json!(100_000), &json!(1)));
    let refused = ground.ask(
        "POST",
        "/account/usage",
        &format!("Basic {}", STANDARD.encode("acme-api:secret-of-a-client")),
        None,
    );
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(ground.ask("GET", "/account/usage", "Basic bm9ib2R5Onh4", None).status, 401);
    // What is public, and what the customer hands out, shows nothing of the customer.
    let mut page = ground.gateway.connect();
    assert_eq!(page.ask("GET /account/usage?apiKey=acme-api HTTP/1.1\r\nHost: a\r\n\r\n").status, 403);
    let (_, camera) = ground.acme("POST", CHANNELS, &json!({}));
    let token = format!("Acc {}", camera["access_tokens"]["all"].as_str().expect("a token"));
    assert_eq!(ground.ask("GET", "/account/usage", &token, None).status, 403);
}

#[test]
fn a_route_to_an_endpoint_is_checked_at_the_start() {
    let check = |route: &str| {
        let toml = format!(
            "[listener.public]\naddress = \"127.0.0.1:0\"\n[scheme.license.lkey]\n[scheme.page.key]\n[scheme.office.ip]\nnetworks = \
             [\"10.0.0.0/8\"]\n[upstream.api]\nendpoints = [\"http://127.0.0.1:1\"]\n[[route]]\nname = \"one\"\n\
             path = \"/\"\n{route}\n"
        );
        let base = tempfile::tempdir().expect("a folder");
        config::load_text("test.toml", &toml, base.path(), Purpose::Look)
            .map_or_else(|report| report.render(false), |_| String::new())
    };
    for (route, said) in [
        ("authenticate = \"license\"\nendpoint = \"vxg_token\"", "did you mean `vxg_tokens`?"),
        ("authenticate = \"license\"\nendpoint = \"vxg_tokens\"", "works on a store, and there is none"),
        ("authenticate = \"license\"\nendpoint = \"usage\"\nforward = \"api\"", "a route leads to one place"),
        ("authenticate = \"license\"\nendpoint = \"usage\"\nnot_implemented = true", "a route leads to one place"),
        ("authenticate = \"open\"\nendpoint = \"usage\"", "is for callers who are proven"),
        ("authenticate = \"office\"\nendpoint = \"usage\"", "ask for a scheme that proves an account"),
        (
            "authenticate = \"page\"\nscope = { read = [\"client\"] }\nendpoint = \"usage\"",
            "ask for a scheme that proves an account",
        ),
        ("authenticate = \"license\"\nendpoint = \"vxg_users\"", "ask for a scheme that proves `mtls`"),
        ("authenticate = \"license\"\nendpoint = \"usage\"\ncredential = \"keep\"", "leave `credential` out"),
    ] {
        let report = check(route);
        assert!(report.contains(said), "{route}: {report}");
    }
    assert_eq!(check("authenticate = \"license\"\nendpoint = \"usage\""), "");
}
