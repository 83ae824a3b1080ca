//! The file that tells a program what the demo tells a person: where everything is, and what to present. The names in
//! it are a promise: tests of others read them.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::credentials::Vxg;
use super::ground::Facts;
use super::stock::HOST;
use super::vendor::Vendor;

/// The whole description.
pub(super) fn describe(facts: &Facts) -> Value {
    let vendors: Map<String, Value> = facts
        .sites
        .iter()
        .map(|site| {
            let vendor = json!({
                "alive": true,
                "http": site.http,
                "https": site.https,
                "upstream": site.upstream,
                "credentials": credentials(site.vendor, facts),
            });
            (site.vendor.name().to_owned(), vendor)
        })
        .collect();
    json!({
        "vendors": vendors,
        "super_admin": facts.super_admin,
        "admin": facts.admin.as_ref().map(|admin| json!({ "url": admin.url, "token": admin.token })),
        "ca": facts.pki.ca,
        "client_certificate": facts.pki.client.certificate,
        "client_key": facts.pki.client.key,
        "config": facts.files.config,
    })
}

fn credentials(vendor: Vendor, facts: &Facts) -> Value {
    match vendor {
        Vendor::Vxg => of_vxg(&facts.credentials.vxg),
        Vendor::SecureVideo => {
            let client = &facts.credentials.securevideo;
            json!({ "identifier": client.identifier, "secret": client.secret })
        }
        Vendor::Voximplant => {
            let account = &facts.credentials.voximplant;
            json!({
                "account_id": account.account,
                "child_account_id": account.child,
                "key_id": account.key.id,
                "private_key": facts.files.private_key,
                "credentials_file": facts.files.credentials,
                "jwt": account.tokens.own,
                "child_jwt": account.tokens.child,
                "expired_jwt": account.tokens.expired,
                "bare_jwt": account.tokens.bare,
                "api_key": account.api_key,
                "token_script": facts.files.token_script,
            })
        }
        Vendor::CameraTag => {
            let own = &facts.credentials.cameratag;
            json!({
                "app": own.booth.id,
                "api_key": own.booth.public,
                "private_key": own.booth.secret,
                "signature_json": own.good.json,
                "signature": own.good.tag,
                "expired_signature_json": own.expired.json,
                "expired_signature": own.expired.tag,
                "authorized_host": HOST,
                "rest_key": own.rest_key,
            })
        }
        Vendor::Multicam => {
            let user = &facts.credentials.multicam;
            json!({
                "login": user.login,
                "key": user.key,
                "public_key": facts.files.public_key,
                "token": user.token,
            })
        }
    }
}

fn of_vxg(vxg: &Vxg) -> Value {
    json!({
        "license_key": vxg.license_key,
        "license_key_expired": vxg.license_key_expired,
        "license_key_disabled": vxg.license_key_disabled,
        "camera": vxg.all.camera,
        "access_token": vxg.all.access,
        "share_token": vxg.all.share,
        "watch_camera": vxg.watch.camera,
        "watch_access_token": vxg.watch.access,
        "watch_share_token": vxg.watch.share,
        "expired_access_token": vxg.expired.access,
        "expired_share_token": vxg.expired.share,
    })
}

/// Takes away what an earlier demo has left: its ports are dead, and a program that waits for the file must wait on.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    if is_plain(path) { fs::remove_file(path) } else { Ok(()) }
}

/// Writes the description, all of it at once: who finds the file finds it whole.
pub(super) fn write(path: &Path, description: &Value) -> io::Result<()> {
    let text = format!("{description:#}\n");
    if path.exists() && !is_plain(path) {
        // A pipe or a terminal cannot be replaced; it is written to.
        return fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn is_plain(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::config;
    use crate::cli::demo::credentials::Credentials;
    use crate::cli::demo::folder::Folder;
    use crate::cli::demo::ground::{Admin, Site};
    use crate::cli::demo::pki::Pki;
    use crate::cli::demo::upstream::Upstreams;
    use crate::clock::Clock;

    fn names(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_names_are_those_of_the_readme_and_the_paths_exist() {
        let (folder, now) = (Folder::create().unwrap(), Clock::system().unix());
        let (credentials, upstreams) = (Credentials::create(now).unwrap(), Upstreams::start().unwrap());
        let site = |vendor| Site { vendor, http: String::new(), https: String::new(), upstream: String::new() };
        let description = describe(&Facts {
            sites: Vendor::ALL.map(site).into(),
            super_admin: String::new(),
            own: String::new(),
            admin: Some(Admin { url: String::new(), token: String::new() }),
            pki: Pki::create(&folder, now).unwrap(),
            files: config::write(&folder, &credentials, &upstreams).unwrap(),
            credentials,
        });
        let top = ["admin", "ca", "client_certificate", "client_key", "config", "super_admin", "vendors"];
        assert_eq!(names(&description), top);
        assert_eq!(names(&description["admin"]), ["token", "url"]);
        for (vendor, expected) in [
            (
                "vxg",
                "access_token camera expired_access_token expired_share_token license_key \
                 license_key_disabled license_key_expired share_token watch_access_token watch_camera watch_share_token",
            ),
            ("securevideo", "identifier secret"),
            (
                "cameratag",
                "api_key app authorized_host expired_signature expired_signature_json private_key rest_key signature \
                 signature_json",
            ),
            ("multicam", "key login public_key token"),
            (
                "voximplant",
                "account_id api_key bare_jwt child_account_id child_jwt credentials_file expired_jwt jwt key_id \
                 private_key token_script",
            ),
        ] {
            let description = &description["vendors"][vendor];
            assert_eq!(names(description), ["alive", "credentials", "http", "https", "upstream"]);
            assert_eq!(names(&description["credentials"]).join(" "), expected);
        }
        let voximplant = &description["vendors"]["voximplant"]["credentials"];
        for path in ["ca", "client_certificate", "client_key", "config"].map(|name| &description[name]) {
            assert!(Path::new(path.as_str().unwrap()).is_file(), "{path}");
        }
        let pair = &description["vendors"]["multicam"]["credentials"]["public_key"];
        let scripted = ["private_key", "credentials_file", "token_script"].map(|name| &voximplant[name]);
        for path in scripted.into_iter().chain([pair]) {
            assert!(Path::new(path.as_str().unwrap()).is_file(), "{path}");
        }
    }

    #[test]
    fn the_file_replaces_an_older_one_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.json");
        clear(&path).unwrap();
        fs::write(&path, "an older demo's").unwrap();
        clear(&path).unwrap();
        assert!(!path.exists());
        for turn in [1, 2] {
            write(&path, &json!({ "turn": turn })).unwrap();
            let read: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(read["turn"], turn);
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays() {
        write(Path::new("/dev/null"), &json!({})).unwrap();
        clear(Path::new("/dev/null")).unwrap();
        assert!(Path::new("/dev/null").exists());
    }
}
