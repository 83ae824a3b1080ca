use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::endpoint::stage::{Said, Stage};
use crate::record::{Directory, Kind};
use crate::refusal::{Cause, Refusal};
use crate::store::Resource;

const USERS: &str = "/api/v2/admin/users/";
const ROOT: (Kind, &str) = (Kind::AdminCertificate, "root");

impl Stage {
    fn users(&self, method: Method, rest: &str, body: impl Into<Option<Value>>) -> Result<Said, Refusal> {
        let body = body.into();
        self.ask("vxg_users", ROOT, (method, &format!("{USERS}{rest}")), body.as_ref())
    }

    fn opens(&self, key: &str) -> bool {
        let record = self.sample.store.index().look_up(Kind::LicenseKey, key.as_bytes());
        record.is_some_and(|record| record.expires().is_none_or(|end| end > self.sample.clock.unix()))
    }
}

fn key(user: &Value) -> String {
    user["license_key"]["value"].as_str().expect("a license key").to_owned()
}

/// The body of the vendor's own example, with the blank before `limits`.
fn example() -> Value {
    json!({
        "suid": "user_id", "usrc": "Company_name", "license_key": { "value": "LICENSEKEY" },
        " limits": { "hosted_cameras": 100 }
    })
}

#[test]
fn a_user_lives_from_post_to_delete() {
    let stage = Stage::new();
    let made = stage.users(Method::POST, "", Some(example())).unwrap();
    assert_eq!(made.status, StatusCode::CREATED);
    let id = made.body["id"].as_u64().expect("a whole number").to_string();
    assert_eq!(
        made.body,
        json!({
            "id": made.body["id"], "suid": "user_id", "usrc": "Company_name", "license_key": { "value": "LICENSEKEY" },
            "limits": { "hosted_cameras": 100 }, "disabled": false, "created": "2027-01-15T08:00:00Z",
        })
    );
    assert!(stage.opens("LICENSEKEY"));
    let shown = |rest: &str| stage.users(Method::GET, rest, None).unwrap().body;
    assert_eq!(shown(&format!("{id}/")), made.body);
    assert_eq!(shown(&id), made.body, "the slash may be missing");
    assert_eq!(shown("?suid=user_id")["objects"], json!([made.body]));
    assert_eq!(shown("?license_key=LICENSEKEY")["objects"], json!([made.body]));
    assert_eq!(shown("?license_key=LICENSEKEY&suid=acme")["objects"], json!([]));
    assert_eq!(shown("?suid=nobody")["meta"]["total_count"], 0);

    // Everything it owns goes with it.
    let owner = (Kind::LicenseKey, "LICENSEKEY");
    stage.ask("vxg_tokens", owner, (Method::POST, "/api/v3/channels/"), Some(&json!({}))).unwrap();
    assert_eq!(stage.users(Method::DELETE, &format!("{id}/"), None).unwrap().status, StatusCode::NO_CONTENT);
    assert!(!stage.opens("LICENSEKEY"));
    assert_eq!(stage.users(Method::GET, &format!("{id}/"), None).unwrap_err().cause, Cause::NotFound);
    let left = stage.sample.store.state().unwrap().entries;
    assert_eq!((left["account"], left["license_key"], left["camera"], left["token"]), (3, 2, 0, 0));
}

#[test]
fn a_license_key_is_made_where_none_is_given_and_made_anew_when_asked_for() {
    let stage = Stage::new();
    let made = stage.users(Method::POST, "", Some(json!({ "suid": 7 }))).unwrap().body;
    assert_eq!(
        (&made["suid"], &made["usrc"], &made["limits"]["hosted_cameras"]),
        (&json!("7"), &json!(null), &json!(null))
    );
    let first = key(&made);
    assert!(stage.opens(&first));
    let put = |body: Value| stage.users(Method::PUT, &format!("{}/", made["id"]), Some(body)).unwrap().body;
    // What is not named stays, and what was shown may come back.
    for body in [json!({}), json!({ "usrc": "Company" }), made.clone(), json!({ "license_key": { "value": first } })] {
        assert_eq!(key(&put(body)), first);
    }
    let mut before = first;
    for body in
        [json!({ "license_key": null }), json!({ "license_key": {} }), json!({ "license_key": { "value": null } })]
    {
        let next = key(&put(body));
        assert!(next != before && stage.opens(&next) && !stage.opens(&before), "the one before ends at once");
        before = next;
    }
    assert_eq!(key(&put(json!({ "license_key": { "value": "v3.X9tKpuXq0btatj" } }))), "v3.X9tKpuXq0btatj");
    assert!(!stage.opens(&before));
    let changed = put(json!({ "limits": { "hosted_cameras": 5 }, "disabled": true, "suid": "eight" }));
    assert_eq!((&changed["limits"]["hosted_cameras"], &changed["disabled"]), (&json!(5), &json!(true)));
    let named =
        stage.users(Method::PUT, "?suid=eight", Some(json!({ "limits": { "hosted_cameras": null } }))).unwrap().body;
    assert_eq!((&named["limits"]["hosted_cameras"], &named["suid"]), (&json!(null), &json!("eight")));
    assert_eq!(stage.users(Method::DELETE, "?suid=eight", None).unwrap().status, StatusCode::NO_CONTENT);
}

#[test]
fn what_is_taken_is_a_conflict_and_leaves_nothing_behind() {
    let stage = Stage::new();
    stage.users(Method::POST, "", Some(example())).unwrap();
    for (body, said) in [
        (example(), "`suid`: another user has it"),
        (
            json!({ "suid": "other", "license_key": { "value": "LICENSEKEY" } }),
            "`license_key.value`: another user has it",
        ),
    ] {
        let refused = stage.users(Method::POST, "", Some(body)).unwrap_err();
        assert_eq!((refused.cause, refused.said.as_deref()), (Cause::Conflict, Some(said)));
    }
    let entries = stage.sample.store.state().unwrap().entries;
    assert_eq!((entries["account"], entries["license_key"]), (4, 3));
    let refused = stage.users(Method::DELETE, "ops/", None).unwrap_err();
    assert_eq!(refused.cause, Cause::Conflict, "the account of the caller's own certificate");
}

#[test]
fn a_wrong_body_is_told_by_its_member() {
    let stage = Stage::new();
    for (body, member) in [
        (json!({ "suid": ["x"] }), "`suid`"),
        (json!({ "suid": "" }), "`suid`"),
        (json!({ "suid": "a\nb" }), "`suid`"),
        (json!({ "usrc": 1 }), "`usrc`"),
        (json!({ "license_key": "LICENSEKEY" }), "`license_key`"),
        (json!({ "license_key": { "value": 5 } }), "`license_key.value`"),
        (json!({ "license_key": { "value": "two words" } }), "`license_key.value`"),
        (json!({ "limits": 100 }), "`limits`"),
        (json!({ "limits": { "hosted_cameras": "100" } }), "`limits.hosted_cameras`"),
        (json!({ "limits": { "hosted_cameras": -1 } }), "`limits.hosted_cameras`"),
        (json!({ "disabled": "yes" }), "`disabled`"),
        (json!({ "disabled": null }), "`disabled`"),
        (json!([]), "the body is a JSON object"),
    ] {
        let refused = stage.users(Method::POST, "", Some(body.clone())).unwrap_err();
        let said = refused.said.unwrap_or_default();
        assert!(refused.cause == Cause::InvalidContent && said.starts_with(member), "{body}: {said}");
    }
    assert_eq!(stage.sample.store.state().unwrap().entries["account"], 3);
    for (rest, member) in [("?limit=x", "`limit`"), ("?suid=a&suid=b", "`suid`")] {
        assert!(stage.users(Method::GET, rest, None).unwrap_err().said.unwrap().starts_with(member), "{rest}");
    }
    let refused = stage.users(Method::PUT, "", Some(json!({}))).unwrap_err();
    assert!(refused.said.unwrap().contains("which user is meant"));
}

#[test]
fn users_come_in_pages() {
    let stage = Stage::new();
    for number in 0..4 {
        stage.users(Method::POST, "", Some(json!({ "suid": format!("suid-{number}") }))).unwrap();
    }
    let (mut seen, mut rest) = (Vec::new(), Some("?limit=3".to_owned()));
    while let Some(page) = rest {
        let body = stage.users(Method::GET, &page, None).unwrap().body;
        assert_eq!((&body["meta"]["total_count"], &body["meta"]["limit"]), (&json!(7), &json!(3)));
        seen.extend(body["objects"].as_array().unwrap().iter().map(|user| user["suid"].as_str().unwrap().to_owned()));
        rest = body["meta"]["next"].as_str().map(|next| next.strip_prefix(USERS).unwrap().to_owned());
    }
    seen.sort_unstable();
    assert_eq!(seen, ["acme", "ops", "rival", "suid-0", "suid-1", "suid-2", "suid-3"]);
    let imported = stage.users(Method::GET, "acme/", None).unwrap().body;
    assert_eq!((&imported["id"], key(&imported)), (&json!("acme"), "acme".to_owned()));
    assert_eq!(stage.users(Method::GET, "ops/", None).unwrap().body["license_key"], json!(null));
}

#[test]
fn only_a_certificate_opens_it_and_the_trail_names_its_holder() {
    let stage = Stage::new();
    for (method, rest) in [
        (Method::GET, ""),
        (Method::POST, ""),
        (Method::GET, "acme/"),
        (Method::PUT, "acme/"),
        (Method::DELETE, "acme/"),
        (Method::PUT, "?suid=acme"),
        (Method::DELETE, "?suid=acme"),
    ] {
        let target = format!("{USERS}{rest}");
        let body = (method != Method::GET).then(|| json!({}));
        let refused = stage.ask("vxg_users", (Kind::LicenseKey, "acme"), (method, &target), body.as_ref()).unwrap_err();
        assert_eq!(refused.cause, Cause::PermissionDenied, "{target}");
    }
    stage.users(Method::POST, "", Some(example())).unwrap();
    let deeds = stage.sample.store.audit(0, 1000).unwrap();
    assert_eq!(deeds.last().unwrap().actor, "admin_certificate:root");
    let shown = stage.sample.store.named(Resource::Account, "", "user_id").unwrap().unwrap();
    assert_eq!(shown.document["metadata"], json!({ "usrc": "Company_name" }));
}

#[test]
fn another_path_or_method_is_refused_in_words_of_the_house() {
    let stage = Stage::new();
    assert_eq!(stage.users(Method::GET, "acme/keys/", None).unwrap_err().cause, Cause::NotFound);
    assert_eq!(stage.users(Method::PATCH, "acme/", None).unwrap_err().cause, Cause::MethodNotAllowed);
}

#[test]
fn a_request_that_any_page_could_send_with_the_certificate_makes_nothing() {
    let stage = Stage::new();
    let users = || stage.users(Method::GET, "", None).unwrap().body["meta"]["total_count"].clone();
    let before = users();
    assert_eq!(stage.users(Method::POST, "", None).unwrap_err().cause, Cause::UnsupportedMediaType);
    assert_eq!(users(), before);
    assert_eq!(stage.users(Method::POST, "", Some(json!({}))).unwrap().status, StatusCode::CREATED);
}
