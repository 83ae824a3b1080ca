//! Tokens and cameras that `vxg_tokens` makes, at the routes that they are for: a group's token on the v5 API, and a
//! camera more than its account may have.

use serde_json::{Value, json};
use vidgate::store::{Actor, Operation, Request, Resource};

use crate::endpoints::{CHANNELS, Ground};

const GROUPS: &str = "/api/v3/channel_groups/";

const V5: &str = r#"
[scheme.group.si]

[[route]]
name = "members"
path = "/api/v5/channels/{id}/"
authenticate = "group"
forward = "api"
dialect = "vxg"
camera = { path = "id" }

[[route]]
name = "v5"
path = "/api/v5/{*rest}"
authenticate = "group"
forward = "api"
dialect = "vxg"
"#;

impl Ground {
    fn status(&self, target: &str, scheme: &str, token: &Value) -> u16 {
        let token = token.as_str().expect("a token");
        self.ask("GET", target, &format!("{scheme} {token}"), None).status
    }

    fn agree(&self, hosted_cameras: &Value) {
        let Value::Object(patch) = json!({ "limits": { "hosted_cameras": hosted_cameras } }) else { unreachable!() };
        let change = Operation::Change { resource: Resource::Account, id: "acme".to_owned(), patch, revision: None };
        let request = Request { actor: Actor("local:0".to_owned()), operations: vec![change], idempotency: None };
        self.gateway.store().apply(request).expect("it is done");
    }
}

#[test]
fn a_groups_token_opens_v5_for_its_members_until_it_is_changed() {
    let ground = Ground::with(V5);
    let camera = || ground.acme("POST", CHANNELS, &json!({})).1;
    let (inside, outside) = (camera(), camera());
    let (_, group) = ground.acme("POST", GROUPS, &json!({ "channels": [inside["id"]] }));
    let one = format!("{GROUPS}{}/", group["id"]);
    let all = "/api/v5/channels/?preview=true";
    let member = |camera: &Value| format!("/api/v5/channels/{}/", camera["id"]);
    let token = &group["token"];
    assert_eq!(ground.status(all, "SI", token), 200);
    assert_eq!(ground.upstream.only().header("x-vidgate-account"), Some("acme"));
    assert_eq!(
        (ground.status(&member(&inside), "SI", token), ground.status(&member(&outside), "SI", token)),
        (200, 403)
    );
    // A group's token is no camera's, nor the other way round; and neither is a license key.
    assert_eq!(ground.status("/api/v4/live/watch/", "Acc", token), 401);
    assert_eq!(ground.status(all, "SI", &inside["access_tokens"]["all"]), 401);
    assert_eq!(ground.status(all, "LKey", token), 401);

    // Who comes into the group, and who leaves it, does so for the next request.
    assert_eq!(ground.acme("PUT", &one, &json!({ "channels": [outside["id"]] })).0, 200);
    assert_eq!(
        (ground.status(&member(&inside), "SI", token), ground.status(&member(&outside), "SI", token)),
        (403, 200)
    );

    let (_, changed) = ground.acme("PUT", &one, &json!({ "token": null }));
    assert_eq!((ground.status(all, "SI", token), ground.status(all, "SI", &changed["token"])), (401, 200));
    // What it opens can be narrowed while the token stays.
    let put = json!({ "channels_access": "watch" });
    assert_eq!(ground.acme("PUT", &one, &put).1["token"], changed["token"]);
    let watching = format!("SI {}", changed["token"].as_str().expect("a token"));
    assert_eq!(ground.ask("PUT", &member(&outside), &watching, Some(&json!({}))).status, 403);
    assert_eq!(ground.status(all, "SI", &changed["token"]), 200);
    assert_eq!(ground.acme("DELETE", &one, &Value::Null).0, 204);
    assert_eq!(ground.status(all, "SI", &changed["token"]), 401);
}

#[test]
fn a_camera_more_than_the_account_may_have_is_refused() {
    let ground = Ground::new();
    let add = |path: &str| ground.acme("POST", path, &json!({}));
    ground.agree(&json!(2));
    let (_, first) = add(CHANNELS);
    assert_eq!(add("/api/v2/cameras/").0, 201);
    for path in [CHANNELS, "/api/v2/cameras/"] {
        let (status, refused) = add(path);
        assert_eq!((status, &refused["status"], &refused["errorType"]), (403, &json!(403), &json!("access_deny")));
    }
    // Nothing of what was refused is left behind, and another account is as free as before.
    assert_eq!(ground.acme("GET", CHANNELS, &Value::Null).1["meta"]["total_count"], 2);
    assert_eq!(ground.ask("POST", CHANNELS, "LKey rival", Some(&json!({}))).status, 201);
    assert_eq!(ground.acme("DELETE", &format!("{CHANNELS}{}/", first["id"]), &Value::Null).0, 204);
    assert_eq!((add(CHANNELS).0, add(CHANNELS).0), (201, 403));
    // A lower limit takes nothing away, and none is none.
    ground.agree(&json!(1));
    assert_eq!(add(CHANNELS).0, 403);
    assert_eq!(ground.acme("GET", CHANNELS, &Value::Null).1["meta"]["total_count"], 2);
    ground.agree(&Value::Null);
    assert_eq!(add(CHANNELS).0, 201);
}
