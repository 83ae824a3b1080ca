//! Whatever is wrong with a request is named, and nothing of it is done.

use super::*;

/// A house with an account, a child of it that may host no camera, a camera with a token, and two users.
fn furnished() -> House {
    let house = House::with_account();
    for (path, body) in [
        ("/v1/accounts", json!({ "id": "child", "parent": "acme", "limits": { "hosted_cameras": 0 } })),
        ("/v1/cameras", json!({ "id": "off", "account": "child", "disabled": true })),
        ("/v1/cameras", json!({ "id": "gate", "account": "acme" })),
        ("/v1/tokens", json!({ "id": "t1", "camera": "gate" })),
        ("/v1/users", json!({ "id": "u1", "account": "acme", "login": "ann", "key": "the key of ann" })),
        ("/v1/users", json!({ "id": "u2", "account": "acme", "login": "ben" })),
        ("/v1/api-clients", json!({ "id": "c1", "account": "acme", "secret": "the secret of c1" })),
    ] {
        house.post(path, &body).expect(201);
    }
    house
}

#[test]
fn a_wrong_document_is_refused_and_its_field_named() {
    let house = furnished();
    let before = house.content();
    for (method, path, body, status, field) in [
        ("POST", "/v1/accounts", json!({ "id": "a", "colour": "red" }), 422, "colour"),
        ("POST", "/v1/accounts", json!({ "id": "a", "quota": { "hour": "many" } }), 422, "quota.hour"),
        ("POST", "/v1/accounts", json!({ "id": "a", "quota": { "week": 1 } }), 422, "quota.week"),
        ("POST", "/v1/accounts", json!({ "id": "a", "quota": { "hour": -1 } }), 422, "quota.hour"),
        ("POST", "/v1/accounts", json!({ "id": "a", "disabled": "no" }), 422, "disabled"),
        ("POST", "/v1/accounts", json!({ "id": "a", "addresses": ["10.0.0.0/8", "nowhere"] }), 422, "addresses[1]"),
        ("POST", "/v1/accounts", json!({ "id": 7 }), 422, "id"),
        ("POST", "/v1/accounts", json!({ "id": "two words" }), 422, "id"),
        ("POST", "/v1/accounts", json!({ "id": "a", "expires": "soon" }), 422, "expires"),
        ("POST", "/v1/accounts", json!({ "id": "a", "parent": "nobody" }), 422, "parent"),
        ("POST", "/v1/accounts", json!({ "id": "acme" }), 409, "id"),
        ("POST", "/v1/users", json!({ "account": "acme" }), 422, "login"),
        ("POST", "/v1/users", json!({ "account": "nobody", "login": "x" }), 422, "account"),
        ("POST", "/v1/users", json!({ "account": "acme", "login": "ann" }), 409, "login"),
        ("POST", "/v1/users", json!({ "account": "acme", "login": "x", "key": "the key of ann" }), 409, "key"),
        ("POST", "/v1/users", json!({ "account": "acme", "login": "x", "key": 7 }), 422, "key"),
        ("POST", "/v1/license-keys", json!({ "account": "acme", "key": "vgl_mistyped" }), 422, "key"),
        ("POST", "/v1/tokens", json!({ "camera": "nowhere" }), 422, "camera"),
        ("POST", "/v1/tokens", json!({}), 422, "camera"),
        ("POST", "/v1/cameras", json!({ "id": "x", "account": "child" }), 403, "account"),
        ("POST", "/v1/cameras/off/enable", json!({}), 403, "disabled"),
        ("POST", "/v1/api-clients", json!({ "id": "a:b", "account": "acme" }), 422, "id"),
        ("PATCH", "/v1/accounts/acme", json!({ "colour": "red" }), 422, "colour"),
        ("PATCH", "/v1/accounts/acme", json!({ "id": "other" }), 422, "id"),
        ("PATCH", "/v1/accounts/acme", json!({ "parent": "child" }), 422, "parent"),
        ("PATCH", "/v1/users/u1", json!({ "key": "another key" }), 422, "key"),
        ("PATCH", "/v1/users/u1", json!({ "account": "child" }), 422, "account"),
        ("PATCH", "/v1/users/u2", json!({ "login": "ann" }), 409, "login"),
        ("PATCH", "/v1/users/u2", json!({ "login": null }), 422, "login"),
        ("PATCH", "/v1/users/nobody", json!({}), 404, "id"),
        ("POST", "/v1/users/u1/rotate", json!({ "overlap": "for ever" }), 422, "overlap"),
        ("POST", "/v1/users/u1/rotate", json!({ "secret": "x" }), 422, "secret"),
        ("POST", "/v1/users/nobody/rotate", json!({}), 404, "id"),
        ("POST", "/v1/users/u1/disable", json!({ "for": "good" }), 422, "for"),
        ("POST", "/v1/users/nobody/enable", json!({}), 404, "id"),
        ("POST", "/v1/export", json!({ "passphrase": 7 }), 422, "passphrase"),
        ("POST", "/v1/export", json!({ "passphrase": "short" }), 422, "passphrase"),
        ("POST", "/v1/export", json!({ "password": "long enough" }), 422, "password"),
        ("POST", "/v1/store/peppers", json!({ "number": 7 }), 422, "number"),
        ("POST", "/v1/store/rekey", json!({ "key": "x" }), 422, "key"),
    ] {
        println!("{method} {path} {body}");
        let reply = house.ask(method.parse().unwrap(), path).json(&body).send();
        reply.is_problem(status, Some(field));
    }
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn whatever_is_still_needed_or_was_never_there_is_not_deleted() {
    let house = furnished();
    let before = house.content();
    let newest = house.store.state().expect("it can be read").peppers[0].number;
    for (path, status, field) in [
        ("/v1/accounts/acme", 409, "id"),
        ("/v1/cameras/gate", 409, "id"),
        ("/v1/accounts/nobody", 404, "id"),
        (&format!("/v1/store/peppers/{newest}"), 409, "number"),
        ("/v1/store/peppers/99", 409, "number"),
        ("/v1/store/peppers/-1", 404, "number"),
        ("/v1/store/peppers/one", 404, "number"),
        ("/v1/store/peppers/99999", 404, "number"),
        ("/v1/store/peppers/01", 404, "number"),
    ] {
        println!("{path}");
        house.ask(Method::DELETE, path).send().is_problem(status, Some(field));
    }
    let needed = house.ask(Method::DELETE, "/v1/cameras/gate").send().json();
    assert_eq!(needed["detail"], "the camera `gate` is still needed by the token `t1`");
    assert_eq!(needed["type"], "urn:vidgate:problem:in-use");
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn a_body_that_is_not_json_as_it_should_be_is_refused() {
    let house = furnished();
    let before = house.content();
    let deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(500), "}".repeat(500));
    let json = "application/json";
    for (content_type, body, status, field) in [
        (json, &b""[..], 400, ""),
        (json, b"{\"id\":", 400, "id"),
        (json, b"{\"id\":\"a\"}}", 400, ""),
        (json, b"[]", 400, ""),
        (json, b"\"a\"", 400, ""),
        (json, b"{\"id\":\"a\xff\"}", 400, ""),
        (json, b"{\"id\":\"a\",\"id\":\"b\"}", 400, ""),
        (json, b"{\"id\":\"a\",\"quota\":{\"hour\":1,\"hour\":2}}", 400, "quota"),
        ("text/plain", b"{\"id\":\"a\"}", 415, "Content-Type"),
        ("application/json; charset=utf-16", b"{\"id\":\"a\"}", 415, "Content-Type"),
        ("application/merge-patch+json", b"{\"id\":\"a\"}", 415, "Content-Type"),
        ("application/x-www-form-urlencoded", b"id=a", 415, "Content-Type"),
    ] {
        println!("{content_type} {}", String::from_utf8_lossy(body));
        let reply = house.ask(Method::POST, "/v1/accounts").raw(content_type, body).send();
        let problem = reply.expect(status);
        let named = problem["errors"][0]["field"].as_str().expect("a field is named");
        assert!(named.starts_with(field), "{problem}");
    }
    let reply = house.ask(Method::POST, "/v1/accounts").raw(json, deep.as_bytes()).send();
    assert!(reply.expect(400)["detail"].as_str().is_some_and(|detail| detail.contains("recursion")));
    house.ask(Method::POST, "/v1/accounts").send().is_problem(415, Some("Content-Type"));
    let packed = house.ask(Method::POST, "/v1/accounts").json(&json!({ "id": "a" })).header("content-encoding", "gzip");
    packed.send().is_problem(415, Some("Content-Encoding"));
    let untyped = house.ask(Method::PATCH, "/v1/accounts/acme").send();
    untyped.is_problem(415, Some("Content-Type"));
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let house = furnished();
    let before = house.content();
    let large = |most: usize| format!("{{\"id\":\"{}\"}}", "a".repeat(most));
    for (path, most) in [("/v1/accounts", 1 << 20), ("/v1/bulk", 8 << 20)] {
        let body = large(most);
        house.ask(Method::POST, path).raw("application/json", body.as_bytes()).send().is_problem(413, None);
        let length = body.len().to_string();
        let told = house.ask(Method::POST, path).raw("application/json", b"{}").header("content-length", &length);
        told.send().is_problem(413, None);
    }
    let fits = large((1 << 20) - 9);
    assert_eq!(fits.len(), 1 << 20);
    let reply = house.ask(Method::POST, "/v1/accounts").raw("application/json", fits.as_bytes()).send();
    reply.is_problem(422, Some("id"));
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn a_query_is_taken_whole_or_not_at_all() {
    let house = furnished();
    for (path, field) in [
        ("/v1/accounts?colour=red", "colour"),
        ("/v1/accounts?limit=0", "limit"),
        ("/v1/accounts?limit=1001", "limit"),
        ("/v1/accounts?limit=1&limit=1", "limit"),
        ("/v1/accounts?after=nonsense", "after"),
        ("/v1/accounts?status=odd", "status"),
        ("/v1/accounts?name=%ff", "name"),
        ("/v1/accounts/acme?verbose=1", "verbose"),
        ("/v1/audit?account=acme", "account"),
        ("/v1/audit?after=x", "after"),
        ("/v1/store?x", "x"),
        ("/openapi.json?v=2", "v"),
    ] {
        println!("{path}");
        house.get(path).is_problem(400, Some(field));
    }
    let before = house.content();
    house.ask(Method::DELETE, "/v1/accounts/child?force=1").send().is_problem(400, Some("force"));
    house.ask(Method::POST, "/v1/cameras/gate/disable?x=1").send().is_problem(400, Some("x"));
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn a_wrong_method_is_told_the_right_ones_and_a_wrong_path_nothing() {
    let house = furnished();
    let before = house.content();
    for (method, path, allow) in [
        ("PUT", "/v1/accounts", "GET, HEAD, POST"),
        ("DELETE", "/v1/accounts", "GET, HEAD, POST"),
        ("POST", "/v1/accounts/acme", "GET, HEAD, PATCH, DELETE"),
        ("OPTIONS", "/v1/accounts/acme", "GET, HEAD, PATCH, DELETE"),
        ("GET", "/v1/users/u1/rotate", "POST"),
        ("GET", "/v1/bulk", "POST"),
        ("POST", "/v1/audit", "GET, HEAD"),
        ("GET", "/v1/store/peppers", "POST"),
        ("GET", "/v1/export", "POST"),
        ("FETCH", "/v1/store", "GET, HEAD"),
    ] {
        let reply = house.ask(method.parse().unwrap(), path).send();
        reply.is_problem(405, None);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/accounts/",
        "/v1/account",
        "/v2/accounts",
        "/v1/accounts/acme/",
        "/V1/accounts",
        "/v1//accounts",
        "/v1/accounts/acme/delete",
        "/v1/accounts/acme/rotate",
        "/v1/%61ccounts",
        "/openapi.yaml",
    ] {
        house.get(path).is_problem(404, None);
    }
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn nothing_is_done_for_nobody() {
    let house = furnished();
    let before = house.content();
    let request = Request::builder().method("DELETE").uri("/v1/accounts/child").body(Body::empty()).unwrap();
    house.run(request).is_problem(401, None);
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn a_condition_that_does_not_hold_keeps_the_change_away() {
    let house = furnished();
    let before = house.content();
    let conditional =
        |method: Method, path: &str, tag: &str| house.ask(method, path).json(&json!({})).header("if-match", tag).send();
    for tag in ["\"2\"", "\"0\"", "W/\"1\"", "\"01\"", "\"x\""] {
        conditional(Method::PATCH, "/v1/users/u1", tag).is_problem(412, Some("If-Match"));
        conditional(Method::POST, "/v1/users/u1/rotate", tag).is_problem(412, Some("If-Match"));
        conditional(Method::POST, "/v1/users/u1/disable", tag).is_problem(412, Some("If-Match"));
        conditional(Method::POST, "/v1/users/u1/enable", tag).is_problem(412, Some("If-Match"));
        let delete = house.ask(Method::DELETE, "/v1/users/u1").header("if-match", tag).send();
        delete.is_problem(412, Some("If-Match"));
    }
    conditional(Method::PATCH, "/v1/users/u1", "1").is_problem(400, Some("If-Match"));
    conditional(Method::POST, "/v1/users", "\"1\"").is_problem(400, Some("If-Match"));
    conditional(Method::PATCH, "/v1/users/nobody", "*").is_problem(404, Some("id"));
    for (name, field) in [("if-none-match", "If-None-Match"), ("if-unmodified-since", "If-Unmodified-Since")] {
        house.ask(Method::DELETE, "/v1/users/u1").header(name, "*").send().is_problem(400, Some(field));
    }
    let key = house.ask(Method::DELETE, "/v1/users/u1").header("idempotency-key", "k").send();
    key.is_problem(400, Some("Idempotency-Key"));
    let key = house.ask(Method::POST, "/v1/users").json(&json!({})).header("idempotency-key", "two words").send();
    key.is_problem(400, Some("Idempotency-Key"));
    assert_eq!(house.content(), before, "nothing was done");
}

#[test]
fn of_many_changes_all_are_made_or_none_and_the_wrong_one_is_named() {
    let house = furnished();
    let before = house.content();
    let good = json!({ "op": "create", "resource": "camera", "document": { "id": "new", "account": "acme" } });
    let bulk = |wrong: &Value| house.post("/v1/bulk", &json!({ "operations": [good, good_user(), wrong] }));
    for (wrong, status, field) in [
        (json!(7), 422, "operations[2]"),
        (json!({}), 422, "operations[2].op"),
        (json!({ "op": "make", "resource": "camera" }), 422, "operations[2].op"),
        (json!({ "op": "create", "resource": "cameras", "document": {} }), 422, "operations[2].resource"),
        (json!({ "op": "create", "resource": "camera" }), 422, "operations[2].document"),
        (json!({ "op": "create", "resource": "camera", "document": 7 }), 422, "operations[2].document"),
        (json!({ "op": "create", "resource": "camera", "id": "x", "document": {} }), 422, "operations[2].id"),
        (json!({ "op": "change", "resource": "camera", "document": {} }), 422, "operations[2].id"),
        (json!({ "op": "delete", "resource": "camera", "id": "gate", "force": 1 }), 422, "operations[2].force"),
        (json!({ "op": "delete", "resource": "camera", "id": "gate", "document": {} }), 422, "operations[2].document"),
        (json!({ "op": "delete", "resource": "camera", "id": "t", "revision": "1" }), 422, "operations[2].revision"),
        (json!({ "op": "delete", "resource": "camera", "id": "nowhere" }), 404, "operations[2].id"),
        (json!({ "op": "delete", "resource": "account", "id": "acme" }), 409, "operations[2].id"),
        (
            json!({ "op": "change", "resource": "user", "id": "u1", "revision": 9, "document": {} }),
            412,
            "operations[2].revision",
        ),
        (
            json!({ "op": "change", "resource": "user", "id": "u1", "document": { "login": 7 } }),
            422,
            "operations[2].document.login",
        ),
        (
            json!({ "op": "create", "resource": "user", "document": { "account": "acme", "login": "ann" } }),
            409,
            "operations[2].document.login",
        ),
        (good.clone(), 409, "operations[2].document.id"),
    ] {
        println!("{wrong}");
        bulk(&wrong).is_problem(status, Some(field));
        assert_eq!(house.content(), before, "nothing was done");
    }
    for body in [
        json!({}),
        json!({ "operations": {} }),
        json!({ "operations": [] }),
        json!({ "operations": vec![good.clone(); 5001] }),
    ] {
        house.post("/v1/bulk", &body).is_problem(422, Some("operations"));
    }
    house.post("/v1/bulk", &json!({ "operations": [good], "atomic": true })).is_problem(422, Some("atomic"));
    let alone = json!({ "operations": [{ "op": "delete", "resource": "user", "id": "nobody" }] });
    house.post("/v1/bulk", &alone).is_problem(404, Some("operations[0].id"));
    assert_eq!(house.content(), before, "nothing was done");
}

fn good_user() -> Value {
    json!({ "op": "change", "resource": "user", "id": "u1", "document": { "name": "Ann" } })
}

#[test]
fn no_refusal_repeats_a_secret() {
    let house = furnished();
    let secret = "the secret that nobody may see";
    for (path, body) in [
        ("/v1/users", json!({ "account": "nobody", "login": "x", "key": secret })),
        ("/v1/users", json!({ "account": "acme", "login": "ann", "key": secret })),
        ("/v1/users", json!({ "account": "acme", "login": "x", "key": [secret] })),
        ("/v1/users", json!({ "account": "acme", "login": "x", "key": { "text": secret } })),
        ("/v1/license-keys", json!({ "account": "acme", "key": format!("{secret}, {secret}") })),
        ("/v1/export", json!({ "passphrase": [secret] })),
    ] {
        let reply = house.post(path, &body);
        assert!(reply.status.is_client_error(), "{path} {body}");
        assert!(!String::from_utf8_lossy(&reply.body).contains(secret), "{reply:?}");
    }
}
