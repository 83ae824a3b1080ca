//! What is asked for is done, once, and told in full.

use super::*;

#[test]
fn what_is_made_is_told_with_its_place_its_tag_and_its_secret_once() {
    let house = House::with_account();
    let made = house.post("/v1/license-keys", &json!({ "id": "main", "account": "acme", "name": "front desk" }));
    let document = made.expect(201);
    assert_eq!(made.header("location"), Some("/v1/license-keys/main"));
    assert_eq!(made.header("etag"), Some("\"1\""));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    assert_eq!(made.header("idempotency-replayed"), None);
    let key = document["key"].as_str().expect("the key is shown");
    assert!(key.starts_with("vgl_"), "{document}");
    for path in ["/v1/license-keys/main", "/v1/license-keys/front%20desk", "/v1/license-keys", "/v1/audit", "/v1/store"]
    {
        let reply = house.get(path);
        reply.expect(200);
        assert!(!String::from_utf8_lossy(&reply.body).contains(key), "{path} shows the key again");
    }
    let shown = house.get("/v1/license-keys/main");
    assert_eq!((shown.header("etag"), shown.json()["status"].as_str()), (Some("\"1\""), Some("active")));
    let given =
        house.post("/v1/users", &json!({ "account": "acme", "login": "ann", "key": "her own key" })).expect(201);
    assert_eq!(given.get("key"), None, "what the caller gave is not sent back");
}

#[test]
fn a_change_is_a_merge_patch_under_the_tag_that_was_read() {
    let house = House::with_account();
    let tagged = |body: &Value, tag: &str| {
        house.ask(Method::PATCH, "/v1/accounts/acme").json(body).header("if-match", tag).send()
    };
    let changed = tagged(&json!({ "name": "Acme", "quota": { "hour": 5, "day": 9 } }), "\"1\"");
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, Some("\"2\"")));
    tagged(&json!({ "name": "Lost" }), "\"1\"").is_problem(412, Some("If-Match"));
    let patch = json!({ "quota": { "hour": null } });
    let patched = house
        .ask(Method::PATCH, "/v1/accounts/acme")
        .raw("application/merge-patch+json", patch.to_string().as_bytes())
        .send()
        .expect(200);
    assert_eq!((patched["name"].as_str(), patched["revision"].as_u64()), (Some("Acme"), Some(3)), "{patched}");
    assert_eq!((&patched["quota"]["hour"], &patched["quota"]["day"]), (&Value::Null, &json!(9)), "{patched}");
    let anyhow = tagged(&json!({ "name": null }), "*").expect(200);
    assert_eq!(anyhow.get("name"), None);
}

#[test]
fn entries_are_switched_off_and_on_and_taken_away() {
    let house = House::with_account();
    house.post("/v1/cameras", &json!({ "id": "gate", "account": "acme" })).expect(201);
    let off = house.ask(Method::POST, "/v1/cameras/gate/disable").send().expect(200);
    assert_eq!((off["status"].as_str(), off["disabled"].as_bool()), (Some("disabled"), Some(true)));
    let on = house.post("/v1/cameras/gate/enable", &json!({})).expect(200);
    assert_eq!((on["status"].as_str(), on["disabled"].as_bool()), (Some("active"), Some(false)));
    let gone = house.ask(Method::DELETE, "/v1/cameras/gate").header("if-match", "\"3\"").send();
    assert_eq!((gone.status.as_u16(), gone.body.len()), (204, 0));
    house.get("/v1/cameras/gate").is_problem(404, Some("id"));
}

#[test]
fn rotation_shows_the_new_secret_and_lets_the_old_one_retire() {
    let house = House::with_account();
    let first = house.post("/v1/api-clients", &json!({ "id": "c1", "account": "acme" })).expect(201);
    let rotated = house.post("/v1/api-clients/c1/rotate", &json!({ "overlap": "1h" }));
    let second = rotated.expect(200);
    assert_eq!((second["id"].as_str(), rotated.header("etag")), (Some("c1"), Some("\"2\"")));
    assert!(second["secret"].is_string() && second["secret"] != first["secret"]);
    let versions = second["versions"].as_array().expect("both are told");
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().any(|version| version["expires"] == "2025-01-01T01:00:00Z"), "{second}");
    let bare = house.ask(Method::POST, "/v1/api-clients/c1/rotate").send().expect(200);
    assert!(bare["secret"].is_string(), "the body may be left out");
    let own = json!({ "id": "k1", "account": "acme", "public_key": PUBLIC_KEY });
    house.post("/v1/service-accounts", &own).expect(201);
    let successor = json!({ "id": "k2", "public_key": PUBLIC_KEY });
    assert_eq!(house.post("/v1/service-accounts/k1/rotate", &successor).expect(200)["id"], "k2");
    assert_eq!(house.get("/v1/service-accounts/k1").expect(200)["successor"], "k2");
}

#[test]
fn a_request_that_is_sent_again_is_answered_again_and_not_done_again() {
    let house = House::with_account();
    let create = |key: &str, body: &Value| {
        house.ask(Method::POST, "/v1/license-keys").json(body).header("idempotency-key", key).send()
    };
    let body = json!({ "account": "acme" });
    let first = create("k1", &body);
    let content = house.content();
    let again = create("k1", &body);
    assert_eq!((again.header("idempotency-replayed"), first.header("idempotency-replayed")), (Some("true"), None));
    assert_eq!(again.expect(201), first.expect(201), "the secret is among it");
    for name in ["location", "etag"] {
        assert_eq!(again.header(name), first.header(name));
    }
    create("k1", &json!({ "account": "acme", "name": "another" })).is_problem(422, Some("Idempotency-Key"));
    let elsewhere = house.ask(Method::POST, "/v1/users").json(&body).header("idempotency-key", "k1").send();
    elsewhere.is_problem(422, Some("Idempotency-Key"));
    assert_eq!(house.content(), content, "nothing more was done");
    assert_ne!(create("k2", &body).expect(201)["id"], first.json()["id"]);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let rotate =
        || house.ask(Method::POST, &format!("/v1/license-keys/{id}/rotate")).header("idempotency-key", "r").send();
    let (one, two) = (rotate(), rotate());
    assert_eq!((one.expect(200), two.header("idempotency-replayed")), (two.expect(200), Some("true")));
    let refused = create("k3", &json!({ "account": "nobody" }));
    refused.is_problem(422, Some("account"));
    create("k3", &body).expect(201);
}

#[test]
fn many_changes_are_made_at_once() {
    let house = House::with_account();
    let operations = json!({ "operations": [
        { "op": "create", "resource": "license_key", "document": { "id": "l", "account": "acme" } },
        { "op": "change", "resource": "account", "id": "acme", "revision": 1, "document": { "name": "Acme" } },
        { "op": "create", "resource": "camera", "document": { "id": "gate", "account": "acme" } },
        { "op": "create", "resource": "token", "document": { "id": "t", "camera": "gate" } },
        { "op": "rotate", "resource": "license_key", "id": "l", "document": { "overlap": "0s" } },
        { "op": "rotate", "resource": "license_key", "id": "l" },
        { "op": "delete", "resource": "token", "id": "t", "revision": 1 },
    ] });
    let send = || house.ask(Method::POST, "/v1/bulk").json(&operations).header("idempotency-key", "b").send();
    let done = send().expect(200);
    let results = done["results"].as_array().expect("results");
    assert_eq!(results.len(), 7);
    assert!(results[0]["document"]["key"].is_string() && results[4]["document"]["key"].is_string(), "{done}");
    assert_eq!((results[1]["id"].as_str(), results[1]["revision"].as_u64()), (Some("acme"), Some(2)));
    assert_eq!((results[6]["resource"].as_str(), results[6].get("document")), (Some("token"), None), "{done}");
    let again = send();
    assert_eq!((again.header("idempotency-replayed"), again.expect(200)), (Some("true"), done));
    let deeds = house.get("/v1/audit").expect(200)["items"].as_array().expect("deeds").len();
    assert_eq!(deeds, 2, "the account, and the many as one deed");
}

#[test]
fn ids_of_any_look_are_found_under_their_escapes() {
    let house = House::with_account();
    for (id, path) in [
        ("a/b", "a%2Fb"),
        ("a%2fb", "a%252fb"),
        ("..", ".."),
        ("a?b#c", "a%3Fb%23c"),
        ("a+b&c=d", "a%2Bb%26c%3Dd"),
        ("{id}", "%7Bid%7D"),
        ("rotate", "rotate"),
        ("~!$()*;@[\\]^`|", "~%21%24%28%29%2A%3B%40%5B%5C%5D%5E%60%7C"),
    ] {
        let made = house.post("/v1/cameras", &json!({ "id": id, "account": "acme" }));
        made.expect(201);
        let location = format!("/v1/cameras/{path}");
        assert_eq!(made.header("location"), Some(location.as_str()));
        assert_eq!(house.get(&location).expect(200)["id"], id);
        house.ask(Method::POST, &format!("{location}/disable")).send().expect(200);
        house.ask(Method::DELETE, &location).send().expect(204);
    }
    house.get("/v1/cameras/%ff").is_problem(400, Some("id"));
    house.get("/v1/cameras/a%00b").is_problem(404, Some("id"));
    house.get("/v1/cameras/%").is_problem(404, Some("id"));
}

#[test]
fn pages_are_stable_while_entries_come_and_go() {
    let house = House::with_account();
    let make = |id: &str| house.post("/v1/cameras", &json!({ "id": id, "account": "acme" })).expect(201);
    for number in 10..30 {
        make(&format!("c{number}"));
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    for round in 0.. {
        let page = house.get(&format!("/v1/cameras?limit=6{after}")).expect(200);
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(items.len(), 6);
        after = format!("&after={next}");
        if round == 0 {
            // Before the cursor, the one it stands on, and behind it.
            make("c100");
            house.ask(Method::DELETE, "/v1/cameras/c15").send().expect(204);
            house.ask(Method::DELETE, "/v1/cameras/c14").send().expect(204);
            house.ask(Method::DELETE, "/v1/cameras/c20").send().expect(204);
            make("c205");
        }
    }
    let mut expected: Vec<String> =
        (10..30).filter(|number| *number != 20).map(|number| format!("c{number}")).collect();
    expected.push("c205".into());
    expected.sort();
    assert_eq!(seen, expected, "each once, in order, none left out");
    let cursor = house.get("/v1/cameras?limit=1").json()["next"].as_str().unwrap().to_owned();
    house.get(&format!("/v1/users?after={cursor}")).is_problem(400, Some("after"));
}

#[test]
fn listings_are_filtered() {
    let house = House::with_account();
    house.post("/v1/accounts", &json!({ "id": "other" })).expect(201);
    for (id, account, name, disabled) in
        [("a", "acme", "door", false), ("b", "acme", "gate & yard", true), ("c", "other", "door", false)]
    {
        house
            .post("/v1/cameras", &json!({ "id": id, "account": account, "name": name, "disabled": disabled }))
            .expect(201);
    }
    for (query, expected) in [
        ("account=acme", &["a", "b"][..]),
        ("name=door", &["a", "c"]),
        ("name=gate+%26%20yard", &["b"]),
        ("status=active&account=acme", &["a"]),
        ("status=disabled", &["b"]),
        ("status=expired", &[]),
        ("account=nobody", &[]),
    ] {
        let page = house.get(&format!("/v1/cameras?{query}")).expect(200);
        let ids: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!((ids.as_slice(), page.get("next")), (expected, None), "{query}");
    }
}

#[test]
fn the_trail_names_who_did_what_page_by_page_and_can_be_verified() {
    let house = House::with_account();
    for number in 0..4 {
        house.patch("/v1/accounts/acme", &json!({ "name": format!("Acme {number}") })).expect(200);
    }
    let first = house.get("/v1/audit?limit=3").expect(200);
    let second = house.get(&format!("/v1/audit?limit=3&after={}", first["next"].as_str().expect("more"))).expect(200);
    assert_eq!(second.get("next"), None);
    let all: Vec<&Value> = [&first, &second].into_iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    let numbers: Vec<_> = all.iter().map(|deed| deed["sequence"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(all.iter().all(|deed| deed["actor"] == "token:alice" && deed["at"] == "2025-01-01T00:00:00Z"));
    assert_eq!(
        (&all[0]["changes"][0]["action"], &all[1]["changes"][0]["fields"]),
        (&json!("create"), &json!(["name"]))
    );
    let trail = house.get("/v1/audit/verify").expect(200);
    assert_eq!((&trail["deeds"], &trail["broken_at"], &trail["head"]), (&json!(5), &Value::Null, &all[4]["link"]));
    assert_eq!(house.get("/v1/audit?limit=5").expect(200).get("next"), None, "there is no more");
}

#[test]
fn peppers_come_and_go_and_a_backup_is_streamed() {
    let house = House::with_account();
    let state = house.get("/v1/store").expect(200);
    assert_eq!(state["entries"]["account"], 1, "{state}");
    let old = state["peppers"][0]["number"].as_u64().unwrap();
    let added = house.ask(Method::POST, "/v1/store/peppers").send().expect(201)["pepper"].as_u64().unwrap();
    assert_ne!(added, old);
    // The store digests anew what it can, in its own time.
    let retire = || house.ask(Method::DELETE, &format!("/v1/store/peppers/{old}")).send();
    let retired = (0..1000).map(|_| retire()).find(|reply| reply.status != StatusCode::CONFLICT);
    retired.expect("it is done soon").expect(204);
    let left = house.get("/v1/store").expect(200)["peppers"].as_array().unwrap().len();
    assert_eq!(left, 1);
    let backup = house.get("/v1/store/backup");
    assert_eq!((backup.status.as_u16(), backup.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(backup.header("content-disposition"), Some("attachment; filename=\"vidgate-20250101T000000Z.backup\""));
    assert!(backup.body.starts_with(b"vidgate backup 2,"), "it is a backup");
    let lines = house.ask(Method::POST, "/v1/export").send();
    assert_eq!((lines.status.as_u16(), lines.header("content-type")), (200, Some("application/x-ndjson")));
    assert!(String::from_utf8(lines.body).unwrap().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[test]
fn a_head_is_answered_as_a_get_would_be() {
    let house = House::with_account();
    let head = house.ask(Method::HEAD, "/v1/accounts/acme").send();
    assert_eq!((head.status.as_u16(), head.header("etag")), (200, Some("\"1\"")));
    house.clock.advance(std::time::Duration::from_secs(1));
}
