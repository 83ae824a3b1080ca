//! Who is in the demo's store: VXG's account with its license keys and cameras, SecureVideo's with its API client, the
//! studio with its apps and users, and Voximplant's with their keys. They are created as the admin API would, all of them
//! in one change.

use serde_json::{Value, json};

use super::Trouble;
use super::credentials::{App, CameraTag, CameraToken, Credentials, Key, Multicam, Voximplant};
use crate::clock::UnixTime;
use crate::store::{Actor, Operation, Request, Resource, Store};

/// VXG's account.
pub(super) const ACME: &str = "acme";
/// The account of CameraTag's apps, and of Multicam's user.
pub(super) const STUDIO: &str = "studio";
/// Whose pages may use CameraTag's booth.
pub(super) const HOST: &str = "example.com";

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
    documents.push((Resource::Account, json!({ "id": STUDIO, "name": "The studio" })));
    documents.extend(apps(&credentials.cameratag));
    documents.extend(user(&credentials.multicam));
    documents.extend(accounts(&credentials.voximplant));
    let operations = documents.into_iter().filter_map(|(resource, document)| match document {
        Value::Object(document) => Some(Operation::Create { resource, document, versions: Vec::new() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    });
    let actor = Actor("demo".to_owned());
    store.apply(Request { actor, operations: operations.collect(), idempotency: None })?;
    Ok(())
}

/// CameraTag's apps, and who may use its REST API.
fn apps(own: &CameraTag) -> [(Resource, Value); 3] {
    let app = |app: &App, host: &str, signed: bool, wall: &str| {
        let document = json!({
            "id": app.id,
            "account": STUDIO,
            "public_key": app.public,
            "secret": app.secret,
            "authorized_hosts": [host],
            "signatures": { "publish": signed, "playback": signed },
            "wall": wall,
            "cross_origin": signed,
            "legacy_200": !signed,
        });
        (Resource::App, document)
    };
    let rest = json!({ "id": "backend", "account": STUDIO, "login": "backend", "key": own.rest_key });
    [
        app(&own.booth, HOST, true, "white_list"),
        app(&own.kiosk, "kiosk.example.net", false, "black_list"),
        (Resource::User, rest),
    ]
}

/// Multicam's user, and the token that the user has from the start.
fn user(own: &Multicam) -> [(Resource, Value); 2] {
    [
        (Resource::User, json!({ "id": "john", "account": STUDIO, "login": own.login, "key": own.key })),
        (Resource::BearerToken, json!({ "id": "john-1", "user": "john", "token": own.token })),
    ]
}

/// Voximplant's accounts and what speaks for them.
fn accounts(own: &Voximplant) -> [(Resource, Value); 5] {
    let Voximplant { account, child, .. } = own;
    let key = |key: &Key, roles: &[&str]| {
        let document = json!({ "id": key.id, "account": account, "public_key": key.public, "roles": roles });
        (Resource::ServiceAccount, document)
    };
    [
        (Resource::Account, json!({ "id": account })),
        (Resource::Account, json!({ "id": child, "parent": account })),
        key(&own.key, &["Developer"]),
        key(&own.bare, &[]),
        (Resource::ApiClient, json!({ "id": account, "account": account, "secret": own.api_key })),
    ]
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
        let (tag, multicam) = (&facts.credentials.cameratag, &facts.credentials.multicam);
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
                &tag.booth.secret,
                &tag.rest_key,
                &multicam.key,
                &multicam.token,
                &facts.credentials.voximplant.api_key,
            ] {
                assert!(!holds(secret), "{}", file.display());
            }
            assert!(file.ends_with("master.key") || !holds(master.trim_end()), "{}", file.display());
        }
        ground.stop();
    }
}
