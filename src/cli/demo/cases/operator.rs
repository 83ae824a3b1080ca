//! VXG's operators: the super-admin API with client certificates, and the stories of what the house owns for them. Ids and
//! tokens that it makes itself cannot stand in a line beforehand, so that accounts are named by their `suid`, and the
//! token that is to be changed is given.

use serde_json::{Value, json};

use super::{Case, Story};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::pki::Pair;
use crate::cli::demo::stock::ACME;
use crate::cli::demo::vendor::Vendor::Vxg;

const USERS: &str = "/api/v2/admin/users/";
const CHANNELS: &str = "/api/v3/channels/";
const WHO: &str = r#""errorType":"invalid_auth""#;
const NO_CERTIFICATE: &str = "No required SSL certificate was sent";
const BAD_CERTIFICATE: &str = "The SSL certificate error";

/// A request to the super-admin's listener, with a certificate or without.
fn admin(facts: &Facts, pair: Option<&Pair>, path: &str) -> Curl {
    let curl = Curl::new(format!("{}{path}", facts.super_admin)).file("--cacert", &facts.pki.ca);
    match pair {
        Some(pair) => curl.file("--cert", &pair.certificate).file("--key", &pair.key),
        None => curl,
    }
}

/// The same with a body, as the operator.
fn send(facts: &Facts, path: &str, method: &str, body: &Value) -> Curl {
    admin(facts, Some(&facts.pki.client), path).with(&[
        "-X",
        method,
        "-H",
        "Content-Type: application/json",
        "-d",
        &body.to_string(),
    ])
}

/// Whom the super-admin API is for.
pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let pki = &facts.pki;
    let license = format!("LKey {}", facts.credentials.vxg.license_key);
    let servers = "/api/v2/admin/servers/";
    vec![
        Case::accepted(Vxg, 200, "the operator's certificate", admin(facts, Some(&pki.client), servers))
            .shows("Recorder"),
        Case::accepted(Vxg, 200, "and who has an account", admin(facts, Some(&pki.client), USERS)).shows("objects"),
        Case::refused(Vxg, 400, "no certificate", admin(facts, None, USERS)).shows(NO_CERTIFICATE),
        Case::refused(Vxg, 400, "a license key in its place", admin(facts, None, servers).authorization(&license))
            .shows(NO_CERTIFICATE)
            .hides("Recorder"),
        Case::refused(Vxg, 400, "a certificate of another authority", admin(facts, Some(&pki.stranger), USERS))
            .shows(BAD_CERTIFICATE),
        Case::refused(Vxg, 400, "a certificate that was revoked", admin(facts, Some(&pki.revoked), USERS))
            .shows(BAD_CERTIFICATE),
        Case::refused(
            Vxg,
            404,
            "the certificate opens nothing else",
            admin(facts, Some(&pki.client), "/api/v3/channels/"),
        ),
    ]
}

/// What the house owns.
pub(super) fn stories(facts: &Facts) -> Vec<Case> {
    let mut cases = account(facts);
    cases.extend(token(facts));
    cases
}

fn account(facts: &Facts) -> Vec<Case> {
    let [first, second] = &facts.credentials.vxg.newcomers;
    let own = |key: &str| Curl::new(format!("{}{CHANNELS}", facts.own)).authorization(&format!("LKey {key}"));
    let named = format!("{USERS}?suid=newcomer");
    let camera = json!({ "name": "Hall" }).to_string();
    let make = json!({ "suid": "newcomer", "usrc": "Acme", "license_key": { "value": first },
        "limits": { "hosted_cameras": 1 } });
    let change = json!({ "license_key": { "value": second } });
    let add = |key: &str| own(key).with(&["-H", "Content-Type: application/json", "-d", &camera]);
    let step = |status, what, curl| Case::accepted(Vxg, status, what, curl).told(Story::Account);
    let refused = |status, what, curl| Case::refused(Vxg, status, what, curl).told(Story::Account);
    vec![
        refused(401, "a license key that nobody has yet", own(first)).shows(WHO),
        step(201, "an account is made with it, for one camera", send(facts, USERS, "POST", &make)).shows("newcomer"),
        refused(409, "there is one of this name", send(facts, USERS, "POST", &make)),
        step(200, "it is shown with its key", admin(facts, Some(&facts.pki.client), &named)).shows(first),
        step(201, "the key adds a camera, which has its tokens", add(first)).shows(r#""access_tokens""#),
        refused(403, "a second camera is one too many", add(first)),
        step(200, "the cameras of this account alone", own(first)).shows("Hall").shows(r#""total_count":1"#),
        step(200, "another license key takes its place", send(facts, &named, "PUT", &change))
            .shows(second)
            .hides(first),
        refused(401, "the first is refused at once", own(first)).shows(WHO),
        step(200, "the second is good", own(second)).shows("Hall"),
        step(204, "the account goes, with all that it had", {
            admin(facts, Some(&facts.pki.client), &named).with(&["-X", "DELETE"])
        }),
        refused(401, "and its key with it", own(second)).shows(WHO),
    ]
}

fn token(facts: &Facts) -> Vec<Case> {
    let Some(api) = &facts.admin else { return Vec::new() };
    let vxg = &facts.credentials.vxg;
    let later = &vxg.later;
    let post = |path: &str, body: &Value| {
        Curl::new(format!("{}/v1/{path}", api.url)).authorization(&format!("Bearer {}", api.token)).with(&[
            "-H",
            "Content-Type: application/json",
            "-d",
            &body.to_string(),
        ])
    };
    let channel = || {
        Curl::new(format!("{}{CHANNELS}{}/", facts.own, later.camera))
            .authorization(&format!("LKey {}", vxg.license_key))
    };
    let watch = || {
        Curl::new(format!("{}/api/v4/live/watch/", facts.site(Vxg).http))
            .authorization(&format!("Acc {}", later.access))
    };
    let by_query = Curl::new(format!("{}/api/v4/live/watch/?token={}", facts.site(Vxg).http, later.share));
    let camera = json!({ "id": later.camera.to_string(), "account": ACME });
    let token = json!({ "id": later.sharing.to_string(), "camera": later.camera.to_string(), "token": later.access });
    let anew = json!({ "access_tokens": { "all": null } }).to_string();
    let step = |status, what, curl| Case::accepted(Vxg, status, what, curl).told(Story::Token);
    let refused = |status, what, curl| Case::refused(Vxg, status, what, curl).told(Story::Token);
    vec![
        step(201, "a camera that exists is taken over", post("cameras", &camera)),
        step(201, "and so is its token", post("tokens", &token)).hides(&later.share),
        step(200, "which players go on with", watch()).shows("playlist.m3u8"),
        step(200, "the license key is shown the camera", channel()).shows(r#""access_tokens""#),
        step(200, "and asks for another token", {
            channel().with(&["-X", "PUT", "-H", "Content-Type: application/json", "-d", &anew])
        })
        .shows(r#""access_tokens""#)
        .hides(&later.access),
        refused(401, "the one before is refused at once", watch()).shows(WHO),
        refused(401, "in the query as well", by_query).shows(WHO),
        step(204, "the camera goes", channel().with(&["-X", "DELETE"])),
        refused(404, "and is not there any more", channel()),
    ]
}
