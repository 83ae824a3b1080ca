//! The OpenAPI document says what is there, and all of it.

use std::collections::BTreeSet;

use super::*;
use crate::admin::openapi::document;

fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("an item").iter().map(|(method, operation)| {
            (path.clone(), method.to_ascii_uppercase().parse().expect("a method"), operation.clone())
        })
    });
    each.collect()
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
    let document = document();
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    for reference in &references {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(target.is_some(), "{reference} leads nowhere");
    }
    let unused: Vec<_> = document["components"]["schemas"]
        .as_object()
        .expect("schemas")
        .keys()
        .filter(|name| !references.contains(&format!("#/components/schemas/{name}")))
        .collect();
    assert!(unused.is_empty(), "nothing points to {unused:?}");
    let operations = operations(&document);
    let names: BTreeSet<_> = operations.iter().map(|(.., own)| own["operationId"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), operations.len());
    assert!(operations.len() > 80, "{}", operations.len());
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_that_is_served_is_the_one_that_was_walked() {
    let house = House::new();
    let served = house.get("/openapi.json");
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!((served.expect(200), served.json()["openapi"].as_str()), (document(), Some("3.1.0")));
}

/// An entry of each resource, under the id `x`; what others need comes first.
fn sample(resource: &str) -> Value {
    match resource {
        "accounts" => json!({}),
        "license-keys" | "api-clients" | "cameras" => json!({ "account": "acme" }),
        "camera-groups" => json!({ "account": "acme", "cameras": ["x"] }),
        "tokens" => json!({ "camera": "x" }),
        "users" => json!({ "account": "acme", "login": "ann" }),
        "bearer-tokens" => json!({ "user": "x" }),
        "service-accounts" => json!({ "account": "acme", "public_key": PUBLIC_KEY }),
        "apps" => json!({ "account": "acme", "public_key": "pk" }),
        "admin-certificates" => json!({ "account": "acme", "subject": "CN=ops" }),
        other => panic!("{other} has no sample"),
    }
}

#[test]
fn every_operation_of_the_document_is_there_and_answers_as_it_says() {
    let house = House::with_account();
    for resource in Resource::ALL {
        let mut body = sample(resource.path());
        body["id"] = "x".into();
        house.post(&format!("/v1/{}", resource.path()), &body).expect(201);
    }
    house.post("/v1/cameras", &json!({ "id": "spare", "account": "acme" })).expect(201);
    let document = document();
    let mut all = operations(&document);
    // What takes away comes last, those that are needed by others at the very end.
    let place = |path: &str| Resource::ALL.iter().position(|own| path.starts_with(&format!("/v1/{}/", own.path())));
    all.sort_by_key(|(path, method, _)| (*method == Method::DELETE, std::cmp::Reverse(place(path))));
    for (path, method, operation) in all {
        let body = body_for(&path, &operation);
        let mut asked = path.replace("{id}", "x").replace("{number}", "77");
        if operation["parameters"]
            .as_array()
            .expect("parameters")
            .iter()
            .any(|own| own["in"] == "query" && own["required"] == true)
        {
            asked += "?account=acme";
        }
        let mut asked = house.ask(method.clone(), &asked);
        for parameter in operation["parameters"].as_array().expect("parameters") {
            if parameter["name"] == "Idempotency-Key" {
                asked = asked.header("idempotency-key", operation["operationId"].as_str().unwrap());
            }
            if parameter["name"] == "If-Match" {
                asked = asked.header("if-match", "*");
            }
        }
        let reply = if let Some(body) = body { asked.json(&body) } else { asked }.send();
        let said = &operation["responses"][reply.status.as_str()];
        let pepper = path.contains("peppers/") && reply.status.is_client_error();
        let rekey = path.contains("rekey") && reply.status.is_client_error();
        // No gateway runs here.
        let idle = path == "/ready";
        assert!(reply.status.is_success() || pepper || rekey || idle, "{method} {path}: {reply:?}");
        assert!(said.is_object(), "{method} {path}: {reply:?}");
        answers_as_it_says(&document, said, &reply, &format!("{method} {path}"));
    }
}

fn body_for(path: &str, operation: &Value) -> Option<Value> {
    operation.get("requestBody")?;
    let resource = path.split('/').nth(2).expect("a resource");
    Some(match operation["operationId"].as_str().expect("a name") {
        "bulk" => json!({ "operations": [{ "op": "create", "resource": "account", "document": {} }] }),
        "explain" => json!({ "url": "https://api.example.com/" }),
        "rotate_service_account" => json!({ "public_key": PUBLIC_KEY }),
        name if name.starts_with("create_") => {
            let mut body = sample(resource);
            match resource {
                // Else the camera could not go.
                "tokens" => body["camera"] = "spare".into(),
                "camera-groups" => body["cameras"] = json!([]),
                "users" => body["login"] = "ben".into(),
                "apps" => body["public_key"] = "pk2".into(),
                "admin-certificates" => body["subject"] = "CN=dev".into(),
                _ => {}
            }
            body
        }
        _ => json!({}),
    })
}

/// Every key of the answer is one that the schema knows, and none that it requires is missing.
fn answers_as_it_says(document: &Value, said: &Value, reply: &Reply, what: &str) {
    let Some(content) = said["content"].as_object() else {
        return assert!(reply.body.is_empty(), "{what}: {reply:?}");
    };
    let (content_type, schema) = content.iter().next().expect("one type");
    assert_eq!(reply.header("content-type"), Some(content_type.as_str()), "{what}");
    for header in said["headers"].as_object().into_iter().flat_map(serde_json::Map::keys) {
        assert!(reply.header(&header.to_ascii_lowercase()).is_some(), "{what} lacks {header}");
    }
    if content_type == "application/json" {
        fits(document, &schema["schema"], &reply.json(), what);
    }
}

fn fits(document: &Value, schema: &Value, value: &Value, what: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("it leads somewhere");
        return fits(document, target, value, what);
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for value in list {
            fits(document, items, value, what);
        }
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let object = value.as_object().unwrap_or_else(|| panic!("{what}: {value} is no object"));
    for (key, value) in object {
        let own = properties.get(key).unwrap_or_else(|| panic!("{what}: `{key}` is not in the document"));
        if !value.is_null() {
            fits(document, own, value, what);
        }
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(required.as_str().unwrap()), "{what} lacks {required}");
    }
}

#[test]
fn the_document_forbids_what_the_server_refuses() {
    let house = House::with_account();
    let document = document();
    let at = |pointer: &str| document.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")).clone();
    let body = "requestBody/content/application~1json/schema/properties";
    // Said of a value: what it is, and what the server makes of some.
    for (path, field, said, wrong) in [
        ("export", "passphrase", json!({ "type": "string", "minLength": 8 }), json!(null)),
        ("export", "passphrase", json!({ "type": "string", "minLength": 8 }), json!("sevensq")),
        ("export", "passphrase", json!({ "type": "string", "minLength": 8 }), json!("äöüäöüä")),
        ("store/rekey", "key_file", json!({ "type": "string", "minLength": 1 }), json!(null)),
        ("store/rekey", "key_file", json!({ "type": "string", "minLength": 1 }), json!("")),
    ] {
        let mut schema = at(&format!("/paths/~1v1~1{}/post/{body}/{field}", path.replace('/', "~1")));
        schema.as_object_mut().expect("a schema").remove("description");
        assert_eq!(schema, said, "{path}");
        house.post(&format!("/v1/{path}"), &json!({ field: wrong })).expect(422);
    }
    let new = at("/components/schemas/AccountNew/properties");
    assert_eq!((&new["name"]["minLength"], &new["name"]["maxLength"]), (&json!(1), &json!(256)));
    let set = &new["upstream_credential"];
    assert_eq!(set["type"], json!(["string", "null"]));
    assert_eq!((&set["minLength"], &set["maxLength"]), (&json!(1), &json!(4096)));
    for (field, length, status) in [
        ("name", 0, 422),
        ("name", 256, 201),
        ("name", 257, 422),
        ("upstream_credential", 0, 422),
        ("upstream_credential", 4096, 201),
        ("upstream_credential", 4097, 422),
    ] {
        house.post("/v1/accounts", &json!({ field: "x".repeat(length) })).expect(status);
    }
    house.post("/v1/accounts", &json!({ "upstream_credential": null })).expect(201);
    for operation in at("/components/schemas/Bulk/properties/operations/items/oneOf").as_array().expect("some") {
        let word = &operation["properties"]["op"]["const"];
        for needed in operation["required"].as_array().expect("some").iter().filter_map(Value::as_str) {
            let mut one = json!({ "op": word, "resource": "account", "id": "acme", "document": {} });
            one.as_object_mut().expect("an object").retain(|field, _| field != needed);
            let reply = house.post("/v1/bulk", &json!({ "operations": [one] }));
            assert_eq!(reply.status, 422, "{word} without {needed}");
        }
    }
    for (pointer, wrong) in [
        ("/paths/~1v1~1accounts/get/parameters", "/v1/accounts?after=0"),
        ("/paths/~1v1~1audit/get/parameters", "/v1/audit?after=x"),
        ("/paths/~1v1~1failures/get/parameters", "/v1/failures?address=0"),
    ] {
        let name = wrong.split(['?', '=']).nth(1).expect("a name");
        let parameters = at(pointer);
        let own = parameters.as_array().expect("some").iter().find(|own| own["name"] == name).expect("it is listed");
        let schema = &own["schema"];
        let is_told = schema["type"] == "integer" || schema.get("pattern").is_some() || schema.get("anyOf").is_some();
        assert!(is_told, "{wrong}: {schema}");
        house.get(wrong).expect(400);
    }
    for field in ["peer", "method"] {
        let schema = at(&format!("/components/schemas/Asked/properties/{field}"));
        assert!(schema.get("anyOf").is_some() || schema.get("pattern").is_some(), "{field} {schema}");
    }
}
