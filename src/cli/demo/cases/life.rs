//! The life of a license key, from the admin API to the last refusal. The lines build on each other and are told in
//! their order; the key is given and not made here, so that each of them can name it.

use serde_json::json;

use super::{Case, PROBLEM, Story};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::stock::ACME;
use crate::cli::demo::vendor::Vendor::Vxg;

/// What VXG's clients hear when a key is not believed.
const WHO: &str = r#""errorType":"invalid_auth""#;

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let Some(admin) = &facts.admin else { return Vec::new() };
    let vxg = &facts.credentials.vxg;
    let [first, second] = &vxg.guests;
    let at = |path: &str| Curl::new(format!("{}/v1/{path}", admin.url));
    let ask = |path: &str| at(path).authorization(&format!("Bearer {}", admin.token));
    let post = |path: &str, body: &serde_json::Value| {
        ask(path).header("Content-Type: application/json").with(&["-d", &body.to_string()])
    };
    let present = |key: &str| {
        let cameras = format!("{}/api/v2/cameras/", facts.site(Vxg).http);
        Curl::new(cameras).authorization(&format!("LKey {key}"))
    };
    let good =
        |what, key: &str| Case::accepted(Vxg, 200, what, present(key)).shows("Front door").told(Story::LicenseKey);
    let bad = |what, key: &str| Case::refused(Vxg, 401, what, present(key)).shows(WHO).told(Story::LicenseKey);
    let admin = |status, what, curl| Case::refused(Vxg, status, what, curl).told(Story::LicenseKey);
    let create = json!({ "id": "guest", "account": ACME, "key": first });
    let visitor = json!({ "id": "visitor", "account": ACME });
    let rotate = json!({ "overlap": "1h", "key": second });
    vec![
        admin(401, "nobody manages keys without the token", at("license-keys")).shows(PROBLEM),
        bad("a key that does not exist yet", first),
        admin(201, "a guest's key is created", post("license-keys", &create)).shows(r#""id":"guest""#),
        good("and good for the very next request", first),
        admin(409, "a second one cannot take its place", post("license-keys", &create)).shows(PROBLEM),
        admin(201, "where none is given, a key is made and shown this once", post("license-keys", &visitor))
            .shows(r#""key":"vgl_"#),
        admin(200, "later it is not", ask("license-keys/visitor")).hides("vgl_"),
        admin(204, "the visitor leaves", ask("license-keys/visitor").with(&["-X", "DELETE"])),
        admin(
            200,
            "the guest's key is rotated: a second one, and an hour for the first",
            post("license-keys/guest/rotate", &rotate),
        ),
        good("the second is good", second),
        good("the first still is", first),
        admin(200, "what is shown of it holds neither", ask("license-keys/guest"))
            .shows(r#""number":2"#)
            .hides(first)
            .hides(second),
        admin(204, "it is deleted", ask("license-keys/guest").with(&["-X", "DELETE"])),
        bad("the first is refused at once", first),
        bad("and so is the second", second),
    ]
}
