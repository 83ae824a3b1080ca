//! Who is in the demo's store: VXG's account with its licence keys and cameras, and SecureVideo's with its API client.
//! They are created as the admin API would, all of them in one change.

use serde_json::{Value, json};

use super::Trouble;
use super::credentials::{CameraToken, Credentials};
use crate::clock::UnixTime;
use crate::store::{Actor, Operation, Request, Resource, Store};

/// VXG's account.
pub(super) const ACME: &str = "acme";

/// Creates everyone.
pub(super) fn fill(store: &Store, credentials: &Credentials, now: UnixTime) -> Result<(), Trouble> {
    let (vxg, client) = (&credentials.vxg, &credentials.securevideo);
    let yesterday = UnixTime(now.0.saturating_sub(24 * 3600));
    let license_key = |own: Value| (Resource::LicenseKey, own);
    let mut documents = vec![
        (Resource::Account, json!({ "id": ACME, "name": "Acme Security" })),
        (Resource::Account, json!({ "id": "clinic", "name": "The clinic" })),
        license_key(json!({ "id": "main", "account": ACME, "key": vxg.license_key })),
        license_key(json!({ "id": "old", "account": ACME, "key": vxg.license_key_expired, "expires": yesterday })),
        license_key(json!({ "id": "off", "account": ACME, "key": vxg.license_key_disabled, "disabled": true })),
        (
            Resource::ApiClient,
            json!({ "id": client.identifier, "account": "clinic", "name": "main", "secret": client.secret }),
        ),
    ];
    for (account, (identifier, secret), terms) in [
        ("modest", &client.modest, json!({ "quota": { "hour": 1 } })),
        ("elsewhere", &client.elsewhere, json!({ "addresses": ["198.51.100.7"] })),
    ] {
        let mut document = json!({ "id": account, "name": account });
        if let (Value::Object(document), Value::Object(terms)) = (&mut document, terms) {
            document.extend(terms);
        }
        documents.push((Resource::Account, document));
        documents.push((Resource::ApiClient, json!({ "id": identifier, "account": account, "secret": secret })));
    }
    documents
        .push((Resource::AdminCertificate, json!({ "id": "operator", "account": ACME, "subject": "demo operator" })));
    for token in [&vxg.all, &vxg.watch, &vxg.expired] {
        documents.extend(camera(token));
    }
    documents.push(of_camera(&vxg.streaming));
    let camera = vxg.all.camera.to_string();
    documents.push((Resource::CameraGroup, json!({ "id": "18", "account": ACME, "cameras": [camera] })));
    documents.push((Resource::Token, json!({ "id": "18-all", "group": "18", "token": vxg.group.1 })));
    let operations = documents.into_iter().filter_map(|(resource, document)| match document {
        Value::Object(document) => Some(Operation::Create { resource, document, versions: Vec::new() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    });
    let actor = Actor("demo".to_owned());
    store.apply(Request { actor, operations: operations.collect(), idempotency: None })?;
    Ok(())
}

/// A camera and its token.
fn camera(token: &CameraToken) -> [(Resource, Value); 2] {
    [(Resource::Camera, json!({ "id": token.camera.to_string(), "account": ACME })), of_camera(token)]
}

/// A token of a camera that is there.
fn of_camera(token: &CameraToken) -> (Resource, Value) {
    let camera = token.camera.to_string();
    let document = json!({
        "id": format!("{camera}-{}", token.scope),
        "camera": camera,
        "scopes": [token.scope],
        "token": token.access,
    });
    (Resource::Token, document)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cli::demo::ground::Ground;

    #[test]
    fn no_file_of_the_running_demo_shows_a_secret_that_is_in_the_store() {
        let (ground, facts) = Ground::start().unwrap();
        let (vxg, client) = (&facts.credentials.vxg, &facts.credentials.securevideo);
        let folder = facts.files.config.parent().unwrap();
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let master = fs::read_to_string(folder.join("master.key")).unwrap();
        assert!(files.iter().any(|file| file.ends_with("vidgate.redb")));
        for file in &files {
            let bytes = fs::read(file).unwrap();
            let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            for secret in [
                &vxg.license_key,
                &vxg.license_key_expired,
                &vxg.license_key_disabled,
                &vxg.all.access,
                &vxg.all.share,
                &vxg.watch.access,
                &vxg.watch.share,
                &client.secret,
            ] {
                assert!(!holds(secret), "{}", file.display());
            }
            assert!(file.ends_with("master.key") || !holds(master.trim_end()), "{}", file.display());
        }
        ground.stop();
    }
}
